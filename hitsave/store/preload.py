"""`Preload`: the rows of a function fetched before they are asked for, once it is hit again and again.

A look-up of one key costs 7 µs, most of it for the transaction around it; a row of a range costs 0.8. So fetching all
rows of a function pays as soon as a good part of them will be asked for. Nobody knows that, but who has hit an eighth
of them is likely to go on. How many rows there are is estimated from one key: digests of arguments are spread evenly,
so where the 32nd of them lies tells the rest. Rows are kept as they lie on disk, unverified.

What another process removes is noticed within `FRESH_S`; a key that is not among the rows is always looked up, so a
new entry is found at once.

In the same way a function that misses again and again has the keys of all its calls fetched: a call that isn't among
them needs no look-up, as long as nobody else has stored anything (`Flights.news_of_others`).
"""

from __future__ import annotations

from time import monotonic

from hitsave.store.contract import MAX_CANDIDATES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hitsave.store.database import Database, Row
    from hitsave.store.flight import Flights

FIRST_HITS = 8
ROWS_PER_HIT = 8
SAMPLE = 32
MAX_ROWS = 20_000
MAX_ROW_BYTES = 400
# The key of a call costs a third of a row, and spares twice as much.
CALLS_PER_MISS = 32
MAX_CALLS = 100_000  # 8 MB
FRESH_S = 1.0
# Up to here, all rows of a call are fetched at once: its results under other code are what is asked for next.
FEW = 8
SAME_LOOKUP_S = 0.005

# One more than a look-up considers: then only the newest are asked for, which takes sorting.
FIND = f"SELECT key, store_time, value FROM Cache WHERE key >= ? AND key < ? AND raw = 1 LIMIT {MAX_CANDIDATES + 1}"
NEWEST = FIND.replace(f"LIMIT {MAX_CANDIDATES + 1}", f"ORDER BY store_time DESC LIMIT {MAX_CANDIDATES}")
FIRST_FEW = FIND.replace(f"LIMIT {MAX_CANDIDATES + 1}", f"LIMIT {FEW + 1}")
NTH = f"SELECT key FROM Cache WHERE key >= ? AND key < ? AND raw = 1 ORDER BY key LIMIT 1 OFFSET {SAMPLE}"
CALLS = "SELECT substr(key, 1, 12) FROM Cache WHERE key >= ? AND key < ? AND raw = 1 LIMIT ?"
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


class Misses:
    """The misses of one symbol; and the calls that anything is stored for, by the first 12 bytes of their keys.

    `known` holds these calls, if they were fetched; the news of others before that, and the database's generation.
    """

    __slots__ = ("count", "known")

    def __init__(self) -> None:
        self.count = 0
        self.known: tuple[set[bytes], int, int] | None = None


class Preload:
    """Look-ups of exact keys in one database. A key is given by the first 15 bytes of its row keys."""

    def __init__(self, database: Database, flights: Flights) -> None:
        self._database = database
        self._flights = flights
        self._misses: dict[bytes, Misses] = {}
        # Another one whenever this process stored a row, for whoever reads keys meanwhile. A lock would do as well, but
        # a fork would copy it as it is held.
        self._last_stored = object()
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
        misses = self._misses.get(first[:4])
        if misses is not None and self._is_absent(misses, first[:12]):
            return []
        rows = self._fetch(first)
        if not rows:
            self._note_miss(first[:4], misses)
        else:
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

    def _is_absent(self, misses: Misses, call: bytes) -> bool:
        """Whether nothing is stored for `call` under any code, as far as that is known."""
        known = misses.known
        if known is None:
            return False
        calls, news, generation = known
        if self._flights.news_of_others() != news or self._database.generation != generation:
            misses.known, misses.count = None, 0
            return False
        if call in calls:
            return False
        self._others = call, monotonic(), []
        return True

    def _note_miss(self, symbol: bytes, misses: Misses | None) -> None:
        if misses is None:
            misses = self._misses[symbol] = Misses()
        misses.count += 1
        if misses.count < FIRST_HITS or misses.count & (misses.count - 1) or misses.known is not None:
            return
        # All this before the keys are read: what is stored meanwhile must not be missed.
        news, generation, last = self._flights.news_of_others(), self._database.generation, self._last_stored
        if news < 0 or self._estimate(symbol) > min(misses.count * CALLS_PER_MISS, MAX_CALLS):
            return
        rows = self._database.rows(CALLS, (symbol, symbol + b"\xff" * 17, MAX_CALLS + 1))
        if len(rows) <= MAX_CALLS:
            misses.known = {call for (call,) in rows}, news, generation
            if self._last_stored is not last:  # looked at after all can see it: from then on, who stores adds to it
                misses.known = None

    def others(self, call: bytes) -> list[Row] | None:
        """All rows of a call (12 bytes) that `find` has just missed under the code of today; None if unknown."""
        known, self._others = self._others, None
        if known is not None and known[0] == call and monotonic() - known[1] <= SAME_LOOKUP_S:
            return known[2]
        misses = self._misses.get(call[:4])
        return [] if misses is not None and self._is_absent(misses, call) else None

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

    def stored(self, row_key: bytes) -> None:
        """A row was stored, which is to be found from now on."""
        self._last_stored = object()
        misses = self._misses.get(row_key[:4])
        known = None if misses is None else misses.known
        if misses is not None and known is not None:
            known[0].add(row_key[:12])
            if len(known[0]) > MAX_CALLS:
                misses.known = None
        self.forget(row_key)

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
        self._misses.clear()
        self._count = 0
