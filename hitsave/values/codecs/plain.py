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
from hitsave.values.digest import ATOMS, CONTAINERS, dumps_or_nothing, has_sorted_sets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

name = "plain"
version = 1
# History: 1  2026-11

_MUTABLE = frozenset({list, dict, set})
_MAX_NODES = 1 << 24
_MAX_DEPTH = 200


def match(value: object) -> bool:
    """Whether `value` is builtins all the way down, no mutable one of them in two places."""
    if type(value) in ATOMS:
        return True
    level: Any = (value,)
    seen: set[int] = set()
    nodes = 0
    for _ in range(_MAX_DEPTH):
        kinds = set(map(type, level))
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


def dump(value: object) -> list[bytes]:
    """The checksum and the marshalled value."""
    form = dumps_or_nothing(value) if has_sorted_sets(value) else b""
    if not form:
        from hitsave.values.canonical import Canonical

        form = Canonical(repr).form(value)
    return [crc32(form).to_bytes(4, "little") + form]


def load(data: memoryview) -> Any:
    """A fresh value."""
    form = data[4:]
    if crc32(form) != int.from_bytes(data[:4], "little"):
        raise StoreError("a stored result is damaged: its checksum is wrong")
    return loads(form)
