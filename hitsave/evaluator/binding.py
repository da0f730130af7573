"""Binding: one tuple of values per call, however the call was spelled.

`f(1)`, `f(a=1)` and, where 1 is the default, `f()` bind alike, so they share one evaluation. The binder is compiled
with the function's own parameter list, so Python itself does the binding: signature errors are Python's own, and
`inspect` (13 ms to import) is never needed.
"""

from __future__ import annotations

from hitsave.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FunctionType
    from typing import Any

VARARGS, VARKEYWORDS = 0x04, 0x08


class Parameters(Record):
    """The parameters of a function, as names: positional-only, ordinary, `*rest`, keyword-only, `**options`."""

    positional_only: tuple[str, ...]
    ordinary: tuple[str, ...]
    rest: str
    keyword_only: tuple[str, ...]
    options: str

    @property
    def names(self) -> tuple[str, ...]:
        """All names, in the order in which `bind` gives their values."""
        rest = (self.rest,) if self.rest else ()
        options = (self.options,) if self.options else ()
        return self.positional_only + self.ordinary + rest + self.keyword_only + options


def read_parameters(code: CodeType) -> Parameters:
    """The parameters of the function that `code` belongs to."""
    names = code.co_varnames
    total = code.co_argcount
    after = total + code.co_kwonlyargcount
    rest = options = ""
    if code.co_flags & VARARGS:
        rest = names[after]
        after += 1
    if code.co_flags & VARKEYWORDS:
        options = names[after]
    positional_only = names[: code.co_posonlyargcount]
    return Parameters(
        positional_only,
        names[code.co_posonlyargcount : total],
        rest,
        names[total : total + code.co_kwonlyargcount],
        options,
    )


def write_signature(parameters: Parameters, code: CodeType, defaults: int, keyword_defaults: frozenset[str]) -> str:
    """The parameter list as source, each default written `=None`: the real defaults are assigned to the function."""
    parts: list[str] = []
    positional = parameters.positional_only + parameters.ordinary
    first_default = len(positional) - defaults
    for index, name in enumerate(positional):
        parts.append(name + ("=None" if index >= first_default else ""))
        if parameters.positional_only and index == len(parameters.positional_only) - 1:
            parts.append("/")
    if parameters.rest:
        parts.append("*" + parameters.rest)
    elif parameters.keyword_only:
        parts.append("*")
    parts += [name + ("=None" if name in keyword_defaults else "") for name in parameters.keyword_only]
    if parameters.options:
        parts.append("**" + parameters.options)
    return ", ".join(parts)


def compile_binder(function: FunctionType) -> Callable[..., tuple[Any, ...]]:
    """A function with the parameters of `function` that returns their values, in the order of `Parameters.names`."""
    parameters = read_parameters(function.__code__)
    defaults = function.__defaults__ or ()
    keyword_defaults = function.__kwdefaults__ or {}
    signature = write_signature(parameters, function.__code__, len(defaults), frozenset(keyword_defaults))
    values = "".join(name + ", " for name in parameters.names)
    scope: dict[str, Any] = {}
    # The name is the function's own, so that "f() missing 1 required positional argument" names it.
    exec(f"def {_safe(function.__name__)}({signature}): return ({values})", scope)
    binder = scope[_safe(function.__name__)]
    binder.__defaults__ = defaults or None
    binder.__kwdefaults__ = dict(keyword_defaults) or None
    binder.__qualname__ = function.__qualname__
    bound: Callable[..., tuple[Any, ...]] = binder
    return bound


def _safe(name: str) -> str:
    return name if name.isidentifier() else "function"
