"""What every store can do: memory, disk, the cloud, and several of them stacked.

    find        the evaluations under an exact key                  -> is the result here?
    candidates  those of a function and its arguments, any code      -> did an edit leave one valid?
    load        the bytes of a result, verified                      -> decode
    save        an evaluation with its result
    records     small pieces that many evaluations share: summaries, closures, sources

A store never decodes a result and never raises because of its medium: damaged, locked, full or absent means a miss
and one `StoreWarning`. Only `verify="strict"` raises, and then `UntrustedEntry`. All methods may be called from any
thread. Two evaluations that differ in no more than result, time and texts are one entry: the later replaces the
earlier.
"""

from __future__ import annotations

from hitsave.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Protocol

    from hitsave.digest import Digest, Fingerprint
    from hitsave.evaluation import Blob, Evaluation, Key, Observed
    from hitsave.symbol import Symbol

    Wanted = Callable[[Observed, str], bool]
else:
    Protocol = object  # importing `typing` costs more than a hit

# Records of this kind are named by the fingerprints whose results never leave this machine: no `hitsave push` either.
LOCAL_ONLY = "local-only"
# How many evaluations of one (symbol, arguments) a look-up considers.
MAX_CANDIDATES = 1000


class Mark(Record):
    """A superseded piece of code: newer code has taken the place of `fingerprint` in `symbol`.

    A mark only orders collection and display. Look-up ignores it: whoever goes back to that code hits again.
    """

    symbol: Symbol
    fingerprint: Fingerprint


class Stats(Record):
    """What a store holds: counts, the bytes it occupies in truth (indexes and slack included), and its troubles."""

    entries: int = 0
    experiments: int = 0
    records: int = 0
    blobs: int = 0
    size_bytes: int = 0
    refused: int = 0
    troubles: int = 0


class Store(Protocol):
    """A place for evaluations and their results."""

    def find(self, key: Key) -> Iterable[Evaluation]:
        """Every evaluation under the exact key, newest first; several if they observed different things.

        A stack of stores gives those of its nearest member first and asks the next one only when iterated that far.
        """

    def candidates(self, symbol: Symbol, arguments: Digest, wanted: Wanted | None = None) -> Iterable[Evaluation]:
        """Evaluations of `symbol` with `arguments` under any code, newest first, at most `MAX_CANDIDATES`.

        `wanted(observed, narrowed)` chooses among them before they are read in full, which takes most of the time. It
        sees what was observed without `children` and `narrowed`: one object for all that observed the same.
        """

    def load(self, evaluation: Evaluation) -> Blob | None:
        """The encoded result, verified; None if it is gone or damaged (said once)."""

    def save(self, evaluation: Evaluation, blob: Blob) -> None:
        """Keep `evaluation` and its result. Does nothing (and says so once) where that isn't possible."""

    def remove(self, evaluation: Evaluation) -> bool:
        """Forget `evaluation`; whether it was there. A reader that holds its bytes keeps them."""

    def entries(self, pattern: str = "*") -> Iterator[Evaluation]:
        """Every evaluation whose symbol matches the glob `pattern`, in no particular order."""

    def supersede(self, marks: Iterable[Mark]) -> None:
        """Mark code as replaced by newer code."""

    def revive(self, marks: Iterable[Mark]) -> None:
        """Take such marks back: the code is current again."""

    def superseded(self) -> frozenset[Mark]:
        """All marks."""

    def get_record(self, kind: str, name: str) -> bytes | None:
        """The bytes kept as `name` among the records of `kind`, verified; None if there are none."""

    def put_record(self, kind: str, name: str, data: bytes) -> None:
        """Keep `data` as `name`, replacing what was there."""

    def remove_record(self, kind: str, name: str) -> bool:
        """Forget a record; whether it was there."""

    def record_names(self, kind: str) -> list[str]:
        """The names of all records of `kind`, sorted."""

    def stats(self) -> Stats:
        """Counts and sizes. May take a second on a large store."""

    def close(self) -> None:
        """Let go of files and connections. A later call opens them again."""


def matches(name: str, pattern: str) -> bool:
    """Whether the glob `pattern` fits `name`; case counts everywhere."""
    from fnmatch import fnmatchcase  # with `re` behind it, 6 ms that a look-up has no use for

    return fnmatchcase(name, pattern)
