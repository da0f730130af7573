"""Enums, dataclasses and named tuples of the user, for `tree`.

What is stored is the name of the class and the values of its members. No constructor runs on reading: a dataclass gets
its fields as they were, without `__init__` and `__post_init__`. So a class that says how it wants to be pickled, or
holds more than its fields, is not for here.
"""

from __future__ import annotations

import sys

from hitsave.errors import StoreError
from hitsave.values.codecs.kinds import Unfit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from hitsave.values.codec import ModuleNames
    from hitsave.values.codecs.kinds import Take

_PICKLING = ("__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__getnewargs__", "__getnewargs_ex__")


def find(cls: type) -> tuple[str, Take] | None:
    """The kind that instances of `cls` are, if it is one of ours."""
    if issubclass(cls, tuple):
        return ("namedtuple", _take_namedtuple) if isinstance(getattr(cls, "_fields", None), tuple) else None
    enum = sys.modules.get("enum")
    if enum is not None and issubclass(cls, enum.Enum):
        return "enum", _take_member
    if "__dataclass_fields__" in vars(cls):
        return "dataclass", _take_dataclass
    return None


def _take_namedtuple(value: Any, modules: ModuleNames | None) -> tuple[Any, ...]:
    cls = type(value)
    if getattr(value, "__dict__", None) or _has_own(cls, _PICKLING[:4]) or len(value) != len(cls._fields):
        raise Unfit
    return (*_reference(cls, modules), tuple(value))


def _make_namedtuple(modules: ModuleNames | None, module: str, qualname: str, items: tuple[Any, ...]) -> Any:
    cls = _resolve(module, qualname, modules)
    if not issubclass(cls, tuple) or len(getattr(cls, "_fields", ())) != len(items):
        raise StoreError(f"{module}:{qualname} is no longer the named tuple that a result was stored as")
    return tuple.__new__(cls, items)


def _take_member(value: Any, modules: ModuleNames | None) -> tuple[Any, ...]:
    cls = type(value)
    name = value._name_
    if name is None or cls.__members__.get(name) is not value:  # a combination of flags
        raise Unfit
    return (*_reference(cls, modules), name)


def _make_member(modules: ModuleNames | None, module: str, qualname: str, name: str) -> Any:
    cls = _resolve(module, qualname, modules)
    if not issubclass(cls, __import__("enum").Enum) or name not in cls.__members__:
        raise StoreError(f"{module}:{qualname} no longer has the member {name!r} that a result was stored with")
    return cls.__members__[name]


def _take_dataclass(value: Any, modules: ModuleNames | None) -> tuple[Any, ...]:
    cls = type(value)
    names = _field_names(cls)
    slots = cls.__dict__.get("__slots__")
    if slots is not None and tuple(slots) == names and cls.__bases__ == (object,):
        # `@dataclass(slots=True, frozen=True)` gives its class methods for pickling that do what we do.
        if _has_own(cls, _PICKLING, unless_from="dataclasses") or not all(hasattr(value, name) for name in names):
            raise Unfit
        values = {name: getattr(value, name) for name in names}
    else:
        values = dict(getattr(value, "__dict__", {}))
        if tuple(values) != names or _has_own(cls, _PICKLING) or _has_hidden_state(cls):
            raise Unfit
    return (*_reference(cls, modules), values)


def _make_dataclass(modules: ModuleNames | None, module: str, qualname: str, values: dict[str, Any]) -> Any:
    cls = _resolve(module, qualname, modules)
    if not isinstance(cls, type) or "__dataclass_fields__" not in vars(cls) or _field_names(cls) != tuple(values):
        raise StoreError(f"{module}:{qualname} is no longer the dataclass that a result was stored as")
    made: Any = object.__new__(cls)
    for name, value in values.items():
        object.__setattr__(made, name, value)
    return made


def _field_names(cls: Any) -> tuple[str, ...]:
    # Neither ClassVar nor InitVar pseudo-fields.
    return tuple(name for name, field in cls.__dataclass_fields__.items() if field._field_type.name == "_FIELD")


def _has_own(cls: type, names: tuple[str, ...], unless_from: str = "") -> bool:
    for base in cls.__mro__[:-1]:
        for name in names:
            method = vars(base).get(name)
            if method is not None and not (unless_from and getattr(method, "__module__", None) == unless_from):
                return True
    return False


def _has_hidden_state(cls: type) -> bool:
    """Whether instances hold anything outside their `__dict__`: slots, or what a builtin base keeps."""
    return any(vars(base).get("__slots__") or not base.__flags__ & 1 << 9 for base in cls.__mro__[:-1])


def _reference(cls: type, modules: ModuleNames | None) -> tuple[str, str]:
    """The names that lead to `cls`; `Unfit` if they lead elsewhere (a local or replaced class)."""
    module, qualname = cls.__module__, cls.__qualname__
    found: Any = sys.modules.get(module)
    for part in qualname.split("."):
        found = getattr(found, part, None)
    if found is not cls:
        raise Unfit
    return (module if modules is None else modules.canonical(module)), qualname


def _resolve(module: str, qualname: str, modules: ModuleNames | None) -> Any:
    here = None if modules is None else modules.import_name(module)
    found: Any = _import(here or module)
    for part in qualname.split("."):
        found = getattr(found, part, None)
    if not isinstance(found, type):
        raise StoreError(f"the class {module}:{qualname} of a stored result is not there")
    return found


def _import(name: str) -> object:
    if name not in sys.modules:
        try:
            __import__(name)
        except ImportError as error:
            raise StoreError(f"the module {name} of a stored result can't be imported: {error}") from error
    return sys.modules[name]


MAKERS: dict[str, Callable[..., Any]] = {
    "namedtuple": _make_namedtuple,
    "enum": _make_member,
    "dataclass": _make_dataclass,
}
