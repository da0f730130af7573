"""Faults: the program goes on, a wrong value never comes out, one warning. (Thousands: `benchmarks/faults.py`.)"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hitsave.errors import StoreWarning
from tests.store.conftest import Cache
from tests.store.contract import evaluation, key
from tests.store.faults import Damage, Kills, Place

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(os.name == "nt", reason="only on POSIX: fork and kill")


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_killed_processes_lose_at_most_what_was_in_flight(tmp_path: Path) -> None:
    counts = Kills(Place(tmp_path), seed=1).run(60)
    assert counts["killed"] >= 60
    assert counts["entries read"] > 100
    assert (counts["lost"], counts["errors"], counts["crashes"]) == (0, 0, 0)
    connection = sqlite3.connect(tmp_path / "cache" / "v1" / "cache.db")
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_damaged_files_give_misses_and_never_a_wrong_value(tmp_path: Path) -> None:
    counts = Damage(Place(tmp_path), seed=1).run(150)
    assert counts["hits"] > 250
    assert counts["misses"] > 50
    assert (counts["errors"], counts["crashes"], counts["gadgets"]) == (0, 0, 0)


def in_process(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_full_disk_costs_one_warning(cache: Cache) -> None:
    """A limit on the size of files is the kernel's nearest thing to a full disk that a test may have."""
    store = cache.open()
    store.save(*evaluation("before"))
    store.close()
    lines = in_process(f"""
import resource, warnings
from hitsave.store.disk import DiskStore
from tests.store.contract import evaluation, key
resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))
store = DiskStore({str(cache.root)!r}, {str(cache.config)!r}, data_codecs=("data",))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for number in range(300):
        store.save(*evaluation(str(number), data=b"x" * 900))
    for number in range(3):
        store.save(*evaluation(f"big{{number}}", data=bytes(400_000)))
    for number in range(300):
        for found in store.find(key(str(number))):
            assert store.load(found).data == b"x" * 900
    assert len(store.find(key("before"))) == 1
    store.close()
print(len(caught), store.trouble.count > 0)
""")
    assert lines == ["1 True"]
    assert cache.blob_files() == []
    after = cache.open()
    assert len(after.find(key("before"))) == 1
    after.save(*evaluation("after"))
    assert len(after.find(key("after"))) == 1
    assert not list(cache.home.glob("blobs/*/*.new"))


def test_an_empty_database_file_is_filled(cache: Cache) -> None:
    """What a process leaves that was killed between making the file and its tables."""
    cache.home.mkdir(parents=True)
    (cache.home / "cache.db").touch(0o600)
    store = cache.open()
    assert store.find(key()) == []
    store.save(*evaluation())
    assert len(store.find(key())) == 1
    assert store.trouble.count == 0


def test_a_database_of_another_program_is_left_alone(cache: Cache) -> None:
    cache.home.mkdir(parents=True)
    connection = sqlite3.connect(cache.home / "cache.db")
    connection.execute("CREATE TABLE Cache (something TEXT)")
    connection.commit()
    connection.close()
    store = cache.open()
    with pytest.warns(StoreWarning) as caught:
        assert store.find(key()) == []
        store.save(*evaluation())
        assert store.find(key()) == []
    assert len(caught) == 1


def test_a_clock_that_jumps_changes_nothing(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    store = cache.open()
    now = time.time()
    for number, moment in enumerate((now, now - 10**8, now + 10**8, 0.0, now)):
        monkeypatch.setattr("hitsave.store.groups.time", lambda moment=moment: moment)
        monkeypatch.setattr("hitsave.store.results.time", lambda moment=moment: moment)
        for size in (5, 5000):
            store.save(*evaluation(f"{number}-{size}", data=bytes(size), started=moment))
    for number in range(5):
        for size in (5, 5000):
            (found,) = cache.open().find(key(f"{number}-{size}"))
            assert store.load(found) is not None


@pytest.mark.parametrize("name", ["cache.db-wal", "cache.db-shm", "flight.lock", "flight.lock.open", "collected"])
def test_a_directory_where_a_file_should_be_is_survived(cache: Cache, name: str) -> None:
    import warnings

    cache.open().save(*evaluation())
    cache.close()
    (cache.home / name).unlink(missing_ok=True)
    (cache.home / name).mkdir()
    store = cache.open()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        store.find(key())
        with store.flights.flight(b"key"):
            store.save(*evaluation("2"))
        store.find(key("2"))
    assert len(caught) <= 1
