"""Which results may be handed out again as they are: those that nobody can change.

The memory tier returns the same object on each hit for these, and decodes anew for all others.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ATOMIC = frozenset({int, str, bytes, bool, type(None), complex, float, type(...), type(NotImplemented), range})
_MAX_ITEMS = 1000


def is_atomic(value: object) -> bool:
    """Whether `value` is an exact builtin without parts, and equal to no differently typed or signed value of its type.

    Such values may be keys of a table together with their types: `0.0`, which equals `-0.0`, and nan are not atomic,
    nor is a complex number that has one of them.
    """
    kind = type(value)
    if kind is float:
        return value != 0.0 and value == value
    if kind is complex:
        return is_atomic(value.real) and is_atomic(value.imag)  # type: ignore[attr-defined]
    return kind in _KEYS


def is_immutable(value: object) -> bool:
    """Whether nothing in `value` can be changed: atoms, and tuples and frozensets of them, up to 1,000 items in all."""
    kind = type(value)
    if kind in _ATOMIC:
        return True
    if kind is not tuple and kind is not frozenset:
        return False
    left = _MAX_ITEMS
    waiting: list[Any] = [value]
    while waiting:
        items = tuple(waiting.pop())
        left -= len(items)
        if left < 0:
            return False
        for item in items:
            kind = type(item)
            if kind is tuple or kind is frozenset:
                waiting.append(item)
            elif kind not in _ATOMIC:
                return False
    return True


_KEYS = frozenset({int, str, bytes, bool, type(None)})
