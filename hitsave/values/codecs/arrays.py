"""`npy`: a NumPy array or scalar, as its raw memory behind a small head.

The head is the marshalled tuple (what it is, dtype as in NumPy's own `.npy` files, shape, order). Arrays of Python
objects, and dtypes that don't survive being described (NumPy's variable-width strings, user-defined ones), are left to
pickle. An array in column order comes back in column order; other layouts come back contiguous.
"""

from __future__ import annotations

import sys
from marshal import dumps, loads

from hitsave.errors import StoreError
from hitsave.values.codecs.framing import frame, unframe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

name = "npy"
version = 1
# History: 1  2026-11


def match(value: Any) -> bool:
    """Whether `value` is an ordinary array, or a scalar of an ordinary dtype."""
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return False
    kind = type(value)
    if kind is numpy.ndarray or kind is numpy.memmap:
        return is_raw(value.dtype)
    return isinstance(value, numpy.generic) and is_raw(value.dtype) and type(numpy.asarray(value)[()]) is kind


def dump(value: Any) -> list[Any]:
    """The head, and the array's own memory if it is contiguous."""
    numpy = sys.modules["numpy"]
    what = "array" if isinstance(value, numpy.ndarray) else "scalar"
    array = numpy.asarray(value)
    order, raw = raw_bytes(array)
    head = (what, numpy.lib.format.dtype_to_descr(array.dtype), array.shape, order)
    return frame(dumps(head, 2), [raw])


def load(data: memoryview) -> Any:
    """The array, in the memory of `data` if that is writable."""
    import numpy

    head, buffers = unframe(data)
    what, described, shape, order = loads(head)
    if len(buffers) != 1:
        raise StoreError("a stored array is damaged")
    array = from_raw(buffers[0], numpy.lib.format.descr_to_dtype(described), shape, order)
    return array[()] if what == "scalar" else array


def is_raw(dtype: Any) -> bool:
    """Whether arrays of `dtype` are nothing but their bytes, and the dtype can be described."""
    if dtype.hasobject or dtype.kind == "T" or dtype.metadata:
        return False
    numpy = sys.modules["numpy"]
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
    numpy = sys.modules["numpy"]
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
    import numpy

    if 0 in shape or dtype.itemsize == 0:
        return numpy.empty(shape, dtype, order=order)
    array = numpy.frombuffer(raw, numpy.uint8).view(dtype).reshape(shape, order=order)
    # A blob that doesn't start at an aligned address is legal, but slow to compute with.
    return array if array.flags.aligned else array.copy(order)
