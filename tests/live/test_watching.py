"""Real files, real events: whatever way a file is written, it is seen; nobody waits longer than for the event."""

from __future__ import annotations

import logging
import os
import queue
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import hitsave
from hitsave.live import process
from hitsave.live.debounce import Gatherer
from hitsave.live.events import BROKEN, EDITED, GONE, UNDONE, LiveEvent
from hitsave.live.folders import Folders, choose_folders, git_is_busy, is_remote
from hitsave.live.sweep import Sweep
from hitsave.live.watcher import RESYNC, Watcher
from tests.live.conftest import Bench

LIB = "def helper(x):\n    return x + 1\n"
APP = """
    from hitsave import memo
    from lib import helper

    @memo
    def top(x):
        return helper(x) * 10
"""
PATIENCE_S = 20


class Watched:
    """A bench with the live session's threads at work."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.queue: queue.Queue[LiveEvent] = queue.Queue()
        bench.write("lib", LIB)
        bench.write("app", APP)
        self.app = bench.load("app")
        assert self.app.top(1) == 20

    def wait(self, kind: str) -> LiveEvent:
        """The next event of this kind."""
        while True:
            event = self.queue.get(timeout=PATIENCE_S)
            if event.kind == kind:
                return event


@pytest.fixture
def watched(bench: Bench) -> Iterator[Watched]:
    made = Watched(bench)
    with hitsave.live(on_event=made.queue.put):
        yield made
    assert process.current() is None


def replaced(path: Path, text: str) -> None:
    beside = path.with_suffix(".tmp")
    beside.write_text(text)
    beside.replace(path)


def same_time_and_size(path: Path, text: str) -> None:
    stat = path.stat()
    path.write_text(text)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.mark.parametrize("write", [Path.write_text, replaced, same_time_and_size], ids=lambda write: write.__name__)
def test_an_edit_is_seen_however_it_is_written(watched: Watched, write: object) -> None:
    write(watched.bench.path("lib"), LIB.replace("x + 1", "x + 2"))  # type: ignore[operator]
    event = watched.wait(EDITED)
    assert event.affected == (f"{watched.app.__name__}:top",)
    assert event.symbols == (f"{watched.bench.path('lib').stem}:helper",)
    assert watched.app.top(1) == 30


def test_entries_are_marked_superseded_at_once_and_revived_by_the_old_text(watched: Watched) -> None:
    store = hitsave.session.current().store
    watched.bench.path("lib").write_text(LIB.replace("x + 1", "x + 2"))
    watched.wait(EDITED)
    [mark] = store.superseded()
    assert mark.symbol == f"{watched.app.__name__}:top"
    watched.bench.path("lib").write_text(LIB)
    event = watched.wait(UNDONE)
    assert event.back == (f"{watched.app.__name__}:top",)
    assert mark not in store.superseded()
    assert watched.app.top(1) == 20


def test_a_text_that_cannot_be_parsed_leaves_the_old_code_running(watched: Watched) -> None:
    watched.bench.path("lib").write_text("def helper(x:\n")
    assert "SyntaxError" in watched.wait(BROKEN).detail
    assert watched.app.top(1) == 20
    watched.bench.path("lib").write_text(LIB.replace("x + 1", "x + 3"))
    watched.wait(EDITED)
    assert watched.app.top(1) == 40


def test_a_file_that_goes_leaves_the_old_code_running(watched: Watched) -> None:
    watched.bench.path("lib").unlink()
    watched.wait(GONE)
    assert watched.app.top(1) == 20
    watched.bench.path("lib").write_text(LIB)
    watched.wait(UNDONE)


def test_a_touch_is_no_edit(watched: Watched) -> None:
    watched.bench.path("lib").touch()
    watched.bench.path("app").write_text(watched.bench.path("app").read_text() + "\n# a comment\n")
    assert watched.wait(EDITED).module == watched.app.__name__


def test_a_checkout_of_many_files_is_one_batch(watched: Watched) -> None:
    for number in range(300):
        (watched.bench.root / f"more{number}.py").write_text("x = 1\n")
    watched.bench.path("lib").write_text(LIB.replace("x + 1", "x + 2"))
    watched.wait(EDITED)
    assert watched.app.top(1) == 30


def test_lost_events_are_made_up_for(bench: Bench) -> None:
    noted: queue.Queue[str] = queue.Queue()
    watcher = Watcher(noted.put)
    watcher.watch(Folders(((str(bench.root), False),), ()))
    assert noted.get(timeout=PATIENCE_S) == RESYNC
    logging.getLogger("watchdog.observers.inotify_c").warning("Inotify queue overflowed; filesystem events were lost")
    assert noted.get(timeout=PATIENCE_S) == RESYNC
    watcher.stop()


def test_without_events_files_are_swept(bench: Bench) -> None:
    watcher = Watcher(lambda _: None)
    watcher.watch(Folders((), (str(bench.root),)))
    assert watcher.polls
    assert str(bench.root) in watcher.trouble
    watcher.stop()
    sweep = Sweep()
    bench.write("lib", LIB)
    path = str(bench.path("lib"))
    assert sweep.changed([path]) == {path}
    assert not sweep.changed([path])
    same_time_and_size(bench.path("lib"), LIB.replace("1", "2"))
    assert sweep.changed([path]) == {path}


def test_network_file_systems_are_known(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text("/dev/sda / ext4 rw 0 0\nserver:/home /home/you nfs4 rw 0 0\nC: /mnt/c 9p rw 0 0\n")
    assert is_remote("/home/you/project", str(mounts))
    assert is_remote("/mnt/c/x", str(mounts))
    assert not is_remote("/srv/x", str(mounts))
    assert not is_remote("/home/yours", str(mounts))


def test_many_folders_are_folded_but_never_around_an_environment(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / "clean" / f"p{number}").mkdir(parents=True)
        (tmp_path / "mixed" / f"p{number}").mkdir(parents=True)
    (tmp_path / "mixed" / "node_modules").mkdir()

    def owns(folder: str) -> bool:
        return "node_modules" not in folder

    clean = [str(path) for path in (tmp_path / "clean").iterdir()]
    mixed = [str(path) for path in (tmp_path / "mixed").iterdir() if path.name != "node_modules"]
    assert choose_folders(clean, str(tmp_path), owns) == Folders(((str(tmp_path / "clean"), True),), ())
    chosen = choose_folders(mixed, str(tmp_path), owns)
    assert len(chosen.watched) == 16
    assert len(chosen.swept) == 4
    assert not any(recursive for _, recursive in chosen.watched)


def test_a_batch_waits_for_git(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    assert not git_is_busy(str(tmp_path))
    lock = tmp_path / ".git" / "index.lock"
    lock.touch()
    assert git_is_busy(str(tmp_path))
    batches: queue.Queue[frozenset[str]] = queue.Queue()
    gatherer = Gatherer(batches.put, busy=lambda: git_is_busy(str(tmp_path)))
    gatherer.start()
    gatherer.note("a.py")
    with pytest.raises(queue.Empty):
        batches.get(timeout=0.3)
    gatherer.note("b.py")
    lock.unlink()
    assert batches.get(timeout=PATIENCE_S) == {"a.py", "b.py"}
    gatherer.stop()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only on systems with fork")
def test_a_forked_child_has_no_live_session_and_goes_on(watched: Watched) -> None:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, repr((process.current(), watched.app.top(1))).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 100) == b"(None, 20)"
    os.close(read)
    os.close(write)


def test_functions_that_are_not_affected_stay_warm(watched: Watched) -> None:
    watched.bench.write("other", "from hitsave import memo\n\n\n@memo\ndef alone(x):\n    return x\n")
    other = watched.bench.load("other")
    other.alone(3)
    other.alone(3)
    watched.bench.path("lib").write_text(LIB.replace("x + 1", "x + 2"))
    event = watched.wait(EDITED)
    assert event.affected == (f"{watched.app.__name__}:top",)
    assert other.alone.cache_info().misses == 1
