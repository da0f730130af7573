"""Bindings: what the names of a closure are bound to in this process, and whether that is what was defined.

A function that somebody replaced (a monkeypatch, a mock, a notebook cell) is not the one in its module's source. It
then counts by what it is: its own code, or, if that can't be told, not at all: the call runs uncached.
"""

from __future__ import annotations

from types import FunctionType

from hitsave.analysis.impurity import READER, UNSEEN
from hitsave.errors import CannotDigest
from hitsave.evaluator.carrier import Carrier
from hitsave.evaluator.guard import Check
from hitsave.evaluator.live import MISSING, LiveValues
from hitsave.evaluator.state import function_in, holds_state
from hitsave.observe import inputs
from hitsave.observe.inputs import is_lru_cache
from hitsave.symbol import Symbol, module_of, qualname_of
from hitsave.values import digest_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from hitsave.analysis import Closure
    from hitsave.evaluator.code import Codebook

MARK = "__hitsave_memo__"


class Bindings:
    """Looks at the objects behind the symbols of a closure."""

    def __init__(self, book: Codebook, live: LiveValues) -> None:
        self._book = book
        self._live = live
        self._looked: tuple[Closure, list[tuple[Symbol, Any, str, Any]]] | None = None  # at the functions of a closure

    def checks(self, closure: Closure, values: tuple[Symbol, ...]) -> tuple[Check, ...]:
        """What must stay bound as it is: functions, classes, and values that can't change in place.

        A function whose code is exchanged in place stays bound; `Planner` hears of that (`files.code_exchanged`).
        """
        found: list[Check] = []
        for _, holder, attribute, value in self._bound((*closure.functions, *closure.classes)):
            found.append(Check(holder, attribute, value))
        for name, holder, attribute, value in self._bound(values):
            if self._live.is_steady(name):
                found.append(Check(holder, attribute, value))
        for _, holder, attribute, value in self._bound(tuple(name for name, _ in aliases(closure))):
            found.append(Check(holder, attribute, value))
        return tuple(found)

    def stateful(self, closure: Closure) -> tuple[Symbol, ...]:
        """The functions of `closure` that keep something: they count by value, too."""
        found = []
        functions = list(self._bound(closure.functions))
        self._looked = closure, functions
        for name, _, _, value in functions:
            function = function_in(value)
            if function is not None and holds_state(function):
                found.append(name)
            elif is_lru_cache(value) and (id(value) in inputs.filled_before or self._reads_what_changes(name)):
                found.append(name)  # what it has cached may be from before a change
        return tuple(found)

    def caches(self, closure: Closure) -> tuple[Any, ...]:
        """The `lru_cache` wrappers among the functions of `closure`."""
        found = (getattr(value, "__func__", value) for _, _, _, value in self._functions(closure))
        return tuple([value for value in found if is_lru_cache(value)])

    def _reads_what_changes(self, name: Symbol) -> bool:
        closure = self._book.closure({name})
        if any(kind in (READER, UNSEEN) for kind, _, _ in closure.impurities):
            return True  # between evaluations, nobody looks at what libraries are given to read
        self._live.digests(closure.live)
        return not all(self._live.is_steady(one) for one in closure.live)

    def replaced(self, closure: Closure) -> tuple[tuple[str, str], ...]:
        """(symbol, digest of what it is bound to) of functions that aren't the ones in their module's source.

        Raises `CannotDigest` for one that has no digest.
        """
        found = []
        for name, _, _, value in self._functions(closure):
            if self._is_changed_in_place(name, value):
                raise CannotDigest(
                    f"{name} was changed in place by another tool: its code isn't that of any text that was loaded",
                    hint=f"hitsave.reload({module_of(name)!r}) takes the file's text for all of it, as a restart does.",
                    path=str(name),
                )
            if self._is_replaced(name, value):
                found.append((f"replaced {name}", self._described(name, value)))
        for name, target in aliases(closure):
            found += self._rebound(name, target)
        return tuple(found)

    # -- private -----------------------------------------------------------------------------------------------------

    def _described(self, name: Symbol, value: Any) -> str:
        """What tells `value`, and the code that it brings along, from others."""
        carrier = Carrier(self._book)
        try:
            digest = digest_value(value, code=carrier, path=str(name))
        except CannotDigest as error:
            raise CannotDigest(
                f"{name} was replaced by {type(value).__name__!r}, which has no digest: {error.message}",
                hint="Undo the replacement, or call `.uncached(...)`.",
                path=error.path,
            ) from None
        code = self._book.closure(carrier.starts).pairs if carrier.starts else ()
        return f"{digest} {sorted(code)}"

    def _rebound(self, name: Symbol, target: Symbol) -> list[tuple[str, str]]:
        """As `replaced`, for a name that was imported from elsewhere: is it still what is there?

        It isn't if a test put something in its place, or if the other module was loaded again since.
        """
        mine = [value for _, _, _, value in self._bound((name,))]
        theirs = [value for _, _, _, value in self._bound((target,))]
        if not mine or not theirs or mine[0] is theirs[0]:
            return []
        value = mine[0]
        inner = _innermost(value)
        is_old_class = isinstance(value, type) and value.__qualname__ == qualname_of(target)
        if is_old_class or (isinstance(inner, FunctionType) and self._is_changed_in_place(target, value)):
            raise CannotDigest(
                f"{name} is what was there before {module_of(target)} was loaded again",
                hint=f"hitsave.reload({module_of(name)!r}) takes it from there anew; a restart does too.",
                path=str(name),
            )
        try:
            return [(f"replaced {name}", self._described(name, value))]
        except CannotDigest:
            if callable(value):
                raise
            return []  # a global never raises: it counts by its definition

    def _functions(self, closure: Closure) -> list[tuple[Symbol, Any, str, Any]]:
        """What the functions of `closure` are bound to, as `stateful` has just looked at them."""
        if self._looked is None or self._looked[0] is not closure:
            return list(self._bound(closure.functions))
        return self._looked[1]

    def _bound(self, symbols: tuple[Symbol, ...]) -> Iterator[tuple[Symbol, Any, str, Any]]:
        known: dict[str, Any] = {}
        for name in symbols:
            holder, attribute = self._live.holder(name, known)
            if holder is not None:
                value = holder.__dict__.get(attribute, MISSING)
                if value is not MISSING:
                    yield name, holder, attribute, value

    def _is_changed_in_place(self, name: Symbol, value: Any) -> bool:
        """Whether somebody gave the function other code or defaults than its module's text does (jurigged, a reloader).

        Such code is no longer described by the text on record, nor is what it reads.
        """
        function = _innermost(value)
        if not isinstance(function, FunctionType) or self._book.module_of_code(function.__code__) != module_of(name):
            return False
        if function.__qualname__ != qualname_of(name) or self._book.is_as_loaded(module_of(name), function):
            return False
        return not self._book.is_under_foreign_decorator(name)

    def _is_replaced(self, name: Symbol, value: Any) -> bool:
        """Whether `value` can't have come from the definition of `name`, as far as its code tells.

        Under a decorator of others anything may have come out, so only undecorated functions are judged. That is
        asked last: it takes the module's summary, which a warm process otherwise never reads.
        """
        function = _innermost(value)
        if isinstance(function, FunctionType):
            module = self._book.module_of_code(function.__code__)
            qualname = qualname_of(name)
            if module == module_of(name) and function.__qualname__ == qualname:
                return False
            if module is None and not self._book.has_file(module_of(name)):
                return False
        elif "." in qualname_of(name):
            return False  # a class attribute may be a descriptor made elsewhere
        return not self._book.is_decorated(name)


def aliases(closure: Closure) -> list[tuple[Symbol, Symbol]]:
    """(name, what it was imported from) of the names of a closure that are only other names."""
    return [(name, Symbol(digest)) for name, digest in closure.pairs if ":" in digest]


def _innermost(value: Any) -> Any:
    """The function inside a static or class method, and inside a wrapper of ours."""
    function = getattr(value, "__func__", value)
    while MARK in getattr(function, "__dict__", ()):
        function = function.__wrapped__
    return function
