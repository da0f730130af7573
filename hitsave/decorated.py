"""Every memoised function of this process by its symbol, called before or not.

A stored result may stand for a call of a function that this process has decorated but not called yet; it has to be
found then. Functions are held weakly: those made inside other functions go when their last user goes.
"""

from __future__ import annotations

from _weakref import ref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hitsave.evaluator.memo import Memo
    from hitsave.symbol import Symbol

_made: dict[Symbol, ref[Memo]] = {}


def note(memo: Memo) -> None:
    """Know `memo` by its symbol; the latest definition counts, as it does for the module's own name."""
    _made[memo.symbol] = ref(memo)


def decorated(name: Symbol) -> Memo | None:
    """The memoised function called `name`."""
    known = _made.get(name)
    return None if known is None else known()


def all_decorated() -> list[Memo]:
    """All that are alive."""
    return [memo for known in list(_made.values()) if (memo := known()) is not None]
