"""`arrow`: arrays, record batches and tables of pyarrow, frames and series of polars, in Arrow's own IPC format.

    head    marshalled (library and kind, name)
    buffer  an IPC stream, or for polars an IPC file (what it calls Feather)

These values can't be changed in place, so on reading they may lie in the blob's memory even where that is read-only.
Each library reads what it wrote, and polars needs no pyarrow. What was written is read again, and left to pickle unless
the two have one digest: an extension type that isn't registered or a dictionary without rows may not survive the way.
"""

from __future__ import annotations

import sys
from io import BytesIO
from marshal import dumps, loads

from hitsave.errors import CannotDigest, StoreError
from hitsave.values.codecs.framing import frame, unframe
from hitsave.values.digest import digest_value
from hitsave.values.naming import library, type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

version = 1
# History: 1  2026-11


def dump(value: Any, _: object = None) -> list[Any] | None:
    """The head and the stream; None for what isn't a table or an array."""
    taken = take(value)
    if taken is None:
        return None
    head, stream = taken
    return frame(dumps(head, 2), [stream])


def load(data: memoryview, _: object = None) -> Any:
    """The value, in the memory of `data`."""
    head, buffers = unframe(data, copy=False)
    if len(buffers) != 1:
        raise StoreError("a stored table is damaged")
    return make(loads(head), buffers[0])


def take(value: Any) -> tuple[tuple[str, str], Any] | None:
    """((library and kind, name), IPC bytes), or None if that wouldn't be all of `value`."""
    polars: Any = sys.modules.get("polars")
    if polars is not None and type(value) in (polars.DataFrame, polars.Series):
        return _take_polars(value, polars)
    arrow: Any = sys.modules.get("pyarrow")
    if arrow is None:
        return None
    kind = type(value)
    if kind is arrow.Table:
        return _take_table("pyarrow.Table", value, value)
    if kind is arrow.RecordBatch:
        return _take_table("pyarrow.RecordBatch", arrow.Table.from_batches([value]), value)
    if kind is arrow.ChunkedArray:
        return _take_table("pyarrow.ChunkedArray", arrow.table([value], ["values"]), value)
    if isinstance(value, arrow.Array):
        return _take_table("pyarrow.Array", arrow.table([value], ["values"]), value)
    return None


def make(head: tuple[str, str], stream: Any) -> Any:
    """The value that `take` described."""
    kind, name = head
    if kind.startswith("polars."):
        polars = library("polars")

        frame = polars.read_ipc(bytes(stream), use_pyarrow=False)
        return frame if kind == "polars.DataFrame" else frame.to_series(0).rename(name)
    pyarrow = library("pyarrow")

    table = pyarrow.ipc.open_stream(pyarrow.py_buffer(stream)).read_all()
    if kind == "pyarrow.Table":
        return table
    if kind == "pyarrow.RecordBatch":
        batches = table.combine_chunks().to_batches()
        return batches[0] if batches else pyarrow.RecordBatch.from_pylist([], schema=table.schema)
    column = table.column(0)
    if kind == "pyarrow.ChunkedArray":
        return column
    return (
        column.chunk(0)
        if column.num_chunks == 1
        else pyarrow.concat_arrays(column.chunks)
        if column.num_chunks
        else (pyarrow.array([], column.type))
    )


def _take_table(kind: str, table: Any, value: Any) -> tuple[tuple[str, str], Any] | None:
    arrow: Any = sys.modules["pyarrow"]
    sink = arrow.BufferOutputStream()
    try:
        with arrow.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        stream = sink.getvalue()
        made = make((kind, ""), stream)
        exact = type(made) is type(value) and _digest(made) == _digest(value)
    except (arrow.ArrowException, CannotDigest):
        return None
    return ((kind, ""), memoryview(stream)) if exact else None


def _take_polars(value: Any, polars: Any) -> tuple[tuple[str, str], Any] | None:
    is_frame = type(value) is polars.DataFrame
    frame = value if is_frame else value.alias("values").to_frame()
    if any(dtype == polars.Object for dtype in frame.dtypes):
        return None
    file = BytesIO()
    try:
        frame.write_ipc(file)
        head = ("polars.DataFrame", "") if is_frame else ("polars.Series", value.name)
        exact = _digest(make(head, file.getbuffer())) == _digest(value)
    except (polars.exceptions.PolarsError, CannotDigest):
        return None
    return (head, file.getbuffer()) if exact else None


def _digest(value: Any) -> str:
    return digest_value(value, code=type_name)
