"""A store on disk for each test, and the paths that belong to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hitsave.store.disk import DiskStore

DATA_CODECS = ("data",)


class Cache:
    """A cache directory and its key directory, and stores over them."""

    def __init__(self, path: Path) -> None:
        self.root = path / "cache"
        self.config = path / "config"
        self.home = self.root / "v1"
        self._open: list[DiskStore] = []

    def open(self, *, verify: str = "on", config: Path | None = None) -> DiskStore:
        """A new store over the directory, as another process would have."""
        store = DiskStore(str(self.root), str(config or self.config), verify=verify, data_codecs=DATA_CODECS)
        self._open.append(store)
        return store

    def blob_files(self) -> list[Path]:
        return sorted(self.home.glob("blobs/*/*.blob"))

    def close(self) -> None:
        for store in self._open:
            store.close()


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Cache]:
    cache = Cache(tmp_path)
    yield cache
    cache.close()
