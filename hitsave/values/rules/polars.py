"""polars: frames and series.

A series is its name, its dtype, which elements are missing, and the others' values: numbers, dates and times as their
physical numbers (hashed where they lie), everything else as Python values. Only polars itself is asked, so that the
digest doesn't depend on whether pyarrow is installed.
"""

from __future__ import annotations

import sys

from hitsave.values.parts import Attributes, Parts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from hitsave.values.canonical import Canonical

    Rule = Callable[[Any, Canonical], Parts]

# Only these: asked for another, polars may end the program's thread (128 bits: "PanicException").
_OF_NUMPY = frozenset(
    ("Boolean", "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float32", "Float64")
)


def find(cls: type) -> Rule | None:
    """The rule for a class of polars or derived from one, or None."""
    polars: Any = sys.modules.get("polars")
    if not hasattr(polars, "DataFrame"):  # it is still being imported
        return None
    if issubclass(cls, polars.DataFrame):
        return _frame
    if issubclass(cls, polars.Series):
        return _series
    if issubclass(cls, polars.DataType):
        return lambda value, _: Parts("polars dtype", repr(value))
    return None


def _frame(value: Any, _: Canonical) -> Parts:
    columns = {name: value.get_column(name) for name in value.columns}
    return Parts("polars.DataFrame", _class(value), value.height, Attributes(columns))


def _series(value: Any, _: Canonical) -> Parts:
    missing = None
    dtype = value.dtype
    length = len(value)
    if value.null_count() and str(dtype) != "Null":
        missing = value.is_null().to_numpy()
        value = value.drop_nulls()
    return Parts("polars.Series", _class(value), value.name, repr(dtype), length, missing, _content(value))


def _content(value: Any) -> object:
    if value.dtype.is_temporal():
        return value.to_physical().to_numpy()
    return value.to_numpy() if str(value.dtype) in _OF_NUMPY else value.to_list()


def _class(value: Any) -> object:
    cls = type(value)
    return cls.__name__ if cls.__module__.partition(".")[0] == "polars" else cls
