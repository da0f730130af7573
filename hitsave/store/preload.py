"""`Preload`: the rows of a function fetched before they are asked for, once it is hit again and again.

A look-up of one key costs 7 µs, most of it for the transaction around it; a row of a range costs 0.8. So fetching all
rows of a function pays as soon as a good part of them will be asked for. Nobody knows that, but who has hit an eighth
of them is likely to go on. How many rows there are is estimated from one key: digests of arguments are spread evenly,
so where the 32nd of them lies tells the rest. Rows are kept as they lie on disk, unverified.

What another process removes is noticed within `FRESH_S`; a key that is not among the rows is always looked up, so a
new entry is found at once.
"""

from __future__ import annotations

from time import monotonic

from hitsave.store.contract import MAX_CANDIDATES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hitsave.store.database import Database, Row

FIRST_HITS = 8
ROWS_PER_HIT = 8
SAMPLE = 32
MAX_ROWS = 20_000
MAX_ROW_BYTES = 400
FRESH_S = 1.0
# Up to here, all rows of a call are fetched at once: its results under other code are what is asked for next.
FEW = 8
SAME_LOOKUP_S = 0.005

# One more than a look-up considers: then only the newest are asked for, which takes sorting.
FIND = f"SELECT key, store_time, value FROM Cache WHERE key >= ? AND key < ? AND raw = 1 LIMIT {MAX_CANDIDATES + 1}"
NEWEST = FIND.replace(f"LIMIT {MAX_CANDIDATES + 1}", f"ORDER BY store_time DESC LIMIT {MAX_CANDIDATES}")
FIRST_FEW = FIND.replace(f"LIMIT {MAX_CANDIDATES + 1}", f"LIMIT {FEW + 1}")
NTH = f"SELECT key FROM Cache WHERE key >= ? AND key < ? AND raw = 1 ORDER BY key LIMIT 1 OFFSET {SAMPLE}"
AHEAD = (
    f"SELECT key, store_time, CASE WHEN length(value) <= {MAX_ROW_BYTES} THEN value END FROM Cache"
    " WHERE key >= ? AND key < ? AND raw = 1 LIMIT ?"
)


class Function:
    """The hits of one symbol under one fingerprint, and its rows by the first 15 bytes of their keys."""

    __slots__ = ("hits", "rows")

    def __init__(self) -> None:
        self.hits = 0
        self.rows: dict[bytes, list[Row]] = {}


class Preload:
    """Look-ups of exact keys in one database. A key is given by the first 15 bytes of its row keys."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._functions: dict[bytes, Function] = {}
        self._count = 0
        self._version: object = None
        self._others: tuple[bytes, float, list[Row]] | None = None
        self._fresh_until = 0.0

    def find(self, first: bytes) -> list[Row]:
        """The rows whose keys begin with `first`."""
        name = first[:4] + first[12:]
        function = self._functions.get(name)
        if function is not None and function.rows:
            if monotonic() > self._fresh_until and self._is_outdated():
                self.clear()
                function = Function()
            rows = function.rows.get(first)
            if rows is not None:
                function.hits += 1
                return rows
        rows = self._fetch(first)
        if rows:
            function = self._functions.get(name)
            if function is None:
                function = self._functions[name] = Function()
            function.hits += 1
            # Looked at only when the hits have doubled, so that looking costs next to nothing.
            if function.hits >= FIRST_HITS and not function.hits & (function.hits - 1) and not function.rows:
                self._fetch_ahead(function, first)
        return rows

    def _fetch(self, first: bytes) -> list[Row]:
        call = first[:12]
        rows = self._database.rows(FIRST_FEW, (call, call + b"\xff" * 9))
        if len(rows) > FEW:
            rows = self._database.rows(FIND, (first, first + b"\xff" * 6))
            if len(rows) > MAX_CANDIDATES:
                rows = self._database.rows(NEWEST, (first, first + b"\xff" * 6))
            return rows
        exact = [row for row in rows if row[0][12:15] == first[12:]] if rows else rows
        if not exact:
            self._others = call, monotonic(), rows
        return exact

    def others(self, call: bytes) -> list[Row] | None:
        """All rows of a call (12 bytes) that `find` has just missed under the code of today; None if unknown."""
        known, self._others = self._others, None
        if known is None or known[0] != call or monotonic() - known[1] > SAME_LOOKUP_S:
            return None
        return known[2]

    def _fetch_ahead(self, function: Function, first: bytes) -> None:
        limit = MAX_ROWS - self._count
        if limit <= 0 or self._estimate(first[:4]) > function.hits * ROWS_PER_HIT:
            return
        if not self._count:
            self._version = self._database.version()
            self._fresh_until = monotonic() + FRESH_S
        rows = self._database.rows(AHEAD, (first[:4], first[:4] + b"\xff" * 17, limit))
        self._count += len(rows)
        # The rows of one key count only if all of them are here: none is too long, none beyond the limit.
        partial = {rows[-1][0][:15]} if len(rows) == limit else set()
        fingerprint = first[12:]
        for row in rows:
            if row[2] is None:
                partial.add(row[0][:15])
            elif row[0][12:15] == fingerprint:
                function.rows.setdefault(row[0][:15], []).append(row)
        for key in partial:
            function.rows.pop(key, None)

    def _estimate(self, symbol: bytes) -> float:
        """About how many rows the symbol has."""
        nth = self._database.rows(NTH, (symbol, symbol + b"\xff" * 17))
        if not nth:
            return SAMPLE
        part = int.from_bytes(nth[0][0][4:12], "big") / 2**64
        return SAMPLE / max(part, 1e-9)

    def _is_outdated(self) -> bool:
        self._fresh_until = monotonic() + FRESH_S
        version, self._version = self._version, self._database.version()
        return version != self._version

    def forget(self, row_key: bytes) -> None:
        """Look up the key of this row anew: we wrote or removed it."""
        self._others = None
        function = self._functions.get(row_key[:4] + row_key[12:15])
        if function is not None:
            function.rows.pop(row_key[:15], None)

    def clear(self) -> None:
        """Forget all rows."""
        self._others = None
        self._functions.clear()
        self._count = 0
