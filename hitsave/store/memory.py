"""`MemoryStore`: the newest few evaluations, in this process, within a limit on their number and bytes.

Results are kept encoded, as immutable bytes: a value that its receiver changed must not be what the next one gets.
"""

from __future__ import annotations

from _thread import RLock

from hitsave.evaluation import Blob
from hitsave.store.contract import MAX_CANDIDATES, Mark, Stats, matches

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hitsave.digest import Digest
    from hitsave.evaluation import Evaluation, Key
    from hitsave.store.contract import Wanted
    from hitsave.symbol import Symbol

    Call = tuple[Symbol, Digest]

# What an entry costs beside its result, roughly: records, strings, dict slots.
ENTRY_BYTES = 1000
MAX_RESULT_BYTES = 1 << 20


class MemoryStore:
    """At most `max_entries` evaluations and `max_bytes` bytes, least recently used out first. Nothing outlives it."""

    def __init__(self, *, max_entries: int = 10_000, max_bytes: int = 64 << 20) -> None:
        self.max_entries = max_entries
        self.max_bytes = max_bytes
        self._lock = RLock()  # re-entrant: a signal handler may call a memoised function
        # Insertion order is the order of use: a call that is used is taken out and put in again.
        self._calls: dict[Call, list[tuple[Evaluation, Blob]]] = {}
        self._records: dict[tuple[str, str], bytes] = {}
        self._marks: set[Mark] = set()
        self._entries = 0
        self._bytes = 0

    def find(self, key: Key) -> list[Evaluation]:
        """Every evaluation under the exact key, newest first."""
        fingerprint = key.fingerprint
        return [e for e in self.candidates(key.symbol, key.arguments) if e.key.fingerprint == fingerprint]

    def candidates(self, symbol: Symbol, arguments: Digest, wanted: Wanted | None = None) -> list[Evaluation]:
        """Evaluations of `symbol` with `arguments` under any code, newest first, if `wanted`."""
        call = symbol, arguments
        with self._lock:
            items = self._calls.pop(call, None)
            if items is None:
                return []
            self._calls[call] = items
            found = [evaluation for evaluation, _ in items]
        return found if wanted is None else [e for e in found if wanted(e.observed, e.observed.narrowed)]

    def load(self, evaluation: Evaluation) -> Blob | None:
        """The encoded result, or None."""
        with self._lock:
            for kept, blob in self._calls.get((evaluation.key.symbol, evaluation.key.arguments), ()):
                if kept is evaluation or kept == evaluation:
                    return blob
        return None

    def save(self, evaluation: Evaluation, blob: Blob) -> None:
        """Keep `evaluation` and its result, unless that is large: mapping a file is as fast as copying memory."""
        if blob.size_bytes > min(self.max_bytes // 8, MAX_RESULT_BYTES):
            with self._lock:
                self._drop(evaluation)
            return
        # A copy where the bytes could change: arrays share memory with their encoded form.
        if type(blob.data) is not bytes or blob.parts:
            blob = Blob(blob.codec, b"".join(blob.buffers()), blob.size_bytes)
        call = evaluation.key.symbol, evaluation.key.arguments
        with self._lock:
            if call not in self._calls:
                self._calls[call] = [(evaluation, blob)]
            else:
                self._drop(evaluation)
                self._insert(evaluation, blob, self._calls.pop(call, []))
            self._entries += 1
            self._bytes += blob.size_bytes + ENTRY_BYTES
            while self._entries > self.max_entries:
                self._evict()
            self._shrink()

    def _insert(self, evaluation: Evaluation, blob: Blob, items: list[tuple[Evaluation, Blob]]) -> None:
        position = 0
        while position < len(items) and items[position][0].started > evaluation.started:
            position += 1
        items.insert(position, (evaluation, blob))
        self._calls[evaluation.key.symbol, evaluation.key.arguments] = items
        for old, _ in items[MAX_CANDIDATES:]:
            self._drop(old)

    def _drop(self, evaluation: Evaluation) -> bool:
        call = evaluation.key.symbol, evaluation.key.arguments
        items = self._calls.get(call, [])
        for position, (kept, blob) in enumerate(items):
            if kept.key.fingerprint == evaluation.key.fingerprint and kept.observed == evaluation.observed:
                del items[position]
                self._forget(blob)
                if not items:
                    del self._calls[call]
                return True
        return False

    def _shrink(self) -> None:
        while self._bytes > self.max_bytes and self._calls:
            self._evict()
        while self._bytes > self.max_bytes:
            self.remove_record(*next(iter(self._records)))

    def _evict(self) -> None:
        for _, blob in self._calls.pop(next(iter(self._calls))):
            self._forget(blob)

    def _forget(self, blob: Blob) -> None:
        self._entries -= 1
        self._bytes -= blob.size_bytes + ENTRY_BYTES

    def remove(self, evaluation: Evaluation) -> bool:
        """Forget `evaluation`; whether it was there."""
        with self._lock:
            return self._drop(evaluation)

    def clear(self, pattern: str = "*") -> None:
        """Forget every evaluation whose symbol matches the glob `pattern`."""
        for evaluation in list(self.entries(pattern)):
            self.remove(evaluation)

    def entries(self, pattern: str = "*") -> Iterator[Evaluation]:
        """Every evaluation whose symbol matches the glob `pattern`."""
        with self._lock:
            found = [evaluation for items in self._calls.values() for evaluation, _ in items]
        for evaluation in found:
            if pattern == "*" or matches(evaluation.key.symbol, pattern):
                yield evaluation

    def supersede(self, marks: Iterable[Mark]) -> None:
        """Mark code as replaced by newer code."""
        with self._lock:
            self._marks.update(marks)

    def revive(self, marks: Iterable[Mark]) -> None:
        """Take such marks back."""
        with self._lock:
            self._marks.difference_update(marks)

    def superseded(self) -> frozenset[Mark]:
        """All marks."""
        with self._lock:
            return frozenset(self._marks)

    def get_record(self, kind: str, name: str) -> bytes | None:
        """The bytes kept as `name` among the records of `kind`."""
        return self._records.get((kind, name))

    def put_record(self, kind: str, name: str, data: bytes) -> None:
        """Keep `data` as `name`. Records share the limits of the store; evaluations go before them."""
        with self._lock:
            self.remove_record(kind, name)
            if len(data) > self.max_bytes // 8:
                return
            self._records[kind, name] = data
            self._bytes += len(data) + ENTRY_BYTES
            while len(self._records) > self.max_entries:
                self.remove_record(*next(iter(self._records)))
            self._shrink()

    def remove_record(self, kind: str, name: str) -> bool:
        """Forget a record; whether it was there."""
        with self._lock:
            data = self._records.pop((kind, name), None)
            if data is not None:
                self._bytes -= len(data) + ENTRY_BYTES
            return data is not None

    def record_names(self, kind: str) -> list[str]:
        """The names of all records of `kind`, sorted."""
        with self._lock:
            return sorted(name for of, name in self._records if of == kind)

    def stats(self) -> Stats:
        """Counts and sizes (an estimate: Python doesn't say what objects occupy)."""
        with self._lock:
            experiments = sum(e.is_experiment for items in self._calls.values() for e, _ in items)
            return Stats(self._entries, experiments, len(self._records), 0, self._bytes)

    def close(self) -> None:
        """Nothing: memory needs no closing, and a store may be used after it."""
