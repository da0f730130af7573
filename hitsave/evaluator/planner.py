"""The planner: makes plans, and keeps them while they stand.

A `Plan` holds the closure, its fingerprint, and a *guard*: a compiled comparison which says in a few nanoseconds per
name that every function, class and constant of the closure is still bound to the object it was bound to. While it says
so and no code was loaded, the plan stands. Live values that can change in place are compared by digest instead, and
then there is no warm table.
"""

from __future__ import annotations

from _weakref import ref
from itertools import chain

from hitsave.digest import Digest, Fingerprint
from hitsave.errors import HitSaveError, UsageError
from hitsave.evaluator.bindings import Bindings
from hitsave.evaluator.carrier import Carrier
from hitsave.evaluator.conditions import UNLOADED
from hitsave.evaluator.guard import Check, compile_guard, never
from hitsave.evaluator.live import BY_DEFINITION, LiveValues, is_steady, plain
from hitsave.evaluator.made import Making
from hitsave.evaluator.narrowing import MOST_ROUNDS, Narrower
from hitsave.evaluator.nested import Lifted, counted_cells
from hitsave.evaluator.plan import Plan
from hitsave.evaluator.typed import Typed
from hitsave.evaluator.wrapper import guard_with, unguard
from hitsave.importhook.codes import nested
from hitsave.observe import files
from hitsave.observe.files import stat_signature
from hitsave.symbol import Symbol, module_of, outermost, qualname_of, symbol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from hitsave.analysis import Closure
    from hitsave.config import Config
    from hitsave.evaluation import Child, Observed
    from hitsave.evaluator.code import Codebook
    from hitsave.evaluator.evaluator import Asked
    from hitsave.evaluator.lookup import LookUp
    from hitsave.evaluator.memo import Memo
    from hitsave.evaluator.narrowing import Narrowed
    from hitsave.observe.watch import Sight

    Symbols = tuple[Symbol, ...]

LOCAL = "<locals>"
# Packages whose functions give the same for the same arguments, whenever they are called.
QUIET = frozenset(
    ("re", "typing", "typing_extensions", "collections", "enum", "dataclasses", "functools", "itertools", "math")
    + ("operator", "abc", "decimal", "fractions", "string", "types", "numbers", "struct", "logging", "contextlib")
)


class Planner:
    """Makes plans, and keeps them while they stand."""

    def __init__(
        self,
        book: Codebook,
        config: Config,
        keep_code: Callable[[Fingerprint, Closure, Callable[[], bool]], bool],
        decorated: Callable[[Symbol], Memo | None],
    ) -> None:
        self.book = book
        self.config = config
        self.live = LiveValues(book.import_name, lambda: Carrier(book), Making(book).describe)
        self.bindings = Bindings(book, self.live)
        self.narrower = Narrower(book, self.live, self.bindings)
        self._memos: dict[Symbol, ref[Memo]] = {}
        self._keep_code = keep_code
        self._hears = False
        self._decorated = decorated  # the memoised function of that name, called before or not
        self._kept: set[str] = set()
        self._by_code_alone: dict[Symbol, bool] = {}
        self._carrying: dict[tuple[Symbol, frozenset[Symbol]], Plan] = {}

    def add(self, memo: Memo) -> None:
        """Know `memo` by its symbol; the latest definition counts, as it does for the module's own name."""
        self._memos[memo.symbol] = ref(memo)

    def memo(self, name: Symbol) -> Memo | None:
        """The memoised function of that name, if there is one in this process."""
        known = self._memos.get(name)
        memo = None if known is None else known()
        if memo is None:
            memo = self._decorated(name)
            if memo is not None:
                self.add(memo)
        return memo

    def memos(self) -> list[Memo]:
        """All memoised functions that were called in this process and are still alive."""
        return [memo for known in list(self._memos.values()) if (memo := known()) is not None]

    def carried_plans(self) -> dict[tuple[Symbol, frozenset[Symbol]], Plan]:
        """{(function, code that its arguments carried): plan} of calls with code among their arguments."""
        return dict(self._carrying)

    # -- plans -------------------------------------------------------------------------------------------------------

    def plan(self, memo: Memo, carried: frozenset[Symbol] = frozenset()) -> Plan:
        """The plan that stands for `memo` now, with the code that the arguments carry. Raises if it has none."""
        self.live.begin_moment()
        if carried:
            key = (memo.symbol, carried)
            plan = self._carrying.get(key)
            if plan is None or not self._stands(plan):
                plan = self._carrying[key] = self._make(memo, carried)
            return plan
        plan = memo.plan
        if plan is None or not self._stands(plan):
            memo.plan = None  # before the table is cleared: see `keep_warm`
            memo.table.clear()
            plan = memo.plan = self._make(memo, carried)
            self._exchange_guard(memo, plan)
        return plan

    def _stands(self, plan: Plan) -> bool:
        return (
            plan.revision == self.book.loaded.revision
            and plan.guard()
            and all(stat_signature(path)[:4] == signature for path, signature in plan.unloaded)
            and (not plan.moving or self.live.digests(plan.moving) == plan.moving)
        )

    def _hear(self) -> None:
        """From now on, hear of code that is exchanged in place; weakly, since sessions come and go."""
        self._hears = True
        me = ref(self)

        def exchanged() -> None:
            planner = me()
            if planner is None:
                files.code_exchanged.remove(exchanged)
            else:
                planner.forget()

        files.install()
        files.code_exchanged.append(exchanged)

    def _make(self, memo: Memo, carried: frozenset[Symbol]) -> Plan:
        if not self._hears:
            self._hear()
        revision = self.book.loaded.revision
        extra: tuple[tuple[str, str], ...] = ()
        if memo.options.version:
            extra = (("option version", memo.options.version),)
        typed = Typed(self.book).add(memo.function) if self.book.is_typed_in(memo.function) else None
        lifted = self._lift(memo) if typed is None else None
        if typed is None:
            start = symbol(module_of(memo.symbol), outermost(qualname_of(memo.symbol)))
            starts = frozenset((lifted.symbol if lifted is not None else start, *carried))
            self._check_site(memo)
        else:
            starts = typed.starts | carried
            extra += tuple(sorted(typed.pairs.items()))
        own = starts
        writers: frozenset[Symbol] = frozenset()
        for _ in range(MOST_ROUNDS):
            closure = self.book.closure(starts | writers)
            stateful = self.bindings.stateful(closure)
            values = tuple(dict.fromkeys((*closure.constants, *closure.live, *stateful)))
            digests, brought = self._live(values, frozenset(closure.constants))
            missing = brought - {name for name, _ in closure.pairs} - starts
            hidden = frozenset(
                name for name, digest in digests.items() if digest == BY_DEFINITION or self.live.is_large(name)
            )
            leaving = frozenset(function for name, function in closure.writers if name in hidden)
            if not missing and leaving <= writers:
                break
            starts |= missing
            writers |= leaving
        extra += self.bindings.replaced(closure)
        fingerprint = self.book.fingerprint(closure, extra, memo.options.third_party)
        plan = Plan(starts | writers, closure, fingerprint, extra, revision)
        plan.own, plan.base, plan.writers, plan.stateful = own, starts, writers, stateful
        plan.brought = {name: self.live.brought((name,)) for name in values}
        plan.values = values
        plan.caches = self.bindings.caches(closure)
        plan.moving = {name: digest for name, digest in digests.items() if not self.live.is_steady(name)}
        cells = self.free(memo)
        plan.checks = self.bindings.checks(closure, values) + tuple(
            Check(cell, "cell_contents", cell.cell_contents) for _, cell in cells if not is_empty(cell)
        )
        plan.guard = compile_guard(plan.checks)
        plan.unloaded = self.book.unloaded(closure)
        plan.is_warm = (
            not plan.moving
            and not plan.unloaded
            and memo.options.ttl is None
            and all(is_steady_cell(cell) for _, cell in cells)
        )
        plan.own_code = {} if lifted is None else {id(code): code for code in nested(memo.function.__code__)}
        plan.own_symbol = lifted.symbol if lifted is not None else Symbol("")
        if typed is not None:
            plan.guard = typed.stands if typed.is_steady else never
            plan.is_warm = False
        return plan

    def _lift(self, memo: Memo) -> Lifted | None:
        return self.book.lifted(memo.function) if LOCAL in memo.symbol else None

    def free(self, memo: Memo) -> tuple[tuple[str, Any], ...]:
        """(name, cell) of the free variables of `memo` that count by value."""
        return counted_cells(memo.function, self._lift(memo)) if memo.function.__closure__ else ()

    def free_values(self, memo: Memo) -> list[tuple[str, Any]]:
        """("free NAME", value) of the free variables that count, but for the function itself in its own recursion."""
        return [
            (f"free {name}", cell.cell_contents)
            for name, cell in self.free(memo)
            if not is_empty(cell) and cell.cell_contents is not memo.wrapper
        ]

    def _check_site(self, memo: Memo) -> None:
        """The module may have been reloaded since `memo` was made: then its source says nothing about this function."""
        source = self.book.source(module_of(memo.symbol))
        if memo.site is None or source is None or source.digest == memo.site[1]:
            return
        old = self.book.loaded.find(module_of(memo.symbol), Digest(memo.site[1]))
        name = outermost(qualname_of(memo.symbol))
        if old is None or self.book.definition_digests(old.source, name) != self.book.definition_digests(source, name):
            raise UsageError(
                f"{memo.symbol} runs uncached: its module was loaded again, and this is the function from before",
                hint="Take the function from the module again, or restart.",
            )

    def _live(self, values: tuple[Symbol, ...], literal: frozenset[Symbol]) -> tuple[dict[Symbol, Digest], set[Symbol]]:
        """Digests of the live values, and the symbols of the code that they hold."""
        digests = dict(self.live.digests(values))
        holding = [name for name in values if name not in literal and digests.get(name, BY_DEFINITION) != BY_DEFINITION]
        return digests, self.live.brought(holding)

    def _exchange_guard(self, memo: Memo, plan: Plan) -> None:
        if memo.wrapper is None:  # it came here by value: there is no wrapper to exchange anything in
            plan.is_warm = False
            return
        if plan.is_warm and guard_with(memo.wrapper, memo.function, plan.checks):
            return
        plan.is_warm = False
        unguard(memo.wrapper, memo.function)

    # -- evaluations -------------------------------------------------------------------------------------------------

    def narrowed(self, memo: Memo, plan: Plan, observed: Observed) -> str:
        """The fingerprint, for today's code, of the closure that an evaluation's record narrows."""
        return self.narrower.narrowed(memo, plan, observed)

    def narrow(self, asked: Asked, sight: Sight) -> Narrowed:
        """What the evaluation `asked` depends on, given what it was seen to run and call."""
        return self.narrower.narrow(asked, sight)

    def was_swapped(self, asked: Asked) -> bool:
        """Whether the code behind the key of a call was reloaded or exchanged since the key was made."""
        plan = asked.plan
        loaded = self.book.loaded
        # In place, functions and values change one after the other: whoever looked meanwhile saw a bit of both.
        if loaded.exchanges.moment() != asked.moment or asked.moment < 0:
            return True
        names = (name for name, _ in plan.closure.pairs)
        if loaded.exchanges.touch(chain(names, plan.closure.modules), plan.revision):
            return True
        if plan.revision == loaded.revision:
            return False
        closure = self.book.closure(plan.starts)
        return self.book.fingerprint(closure, plan.extra, asked.memo.options.third_party) != plan.fingerprint

    # -- live values -------------------------------------------------------------------------------------------------

    def live_digests(self, symbols: Iterable[Symbol], imported: Iterable[str] = ()) -> Mapping[Symbol, Digest]:
        """Today's digests of live values; `UNLOADED` for one that isn't there yet and can be trusted.

        A module that isn't loaded will be imported by the call. What its names will hold is what they held then, if
        the evaluation imported it too (what was read meanwhile is among its conditions), or if nothing but the code
        decides what they hold.
        """
        names = list(symbols)
        found = dict(self.live.digests(names))
        for name in names:
            if name not in found and (module_of(name) in imported or self._is_by_code_alone(name)):
                found[name] = UNLOADED
        return found

    def _is_by_code_alone(self, name: Symbol) -> bool:
        known = self._by_code_alone.get(name)
        if known is None:
            closure = self.book.closure((plain(name),))
            known = self._by_code_alone[name] = (
                (not closure.functions or plain(name) != name)
                and not closure.impurities
                and not closure.environment
                and not closure.environment_dynamic
                and (closure.packages <= QUIET or plain(name) != name)
                and bool(closure.pairs)
                and not self.book.reads_files(name)
            )
        return known

    def forget(self) -> None:
        """Drop what was kept about code; every plan is made anew at its next call."""
        self.live.forget()
        self._by_code_alone.clear()
        self._carrying.clear()
        for memo in self.memos():
            memo.plan = None
            memo.table.clear()

    # -- children ----------------------------------------------------------------------------------------------------

    def stored_child(self, child: Child, look: LookUp) -> Digest | None:
        """The result of a memoised call as stored for today's code and conditions; None if it isn't."""
        memo = self.memo(child.symbol)
        if memo is None:
            return None
        try:
            plan = self.plan(memo)
        except HitSaveError:
            return None
        return look.stored_result(memo, plan, child)

    # -- explanation -------------------------------------------------------------------------------------------------

    def keep_code(self, asked: Asked) -> None:
        """Keep the texts behind a fingerprint, so that a later change of it can be explained; once per process."""
        plan = asked.plan
        if plan.fingerprint in self._kept:
            return
        # The texts are those of this moment: they must still be the ones that the fingerprint is about.
        if self._keep_code(plan.fingerprint, plan.closure, lambda: not self.was_swapped(asked)):
            self._kept.add(plan.fingerprint)


def is_empty(cell: Any) -> bool:
    """Whether a closure cell holds nothing (yet)."""
    try:
        cell.cell_contents  # noqa: B018 - asking is the test
    except ValueError:
        return True
    return False


def is_steady_cell(cell: Any) -> bool:
    """Whether what a closure cell holds is the same for as long as it is the same object."""
    return not is_empty(cell) and is_steady(cell.cell_contents)
