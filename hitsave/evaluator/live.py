"""Live values: what module-level names and class attributes hold at this moment.

A name's definition says what it was made from; what it holds may differ: it was read from the environment or a file,
filled by a registry, rebound by another module, a test, or a notebook. So besides its definition a name counts by the
digest of its value, if it has one within a budget; else by its definition alone. Nothing here ever raises: a global
isn't something the caller passed.

A value that can't change in place (numbers, text, functions, classes …) is digested once and recognised by identity
after that; any other is digested anew at each question, but for questions of one *moment*: between looking a call up
and running its body nothing of the user's runs on this thread.
"""

from __future__ import annotations

import _thread
import sys

from hitsave.analysis.closure import MADE, WHICH
from hitsave.digest import Digest, digest_text
from hitsave.errors import CannotDigest
from hitsave.evaluator.state import cached_in, function_in, holds_state
from hitsave.observe.inputs import is_lru_cache
from hitsave.symbol import Symbol, module_of, qualname_of
from hitsave.values import digest_value
from hitsave.values.digest import ATOMS, TooLarge

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from hitsave.evaluator.carrier import Carrier

# Bytes of canonical form: 64 KiB are digested in well under a millisecond.
BUDGET_BYTES = 1 << 16
# What was larger than that when it was first met (a table read at import) is digested once, up to this size, and taken
# for the same as long as it is the same object.
LARGE_BYTES = 1 << 30
# Of a cached function that holds more answers than this, only the questions count.
MOST_ANSWERS = 1000
BY_DEFINITION = Digest("")
ABSENT = Digest("absent")
HARMLESS = Digest("harmless")  # has no digest, and holds nothing that a result could be made from
EVERYTHING = "*"  # `m:C.*`: whatever anybody set on the class, beside what its body binds
MISSING = object()
_DESCRIBED = (MADE, WHICH)
_STEADY: tuple[type, ...] = (
    *ATOMS,
    *(type(NotImplemented), range, type, type(lambda: None), type(len), type(sys)),
)


_FUNCTION = type(lambda: None)
# Locks, events, executors, loggers and handlers.
_HARMLESS_MODULES = frozenset(
    ("_thread", "threading", "logging", "logging.handlers", "concurrent.futures.thread", "concurrent.futures.process")
    + ("multiprocessing.synchronize", "multiprocessing.pool", "asyncio.locks")
)
_DESCRIPTORS = (staticmethod, classmethod)


class LiveValues:
    """Digests of live values by symbol. `import_name` gives the key in `sys.modules` of a canonical module name."""

    def __init__(
        self,
        import_name: Callable[[str], str | None],
        carrier: Callable[[], Carrier],
        describe: Callable[..., str],
    ) -> None:
        self._import_name = import_name
        self._carrier = carrier
        self._describe = describe  # see `made.py`
        self._brought: dict[Symbol, set[Symbol]] = {}  # the code that a value holds, when it was last digested
        self._moments: dict[int, dict[Symbol, Digest]] = {}  # of each thread that is in one
        self._steady: dict[Symbol, tuple[Any, Digest]] = {}
        self._moving: dict[Symbol, Any] = {}  # values that were digested and may have changed since
        self._large: dict[Symbol, tuple[Any, Digest]] = {}
        # Of cached functions, by its id: each answer, its digest, and the code that it brings.
        self._answers: dict[Symbol, dict[int, tuple[Any, Digest, set[Symbol]]]] = {}

    def begin_moment(self) -> None:
        """From now until `end_moment`, nothing of the user's runs on this thread."""
        self._moments[_thread.get_ident()] = {}

    def end_moment(self) -> None:
        """Digest anew, from now on."""
        self._moments.pop(_thread.get_ident(), None)

    def brought(self, symbols: Iterable[Symbol]) -> set[Symbol]:
        """The symbols of the code that the values behind `symbols` held when they were last digested."""
        return set().union(*[self._brought.get(name, ()) for name in symbols])

    def digests(self, symbols: Iterable[Symbol]) -> dict[Symbol, Digest]:
        """{symbol: digest} of those whose module is loaded.

        `BY_DEFINITION` for a value that has no digest, `ABSENT` where there is none: a name may be set later.
        """
        found: dict[Symbol, Digest] = {}
        moment = self._moments.get(_thread.get_ident())
        for name in symbols:
            if moment is not None and name in moment:
                found[name] = moment[name]
                continue
            holder, attribute = self.holder(name)
            if holder is None:
                continue
            if name.endswith(_DESCRIBED):
                self._add_described(found, name, holder.__dict__.get(attribute, MISSING))
                continue
            value = _held(holder, attribute)
            if value is MISSING:
                found[name] = ABSENT
                self._brought.pop(name, None)
                continue
            known = self._steady.get(name)
            if known is not None and known[0] is value and not _has_filled(value):
                found[name] = known[1]
                continue
            self._brought.pop(name, None)
            self._steady.pop(name, None)
            digest = HARMLESS if _is_harmless(value) else self._digest(holder, attribute, name, value)
            if (
                digest in (HARMLESS, BY_DEFINITION)
                or self._is_large(name, value)
                or (is_steady(value) and not _is_itself(name, value))
            ):
                self._steady[name] = (value, digest)
            else:
                self._moving[name] = value
                if moment is not None:
                    moment[name] = digest
            found[name] = digest
        return found

    def _add_described(self, found: dict[Symbol, Digest], name: Symbol, value: Any) -> None:
        known = self._steady.get(name)
        if known is None or known[0] is not value or _has_filled(value):
            text = "absent" if value is MISSING else self._describe(plain(name), value, which=name.endswith(WHICH))
            known = self._steady[name] = (value, digest_text(text))
        found[name] = known[1]

    def holder(self, name: Symbol, known: dict[str, Any] | None = None) -> tuple[Any, str]:
        """The module or class object that holds `name`, and the attribute; (None, "") if it isn't loaded.

        `known` keeps modules by name, for those who ask for many.
        """
        home = module_of(name)
        if known is not None and home in known:
            module = known[home]
        else:
            import_name = self._import_name(home)
            module = sys.modules.get(import_name) if import_name else None
            if known is not None:
                known[home] = module
        if module is None:
            return None, ""
        *outer, attribute = qualname_of(plain(name)).split(".")
        holder: Any = module
        for part in outer:
            holder = getattr(holder, "__dict__", {}).get(part)
            if not isinstance(holder, type):
                return None, ""
        return holder, attribute

    def is_steady(self, name: Symbol) -> bool:
        """Whether the value behind `name`, as last digested, is the same for as long as it is the same object."""
        return name in self._steady

    def forget(self) -> None:
        """Digest everything anew at the next question: code has changed, and functions are digested by their code."""
        self._steady.clear()
        self._large = {name: known for name, known in self._large.items() if not self._brought.get(name)}
        self._answers.clear()

    def is_large(self, name: Symbol) -> bool:
        """Whether the value of `name` counts as what it was when it was first met: who changes it counts as well."""
        known, steady = self._large.get(name), self._steady.get(name)
        return known is not None and steady is not None and known[0] is steady[0]

    def _is_large(self, name: Symbol, value: Any) -> bool:
        return name in self._large and self._large[name][0] is value

    def _digest(self, holder: Any, attribute: str, name: Symbol, value: Any) -> Digest:
        try:
            return self._digest_within(BUDGET_BYTES, name, value)
        except TooLarge:
            if type(value) is list and is_lru_cache(value[0]):
                return self._digest_of_cache(name, value)
            # What was small once grows; what was put together for this look is another object at the next.
            if self._moving.get(name) is value or holder.__dict__.get(attribute) is not value:
                return BY_DEFINITION
            return self._digest_of_large(name, value)

    def _digest_of_large(self, name: Symbol, value: Any) -> Digest:
        if not self._is_large(name, value):
            self._large.pop(name, None)
            try:
                digest = self._digest_within(LARGE_BYTES, name, value)
            except TooLarge:
                return BY_DEFINITION
            if digest == BY_DEFINITION:
                return digest
            self._large[name] = value, digest
        return self._large[name][1]

    def _digest_of_cache(self, name: Symbol, held: list[Any]) -> Digest:
        """Of what a cached function was asked and, where that isn't too much, what it answered."""
        cache, *pairs = held
        if len(pairs) > MOST_ANSWERS:
            pairs = [(key, None) for key, _ in pairs]
        known = self._answers.get(name, {})
        self._answers[name] = {id(answer): known.get(id(answer)) or self._answer(name, answer) for _, answer in pairs}
        answers = self._answers[name]
        try:
            digest = self._digest_within(
                BUDGET_BYTES, name, (cache, *[(key, answers[id(answer)][1]) for key, answer in pairs])
            )
        except TooLarge:
            digest = BY_DEFINITION
        self._brought[name] = self._brought[name].union(*[brought for _, _, brought in answers.values()])
        return digest

    def _answer(self, name: Symbol, answer: Any) -> tuple[Any, Digest, set[Symbol]]:
        try:
            digest = self._digest_within(LARGE_BYTES, name, answer)
        except TooLarge:
            digest = BY_DEFINITION
        return answer, digest, self._brought[name]

    def _digest_within(self, budget: int, name: Symbol, value: Any) -> Digest:
        carrier = self._carrier()
        self._brought[name] = carrier.starts
        if type(value) is type(sys):
            carrier(value)
            return Digest("module:" + value.__name__)
        try:
            if type(value) in _DESCRIPTORS:  # they are compared by what they hold
                value = function_in(value) or value
            return digest_value(value, code=carrier, path=str(name), budget=budget)
        except TooLarge:
            raise
        except (CannotDigest, RecursionError):
            if type(value) is list and is_lru_cache(value[0]):  # what it was asked still says much
                return self._digest_within(budget, name, (value[0], *[key for key, _ in value[1:]]))
            return BY_DEFINITION
        except Exception:  # noqa: BLE001 - the user's own __reduce__, __getstate__ or property raised; see above
            return BY_DEFINITION


def plain(name: Symbol) -> Symbol:
    """`m:f` of `m:f.<made>` and `m:f.<which>`."""
    return Symbol(name.rpartition(".")[0]) if name.endswith(_DESCRIBED) else name


def is_steady(value: Any) -> bool:
    """Whether `value` is the same for as long as it is the same object."""
    if type(value) in (tuple, frozenset):
        return all(is_steady(item) for item in value)
    function = function_in(value)
    if function is not None:
        return not holds_state(function)
    return isinstance(value, _STEADY) and (type(value) in _STEADY or isinstance(value, type))


def _held(holder: Any, attribute: str) -> Any:
    if attribute == EVERYTHING:
        return _attributes(holder)
    if attribute == "__subclasses__" and isinstance(holder, type):
        return [_subclasses(holder)]  # a list: which there are can change
    value = holder.__dict__.get(attribute, MISSING)
    return [value, *cached_in(value)] if is_lru_cache(value) else value


def _subclasses(cls: type) -> list[Any]:
    found: list[type] = type.__subclasses__(cls)
    return [[one, _subclasses(one)] for one in found]


def _attributes(holder: Any) -> Any:
    """What was set on a class, as text and values: neither its functions nor what Python keeps there."""
    return {
        name: value
        for name, value in sorted(holder.__dict__.items())
        if not name.startswith(("__", "_abc_")) and function_in(value) is None and not hasattr(value, "__get__")
    }


def _is_harmless(value: Any) -> bool:
    return type(value).__module__ in _HARMLESS_MODULES and type(value).__name__ not in ("local", "_local")


def _has_filled(value: Any) -> bool:
    """Whether `value` is a function that has been given something to keep since it was found steady."""
    return type(value) is _FUNCTION and holds_state(value)


def _is_itself(name: Symbol, value: Any) -> bool:
    """Whether `name` is that of the function `value` itself: it is asked for because somebody sets attributes on it."""
    function = function_in(value)
    return function is not None and function.__qualname__ == qualname_of(name)
