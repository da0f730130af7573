"""Counters and timings in the Prometheus text format. One event loop writes them, so they need no lock."""

from __future__ import annotations

from collections import defaultdict

BUCKETS_S = (0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0)


class Metrics:
    """What the server counted since it started."""

    def __init__(self) -> None:
        self.requests: dict[tuple[str, str, int], int] = defaultdict(int)
        self.buckets = [0] * (len(BUCKETS_S) + 1)
        self.total_s = 0.0
        self.counts: dict[str, int] = defaultdict(int)

    def observe(self, method: str, route: str, status: int, elapsed_s: float) -> None:
        """One finished request."""
        self.requests[method, route, status] += 1
        self.total_s += elapsed_s
        for i, bound in enumerate(BUCKETS_S):
            if elapsed_s <= bound:
                self.buckets[i] += 1
                return
        self.buckets[-1] += 1

    def count(self, name: str, amount: int = 1) -> None:
        """Add to a counter: hits, misses, bytes_up, …"""
        self.counts[name] += amount

    def render(self, gauges: dict[str, float]) -> str:
        """The text a scraper reads."""
        lines = ["# TYPE hitsave_requests_total counter"]
        for (method, route, status), n in sorted(self.requests.items()):
            lines.append(f'hitsave_requests_total{{method="{method}",route="{route}",status="{status}"}} {n}')
        lines.append("# TYPE hitsave_request_seconds histogram")
        running = 0
        for bound, n in zip((*BUCKETS_S, "+Inf"), self.buckets, strict=True):
            running += n
            lines.append(f'hitsave_request_seconds_bucket{{le="{bound}"}} {running}')
        lines += [f"hitsave_request_seconds_sum {self.total_s:.6f}", f"hitsave_request_seconds_count {running}"]
        for name, n in sorted(self.counts.items()):
            lines += [f"# TYPE hitsave_{name}_total counter", f"hitsave_{name}_total {n}"]
        for name, value in sorted(gauges.items()):
            lines += [f"# TYPE hitsave_{name} gauge", f"hitsave_{name} {value:g}"]
        return "\n".join(lines) + "\n"
