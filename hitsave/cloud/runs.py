"""Tells the dashboard which experiments are running and which failed, from a thread: nobody waits for it."""

from __future__ import annotations

import os
import queue
import secrets
import socket
import threading
import time

from hitsave.cloud.client import Client
from hitsave.errors import CloudError
from hitsave.evaluation import Key
from hitsave.wire import WireError, key_to_json

BEAT_S = 60.0
MAX_WAITING = 1000


class RunReporter:
    """Announces and concludes runs in order; drops what it can't tell."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._renew()

    def _renew(self) -> None:
        self._pid = os.getpid()
        self._inbox: queue.Queue[tuple[str, Key | None, str]] = queue.Queue(MAX_WAITING)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._running: set[str] = set()

    def announce(self, key: Key, title: str) -> str:
        """An experiment has begun; the id to conclude it with."""
        run_id = secrets.token_hex(16)
        self._put(run_id, key, title)
        return run_id

    def conclude(self, run_id: str, error: str = "") -> None:
        """It ended: well, or with a traceback."""
        if run_id:
            self._put(run_id, None, error)

    def flush(self, timeout_s: float) -> None:
        """Wait until everything is told, at most `timeout_s`."""
        until = time.monotonic() + timeout_s
        with self._inbox.all_tasks_done:
            while self._inbox.unfinished_tasks and time.monotonic() < until:
                self._inbox.all_tasks_done.wait(until - time.monotonic())

    def _put(self, run_id: str, key: Key | None, text: str) -> None:
        if self._pid != os.getpid():
            self._renew()
        try:
            self._inbox.put_nowait((run_id, key, text))
        except queue.Full:
            return
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._work, name="hitsave-runs", daemon=True)
                try:
                    thread.start()
                except RuntimeError:
                    return  # the interpreter is ending
                self._thread = thread

    def _work(self) -> None:
        while True:
            try:
                run_id, key, text = self._inbox.get(timeout=BEAT_S)
            except queue.Empty:
                for running in list(self._running):
                    self._tell(running, None, "", "running")
                continue
            if key is not None:
                self._running.add(run_id)
                self._tell(run_id, key, text, "running")
            else:
                self._running.discard(run_id)
                self._tell(run_id, None, text, "failed" if text else "ok")
            self._inbox.task_done()

    def _tell(self, run_id: str, key: Key | None, text: str, status: str) -> None:
        try:
            if key is not None:
                self._client.start_run(run_id, key_to_json(key), text, socket.gethostname())
            else:
                self._client.change_run(run_id, status, text)
        except (CloudError, WireError):
            return  # the dashboard shows one run less
