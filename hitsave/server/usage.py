"""Hits, misses and bytes, counted in memory and written once a second: a look-up itself only reads."""

from __future__ import annotations

import time
from collections import defaultdict

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hitsave.server.database.engine import upsert
from hitsave.server.database.tables import blobs, entries, functions, usage


class UsageLog:
    """What happened since the last flush. A crash loses at most that: statistics, no results."""

    def __init__(self) -> None:
        self._entries: dict[int, int] = defaultdict(int)
        self._blobs: set[str] = set()
        # (project, function, user) -> [hits, misses, saved_s, bytes_up, bytes_down]
        self._daily: dict[tuple[int, int, str], list[float]] = {}

    def hit(self, project_id: int, function_id: int, entry_id: int, who: str, saved_s: float, size_bytes: int) -> None:
        """An entry was handed out."""
        self._entries[entry_id] += 1
        row = self._row(project_id, function_id, who)
        row[0] += 1
        row[2] += saved_s
        row[4] += size_bytes

    def miss(self, project_id: int, function_id: int, who: str) -> None:
        """A key had no entry."""
        self._row(project_id, function_id, who)[1] += 1

    def stored(self, project_id: int, function_id: int, who: str, size_bytes: int) -> None:
        """An entry came in."""
        self._row(project_id, function_id, who)[3] += size_bytes

    def blob_used(self, name: str) -> None:
        """A blob was read."""
        self._blobs.add(name)

    def flush(self, connection: Connection) -> None:
        """Write everything counted, and begin anew."""
        now = time.time()
        hit_entries, self._entries = self._entries, defaultdict(int)
        used_blobs, self._blobs = self._blobs, set()
        daily, self._daily = self._daily, {}
        # Many rows at once: a statement for each would take as long as the look-ups that it counts.
        if hit_entries:
            connection.execute(ENTRIES_HIT, [{"e": i, "n": n, "now": now} for i, n in sorted(hit_entries.items())])
        if used_blobs:
            connection.execute(BLOBS_USED, [{"b": name, "now": now} for name in sorted(used_blobs)])
        day = time.strftime("%Y-%m-%d", time.gmtime(now))
        for (project_id, function_id, who), (hits, misses, saved_s, up, down) in daily.items():
            numbers = {
                "hits": int(hits),
                "misses": int(misses),
                "saved_s": saved_s,
                "bytes_up": int(up),
                "bytes_down": int(down),
            }
            keys = {"project_id": project_id, "day": day, "function_id": function_id, "who": who}
            upsert(connection, usage, tuple(keys), {**keys, **numbers}, {n: usage.c[n] + v for n, v in numbers.items()})
            if function_id:
                connection.execute(
                    sa.update(functions)
                    .where(functions.c.id == function_id)
                    .values(
                        hits=functions.c.hits + int(hits),
                        misses=functions.c.misses + int(misses),
                        saved_s=functions.c.saved_s + saved_s,
                    )
                )

    def _row(self, project_id: int, function_id: int, who: str) -> list[float]:
        return self._daily.setdefault((project_id, function_id, who), [0, 0, 0.0, 0, 0])


ENTRIES_HIT = (
    sa.update(entries)
    .where(entries.c.id == sa.bindparam("e"))
    .values(hits=entries.c.hits + sa.bindparam("n"), last_hit=sa.bindparam("now"))
)
BLOBS_USED = sa.update(blobs).where(blobs.c.name == sa.bindparam("b")).values(last_used=sa.bindparam("now"))
