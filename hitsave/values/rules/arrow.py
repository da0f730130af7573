"""Arrow: arrays, tables, scalars and types of pyarrow.

An array is its type, which elements are missing, and the others' values. Chunks, slices of larger arrays, and what lies
under a missing element don't count. Buffers without missing elements are hashed where they lie.
"""

from __future__ import annotations

import sys

from hitsave.values.naming import library
from hitsave.values.parts import Attributes, Buffer, Parts
from hitsave.values.rules.instances import instance

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from hitsave.values.canonical import Canonical

    Rule = Callable[[Any, Canonical], Parts]


def find(cls: type) -> Rule | None:
    """The rule for a class of pyarrow, or None."""
    arrow: Any = sys.modules.get("pyarrow")
    if not hasattr(arrow, "Table"):  # it is still being imported
        return None
    for kind, rule in (
        (arrow.Array, _array),
        (arrow.ChunkedArray, _chunked),
        ((arrow.Table, arrow.RecordBatch), _table),
        (arrow.Scalar, _scalar),
        (arrow.DataType, _type),
        (arrow.Field, _field),
        (arrow.Schema, _schema),
        (arrow.Buffer, lambda value, _: Parts("arrow buffer", Buffer(value))),
    ):
        if issubclass(cls, kind):
            return rule
    return None


def _table(value: Any, _: Canonical) -> Parts:
    columns = [_joined(column) for column in value.columns]
    names = value.schema.names
    held = dict(zip(names, columns, strict=True))
    if len(held) < len(names):  # two columns of one name
        held = {f"column({at})": column for at, column in enumerate(columns)}
    return Parts(type(value).__name__, value.schema, value.num_rows, Attributes(held))


def _chunked(value: Any, _: Canonical) -> Parts:
    return Parts("ChunkedArray", value.type, _joined(value))


def _joined(value: Any) -> Any:
    """One array of the chunks of `value`; a single chunk isn't copied."""
    arrow: Any = sys.modules["pyarrow"]
    if not isinstance(value, arrow.ChunkedArray):
        return value
    if value.num_chunks == 1:
        return value.chunk(0)
    return arrow.concat_arrays(value.chunks) if value.num_chunks else arrow.array([], value.type)


def _array(value: Any, _: Canonical) -> Parts:
    arrow: Any = sys.modules["pyarrow"]
    missing = None
    kind = value.type
    if str(kind) in ("string_view", "binary_view"):  # Arrow can't even filter these
        value = value.cast(arrow.large_string() if str(kind) == "string_view" else arrow.large_binary())
    if value.null_count and str(kind) != "null":
        missing = value.is_null().to_numpy(zero_copy_only=False)
        value = value.drop_null()
    return Parts("arrow", kind, len(value), missing, *_content(value))


def _content(value: Any) -> list[Any]:
    """What stands for the elements of an array in which none is missing."""
    arrow: Any = sys.modules["pyarrow"]
    types = arrow.types
    kind = value.type
    if isinstance(kind, arrow.BaseExtensionType):
        return [value.storage]
    if types.is_null(kind):
        return []
    if types.is_boolean(kind):
        return [value.to_numpy(zero_copy_only=False)]
    if types.is_dictionary(kind):
        return [value.indices, value.dictionary]
    if types.is_struct(kind):
        return list(value.flatten())
    if types.is_fixed_size_list(kind):
        return [value.flatten()]
    if types.is_list(kind) or types.is_large_list(kind):
        return [_offsets(value, value.buffers()[1])[0], value.flatten()]
    if types.is_string(kind) or types.is_binary(kind) or types.is_large_string(kind) or types.is_large_binary(kind):
        _, offsets, data = value.buffers()
        ends, first, last = _offsets(value, offsets)
        return [ends, Buffer(memoryview(data)[first:last] if data is not None else b"")]
    try:
        width = kind.bit_width // 8
    except ValueError:  # maps, unions, run-length encoding: rare, and as lists they are exact
        return [value.to_pylist()]
    data = value.buffers()[-1]
    start = value.offset * width
    return [Buffer(memoryview(data)[start : start + len(value) * width] if data is not None else b"")]


def _offsets(value: Any, buffer: Any) -> tuple[Any, int, int]:
    """(where each element ends, counted from the first; where the first begins; where the last ends)."""
    numpy = library("numpy")

    if buffer is None or not len(value):
        return b"", 0, 0
    wide = str(value.type).startswith("large")
    all_offsets = numpy.frombuffer(buffer, numpy.int64 if wide else numpy.int32)
    offsets = all_offsets[value.offset : value.offset + len(value) + 1]
    first, last = int(offsets[0]), int(offsets[-1])
    return (offsets if first == 0 else offsets - first), first, last


def _scalar(value: Any, _: Canonical) -> Parts:
    arrow: Any = sys.modules["pyarrow"]
    return Parts("arrow scalar", arrow.array([value.as_py()], value.type) if value.is_valid else value.type)


def _type(value: Any, canonical: Canonical) -> Parts:
    arrow: Any = sys.modules["pyarrow"]
    if isinstance(value, arrow.BaseExtensionType):
        name = getattr(value, "extension_name", "")
        return (
            Parts("extension type", type(value).__name__, name, value.storage_type)
            if name
            else instance(value, canonical)
        )
    if arrow.types.is_dictionary(value):
        return Parts("dictionary type", value.index_type, value.value_type, value.ordered)
    return Parts("arrow type", str(value))


def _field(value: Any, _: Canonical) -> Parts:
    return Parts("field", value.name, value.type, value.nullable, value.metadata)


def _schema(value: Any, _: Canonical) -> Parts:
    return Parts("schema", list(value), value.metadata)
