"""Which values may be handed out again as they are: those that nobody can change.

The memory tier returns the same object on each hit for these, and decodes anew for all others.
"""

from __future__ import annotations

import sys

from hitsave.values.naming import module_name, package_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_KEYS = frozenset({int, str, bytes, bool, type(None)})
_ATOMIC = _KEYS | {complex, float, type(...), type(NotImplemented), range}
# Of the standard library, by top-level module.
_ALSO = {
    "datetime": ("date", "datetime", "time", "timedelta", "timezone"),
    "decimal": ("Decimal",),
    "fractions": ("Fraction",),
    "uuid": ("UUID",),
    "zoneinfo": ("ZoneInfo",),
    "pathlib": ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath"),
    "ipaddress": ("IPv4Address", "IPv6Address", "IPv4Network", "IPv6Network"),
}
_MAX_ITEMS = 1000


def is_atomic(value: object) -> bool:
    """Whether `value` may be a key of a table together with its type.

    That is an exact builtin without parts that is equal to no other value of its type: not `0.0`, which equals `-0.0`,
    not nan, which doesn't even equal itself, nor a complex number that has one of them.
    """
    kind = type(value)
    if kind is float:
        return value != 0.0 and value == value
    if kind is complex:
        return is_atomic(value.real) and is_atomic(value.imag)  # type: ignore[attr-defined]
    return kind in _KEYS


def is_immutable(value: object) -> bool:
    """Whether nothing in `value` can be changed.

    Numbers, text, dates, paths, members of enums, NumPy's scalars; tuples and frozensets of these, up to 1,000 items.
    """
    kind = type(value)
    if kind in _ATOMIC:
        return True
    if kind is not tuple and kind is not frozenset:
        return _is_immutable_kind(kind)
    left = _MAX_ITEMS
    waiting: list[Any] = [value]
    while waiting:
        items = tuple(waiting.pop())
        left -= len(items)
        if left < 0:
            return False
        for item in items:
            kind = type(item)
            if kind is tuple or kind is frozenset:
                waiting.append(item)
            elif kind not in _ATOMIC and not _is_immutable_kind(kind):
                return False
    return True


def _is_immutable_kind(kind: type) -> bool:
    package = package_name(kind)
    if kind.__name__ in _ALSO.get(package, ()):
        return getattr(sys.modules.get(package), kind.__name__, None) is kind
    if package == "numpy" and module_name(kind) == "numpy":
        numpy: Any = sys.modules["numpy"]
        return issubclass(kind, numpy.generic) and not issubclass(kind, (numpy.void, numpy.object_))
    enum = sys.modules.get("enum")
    return enum is not None and issubclass(kind, enum.Enum)
