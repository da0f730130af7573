"""One contract, every store on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hitsave.store.contract import Store
from hitsave.store.disk import DiskStore
from hitsave.store.memory import MemoryStore
from hitsave.store.tiers import Tiers
from tests.store.contract import StoreContract


def disk(path: Path) -> DiskStore:
    return DiskStore(str(path / "cache"), str(path / "config"), data_codecs=("data",))


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()


class TestDiskStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[DiskStore]:
        store = disk(tmp_path)
        yield store
        store.close()


class TestTwoStoresOnOneDirectory(StoreContract):
    """What one process writes, another finds: two objects share nothing but the files."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        class Alternating(DiskStore):
            def find(self, key):  # type: ignore[no-untyped-def]
                return reader.find(key)

            def candidates(self, symbol, arguments, wanted=None):  # type: ignore[no-untyped-def]
                return reader.candidates(symbol, arguments, wanted)

            def get_record(self, kind, name):  # type: ignore[no-untyped-def]
                return reader.get_record(kind, name)

        reader = disk(tmp_path)
        store = Alternating(str(tmp_path / "cache"), str(tmp_path / "config"), data_codecs=("data",))
        yield store
        store.close()
        reader.close()


class TestTiers(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Tiers]:
        store = Tiers(MemoryStore(max_entries=3), disk(tmp_path))
        yield store
        store.close()
