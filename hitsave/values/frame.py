"""Containers that are being written, and the path through them to where the writer is."""

from __future__ import annotations

from hitsave.values.digest import ATOMS, CONTAINERS
from hitsave.values.naming import type_name
from hitsave.values.parts import Attributes, Parts, Unordered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

UNORDERED = frozenset({set, frozenset, Unordered})
_MAX_LABELS = 40


class Frame:
    """A container that is being written."""

    __slots__ = ("count", "items", "kind", "known", "long_bytes", "low", "number", "out", "plain", "relative", "value")

    def __init__(self, kind: Any, items: list[Any], value: object, number: int, known: int) -> None:
        self.kind = kind  # a builtin container type, or one of Parts, Attributes, Unordered
        self.items = items  # children; of a dict its keys and values in turn
        self.value = value
        self.number = number
        self.low = number  # the smallest number that anything in it refers to
        self.known = known  # how much of `Canonical._relative` was there before it
        self.relative = False  # whether its form depends on where a cycle inside it was entered
        self.count = 0  # children taken so far
        self.long_bytes = 0  # in forms of children that are long
        self.out: list[bytes] = []
        self.plain = kind in CONTAINERS  # builtins all the way down, as far as we have seen


def path_below(frames: list[Frame]) -> str:
    """What leads through `frames`, the outermost first, to the child last taken from the innermost: `.callbacks[2]`."""
    labels = [*map(_label, frames)]
    if len(labels) > _MAX_LABELS:
        labels[_MAX_LABELS // 2 : -_MAX_LABELS // 2] = [" ... "]
    return "".join(labels)


def _label(frame: Frame) -> str:
    """What leads from a container to the child that was last taken from it."""
    at = frame.count - 1
    if at < 0 or frame.kind is Parts:
        return ""
    if frame.kind in UNORDERED:
        return "{...}"
    if frame.kind is list or frame.kind is tuple:
        return f"[{at}]"
    key = frame.items[at & ~1]
    if at % 2 == 0:
        return f".keys()[{at // 2}]"
    if frame.kind is Attributes and isinstance(key, str):
        return f".{key}"
    return f"[{key!r:.40}]" if type(key) in ATOMS else f"[<{type_name(type(key))}>]"
