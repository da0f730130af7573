"""What a blob storage does. Two implementers: `FileStorage`, `ObjectStorage`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Protocol


class StorageFull(Exception):
    """No room for the blob; nothing of it was kept."""


class BlobStorage(Protocol):
    """Bytes by name (`sha256-<hex>`). Names were checked before they come here."""

    spool: Path
    """A directory on a local disk for bytes on their way in."""

    async def publish(self, name: str, spooled: Path, size_bytes: int) -> None:
        """Make the verified file `spooled` readable as `name`, durably; the file is gone afterwards."""

    async def read(self, name: str, start: int, length: int) -> bytes | None:
        """`length` bytes from `start`, or None if there is no such blob."""

    def stream(self, name: str, start: int, length: int) -> AsyncIterator[bytes]:
        """The same in pieces, never holding more than one of them."""

    async def size(self, name: str) -> int | None:
        """Size in bytes, or None if there is no such blob."""

    async def delete(self, name: str) -> None:
        """Remove it; no error if it is gone."""

    def names(self) -> Iterator[tuple[str, int]]:
        """Every blob with its size; for fsck and backup."""

    def presign(self, name: str, expires_s: int) -> str | None:
        """A URL that reads the blob without passing through us, or None if this storage has none."""

    def close(self) -> None:
        """Let go of everything."""
