"""Collecting what nobody needs: expired uploads, unreferenced blobs, and the least used memo results over the limit.

A blob goes in three steps, so that a crash or a writer at any moment loses nothing that is in use: it is marked
`deleting` in a transaction that checks that no reference exists and that it wasn't touched for a while; its bytes are
removed; its row is removed. Experiments and pinned results are never collected.
"""

from __future__ import annotations

import time

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hitsave.server import entries, leases
from hitsave.server.database.tables import blob_refs, blobs, login_codes, runs, sessions, uploads
from hitsave.server.database.tables import entries as entries_table
from hitsave.server.quota import total_bytes
from hitsave.server.state import State

BATCH = 200
RUN_LOST_AFTER_S = 300.0


async def maintain(state: State) -> None:
    """One round of everything; each step is a short transaction off the event loop."""
    database = state.database
    await database.maintain(forget_ended)
    await forget_uploads(state)
    await evict(state)
    while await collect_blobs(state):
        pass


def forget_ended(connection: Connection) -> None:
    """Leases, sessions and login codes that ended, runs whose heart stopped."""
    now = time.time()
    leases.forget_expired(connection)
    connection.execute(sa.delete(sessions).where(sessions.c.expires < now))
    connection.execute(sa.delete(login_codes).where(login_codes.c.expires < now))
    connection.execute(
        sa.update(runs)
        .where(runs.c.status == "running", runs.c.seen < now - RUN_LOST_AFTER_S)
        .values(status="lost", finished=now)
    )


async def forget_uploads(state: State) -> None:
    """Uploads that were left alone, and spool files that belong to nothing."""
    now = time.time()

    def work(connection: Connection) -> set[str]:
        connection.execute(sa.delete(uploads).where(uploads.c.expires < now))
        return set(connection.execute(sa.select(uploads.c.id)).scalars())

    alive = await state.database.maintain(work)
    for path in state.blobs.spool.iterdir():
        kind, _, upload_id = path.name.partition("-")
        try:
            is_old = path.stat().st_mtime < now - state.settings.upload_keep_s
        except FileNotFoundError:
            continue
        if is_old and (kind != "upload" or upload_id not in alive):
            path.unlink(missing_ok=True)


async def evict(state: State) -> int:
    """Remove the least recently used memo results until the blobs fit into `max_total_bytes`."""
    limit = state.settings.max_total_bytes
    if not limit:
        return 0

    def work(connection: Connection) -> int:
        excess = total_bytes(connection) - limit
        if excess <= 0:
            return 0
        e = entries_table
        rows = connection.execute(
            sa.select(e.c.id, e.c.size_bytes)
            .where(e.c.is_experiment.is_(False), e.c.pinned.is_(False))
            .order_by(e.c.last_hit)
            .limit(BATCH)
        ).all()
        chosen = []
        for row in rows:
            if excess <= 0:
                break
            chosen.append(row.id)
            excess -= row.size_bytes
        return entries.remove(connection, chosen)

    removed = 0
    while n := await state.database.maintain(work):
        removed += n
        # What was removed frees room at once, without the grace that uploads get.
        while await collect_blobs(state, grace_s=0.0):
            pass
    return removed


async def collect_blobs(state: State, *, grace_s: float | None = None) -> int:
    """Remove up to a batch of blobs that nothing refers to and nobody touched for the grace period; how many."""
    grace = state.settings.unreferenced_keep_s if grace_s is None else grace_s
    names = await state.database.maintain(lambda connection: _mark(connection, time.time() - grace))
    for name, is_outside in names:
        if is_outside:
            await state.blobs.delete(name)

    def sweep(connection: Connection) -> None:
        doomed = [name for name, _ in names]
        connection.execute(sa.delete(blobs).where(blobs.c.name.in_(doomed), blobs.c.state == "deleting"))

    if names:
        await state.database.maintain(sweep)
        state.metrics.count("blobs_collected", len(names))
    return len(names)


def _mark(connection: Connection, untouched_since: float) -> list[tuple[str, bool]]:
    connection.execute(sa.delete(blob_refs).where(blob_refs.c.kind == "upload", blob_refs.c.created < untouched_since))
    referenced = sa.select(blob_refs.c.blob).where(blob_refs.c.blob == blobs.c.name).exists()
    # Lock first, look again afterwards: whoever adds a reference holds the row's lock until that is committed, so
    # the second look sees every reference there is, and after it nobody can add one.
    unused = sa.or_(blobs.c.state == "deleting", sa.and_(blobs.c.last_used < untouched_since, ~referenced))
    chosen = sa.select(blobs.c.name).where(unused).limit(BATCH).with_for_update(skip_locked=True)
    names = list(connection.execute(chosen).scalars())
    doomed = list(connection.execute(sa.select(blobs.c.name).where(blobs.c.name.in_(names), ~referenced)).scalars())
    connection.execute(sa.update(blobs).where(blobs.c.name.in_(doomed)).values(state="deleting"))
    rows = connection.execute(sa.select(blobs.c.name, blobs.c.data.is_(None)).where(blobs.c.name.in_(doomed)))
    return [(row[0], bool(row[1])) for row in rows]
