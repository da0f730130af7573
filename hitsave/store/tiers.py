"""`Tiers`: several stores as one, the nearest first, what a far one had kept in the nearer ones too."""

from __future__ import annotations

from hitsave.store.contract import Stats

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from hitsave.digest import Digest
    from hitsave.evaluation import Blob, Evaluation, Key, Observed
    from hitsave.store.contract import Mark, Store, Wanted
    from hitsave.symbol import Symbol


class Tiers:
    """`stores`, nearest first. Look-up asks the next one only if iterated beyond what the nearer ones had."""

    def __init__(self, *stores: Store) -> None:
        self.stores = stores

    def find(self, key: Key) -> Iterator[Evaluation]:
        """Every evaluation under the exact key: those of the nearest store, newest first, then what others add."""
        return _without_repeats([(store.find, (key,)) for store in self.stores])

    def candidates(self, symbol: Symbol, arguments: Digest, wanted: Wanted | None = None) -> Iterator[Evaluation]:
        """Evaluations of `symbol` with `arguments` under any code, store by store, each newest first."""
        return _without_repeats([(store.candidates, (symbol, arguments, wanted)) for store in self.stores])

    def load(self, evaluation: Evaluation) -> Blob | None:
        """The encoded result from the nearest store that has it, now also kept in all nearer ones."""
        for position, store in enumerate(self.stores):
            blob = store.load(evaluation)
            if blob is not None:
                for nearer in self.stores[:position]:
                    nearer.save(evaluation, blob)
                return blob
        return None

    def save(self, evaluation: Evaluation, blob: Blob) -> None:
        """Keep `evaluation` and its result in every store."""
        for store in self.stores:
            store.save(evaluation, blob)

    def remove(self, evaluation: Evaluation) -> bool:
        """Forget `evaluation` in every store; whether any had it."""
        removed = [store.remove(evaluation) for store in self.stores]  # from all, not only the first that has it
        return any(removed)

    def entries(self, pattern: str = "*") -> Iterator[Evaluation]:
        """Every evaluation of any store whose symbol matches the glob `pattern`, once."""
        return _without_repeats([(store.entries, (pattern,)) for store in self.stores])

    def supersede(self, marks: Iterable[Mark]) -> None:
        """Mark code as replaced in every store."""
        marks = list(marks)
        for store in self.stores:
            store.supersede(marks)

    def revive(self, marks: Iterable[Mark]) -> None:
        """Take such marks back in every store."""
        marks = list(marks)
        for store in self.stores:
            store.revive(marks)

    def superseded(self) -> frozenset[Mark]:
        """The marks of all stores."""
        return frozenset().union(*[store.superseded() for store in self.stores])

    def get_record(self, kind: str, name: str) -> bytes | None:
        """The record from the nearest store that has it, now also kept in all nearer ones."""
        for position, store in enumerate(self.stores):
            data = store.get_record(kind, name)
            if data is not None:
                for nearer in self.stores[:position]:
                    nearer.put_record(kind, name, data)
                return data
        return None

    def put_record(self, kind: str, name: str, data: bytes) -> None:
        """Keep a record in every store."""
        for store in self.stores:
            store.put_record(kind, name, data)

    def remove_record(self, kind: str, name: str) -> bool:
        """Forget a record in every store; whether any had it."""
        removed = [store.remove_record(kind, name) for store in self.stores]
        return any(removed)

    def record_names(self, kind: str) -> list[str]:
        """The names of the records of `kind` in any store, sorted."""
        return sorted({name for store in self.stores for name in store.record_names(kind)})

    def stats(self) -> Stats:
        """Counts of the fullest store; sizes and troubles of all."""
        stats = [store.stats() for store in self.stores]
        if not stats:
            return Stats()
        return max(stats, key=lambda s: s.entries).replace(
            records=max(s.records for s in stats),
            size_bytes=sum(s.size_bytes for s in stats),
            refused=sum(s.refused for s in stats),
            troubles=sum(s.troubles for s in stats),
        )

    def close(self) -> None:
        """Close every store."""
        for store in self.stores:
            store.close()


def _without_repeats(asked: list[tuple[Callable[..., Iterable[Evaluation]], tuple[Any, ...]]]) -> Iterator[Evaluation]:
    # Nearly every look-up ends in the first store that has anything, so nothing is compared before the next is asked.
    given: list[Evaluation] = []
    for ask, arguments in asked:
        if not given:
            for evaluation in ask(*arguments):
                given.append(evaluation)
                yield evaluation
        else:
            seen: dict[tuple[str, str, str, float, str], list[Observed]] = {}
            for evaluation in given:
                _is_new(evaluation, seen)
            for evaluation in ask(*arguments):
                if _is_new(evaluation, seen):
                    given.append(evaluation)
                    yield evaluation


def _is_new(evaluation: Evaluation, seen: dict[tuple[str, str, str, float, str], list[Observed]]) -> bool:
    key = evaluation.key
    # Hashing what was observed takes longer than all the rest, so compare it only where this doesn't decide.
    identity = key.symbol, key.fingerprint, key.arguments, evaluation.started, evaluation.result
    same = seen.setdefault(identity, [])
    if evaluation.observed in same:
        return False
    same.append(evaluation.observed)
    return True
