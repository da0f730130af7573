"""Single flight: one computes, others wait, and nobody ever hangs."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from hitsave.store import waiting
from hitsave.store.flight import Flights
from hitsave.store.waiting import is_cycle

ROOT = Path(__file__).parents[2]
posix = pytest.mark.skipif(os.name == "nt", reason="only on POSIX: fork and signals")
linux = pytest.mark.skipif(sys.platform != "linux", reason="only on Linux: /proc")


@pytest.fixture
def flights(tmp_path: Path) -> Flights:
    return Flights(str(tmp_path / "v1" / "flight.lock"))


def in_thread(function: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    return thread


def child(tmp_path: Path, code: str) -> subprocess.Popen[str]:
    """A Python process that has `flights` over the same lock file; `say(text)` prints a line at once."""
    prelude = f"""
        import sys, os
        sys.path.insert(0, {str(ROOT)!r})
        from hitsave.store.flight import Flights
        flights = Flights({str(tmp_path / "v1" / "flight.lock")!r})
        def say(text): print(text, flush=True)
    """
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(prelude) + textwrap.dedent(code)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def heard(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go on\n")
    process.stdin.flush()


def finish(process: subprocess.Popen[str]) -> list[str]:
    out, _ = process.communicate(timeout=60)
    return out.split()


class TestThreads:
    def test_one_at_a_time_and_all_in_turn(self, flights: Flights) -> None:
        inside, most, done = 0, 0, 0
        gate = threading.Barrier(8)

        def work() -> None:
            nonlocal inside, most, done
            gate.wait()
            for _ in range(20):
                with flights.flight(b"key") as flight:
                    assert flight.alone
                    inside += 1
                    most = max(most, inside)
                    inside -= 1
                    done += 1

        threads = [in_thread(work) for _ in range(8)]
        for thread in threads:
            thread.join(60)
        assert (most, done) == (1, 160)
        assert flights.held == {}

    def test_different_keys_do_not_wait_for_each_other(self, flights: Flights) -> None:
        with flights.flight(b"one"):
            thread = in_thread(lambda: flights.flight(b"two").__enter__())
            thread.join(30)
            assert not thread.is_alive()

    def test_a_waiter_knows_that_it_waited(self, flights: Flights) -> None:
        entered = threading.Event()
        seen: list[bool] = []

        def wait() -> None:
            entered.set()
            with flights.flight(b"key") as flight:
                seen.append(flight.waited)

        with flights.flight(b"key") as flight:
            thread = in_thread(wait)
            entered.wait()
            while not flights.waits:
                pass
            assert not flight.waited
        thread.join(30)
        assert seen == [True]

    def test_an_exception_frees_the_key(self, flights: Flights) -> None:
        with pytest.raises(ZeroDivisionError), flights.flight(b"key"):
            _ = 1 / 0
        with flights.flight(b"key") as flight:
            assert flight.alone

    def test_recursion_goes_on_alone_at_once(self, flights: Flights) -> None:
        with flights.flight(b"key") as outer, flights.flight(b"key") as inner:
            assert (outer.alone, inner.alone, inner.waited) == (True, False, False)
            assert list(flights.held) == [b"key"]  # the inner one doesn't free what the outer one holds
        assert flights.held == {}

    def test_a_circle_of_threads_ends(self, flights: Flights) -> None:
        both = threading.Barrier(2)
        alone: list[bool] = []

        def work(first: bytes, second: bytes) -> None:
            with flights.flight(first):
                both.wait()
                with flights.flight(second) as flight:
                    alone.append(flight.alone)

        threads = [in_thread(lambda: work(b"a", b"b")), in_thread(lambda: work(b"b", b"a"))]
        for thread in threads:
            thread.join(30)
        assert sorted(alone) == [False, True]

    def test_a_holder_that_waits_for_its_own_workers_does_not_hang(
        self, flights: Flights, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The body hands part of its work to a pool, whose thread asks for the same key."""
        monkeypatch.setattr(waiting, "PATIENCE_S", 0.1)
        monkeypatch.setattr(waiting, "PUBLISH_AFTER_S", 0.05)

        def part() -> bool:
            with flights.flight(b"key") as flight:
                return flight.alone

        def whole() -> bool:
            with flights.flight(b"key"), ThreadPoolExecutor(1) as pool:
                return pool.submit(part).result(timeout=60)

        result: list[bool] = []
        thread = in_thread(lambda: result.append(whole()))
        thread.join(60)
        assert result == [False]

    def test_a_holder_that_works_is_waited_for(self, flights: Flights, monkeypatch: pytest.MonkeyPatch) -> None:
        """However long: only who stands still is suspected."""
        monkeypatch.setattr(waiting, "PATIENCE_S", 0.05)
        monkeypatch.setattr(waiting, "PUBLISH_AFTER_S", 0.02)
        stop = threading.Event()
        holding = threading.Event()
        looked = threading.Event()
        original = waiting.Wait._stands_still

        def looking(self: waiting.Wait, *arguments: object) -> bool:
            looks.append(1)
            if len(looks) > 4:
                looked.set()
            return original(self, *arguments)  # type: ignore[arg-type]

        looks: list[int] = []
        monkeypatch.setattr(waiting.Wait, "_stands_still", looking)

        def work() -> None:
            with flights.flight(b"key"):
                holding.set()
                while not stop.is_set():
                    sum(range(1000))

        alone: list[bool] = []

        def wait() -> None:
            with flights.flight(b"key") as flight:
                alone.append(flight.alone)

        holder = in_thread(work)
        holding.wait()
        waiter = in_thread(wait)
        assert looked.wait(60)
        assert alone == []
        stop.set()
        holder.join(30)
        waiter.join(30)
        assert alone == [True]

    @posix
    def test_a_signal_handler_may_ask_for_the_key_that_it_interrupts(self, flights: Flights) -> None:
        seen: list[bool] = []

        def handler(*_: object) -> None:
            with flights.flight(b"key") as flight:
                seen.append(flight.alone)

        before = signal.signal(signal.SIGUSR1, handler)
        try:
            with flights.flight(b"key"):
                os.kill(os.getpid(), signal.SIGUSR1)
        finally:
            signal.signal(signal.SIGUSR1, before)
        assert seen == [False]

    def test_where_nothing_can_be_written_threads_still_take_turns(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("not a directory")
        flights = Flights(str(tmp_path / "file" / "flight.lock"))
        with flights.flight(b"key") as flight:
            assert flight.alone
            waiter = flights.flight(b"key")
            thread = in_thread(waiter.__enter__)
            while not flights.waits:
                pass
        thread.join(30)
        assert waiter.alone

    def test_where_the_file_system_has_no_locks_threads_still_take_turns(
        self, flights: Flights, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As on a network file system without a lock daemon."""

        def try_lock(descriptor: int, offset: int) -> bool:
            raise OSError(37, "No locks available")

        monkeypatch.setattr("hitsave.store.flight.try_lock", try_lock)
        for _ in range(2):
            with flights.flight(b"key") as flight, flights.flight(b"other") as other:
                assert flight.alone
                assert other.alone
        assert flights.descriptor() == -1  # isn't tried again for a while

    def test_a_removed_lock_file_is_made_again(self, flights: Flights) -> None:
        with flights.flight(b"key"):
            pass
        Path(flights.path).unlink()
        with flights.flight(b"key") as flight:
            assert flight.alone
        assert Path(flights.path).exists()

    def test_a_program_that_closes_our_file_does_not_break_us(self, flights: Flights, tmp_path: Path) -> None:
        with flights.flight(b"key"):
            pass
        os.close(flights.descriptor())
        with (tmp_path / "theirs").open("w") as theirs:  # gets the number that was ours
            with flights.flight(b"key") as flight:
                assert flight.alone
            theirs.write("still open")
        flights.close()


class TestTasks:
    def test_tasks_wait_without_blocking_their_loop(self, flights: Flights) -> None:
        async def work(order: list[str], name: str) -> None:
            async with flights.flight(b"key") as flight:
                assert flight.alone
                order.append(name)
                await asyncio.sleep(0.001)
                order.append(name)

        async def main() -> list[str]:
            order: list[str] = []
            await asyncio.gather(*(work(order, name) for name in "abc"))
            return order

        order = asyncio.run(main())
        assert order[0::2] == order[1::2]
        assert sorted(order) == ["a", "a", "b", "b", "c", "c"]

    def test_a_task_that_a_holder_awaits_does_not_wait_for_it(self, flights: Flights) -> None:
        async def inner() -> bool:
            async with flights.flight(b"key") as flight:
                return flight.alone

        async def main() -> bool:
            async with flights.flight(b"key"):
                return await asyncio.create_task(inner())

        assert asyncio.run(main()) is False

    def test_a_thread_that_a_holder_awaits_does_not_wait_for_it(self, flights: Flights) -> None:
        def inner() -> bool:
            with flights.flight(b"key") as flight:
                return flight.alone

        async def main() -> bool:
            async with flights.flight(b"key"):
                return await asyncio.to_thread(inner)

        assert asyncio.run(main()) is False

    def test_plain_code_in_the_loop_does_not_wait_for_a_suspended_task(self, flights: Flights) -> None:
        async def hold(held: asyncio.Event, stop: asyncio.Event) -> None:
            async with flights.flight(b"key"):
                held.set()
                await stop.wait()

        async def main() -> bool:
            held, stop = asyncio.Event(), asyncio.Event()
            task = asyncio.create_task(hold(held, stop))
            await held.wait()
            with flights.flight(b"key") as flight:
                alone = flight.alone
            stop.set()
            await task
            return alone

        assert asyncio.run(main()) is False

    def test_tasks_in_a_circle_end(self, flights: Flights) -> None:
        async def work(first: bytes, second: bytes, entered: list[bytes]) -> bool:
            async with flights.flight(first):
                entered.append(first)
                while len(entered) < 2:
                    await asyncio.sleep(0)
                async with flights.flight(second) as flight:
                    return flight.alone

        async def main() -> list[bool]:
            entered: list[bytes] = []
            return list(await asyncio.gather(work(b"a", b"b", entered), work(b"b", b"a", entered)))

        assert sorted(asyncio.run(main())) == [False, True]

    def test_a_cancelled_waiter_leaves_nothing_behind(self, flights: Flights) -> None:
        async def hold(stop: asyncio.Event) -> None:
            async with flights.flight(b"key"):
                await stop.wait()

        async def wait() -> None:
            async with flights.flight(b"key"):
                pass

        async def main() -> None:
            stop = asyncio.Event()
            holder = asyncio.create_task(hold(stop))
            task = asyncio.create_task(wait())
            while not flights.waits:
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not flights.waits
            stop.set()
            await holder
            assert not flights.held
            async with flights.flight(b"key") as flight:
                assert flight.alone

        asyncio.run(main())


@posix
class TestProcesses:
    def test_another_process_waits_and_a_killed_holder_frees_the_key_at_once(
        self, flights: Flights, tmp_path: Path
    ) -> None:
        holder = child(tmp_path, "with flights.flight(b'key'): say('holding'); sys.stdin.readline()")
        assert heard(holder) == "holding"
        flight = flights.flight(b"key")
        assert not flight._try_lock()
        holder.kill()
        holder.communicate()
        assert flight._try_lock()
        flight._release()

    def test_a_child_of_a_killed_holder_does_not_keep_its_key(self, flights: Flights, tmp_path: Path) -> None:
        """A forked child shares open files with its parent: it must let go of the lock file."""
        holder = child(
            tmp_path,
            """
            with flights.flight(b'key'):
                if os.fork():
                    sys.stdin.readline()
                else:
                    import signal; say(os.getpid()); os.close(1); signal.pause()
            """,
        )
        orphan = int(heard(holder))
        try:
            holder.kill()
            holder.wait()
            with flights.flight(b"key") as flight:
                assert flight.alone
                assert not flight.waited
        finally:
            os.kill(orphan, signal.SIGKILL)
            holder.communicate()

    @pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
    @pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
    def test_processes_of_any_start_method_take_turns(self, tmp_path: Path, method: str) -> None:
        context: Any = multiprocessing.get_context(method)
        log = tmp_path / "log"
        log.touch()
        path = str(tmp_path / "v1" / "flight.lock")
        processes = [context.Process(target=_log_in_turn, args=(path, str(log), n)) for n in range(4)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(60)
        words = log.read_text().split()
        assert words[0::2] == words[1::2]
        assert len(words) == 4 * 10 * 2

    def test_a_circle_of_processes_ends(self, tmp_path: Path) -> None:
        code = """
        with flights.flight(sys.argv[1].encode() if False else FIRST):
            say("holding"); sys.stdin.readline()
            with flights.flight(SECOND) as flight:
                say(flight.alone)
        """
        processes = [
            child(tmp_path, f"FIRST, SECOND = {first!r}, {second!r}\n" + textwrap.dedent(code))
            for first, second in ((b"a", b"b"), (b"b", b"c"), (b"c", b"a"))
        ]
        for process in processes:
            assert heard(process) == "holding"
        for process in processes:
            tell(process)
        said = [finish(process) for process in processes]
        assert sorted(words[0] for words in said) == ["False", "True", "True"]

    @linux
    def test_a_worker_does_not_wait_for_the_parent_that_waits_for_it(self, tmp_path: Path) -> None:
        code = """
        from hitsave.store import waiting
        waiting.PATIENCE_S = waiting.PUBLISH_AFTER_S = 0.1
        import subprocess
        if sys.stdin.readline().strip() == "":
            pass
        inner = '''
        import sys; sys.path.insert(0, PATH)
        from hitsave.store import waiting
        waiting.PATIENCE_S = waiting.PUBLISH_AFTER_S = 0.1
        from hitsave.store.flight import Flights
        with Flights(FILE).flight(b"key") as flight: print(flight.alone)
        '''
        import textwrap
        inner = f"PATH, FILE = {sys.path[0]!r}, {flights.path!r}\\n" + textwrap.dedent(inner)
        with flights.flight(b"key"):
            say(subprocess.run([sys.executable, "-c", inner], capture_output=True, text=True).stdout.strip())
        """
        process = child(tmp_path, code)
        tell(process)
        assert finish(process) == ["False"]

    def test_a_forked_child_goes_on_alone_with_a_key_of_its_parent(self, flights: Flights) -> None:
        with flights.flight(b"key"):
            pid = os.fork()
            if not pid:
                with flights.flight(b"key") as inner:
                    os._exit(0 if not inner.alone and not inner.waited else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
            assert flights.flight(b"other")._try_lock()

    def test_eight_processes_compute_each_of_two_hundred_keys_once(self, tmp_path: Path) -> None:
        """Through a real store: look up, fly, look up again, compute, save."""
        counts = tmp_path / "counts"
        counts.mkdir()
        code = f"""
        from hitsave.store.disk import DiskStore
        from tests.store.contract import evaluation, key
        store = DiskStore({str(tmp_path / "cache")!r}, {str(tmp_path / "config")!r})
        for number in range(200):
            number = str(number)
            if not store.find(key(number)):
                with store.flights.flight(number.encode()):
                    if not store.find(key(number)):
                        path = os.path.join({str(counts)!r}, f"{{number}}-{{os.getpid()}}")
                        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
                        store.save(*evaluation(number))
            assert len(store.find(key(number))) == 1
        say(store.trouble.count)
        store.close()
        """
        processes = [child(tmp_path, code) for _ in range(8)]
        assert [finish(process) for process in processes] == [["0"]] * 8
        assert len(list(counts.iterdir())) == 200


def _log_in_turn(path: str, log: str, number: int) -> None:
    flights = Flights(path)
    for _ in range(10):
        with flights.flight(b"key"):
            for _ in range(2):
                with Path(log).open("a") as file:
                    file.write(f"{number} ")


def test_circles_are_found_over_any_number_of_waiters() -> None:
    waiters = [((b"b",), b"c"), ((b"c", b"x"), b"d"), ((b"d",), b"e")]
    assert not is_cycle(b"b", (b"a",), waiters)
    assert is_cycle(b"b", (b"a",), [*waiters, ((b"e",), b"a")])
    assert is_cycle(b"x", (b"d",), waiters)
    assert not is_cycle(b"x", (b"b",), waiters)


@pytest.mark.skipif(sys.platform == "win32", reason="only on systems whose locks let others write")
def test_whoever_stores_something_leaves_news(tmp_path: Path) -> None:
    mine, theirs = Flights(str(tmp_path / "lock")), Flights(str(tmp_path / "lock"))
    assert mine.news() == -1  # nobody has opened the file: look again, to be sure
    with mine.flight(b"a"), theirs.flight(b"b"):
        mine.tell()
        news = mine.news()
        assert news >= 0
        assert mine.news() == theirs.news() == news
        theirs.tell()
        assert mine.news() != news
        later, of_others = mine.news(), mine.news_of_others()
        mine.tell()
        assert mine.news() not in (news, later)
        assert mine.news_of_others() == of_others
        theirs.tell()
        assert mine.news_of_others() != of_others


def test_who_stores_without_a_flight_leaves_news_too(tmp_path: Path) -> None:
    mine, theirs = Flights(str(tmp_path / "lock")), Flights(str(tmp_path / "lock"))
    with mine.flight(b"a"):
        before = mine.news()
        theirs.tell()
        assert mine.news() != before or before < 0


def test_over_a_network_nobody_relies_on_news(tmp_path: Path) -> None:
    flights = Flights(str(tmp_path / "lock"), lambda: True)
    with flights.flight(b"a"):
        flights.tell()
        assert flights.news() == flights.news_of_others() == -1


@pytest.mark.skipif(sys.platform == "win32", reason="only on systems whose locks let others write")
def test_news_never_go_into_a_file_that_took_the_number_of_ours(tmp_path: Path) -> None:
    flights = Flights(str(tmp_path / "lock"))
    with flights.flight(b"a"):
        descriptor = flights.descriptor()
        with (tmp_path / "theirs").open("w+b") as theirs:
            os.dup2(theirs.fileno(), descriptor)
            try:
                flights.tell()
            finally:
                os.close(descriptor)
    assert (tmp_path / "theirs").read_bytes() == b""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only on POSIX: fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_forked_while_a_thread_opens_the_lock_file_does_not_wait_for_it(tmp_path: Path) -> None:
    opening, go_on = threading.Event(), threading.Event()
    parent = os.getpid()

    def is_network() -> bool:
        if os.getpid() == parent:
            opening.set()
            go_on.wait(60)
        return False

    flights = Flights(str(tmp_path / "lock"), is_network)
    thread = threading.Thread(target=flights.tell)
    thread.start()
    assert opening.wait(60)
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # ends a child that waits for a thread it doesn't have
        flights.tell()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    go_on.set()
    thread.join()
    assert status == 0
