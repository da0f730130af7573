"""What the other pages show: functions, one run, live runs, conflicts, storage. Reads only."""

from __future__ import annotations

import dataclasses
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hitsave.server.database.tables import (
    blobs,
    conflicts,
    entries,
    functions,
    projects,
    records,
    runs,
    snapshots,
    tags,
    tokens,
    users,
    versions,
)

FUNCTIONS_SHOWN = 200
SORTS = {
    "last": functions.c.last_started.desc(),
    "name": functions.c.symbol.asc(),
    "results": functions.c.results.desc(),
    "saved": functions.c.saved_s.desc(),
    "size": functions.c.size_bytes.desc(),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Totals:
    """The numbers on top of a page."""

    functions: int
    results: int
    hits: int
    misses: int
    saved_s: float
    spent_s: float
    size_bytes: int
    running: int

    @property
    def hit_rate(self) -> float | None:
        """Share of look-ups that hit; None before the first."""
        asked = self.hits + self.misses
        return self.hits / asked if asked else None


def totals(connection: Connection, project_id: int) -> Totals:
    """Sums over the summaries of a project's functions."""
    names = ("results", "hits", "misses", "saved_s", "spent_s", "size_bytes")
    sums = [sa.func.coalesce(sa.func.sum(functions.c[name]), 0) for name in names]
    row = connection.execute(
        sa.select(sa.func.count(), *sums).select_from(functions).where(functions.c.project_id == project_id)
    ).one()
    running = connection.execute(
        sa.select(sa.func.count()).select_from(runs).where(runs.c.project_id == project_id, runs.c.status == "running")
    ).scalar_one()
    count, results, hits, misses, saved_s, spent_s, size_bytes = row
    return Totals(count, int(results), int(hits), int(misses), float(saved_s), float(spent_s), int(size_bytes), running)


def list_functions(
    connection: Connection, project_id: int, *, experiments: bool, search: str = "", sort: str = "last"
) -> list[Any]:
    """Functions with their summaries and the number of their versions."""
    count = (
        sa.select(sa.func.count())
        .where(versions.c.function_id == functions.c.id, versions.c.results > 0)
        .correlate(functions)
        .scalar_subquery()
    )
    wanted = (
        sa.select(functions, count.label("versions"))
        .where(functions.c.project_id == project_id, functions.c.is_experiment == experiments)
        .order_by(SORTS.get(sort, SORTS["last"]), functions.c.id)
        .limit(FUNCTIONS_SHOWN)
    )
    if search:
        wanted = wanted.where(sa.func.lower(functions.c.symbol).contains(search.lower(), autoescape=True))
    return list(connection.execute(wanted).all())


def list_versions(connection: Connection, function_id: int, limit: int = 30) -> list[Any]:
    """Versions of a function that have results, newest first."""
    return list(
        connection.execute(
            sa.select(versions)
            .where(versions.c.function_id == function_id, versions.c.results > 0)
            .order_by(versions.c.id.desc())
            .limit(limit)
        ).all()
    )


def find_run(connection: Connection, project_id: int, entry_id: int) -> Any | None:
    """Everything about one entry, with its function and version."""
    return connection.execute(
        sa.select(
            entries,
            functions.c.symbol,
            versions.c.fingerprint,
            blobs.c.data.label("data"),
        )
        .select_from(
            entries.join(functions, functions.c.id == entries.c.function_id)
            .join(versions, versions.c.id == entries.c.version_id)
            .join(blobs, blobs.c.name == entries.c.blob)
        )
        .where(entries.c.project_id == project_id, entries.c.id == entry_id)
    ).first()


def symbol_of(connection: Connection, entry_id: int) -> str:
    """The function of an entry."""
    joined = entries.join(functions, functions.c.id == entries.c.function_id)
    chosen = sa.select(functions.c.symbol).select_from(joined).where(entries.c.id == entry_id)
    return str(connection.execute(chosen).scalar_one())


def previous_version(connection: Connection, function_id: int, version_id: int) -> Any | None:
    """The version before, None for the first."""
    return connection.execute(
        sa.select(versions)
        .where(versions.c.function_id == function_id, versions.c.id < version_id)
        .order_by(versions.c.id.desc())
        .limit(1)
    ).first()


def get_records(connection: Connection, project_id: int, kind: str, names: list[str]) -> dict[str, bytes]:
    """Records by name."""
    rows = connection.execute(
        sa.select(records.c.name, records.c.data).where(
            records.c.project_id == project_id, records.c.kind == kind, records.c.name.in_(names)
        )
    )
    return {row.name: row.data for row in rows}


def list_tags(connection: Connection, entry_id: int) -> list[str]:
    """The tags of a run."""
    return list(
        connection.execute(sa.select(tags.c.tag).where(tags.c.entry_id == entry_id).order_by(tags.c.tag)).scalars()
    )


def live_runs(connection: Connection, project_id: int, symbol: str = "", limit: int = 100) -> list[Any]:
    """Runs that are under way, failed or lost, newest first, running ones on top."""
    running_first = sa.case((runs.c.status == "running", 0), else_=1)
    wanted = sa.select(runs).where(runs.c.project_id == project_id, runs.c.status != "ok")
    if symbol:
        wanted = wanted.where(runs.c.symbol == symbol)
    return list(connection.execute(wanted.order_by(running_first, runs.c.started.desc()).limit(limit)).all())


def find_live_run(connection: Connection, project_id: int, run_id: str) -> Any | None:
    """One announced run."""
    return connection.execute(sa.select(runs).where(runs.c.project_id == project_id, runs.c.id == run_id)).first()


def list_conflicts(connection: Connection, project_id: int, entry_id: int = 0, limit: int = 200) -> list[Any]:
    """Calls that gave another result when they ran again."""
    wanted = (
        sa.select(
            conflicts,
            entries.c.title,
            entries.c.blob.label("kept_blob"),
            entries.c.codec,
            entries.c.created_by,
            entries.c.created,
            functions.c.symbol,
        )
        .select_from(
            conflicts.join(entries, entries.c.id == conflicts.c.entry_id).join(
                functions, functions.c.id == entries.c.function_id
            )
        )
        .where(conflicts.c.project_id == project_id)
        .order_by(conflicts.c.id.desc())
        .limit(limit)
    )
    if entry_id:
        wanted = wanted.where(conflicts.c.entry_id == entry_id)
    return list(connection.execute(wanted).all())


def largest_results(connection: Connection, project_id: int, limit: int = 20) -> list[Any]:
    """The entries that take most room."""
    return list(
        connection.execute(
            sa.select(
                entries.c.id,
                entries.c.title,
                entries.c.size_bytes,
                entries.c.hits,
                entries.c.pinned,
                entries.c.is_experiment,
                entries.c.last_hit,
                entries.c.started,
                functions.c.symbol,
            )
            .select_from(entries.join(functions, functions.c.id == entries.c.function_id))
            .where(entries.c.project_id == project_id)
            .order_by(entries.c.size_bytes.desc(), entries.c.id)
            .limit(limit)
        ).all()
    )


def storage_by_function(connection: Connection, project_id: int, limit: int = 15) -> list[Any]:
    """Functions by the room they take."""
    return list(
        connection.execute(
            sa.select(functions)
            .where(functions.c.project_id == project_id, functions.c.size_bytes > 0)
            .order_by(functions.c.size_bytes.desc())
            .limit(limit)
        ).all()
    )


def list_snapshots(connection: Connection, project_id: int) -> list[Any]:
    """Snapshots, newest first."""
    wanted = [c for c in snapshots.c if c.name != "tree"]
    return list(
        connection.execute(
            sa.select(*wanted)
            .where(snapshots.c.project_id == project_id)
            .order_by(snapshots.c.created.desc())
            .limit(200)
        ).all()
    )


def find_snapshot(connection: Connection, project_id: int, digest: str) -> Any | None:
    """One snapshot with its tree."""
    return connection.execute(
        sa.select(snapshots).where(snapshots.c.project_id == project_id, snapshots.c.digest == digest)
    ).first()


def list_keys(connection: Connection, project_id: int | None) -> list[Any]:
    """API keys (never the keys themselves); those of one project, or all."""
    wanted = (
        sa.select(tokens, users.c.name.label("user"), projects.c.slug.label("project"))
        .join(users, users.c.id == tokens.c.user_id)
        .outerjoin(projects, projects.c.id == tokens.c.project_id)
        .order_by(tokens.c.revoked.isnot(None), tokens.c.id.desc())
        .limit(500)
    )
    if project_id is not None:
        wanted = wanted.where(tokens.c.project_id == project_id)
    return list(connection.execute(wanted).all())


def list_projects(connection: Connection, project_id: int | None) -> list[str]:
    """The projects that a key reaches."""
    wanted = sa.select(projects.c.slug).order_by(projects.c.slug)
    if project_id is not None:
        wanted = wanted.where(projects.c.id == project_id)
    return list(connection.execute(wanted).scalars())
