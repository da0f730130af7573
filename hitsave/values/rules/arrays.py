"""NumPy: arrays, scalars, dtypes and random generators.

An array is its dtype (byte order and field names included), its shape, and its elements in row-major order: whether
memory runs by rows or columns, in steps, or through a memory map doesn't count. A contiguous array is hashed where it
lies; any other in slices of a few MiB, so that digesting never doubles the memory of a program.

Bytes that are not part of any element are not hashed: the padding of aligned records and of `longdouble`.
"""

from __future__ import annotations

import sys

from hitsave.values.naming import library
from hitsave.values.parts import Attributes, Buffer, Parts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from hitsave.values.canonical import Canonical

    Rule = Callable[[Any, Canonical], Parts]

_CHUNK_BYTES = 1 << 22
_LONG_BYTES = 1 << 16  # as `digest.hash_long` counts
_ROWS_IN_STEP = 1 << 14


def find(cls: type) -> Rule | None:
    """The rule for a class of NumPy or derived from one, or None."""
    numpy: Any = sys.modules["numpy"]
    if cls is numpy.ndarray or cls is numpy.memmap:
        return _array
    if issubclass(cls, numpy.generic):
        return _scalar
    if issubclass(cls, numpy.ma.MaskedArray):
        return _masked
    if issubclass(cls, numpy.ndarray):
        return _array_subclass
    if issubclass(cls, numpy.dtype):
        return lambda value, _: Parts("dtype", describe_dtype(value))
    if cls is numpy.ufunc:
        return lambda value, _: Parts("ufunc", value.__name__)
    random: Any = sys.modules.get("numpy.random")
    if random is not None:
        if cls is random.Generator:
            return lambda value, _: Parts("Generator", value.bit_generator)
        if cls is random.RandomState:
            return lambda value, _: Parts("RandomState", value.get_state(legacy=False))
        if issubclass(cls, random.BitGenerator):
            return _bit_generator
    return None


def describe_dtype(dtype: Any) -> object:
    """A dtype as builtins: two are described alike if arrays of them behave alike."""
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return ("array", describe_dtype(base), shape)
    if dtype.names is not None:
        fields = []
        for name in dtype.names:
            field, offset, *title = dtype.fields[name]
            fields.append((name, describe_dtype(field), offset, *title))
        return ("record", tuple(fields), dtype.itemsize, dtype.isalignedstruct, dtype.type.__name__)
    if dtype.kind == "T":
        return ("strings", repr(dtype))
    return dtype.str if dtype.isbuiltin != 2 and dtype.type.__module__ == "numpy" else repr(dtype)


def elements(array: Any) -> object:
    """What stands for the elements of `array`, in row-major order."""
    numpy: Any = sys.modules["numpy"]
    dtype = array.dtype
    if dtype.names is not None and not _is_packed(dtype):
        return Attributes({name: elements(array[name]) for name in dtype.names})
    if dtype.hasobject or dtype.kind == "T":
        return array.reshape(-1).tolist() if array.dtype.names is None else array.tolist()
    if dtype.char in "gG":
        return Buffer(_without_padding(numpy.ascontiguousarray(array)))
    if array.nbytes == 0:
        return b""
    if array.flags.c_contiguous:
        return Buffer(array.reshape(-1).view(numpy.uint8))
    return Buffer(None, _slices(array), array.nbytes)


def hash_in_step(columns: list[Any]) -> list[Buffer | None]:
    """The elements of one-dimensional arrays that lie in one block of memory, row beside row; None for a short one.

    Each is read a few thousand rows at a time, all in turn, so that what one brings into the cache serves the next:
    twice as fast as column after column.
    """
    long = [column for column in columns if column.nbytes > _LONG_BYTES and column.dtype.char not in "gG"]
    if not long:
        return [None] * len(columns)
    numpy = library("numpy")
    from xxhash import xxh3_128

    hashers = {id(column): xxh3_128() for column in long}
    for start in range(0, max(map(len, long)), _ROWS_IN_STEP):
        for column in long:
            hashers[id(column)].update(numpy.ascontiguousarray(column[start : start + _ROWS_IN_STEP]).view(numpy.uint8))
    return [
        Buffer(None, size_bytes=column.nbytes, hash_bytes=hashers[id(column)].digest())
        if id(column) in hashers
        else None
        for column in columns
    ]


def _array(value: Any, _: Canonical) -> Parts:
    return Parts("ndarray", describe_dtype(value.dtype), value.shape, elements(value))


def _array_subclass(value: Any, _: Canonical) -> Parts:
    numpy: Any = sys.modules["numpy"]
    held = getattr(value, "__dict__", {})
    return Parts("ndarray subclass", type(value), value.view(numpy.ndarray), Attributes(held))


def _masked(value: Any, _: Canonical) -> Parts:
    numpy: Any = sys.modules["numpy"]
    mask = None if value.mask is numpy.ma.nomask else numpy.asarray(value.mask)
    held = {name: part for name, part in vars(value).items() if not name.startswith("_")}
    fill = numpy.asarray(value.fill_value)
    parts = (value.view(numpy.ndarray), mask, fill, value.hardmask)
    return Parts("masked array", type(value), *parts, Attributes(held))


def _scalar(value: Any, _: Canonical) -> Parts:
    numpy: Any = sys.modules["numpy"]
    cls = type(value)
    array = numpy.asarray(value)
    parts = ("numpy scalar", describe_dtype(array.dtype), elements(array))
    return Parts(*parts) if cls.__module__ == "numpy" else Parts(*parts, cls)


def _bit_generator(value: Any, _: Canonical) -> Parts:
    return Parts("BitGenerator", value.state, getattr(value, "seed_seq", None))


def _is_packed(dtype: Any) -> bool:
    """Whether every byte of a record belongs to an element whose bytes are its value."""
    if dtype.subdtype is not None:
        return _is_packed(dtype.subdtype[0])
    if dtype.names is None:
        return not dtype.hasobject and dtype.kind != "T" and dtype.char not in "gG"
    fields = [dtype.fields[name][0] for name in dtype.names]
    return sum(field.itemsize for field in fields) == dtype.itemsize and all(map(_is_packed, fields))


def _raw(array: Any) -> Any:
    numpy: Any = sys.modules["numpy"]
    return numpy.ascontiguousarray(array).reshape(-1).view(numpy.uint8)


def _without_padding(array: Any) -> Any:
    """The bytes of x87 numbers: ten of each sixteen (other kinds of long double use all of theirs)."""
    numpy: Any = sys.modules["numpy"]
    raw = array.reshape(-1).view(numpy.uint8)
    real_bytes = numpy.dtype("g").itemsize
    if numpy.finfo("g").nmant == 63 and raw.size:
        return numpy.ascontiguousarray(raw.reshape(-1, real_bytes)[:, :10])
    return raw


def _slices(array: Any) -> Iterator[Any]:
    """The bytes of the elements in row-major order, copied a few MiB at a time."""
    rows = max(1, _CHUNK_BYTES * len(array) // array.nbytes)
    if rows == 1 and array[0].nbytes > _CHUNK_BYTES:
        for part in array:
            yield from _slices(part)
        return
    for start in range(0, len(array), rows):
        yield _raw(array[start : start + rows])
