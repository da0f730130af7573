"""State that functions keep: default arguments, closure cells and attributes that may change from call to call.

    def get(k, cache={}): …         a default that fills
    def make(): n = 0; def get(): nonlocal n …      a cell that is rebound
    get.calls = 0                   an attribute

Such a function counts by value as well as by its text. What decorators ordinarily leave in a closure (the function
inside, a number, a class) can't change and isn't state.
"""

from __future__ import annotations

import sys

from hitsave.values.digest import ATOMS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType
    from typing import Any

FunctionKind = type(lambda: None)
MARK = "__hitsave_memo__"
# What `functools.wraps`, `abc` and `typing` note on a function.
_NOTES = frozenset(
    ("__wrapped__", "__isabstractmethod__", "__final__", "__override__", "__deprecated__", "__no_type_check__")
)
_FIXED: tuple[type, ...] = (
    *ATOMS,
    *(type(NotImplemented), range, type, type(len), type(sys), type(str.upper), type(object.__init__)),
)
_stores: dict[CodeType, bool] = {}


def function_in(value: Any) -> Any:
    """The function behind a method descriptor or a memoised wrapper; None for anything else."""
    inner = getattr(value, "__func__", value)
    while MARK in getattr(inner, "__dict__", ()):
        inner = inner.__wrapped__
    return inner if type(inner) is FunctionKind else None


def cached_in(wrapper: Any) -> list[Any]:
    """What an `lru_cache` holds: keys and results. (It has no attribute that says so; the collector knows.)

    What the collector is shown (`lru_cache_tp_traverse` in CPython's _functoolsmodule.c): the type of the wrapper; of
    each link of a bounded cache its key, its result and its type; then the table, {key: link, or result if unbounded}.
    """
    from gc import get_referents

    results: dict[int, Any] = {}
    shown = iter(get_referents(wrapper)[1:])
    for item in shown:
        if type(item) is dict:  # which can't be a key
            return [(key, results.get(id(key), value)) for key, value in item.items()]
        results[id(item)] = next(shown)
        next(shown)
    return []


def holds_state(function: Any, seen: frozenset[int] = frozenset()) -> bool:
    """Whether `function` keeps something that can change while its text stays."""
    if id(function) in seen:
        return False
    seen |= {id(function)}
    if not all(_is_fixed(value, seen) for value in function.__defaults__ or ()):
        return True
    if function.__kwdefaults__ and not all(_is_fixed(value, seen) for value in function.__kwdefaults__.values()):
        return True
    attributes = function.__dict__
    if attributes and not _NOTES.issuperset(attributes):
        return True
    cells = function.__closure__
    if not cells:
        return False
    for name, cell in zip(function.__code__.co_freevars, cells, strict=True):
        try:
            content = cell.cell_contents
        except ValueError:
            return True  # empty: it will be filled
        if not _is_fixed(content, seen) or _is_rebound(name, function):
            return True
    return False


def _is_fixed(value: Any, seen: frozenset[int]) -> bool:
    kind = type(value)
    if kind is FunctionKind:
        return MARK in value.__dict__ or not holds_state(value, seen)
    if kind in (tuple, frozenset):
        return all(_is_fixed(item, seen) for item in value)
    if kind in (staticmethod, classmethod):
        return _is_fixed(value.__func__, seen)
    return kind in _FIXED or isinstance(value, type)


def _is_rebound(name: str, function: Any) -> bool:
    """Whether any function that shares the cell `name` assigns to it (`nonlocal`)."""
    return any(name in code.co_freevars and _stores_cells(code) for code in _nested(_maker(function)))


def _maker(function: Any) -> CodeType:
    """The code of the outermost function that `function` was made in; its own, where that can't be found."""
    holder: Any = function.__globals__
    path = function.__qualname__.partition(".<locals>")[0].split(".")
    for position, part in enumerate(path):
        holder = holder.get(part) if position == 0 else getattr(holder, "__dict__", {}).get(part)
    inner = holder
    for _ in range(10):
        inner = getattr(inner, "__func__", inner)
        wrapped = getattr(inner, "__dict__", {}).get("__wrapped__")
        if wrapped is None:
            break
        inner = wrapped
    code: CodeType = inner.__code__ if type(inner) is FunctionKind else function.__code__
    return code


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if type(constant) is type(code):
            yield from _nested(constant)


def _stores_cells(code: CodeType) -> bool:
    known = _stores.get(code)
    if known is None:
        from opcode import opmap

        wanted = {opmap["STORE_DEREF"], opmap["DELETE_DEREF"]}
        known = _stores[code] = not wanted.isdisjoint(code.co_code[::2])
    return known
