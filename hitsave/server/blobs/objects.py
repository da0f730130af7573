"""Blobs in an S3-compatible service, through obstore.

`s3://bucket/prefix?endpoint=https://s3.example.org&region=eu-1`; credentials come from the usual AWS_* environment, so
no secret stands in a URL. A blob arrives in a local spool first, because its digest must be right before anybody can
see it under its name.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError
from obstore.store import S3Store

PIECE = 1 << 20
# One conditional request below this size; larger blobs go up in parts, which S3 publishes atomically too.
SINGLE_PUT_MAX = 16 << 20


class ObjectStorage:
    """A bucket, or a prefix of one."""

    def __init__(self, url: str, spool: Path) -> None:
        parts = urlsplit(url)
        options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        config: dict[str, Any] = {"region": options.get("region", "us-east-1")}
        if "endpoint" in options:
            config["endpoint"] = options["endpoint"]
            config["virtual_hosted_style_request"] = options.get("style") == "virtual"
        self.spool = spool
        spool.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._store = S3Store(
            parts.netloc,
            prefix=(parts.path.strip("/") or None),
            client_options={"allow_http": options.get("endpoint", "").startswith("http://"), "timeout": "120s"},
            retry_config={
                "max_retries": 3,
                "retry_timeout": timedelta(seconds=10),
                "backoff": {
                    "init_backoff": timedelta(milliseconds=100),
                    "max_backoff": timedelta(seconds=2),
                    "base": 2,
                },
            },
            **config,
        )

    async def publish(self, name: str, spooled: Path, size_bytes: int) -> None:
        """Upload the file, then remove it."""
        try:
            if size_bytes <= SINGLE_PUT_MAX:
                data = await asyncio.to_thread(spooled.read_bytes)
                await obstore.put_async(self._store, _key(name), data, mode="create")
            else:
                await obstore.put_async(self._store, _key(name), spooled, use_multipart=True, chunk_size=8 << 20)
        except AlreadyExistsError:
            return  # the same bytes: the name is their digest
        finally:
            spooled.unlink(missing_ok=True)

    async def read(self, name: str, start: int, length: int) -> bytes | None:
        """Bytes of one blob."""
        if length == 0:
            return b""
        try:
            return bytes(await obstore.get_range_async(self._store, _key(name), start=start, length=length))
        except FileNotFoundError:
            return None

    async def stream(self, name: str, start: int, length: int) -> AsyncIterator[bytes]:
        """Pieces of one blob."""
        if length == 0:
            return
        found = await obstore.get_async(self._store, _key(name), options={"range": (start, start + length)})
        async for piece in found.stream(min_chunk_size=PIECE):
            yield bytes(piece)

    async def size(self, name: str) -> int | None:
        """Size in bytes, or None."""
        try:
            return int((await obstore.head_async(self._store, _key(name)))["size"])
        except FileNotFoundError:
            return None

    async def delete(self, name: str) -> None:
        """Remove the object."""
        try:
            await obstore.delete_async(self._store, _key(name))
        except FileNotFoundError:
            return

    def names(self) -> Iterator[tuple[str, int]]:
        """Every blob with its size."""
        for page in obstore.list(self._store, prefix="cas"):
            for found in page:
                yield f"sha256-{found['path'].rsplit('/', 1)[-1]}", int(found["size"])

    def presign(self, name: str, expires_s: int) -> str:
        """A URL that reads this blob for a while."""
        return str(obstore.sign(self._store, "GET", _key(name), timedelta(seconds=expires_s)))

    def close(self) -> None:
        """obstore's connections close with the object."""


def _key(name: str) -> str:
    digest = name.removeprefix("sha256-")
    return f"cas/{digest[:2]}/{digest}"
