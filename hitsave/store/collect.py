"""Keeping a cache within its limits: which results go, in which order, and how nothing that is needed goes with them.

Experiments are never collected. Of the rest, in this order: what is older than it may be; what exceeds the limits of
its function; and, while the cache is larger than it may be, results of superseded code, oldest first, then those that
save the least time per byte and day. Collection stops at nine tenths of the limit, so that it isn't due again at once.

*Sweeping.* Rows and files that nothing needs any more go too. Each row names what it needs (its tag; its key names its
group), so SQLite finds the rest in one query, inside the transaction in which it goes. A file goes in it as well:
whoever stored a row that needs the file either committed before, and the query sees it, or commits after, looks
whether the file is still there, and writes it again. Groups, which writers remember for `TRUST_S`, go an hour after
they were last written. A file that somebody has mapped stays readable for them.

Clocks may jump: a time in the future counts as now.
"""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from time import time

from hitsave.record import Record
from hitsave.store.blobs import SUFFIX, TEMPORARY, blob_files
from hitsave.store.database import FAILED
from hitsave.store.disk import SUPERSEDED, DiskStore, disk_usage
from hitsave.store.groups import TRUST_S
from hitsave.store.locks import COLLECTING, FileLock
from hitsave.store.packing import BlobRef, blob_key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hitsave.store.hardened import RowCache

    KeepRecord = Callable[[str, str], bool]

ENOUGH = 0.9
ROWS_AT_ONCE = 500  # per transaction, so that writers don't wait long
GROUPS_AFTER_S = 6 * TRUST_S
RECORDS_AFTER_S = 3600.0
HALF_WRITTEN_AFTER_S = 86_400.0
DUE_AFTER_S = 86_400.0
COMPACT_FROM_BYTES = 4 << 20

GROUPS = (
    "DELETE FROM Cache WHERE key >= X'67' AND key < X'68' AND raw = 1 AND store_time < ? AND substr(hex(key), 3) NOT IN"
    " (SELECT substr(hex(key), 1, 8) || substr(hex(key), 25) FROM Cache WHERE key >= X'80' AND raw = 1)"
)
TRACES = (
    "DELETE FROM Cache WHERE key >= X'74' AND key < X'75' AND raw = 1 AND store_time < ? AND key NOT IN"
    " (SELECT tag FROM Cache WHERE key >= X'67' AND key < X'68' AND raw = 1 AND tag IS NOT NULL)"
)
RESULTS = (
    "DELETE FROM Cache WHERE key >= X'62' AND key < X'63' AND raw = 1 AND key NOT IN"
    " (SELECT tag FROM Cache WHERE key >= X'80' AND raw = 1 AND tag IS NOT NULL)"
)
NEEDED = "SELECT DISTINCT tag FROM Cache WHERE key >= X'80' AND raw = 1 AND tag IS NOT NULL"


class FunctionLimit(Record):
    """Limits for the functions whose symbols match the glob `pattern`. 0 means none."""

    pattern: str
    max_entries: int = 0
    max_age_s: float = 0.0


class Limits(Record):
    """Limits of a cache. 0 means none."""

    max_size_bytes: int = 0
    max_age_s: float = 0.0
    functions: tuple[FunctionLimit, ...] = ()


class Collected(Record):
    """What a collection removed (or would), by reason, and what the cache holds now. `busy`: another one was at it."""

    too_old: int = 0
    over_function_limit: int = 0
    superseded: int = 0
    least_useful: int = 0
    records: int = 0
    files: int = 0
    freed_bytes: int = 0
    entries: int = 0
    size_bytes: int = 0
    busy: bool = False

    @property
    def removed(self) -> int:
        """How many evaluations went."""
        return self.too_old + self.over_function_limit + self.superseded + self.least_useful


class Candidate:
    """A stored evaluation that may go, and what would be free without it."""

    __slots__ = ("age_s", "elapsed_s", "fingerprint", "is_superseded", "row_key", "size_bytes", "symbol")

    def __init__(self, row_key: bytes, symbol: str, fingerprint: str, age_s: float, elapsed_s: float) -> None:
        self.row_key = row_key
        self.symbol = symbol
        self.fingerprint = fingerprint
        self.age_s = age_s
        self.elapsed_s = elapsed_s
        self.size_bytes = 0.0
        self.is_superseded = False

    @property
    def worth(self) -> float:
        """Seconds saved per byte, less the longer it lies there."""
        return self.elapsed_s / self.size_bytes / (self.age_s + 3600.0)


def is_due(store: DiskStore) -> bool:
    """Whether the last collection was a day ago. Costs one look at the disk; a cache that doesn't exist is not due."""
    try:
        last = os.stat(_marker(store)).st_mtime
    except OSError:
        return os.path.exists(store.places.database)
    return not 0 <= time() - last < DUE_AFTER_S


def collect(
    store: DiskStore,
    limits: Limits,
    *,
    dry_run: bool = False,
    sources_of: Callable[[bytes], Iterable[str]] | None = None,
) -> Collected:
    """Bring the cache of `store` within `limits`, and sweep what nothing needs; what that removed.

    `dry_run` only tells. `sources_of` gives the names of "source" records that a "closure" record needs: then those
    that none needs go too. Readers and writers of other processes go on meanwhile.
    """
    with FileLock(store.places.flight + ".open", COLLECTING, timeout_s=0.0) as lock:
        if not lock.held and os.path.exists(store.places.database):
            return Collected(busy=True)
        collection = _Collection(store, limits, dry_run=dry_run)
        return collection.run(sources_of)


class _Collection:
    def __init__(self, store: DiskStore, limits: Limits, *, dry_run: bool) -> None:
        self.store = store
        self.limits = limits
        self.dry_run = dry_run
        self.now = time()
        self.candidates: list[Candidate] = []
        self.kept = 0
        self.fingerprints: set[str] = set()  # of experiments

    def run(self, sources_of: Callable[[bytes], Iterable[str]] | None) -> Collected:
        before_bytes = disk_usage(self.store.places.home)
        self._survey(before_bytes)
        too_old = self._choose(self._is_too_old)
        over_limit = self._choose_over_function_limits()
        excess_bytes = self._excess_bytes(before_bytes, [*too_old, *over_limit])
        superseded, excess_bytes = self._choose_while(excess_bytes, superseded=True)
        least_useful, _ = self._choose_while(excess_bytes, superseded=False)
        chosen = [*too_old, *over_limit, *superseded, *least_useful]
        records = files = 0
        if not self.dry_run:
            self._remove([candidate.row_key for candidate in chosen])
            files = self._sweep()
            records = self._sweep_records(sources_of)
            self._compact()
            _touch(_marker(self.store))
        after_bytes = disk_usage(self.store.places.home)
        freed = sum(c.size_bytes for c in chosen) if self.dry_run else max(0, before_bytes - after_bytes)
        return Collected(
            too_old=len(too_old),
            over_function_limit=len(over_limit),
            superseded=len(superseded),
            least_useful=len(least_useful),
            records=records,
            files=files,
            freed_bytes=int(freed),
            entries=self.kept + len(self.candidates),
            size_bytes=after_bytes,
        )

    # Choosing

    def _survey(self, total_bytes: int) -> None:
        marks = {(mark.symbol, mark.fingerprint) for mark in self.store.superseded()}
        sharers: dict[bytes, int] = {}
        sizes: list[tuple[Candidate, bytes | None, int]] = []
        entries = large_bytes = 0
        for evaluation, where, row_key in self.store.located_entries():
            entries += 1
            key = evaluation.key
            name = where.digest if isinstance(where, BlobRef) else None
            if name is not None:
                large_bytes += 0 if name in sharers else evaluation.size_bytes
                sharers[name] = sharers.get(name, 0) + 1
            if evaluation.is_experiment:
                self.kept += 1
                self.fingerprints.add(key.fingerprint)
                if name is not None:
                    sharers[name] = 1 << 30  # it stays, whoever else goes
                continue
            age_s = max(0.0, self.now - evaluation.started)
            candidate = Candidate(row_key, key.symbol, key.fingerprint, age_s, evaluation.elapsed_s)
            candidate.is_superseded = (key.symbol, key.fingerprint) in marks
            sizes.append((candidate, name, evaluation.size_bytes))
        # What rows, groups and indexes take in truth, shared out evenly.
        overhead_bytes = max(100.0, (total_bytes - large_bytes) / max(1, entries))
        for candidate, name, size_bytes in sizes:
            own = size_bytes / sharers[name] if name is not None else 0.0
            candidate.size_bytes = own + overhead_bytes
            self.candidates.append(candidate)

    def _choose(self, goes: Callable[[Candidate], bool]) -> list[Candidate]:
        chosen = [candidate for candidate in self.candidates if goes(candidate)]
        if chosen:
            self.candidates = [candidate for candidate in self.candidates if not goes(candidate)]
        return chosen

    def _is_too_old(self, candidate: Candidate) -> bool:
        return 0 < self.limits.max_age_s < candidate.age_s

    def _choose_over_function_limits(self) -> list[Candidate]:
        gone: set[bytes] = set()
        for limit in self.limits.functions:
            by_symbol: dict[str, list[Candidate]] = {}
            for candidate in self.candidates:
                if fnmatchcase(candidate.symbol, limit.pattern):
                    by_symbol.setdefault(candidate.symbol, []).append(candidate)
            for of_one in by_symbol.values():
                of_one.sort(key=lambda c: (c.is_superseded, c.age_s))
                for position, candidate in enumerate(of_one):
                    over = 0 < limit.max_entries <= position
                    if over or 0 < limit.max_age_s < candidate.age_s:
                        gone.add(candidate.row_key)
        return self._choose(lambda candidate: candidate.row_key in gone)

    def _excess_bytes(self, total_bytes: int, going: list[Candidate]) -> float:
        left_bytes = total_bytes - sum(candidate.size_bytes for candidate in going)
        limit_bytes = self.limits.max_size_bytes
        return left_bytes - ENOUGH * limit_bytes if 0 < limit_bytes < left_bytes else 0.0

    def _choose_while(self, excess_bytes: float, *, superseded: bool) -> tuple[list[Candidate], float]:
        """Those that go to save `excess_bytes`, and how much is still to be saved after that."""
        those = [candidate for candidate in self.candidates if candidate.is_superseded or not superseded]
        those.sort(key=(lambda c: -c.age_s) if superseded else (lambda c: c.worth))
        gone: set[bytes] = set()
        for candidate in those:
            if excess_bytes <= 0:
                break
            excess_bytes -= candidate.size_bytes
            gone.add(candidate.row_key)
        return self._choose(lambda candidate: candidate.row_key in gone), excess_bytes

    # Removing

    def _remove(self, row_keys: list[bytes]) -> None:
        self.store.preload.clear()
        for position in range(0, len(row_keys), ROWS_AT_ONCE):
            self.store.database.delete(row_keys[position : position + ROWS_AT_ONCE])

    def _sweep(self) -> int:
        """Remove the rows and files that nothing needs; how many files."""
        if not os.path.exists(self.store.places.database):
            return 0
        removed = self.store.database.change(self._sweep_in_transaction)
        self.store.groups.forget()
        return 0 if removed is FAILED else int(removed)

    def _sweep_in_transaction(self, cache: RowCache) -> int:
        connection = cache.connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            until = self.now - GROUPS_AFTER_S
            connection.execute(GROUPS, (until,))
            connection.execute(TRACES, (until,))
            connection.execute(RESULTS)
            needed = {tag for (tag,) in connection.execute(NEEDED)}
            removed = sum(self._remove_file(entry, needed) for entry in blob_files(self.store.places.blobs))
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
        return removed

    def _remove_file(self, entry: os.DirEntry[str], needed: set[bytes]) -> bool:
        try:
            if entry.name.endswith(TEMPORARY):
                age_s = self.now - entry.stat(follow_symlinks=False).st_ctime
                goes = age_s > HALF_WRITTEN_AFTER_S
            else:
                goes = _blob_key(entry.name) not in needed
            if goes:
                os.unlink(entry.path)
        except OSError:
            return False  # gone already, or not ours to remove
        return goes

    def _sweep_records(self, sources_of: Callable[[bytes], Iterable[str]] | None) -> int:
        """Remove the records that no evaluation needs any more; how many."""
        store = self.store
        needed = self.fingerprints | {candidate.fingerprint for candidate in self.candidates}
        until = self.now - RECORDS_AFTER_S  # younger ones may belong to an evaluation that is being stored
        names = [("closure", name) for name in store.record_names("closure", until) if name not in needed]
        for mark in store.record_names(SUPERSEDED, until):
            if mark.rpartition("@")[2] not in needed:
                names.append((SUPERSEDED, mark))
        removed = sum(store.remove_record(kind, name) for kind, name in names)
        if sources_of is not None:
            closures = (store.get_record("closure", name) for name in store.record_names("closure"))
            sources = {source for data in closures if data is not None for source in sources_of(data)}
            for name in store.record_names("source", until):
                if name not in sources:
                    removed += store.remove_record("source", name)
        return removed

    def _compact(self) -> None:
        """Give free pages back to the disk if they are a quarter of the database. Waits for nobody."""

        def compact(cache: RowCache) -> None:
            connection = cache.connection
            (free,), (pages,), (size,) = (
                connection.execute(f"PRAGMA {name}").fetchone()
                for name in ("freelist_count", "page_count", "page_size")
            )
            if free * 4 > pages and free * size > COMPACT_FROM_BYTES:
                connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

        if os.path.exists(self.store.places.database):
            self.store.database.change(compact)


def _blob_key(name: str) -> bytes:
    digest, _, rest = name.partition(".")
    try:
        return blob_key(bytes.fromhex(digest)) if rest.endswith(SUFFIX[1:]) else b""
    except ValueError:
        return b""


def _marker(store: DiskStore) -> str:
    return os.path.join(store.places.home, "collected")


def _touch(path: str) -> None:
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
        os.utime(path)
    except OSError:
        pass  # then the next process finds it due again
