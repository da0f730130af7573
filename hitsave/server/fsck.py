"""`fsck`: does what the database says agree with what the storage holds? Re-reads and re-hashes every blob.

Found and, with `repair`, mended:
    damaged     a blob whose bytes have another digest          removed, with the entries that name it
    lost        a blob row without bytes                        removed, with the entries that name it
    dangling    an entry whose blob has no row                  removed (can't happen: the database forbids it)
    unlisted    bytes in the storage that no row names          removed (a crash between rename and commit leaves one)
    unreferred  references of entries and snapshots that are gone   removed
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hitsave.record import Record
from hitsave.server import entries
from hitsave.server.database.tables import blob_refs, blobs, snapshots
from hitsave.server.database.tables import entries as entries_table
from hitsave.server.state import State


class Findings(Record):
    """What is wrong, by name of blob or id of entry; all empty: clean."""

    damaged: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    dangling: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()
    unreferred: tuple[str, ...] = ()
    checked: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether everything agrees. Unlisted bytes are litter, not damage, but are named all the same."""
        return not (self.damaged or self.lost or self.dangling or self.unlisted or self.unreferred)


def check(state: State, *, repair: bool = False, on_progress: Callable[[int], None] = lambda done: None) -> Findings:
    """Compare everything; run it on a server that is stopped or idle, or uploads under way count as unlisted."""
    rows = state.database.read_now(
        lambda c: c.execute(
            sa.select(blobs.c.name, blobs.c.size_bytes, blobs.c.data.is_(None)).order_by(blobs.c.name)
        ).all()
    )
    damaged, lost = [], []
    for done, (name, size, is_outside) in enumerate(rows):
        found = asyncio.run(_digest_outside(state, name, size)) if is_outside else _digest_inside(state, name)
        if found is None:
            lost.append(name)
        elif found != name:
            damaged.append(name)
        on_progress(done + 1)
    known = {row[0] for row in rows if row[2]}
    unlisted = [name for name, _ in state.blobs.names() if name not in known]
    dangling = state.database.read_now(_dangling)
    unreferred = state.database.read_now(_unreferred)
    findings = Findings(
        tuple(damaged), tuple(lost), tuple(dangling), tuple(unlisted), tuple(unreferred), checked=len(rows)
    )
    if repair and not findings.is_clean:
        _repair(state, findings)
    return findings


async def _digest_outside(state: State, name: str, size: int) -> str | None:
    if await state.blobs.size(name) is None:
        return None
    digest = hashlib.sha256()
    async for piece in state.blobs.stream(name, 0, max(size, 0)):
        digest.update(piece)
    actual = await state.blobs.size(name)
    return "sha256-" + digest.hexdigest() if actual == size else "another size"


def _digest_inside(state: State, name: str) -> str | None:
    data = state.database.read_now(
        lambda c: c.execute(sa.select(blobs.c.data).where(blobs.c.name == name)).scalar_one_or_none()
    )
    return None if data is None else "sha256-" + hashlib.sha256(data).hexdigest()


def _dangling(connection: Connection) -> list[str]:
    rows = connection.execute(
        sa.select(entries_table.c.id)
        .select_from(entries_table.outerjoin(blobs, blobs.c.name == entries_table.c.blob))
        .where(blobs.c.name.is_(None))
    )
    return [str(row.id) for row in rows]


def _unreferred(connection: Connection) -> list[str]:
    by_entry = sa.select(blob_refs.c.ref).where(
        blob_refs.c.kind == "entry",
        ~sa.select(entries_table.c.id).where(sa.cast(entries_table.c.id, sa.String) == blob_refs.c.ref).exists(),
    )
    by_snapshot = sa.select(blob_refs.c.ref).where(
        blob_refs.c.kind == "snapshot",
        ~sa.select(snapshots.c.digest).where(snapshots.c.digest == blob_refs.c.ref).exists(),
    )
    return [str(ref) for query in (by_entry, by_snapshot) for ref in connection.execute(query).scalars()]


def _repair(state: State, findings: Findings) -> None:
    bad = [*findings.damaged, *findings.lost]

    def work(connection: Connection) -> None:
        for name in bad:
            rows = connection.execute(sa.select(entries_table.c.id).where(entries_table.c.blob == name))
            entries.remove(connection, [row.id for row in rows])
            connection.execute(sa.delete(blob_refs).where(blob_refs.c.blob == name))
            connection.execute(sa.delete(blobs).where(blobs.c.name == name))
        entries.remove(connection, [int(i) for i in findings.dangling])
        for ref in findings.unreferred:
            connection.execute(sa.delete(blob_refs).where(blob_refs.c.ref == ref, blob_refs.c.kind != "upload"))

    state.database.write_now(work)

    async def remove() -> None:
        for name in (*findings.damaged, *findings.unlisted):
            await state.blobs.delete(name)

    asyncio.run(remove())
