"""Summaries as bytes: what is kept from run to run, so that a warm process parses nothing.

The form is `marshal` of (version, records as (class name, fields…) tuples). It is read only after the store has
verified its authenticity, and another version is simply made anew.
"""

from __future__ import annotations

from marshal import dumps, loads

from hitsave.analysis import summary as home
from hitsave.analysis.summary import NO_FACTS, ModuleSummary
from hitsave.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# 1: every record as a tuple that begins with its class's name
# 2: classes no longer say whether their annotations count
# 3: the line of a pattern may be negative
VERSION = 3
_KINDS = {
    kind.__name__.encode(): kind for kind in vars(home).values() if isinstance(kind, type) and issubclass(kind, Record)
}


def encode_summary(summary: ModuleSummary) -> bytes:
    """`summary` as bytes, for `decode_summary`."""
    form: Any = (VERSION, _plain(summary))
    return dumps(form, 4)  # format 4 writes equal strings and tuples once


def decode_summary(data: bytes) -> ModuleSummary | None:
    """The summary that `encode_summary` was given; None for bytes of another version."""
    try:
        version, plain = loads(data)
    except (ValueError, EOFError, TypeError):
        return None
    found = _record(plain) if version == VERSION else None
    return found if isinstance(found, ModuleSummary) else None


def _plain(value: object) -> object:
    if value is NO_FACTS:
        return (b"",)
    if isinstance(value, Record):
        return (type(value).__name__.encode(), *[_plain(item) for item in value._values()])
    if type(value) is tuple:
        return tuple([_plain(item) for item in value])
    if type(value) is dict:
        return {key: _plain(item) for key, item in value.items()}
    return value


def _record(value: object) -> object:
    if type(value) is tuple:
        head = value[0] if value else None
        if type(head) is bytes:  # no field of a summary is bytes
            if not head:
                return NO_FACTS
            return _KINDS[head](*[_record(item) for item in value[1:]])
        # Tuples of atoms, which most are, come back as they are.
        return tuple([_record(item) for item in value]) if any(type(item) in (tuple, dict) for item in value) else value
    if type(value) is dict:
        return {key: _record(item) for key, item in value.items()}
    return value
