"""Entries: storing one in one transaction, and finding them by key or by (symbol, arguments).

The first writer wins. Another result for the same call under the same observations is no update but a sign that the
function isn't deterministic: it is refused and kept as a conflict. A blob is in place, with the right size, before an
entry may name it.
"""

from __future__ import annotations

import fnmatch
import time
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hitsave.digest import digest_text
from hitsave.evaluation import Evaluation, Key
from hitsave.record import Record
from hitsave.server import leases
from hitsave.server.columns import write_cells
from hitsave.server.database.engine import fetch, insert_ignore
from hitsave.server.database.tables import (
    blob_refs,
    blobs,
    cells,
    conflicts,
    entries,
    functions,
    runs,
    tags,
    versions,
)
from hitsave.server.problems import Problem
from hitsave.wire import Manifest, canonical_json
from hitsave.wire.evaluations import CONDITIONS, observed_to_json
from hitsave.wire.messages import MAX_CANDIDATES, lease_name

# Candidates are sent newest first until this many bytes of manifests are together; the client takes the rest as a miss.
MAX_ANSWER_BYTES = 768 << 10
MAX_EXACT = 50


class Offer(Record):
    """An entry that a client wants to store. `inline` is the value if it is small; else its blob is in place."""

    manifest: Manifest
    text: str
    tag: str
    inline: bytes | None
    fence: int
    who: str


class Stored(Record):
    """What became of an offer: "created", "same", "conflict" or "fenced-off"."""

    outcome: str
    entry_id: int
    function_id: int


def store(connection: Connection, project_id: int, offer: Offer) -> Stored:
    """Store an offer, all of it or nothing. Raises `Problem` if its blob is missing or has another size."""
    evaluation = offer.manifest.evaluation
    key = evaluation.key
    now = time.time()
    function_id = _ensure_function(connection, project_id, evaluation)
    version_id = _ensure_version(connection, function_id, key.fingerprint, offer.who, now)
    if connection.dialect.name == "postgresql":
        # One writer per version at a time: a conflict is found by looking at the other entries of the call.
        connection.execute(sa.select(versions.c.id).where(versions.c.id == version_id).with_for_update())
    observed = digest_text(canonical_json(observed_to_json(evaluation.observed)))
    conditions = digest_conditions(evaluation)
    name = lease_name(key)
    rows = connection.execute(
        sa.select(entries.c.id, entries.c.blob, entries.c.observed).where(
            entries.c.version_id == version_id,
            entries.c.arguments == key.arguments,
            entries.c.conditions == conditions,
        )
    ).all()
    for row in rows:
        if row.blob != offer.manifest.blob:
            _record_conflict(connection, project_id, function_id, row.id, offer, now)
            leases.finish(connection, project_id, name)
            return Stored("conflict", row.id, function_id)
        if row.observed == observed:
            leases.finish(connection, project_id, name)
            return Stored("same", row.id, function_id)
    if not rows and offer.fence and leases.is_fenced_off(connection, project_id, name, offer.fence):
        return Stored("fenced-off", 0, function_id)
    _claim_blob(connection, project_id, offer, now)
    observation = evaluation.observed
    narrowing = (
        *(observation.ran, observation.reached, observation.carried, observation.earlier),
        *(observation.imported, observation.at_import),
    )
    entry_id: int = connection.execute(
        sa.insert(entries)
        .values(
            project_id=project_id,
            function_id=function_id,
            version_id=version_id,
            arguments=key.arguments,
            observed=observed,
            conditions=conditions,
            ran=digest_text(canonical_json(narrowing)) if observation.complete else "",
            narrowed=observation.narrowed,
            manifest=offer.text,
            tag=offer.tag,
            signer=offer.manifest.signer,
            blob=offer.manifest.blob,
            result=evaluation.result,
            codec=evaluation.codec,
            size_bytes=evaluation.size_bytes,
            is_experiment=evaluation.is_experiment,
            title=evaluation.title,
            preview=evaluation.preview,
            started=evaluation.started,
            elapsed_s=evaluation.elapsed_s,
            created=now,
            created_by=offer.who,
            last_hit=now,
        )
        .returning(entries.c.id)
    ).scalar_one()
    connection.execute(
        sa.insert(blob_refs).values(
            blob=offer.manifest.blob, project_id=project_id, kind="entry", ref=str(entry_id), created=now
        )
    )
    if evaluation.is_experiment:
        write_cells(connection, function_id, entry_id, evaluation)
    connection.execute(sa.update(versions).where(versions.c.id == version_id).values(results=versions.c.results + 1))
    connection.execute(
        sa.update(functions)
        .where(functions.c.id == function_id)
        .values(
            results=functions.c.results + 1,
            spent_s=functions.c.spent_s + evaluation.elapsed_s,
            size_bytes=functions.c.size_bytes + evaluation.size_bytes,
            is_experiment=evaluation.is_experiment,
            last_started=sa.case(
                (functions.c.last_started < evaluation.started, evaluation.started), else_=functions.c.last_started
            ),
        )
    )
    leases.finish(connection, project_id, name)
    connection.execute(
        sa.update(runs)
        .where(
            runs.c.project_id == project_id,
            runs.c.status == "running",
            runs.c.symbol == key.symbol,
            runs.c.arguments == key.arguments,
            runs.c.fingerprint == key.fingerprint,
        )
        .values(status="ok", finished=now)
    )
    return Stored("created", entry_id, function_id)


def find_exact(connection: Connection, project_id: int, key: Key) -> list[Any]:
    """Entries under `key`, newest first, each with its value if that is small."""
    return fetch(connection, EXACT, _parameters(project_id, key))


def find_candidates(connection: Connection, project_id: int, key: Key) -> list[Any]:
    """Entries of (symbol, arguments) under other code that an edit may have left valid, one per group, newest first."""
    rows = fetch(connection, CANDIDATES, _parameters(project_id, key))
    seen: set[tuple[object, ...]] = set()
    found = []
    size = 0
    for row in rows:
        group = (row.ran, row.narrowed, row.conditions)
        if group not in seen:
            seen.add(group)
            found.append(row)
            size += len(row.manifest)
            if size > MAX_ANSWER_BYTES:
                break
    return found


def list_page(connection: Connection, project_id: int, pattern: str, below_id: int, limit: int) -> list[Any]:
    """Entries of symbols that match a glob, newest first, below an id (0: from the newest)."""
    wanted = sa.select(entries.c.id, entries.c.manifest, entries.c.tag).where(entries.c.project_id == project_id)
    if pattern != "*":
        chosen = connection.execute(
            sa.select(functions.c.id, functions.c.symbol).where(functions.c.project_id == project_id)
        )
        ids = [row.id for row in chosen if fnmatch.fnmatchcase(row.symbol, pattern)]
        wanted = wanted.where(entries.c.function_id.in_(ids[:30_000]))
    if below_id:
        wanted = wanted.where(entries.c.id < below_id)
    return list(connection.execute(wanted.order_by(entries.c.id.desc()).limit(limit)).all())


def _parameters(project_id: int, key: Key) -> dict[str, object]:
    return {
        "project": project_id,
        "symbol": key.symbol,
        "fingerprint": key.fingerprint,
        "arguments": key.arguments,
    }


_COLUMNS = (
    entries.c.id,
    entries.c.function_id,
    entries.c.manifest,
    entries.c.tag,
    entries.c.blob,
    entries.c.size_bytes,
    entries.c.elapsed_s,
    entries.c.ran,
    entries.c.narrowed,
    entries.c.conditions,
    blobs.c.data,
)
_CALL = (
    functions.c.project_id == sa.bindparam("project"),
    functions.c.symbol == sa.bindparam("symbol"),
    entries.c.arguments == sa.bindparam("arguments"),
)
_JOINED = (
    functions.join(versions, versions.c.function_id == functions.c.id)
    .join(entries, entries.c.version_id == versions.c.id)
    .join(blobs, blobs.c.name == entries.c.blob)
)
EXACT = (
    sa.select(*_COLUMNS)
    .select_from(_JOINED)
    .where(*_CALL, versions.c.fingerprint == sa.bindparam("fingerprint"))
    .order_by(entries.c.id.desc())
    .limit(MAX_EXACT)
)
CANDIDATES = (
    sa.select(*_COLUMNS)
    .select_from(_JOINED)
    .where(
        *_CALL,
        entries.c.function_id == functions.c.id,
        versions.c.fingerprint != sa.bindparam("fingerprint"),
        entries.c.narrowed != "",
    )
    .order_by(entries.c.id.desc())
    .limit(MAX_CANDIDATES)
)


def digest_conditions(evaluation: Evaluation) -> str:
    """The digest of what must still hold for the result to be used. `ran` is no condition: it narrows the key."""
    shown = observed_to_json(evaluation.observed)
    return digest_text(canonical_json({name: shown.get(name) for name in CONDITIONS}))


def _ensure_function(connection: Connection, project_id: int, evaluation: Evaluation) -> int:
    symbol = evaluation.key.symbol
    wanted = sa.select(functions.c.id).where(functions.c.project_id == project_id, functions.c.symbol == symbol)
    found = connection.execute(wanted).scalar_one_or_none()
    if found is None:
        values = {"project_id": project_id, "symbol": symbol, "is_experiment": evaluation.is_experiment}
        insert_ignore(connection, functions, values)
        found = connection.execute(wanted).scalar_one()
    return int(found)


def _ensure_version(connection: Connection, function_id: int, fingerprint: str, who: str, now: float) -> int:
    wanted = sa.select(versions.c.id).where(
        versions.c.function_id == function_id, versions.c.fingerprint == fingerprint
    )
    found = connection.execute(wanted).scalar_one_or_none()
    if found is None:
        values = {"function_id": function_id, "fingerprint": fingerprint, "created": now, "first_by": who}
        insert_ignore(connection, versions, values)
        found = connection.execute(wanted).scalar_one()
    return int(found)


def _claim_blob(connection: Connection, project_id: int, offer: Offer, now: float) -> None:
    name, size = offer.manifest.blob, offer.manifest.evaluation.size_bytes
    if offer.inline is not None:
        values = {"name": name, "size_bytes": size, "data": offer.inline, "state": "ready"}
        if not insert_ignore(connection, blobs, {**values, "created": now, "last_used": now}):
            # The collector was about to remove these very bytes.
            doomed = (blobs.c.name == name, blobs.c.state == "deleting")
            connection.execute(sa.update(blobs).where(*doomed).values(data=offer.inline, state="ready"))
    # Changing last_used, not merely reading the row, is what makes a collector that runs now leave it alone.
    row = connection.execute(
        sa.update(blobs)
        .where(blobs.c.name == name, blobs.c.state == "ready")
        .values(last_used=now)
        .returning(blobs.c.size_bytes)
    ).first()
    if row is not None and offer.inline is None:
        visible = connection.execute(
            sa.select(blob_refs.c.blob).where(blob_refs.c.blob == name, blob_refs.c.project_id == project_id).limit(1)
        ).first()
        row = row if visible is not None else None
    if row is None:
        raise Problem("blob-missing", "Upload the blob first, then the entry.", blob=name)
    if row.size_bytes != size:
        raise Problem("bad-manifest", f"The blob has {row.size_bytes} bytes, the manifest says {size}.")


def _record_conflict(
    connection: Connection, project_id: int, function_id: int, entry_id: int, offer: Offer, now: float
) -> None:
    known = connection.execute(
        sa.select(conflicts.c.id).where(
            conflicts.c.entry_id == entry_id, conflicts.c.blob == offer.manifest.blob, conflicts.c.who == offer.who
        )
    ).first()
    if known is None:
        connection.execute(
            sa.insert(conflicts).values(
                entry_id=entry_id,
                project_id=project_id,
                blob=offer.manifest.blob,
                manifest=offer.text,
                who=offer.who,
                at=now,
            )
        )
        connection.execute(
            sa.update(functions).where(functions.c.id == function_id).values(conflicts=functions.c.conflicts + 1)
        )


def remove(connection: Connection, entry_ids: list[int]) -> int:
    """Remove entries and what hangs on them; how many there were. Their blobs are left to the collector."""
    removed = 0
    for start in range(0, len(entry_ids), 500):
        part = entry_ids[start : start + 500]
        rows = connection.execute(
            sa.select(
                entries.c.id, entries.c.function_id, entries.c.version_id, entries.c.size_bytes, entries.c.elapsed_s
            ).where(entries.c.id.in_(part))
        ).all()
        connection.execute(
            sa.delete(blob_refs).where(blob_refs.c.kind == "entry", blob_refs.c.ref.in_([str(r.id) for r in rows]))
        )
        for table in (cells, conflicts, tags):
            connection.execute(sa.delete(table).where(table.c.entry_id.in_(part)))
        connection.execute(sa.delete(entries).where(entries.c.id.in_(part)))
        for row in rows:
            connection.execute(
                sa.update(functions)
                .where(functions.c.id == row.function_id)
                .values(
                    results=functions.c.results - 1,
                    size_bytes=functions.c.size_bytes - row.size_bytes,
                    spent_s=functions.c.spent_s - row.elapsed_s,
                )
            )
            connection.execute(
                sa.update(versions).where(versions.c.id == row.version_id).values(results=versions.c.results - 1)
            )
        removed += len(rows)
    return removed
