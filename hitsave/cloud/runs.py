"""Tells the dashboard which experiments are running and which failed, from a thread: nobody waits for it.

A run is announced when it has lasted a second; one that ends before is never heard of, unless it failed. So a loop
over thousands of quick experiments sends nothing but their results.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time

from hitsave.cloud.client import Client
from hitsave.errors import CloudError
from hitsave.evaluation import Key
from hitsave.observe.watch import unseen
from hitsave.record import Record
from hitsave.wire import WireError, key_to_json

PATIENCE_S = 1.0
BEAT_S = 60.0
MAX_WAITING = 1000


class _Run(Record):
    key: Key
    title: str
    due: float


class RunReporter:
    """Announces and concludes runs; drops what it can't tell."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._renew()

    def _renew(self) -> None:
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._waiting: dict[str, _Run] = {}  # begun, not announced yet
        self._running: dict[str, float] = {}  # announced: when the next heartbeat is due
        self._ended: list[tuple[str, _Run | None, str]] = []  # id, what to announce first, error
        self._telling = False

    def announce(self, key: Key, title: str) -> str:
        """An experiment has begun; the id to conclude it with. Costs microseconds."""
        if self._pid != os.getpid():
            self._renew()
        run_id = secrets.token_hex(16)
        with self._changed:
            if len(self._waiting) < MAX_WAITING:
                self._waiting[run_id] = _Run(key, title, time.monotonic() + PATIENCE_S)
            if self._thread is None:
                thread = threading.Thread(target=self._work, name="hitsave-runs", daemon=True)
                try:
                    thread.start()
                except RuntimeError:
                    return ""  # the interpreter is ending
                self._thread = thread
        return run_id

    def conclude(self, run_id: str, error: str = "") -> None:
        """It ended: well, or with a traceback."""
        if self._pid != os.getpid() or not run_id:
            return
        with self._changed:
            unheard = self._waiting.pop(run_id, None)
            if (unheard is None or error) and len(self._ended) < MAX_WAITING:
                self._ended.append((run_id, unheard, error))
                self._changed.notify_all()

    def flush(self, timeout_s: float) -> None:
        """Wait until every end is told, at most `timeout_s`."""
        until = time.monotonic() + timeout_s
        with self._changed:
            while (self._ended or self._telling) and time.monotonic() < until:
                self._changed.wait(until - time.monotonic())

    def _work(self) -> None:
        with unseen():  # our own doings are no dependency of what the user's program evaluates meanwhile
            while True:
                self._step()

    def _step(self) -> None:
        with self._changed:
            now = time.monotonic()
            due = {run_id: run for run_id, run in self._waiting.items() if run.due <= now}
            beats = [run_id for run_id, at in self._running.items() if at <= now]
            ended, self._ended = self._ended, []
            if not due and not beats and not ended:
                times = [run.due for run in self._waiting.values()] + list(self._running.values())
                self._changed.wait(min(times) - now if times else None)
                return
            for run_id in due:
                del self._waiting[run_id]
            self._running.update(dict.fromkeys([*due, *beats], now + BEAT_S))
            self._telling = True
        for run_id, run in due.items():
            self._start(run_id, run)
        for run_id in beats:
            self._change(run_id, "running", "")
        for run_id, unheard, error in ended:
            if unheard is not None:
                self._start(run_id, unheard)
            self._change(run_id, "failed" if error else "ok", error)
        with self._changed:
            for run_id, _, _ in ended:
                self._running.pop(run_id, None)
            self._telling = False
            self._changed.notify_all()

    def _start(self, run_id: str, run: _Run) -> None:
        try:
            self._client.start_run(run_id, key_to_json(run.key), run.title, socket.gethostname())
        except (CloudError, WireError):
            return  # the dashboard shows one run less

    def _change(self, run_id: str, status: str, error: str) -> None:
        try:
            self._client.change_run(run_id, status, error)
        except (CloudError, WireError):
            return
