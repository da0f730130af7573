"""How `tree` takes values of library types apart, and makes them again.

Each kind has a name, a function that gives the simpler values it consists of, and one that makes it of them. Names and
the order of parts are a stored format: a kind may be added, never changed (then it gets a new name).
"""

from __future__ import annotations

import sys

from hitsave.errors import StoreError
from hitsave.values.naming import package_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from hitsave.values.codec import ModuleNames

    Take = Callable[[Any, ModuleNames | None], Iterable[Any]]
    Make = Callable[..., Any]


class Unfit(Exception):
    """This value needs another codec."""


def find(cls: type) -> tuple[str, Take] | None:
    """The name of the kind that instances of `cls` are, and what takes them apart."""
    kind = _KINDS.get((package_name(cls), cls.__qualname__))
    if kind is not None and getattr(sys.modules.get(package_name(cls)), cls.__qualname__, None) is cls:
        return kind[0], kind[1]
    from hitsave.values.codecs import classes

    return classes.find(cls)


def maker(name: str) -> Make:
    """What makes a value of kind `name` of its module names and parts."""
    make = _MAKERS.get(name)
    if make is not None:
        return make
    for module in ("classes", "frames"):
        found = __import__(f"hitsave.values.codecs.{module}", fromlist=["MAKERS"]).MAKERS.get(name)
        if found is not None:
            return found  # type: ignore[no-any-return]
    raise StoreError(f"a stored result is of kind {name!r}, which isn't known here")


def _bare(take: Callable[[Any], tuple[Any, ...]]) -> Take:
    """`take`, for values that carry no attributes of their own besides."""

    def checked(value: Any, _: object) -> tuple[Any, ...]:
        if getattr(value, "__dict__", None):
            raise Unfit
        return take(value)

    return checked


def _named(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(__import__(module, fromlist=[name]), name)


def _called(path: str) -> Make:
    """What calls the class at `path` with the parts."""
    return lambda _, *parts: _named(path)(*parts)


def _datetime_parts(value: Any) -> tuple[Any, ...]:
    fields = (value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond)
    return (*fields, value.fold, value.tzinfo)


def _make_datetime(_: object, *parts: Any) -> Any:
    *fields, fold, zone = parts
    return _named("datetime:datetime")(*fields, zone, fold=fold)


def _make_time(_: object, *parts: Any) -> Any:
    *fields, fold, zone = parts
    return _named("datetime:time")(*fields, zone, fold=fold)


def _zone_parts(value: Any) -> tuple[Any, ...]:
    if value.key is None:
        raise Unfit
    return (value.key,)


def _path_kind(name: str) -> tuple[str, Take, Make]:
    # A PosixPath stored here is a WindowsPath there: what `Path` is.
    made = name if name.startswith("Pure") else "Path"
    return made, lambda v, _: (str(v),), _called(f"pathlib:{made}")


def _factory_parts(value: Any) -> tuple[Any, ...]:
    factory = value.default_factory
    if factory is None:
        return None, dict(value)
    if not isinstance(factory, type) or factory.__module__ != "builtins":
        raise Unfit
    return factory.__qualname__, dict(value)


def _make_defaultdict(_: object, factory: str | None, items: dict[Any, Any]) -> Any:
    made = None if factory is None else _named(f"builtins:{factory}")
    if made is not None and not isinstance(made, type):
        raise StoreError(f"a stored result is damaged: {factory!r} is no type")
    return _named("collections:defaultdict")(made, items)


def _array_parts(value: Any) -> tuple[Any, ...]:
    if sys.byteorder != "little" or value.typecode in "uw":
        raise Unfit
    return value.typecode, value.itemsize, value.tobytes()


def _make_array(_: object, typecode: str, itemsize: int, data: bytes) -> Any:
    made = _named("array:array")(typecode, data)
    if made.itemsize != itemsize:
        raise StoreError("a stored array was written where numbers of its type have another size")
    return made


def _make_ordered(_: object, keys: list[Any], values: list[Any]) -> Any:
    return _named("collections:OrderedDict")(zip(keys, values, strict=True))


def _make_namespace(_: object, attributes: dict[str, Any]) -> Any:
    return _named("types:SimpleNamespace")(**attributes)


# (top-level package, name of the class): (kind, take, make)
_KINDS: dict[tuple[str, str], tuple[str, Take, Make]] = {
    ("builtins", "bytearray"): ("bytearray", lambda v, _: (bytes(v),), _called("builtins:bytearray")),
    ("builtins", "range"): ("range", lambda v, _: (v.start, v.stop, v.step), _called("builtins:range")),
    ("builtins", "slice"): ("slice", lambda v, _: (v.start, v.stop, v.step), _called("builtins:slice")),
    ("decimal", "Decimal"): (
        "Decimal",
        lambda v, _: (tuple(v.as_tuple()),),
        _called("decimal:Decimal"),
    ),
    ("fractions", "Fraction"): (
        "Fraction",
        lambda v, _: (v.numerator, v.denominator),
        _called("fractions:Fraction"),
    ),
    ("datetime", "date"): ("date", lambda v, _: (v.year, v.month, v.day), _called("datetime:date")),
    ("datetime", "datetime"): ("datetime", lambda v, _: _datetime_parts(v), _make_datetime),
    ("datetime", "time"): (
        "time",
        lambda v, _: (v.hour, v.minute, v.second, v.microsecond, v.fold, v.tzinfo),
        _make_time,
    ),
    ("datetime", "timedelta"): (
        "timedelta",
        lambda v, _: (v.days, v.seconds, v.microseconds),
        _called("datetime:timedelta"),
    ),
    ("datetime", "timezone"): ("timezone", lambda v, _: v.__getinitargs__(), _called("datetime:timezone")),
    ("zoneinfo", "ZoneInfo"): ("ZoneInfo", lambda v, _: _zone_parts(v), _called("zoneinfo:ZoneInfo")),
    ("uuid", "UUID"): ("UUID", lambda v, _: (v.bytes,), lambda _, data: _named("uuid:UUID")(bytes=data)),
    ("pathlib", "PosixPath"): _path_kind("PosixPath"),
    ("pathlib", "WindowsPath"): _path_kind("WindowsPath"),
    ("pathlib", "PurePosixPath"): _path_kind("PurePosixPath"),
    ("pathlib", "PureWindowsPath"): _path_kind("PureWindowsPath"),
    ("collections", "deque"): (
        "deque",
        _bare(lambda v: (list(v), v.maxlen)),
        _called("collections:deque"),
    ),
    ("collections", "OrderedDict"): (
        "OrderedDict",
        _bare(lambda v: (list(v.keys()), list(v.values()))),
        _make_ordered,
    ),
    ("collections", "Counter"): ("Counter", _bare(lambda v: (dict(v),)), _called("collections:Counter")),
    ("collections", "defaultdict"): ("defaultdict", _bare(_factory_parts), _make_defaultdict),
    ("types", "SimpleNamespace"): ("SimpleNamespace", lambda v, _: (dict(vars(v)),), _make_namespace),
    ("array", "array"): ("array", _bare(_array_parts), _make_array),
}
_MAKERS: dict[str, Make] = {name: make for name, _, make in _KINDS.values()}


# Values of these kinds may be held in many places: nobody can change them (what a named tuple holds is looked at).
SHAREABLE = frozenset(_MAKERS) - {
    "bytearray",
    "deque",
    "OrderedDict",
    "Counter",
    "defaultdict",
    "SimpleNamespace",
    "array",
}
SHAREABLE |= {"enum", "namedtuple"}
