"""Limits: what goes, in which order, and that nothing needed goes with it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable

import pytest

from hitsave.store.collect import Collected, FunctionLimit, Limits, collect, is_due
from hitsave.store.contract import Mark, Store
from hitsave.store.disk import DiskStore
from hitsave.symbol import Symbol
from tests.store.conftest import Cache
from tests.store.contract import F, evaluation, key, reading

DAY = 86_400.0
BIG = bytes(range(256)) * 2000


def arguments_of(store: Store) -> set[str]:
    return {entry.title for entry in store.entries()}


def save(store: DiskStore, number: object, **more: object) -> None:
    more.setdefault("data", str(number).encode())
    more.setdefault("started", time.time())
    store.save(*evaluation(str(number), **more))  # type: ignore[arg-type]


def age_groups(store: DiskStore) -> None:
    """Make everything but entries look an hour old."""
    store.database.change(
        lambda cache: cache.connection.execute("UPDATE Cache SET store_time = store_time - 7200 WHERE key < X'80'")
    )


def count(store: DiskStore, first: str, last: str) -> int:
    rows = store.database.rows(f"SELECT count(*) FROM Cache WHERE key >= X'{first}' AND key < X'{last}'")
    return int(rows[0][0])


def test_nothing_goes_without_limits(cache: Cache) -> None:
    store = cache.open()
    save(store, 1, started=1.0)
    save(store, 2, data=BIG)
    report = collect(store, Limits())
    assert (report.removed, report.files, report.entries) == (0, 0, 2)
    assert store.load(store.find(key("2"))[0]) is not None


def test_what_is_older_than_the_limit_goes(cache: Cache) -> None:
    store = cache.open()
    save(store, "old", started=time.time() - 8 * DAY)
    save(store, "new", started=time.time() - 6 * DAY)
    save(store, "future", started=time.time() + 1000 * DAY)
    report = collect(store, Limits(max_age_s=7 * DAY))
    assert report.too_old == 1
    assert arguments_of(store) == {"f(x=new)", "f(x=future)"}


def test_experiments_are_never_collected(cache: Cache) -> None:
    store = cache.open()
    save(store, 1, started=1.0, is_experiment=True, data=BIG)
    store.supersede([Mark(F, key().fingerprint)])
    limits = Limits(1, 1.0, (FunctionLimit("*", max_entries=0, max_age_s=1.0),))
    assert collect(store, limits).removed == 0
    assert store.load(store.find(key("1"))[0]) is not None


def test_a_function_keeps_its_newest_up_to_its_own_limit(cache: Cache) -> None:
    store = cache.open()
    for number in range(5):
        save(store, number, started=time.time() - number)
    save(store, "other", symbol=Symbol("pkg.mod:other"))
    report = collect(store, Limits(functions=(FunctionLimit("pkg.mod:f", max_entries=2),)))
    assert report.over_function_limit == 3
    assert arguments_of(store) == {"f(x=0)", "f(x=1)", "f(x=other)"}


def test_a_function_drops_what_outlived_its_time_to_live(cache: Cache) -> None:
    store = cache.open()
    save(store, "old", started=time.time() - 100)
    save(store, "new")
    assert collect(store, Limits(functions=(FunctionLimit("*:f", max_age_s=60.0),))).over_function_limit == 1
    assert arguments_of(store) == {"f(x=new)"}


def test_superseded_results_go_first_oldest_first(cache: Cache) -> None:
    store = cache.open()
    for number in range(4):
        save(store, f"old{number}", code="v1", data=os.urandom(200_000), started=time.time() - 100 + number)
        save(store, f"new{number}", code="v2", data=os.urandom(200_000), started=time.time() - 1000, elapsed_s=0.0001)
    store.supersede([Mark(F, key(code="v1").fingerprint)])
    report = collect(store, Limits(max_size_bytes=1_400_000))
    assert (report.superseded, report.least_useful) == (3, 0)
    assert arguments_of(store) == {"f(x=old3)", *(f"f(x=new{number})" for number in range(4))}
    assert report.size_bytes < 1_400_000


def test_then_those_go_that_save_the_least_time_per_byte(cache: Cache) -> None:
    store = cache.open()
    for number, elapsed_s in enumerate((100.0, 0.001, 50.0, 0.002)):
        save(store, number, data=os.urandom(300_000), elapsed_s=elapsed_s)
    report = collect(store, Limits(max_size_bytes=800_000))
    assert report.least_useful == 2
    assert arguments_of(store) == {"f(x=0)", "f(x=2)"}


def test_a_dry_run_tells_and_removes_nothing(cache: Cache) -> None:
    store = cache.open()
    for number in range(4):
        save(store, number, data=os.urandom(300_000))
    report = collect(store, Limits(max_size_bytes=800_000), dry_run=True)
    assert report.least_useful == 2
    assert 500_000 < report.freed_bytes < 800_000
    assert len(cache.blob_files()) == len(arguments_of(store)) == 4


def test_sizes_are_told_as_the_disk_sees_them(cache: Cache) -> None:
    store = cache.open()
    for number in range(8):
        save(store, number, data=os.urandom(500_000))

    def on_disk() -> int:
        return sum(path.lstat().st_blocks * 512 for path in cache.home.rglob("*") if path.is_file())

    before = on_disk()
    assert store.stats().size_bytes == before
    report = collect(store, Limits(max_size_bytes=2_000_000))
    assert report.size_bytes == on_disk()
    assert report.freed_bytes == before - on_disk()


def test_a_result_that_two_evaluations_share_stays_for_the_other(cache: Cache) -> None:
    store = cache.open()
    save(store, "a", data=BIG)
    save(store, "b", data=BIG)
    assert len(cache.blob_files()) == 1
    store.remove(store.find(key("a"))[0])
    assert collect(store, Limits()).files == 0
    assert store.load(store.find(key("b"))[0]) is not None
    store.remove(store.find(key("b"))[0])
    assert collect(store, Limits()).files == 1
    assert cache.blob_files() == []


def test_a_value_that_is_being_read_is_not_lost(cache: Cache) -> None:
    store = cache.open()
    save(store, 1, data=BIG)
    blob = store.load(store.find(key("1"))[0])
    store.remove(store.find(key("1"))[0])
    assert collect(store, Limits()).files == 1
    assert blob is not None
    assert bytes(memoryview(blob.data)) == BIG


def test_rows_that_nothing_needs_go_and_those_in_use_stay(cache: Cache) -> None:
    store = cache.open()
    many = tuple(Symbol(f"pkg.mod:g{n}") for n in range(100))
    save(store, "small", data=b"x" * 5000)
    save(store, "traced", observed=reading("a.csv", "1").replace(ran=many), data=b"y" * 5000)
    assert (count(store, "67", "68"), count(store, "74", "75"), count(store, "62", "63")) == (2, 1, 2)
    store.remove(store.find(key("traced"))[0])
    collect(store, Limits())
    assert (count(store, "67", "68"), count(store, "74", "75"), count(store, "62", "63")) == (2, 1, 1)
    age_groups(store)
    collect(store, Limits())
    assert (count(store, "67", "68"), count(store, "74", "75"), count(store, "62", "63")) == (1, 0, 1)
    assert store.load(store.find(key("small"))[0]) is not None


def test_a_group_that_was_collected_is_written_again(cache: Cache) -> None:
    store, other = cache.open(), cache.open()
    save(store, 1)
    other.remove(other.find(key("1"))[0])
    age_groups(other)
    collect(other, Limits())
    save(store, 2)  # believes that the group is still there
    assert cache.open().find(key("2")) == []
    store.find(key("2"))  # notices
    save(store, 2)
    assert len(cache.open().find(key("2"))) == 1


def test_records_of_forgotten_code_go(cache: Cache) -> None:
    store = cache.open()
    save(store, 1, code="kept")
    for code in ("kept", "gone"):
        store.put_record("closure", key(code=code).fingerprint, code.encode())
        store.put_record("source", code, b"text")
        store.supersede([Mark(F, key(code=code).fingerprint)])

    def sources_of(closure: bytes) -> Iterable[str]:
        return [closure.decode()]

    assert collect(store, Limits(), sources_of=sources_of).records == 0  # too young to be sure
    age_groups(store)
    assert collect(store, Limits()).records == 2
    assert store.record_names("closure") == [key(code="kept").fingerprint]
    assert store.superseded() == {Mark(F, key(code="kept").fingerprint)}
    assert store.record_names("source") == ["gone", "kept"]
    assert collect(store, Limits(), sources_of=sources_of).records == 1
    assert store.record_names("source") == ["kept"]


def test_half_written_files_of_yesterday_go(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    store = cache.open()
    save(store, 1, data=BIG)
    half = cache.blob_files()[0].with_name("1234-abcdef.new")
    half.write_bytes(b"half")
    assert collect(store, Limits()).files == 0
    now = time.time()
    monkeypatch.setattr("hitsave.store.collect.time", lambda: now + 2 * DAY)
    assert collect(store, Limits()).files == 1
    assert not half.exists()


def test_free_pages_are_given_back(cache: Cache) -> None:
    store = cache.open()
    for number in range(100):
        save(store, number, data=os.urandom(100_000))
    report = collect(store, Limits(max_size_bytes=2_000_000))
    assert report.size_bytes < 2_500_000
    assert report.entries == len(arguments_of(store))


def test_an_empty_cache_can_be_collected(cache: Cache) -> None:
    store = cache.open()
    assert collect(store, Limits(1, 1.0)) == Collected()
    assert not cache.home.exists()


def test_a_collection_is_due_once_a_day(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    store = cache.open()
    assert not is_due(store)
    save(store, 1)
    assert is_due(store)
    collect(store, Limits())
    assert not is_due(store)
    now = time.time()
    for moment in (now + 2 * DAY, now - 2 * DAY):  # a clock that jumped back must not put it off for ever
        monkeypatch.setattr("hitsave.store.collect.time", lambda moment=moment: moment)
        assert is_due(store)


def test_two_collections_at_once_do_not_disturb_each_other(cache: Cache) -> None:
    from hitsave.store.locks import COLLECTING, FileLock

    store = cache.open()
    save(store, 1)
    with FileLock(store.places.flight + ".open", COLLECTING, timeout_s=0.0) as lock:
        assert lock.held
        assert collect(store, Limits(max_age_s=0.001)).busy
    assert arguments_of(store) == {"f(x=1)"}


def test_a_file_that_a_collection_took_meanwhile_is_written_again(cache: Cache) -> None:
    """The collector looks before our row is there, and removes the file after we found it to exist."""
    store = cache.open()
    save(store, "first", data=BIG)
    original = store.database.write

    def write(rows, **more):  # type: ignore[no-untyped-def]
        done = original(rows, **more)
        for path in cache.blob_files():
            path.unlink()
        return done

    store.database.write = write  # type: ignore[method-assign]
    save(store, "second", data=BIG)
    store.database.write = original  # type: ignore[method-assign]
    assert store.load(store.find(key("second"))[0]) is not None
