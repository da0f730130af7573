"""`Contents`: the bytes of snapshots on this machine, by digest, each once. Read-only files in the cache directory."""

from __future__ import annotations

import hashlib
import io
import os
import secrets
import shutil
from collections.abc import Callable
from typing import IO

from hitsave.cloud.client import Client
from hitsave.errors import CloudError, StoreError
from hitsave.wire.manifests import is_blob_name

PIECE = 1 << 20
# Slow lines are given as long as this many bytes a second would take.
SLOWEST_BYTES_PER_S = 100_000


class Contents:
    """Files named by their digest below `directory`."""

    def __init__(self, directory: str) -> None:
        self.directory = directory

    def path(self, name: str) -> str:
        """Where the bytes called `name` are, or would be. Raises `StoreError` for what can't be a name."""
        if not is_blob_name(name):
            raise StoreError(f"{name[:80]!r} is no digest of a snapshot")
        return os.path.join(self.directory, name[7:9], name[7:])

    def has(self, name: str) -> bool:
        """Whether the bytes are here."""
        return os.path.isfile(self.path(name))

    def add_file(self, path: str) -> tuple[str, int]:
        """Take a copy of a file; its name and size. What changes while it is read is noticed by its digest later."""
        with open(path, "rb") as source:
            return self._add(source)

    def add_bytes(self, data: bytes) -> str:
        """Take bytes; their name."""
        return self._add(io.BytesIO(data))[0]

    def read(self, name: str) -> bytes:
        """The bytes, verified."""
        with open(self.path(name), "rb") as file:
            data = file.read()
        self._verify(name, hashlib.sha256(data).hexdigest())
        return data

    def copy_to(self, name: str, target: str, *, executable: bool) -> None:
        """Write the bytes to `target`, verified, replacing what is there in one step. The user's own copy: writable."""
        aside = os.path.join(os.path.dirname(target), f".hitsave-{secrets.token_hex(6)}")
        digest = hashlib.sha256()
        fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600)
        try:
            with os.fdopen(fd, "wb") as out, open(self.path(name), "rb") as source:
                while piece := source.read(PIECE):
                    digest.update(piece)
                    out.write(piece)
            self._verify(name, digest.hexdigest())
            mask = os.umask(0)
            os.umask(mask)
            os.chmod(aside, (0o777 if executable else 0o666) & ~mask)
            os.replace(aside, target)
        except BaseException:
            os.unlink(aside)
            raise

    def fetch(self, client: Client, name: str, size: int, on_bytes: Callable[[int], None]) -> None:
        """Download what isn't here, resuming where a broken line stopped. Raises `CloudError`."""
        if self.has(name):
            return
        part = self.path(name) + ".part"
        os.makedirs(os.path.dirname(part), mode=0o700, exist_ok=True)
        failures = 0
        while True:
            have = os.path.getsize(part) if os.path.exists(part) else 0
            if have >= size:
                break
            with open(part, "ab") as file:

                def sink(piece: memoryview, file: IO[bytes] = file) -> None:
                    file.write(piece)
                    on_bytes(len(piece))

                try:
                    if not client.read_blob(name, sink, have, 60 + (size - have) / SLOWEST_BYTES_PER_S):
                        raise CloudError(
                            f"the server doesn't have {name}", hint="Whoever made the snapshot must push it."
                        )
                except CloudError:
                    file.flush()
                    failures = 0 if os.path.getsize(part) > have else failures + 1
                    if failures > 2 or not os.path.getsize(part):
                        raise
        digest = hashlib.sha256()
        with open(part, "rb") as whole:
            while piece := whole.read(PIECE):
                digest.update(piece)
        if "sha256-" + digest.hexdigest() != name:
            os.unlink(part)
            raise StoreError(f"the server sent other bytes than {name}", hint="Nothing of them was used.")
        os.chmod(part, 0o400)
        os.replace(part, self.path(name))

    def _add(self, source: IO[bytes]) -> tuple[str, int]:
        os.makedirs(self.directory, mode=0o700, exist_ok=True)
        aside = os.path.join(self.directory, f"in-{secrets.token_hex(8)}")
        digest = hashlib.sha256()
        size = 0
        fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(fd, "wb") as out:
                while piece := source.read(PIECE):
                    digest.update(piece)
                    out.write(piece)
                    size += len(piece)
            name = "sha256-" + digest.hexdigest()
            target = self.path(name)
            os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
            os.chmod(aside, 0o400)
            if os.path.exists(target):
                os.unlink(aside)
            else:
                shutil.move(aside, target)
        except BaseException:
            if os.path.exists(aside):
                os.unlink(aside)
            raise
        return name, size

    def _verify(self, name: str, digest: str) -> None:
        if "sha256-" + digest != name:
            path = self.path(name)
            os.unlink(path)
            raise StoreError(f"{path} was damaged, and is removed", hint="Fetch the snapshot again, or make it anew.")
