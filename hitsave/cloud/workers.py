"""Threads that do what may hang, so that the caller can leave when its time is up.

A time-out of a socket bounds one read; a server that sends a byte now and then, or a name server that never answers,
would hold the caller for hours. So the request runs in a thread and the caller waits at most its budget.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from hitsave.observe.watch import unseen

T = TypeVar("T")
MAX_WORKERS = 8


class Late(Exception):
    """The budget is spent; the work may still be going on."""


class Busy(Late):
    """The budget was spent on waiting for a free thread: the server wasn't even asked."""


class _Job:
    __slots__ = ("done", "error", "result", "work")

    def __init__(self, work: Callable[[], Any]) -> None:
        self.work = work
        self.result: Any = None
        self.error: BaseException | None = None
        self.done = threading.Lock()
        self.done.acquire()


class Workers:
    """Up to eight daemon threads; the one that was used last is used next, since its connection is warm."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._idle: list[queue.SimpleQueue[_Job | None]] = []
        self._count = 0

    def run(self, work: Callable[[], T], budget_s: float) -> T:
        """What `work()` returns or raises, or `Late` after `budget_s`."""
        deadline = time.monotonic() + budget_s
        job = _Job(work)
        inbox = self._take_idle(deadline)
        if inbox is None:
            inbox = queue.SimpleQueue()
            thread = threading.Thread(target=self._work, args=(inbox,), name="hitsave-cloud", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the interpreter is shutting down
                with self._changed:
                    self._count -= 1
                raise Late("no thread can be started now") from None
        inbox.put(job)
        if not job.done.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise Late(f"no answer within {budget_s:.1f} s")
        if job.error is not None:
            raise job.error
        return job.result  # type: ignore[no-any-return]

    def _take_idle(self, deadline: float) -> queue.SimpleQueue[_Job | None] | None:
        """The thread that was used last; None if a new one may be started."""
        with self._changed:
            while not self._idle and self._count >= MAX_WORKERS:
                if not self._changed.wait(max(0.0, deadline - time.monotonic())):
                    raise Busy("every connection is still waiting for an answer")
            if self._idle:
                return self._idle.pop()
            self._count += 1
            return None

    def _work(self, inbox: queue.SimpleQueue[_Job | None]) -> None:
        # Our own network and files are no dependency of whatever the user's program evaluates meanwhile.
        with unseen():
            self._work_unseen(inbox)

    def _work_unseen(self, inbox: queue.SimpleQueue[_Job | None]) -> None:
        while True:
            job = inbox.get()
            if job is None:
                return
            try:
                job.result = job.work()
            except BaseException as error:  # noqa: BLE001  handed to the caller, who raises it
                job.error = error
            with self._changed:
                self._idle.append(inbox)
                self._changed.notify()
            job.done.release()
            del job

    def close(self) -> None:
        """End the idle threads."""
        with self._changed:
            idle, self._idle = self._idle, []
            self._count -= len(idle)
        for inbox in idle:
            inbox.put(None)
