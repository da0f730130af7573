"""`npy`: a NumPy array or scalar, as its raw memory behind a small head.

The head is the marshalled tuple (what it is, dtype as in NumPy's own `.npy` files, shape, order); where there are only
a few bytes they come last in it, and there is no buffer. Arrays of Python objects, and dtypes that don't survive being
described (NumPy's variable-width strings, user-defined ones), are left to pickle. An array in column order comes back
in column order; other layouts come back contiguous.
"""

from __future__ import annotations

import sys
from marshal import dumps, loads

from hitsave.errors import StoreError
from hitsave.values.codecs.framing import frame, unframe
from hitsave.values.naming import library

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

version = 1
# History: 1  2026-11

_INLINE_BYTES = 128


def dump(value: Any, _: object = None) -> list[Any] | None:
    """The head, and the array's own memory if it is contiguous; None for what isn't an ordinary array or scalar."""
    taken = take(value)
    if taken is None:
        return None
    head, raw = taken
    if raw is None:
        return frame(dumps(head, 2), [])
    return frame(dumps(head, 2), [raw])


def load(data: memoryview, _: object = None) -> Any:
    """The array, in the memory of `data` if that is writable."""
    head, buffers = unframe(data)
    if len(buffers) > 1:
        raise StoreError("a stored array is damaged")
    return make(loads(head), buffers[0] if buffers else None)


def take(value: Any) -> tuple[tuple[Any, ...], Any] | None:
    """(what describes an array or scalar, its bytes), or None if that wouldn't be all of it.

    A short one is in its description, bytes and all, and has None beside it.
    """
    numpy: Any = sys.modules["numpy"]
    kind = type(value)
    if kind is numpy.ndarray or kind is numpy.memmap:
        if not is_raw(value.dtype):
            return None
    elif not isinstance(value, numpy.generic) or not is_raw(value.dtype) or type(numpy.asarray(value)[()]) is not kind:
        return None
    what = "array" if isinstance(value, numpy.ndarray) else "scalar"
    array = numpy.asarray(value)
    order, raw = raw_bytes(array)
    head = (what, numpy.lib.format.dtype_to_descr(array.dtype), array.shape, order)
    if array.nbytes <= _INLINE_BYTES:
        return (*head, bytes(raw)), None
    return head, raw


def make(head: tuple[Any, ...], raw: Any) -> Any:
    """The array or scalar that `take` described, in the memory of `raw`."""
    numpy = library("numpy")

    what, described, shape, order, *inside = head
    if inside:
        raw = bytearray(inside[0])
    array: Any = from_raw(raw, numpy.lib.format.descr_to_dtype(described), shape, order)
    return array[()] if what == "scalar" else array


def is_raw(dtype: Any) -> bool:
    """Whether arrays of `dtype` are nothing but their bytes, and the dtype can be described."""
    if dtype.hasobject or dtype.kind == "T" or dtype.metadata:
        return False
    numpy: Any = sys.modules["numpy"]
    if dtype.kind != "V" and dtype.isbuiltin != 0 or dtype.kind in "SUMm":
        return True
    try:
        described = numpy.lib.format.dtype_to_descr(dtype)
        restored = numpy.lib.format.descr_to_dtype(described)
    except (TypeError, ValueError):
        return False
    return bool(restored == dtype and restored.isalignedstruct == dtype.isalignedstruct)


def raw_bytes(array: Any) -> tuple[str, Any]:
    """(order, the bytes of `array` in that order): its own memory if it is contiguous in either order, else a copy."""
    numpy: Any = sys.modules["numpy"]
    order = "C"
    if not array.flags.c_contiguous:
        if array.flags.f_contiguous:
            order, array = "F", array.T
        else:
            array = numpy.ascontiguousarray(array)
    if array.nbytes == 0:
        return order, b""
    return order, array.reshape(-1).view(numpy.uint8)


def from_raw(raw: Any, dtype: Any, shape: tuple[int, ...], order: str) -> Any:
    """The array whose bytes `raw` are, which it keeps."""
    numpy = library("numpy")

    if 0 in shape or dtype.itemsize == 0:
        return numpy.empty(shape, dtype, order=order)
    array: Any = numpy.frombuffer(raw, numpy.uint8).view(dtype).reshape(shape, order=order)
    # A blob that doesn't start at an aligned address is legal, but slow to compute with.
    return array if array.flags.aligned else array.copy(order)
