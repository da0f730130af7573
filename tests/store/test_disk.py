"""The disk store beyond the contract: what opens when, sizes, advance fetching, modes, other processes."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from hitsave.digest import digest_text
from hitsave.errors import StoreWarning
from hitsave.evaluation import Blob, Observed
from hitsave.store import preload
from hitsave.store.disk import DiskStore
from hitsave.symbol import Symbol
from tests.store.conftest import Cache
from tests.store.contract import F, evaluation, key, reading

BIG = bytes(range(256)) * 2000
posix = pytest.mark.skipif(os.name == "nt", reason="only on POSIX: modes")


def count_queries(store: DiskStore, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """A list that every query from now on is added to."""
    queries: list[object] = []
    rows = store.database.rows

    def counted(*arguments: Any) -> list[Any]:
        queries.append(arguments)
        return rows(*arguments)

    monkeypatch.setattr(store.database, "rows", counted)
    return queries


class TestOpening:
    def test_a_store_that_is_only_asked_leaves_no_trace(self, cache: Cache) -> None:
        store = cache.open()
        assert store.find(key()) == store.candidates(F, key().arguments) == list(store.entries()) == []
        assert store.get_record("a", "b") is None
        assert not store.remove(evaluation()[0])
        assert store.superseded() == frozenset()
        assert store.stats().entries == 0
        store.close()
        assert not cache.root.exists()
        assert not cache.config.exists()

    def test_reading_loads_neither_diskcache_nor_anything_else_that_is_slow(self, cache: Cache) -> None:
        cache.open().save(*evaluation(data=b"42"))
        cache.close()
        code = f"""
import sys
before = set(sys.modules)
from hitsave.store.disk import DiskStore
from hitsave.evaluation import Key
store = DiskStore({str(cache.root)!r}, {str(cache.config)!r})
k = Key({key().symbol!r}, {key().fingerprint!r}, {key().arguments!r})
with store.flights.flight(b"key"):
    assert store.load(store.find(k)[0]).data == b"42"
assert store.trouble.count == 0
print(*sorted(set(sys.modules) - before))
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        loaded = set(done.stdout.split())
        slow = {"diskcache", "sqlite3", "pickle", "json", "typing", "dataclasses", "inspect", "pathlib", "threading"}
        slow |= {"hashlib", "hmac", "struct", "re", "logging", "mmap", "asyncio"}  # _sqlite3 itself loads functools
        already = set(subprocess.run(
            [sys.executable, "-c", "import sys; print(*sys.modules)"], capture_output=True, text=True, check=True
        ).stdout.split())  # fmt: skip
        assert loaded & slow - already == set()
        assert {name for name in loaded if name.startswith("hitsave.store")} <= {
            "hitsave.store", *(f"hitsave.store.{name}" for name in (
                "authenticity", "blobs", "contract", "database", "disk", "flight", "groups", "locks", "packing",
                "places", "preload", "results", "trouble",
            )),
        }  # fmt: skip

    @posix
    def test_everything_is_closed_to_others_whatever_the_umask(self, cache: Cache) -> None:
        before = os.umask(0)
        try:
            store = cache.open()
            store.save(*evaluation(data=BIG))
            store.save(*evaluation("2"))
            with store.flights.flight(b"key"):
                paths = [cache.root, *cache.root.rglob("*"), *cache.config.rglob("*")]
        finally:
            os.umask(before)
        assert len(paths) > 8
        for path in paths:
            mode = stat.S_IMODE(path.stat().st_mode)
            assert mode == (0o700 if path.is_dir() else 0o600), path

    @posix
    def test_a_directory_that_the_user_made_keeps_its_mode(self, cache: Cache) -> None:
        cache.root.mkdir(mode=0o755)
        cache.root.chmod(0o755)
        cache.open().save(*evaluation())
        assert stat.S_IMODE(cache.root.stat().st_mode) == 0o755
        assert stat.S_IMODE(cache.home.stat().st_mode) == 0o700

    def test_two_formats_lie_side_by_side(self, cache: Cache) -> None:
        later = cache.root / "v2"
        later.mkdir(parents=True)
        (later / "cache.db").write_bytes(b"of a later hitsave")
        store = cache.open()
        store.save(*evaluation())
        assert len(cache.open().find(key())) == 1
        assert (later / "cache.db").read_bytes() == b"of a later hitsave"

    def test_strange_characters_in_the_path_are_only_characters(self, tmp_path: Path) -> None:
        for name in ("a b", "50%", "what?", "#1", "ünï", "%3f"):
            store = DiskStore(str(tmp_path / name), str(tmp_path / "config"))
            store.save(*evaluation(data=BIG))
            other = DiskStore(str(tmp_path / name), str(tmp_path / "config"))
            assert len(other.find(key())) == 1
            store.close()
            other.close()
            assert (tmp_path / name / "v1" / "cache.db").exists()

    def test_the_database_has_no_limits_of_its_own(self, cache: Cache) -> None:
        """diskcache's default is to drop results beyond 1 GB without a word."""
        store = cache.open()
        store.save(*evaluation())
        settings = dict(store.database.rows("SELECT key, value FROM Settings"))
        assert settings[b"eviction_policy"] == b"none"
        assert settings[b"cull_limit"] == settings[b"statistics"] == 0

    def test_an_existing_database_is_opened_without_writing(self, cache: Cache) -> None:
        """`diskcache.Cache()` writes its settings at each opening, and waits for whoever writes."""
        first = cache.open()
        first.save(*evaluation())
        first.database.change(lambda rows: rows.connection.execute("BEGIN IMMEDIATE"))
        second = cache.open()
        started = time.monotonic()
        second.database.change(lambda rows: rows.connection.execute("SELECT 1").fetchone())
        assert time.monotonic() - started < 1.5
        first.database.change(lambda rows: rows.connection.execute("ROLLBACK"))
        assert second.trouble.count == 0


class TestSize:
    def test_a_small_entry_takes_at_most_150_bytes(self, cache: Cache) -> None:
        store = cache.open()
        for number in range(10_000):
            store.save(*evaluation(str(number), data=str(number).encode(), elapsed_s=0.000123))
        store.close()
        size = sum(path.stat().st_size for path in cache.root.rglob("*") if path.is_file())
        assert size / 10_000 <= 150

    def test_what_evaluations_share_is_kept_once(self, cache: Cache) -> None:
        store = cache.open()
        many = Observed(ran=tuple(Symbol(f"pkg.mod:function_{n}") for n in range(3000)), complete=True)
        for number in range(50):
            store.save(*evaluation(str(number), observed=many.replace(narrowed=digest_text(str(number % 5)))))
        store.close()
        assert (cache.home / "cache.db").stat().st_size < 250_000
        assert all(found.observed.ran == many.ran for found in cache.open().entries())

    def test_what_evaluations_share_does_not_pile_up_in_memory(
        self, cache: Cache, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from hitsave.store import groups

        monkeypatch.setattr(groups, "MAX_READ_BYTES", 100_000)
        store = cache.open()
        for number in range(40):
            many = Observed(ran=tuple(Symbol(f"pkg.mod:function_{n}") for n in range(number, number + 200)))
            store.save(*evaluation(str(number), observed=many))
        reader = cache.open()
        for _ in range(2):
            for number in range(40):
                assert len(reader.find(key(str(number)))) == 1
        assert len(reader.groups.table) < 30
        assert len(reader.groups._traces) < 30

    def test_equal_results_are_kept_once(self, cache: Cache) -> None:
        store = cache.open()
        for number in range(10):
            store.save(*evaluation(str(number), data=BIG))
            store.save(*evaluation(f"m{number}", data=b"m" * 100_000))
        assert len(cache.blob_files()) == 1
        store.close()
        assert (cache.home / "cache.db").stat().st_size < 250_000


class TestCandidates:
    def test_the_thousand_newest_are_given(self, cache: Cache) -> None:
        store = cache.open()
        for number in range(1100):
            store.save(*evaluation(code=str(number), started=1.7e9 + (number * 7919) % 1100))
        found = store.candidates(F, key().arguments)
        assert [e.started - 1.7e9 for e in found] == list(range(1099, 99, -1))

    def test_a_changed_file_leaves_the_older_evaluations_under_the_key(self, cache: Cache) -> None:
        store = cache.open()
        for day in range(30):
            store.save(*evaluation(observed=reading("data.csv", str(day)), started=float(day), data=str(day).encode()))
        assert [e.started for e in store.find(key())] == [float(day) for day in reversed(range(30))]

    def test_of_very_many_under_one_key_the_thousand_newest_are_given(self, cache: Cache) -> None:
        store = cache.open()
        for day in range(1050):
            store.save(*evaluation(observed=reading("data.csv", str(day)), started=float((day * 7919) % 1050)))
        assert [e.started for e in store.find(key())] == [float(day) for day in range(1049, 49, -1)]


class TestFetchingAhead:
    def fill(self, cache: Cache, count: int = 400) -> DiskStore:
        store = cache.open()
        for number in range(count):
            store.save(*evaluation(str(number), data=str(number).encode()))
        return cache.open()

    def test_many_hits_are_answered_from_rows_fetched_ahead(
        self, cache: Cache, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = self.fill(cache)
        monkeypatch.setattr(preload, "FRESH_S", 1e9)
        queries = count_queries(store, monkeypatch)
        for number in range(400):
            (found,) = store.find(key(str(number)))
            blob = store.load(found)
            assert blob is not None
            assert blob.data == str(number).encode()
        assert len(queries) < 200

    def test_rows_of_one_key_are_given_all_or_fetched_again(self, cache: Cache) -> None:
        store = self.fill(cache, 100)
        for number in range(100):
            for day in range(3):
                data = str(day).encode() * (1 if number % 2 else 700)
                store.save(*evaluation(str(number), observed=reading("d.csv", str(day)), started=2e9 + day, data=data))
        for _ in range(3):
            for number in range(100):
                assert len(store.find(key(str(number)))) == 4

    def test_what_we_save_or_remove_is_seen_at_once(self, cache: Cache) -> None:
        store = self.fill(cache)
        for number in range(64):
            store.find(key(str(number)))
        later, blob = evaluation("5", data=b"later", started=2e9)
        store.save(later, blob)
        assert store.find(key("5")) == [later]
        assert store.remove(later)
        assert store.find(key("5")) == []

    def test_what_others_save_is_seen_at_once_and_what_they_remove_within_a_second(
        self, cache: Cache, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = self.fill(cache)
        for _ in range(2):
            for number in range(400):
                store.find(key(str(number)))
        other = cache.open()
        other.save(*evaluation("new"))
        assert len(store.find(key("new"))) == 1
        assert other.remove(other.find(key("5"))[0])
        now = time.monotonic()
        monkeypatch.setattr(preload, "monotonic", lambda: now + 1.1)
        assert store.find(key("5")) == []

    def test_other_code_of_the_function_is_not_mixed_in(self, cache: Cache) -> None:
        store = self.fill(cache, 100)
        for number in range(100):
            store.save(*evaluation(str(number), code="v2", data=b"two"))
        for _ in range(2):
            for number in range(100):
                for code in ("v1", "v2"):
                    (found,) = store.find(key(str(number), code))
                    assert found.key == key(str(number), code)


@pytest.mark.skipif(sys.platform == "win32", reason="only on systems whose locks let others write")
class TestKnownMisses:
    """A function that misses again and again isn't looked up for calls that can't be there."""

    def missing(self, cache: Cache) -> DiskStore:
        store = cache.open()
        store.save(*evaluation("kept"))
        for number in range(20):
            assert store.find(key(f"absent {number}")) == []
        return store

    def test_a_call_that_nothing_is_stored_for_costs_no_query(
        self, cache: Cache, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = self.missing(cache)
        queries = count_queries(store, monkeypatch)
        for number in range(20, 300):
            assert store.find(key(str(number))) == store.candidates(F, key(str(number)).arguments) == []
            store.save(*evaluation(str(number)))
        assert not queries
        assert len(store.find(key("kept"))) == 1

    def test_what_we_store_is_found(self, cache: Cache) -> None:
        store = self.missing(cache)
        for number in range(20, 60):
            store.save(*evaluation(str(number)))
            assert len(store.find(key(str(number)))) == 1
            assert len(store.candidates(F, key(str(number), "v2").arguments)) == 1
        assert len(cache.open().find(key("30"))) == 1

    def test_what_others_store_is_found_at_once(self, cache: Cache) -> None:
        store, other = self.missing(cache), cache.open()
        for number in range(20, 120):
            assert store.find(key(str(number))) == []
            other.save(*evaluation(str(number)))
            assert len(store.find(key(str(number)))) == 1

    def test_other_code_of_a_call_is_found(self, cache: Cache) -> None:
        store = self.missing(cache)
        assert store.find(key("kept", "v2")) == []
        assert len(store.candidates(F, key("kept", "v2").arguments)) == 1

    def test_in_another_file_that_took_the_place_of_ours_all_is_looked_up(self, cache: Cache) -> None:
        store = self.missing(cache)
        shutil.rmtree(cache.root)
        other = cache.open()
        other.save(*evaluation("new"))
        store.database.close()
        assert len(store.find(key("new"))) == 1

    def test_what_a_thread_stores_while_keys_are_read_is_found(
        self, cache: Cache, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = cache.open()
        store.save(*evaluation("kept"))
        rows = store.database.rows

        def slow(sql: str, *rest: Any) -> list[Any]:
            found = rows(sql, *rest)
            if sql == preload.CALLS:  # another thread, just before what was read is believed
                store.save(*evaluation("meanwhile"))
            return found

        monkeypatch.setattr(store.database, "rows", slow)
        for number in range(20):
            store.find(key(f"absent {number}"))
        assert len(store.find(key("meanwhile"))) == 1


class TestResults:
    def test_parts_are_written_one_after_the_other(self, cache: Cache) -> None:
        store = cache.open()
        for number, size in enumerate((10, 3000, 400_000)):
            parts = (b"head" * 16, bytearray(size), memoryview(b"tail" * size))
            whole = b"".join(parts)
            saved, _ = evaluation(str(number))
            saved = saved.replace(size_bytes=len(whole))
            store.save(saved, Blob("data", b"", len(whole), parts))
            blob = store.load(cache.open().find(key(str(number)))[0])
            assert blob is not None
            assert bytes(memoryview(blob.data)) == whole

    def test_large_data_is_mapped_privately_and_each_load_is_its_own(self, cache: Cache) -> None:
        store = cache.open()
        store.save(*evaluation(data=BIG))
        first = store.load(store.find(key())[0])
        assert first is not None
        memoryview(first.data)[:4] = b"mine"  # what its receiver does to an array
        second = store.load(store.find(key())[0])
        assert second is not None
        assert bytes(memoryview(second.data)) == BIG

    def test_large_programs_are_checked_in_memory_and_writable(self, cache: Cache) -> None:
        import mmap

        store = cache.open()
        store.save(*evaluation(data=BIG, codec="pickle5"))
        blob = store.load(store.find(key())[0])
        assert blob is not None
        assert type(blob.data) is not mmap.mmap
        assert not memoryview(blob.data).readonly
        assert bytes(memoryview(blob.data)) == BIG

    def test_a_loaded_result_is_kept_again_without_being_written_again(self, cache: Cache) -> None:
        store = cache.open()
        saved, blob = evaluation(data=BIG)
        store.save(saved, blob)
        (path,) = cache.blob_files()
        before = path.stat().st_ino
        loaded = store.load(store.find(key())[0])
        assert loaded is not None
        renewed = saved.replace(key=key(code="v2"))
        store.save(renewed, loaded)
        assert store.find(renewed.key) == [renewed]
        assert [p.stat().st_ino for p in cache.blob_files()] == [before]

    @pytest.mark.parametrize("keep_times", [False, True])
    def test_a_touched_file_is_digested_and_its_damage_found(self, cache: Cache, keep_times: bool) -> None:
        store = cache.open()
        store.save(*evaluation(data=BIG))
        (path,) = cache.blob_files()
        times = path.stat()
        with path.open("r+b") as file:
            file.seek(1000)
            file.write(b"\xff\xff\xff\xff")
        if keep_times:
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        with pytest.warns(StoreWarning):
            assert cache.open().load(store.find(key())[0]) is None

    def test_a_copied_cache_still_verifies(self, cache: Cache, tmp_path: Path) -> None:
        """Its files have other inodes and times: they are digested."""
        import shutil

        store = cache.open()
        store.save(*evaluation(data=BIG))
        store.close()
        shutil.copytree(cache.root, tmp_path / "copy")
        copy = DiskStore(str(tmp_path / "copy"), str(cache.config), data_codecs=("data",))
        assert copy.load(copy.find(key())[0]) is not None
        copy.close()

    def test_a_damaged_file_is_replaced_by_the_next_equal_result(self, cache: Cache) -> None:
        store = cache.open()
        store.save(*evaluation(data=BIG))
        (path,) = cache.blob_files()
        path.write_bytes(b"\0" * len(BIG))
        store.save(*evaluation("2", data=BIG))
        for number in ("1", "2"):
            blob = store.load(store.find(key(number))[0])
            assert blob is not None
            assert bytes(memoryview(blob.data)) == BIG


@posix
class TestReadOnly:
    def test_a_cache_that_can_not_be_written_is_still_read(self, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
        store = cache.open()
        store.save(*evaluation())
        store.save(*evaluation("big", data=BIG))
        store.close()
        for path in [*cache.home.rglob("*"), cache.home]:
            path.chmod(0o500 if path.is_dir() else 0o400)
        code = f"""
import os, sys, warnings, mmap, xxhash, hitsave.store.hardened, hitsave.store.waiting, hitsave.store.locks
from hitsave.store.disk import DiskStore
from tests.store.contract import evaluation, key
if os.getuid() == 0:
    os.chown({str(cache.config)!r}, 1234, 1234)
    for folder, folders, files in [*os.walk({str(cache.config)!r}), *os.walk({str(cache.root)!r})]:
        for name in [*folders, *files]: os.chown(os.path.join(folder, name), 1234, 1234)
    os.chown({str(cache.root)!r}, 1234, 1234)
    os.setgid(1234); os.setuid(1234)
store = DiskStore({str(cache.root)!r}, {str(cache.config)!r}, data_codecs=("data",))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    assert len(store.find(key())) == 1
    assert store.load(store.find(key("big"))[0]) is not None
    with store.flights.flight(b"key") as flight: assert flight.alone
    store.save(*evaluation("2"))
    store.save(*evaluation("3", data=bytes(300_000)))
    assert store.find(key("2")) == []
    assert len(store.find(key())) == 1
print(*[str(w.message).splitlines()[0] for w in caught], sep="\\n")
"""
        for parent in [cache.root, *cache.root.parents]:
            if parent.stat().st_uid == os.getuid() and len(parent.parts) > 2:
                parent.chmod(parent.stat().st_mode | 0o055)
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False
        )
        for path in [cache.home, *cache.home.rglob("*")]:
            path.chmod(0o700 if path.is_dir() else 0o600)
        assert done.returncode == 0, done.stderr
        assert len(done.stdout.splitlines()) == 1
        assert "can't be written" in done.stdout


def test_records_of_one_kind_are_not_mixed_with_those_whose_name_begins_alike(cache: Cache) -> None:
    store = cache.open()
    store.put_record("source", "x", b"1")
    store.put_record("sources", "y", b"2")
    assert store.record_names("source") == ["x"]
    assert store.record_names("sources") == ["y"]


def test_a_network_file_system_is_recognised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There SQLite keeps no write-ahead log, and results are read, not mapped."""
    import mmap

    monkeypatch.setattr("hitsave.store.places.file_system", lambda path: "nfs4")
    store = DiskStore(str(tmp_path / "cache"), str(tmp_path / "config"), data_codecs=("data",))
    store.save(*evaluation(data=BIG))
    blob = store.load(store.find(key())[0])
    assert blob is not None
    assert type(blob.data) is not mmap.mmap
    assert store.database.rows("PRAGMA journal_mode") == [(b"delete",)]
    store.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only on Linux: mount table")
def test_the_type_of_a_file_system_is_told() -> None:
    from hitsave.store.places import NETWORK, file_system

    assert file_system("/proc/self") == "proc"
    assert file_system(str(Path.cwd())) not in {"", *NETWORK}
