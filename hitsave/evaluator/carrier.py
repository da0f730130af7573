"""`Carrier`: the code that values bring along.

A function, class or instance among the arguments (or behind a live value) is part of what the call depends on. Its
digest says only *which* code it is; the carrier collects these symbols, and the closure starts at them too. So an
edit of a function that was passed in is found, narrowed and explained like any other.

Code without a symbol of its own (a lambda, a nested function, a class made in a function, anything typed into an
interpreter that keeps no source) is known by its code objects, and the names it reads are collected instead.
"""

from __future__ import annotations

import sys
from types import FunctionType

from hitsave.importhook.codes import digest_code, nested
from hitsave.symbol import ANY, Symbol, symbol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hitsave.evaluator.code import Codebook

ModuleKind = type(sys)
LOCAL = "<locals>"


class Carrier:
    """A callable for `digest_value(code=...)`: gives the name of a piece of code and remembers its symbol."""

    __slots__ = ("_book", "packages", "starts")

    def __init__(self, book: Codebook) -> None:
        self._book = book
        self.starts: set[Symbol] = set()
        self.packages: set[str] = set()

    def __call__(self, code: Any) -> str:
        """Text that tells this function, class or module from others; the same in every process."""
        if isinstance(code, ModuleKind):
            return self._module(code)
        if isinstance(code, FunctionType):
            return self._function(code)
        return self._other(code)

    def _module(self, module: Any) -> str:
        name = str(module.__name__)
        loaded = self._book.loaded.by_import_name(name)
        if loaded is not None:
            self.starts.add(symbol(loaded.module_name, ANY))
            return f"module {loaded.module_name}"
        self.packages.add(name.partition(".")[0])
        return f"module {name}"

    def _function(self, function: FunctionType) -> str:
        inner = function
        while "__hitsave_memo__" in getattr(inner, "__dict__", ()):
            inner = inner.__wrapped__  # type: ignore[attr-defined]
        code = inner.__code__
        qualname = inner.__qualname__
        found = self._book.symbol_of_code(code)
        if found is None:
            module = str(getattr(inner, "__module__", None))
            if self._book.source(module) is None and not self._typed_in(module):
                self.packages.add(module.partition(".")[0])
                return f"function {module}:{qualname}"
            return self._by_code(inner, module)
        if LOCAL in qualname or "<" in qualname or found.partition(":")[2] != qualname:
            return self._by_code(inner, found.partition(":")[0])
        self.starts.add(found)
        return f"function {found}"

    def _by_code(self, function: FunctionType, module: str) -> str:
        lifted = self._book.lifted(function)
        if lifted is not None:
            self.starts.add(lifted.symbol)
            return f"code {digest_code(function.__code__)}"
        names: set[str] = set()
        for code in nested(function.__code__):
            names.update(code.co_names)
        known = function.__globals__
        source = self._book.source(module)
        if source is not None:
            self.starts.update(symbol(source.module, name) for name in names if name in known)
        return f"code {digest_code(function.__code__)}"

    def _other(self, code: Any) -> str:
        module = str(getattr(code, "__module__", None) or "builtins")
        qualname = str(getattr(code, "__qualname__", getattr(code, "__name__", type(code).__qualname__)))
        source = self._book.source(module)
        if source is None and not self._typed_in(module):
            self.packages.add(module.partition(".")[0])
            return f"{module}:{qualname}"
        if source is not None:
            if LOCAL not in qualname:
                self.starts.add(symbol(source.module, qualname))
                return f"class {source.module}:{qualname}"
            module = source.module  # what is in its __dict__ is digested by value beside this
        return f"class {module}:{qualname} {self._members(code)}"

    def _members(self, cls: Any) -> str:
        parts = []
        for name, member in sorted(getattr(cls, "__dict__", {}).items()):
            inner = getattr(member, "__func__", getattr(member, "fget", member))
            if isinstance(inner, FunctionType):
                parts.append(f"{name}={digest_code(inner.__code__)}")
        return ",".join(parts)

    def _typed_in(self, module: str) -> bool:
        return module in ("__main__", "__mp_main__") and self._book.loaded.by_import_name(module) is None
