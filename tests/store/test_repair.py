"""`hitsave doctor`: what it finds, and what a repair saves."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from hitsave.errors import StoreError, StoreWarning
from hitsave.store.disk import DiskStore
from hitsave.store.locks import REPAIRING, FileLock
from hitsave.store.repair import check, repair
from tests.store.conftest import Cache
from tests.store.contract import evaluation, key

BIG = bytes(range(256)) * 2000


def filled(cache: Cache, count: int = 300) -> DiskStore:
    store = cache.open()
    for number in range(count):
        store.save(*evaluation(str(number), data=str(number).encode() * 20))
    store.save(*evaluation("big", data=BIG))
    store.save(*evaluation("middle", data=b"m" * 5000))
    store.put_record("source", "a", b"text")
    store.close()
    return store


def slugs(store: DiskStore, *, deep: bool = False) -> set[str]:
    return {finding.slug for finding in check(store, deep=deep)}


def test_a_healthy_cache_has_no_findings(cache: Cache) -> None:
    store = filled(cache)
    assert check(store, deep=True) == ()
    done = repair(store)
    assert (done.findings, done.aside, done.salvaged, done.removed) == ((), "", 0, 0)
    assert len(list(store.entries())) == 302


def test_a_cache_that_does_not_exist_is_healthy(cache: Cache) -> None:
    assert check(cache.open()) == ()
    assert repair(cache.open()).findings == ()


def test_garbage_is_put_aside_and_a_new_database_begun(cache: Cache) -> None:
    store = filled(cache)
    (cache.home / "cache.db").write_bytes(b"this is not a database" * 1000)
    assert slugs(store) == {"unreadable"}
    done = repair(store)
    assert done.salvaged == 0
    assert (Path(done.aside) / "cache.db").read_bytes().startswith(b"this is not")
    store.save(*evaluation("1"))
    assert len(store.find(key("1"))) == 1
    assert check(store) == ()


def test_what_can_still_be_read_of_a_damaged_database_is_saved(cache: Cache) -> None:
    store = filled(cache, 2000)
    path = cache.home / "cache.db"
    data = bytearray(path.read_bytes())
    page = 4096
    for number in range(12, len(data) // page, 9):  # every ninth page, from behind the schema
        data[number * page : number * page + 100] = os.urandom(100)
    path.write_bytes(data)
    assert slugs(store) == {"unreadable"}
    done = repair(store)
    assert check(store, deep=True) == ()
    kept = list(store.entries())
    assert 500 < len(kept) < 2002
    for found in kept:
        blob = store.load(found)
        assert blob is not None
        assert found.size_bytes == len(bytes(memoryview(blob.data)))
    assert done.salvaged > len(kept)


def test_rows_that_can_not_be_verified_are_removed(cache: Cache) -> None:
    store = filled(cache)
    store.database.change(
        lambda cache: cache.connection.execute(
            "UPDATE Cache SET value = value || X'00' WHERE key IN (SELECT key FROM Cache WHERE key >= X'80' LIMIT 10)"
        )
    )
    (finding,) = check(store)
    assert (finding.slug, finding.count) == ("unverified", 10)
    assert repair(store).removed == 10
    assert check(store) == ()
    assert store.stats().entries == 292


def test_missing_and_wrong_results_are_found(cache: Cache) -> None:
    store = filled(cache)
    store.save(*evaluation("other", data=BIG + b"x"))
    store.close()
    first, second = cache.blob_files()
    first.unlink()
    second.write_bytes(b"\0" * second.stat().st_size)
    assert slugs(store) == {"missing"}
    assert slugs(store, deep=True) == {"missing", "wrong"}
    assert repair(store).removed == 2
    assert check(store, deep=True) == ()
    assert store.find(key("big")) == store.find(key("other")) == []


def test_half_written_files_of_dead_processes_are_removed(cache: Cache) -> None:
    store = filled(cache)
    folder = cache.blob_files()[0].parent
    (folder / "999999999-abc.new").write_bytes(b"half")
    (folder / f"{os.getpid()}-abc.new").write_bytes(b"being written")
    for path in folder.glob("*.new"):
        path.chmod(0o600)
    assert slugs(store) == {"half-written"}
    repair(store)
    assert [path.name for path in folder.glob("*.new")] == [f"{os.getpid()}-abc.new"]


@pytest.mark.skipif(os.name == "nt", reason="only on POSIX: modes")
def test_modes_that_let_others_in_are_mended(cache: Cache) -> None:
    store = filled(cache)
    (cache.home / "cache.db").chmod(0o644)
    (cache.home / "blobs").chmod(0o755)
    assert slugs(store) == {"modes"}
    repair(store)
    assert check(store) == ()
    assert stat.S_IMODE((cache.home / "cache.db").stat().st_mode) == 0o600
    assert stat.S_IMODE((cache.home / "blobs").stat().st_mode) == 0o700


@pytest.mark.skipif(os.name == "nt", reason="only on POSIX: modes")
def test_a_key_that_others_can_read_is_reported_and_left_to_its_owner(cache: Cache) -> None:
    store = filled(cache)
    (cache.config / "keys" / "machine.key").chmod(0o644)
    (finding,) = [finding for finding in check(cache.open()) if finding.slug == "key"]
    assert not finding.mends
    assert "group or others" in finding.what
    assert store.stats().entries == 302  # this one had read it before


def test_keys_inside_the_cache_directory_are_reported(cache: Cache) -> None:
    store = cache.open(config=cache.root / "config")
    store.save(*evaluation())
    (finding,) = check(store)
    assert "inside the cache directory" in finding.what
    assert not finding.mends


def test_a_process_that_has_the_old_database_open_goes_over_to_the_new_one(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = filled(cache)
    other = cache.open()
    assert len(other.find(key("1"))) == 1
    with (cache.home / "cache.db").open("r+b") as file:
        file.seek(4096 * 12)
        file.write(b"\xff" * 4096)
    repair(store)
    store.save(*evaluation("new"))
    monkeypatch.setattr("hitsave.store.database.CHECK_S", 0.0)
    assert len(other.find(key("new"))) == 1
    other.save(*evaluation("newer"))
    assert len(store.find(key("newer"))) == 1


def test_two_repairs_at_once_are_refused(cache: Cache) -> None:
    store = filled(cache)
    with (
        FileLock(store.places.flight + ".open", REPAIRING, timeout_s=0.0),
        pytest.raises(StoreError, match="being repaired"),
    ):
        repair(store)


def test_a_program_that_meets_garbage_says_so_once_and_names_the_cure(cache: Cache) -> None:
    filled(cache)
    (cache.home / "cache.db").write_bytes(b"this is not a database" * 1000)
    store = cache.open()
    with pytest.warns(StoreWarning, match="doctor") as caught:
        assert store.find(key("1")) == []
        store.save(*evaluation("1"))
        assert store.find(key("1")) == []
        assert store.get_record("source", "a") is None
    assert len(caught) == 1
