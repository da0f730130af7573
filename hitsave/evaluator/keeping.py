"""A closure as it is kept from run to run, with every question that was asked to compute it."""

from __future__ import annotations

from marshal import dumps, loads

from hitsave.analysis.closure import Closure
from hitsave.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

VERSION = 1
# History: 1  2026-11  marshal 2 of (version, asked, fields of Closure in order)


class Kept(Record):
    """`asked` are (module name, "canonical@source digest" or ""), sorted: the closure holds while these do."""

    closure: Closure
    asked: tuple[tuple[str, str], ...]


def encode_kept(kept: Kept) -> bytes:
    """The bytes of `kept`; the store authenticates them."""
    fields = tuple(_plain(getattr(kept.closure, field)) for field in Closure._fields)
    form: Any = (VERSION, kept.asked, fields)
    return dumps(form, 2)


def decode_kept(data: bytes) -> Kept | None:
    """What `encode_kept` was given; None if another version wrote it."""
    try:
        version, asked, fields = loads(data)
    except (ValueError, EOFError, TypeError):
        return None
    if version != VERSION or len(fields) != len(Closure._fields):
        return None
    restored: list[Any] = [_restored(field) for field in fields]
    return Kept(Closure(*restored), asked)


def _plain(value: object) -> object:
    if isinstance(value, frozenset):
        return {"set": sorted(value)}
    if isinstance(value, Record):
        return {"record": [_plain(item) for item in value._values()], "type": type(value).__name__}
    if isinstance(value, tuple):
        return tuple(_plain(item) for item in value)
    return value


def _restored(value: object) -> object:
    if isinstance(value, dict):
        if "set" in value:
            return frozenset(value["set"])
        import hitsave.analysis.closure as home

        return getattr(home, value["type"])(*[_restored(item) for item in value["record"]])
    if isinstance(value, tuple):
        return tuple(_restored(item) for item in value)
    return value
