"""Bytes on their way in: to a spool file, hashed as they come, published only if they are what their name says."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hitsave.server.database.engine import fetch, insert_ignore
from hitsave.server.database.tables import blob_refs, blobs
from hitsave.server.problems import Problem
from hitsave.server.quota import check_quota
from hitsave.server.state import State
from hitsave.wire.messages import INLINE_MAX_BYTES

EMPTY = "sha256-e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


class Spool:
    """A file that receives a body. Leaving the block without `keep()` removes it."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / f"in-{secrets.token_hex(12)}"
        self.size = 0
        self._hash = hashlib.sha256()
        self._fd = -1

    def __enter__(self) -> Spool:
        self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        return self

    def write(self, piece: bytes) -> None:
        """Take the next piece."""
        self._hash.update(piece)
        write_all(self._fd, piece)
        self.size += len(piece)

    @property
    def name(self) -> str:
        """The name that the bytes so far would have."""
        return "sha256-" + self._hash.hexdigest()

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)
        self.path.unlink(missing_ok=True)


def write_all(fd: int, data: bytes) -> None:
    """Write every byte, or raise a `Problem` if the disk is full."""
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(fd, view) :]
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise Problem("disk-full", "The server's disk is full; nothing was stored.") from None
        raise


async def admit(state: State, project_id: int, name: str, size: int) -> bool:
    """Whether the project has this blob already. Raises `Problem` if there is no room for it."""

    def work(connection: Connection) -> bool:
        if is_visible(connection, project_id, name):
            return True
        check_quota(state.settings, connection, project_id, size)
        return False

    return await state.database.read(work)


async def publish(state: State, project_id: int, name: str, size: int, spooled: Path, data: bytes | None) -> bool:
    """Make a verified blob visible to the project; whether it is new to the server.

    `data` holds the bytes if they are few: those go into the database. The row is written after the bytes are in
    place, so a crash in between leaves an unknown file (which fsck removes), never a row without bytes.
    """
    small = data is not None and size <= INLINE_MAX_BYTES
    state.metrics.count("bytes_up", size)
    await _wait_out_deletion(state, name)
    if not small:
        await state.blobs.publish(name, spooled, size)

    def work(connection: Connection) -> bool:
        now = time.time()
        values: dict[str, Any] = {"name": name, "size_bytes": size, "data": data if small else None}
        new = insert_ignore(connection, blobs, {**values, "state": "ready", "created": now, "last_used": now})
        if not new:
            row = connection.execute(
                sa.update(blobs)
                .where(blobs.c.name == name, blobs.c.state == "ready")
                .values(last_used=now)
                .returning(blobs.c.name)
            ).first()
            if row is None:
                raise Problem("maintenance", "This blob is just being removed.", headers={"Retry-After": "1"})
        ref = {"blob": name, "project_id": project_id, "kind": "upload", "ref": "", "created": now}
        insert_ignore(connection, blob_refs, ref)
        return new

    return await state.database.write(work)


async def _wait_out_deletion(state: State, name: str) -> None:
    def is_doomed(connection: Connection) -> bool:
        found = connection.execute(sa.select(blobs.c.state).where(blobs.c.name == name)).scalar_one_or_none()
        return found == "deleting"

    if await state.database.read(is_doomed):
        raise Problem("maintenance", "This blob is just being removed.", headers={"Retry-After": "1"})


def is_visible(connection: Connection, project_id: int, name: str) -> bool:
    """Whether a blob exists that the project has a reason to see."""
    return find_visible(connection, project_id, name) is not None


def find_visible(connection: Connection, project_id: int, name: str) -> Any | None:
    """Size and (if it is small) bytes of a blob that the project may see."""
    rows = fetch(connection, VISIBLE, {"project": project_id, "name": name})
    return rows[0] if rows else None


VISIBLE = (
    sa.select(blobs.c.size_bytes, blobs.c.data)
    .select_from(blobs.join(blob_refs, blob_refs.c.blob == blobs.c.name))
    .where(
        blobs.c.name == sa.bindparam("name"),
        blobs.c.state == "ready",
        blob_refs.c.project_id == sa.bindparam("project"),
    )
    .limit(1)
)
