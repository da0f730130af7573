"""Functions, methods, classes and modules as values.

What their text means is the affair of the `code` callback: given a function, a class or a module it returns the
fingerprint text of its code. What a text doesn't hold is added here: the values that a closure captured, defaults,
what a method is bound to, what a class made inside a function took from it.
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

_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE
_WRITTEN = frozenset({type(lambda: None), staticmethod, classmethod, property})


def function_rules() -> dict[type, Rule]:
    """Rules for the types that functions come in."""
    descriptors = (
        type(str.upper),
        type(object.__init__),
        type(dict.__dict__["fromkeys"]),
        type(type.__dict__["__doc__"]),
    )
    return {
        type(function_rules): _function,
        type(len): _builtin,
        type("".__str__): _builtin,
        type(_Sample().method): _method,
        type(_function.__code__): _code_object,
        type(sys): _module,
        type((lambda x: lambda: x)(0).__closure__[0]): _cell,  # type: ignore[index]
        staticmethod: _wrapped,
        classmethod: _wrapped,
        property: _property,
        **dict.fromkeys(descriptors, _descriptor),
    }


def describe_class(cls: Any, canonical: Canonical) -> Parts:
    """A class: its code; if it was made inside a function, also what it took from there."""
    # A class that C defined, as int. It is known by name alone, and so doesn't depend on Python's version.
    if not cls.__flags__ & _HEAP_TYPE and cls.__module__ == "builtins":
        return Parts("builtin", cls.__qualname__)
    text = canonical.code(cls)
    if "<locals>" not in cls.__qualname__:
        return Parts("class", text)
    held = {name: value for name, value in vars(cls).items() if _is_written(name, value)}
    return Parts("class", text, cls.__bases__, Attributes(held))


def _function(value: Any, canonical: Canonical) -> Parts:
    while "__hitsave_memo__" in value.__dict__:  # memoised or not, it is the same function
        value = value.__wrapped__
    attributes = value.__dict__
    key = attributes.get("__hitsave_key__") if attributes else None
    if key is not None:
        return Parts("key", "function", key())
    registry = _single_dispatch(value)
    if registry is not None:
        return Parts("singledispatch", Attributes({"registry": list(registry.items())}))
    cells = {}
    for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=True):
        cells[name] = cell
    return Parts(
        "function",
        canonical.code(value),
        Attributes(cells),
        Attributes({"__defaults__": value.__defaults__, "__kwdefaults__": value.__kwdefaults__}),
        Attributes(attributes),
    )


def _single_dispatch(value: Any) -> Any:
    """The registry of a `functools.singledispatch` function, whose closure holds a cache that fills as it is used."""
    functools = sys.modules.get("functools")
    if functools is not None and value.__code__.co_filename == functools.singledispatch.__code__.co_filename:
        return getattr(value, "registry", None)
    return None


def _cell(value: Any, _: Canonical) -> Parts:
    try:
        return Parts("cell", value.cell_contents)
    except ValueError:
        return Parts("empty cell")


def _method(value: Any, _: Canonical) -> Parts:
    return Parts("method", Attributes({"__self__": value.__self__, "__func__": value.__func__}))


def _builtin(value: Any, _: Canonical) -> Parts:
    bound = value.__self__
    if bound is None or type(bound) is type(sys):
        return Parts("builtin", value.__module__, value.__qualname__)
    return Parts("builtin method", value.__name__, Attributes({"__self__": bound}))


def _descriptor(value: Any, _: Canonical) -> Parts:
    return Parts("descriptor", value.__objclass__, value.__name__)


def _wrapped(value: Any, _: Canonical) -> Parts:
    return Parts(type(value).__name__, value.__func__)


def _property(value: Any, _: Canonical) -> Parts:
    return Parts("property", Attributes({"fget": value.fget, "fset": value.fset, "fdel": value.fdel}))


def _module(value: Any, canonical: Canonical) -> Parts:
    return Parts("module", canonical.code(value))


def _code_object(value: Any, _: Canonical) -> Parts:
    """A code object by its instructions, which differ between versions of Python; positions and file don't count."""
    names = (value.co_names, value.co_varnames, value.co_freevars, value.co_cellvars)
    counts = (value.co_argcount, value.co_posonlyargcount, value.co_kwonlyargcount, value.co_flags)
    return Parts("code", value.co_code, value.co_consts, names, counts, value.co_name, sys.version_info[:2])


def _is_written(name: str, value: object) -> bool:
    """Whether a class attribute was written there, and not put there by Python, `abc`, or a library's metaclass."""
    if name[:2] == "__" and name[-2:] == "__":
        return type(value) in _WRITTEN
    return name != "_abc_impl" and type(value).__name__ not in ("member_descriptor", "getset_descriptor")


class _Sample:
    def method(self) -> None:
        """Only its type is of interest."""
