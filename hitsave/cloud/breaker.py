"""A circuit breaker: after three outages nothing is sent for half a minute, then one probe decides.

Only outages count: no connection, no answer in time, an answer that broke off, 5xx. A refusal (4xx) or a bad signature
proves that the server is there.
"""

from __future__ import annotations

import _thread
import time

FAILURES = 3
OPEN_S = 30.0


class Breaker:
    """One per server and process, shared by all threads."""

    def __init__(self, failures: int = FAILURES, open_s: float = OPEN_S) -> None:
        self._limit = failures
        self._open_s = open_s
        self._lock = _thread.allocate_lock()
        self._failures = 0
        self._open_until = 0.0

    def allows(self) -> bool:
        """Whether a request may be sent now. While open, one caller in each period is let through as the probe."""
        with self._lock:
            if self._failures < self._limit:
                return True
            now = time.monotonic()
            if now < self._open_until:
                return False
            self._open_until = now + self._open_s
            return True

    @property
    def is_open(self) -> bool:
        """Whether requests are being held back."""
        return self._failures >= self._limit and time.monotonic() < self._open_until

    def succeeded(self) -> None:
        """The server answered."""
        with self._lock:
            self._failures = 0

    def failed(self) -> bool:
        """An outage; whether it just opened the circuit."""
        with self._lock:
            self._failures += 1
            if self._failures >= self._limit:
                self._open_until = time.monotonic() + self._open_s
            return self._failures == self._limit
