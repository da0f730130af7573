"""What executing a definition made of it, told without its code.

A default that is the result of a call, a decorator that looks at the environment, a definition under an `if`: the text
alone doesn't say what a name came to be bound to. This does, in a form that is the same in every process and on every
version of Python, and that an edit of a body doesn't change: names of functions and classes, defaults, what closure
cells hold, as far as these are plain values.

What it can't tell apart: instances of one class. And what can change from call to call is left to `state.py`.
"""

from __future__ import annotations

from functools import partial
from types import FunctionType, MethodType, ModuleType

from hitsave.evaluator.state import holds_state
from hitsave.symbol import Symbol, module_of, qualname_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hitsave.evaluator.code import Codebook

PLAIN = (int, float, complex, bool, str, bytes, type(None), type(...), type(NotImplemented), range)
MOST_STEPS = 8


class Making:
    """Describes what names are bound to."""

    def __init__(self, book: Codebook) -> None:
        self._book = book

    def describe(self, name: Symbol, value: Any, *, which: bool) -> str:
        """The description of `value`, bound to `name`; with `which`, of which definition of that name it is, too."""
        number = self._number(name, value) if which else ""
        return f"{number}{self._text(value, 0)}"

    def _text(self, value: Any, step: int) -> str:
        kind = type(value)
        if kind in PLAIN:
            return f"{kind.__name__} {value!r}"
        if step > MOST_STEPS:
            return kind.__name__
        if kind in (tuple, frozenset):
            parts = [self._text(item, step + 1) for item in value]
            return f"{kind.__name__}({', '.join(parts if kind is tuple else sorted(parts))})"
        if kind is FunctionType:
            return self._function(value, step)
        if kind is MethodType or kind in (staticmethod, classmethod):
            return f"{kind.__name__} {self._text(value.__func__, step + 1)}"
        if kind is property:
            return f"property({', '.join(self._text(f, step + 1) for f in (value.fget, value.fset, value.fdel))})"
        if kind is partial:
            parts = [self._text(item, step + 1) for item in (value.func, *value.args, *value.keywords.items())]
            return f"partial({', '.join(parts)})"
        if kind is ModuleType:
            return f"module {self._book.canonical(value.__name__)}"
        if isinstance(value, type):
            return self._class(value)
        inner = getattr(value, "__dict__", {}).get("__wrapped__")
        return kind.__qualname__ if inner is None else f"{kind.__qualname__} {self._text(inner, step + 1)}"

    def _function(self, function: Any, step: int) -> str:
        home = self._book.module_of_code(function.__code__) or str(function.__module__)
        held: list[Any] = []
        if "__hitsave_memo__" in function.__dict__:
            held.append(function.__wrapped__)
        elif not holds_state(function):
            held += function.__defaults__ or ()
            held += sorted((function.__kwdefaults__ or {}).items())
            held += [cell.cell_contents for cell in function.__closure__ or ()]
        return f"{home}:{function.__qualname__}({', '.join(self._text(item, step + 1) for item in held)})"

    def _class(self, cls: type) -> str:
        return " < ".join([f"{self._book.canonical(one.__module__)}:{one.__qualname__}" for one in cls.__mro__[:-1]])

    def _number(self, name: Symbol, value: Any) -> str:
        """Which of the definitions of `name` a value came from, by the line of its code; by what it holds, else."""
        function = _function_in(value)
        if function is not None:
            found = self._book.symbol_of_code(function.__code__)
            if found is not None and module_of(found) == module_of(name):
                return f"{self._book.definition_number(name, function.__code__.co_firstlineno)}: "
        if isinstance(value, type) and value.__qualname__ == qualname_of(name):
            held = sorted((k, repr(v)) for k, v in vars(value).items() if type(v) in PLAIN and k[:2] != "__")
            return f"{held}: "
        return ""


def _function_in(value: Any) -> Any:
    """A function whose line tells where a value was defined."""
    for _ in range(MOST_STEPS):
        if isinstance(value, FunctionType) and "__wrapped__" not in value.__dict__:
            return value
        if isinstance(value, type):
            inside = (getattr(member, "__func__", member) for member in vars(value).values())
            return next((m for m in inside if isinstance(m, FunctionType) and m.__module__ == value.__module__), None)
        found = getattr(value, "__dict__", {}).get("__wrapped__") or getattr(value, "fget", None)
        value = found if found is not None else getattr(value, "__func__", None)
    return None
