"""Chooses the blob storage from a URL."""

from __future__ import annotations

from pathlib import Path

from hitsave.server.blobs.contract import BlobStorage
from hitsave.server.blobs.files import FileStorage


def open_storage(url: str, data_dir: Path) -> BlobStorage:
    """Files below `data_dir` for "", below a `file://` path, or an `s3://bucket/prefix`."""
    if url.startswith("s3://"):
        from hitsave.server.blobs.objects import ObjectStorage

        return ObjectStorage(url, spool=data_dir / "spool")
    root = Path(url.removeprefix("file://")) if url else data_dir / "blobs"
    return FileStorage(root)
