"""Instances of any class: its code, and the state that pickle would save.

`object.__reduce_ex__` is asked rather than `__dict__` read, because it knows `__slots__`, `__getstate__`,
`__getnewargs__` and what a subclass of a builtin holds besides its attributes, and refuses types with state that only
C can see (locks, sockets, generators). Where it turns out that a class adds nothing to its `__dict__`, the next
instances are read directly, at a third of the cost.

A class that brings its own `__reduce__` may put anything into it, even the time. Such a value is digested twice, and
refused if the digests differ.
"""

from __future__ import annotations

import sys

from hitsave.errors import CannotDigest
from hitsave.values.naming import package_name, type_name
from hitsave.values.parts import Attributes, Parts, Unordered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hitsave.values.canonical import Canonical

# Their pickling code is known to depend on nothing but the value.
_TRUSTED = frozenset(
    ("numpy", "pandas", "sklearn", "scipy", "pyarrow", "polars", "torch", "xarray", "pydantic_core", "pytz", "dateutil")
)


def by_key(value: Any, _: Canonical) -> Parts:
    """A value whose class says what stands for it."""
    return Parts("key", type(value), value.__hitsave_key__())


def instance(value: Any, canonical: Canonical) -> Parts:
    """Any other value, as pickle would take it apart."""
    cls = type(value)
    is_dict = canonical.state_is_dict.get(cls)
    if is_dict:
        return Parts("instance", cls, Attributes(value.__dict__))
    reduced = value.__reduce_ex__(4)
    if isinstance(reduced, str):  # the name of a global, as for NumPy's ufuncs
        return Parts("global", cls, reduced)
    if not canonical.doubtful and _is_custom(cls) and _is_doubtful(cls):
        canonical.doubtful = canonical.path()
    taken: list[Any] = [*reduced, None, None, None]
    make, arguments, state, items, pairs = taken[:5]
    if is_dict is None:
        is_dict = items is None and pairs is None and _adds_nothing_to_dict(cls)
        canonical.state_is_dict[cls] = is_dict
        if is_dict:
            return instance(value, canonical)
    if getattr(make, "__module__", "") in ("copyreg", "builtins") or make is cls:
        # `copyreg.__newobj__` and its kin say nothing that the class doesn't.
        made: tuple[object, ...] = arguments
    else:
        made = (make, arguments)
    return Parts(
        "instance",
        cls,
        *_named_state(state),
        tuple(part for part in made if part is not cls),
        None if items is None else list(items),
        None if pairs is None else [part for pair in pairs for part in pair],
    )


def refuse(value: Any, _: Canonical) -> Parts:
    """A value that stands for something outside: a file, a lock, a running generator."""
    raise CannotDigest(f"no stable digest for a value of type {type_name(type(value))}")


def set_subclass(value: Any, _: Canonical) -> Parts:
    """Sets pickle in the order of iteration, which isn't part of their value."""
    return Parts("set", type(value), Unordered(list(value)), Attributes(getattr(value, "__dict__", {})))


def exception(value: Any, _: Canonical) -> Parts:
    """What an exception says; where it was raised and what was being handled then is not part of it."""
    attributes = Attributes(value.__dict__)
    reduced = value.__reduce_ex__(4)
    return Parts("exception", type(value), reduced[1], attributes, value.__cause__, value.__suppress_context__)


def member(value: Any, _: Canonical) -> Parts:
    """A member of an enumeration. Its class's code says what else it means."""
    return Parts("enum", type(value), value._name_, value._value_)


def _named_state(state: object) -> tuple[object, object]:
    if isinstance(state, dict) and set(map(type, state)) <= {str}:
        return Attributes(state), None
    if isinstance(state, tuple) and len(state) == 2 and isinstance(state[1], dict):  # __dict__ and __slots__
        return (Attributes(state[0]) if isinstance(state[0], dict) else state[0]), Attributes(state[1])
    return state, None


def _is_custom(cls: type) -> bool:
    return any(getattr(cls, name) is not getattr(object, name) for name in ("__reduce_ex__", "__reduce__"))


def _is_doubtful(cls: type) -> bool:
    for base in cls.__mro__:
        if "__reduce_ex__" in vars(base) or "__reduce__" in vars(base):
            package = package_name(base)
            return package not in _TRUSTED and package not in sys.stdlib_module_names
    return True


def _adds_nothing_to_dict(cls: type) -> bool:
    """Whether the state of every instance of `cls` is its `__dict__` (asked only of what pickle accepted)."""
    if _is_custom(cls) or getattr(cls, "__getstate__", None) is not getattr(object, "__getstate__", None):
        return False
    if hasattr(cls, "__getnewargs__") or hasattr(cls, "__getnewargs_ex__") or not cls.__dictoffset__:
        return False
    # `object.__reduce_ex__` has just imported it.
    return not sys.modules["copyreg"]._slotnames(cls)
