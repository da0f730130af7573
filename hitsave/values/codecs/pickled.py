"""`pickle5`: any other value, as pickle protocol 5 with its large buffers beside the pickle.

Functions and classes are written by reference, as pickle does. A pickle is a program: it is only ever decoded from
bytes whose origin was verified.
"""

from __future__ import annotations

import pickle

from hitsave.values.codecs.framing import frame, unframe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

name = "pickle5"
version = 1
# History: 1  2026-11

_OUT_OF_BAND_BYTES = 1024


def match(_: object) -> bool:
    """True: whether pickle takes a value is known only by trying."""
    return True


def dump(value: Any) -> list[Any]:
    """The pickle, and each buffer of 1 KiB and more."""
    buffers: list[Any] = []

    def keep(buffer: pickle.PickleBuffer) -> bool:
        raw = buffer.raw()
        if raw.nbytes < _OUT_OF_BAND_BYTES:
            return True  # in the pickle itself
        buffers.append(raw)
        return False

    return frame(pickle.dumps(value, 5, buffer_callback=keep), buffers)


def load(data: memoryview) -> Any:
    """A fresh value; its arrays lie in the memory of `data` if that is writable."""
    head, buffers = unframe(data)
    return pickle.loads(head, buffers=buffers)
