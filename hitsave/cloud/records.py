"""Records as they travel: in forms that the server may read for its pages, without running or trusting anything.

closure   what code a result came from: JSON on the wire, the explainer's own encoding here
source    the text of a module, compressed with zlib, on both sides
"""

from __future__ import annotations

import json
from typing import Any

from hitsave.explain.record import CodeState, decode_code, encode_code

SHARED = ("closure", "source")
MAX_BYTES = 250_000
FIELDS = ("pairs", "versions", "sources")


def to_wire(kind: str, data: bytes) -> bytes | None:
    """What to send for a record; None if it isn't what its kind promises."""
    if kind != "closure":
        return data
    state = decode_code(data)
    if state is None:
        return None
    shown = {name: getattr(state, name) for name in FIELDS}
    return json.dumps({"v": 1, **shown}, separators=(",", ":")).encode()


def from_wire(kind: str, data: bytes) -> bytes | None:
    """The record as it is kept here; None if it can't be read. `data` was verified."""
    if kind != "closure":
        return data
    try:
        value = json.loads(data)
        pairs, versions, sources = (_pairs(value[name]) for name in FIELDS)
        state = CodeState(pairs, versions, sources)  # type: ignore[arg-type]
    except (ValueError, KeyError, TypeError):
        return None
    return encode_code(state)


def _pairs(rows: Any) -> tuple[tuple[str, str], ...]:
    return tuple((str(name), str(value)) for name, value in rows)
