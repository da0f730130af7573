"""`Live`: what a process with a live session does when files change.

    worker thread     events -> batch -> what became of each file -> marks in the store -> is it safe to exchange?
    caller's thread   at the next memoised call (or before the next notebook cell): exchange it, or say why not

A key describes loaded code, so an event that is missed only delays new code; nothing here can make a result wrong.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from hitsave.importhook import loaded
from hitsave.live import events
from hitsave.live.batches import Batches
from hitsave.live.classify import CHANGED, HALF, MISSING, SAME, Found, classify
from hitsave.live.debounce import Gatherer
from hitsave.live.events import LiveEvent
from hitsave.live.folders import choose_folders, git_is_busy
from hitsave.live.marks import Marks
from hitsave.live.sweep import Sweep
from hitsave.live.telling import Telling
from hitsave.live.watcher import RESYNC, Watcher
from hitsave.observe import watch
from hitsave.parsing import parse
from hitsave.session import Session
from hitsave.source import Source
from hitsave.symbol import module_of

# A batch of more paths than this is a checkout: look at every loaded file instead.
MANY_PATHS = 200
# How long a caller waits for a batch that is being taken in at this moment.
PATIENCE_S = 0.5
# Without a word from anybody, look at every loaded file this often.
SWEEP_TICKS = 30


class Live:
    """The live session of one process. `mode` is "safe" (exchange what is proven safe) or "notify" (only say)."""

    def __init__(self, session: Session, mode: str = "safe", tell: Callable[[LiveEvent], None] | None = None) -> None:
        self.mode = mode
        self.session = session
        self.listeners: list[Callable[[LiveEvent], None]] = [tell] if tell is not None else []
        self._telling = Telling(self.listeners)
        self.pid = os.getpid()
        self._marks = Marks(session)
        self._sweep = Sweep()
        self._lock = threading.RLock()  # over what follows: a batch is taken in, or taken over
        self._batches = Batches(session, self._telling)
        self._watcher: Watcher | None = None
        self._gatherer: Gatherer | None = None
        self._ticks = 0
        self._folders_of = -1

    # -- life --------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Watch the folders of the loaded code, on threads that end with the process."""
        self._gatherer = Gatherer(self._deliver, busy=self._git_is_busy, tick=self._tick)
        self._watcher = Watcher(self._gatherer.note)
        self._gatherer.start()
        self._follow()

    def stop(self) -> None:
        """Watch no more. What was exchanged stays."""
        watcher, gatherer = self._watcher, self._gatherer
        self._watcher = self._gatherer = None
        if watcher is not None:
            watcher.stop()
        if gatherer is not None:
            gatherer.stop()
        with self._lock:
            self._batches.drop()
            self.session.evaluator.at_entry = None

    def abandon(self) -> None:
        """In a forked child: the threads are gone, and the parent's locks may be held by nobody."""
        if self._watcher is not None:
            self._watcher.abandon()
        self._watcher = self._gatherer = None
        self._lock = threading.RLock()
        self.session.evaluator.at_entry = None

    @property
    def trouble(self) -> str:
        """Why there are no file events and files are looked at each second instead; "" if there are."""
        return self._watcher.trouble if self._watcher is not None else ""

    # -- what changed ------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Look at every loaded file now, on this thread."""
        self._deliver(frozenset((RESYNC,)))

    def sync(self) -> None:
        """Look at every loaded file now, and take over what can be taken over."""
        self.look()
        self.take_over()

    def _deliver(self, paths: frozenset[str]) -> None:
        with self._lock, watch.unseen():
            began = time.perf_counter()
            try:
                self._take_in(paths, began)
            except Exception as error:  # noqa: BLE001 - on a thread of ours nobody else would hear of it; old code goes on
                self._telling.note(LiveEvent(events.TROUBLE, "", "", detail=repr(error)))
        self._telling.flush()

    def _take_in(self, paths: frozenset[str], began: float) -> None:
        everything = RESYNC in paths or len(paths) > MANY_PATHS
        modules = self._loaded_files()
        if everything:
            wanted = self._sweep.changed(modules)
        else:
            wanted = frozenset(map(os.path.realpath, paths))
            self._sweep.changed(path for path in wanted if path in modules)
        found = classify([modules[path] for path in sorted(wanted) if path in modules], self._complaint)
        for path in [] if everything else sorted(wanted - modules.keys()):
            self._other_file(path)
        changed = [each for each in found if self._batches.take(each)]
        if not changed:
            return
        reached = self._marks.reach([each.module for each in changed if each.state in (SAME, CHANGED)])
        self._batches.merge([each.module for each in changed])
        for each in changed:
            self._telling.note(self._event(each, reached.affected, reached.back, time.perf_counter() - began))
        self._drop_warm([each.module for each in changed])
        self._batches.prepare(self.mode)
        self.session.evaluator.at_entry = self.take_over if self._batches.wait else None

    def _event(self, found: Found, affected: Iterable[str], back: Iterable[str], elapsed_s: float) -> LiveEvent:
        kinds = {SAME: events.UNDONE, CHANGED: events.EDITED, HALF: events.BROKEN, MISSING: events.GONE}
        symbols: tuple[str, ...] = ()
        if found.state == CHANGED and found.source is not None:
            symbols = self._batches.changed_symbols(found.source)
        return LiveEvent(
            kinds[found.state], found.module, found.path, symbols, tuple(affected), tuple(back), detail=found.detail,
            elapsed_s=elapsed_s,
        )  # fmt: skip

    def _complaint(self, source: Source) -> str:
        try:
            parse(source.data, source.path)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            return f"{type(error).__name__}: {error}"
        return ""

    def _other_file(self, path: str) -> None:
        """A module that isn't loaded: the next plan has to look at it again, since code may import it when it runs."""
        module = self.session.book.module_of_file(path)
        if module is not None and module in self._marks.consulted():
            reached = self._marks.reach([module])
            self.session.book.loaded.notice_change()
            self.session.planner.forget()
            self._telling.note(LiveEvent(events.EDITED, module, path, (), reached.affected, reached.back))

    def _drop_warm(self, modules: list[str]) -> None:
        """Have every function that an edit may reach look again: its results in memory are of the old code."""
        names = set(self._marks.dependents(modules))
        if self._batches.differ:
            self.session.evaluator.at_entry = self.take_over
        for memo in self.session.planner.memos():
            if memo.symbol in names or module_of(memo.symbol) in modules:
                memo.plan = None
                memo.table.clear()
        for name in names:
            self.session.memory.clear(name)

    # -- taking over ---------------------------------------------------------------------------------------------------

    def take_over(self) -> None:
        """Exchange what is ready, and say what isn't. On the thread of whoever is about to call something."""
        if self.session.evaluator.is_evaluating():
            return  # in the middle of an evaluation, which would then belong to neither the old code nor the new
        if not self._lock.acquire(timeout=PATIENCE_S):
            return  # a large batch is being taken in: the next call will see it
        try:
            with watch.unseen():
                self._batches.apply(self.mode)
            refused = self._batches.refused()
            if not self._batches.wait:
                self.session.evaluator.at_entry = None
        finally:
            self._lock.release()
        self._telling.flush()
        for refusals in refused:
            self._telling.warn(refusals)

    # -- private -----------------------------------------------------------------------------------------------------

    def _loaded_files(self) -> dict[str, Any]:
        book = self.session.book.loaded
        found = {}
        for name in book.names():
            one = book.get(name)
            if one is not None and one.has_text and one.source.path and one.import_name in sys.modules:
                found[os.path.realpath(one.source.path)] = one
        return found

    def _follow(self) -> None:
        """Watch the folders of all code that is loaded by now, and those above them in the project."""
        watcher = self._watcher
        if watcher is None:
            return
        self._folders_of = loaded().revision
        project = self.session.project
        folders = {os.path.dirname(path) for path in self._loaded_files()}
        watcher.watch(choose_folders(folders, project.root, lambda folder: project.owns(os.path.join(folder, "x.py"))))

    def _tick(self) -> None:
        self._ticks += 1
        if self._folders_of != loaded().revision:
            self._follow()
        watcher = self._watcher
        if watcher is not None and (watcher.polls or self._ticks % SWEEP_TICKS == 0):
            self._deliver(frozenset((RESYNC,)))

    def _git_is_busy(self) -> bool:
        return git_is_busy(self.session.project.root)


_current: Live | None = None


def current() -> Live | None:
    """The live session of this process, if there is one."""
    return _current


def begin(session: Session, mode: str, tell: Callable[[LiveEvent], None] | None = None) -> Live:
    """Start the live session of this process; one that runs goes on, with `tell` as a further listener."""
    global _current
    live = _current
    if live is not None and live.pid == os.getpid() and live.session is session:
        live.mode = mode
        if tell is not None:
            live.listeners.append(tell)
        return live
    end()
    live = _current = Live(session, mode, tell)
    live.start()
    return live


def end() -> None:
    """Stop the live session of this process, if there is one."""
    global _current
    live, _current = _current, None
    if live is not None and live.pid == os.getpid():
        live.stop()


def _after_fork() -> None:
    global _current
    live, _current = _current, None
    if live is not None:
        live.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
