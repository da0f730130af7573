"""Types of Python and its standard library, known by name: their digest depends on no version of their code."""

from __future__ import annotations

import sys

from hitsave.values.naming import package_name
from hitsave.values.parts import Attributes, Buffer, Parts, Unordered
from hitsave.values.rules.instances import exception, member, refuse, set_subclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from hitsave.values.canonical import Canonical

    Rule = Callable[[Any, Canonical], Parts]


_MAX_SENTINELS = 1000
_sentinels: dict[int, tuple[object, str]] = {}


def by_type() -> dict[type, Rule]:
    """Rules for types that always exist."""
    return {
        bytearray: lambda v, _: Parts("bytearray", Buffer(v)),
        memoryview: _memoryview,
        range: lambda v, _: Parts("range", v.start, v.stop, v.step),
        slice: lambda v, _: Parts("slice", v.start, v.stop, v.step),
        type(NotImplemented): lambda v, _: Parts("NotImplemented"),
        type(list[int]): lambda v, _: Parts("generic", v.__origin__, v.__args__),
        type(int | str): lambda v, _: Parts("union", Unordered(list(v.__args__))),
        type(type.__dict__): lambda v, _: Parts("mappingproxy", dict(v)),
        type(sys.implementation): lambda v, _: Parts("namespace", Attributes(vars(v))),
        type({}.keys()): lambda v, _: Parts("keys", list(v)),
        type({}.values()): lambda v, _: Parts("values", list(v)),
        type({}.items()): lambda v, _: Parts("items", list(v)),
        object: _sentinel,
        type(_ for _ in ()): refuse,
    }


def find(cls: type) -> Rule | None:
    """The rule for a type of the standard library, or None."""
    top = package_name(cls)
    rule = _BY_NAME.get((top, cls.__qualname__))
    # A user's class may have the name of one of Python's.
    if rule is None or getattr(sys.modules.get(top), cls.__qualname__, None) is not cls:
        return None
    return rule


def find_for_subclass(cls: type) -> Rule | None:
    """The rule for a user's subclass of a type that pickle describes badly, or None."""
    if issubclass(cls, (set, frozenset)):
        return set_subclass
    if issubclass(cls, BaseException):
        return exception
    enum = sys.modules.get("enum")
    if enum is not None and issubclass(cls, enum.Enum):
        return member
    io = sys.modules["io"]
    if issubclass(cls, io.IOBase) and not issubclass(cls, (io.BytesIO, io.StringIO)):
        return refuse
    return None


def _memoryview(value: memoryview, _: Canonical) -> Parts:
    data = value if value.c_contiguous else value.tobytes()
    return Parts("memoryview", value.format, value.shape, Buffer(data))


def _sentinel(value: object, canonical: Canonical) -> Parts:
    """A bare `object()`, which has nothing but its identity: known by the global name that it goes by, if any."""
    known = _sentinels.get(id(value))
    if known is not None:
        return Parts("object", known[1])
    if canonical.sentinels is None:
        canonical.sentinels = _global_names()
    name = canonical.sentinels.get(id(value))
    if name is None:
        return Parts("object")
    if len(_sentinels) < _MAX_SENTINELS:
        _sentinels[id(value)] = (value, name)  # it is a global, so keeping it alive keeps nothing else
    return Parts("object", name)


def _global_names() -> dict[int, str]:
    """{id: the first name in the alphabet} of the bare objects that are globals of some module."""
    found: dict[int, str] = {}
    for module in list(sys.modules.values()):
        for name, held in list(getattr(module, "__dict__", {}).items()):
            if type(held) is object and name < found.get(id(held), "~"):
                found[id(held)] = name
    return found


def _path(value: Any, _: Canonical) -> Parts:
    name = type(value).__name__
    # PosixPath and WindowsPath are what `Path` is here and there: the same relative path is the same key on both.
    return Parts("Path" if not name.startswith("Pure") else name, value.as_posix())


def _datetime(v: Any, _: Canonical) -> Parts:
    fields = (v.year, v.month, v.day, v.hour, v.minute, v.second, v.microsecond, v.fold)
    return Parts("datetime", *fields, v.tzinfo)


def _time(v: Any, _: Canonical) -> Parts:
    return Parts("time", v.hour, v.minute, v.second, v.microsecond, v.fold, v.tzinfo)


def _zone(value: Any, _: Canonical) -> Parts:
    if value.key is None:
        return refuse(value, _)
    return Parts("ZoneInfo", value.key)


def _array(value: Any, _: Canonical) -> Parts:
    return Parts("array", value.typecode, value.itemsize, Buffer(value) if len(value) else b"")


def _ip(value: Any, _: Canonical) -> Parts:
    return Parts(type(value).__name__, str(value))


def _weak(value: Any, _: Canonical) -> Parts:
    return Parts("weakref", value())


def _context_variable(value: Any, _: Canonical) -> Parts:
    """What it holds in the context that asks."""
    try:
        return Parts("ContextVar", value.name, value.get())
    except LookupError:
        return Parts("ContextVar", value.name)


def _thread_local(value: Any, _: Canonical) -> Parts:
    """What it holds in the thread that asks."""
    return Parts("local", type(value).__name__, Attributes(vars(value)))


def _logger(value: Any, _: Canonical) -> Parts:
    return Parts("Logger", value.name)


def _partial(value: Any, _: Canonical) -> Parts:
    held = {"func": value.func, "args": value.args, "keywords": value.keywords, "__dict__": vars(value)}
    return Parts(type(value).__name__, Attributes(held))


def _lru_cache(value: Any, _: Canonical) -> Parts:
    """What it has cached so far follows from the function."""
    return Parts("lru_cache", value.__wrapped__, value.cache_parameters()["maxsize"], value.cache_parameters()["typed"])


_BY_NAME: dict[tuple[str, str], Rule] = {
    ("weakref", "WeakValueDictionary"): lambda v, _: Parts("weak values", dict(v)),
    ("weakref", "WeakKeyDictionary"): lambda v, _: Parts("weak keys", list(v.items())),
    ("_weakrefset", "WeakSet"): lambda v, _: Parts("weak set", Unordered(list(v))),
    ("_contextvars", "ContextVar"): _context_variable,
    ("contextvars", "ContextVar"): _context_variable,
    ("_thread", "_local"): _thread_local,
    # Not its text, which the context of the thread may write with a small "e".
    ("decimal", "Decimal"): lambda v, _: Parts("Decimal", *v.as_tuple()),
    ("fractions", "Fraction"): lambda v, _: Parts("Fraction", v.numerator, v.denominator),
    ("datetime", "date"): lambda v, _: Parts("date", v.year, v.month, v.day),
    ("datetime", "datetime"): _datetime,
    ("datetime", "time"): _time,
    ("datetime", "timedelta"): lambda v, _: Parts("timedelta", v.days, v.seconds, v.microseconds),
    ("datetime", "timezone"): lambda v, _: Parts("timezone", v.__getinitargs__()),
    ("zoneinfo", "ZoneInfo"): _zone,
    ("uuid", "UUID"): lambda v, _: Parts("UUID", v.int),
    ("pathlib", "PosixPath"): _path,
    ("pathlib", "WindowsPath"): _path,
    ("pathlib", "PurePosixPath"): _path,
    ("pathlib", "PureWindowsPath"): _path,
    ("re", "Pattern"): lambda v, _: Parts("Pattern", v.pattern, v.flags),
    ("re", "Match"): lambda v, _: Parts("Match", v.re, v.string, v.pos, v.endpos, v.regs),
    ("ipaddress", "IPv4Address"): _ip,
    ("ipaddress", "IPv6Address"): _ip,
    ("ipaddress", "IPv4Network"): _ip,
    ("ipaddress", "IPv6Network"): _ip,
    ("ipaddress", "IPv4Interface"): _ip,
    ("ipaddress", "IPv6Interface"): _ip,
    ("array", "array"): _array,
    ("collections", "deque"): lambda v, _: Parts("deque", list(v), v.maxlen),
    ("collections", "OrderedDict"): lambda v, _: Parts("OrderedDict", dict(v.items()), Attributes(vars(v))),
    ("collections", "defaultdict"): lambda v, _: Parts("defaultdict", v.default_factory, dict(v.items())),
    ("collections", "Counter"): lambda v, _: Parts("Counter", dict(v.items()), Attributes(vars(v))),
    ("collections", "ChainMap"): lambda v, _: Parts("ChainMap", Attributes(vars(v))),
    ("functools", "cached_property"): lambda v, _: Parts("cached_property", v.func),
    ("functools", "partial"): _partial,
    ("functools", "partialmethod"): _partial,
    ("functools", "_lru_cache_wrapper"): _lru_cache,
    ("weakref", "ReferenceType"): _weak,
    ("logging", "Logger"): _logger,
    ("logging", "RootLogger"): _logger,
    ("types", "SimpleNamespace"): lambda v, _: Parts("namespace", Attributes(vars(v))),
}
