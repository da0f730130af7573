"""The database under its users: forks, threads, locks, files that vanish."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from hitsave.errors import StoreWarning
from hitsave.store import database
from hitsave.store.disk import DiskStore
from tests.store.conftest import Cache
from tests.store.contract import evaluation, key

ROOT = Path(__file__).parents[2]
posix = pytest.mark.skipif(os.name == "nt", reason="only on POSIX: fork")


@posix
class TestFork:
    def in_child(self, work) -> int:  # type: ignore[no-untyped-def]
        pid = os.fork()
        if not pid:
            code = 99
            try:
                work()
                code = 0
            finally:
                os._exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    @pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
    def test_a_forked_child_and_its_parent_both_go_on(self, cache: Cache) -> None:
        store = cache.open()
        store.save(*evaluation("before"))

        def work() -> None:
            assert len(store.find(key("before"))) == 1
            for number in range(50):
                store.save(*evaluation(f"child{number}"))
            assert store.trouble.count == 0
            store.close()

        for round_ in range(3):
            assert self.in_child(work) == 0
            store.save(*evaluation(f"parent{round_}"))
        assert store.stats().entries == 1 + 50 + 3
        assert store.trouble.count == 0

    @pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
    def test_forking_while_threads_read_and_write_harms_nobody(self, cache: Cache) -> None:
        store = cache.open()
        stop = threading.Event()

        def busy(name: int) -> None:
            number = 0
            while not stop.is_set():
                store.save(*evaluation(f"{name}-{number % 50}"))
                store.find(key(f"{name}-{number % 50}"))
                number += 1

        threads = [threading.Thread(target=busy, args=(name,)) for name in range(3)]
        for thread in threads:
            thread.start()

        def work() -> None:
            store.save(*evaluation(f"child{os.getpid()}"))
            assert len(store.find(key(f"child{os.getpid()}"))) == 1
            assert store.trouble.count == 0
            store.close()

        try:
            codes = [self.in_child(work) for _ in range(20)]
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert codes == [0] * 20
        assert store.trouble.count == 0
        assert len([e for e in store.entries() if "child" in e.title]) == 20
        store.close()
        check = sqlite3.connect(cache.home / "cache.db")
        assert check.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        check.close()

    @pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
    def test_two_threads_may_fork_at_once(self, cache: Cache) -> None:
        store = cache.open()
        store.save(*evaluation())
        codes: list[int] = []

        def work() -> None:
            assert len(store.find(key())) == 1
            store.save(*evaluation(str(os.getpid())))
            assert store.trouble.count == 0

        threads = [threading.Thread(target=lambda: codes.append(self.in_child(work))) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert codes == [0] * 6
        assert store.stats().entries == 7

    def test_no_connection_is_open_while_a_process_is_copied(self, cache: Cache) -> None:
        """SQLite's memory of locks must not be inherited: a child would believe in locks that it doesn't have."""
        store = cache.open()
        store.save(*evaluation())
        store.find(key())

        def work() -> None:
            assert (store.database._reader, store.database._cache) == (None, None)
            files = [os.path.realpath(f"/proc/self/fd/{number}") for number in range(100)]
            assert not [path for path in files if "cache.db" in path]

        assert self.in_child(work) == 0

    @pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
    def test_a_child_that_was_copied_in_the_middle_of_a_write_does_without(
        self, cache: Cache, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(database, "WRITE_TIMEOUT_S", 0.05)
        store = cache.open()
        store.save(*evaluation())
        inside, go_on = threading.Event(), threading.Event()

        def long_write() -> None:
            def action(rows):  # type: ignore[no-untyped-def]
                rows.connection.execute("BEGIN IMMEDIATE")
                inside.set()
                go_on.wait()
                rows.connection.execute("COMMIT")

            store.database.change(action)

        thread = threading.Thread(target=long_write)
        thread.start()
        inside.wait()

        def work() -> None:
            assert store.trouble.count == 1
            assert store.find(key()) == []
            store.save(*evaluation("child"))
            store.close()
            assert store.find(key()) == []

        assert self.in_child(work) == 0
        go_on.set()
        thread.join()
        store.save(*evaluation("2"))
        assert len(store.find(key("2"))) == 1

    @pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
    def test_workers_of_any_start_method_share_one_cache(self, cache: Cache, method: str) -> None:
        cache.open().save(*evaluation("seed"))
        context: Any = multiprocessing.get_context(method)
        workers = [context.Process(target=_save_some, args=(str(cache.root), str(cache.config), n)) for n in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)
        assert [worker.exitcode for worker in workers] == [0, 0, 0]
        assert cache.open().stats().entries == 61


def _save_some(root: str, config: str, worker: int) -> None:
    store = DiskStore(root, config)
    for number in range(20):
        store.save(*evaluation(f"{worker}-{number}"))
    assert store.trouble.count == 0
    store.close()


class TestThreads:
    def test_many_threads_read_and_write_at_once(self, cache: Cache) -> None:
        store = cache.open()
        wrong: list[object] = []

        def work(name: int) -> None:
            for number in range(60):
                mine, blob = evaluation(f"{name}-{number}", data=f"{name}-{number}".encode())
                store.save(mine, blob)
                (found,) = store.find(mine.key)
                loaded = store.load(found)
                if found != mine or loaded is None or loaded.data != blob.data:
                    wrong.append(found)

        threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
        assert store.stats().entries == 480
        assert store.trouble.count == 0


class TestTrouble:
    def test_a_locked_database_costs_one_wait_and_one_warning(
        self, cache: Cache, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(database, "WRITE_TIMEOUT_S", 0.05)
        store = cache.open()
        store.save(*evaluation())
        locker = sqlite3.connect(cache.home / "cache.db", isolation_level=None)
        locker.execute("BEGIN IMMEDIATE")
        store.close()
        with pytest.warns(StoreWarning, match="locked") as caught:
            for number in range(100):
                store.save(*evaluation(str(number + 2)))
                assert len(store.find(key())) == 1  # readers don't wait for a writer
        assert len(caught) == 1
        assert store.trouble.count == 1  # then it pauses, and doesn't wait again
        locker.execute("ROLLBACK")
        locker.close()
        store.close()
        store.save(*evaluation("later"))
        assert len(store.find(key("later"))) == 1

    def test_a_cache_that_is_removed_while_it_is_open_is_made_again(
        self, cache: Cache, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = cache.open()
        store.save(*evaluation())
        assert len(store.find(key())) == 1
        shutil.rmtree(cache.root)
        monkeypatch.setattr(database, "CHECK_S", 0.0)
        assert store.find(key()) == []
        store.save(*evaluation())
        assert len(cache.open().find(key())) == 1
        assert store.trouble.count == 0

    def test_a_bug_of_ours_is_not_taken_for_trouble_of_the_disk(self, cache: Cache) -> None:
        store = cache.open()
        store.save(*evaluation())
        with pytest.raises(ZeroDivisionError):
            store.database.change(lambda rows: 1 // 0)
        store.save(*evaluation("2"))
        assert len(store.find(key("2"))) == 1

    def test_a_directory_in_the_place_of_the_database_is_trouble(self, cache: Cache) -> None:
        (cache.home / "cache.db").mkdir(parents=True)
        store = cache.open()
        with pytest.warns(StoreWarning) as caught:
            store.save(*evaluation())
            assert store.find(key()) == []
        assert len(caught) == 1

    def test_a_file_in_the_place_of_the_directory_is_trouble(self, cache: Cache) -> None:
        cache.root.write_text("a file")
        store = cache.open()
        with pytest.warns(StoreWarning) as caught:
            store.save(*evaluation())
            store.save(*evaluation("2", data=bytes(300_000)))
            assert store.find(key()) == []
        assert len(caught) == 1

    def test_where_warnings_are_errors_one_is_raised_and_nothing_is_left_locked(self, cache: Cache) -> None:
        cache.home.mkdir(parents=True)
        (cache.home / "cache.db").write_bytes(b"garbage" * 1000)
        store = cache.open()
        with pytest.raises(StoreWarning):
            store.find(key())
        threads = [threading.Thread(target=lambda: store.save(*evaluation())) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert not any(thread.is_alive() for thread in threads)
        assert store.find(key()) == []

    def test_connections_are_closed_at_exit(self, cache: Cache) -> None:
        """The last one to close tidies the log away; an unclosed one is a warning in Python 3.13."""
        code = f"""
from hitsave.store.disk import DiskStore
from tests.store.contract import evaluation, key
store = DiskStore({str(cache.root)!r}, {str(cache.config)!r})
store.save(*evaluation()); store.find(key())
"""
        done = subprocess.run(
            [sys.executable, "-W", "error", "-X", "dev", "-c", code],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr == ""
        assert sorted(path.name for path in cache.home.glob("cache.db*")) == ["cache.db"]

    def test_eight_processes_may_make_the_cache_at_once(self, cache: Cache) -> None:
        code = f"""
import sys
from hitsave.store.disk import DiskStore
from tests.store.contract import evaluation, key
store = DiskStore({str(cache.root)!r}, {str(cache.config)!r}, verify="strict")
sys.stdin.readline()
store.save(*evaluation(sys.argv[1])); assert len(store.find(key(sys.argv[1]))) == 1
print(store.trouble.count, store.trouble.last)
"""
        children = [
            subprocess.Popen(
                [sys.executable, "-c", code, str(number)],
                cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            )
            for number in range(8)
        ]  # fmt: skip
        for child in children:
            assert child.stdin is not None
            child.stdin.write("\n")
            child.stdin.flush()
        assert [child.communicate()[0].strip() for child in children] == ["0"] * 8
        assert cache.open().stats().entries == 8
