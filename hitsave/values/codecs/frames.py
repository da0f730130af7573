"""pandas, for `tree`: frames, series, indexes, and the arrays their columns are made of.

Numbers stay in their own memory on the way out, and lie in the blob's on the way in. A frame of one dtype in one block
is one buffer; otherwise each column is. A column of Python objects is stored if they are all atoms.

pandas has many corners (frequencies, storage of strings, flags, resolution of times), and more with each release. So
nothing is trusted here: what was taken apart is made again from the same memory, and unless the two have one digest,
the value is left to pickle.
"""

from __future__ import annotations

import sys

from hitsave.errors import CannotDigest
from hitsave.values.codecs.kinds import Unfit
from hitsave.values.digest import ATOMS, digest_value
from hitsave.values.naming import library, package_name, type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


_SHORT_BYTES = 1 << 16


def take(value: Any) -> tuple[str, tuple[Any, ...]]:
    """(kind, parts) of a value of pandas."""
    if package_name(type(value)) != "pandas":
        raise Unfit  # a subclass may hold anything
    name, parts = _take(value)
    # A library that refuses its own parts (or warns of them, where the user has made warnings errors) has told us that
    # they aren't enough.
    try:
        exact = _same(MAKERS[name](None, *parts), value)
    except (CannotDigest, TypeError, ValueError, AttributeError, KeyError, ImportError, Warning) as error:
        raise Unfit from error
    if not exact:
        raise Unfit
    return name, parts


def _same(one: Any, other: Any) -> bool:
    """Whether two values have one digest. Arrays that are the same memory needn't be read for that."""
    by_address: Any = {sys.modules["numpy"].ndarray: _address}
    if digest_value(one, code=type_name, hashers=by_address) == digest_value(other, code=type_name, hashers=by_address):
        return True
    return digest_value(one, code=type_name) == digest_value(other, code=type_name)


def _address(array: Any) -> object:
    if array.dtype.hasobject:
        return array.tolist()
    where: object = array.__array_interface__["data"][0], array.strides
    if array.nbytes < _SHORT_BYTES:  # it may have been made for the occasion
        where = array.tobytes()
    return array.dtype.str, array.shape, where


def _take(value: Any) -> tuple[str, tuple[Any, ...]]:
    pandas: Any = sys.modules["pandas"]
    if isinstance(value, pandas.DataFrame):
        return _take_frame(value)
    if isinstance(value, pandas.Series):
        labels = (value.index, value.name, value.attrs, value.flags.allows_duplicate_labels)
        return "Series", (_take_column(value), *labels)
    if isinstance(value, pandas.RangeIndex):
        return "RangeIndex", (value.start, value.stop, value.step, value.name)
    if isinstance(value, pandas.MultiIndex):
        return "MultiIndex", (list(value.levels), list(value.codes), list(value.names))
    if isinstance(value, pandas.Index):
        return "Index", (_take_column(value), value.name, getattr(value, "freqstr", None))
    if value is pandas.NaT or value is pandas.NA:
        return "NaT" if value is pandas.NaT else "NA", ()
    if type(value) is pandas.Timestamp and not value.fold:
        return "Timestamp", (value.asm8.view("i8").item(), value.unit, value.tzinfo)
    if type(value) is pandas.Timedelta:
        return "Timedelta", (value.asm8.view("i8").item(), value.unit)
    raise Unfit


def _take_frame(value: Any) -> tuple[str, tuple[Any, ...]]:
    labels = (value.index, value.columns, value.attrs, value.flags.allows_duplicate_labels)
    # How many blocks there are is told by no public name; without it each column is a buffer, which is as right.
    blocks: Any = getattr(getattr(value, "_mgr", None), "blocks", ())
    numpy: Any = sys.modules["numpy"]
    if len(blocks) == 1 and isinstance(blocks[0].dtype, numpy.dtype) and blocks[0].dtype.kind in "biufc":
        return "block", (value.to_numpy(), *labels)
    return "DataFrame", ([_take_column(value.iloc[:, at]) for at in range(value.shape[1])], *labels)


def _take_column(value: Any) -> Any:
    """The array behind a series or index: of NumPy, or a tuple that `_make_column` understands."""
    numpy: Any = sys.modules["numpy"]
    pandas: Any = sys.modules["pandas"]
    arrays = pandas.arrays
    dtype, array = value.dtype, value.array
    if isinstance(dtype, numpy.dtype):
        return ("objects", _atoms(value.to_numpy().tolist())) if dtype.hasobject else value.to_numpy()
    if isinstance(array, pandas.Categorical):
        return "categorical", array.categories, array.codes, array.ordered
    if isinstance(array, arrays.DatetimeArray):
        return "times", numpy.asarray(array.asi8), dtype.unit, dtype.tz
    if isinstance(array, arrays.PeriodArray):
        return "periods", numpy.asarray(array.asi8), dtype.name[len("period[") : -1]
    if isinstance(array, arrays.IntervalArray):
        return "intervals", array.left, array.right, array.closed
    if isinstance(array, (arrays.IntegerArray, arrays.FloatingArray, arrays.BooleanArray)):
        kind = dtype.numpy_dtype
        return "masked", array.to_numpy(dtype=kind, na_value=kind.type(0)), numpy.asarray(array.isna())
    if isinstance(dtype, pandas.StringDtype):
        missing = dtype.na_value is pandas.NA
        texts = array.to_numpy(dtype=object, na_value=None).tolist()
        return "texts", _atoms(texts), dtype.storage, missing
    if type(array).__name__ == "ArrowExtensionArray":
        return "arrow", array.__arrow_array__()
    raise Unfit


def _atoms(values: list[Any]) -> list[Any]:
    if not set(map(type, values)) <= ATOMS:
        raise Unfit
    return values


def _make_column(taken: Any) -> Any:
    numpy = library("numpy")
    pandas = library("pandas")

    arrays: Any = pandas.arrays
    if not isinstance(taken, tuple):
        return taken
    kind, *parts = taken
    if kind == "objects":
        made: Any = numpy.empty(len(parts[0]), dtype=object)
        made[:] = parts[0]
        return pandas.Series(made, dtype=object, copy=False).array
    if kind == "categorical":
        categories, codes, ordered = parts
        return pandas.Categorical.from_codes(codes, dtype=pandas.CategoricalDtype(categories, ordered))
    if kind == "times":
        numbers, unit, zone = parts
        naive = pandas.DatetimeIndex(numbers.view(f"M8[{unit}]"), copy=False)
        return naive.tz_localize("UTC").tz_convert(zone).array
    if kind == "periods":
        return arrays.PeriodArray(parts[0], dtype=pandas.PeriodDtype(parts[1]))
    if kind == "intervals":
        return arrays.IntervalArray.from_arrays(parts[0], parts[1], closed=parts[2])
    if kind == "masked":
        values, mask = parts
        names = {"b": "BooleanArray", "i": "IntegerArray", "u": "IntegerArray", "f": "FloatingArray"}
        return getattr(arrays, names[values.dtype.kind])(values, mask)
    if kind == "texts":
        texts, storage, missing = parts
        options = {} if missing else {"na_value": numpy.nan}
        return pandas.array(texts, dtype=pandas.StringDtype(storage, **options))
    return arrays.ArrowExtensionArray(parts[0])


def _finish(made: Any, attrs: dict[Any, Any], unique_labels: bool) -> Any:
    if attrs:
        made.attrs = attrs
    return made if unique_labels else made.set_flags(allows_duplicate_labels=False)


def _make_block(_: object, values: Any, index: Any, columns: Any, attrs: dict[Any, Any], allows: bool) -> Any:
    pandas = library("pandas")

    return _finish(pandas.DataFrame(values, index=index, columns=columns, copy=False), attrs, allows)


def _make_frame(_: object, taken: list[Any], index: Any, columns: Any, attrs: dict[Any, Any], allows: bool) -> Any:
    pandas = library("pandas")

    arrays = dict(enumerate(map(_make_column, taken)))
    made = pandas.DataFrame(arrays, index=index, copy=False)
    made.columns = columns
    return _finish(made, attrs, allows)


def _make_series(_: object, taken: Any, index: Any, name: Any, attrs: dict[Any, Any], allows: bool) -> Any:
    pandas = library("pandas")

    return _finish(pandas.Series(_make_column(taken), index=index, name=name, copy=False), attrs, allows)


def _make_index(_: object, taken: Any, name: Any, frequency: str | None) -> Any:
    pandas = library("pandas")

    made = _make_column(taken)
    dtype = object if isinstance(taken, tuple) and taken[0] == "objects" else None
    if frequency is not None:
        kind = pandas.TimedeltaIndex if getattr(made.dtype, "kind", "") == "m" else pandas.DatetimeIndex
        if isinstance(made, pandas.arrays.PeriodArray):
            return pandas.PeriodIndex(made, name=name)
        return kind(made, freq=frequency, name=name)
    return pandas.Index(made, name=name, dtype=dtype)


def _make_range(_: object, start: int, stop: int, step: int, name: Any) -> Any:
    pandas = library("pandas")

    return pandas.RangeIndex(start, stop, step, name=name)


def _make_multi(_: object, levels: list[Any], codes: list[Any], names: list[Any]) -> Any:
    pandas = library("pandas")

    return pandas.MultiIndex(levels, codes, names=names)


def _make_timestamp(_: object, number: int, unit: str, zone: Any) -> Any:
    numpy = library("numpy")
    pandas = library("pandas")

    made = pandas.Timestamp(numpy.datetime64(number, unit))
    return made if zone is None else made.tz_localize("UTC").tz_convert(zone)


def _make_timedelta(_: object, number: int, unit: str) -> Any:
    numpy = library("numpy")
    pandas = library("pandas")

    return pandas.Timedelta(numpy.timedelta64(number, unit))


def _make_missing(name: str) -> Callable[..., Any]:
    return lambda _: getattr(__import__("pandas"), name)


MAKERS: dict[str, Callable[..., Any]] = {
    "block": _make_block,
    "DataFrame": _make_frame,
    "Series": _make_series,
    "Index": _make_index,
    "RangeIndex": _make_range,
    "MultiIndex": _make_multi,
    "Timestamp": _make_timestamp,
    "Timedelta": _make_timedelta,
    "NaT": _make_missing("NaT"),
    "NA": _make_missing("NA"),
}
