"""Blobs as files: `<root>/ab/<64 hex>`, written to a spool on the same file system, synced, then renamed."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from hitsave.server.blobs.contract import StorageFull

CHUNK = 256 << 10
# Reading this much from the page cache costs less than a thread hand-over.
DIRECT_MAX = 256 << 10


class FileStorage:
    """A directory of blobs. Files are 0600, directories 0700."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.spool = root / "spool"
        self.spool.mkdir(parents=True, exist_ok=True, mode=0o700)

    async def publish(self, name: str, spooled: Path, size_bytes: int) -> None:
        """Sync, rename, sync the directory: after this a crash or power cut can't lose or tear the blob."""
        try:
            await asyncio.to_thread(self._publish, self._path(name), spooled)
        except OSError as error:
            spooled.unlink(missing_ok=True)
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise StorageFull(str(error)) from None
            raise

    def _publish(self, path: Path, spooled: Path) -> None:
        _sync(spooled)
        try:
            spooled.replace(path)
        except FileNotFoundError:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            _sync(self.root)
            spooled.replace(path)
        _sync(path.parent)

    async def read(self, name: str, start: int, length: int) -> bytes | None:
        """Bytes of one blob."""
        if length > DIRECT_MAX:
            return await asyncio.to_thread(self._read, name, start, length)
        return self._read(name, start, length)

    def _read(self, name: str, start: int, length: int) -> bytes | None:
        try:
            fd = os.open(self._path(name), os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            return os.pread(fd, length, start)
        finally:
            os.close(fd)

    async def stream(self, name: str, start: int, length: int) -> AsyncIterator[bytes]:
        """Pieces of one blob. The file stays readable if it is deleted meanwhile."""
        fd = os.open(self._path(name), os.O_RDONLY)
        try:
            while length > 0:
                piece = os.pread(fd, min(CHUNK, length), start)
                if not piece:
                    return
                yield piece
                start += len(piece)
                length -= len(piece)
        finally:
            os.close(fd)

    async def size(self, name: str) -> int | None:
        """Size in bytes, or None."""
        try:
            return self._path(name).stat().st_size
        except FileNotFoundError:
            return None

    async def delete(self, name: str) -> None:
        """Remove the file."""
        self._path(name).unlink(missing_ok=True)

    def names(self) -> Iterator[tuple[str, int]]:
        """Every blob with its size."""
        for directory in sorted(self.root.iterdir()):
            if len(directory.name) == 2:
                for path in sorted(directory.iterdir()):
                    yield f"sha256-{path.name}", path.stat().st_size

    def presign(self, name: str, expires_s: int) -> None:
        """Files have no URL of their own."""
        return

    def close(self) -> None:
        """Nothing is held open."""

    def _path(self, name: str) -> Path:
        digest = name.removeprefix("sha256-")
        return self.root / digest[:2] / digest


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
