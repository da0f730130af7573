"""`Groups`: what many evaluations share, kept once in the database and once in memory.

A group is believed only on the strength of a row that refers to it: the tag of that row covers the digest of the
group. So fetching gives raw bytes with their digest, the caller verifies a row with it, and only then opens it.
"""

from __future__ import annotations

from time import monotonic, time

from hitsave.store import packing
from hitsave.store.packing import Group

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from hitsave.evaluation import Evaluation, Observed
    from hitsave.store.database import Database, NewRow
    from hitsave.store.packing import Trace
    from hitsave.symbol import Symbol


# For how long a group that we wrote is taken to be still there; collection leaves groups alone that are not much older.
TRUST_S = 600.0
MAX_GROUPS = 20_000
MAX_READ_BYTES = 16 << 20  # of groups and traces in memory, as they lie on disk
# From how many missing groups of one symbol on one range is cheaper than a look-up each.
RANGE_FROM = 8
NO_TRACE = b"(\0\0\0\0"  # an empty tuple, as marshal writes it

GET = "SELECT value FROM Cache WHERE key = ? AND raw = 1"
RANGE = "SELECT key, value FROM Cache WHERE key >= ? AND key < ? AND raw = 1 LIMIT ?"


class Membership:
    """The group of an evaluation: its id, its digest, its bytes, and the rows to write so that it exists."""

    __slots__ = ("data", "digest", "id", "rows")

    def __init__(self, data: bytes, id: bytes, digest: bytes, rows: list[NewRow]) -> None:
        self.data = data
        self.id = id
        self.digest = digest
        self.rows = rows


class Groups:
    """The groups of one database. Groups are named by the bytes of their symbol and their id (12 bytes)."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._generation = 0
        self._symbols: dict[str, bytes] = {}
        self.table: dict[bytes, Group] = {}  # all that were read so far
        self._traces: dict[bytes, Trace] = {}
        self._read_bytes = 0
        self._kept: dict[bytes, tuple[bytes, bytes, float]] = {}
        self._last: tuple[Observed, tuple[object, ...], float, Membership] | None = None

    def symbol(self, symbol: Symbol) -> bytes:
        """The four bytes that stand for `symbol` in row keys."""
        found = self._symbols.get(symbol)
        if found is None:
            found = self._symbols[symbol] = packing.symbol_bytes(symbol)
        return found

    # Writing

    def of(self, evaluation: Evaluation, prefix: str) -> Membership:
        """The group of `evaluation`, and the rows that must be written with it: none if they are known to be there."""
        if self._database.generation != self._generation:
            self._generation = self._database.generation
            self.forget()
        key, observed, now = evaluation.key, evaluation.observed, monotonic()
        shared = key.symbol, key.fingerprint, evaluation.codec, evaluation.is_experiment, prefix
        if self._last is not None:  # the evaluations of a loop share one record of what they observed
            last_observed, last_shared, until, membership = self._last
            if last_observed is observed and last_shared == shared and now < until:
                return membership
        data, trace = packing.pack_group(evaluation, prefix)
        known = self._kept.get(data)  # which names its trace by content
        if known is not None and now - known[2] < TRUST_S:
            membership = Membership(data, known[0], known[1], [])
            self._last = observed, shared, known[2] + TRUST_S, membership
            return membership
        digest = Group(data).digest
        name = packing.group_id(evaluation.key.fingerprint, digest)
        moment = time()
        row_key = packing.group_key(self.symbol(evaluation.key.symbol), name)
        if trace:
            trace_key = packing.trace_key(packing.trace_digest(trace))
            rows: list[NewRow] = [(trace_key, moment, None, trace), (row_key, moment, trace_key, data)]
        else:
            rows = [(row_key, moment, None, data)]
        return Membership(data, name, digest, rows)

    def written(self, membership: Membership) -> None:
        """Note that the rows of `membership` are in the database."""
        if membership.rows:
            if len(self._kept) >= MAX_GROUPS:
                self._kept.clear()
            self._kept[membership.data] = membership.id, membership.digest, monotonic()

    def forget(self) -> None:
        """Write every group again with its next evaluation: what we believed to be stored may not be."""
        self._kept.clear()
        self._last = None

    # Reading

    def fetch(self, names: Collection[bytes]) -> dict[bytes, Group]:
        """The groups under `names`, as far as they exist, unverified and unopened; others may be among them."""
        missing = [name for name in names if name not in self.table]
        if missing:
            if len(self.table) > MAX_GROUPS or self._read_bytes > MAX_READ_BYTES:
                self.table.clear()
                self._traces.clear()
                self._read_bytes = 0
            if len(missing) > RANGE_FROM:
                self._fetch_ranges(missing)
            for name in missing:
                if name not in self.table:
                    self._fetch_one(name)
        return self.table

    def _fetch_ranges(self, names: list[bytes]) -> None:
        for symbol in {name[:4] for name in names}:
            first = b"g" + symbol
            rows = self._database.rows(RANGE, (first, first + b"\xff" * 9, 4 * len(names)))
            for key, data in rows:
                if key[1:] not in self.table and type(data) is bytes:
                    self.table[key[1:]] = Group(data)
                    self._read_bytes += len(data)

    def _fetch_one(self, name: bytes) -> None:
        for (data,) in self._database.rows(GET, (b"g" + name,)):
            if type(data) is bytes:
                self.table[name] = Group(data)
                self._read_bytes += len(data)
        if name not in self.table:
            self.forget()  # a row without its group: whoever writes next must not think that it is there

    def open(self, group: Group) -> bool:
        """Fill in `group`, which the caller has verified; False if it is of another version, or lost its trace."""
        return packing.open_group(group, self._traces, self._fetch_trace)

    def _fetch_trace(self, digest: bytes) -> bytes:
        for (data,) in self._database.rows(GET, (packing.trace_key(digest),)):
            if type(data) is bytes and packing.trace_digest(data) == digest:
                self._read_bytes += len(data)
                return data
        self.forget()
        return NO_TRACE

    def drop(self, name: bytes) -> None:
        """Read the group anew next time, and write it anew."""
        self.table.pop(name, None)
        self.forget()
