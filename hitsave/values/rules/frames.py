"""pandas: frames, series, indexes, and the arrays that columns are made of.

A frame is its class, its index, its column labels in order, and each column's dtype and values; and `attrs`, if it has
any. How columns are gathered in blocks doesn't count. A column of plain numbers is hashed where it lies.
"""

from __future__ import annotations

import sys

from hitsave.values.parts import Attributes, Buffer, Parts
from hitsave.values.rules.arrays import describe_dtype, hash_in_step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from hitsave.values.canonical import Canonical

    Rule = Callable[[Any, Canonical], Parts]


def find(cls: type) -> Rule | None:
    """The rule for a class of pandas or derived from one, or None."""
    pandas: Any = sys.modules.get("pandas")
    if not hasattr(pandas, "DataFrame"):  # it is still being imported
        return None
    for kind, rule in (
        (pandas.DataFrame, _frame),
        (pandas.Series, _series),
        (pandas.Index, _index),
        (pandas.api.extensions.ExtensionArray, _extension_array),
        (pandas.api.extensions.ExtensionDtype, _dtype),
    ):
        if issubclass(cls, kind):
            return rule
    return {
        type(pandas.NA): lambda _value, _: Parts("NA"),
        type(pandas.NaT): lambda _value, _: Parts("NaT"),
        pandas.Timestamp: lambda v, _: Parts("Timestamp", v.unit, v.asm8.view("i8").item(), v.tzinfo, v.fold),
        pandas.Timedelta: lambda v, _: Parts("Timedelta", v.unit, v.asm8.view("i8").item()),
        pandas.Period: lambda v, _: Parts("Period", v.freqstr, v.ordinal),
        pandas.Interval: lambda v, _: Parts("Interval", v.left, v.right, v.closed),
    }.get(cls)


def _frame(value: Any, _: Canonical) -> Parts:
    arrays = _columns(value)
    numpy: Any = sys.modules["numpy"]
    strided = [a for a in arrays if type(a) is numpy.ndarray and not a.flags.c_contiguous and not a.dtype.hasobject]
    hashed = dict(zip(map(id, strided), hash_in_step(strided), strict=True))
    held: dict[str, Any] = {}
    for at, (label, array) in enumerate(zip(value.columns, arrays, strict=True)):
        # Labels need be neither text nor different from each other; they are told apart by `columns`.
        name = label if isinstance(label, str) and label not in held else f"iloc[:, {at}]"
        buffer = hashed.get(id(array))
        held[name] = array if buffer is None else Parts("ndarray", describe_dtype(array.dtype), array.shape, buffer)
    labels = Attributes({"columns": value.columns, "index": value.index})
    return Parts("DataFrame", *_common(value), labels, Attributes(held))


def _columns(value: Any) -> list[Any]:
    """The array behind each column."""
    columns = getattr(value, "_iter_column_arrays", None)
    if columns is None:  # it has no public name; a series for each column costs 20 times as much
        return [_values(value.iloc[:, at]) for at in range(value.shape[1])]
    return list(columns())


def _series(value: Any, _: Canonical) -> Parts:
    return Parts(
        "Series", *_common(value), Attributes({"name": value.name, "index": value.index, "values": _values(value)})
    )


def _common(value: Any) -> tuple[object, ...]:
    """What frames and series have in common: class, flags, and what a subclass keeps (`_metadata`)."""
    cls = type(value)
    kept = {name: getattr(value, name, None) for name in value._metadata if name != "_name"}
    attributes = {"attrs": value.attrs, **kept} if value.attrs else kept
    return _class(cls), value.flags.allows_duplicate_labels, Attributes(attributes)


def _class(cls: type) -> object:
    return cls.__name__ if cls.__module__.partition(".")[0] == "pandas" else cls


def _index(value: Any, _: Canonical) -> Parts:
    pandas: Any = sys.modules["pandas"]
    cls = type(value)
    if cls is pandas.RangeIndex:
        return Parts("RangeIndex", value.start, value.stop, value.step, value.name)
    if isinstance(value, pandas.MultiIndex):
        return Parts("MultiIndex", list(value.levels), list(value.codes), list(value.names), _class(cls))
    frequency = getattr(value, "freqstr", None)
    return Parts("Index", _class(cls), value.name, _values(value), frequency)


def _values(value: Any) -> Any:
    """The array behind a series or an index: of NumPy if it is one of numbers, else an extension array."""
    array = value.array
    numpy: Any = sys.modules["numpy"]
    return value.to_numpy() if isinstance(value.dtype, numpy.dtype) and value.dtype.kind not in "mM" else array


def _extension_array(value: Any, canonical: Canonical) -> Parts:
    numpy: Any = sys.modules["numpy"]
    pandas: Any = sys.modules["pandas"]
    arrays = pandas.arrays
    if isinstance(value, (arrays.DatetimeArray, arrays.TimedeltaArray, arrays.PeriodArray)):
        return Parts("times", value.dtype, numpy.asarray(value.asi8))
    if isinstance(value, pandas.Categorical):
        return Parts("Categorical", value.categories, value.ordered, value.codes)
    if isinstance(value, (arrays.IntegerArray, arrays.FloatingArray, arrays.BooleanArray)):
        missing = value.isna()
        # What lies under a missing value is an accident.
        filled = value.to_numpy(dtype=value.dtype.numpy_dtype, na_value=value.dtype.numpy_dtype.type(0))
        return Parts("masked", str(value.dtype), filled, missing if missing.any() else None)
    if isinstance(value, arrays.IntervalArray):
        return Parts("intervals", value.left, value.right, value.closed)
    if isinstance(value, arrays.SparseArray):
        held = (value.sp_values, value.sp_index.indices, len(value), value.fill_value)
        return Parts("sparse", str(value.dtype), value.kind, *held)
    if isinstance(value.dtype, pandas.StringDtype):
        return Parts("strings", value.dtype, *_texts(value))
    if type(value).__name__ == "ArrowExtensionArray":
        return Parts("arrow", value.dtype, value.__arrow_array__())
    if type(value).__name__ in ("NumpyExtensionArray", "PandasArray"):
        return Parts("ndarray", str(value.dtype), value.to_numpy())
    from hitsave.values.rules.instances import instance

    return instance(value, canonical)


def _texts(value: Any) -> tuple[object, ...]:
    """(which are missing, lengths of the others in characters, the others as UTF-8): whoever keeps them, alike."""
    numpy: Any = sys.modules["numpy"]
    missing = numpy.asarray(value.isna())
    arrow: Any = sys.modules.get("pyarrow")
    if arrow is not None and type(value).__name__.startswith("Arrow"):
        compute: Any = __import__("pyarrow.compute", fromlist=["utf8_length"])
        joined = value.__arrow_array__()
        joined = joined.combine_chunks() if isinstance(joined, arrow.ChunkedArray) else joined
        texts = joined.drop_null().cast(arrow.large_string())
        lengths = compute.utf8_length(texts).to_numpy(zero_copy_only=False).astype("<i8", copy=False)
        offsets = numpy.frombuffer(texts.buffers()[1] or b"\0" * 8, "<i8")[texts.offset :][: len(texts) + 1]
        data: Any = memoryview(texts.buffers()[2] or b"")[int(offsets[0]) : int(offsets[-1])]
    else:
        held = value.to_numpy(dtype=object)[~missing].tolist()
        lengths = numpy.fromiter(map(len, held), "<i8", len(held))
        data = "".join(held).encode("utf-8", "surrogatepass")
    return missing if missing.any() else None, lengths, Buffer(data)


def _dtype(value: Any, canonical: Canonical) -> Parts:
    pandas: Any = sys.modules["pandas"]
    if isinstance(value, pandas.CategoricalDtype):
        return Parts("CategoricalDtype", value.categories, value.ordered)
    if isinstance(value, pandas.DatetimeTZDtype):
        return Parts("DatetimeTZDtype", value.unit, value.tz)
    if isinstance(value, pandas.StringDtype):
        # Under pandas 3 every text, column labels too, is kept by pyarrow where that is installed: that's layout.
        return Parts("StringDtype", value.storage if value.na_value is pandas.NA else "", value.na_value)
    if type(value).__module__.partition(".")[0] == "pandas":
        return Parts("dtype", type(value).__name__, str(value))
    from hitsave.values.rules.instances import instance

    return instance(value, canonical)
