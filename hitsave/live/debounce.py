"""`Gatherer`: the thread that turns a shower of paths into batches.

    quiet   a batch is over when nothing came for 50 ms
    hold    and after 500 ms at the latest
    busy    but while Git is at work (a rebase, a checkout), it may last 5 s

Whoever notes a path only puts it into a set: a slow handler would fall behind a checkout's thousands of events.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic

QUIET_S = 0.05
HOLD_S = 0.5
BUSY_S = 5.0
# How often the thread looks whether code was loaded from further folders.
TICK_S = 1.0


class Gatherer:
    """Calls `deliver(paths)` on its own thread for each batch, and `tick()` about once a second."""

    def __init__(
        self,
        deliver: Callable[[frozenset[str]], None],
        *,
        busy: Callable[[], bool] = lambda: False,
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        self._deliver = deliver
        self._busy = busy
        self._tick = tick
        self._paths: set[str] = set()
        self._last = 0.0
        self._woken = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="hitsave-live", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def note(self, path: str) -> None:
        """`path` may have changed. From any thread; costs a microsecond."""
        self._paths.add(path)
        self._last = monotonic()
        self._woken.set()

    def stop(self) -> None:
        """Deliver no more; waits for a batch under way, unless called from it."""
        self._stopped = True
        self._woken.set()
        if threading.current_thread() is not self._thread and self._thread.is_alive():
            self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._stopped:
            if not self._woken.wait(TICK_S):
                self._tick()
                continue
            began = monotonic()
            while not self._is_over(began):
                self._pause(QUIET_S)
            self._woken.clear()
            paths, self._paths = self._paths, set()
            if paths:
                self._deliver(frozenset(paths))

    def _is_over(self, began: float) -> bool:
        now = monotonic()
        if self._stopped or now - began >= BUSY_S:
            return True
        quiet = now - self._last >= QUIET_S or now - began >= HOLD_S
        return quiet and not self._busy()

    def _pause(self, seconds: float) -> None:
        threading.Event().wait(max(0.005, min(seconds, seconds - (monotonic() - self._last))))
