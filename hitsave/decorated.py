"""Every memoised function of this process by its symbol, called before or not.

A stored result may stand for a call of a function that this process has decorated but not called yet; it has to be
found then. Functions are held weakly: those made inside other functions go when their last user goes.
"""

from __future__ import annotations

from _weakref import ref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

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


# Functions whose wrappers call the evaluator of the current session, and what each called before.
_connected: list[tuple[ref[Memo], Callable[..., Any]]] = []


def note_connected(memo: Memo, before: Callable[..., Any]) -> None:
    """Know that the wrapper of `memo` calls the current session; `before` is what it called until now."""
    _connected.append((ref(memo), before))


def disconnect() -> None:
    """Take all functions off their session; each finds the current one at its next call."""
    from hitsave.evaluator.wrapper import connect

    while _connected:
        known, before = _connected.pop()
        memo = known()
        if memo is not None and memo.wrapper is not None:
            memo.plan = None
            memo.table.clear()
            connect(memo.wrapper, before)
