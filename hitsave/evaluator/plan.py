"""Plans: what the code of a memoised function depends on, as far as that is known before a call.

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
from hitsave.evaluator.guard import Check, always, compile_guard, never
from hitsave.evaluator.live import BY_DEFINITION, LiveValues, is_steady, plain
from hitsave.evaluator.made import Making
from hitsave.evaluator.nested import Lifted, counted_cells
from hitsave.evaluator.state import function_in
from hitsave.evaluator.typed import Typed
from hitsave.evaluator.wrapper import guard_with, unguard
from hitsave.importhook.codes import nested
from hitsave.observe import files, running
from hitsave.observe.files import stat_signature
from hitsave.record import Record
from hitsave.symbol import Symbol, module_of, outermost, qualname_of, symbol
from hitsave.values.immutable import is_atomic, is_immutable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import CodeType
    from typing import Any

    from hitsave.analysis import Closure
    from hitsave.config import Config
    from hitsave.evaluation import Child, Observed
    from hitsave.evaluator.code import Codebook
    from hitsave.evaluator.evaluator import Asked
    from hitsave.evaluator.lookup import LookUp
    from hitsave.evaluator.memo import Memo
    from hitsave.observe.watch import Sight

LOCAL = "<locals>"
CO_NESTED = 0x10  # Python 3.10 knows no qualified names
WARM_ENTRIES = 1 << 15
WARM_CHARACTERS = 1 << 12
# Code that live values carry may reach live values of its own, and so on; this deep is deep enough to be suspicious.
MOST_ROUNDS = 8
# Packages whose functions give the same for the same arguments, whenever they are called.
QUIET = frozenset(
    ("re", "typing", "typing_extensions", "collections", "enum", "dataclasses", "functools", "itertools", "math")
    + ("operator", "abc", "decimal", "fractions", "string", "types", "numbers", "struct", "logging", "contextlib")
)


class Plan:
    """What one memoised function depends on, in the state the process is in."""

    __slots__ = (
        "base",
        "caches",
        "checks",
        "closure",
        "extra",
        "fingerprint",
        "guard",
        "is_warm",
        "last_seen",
        "moving",
        "narrowings",
        "own_code",
        "own_symbol",
        "unloaded",
        "revision",
        "starts",
        "stateful",
        "values",
        "writers",
    )

    def __init__(
        self,
        starts: frozenset[Symbol],
        closure: Closure,
        fingerprint: Fingerprint,
        extra: tuple[tuple[str, str], ...],
        revision: int,
    ) -> None:
        self.starts = starts
        self.base = starts  # without the writers
        # Functions that may have left state which the closure reads, where that state can't be digested.
        self.writers: frozenset[Symbol] = frozenset()
        self.stateful: tuple[Symbol, ...] = ()  # functions that keep something
        self.caches: tuple[Any, ...] = ()  # what `functools.lru_cache` made of functions of the closure
        self.closure = closure
        self.fingerprint = fingerprint
        self.extra = extra
        self.revision = revision
        self.values: tuple[Symbol, ...] = ()  # names that count by value
        self.moving: dict[Symbol, Digest] = {}  # those of them whose value can change in place
        self.narrowings: dict[Any, tuple[Closure, Fingerprint, tuple[Symbol, ...]]] = {}  # how evaluations narrowed it
        self.own_code: frozenset[CodeType] = frozenset()  # of a nested function, and the symbol it has for analysis
        self.own_symbol = Symbol("")
        self.unloaded: tuple[tuple[str, tuple[int, ...]], ...] = ()  # files that a call may import, as they were
        self.checks: tuple[Check, ...] = ()
        self.guard: Callable[[], bool] = always
        self.is_warm = False
        self.last_seen: Any = None  # what its last evaluation saw, and what follows from that (recording.py)

    @staticmethod
    def is_atomic(values: tuple[Any, ...]) -> bool:
        """Whether no body could have changed `values`."""
        return all(map(is_immutable, values))


class Planner:
    """Makes plans, and keeps them while they stand."""

    def __init__(
        self,
        book: Codebook,
        config: Config,
        keep_code: Callable[[Fingerprint, Closure], None],
        decorated: Callable[[Symbol], Memo | None],
    ) -> None:
        self.book = book
        self.config = config
        self.live = LiveValues(book.import_name, Carrier(book), Making(book).describe)
        self.bindings = Bindings(book, self.live)
        self._memos: dict[Symbol, ref[Memo]] = {}
        self._keep_code = keep_code
        self._hears = False
        self._decorated = decorated  # the memoised function of that name, called before or not
        self._kept: set[str] = set()
        self._by_code_alone: dict[Symbol, bool] = {}
        self._ever: set[Symbol] = set()
        self._ever_seen = 0
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
        writers: frozenset[Symbol] = frozenset()
        for _ in range(MOST_ROUNDS):
            closure = self.book.closure(starts | writers)
            stateful = self.bindings.stateful(closure)
            values = tuple(dict.fromkeys((*closure.constants, *closure.live, *stateful)))
            digests, brought = self._live(values, frozenset(closure.constants))
            missing = brought - {name for name, _ in closure.pairs} - starts
            hidden = frozenset(name for name, digest in digests.items() if digest == BY_DEFINITION)
            leaving = frozenset(function for name, function in closure.writers if name in hidden)
            if not missing and leaving <= writers:
                break
            starts |= missing
            writers |= leaving
        extra += self.bindings.replaced(closure)
        fingerprint = self.book.fingerprint(closure, extra, memo.options.third_party)
        plan = Plan(starts | writers, closure, fingerprint, extra, revision)
        plan.base, plan.writers, plan.stateful = starts, writers, stateful
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
        plan.own_code = frozenset(nested(memo.function.__code__)) if lifted is not None else frozenset()
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
        carrier = Carrier(self.book)
        holding = [name for name in values if name not in literal and digests.get(name, BY_DEFINITION) != BY_DEFINITION]
        LiveValues(self.book.import_name, carrier).digests(holding)
        return digests, carrier.starts

    def _exchange_guard(self, memo: Memo, plan: Plan) -> None:
        if memo.wrapper is None:  # it came here by value: there is no wrapper to exchange anything in
            plan.is_warm = False
            return
        if plan.is_warm and guard_with(memo.wrapper, memo.function, plan.checks):
            return
        plan.is_warm = False
        unguard(memo.wrapper, memo.function)

    # -- narrowing ---------------------------------------------------------------------------------------------------

    def narrowed(self, memo: Memo, plan: Plan, observed: Observed) -> str:
        """The fingerprint, for today's code, of the closure that an evaluation's record narrows."""
        starts = {*plan.base, *observed.carried, *observed.reached}
        ran = frozenset(observed.ran) if observed.complete else None
        closure = self.book.closure(
            starts, ran=ran, earlier=observed.earlier, cut={child.symbol for child in observed.children}
        )
        return self.book.fingerprint(closure, plan.extra, memo.options.third_party)

    def narrow(self, asked: Asked, sight: Sight) -> Narrowed:
        """What the evaluation `asked` depends on, given what it was seen to run and call."""
        plan = asked.plan
        static = plan.closure
        ran, gap = self._what_ran(plan, sight)
        earlier = () if gap else self._earlier(plan, ran)
        known = static.symbols()
        left = plan.writers if gap else self._left_state(plan, {*ran, *earlier})
        if not gap:
            earlier = tuple(sorted({*earlier, *left}))
        reached = tuple(sorted({*left, *(name for name in ran if name not in known)}))
        cut = {child.symbol for child, _ in sight.children}
        starts = {*plan.base, *reached}
        shape = (frozenset(starts), None if gap else frozenset(ran), earlier, frozenset(cut))
        narrowing = plan.narrowings.get(shape)
        if narrowing is None or sight.revision != self.book.loaded.revision:
            closure = self.book.closure(shape[0], ran=shape[1], earlier=earlier, cut=cut)
            fingerprint = self.book.fingerprint(closure, plan.extra, asked.memo.options.third_party)
            narrowing = plan.narrowings[shape] = (closure, fingerprint, self._counted_values(plan, closure))
        closure, fingerprint, values = narrowing
        return Narrowed(
            fingerprint,
            () if gap else tuple(sorted(ran)),
            reached,
            tuple(sorted(plan.base)),
            earlier,
            self._values_at_entry(values, sight),
            tuple(sorted({kind for kind, _, _ in closure.impurities} | sight.unpure)),
            self._imported(sight),
            gap,
        )

    def _what_ran(self, plan: Plan, sight: Sight) -> tuple[set[Symbol], str]:
        gap = running.incomplete(sight)
        if gap:
            return set(), gap
        ran: set[Symbol] = set()
        for code in sight.codes:
            name = self.book.symbol_of_code(code)
            if code in plan.own_code:
                ran.add(plan.own_symbol)
            elif name is not None:
                if plan.own_code and code.co_flags & CO_NESTED and name not in plan.starts:
                    continue  # made in the function around it: it came in by value, which holds its code
                ran.add(name)
            elif self.book.is_typed_code(code):
                return set(), "code that was typed in ran"
        if any(widened.code == "HS201" for widened in plan.closure.widened):
            return set(), "it runs code that is made at run time"
        return ran, ""

    def _earlier(self, plan: Plan, ran: set[Symbol]) -> tuple[Symbol, ...]:
        """Functions of the closure that didn't run now but may have run before, and so may have left state."""
        return tuple(name for name in plan.closure.functions if name not in ran and self._may_have_run(name))

    def _left_state(self, plan: Plan, candidates: set[Symbol]) -> frozenset[Symbol]:
        """Functions that may have left the state that has no digest: its writers that ran, and who gave them what."""
        left = plan.writers & candidates
        if any(self._takes_arguments(name) for name in left):
            left |= self._ran_ever()
        return left

    def _takes_arguments(self, name: Symbol) -> bool:
        holder, attribute = self.live.holder(name)
        function = None if holder is None else function_in(holder.__dict__.get(attribute))
        return function is None or function.__code__.co_argcount > isinstance(holder, type)

    def _may_have_run(self, name: Symbol) -> bool:
        if not running.is_noting():
            return True
        return name in self._ran_ever() or self.book.loaded_before_observation(module_of(name))

    def _ran_ever(self) -> set[Symbol]:
        """The project's functions that were seen to run in this process."""
        if self._ever_seen < len(running.ever):
            self._ever_seen = len(running.ever)
            self._ever = {found for code in list(running.ever) if (found := self.book.symbol_of_code(code)) is not None}
        return self._ever

    def _counted_values(self, plan: Plan, closure: Closure) -> tuple[Symbol, ...]:
        """The names of a narrowed closure that count by value."""
        counted = closure.symbols()
        keeping = [*(name for name in plan.stateful if name in counted), *self.bindings.stateful(closure)]
        return tuple(dict.fromkeys((*closure.constants, *closure.live, *keeping)))

    def _values_at_entry(self, names: tuple[Symbol, ...], sight: Sight) -> tuple[tuple[Symbol, Digest], ...]:
        """Digests as they were when the evaluation began; as they are now for modules that it imported itself."""
        late = self.live.digests([name for name in names if name not in sight.live])
        found = {name: sight.live.get(name, late.get(name, BY_DEFINITION)) for name in names}
        return tuple(sorted((name, digest) for name, digest in found.items() if digest != BY_DEFINITION))

    def _imported(self, sight: Sight) -> tuple[str, ...]:
        """Modules that were loaded since the evaluation began."""
        book = self.book.loaded
        if sight.revision == book.revision:
            return ()
        fresh = [loaded for name in book.names() if (loaded := book.get(name)) and loaded.revision > sight.revision]
        return tuple(sorted({loaded.module_name for loaded in fresh}))

    def was_swapped(self, asked: Asked) -> bool:
        """Whether the code behind the key of a call was reloaded or exchanged since the key was made."""
        plan = asked.plan
        loaded = self.book.loaded
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

    # -- the warm table ----------------------------------------------------------------------------------------------

    def keep_warm(self, asked: Asked, value: Any, observed: Observed) -> None:
        """Put a result into the wrapper's own table, if that is safe.

        The wrapper's guard watches over what names are bound to and nothing else: a result that depends on a file, a
        variable, or code that was reached out of its sight is looked up each time.
        """
        memo = asked.memo
        if observed.files or observed.environment or observed.below_files or observed.below_environment:
            return
        if observed.reached or not {name for name, _ in observed.live + observed.below_live} <= set(asked.plan.values):
            return
        if memo.plan is not asked.plan or memo.keyed is not None or not is_immutable(value):
            return
        if not all(map(is_atomic, asked.values)) or len(memo.table) >= WARM_ENTRIES:
            return
        if isinstance(value, (str, bytes, tuple, frozenset)) and len(value) > WARM_CHARACTERS:
            return
        row = asked.values + tuple(map(type, asked.values))
        memo.table[row] = value
        if memo.plan is not asked.plan:  # another thread has cleared the table meanwhile, for code that came meanwhile
            memo.table.pop(row, None)

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

    def keep_code(self, plan: Plan) -> None:
        """Keep the texts behind a fingerprint, so that a later change of it can be explained; once per process."""
        if plan.fingerprint not in self._kept:
            self._kept.add(plan.fingerprint)
            self._keep_code(plan.fingerprint, plan.closure)


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


class Narrowed(Record):
    """What an evaluation's record says of the code: see `Observed` for the fields."""

    fingerprint: str
    ran: tuple[Symbol, ...]
    reached: tuple[Symbol, ...]
    carried: tuple[Symbol, ...]
    earlier: tuple[Symbol, ...]
    live: tuple[tuple[Symbol, Digest], ...]
    impurities: tuple[str, ...]
    imported: tuple[str, ...]
    gap: str
