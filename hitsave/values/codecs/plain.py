"""`plain`: builtins all the way down, as marshal format 2 behind a checksum.

The bytes are the value's canonical form (`hitsave.values.digest`), so equal results have equal bytes, and dict order,
`-0.0`, nan, tuples and lists come back as they were. What it doesn't keep is identity, so a value that holds one list
(dict, set) in two places, or in itself, is left to pickle: a change through one of them must show in the other.

marshal isn't made for hostile bytes and may crash on them. Ours were verified; the checksum is for those who switch
verification off, so that damage is noticed before marshal sees it.

    4 bytes   CRC-32 of the rest, little-endian
    rest      marshal 2, sets sorted
"""

from __future__ import annotations

from binascii import crc32
from gc import get_referents
from marshal import loads

from hitsave.errors import StoreError
from hitsave.values.digest import ATOMS, CONTAINERS, TEXTS, dumps_or_nothing, estimated_bytes, has_sorted_sets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

version = 1
# History: 1  2026-11

_MUTABLE = frozenset({list, dict, set})
_MAX_NODES = 1 << 24
_MAX_DEPTH = 200
_REPEATED_BYTES = 1 << 20


def is_plain_tree(value: object, seen: set[int]) -> bool:
    """Whether `value` is builtins all the way down, none that can change in two places.

    `seen` are the ids of those met before, to which the new ones are added.
    """
    level: Any = (value,)
    nodes = 0
    for _ in range(_MAX_DEPTH):
        kinds = set(map(type, level))
        if not kinds.isdisjoint(TEXTS) and repeats_text(level):
            return False
        if kinds <= ATOMS:
            return True
        if not kinds <= ATOMS | CONTAINERS:
            return False
        if not kinds.isdisjoint(_MUTABLE):
            before = len(seen)
            mutable = [id(part) for part in level if type(part) in _MUTABLE]
            seen.update(mutable)
            if len(seen) < before + len(mutable):
                return False
        level = get_referents(*level)
        nodes += len(level)
        if nodes > _MAX_NODES:
            return False
    return False


def repeats_text(values: Any) -> bool:
    """Whether much of the text in `values` is there more than once: marshal would write it each time, pickle once."""
    if estimated_bytes(values) < _REPEATED_BYTES:
        return False
    texts = [value for value in values if isinstance(value, (str, bytes))]
    different = {id(text): len(text) for text in texts}
    return sum(map(len, texts)) > 2 * sum(different.values()) + _REPEATED_BYTES


def dump(value: object, _: object = None) -> list[bytes] | None:
    """The checksum and the marshalled value; None if it isn't plain."""
    if type(value) not in ATOMS and not is_plain_tree(value, set()):
        return None
    form = marshalled(value)
    return [crc32(form).to_bytes(4, "little") + form] if form else None


def marshalled(value: object) -> bytes:
    """The canonical form of a plain value; b"" if it holds something beyond 2 GiB."""
    if has_sorted_sets(value):
        return dumps_or_nothing(value)
    from hitsave.values.canonical import Canonical

    canonical = Canonical(repr)
    form = canonical.form(value)
    return form if canonical.plain else b""


def load(data: memoryview, _: object = None) -> Any:
    """A fresh value."""
    form = data[4:]
    if crc32(form) != int.from_bytes(data[:4], "little"):
        raise StoreError("a stored result is damaged: its checksum is wrong")
    return loads(form)
