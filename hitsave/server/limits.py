"""Rate limits: a bucket per key or address that refills steadily and holds two seconds' worth."""

from __future__ import annotations

import time
from collections import OrderedDict

MAX_BUCKETS = 10_000


class RateLimit:
    """Allows `per_s` events a second for each name, in bursts of up to `burst`."""

    def __init__(self, per_s: float, burst: float) -> None:
        self.per_s = per_s
        self.burst = burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, name: str) -> float:
        """0 if one more event is allowed now (and count it), else the seconds until one will be."""
        now = time.monotonic()
        left, since = self._buckets.pop(name, (self.burst, now))
        left = min(self.burst, left + (now - since) * self.per_s)
        allowed = left >= 1
        self._buckets[name] = (left - 1 if allowed else left, now)
        if len(self._buckets) > MAX_BUCKETS:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1 - left) / self.per_s

    def exhausted(self, name: str) -> bool:
        """Whether the next event would be refused; counts nothing."""
        left, since = self._buckets.get(name, (self.burst, time.monotonic()))
        return left + (time.monotonic() - since) * self.per_s < 1
