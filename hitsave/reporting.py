"""`report`: what this process reused and computed, and the time that saved."""

from __future__ import annotations

from hitsave.decorated import all_decorated
from hitsave.evaluator.memo import warm_hits
from hitsave.record import Record
from hitsave.symbol import Symbol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Used(Record):
    """One memoised function in this process.

    `reused` calls were answered from what is stored, `computed` ones ran; `saved_s` is how long the reused results had
    taken to compute (a result that is used again within the process counts once).
    """

    symbol: Symbol
    reused: int
    computed: int
    saved_s: float


class Report(Record):
    """All memoised functions that were called in this process, and their sums. Prints as one line."""

    functions: tuple[Used, ...]
    reused: int
    computed: int
    saved_s: float

    def as_dict(self) -> dict[str, Any]:
        """The report as plain data, for JSON."""
        return {
            "reused": self.reused,
            "computed": self.computed,
            "saved_s": self.saved_s,
            "functions": {
                used.symbol: dict(zip(Used._fields[1:], used._values()[1:], strict=True)) for used in self.functions
            },
        }

    def __str__(self) -> str:
        saved = f", saved {self.saved_s:.2f} s" if self.reused else ""
        return f"hitsave: {self.reused} reused, {self.computed} computed{saved}"


def report() -> Report:
    """What this process has reused and computed so far."""
    used = [Used(memo.symbol, memo.lookups + warm_hits(memo), memo.misses, memo.saved_s) for memo in all_decorated()]
    called = tuple(sorted((each for each in used if each.reused or each.computed), key=lambda each: each.symbol))
    return Report(
        called,
        sum(each.reused for each in called),
        sum(each.computed for each in called),
        sum(each.saved_s for each in called),
    )
