"""Narrowing: what an evaluation depends on, given what it was seen to run.

The static closure takes every branch. Of the functions in it, these count with their body:

    ran         in this evaluation
    earlier     before it in this process, if they may have left state that is read and has no digest
    at_import   outside of evaluations, if they may have made what a name of the closure is bound to

All others count as far as they can be looked at without running. Where nobody saw what ran earlier or at import, it
may be anything.
"""

from __future__ import annotations

from hitsave.analysis.impurity import INTERPRETER, READER, UNSEEN
from hitsave.evaluation import PYTHON
from hitsave.evaluator.live import BY_DEFINITION
from hitsave.evaluator.state import function_in
from hitsave.observe import running
from hitsave.record import Record
from hitsave.symbol import MODULE, Symbol, module_of, qualname_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from types import CodeType

    from hitsave.analysis import Closure
    from hitsave.digest import Digest
    from hitsave.evaluation import Observed
    from hitsave.evaluator.bindings import Bindings
    from hitsave.evaluator.code import Codebook
    from hitsave.evaluator.evaluator import Asked
    from hitsave.evaluator.live import LiveValues
    from hitsave.evaluator.memo import Memo
    from hitsave.evaluator.plan import Plan
    from hitsave.observe.watch import Sight

# Code that live values carry may reach live values of its own, and so on; this deep is deep enough to be suspicious.
MOST_ROUNDS = 8
CO_NESTED = 0x10  # Python 3.10 knows no qualified names


class Narrowed(Record):
    """What an evaluation's record says of the code: see `Observed` for the fields."""

    fingerprint: str
    ran: tuple[Symbol, ...]
    reached: tuple[Symbol, ...]
    carried: tuple[Symbol, ...]
    earlier: tuple[Symbol, ...]
    live: tuple[tuple[Symbol, Digest], ...]
    impurities: tuple[str, ...]
    variables: tuple[str, ...]
    imported: tuple[str, ...]
    at_import: tuple[Symbol, ...]
    gap: str


class Seen:
    """The symbols of a growing set of code objects."""

    __slots__ = ("_book", "_codes", "_count", "symbols")

    def __init__(self, book: Codebook, codes: dict[int, CodeType]) -> None:
        self._book = book
        self._codes = codes
        self._count = 0
        self.symbols: set[Symbol] = set()

    def look(self) -> set[Symbol]:
        """The symbols, as of now."""
        if self._count != len(self._codes):
            codes = list(self._codes.copy().values())  # in the order in which they ran first
            new = codes[self._count :] if self._count < len(codes) else codes
            self._count = len(codes)
            self.symbols.update([found for code in new if (found := self._book.symbol_of_code(code)) is not None])
        return self.symbols


class Narrower:
    """Narrows closures by what ran."""

    def __init__(self, book: Codebook, live: LiveValues, bindings: Bindings) -> None:
        self.book = book
        self.live = live
        self.bindings = bindings
        self._ever = Seen(book, running.ever)  # the project's functions that were seen to run in this process
        self._outside = Seen(book, running.outside)  # … outside of evaluations

    def narrowed(self, memo: Memo, plan: Plan, observed: Observed) -> str:
        """The fingerprint, for today's code, of the closure that an evaluation's record narrows."""
        starts = {*plan.own, *observed.carried, *observed.reached}
        ran = frozenset(observed.ran) if observed.complete else None
        closure = self.book.closure(
            starts,
            ran=ran,
            earlier=observed.earlier,
            at_import=observed.at_import,
            cut={child.symbol for child in observed.children},
        )
        return self.book.fingerprint(closure, plan.extra, memo.options.third_party)

    def narrow(self, asked: Asked, sight: Sight) -> Narrowed:
        """What the evaluation `asked` depends on, given what it was seen to run and call."""
        self.live.end_moment()
        plan = asked.plan
        ran, gap = self._what_ran(plan, sight)
        earlier = () if gap else self._earlier(plan, ran)
        known = plan.closure.symbols()
        left = plan.writers if gap else self._left_state(plan, {*ran, *earlier})
        if not gap:
            earlier = tuple(sorted({*earlier, *left}))
        reached = tuple(sorted({*left, *(name for name in ran if name not in known and not _is_import(name, plan))}))
        at_import = frozenset() if gap else self._at_import(plan, reached)
        if left and not gap:  # a walk that asks for both keeps the stronger reason only: let it enter all that ran
            at_import = frozenset((*at_import, *earlier, *ran))
        cut = frozenset(child.symbol for child, _ in sight.children)
        shape = (frozenset(reached), None if gap else frozenset(ran), earlier, at_import, cut)
        narrowing = plan.narrowings.get(shape)
        if narrowing is None or sight.revision != self.book.loaded.revision:
            closure, starts = self._walk(plan, *shape)
            fingerprint = self.book.fingerprint(closure, plan.extra, asked.memo.options.third_party)
            values = self._counted_values(plan, closure)
            narrowing = plan.narrowings[shape] = (
                closure,
                fingerprint,
                values,
                tuple(sorted(starts.difference(reached))),
            )
        closure, fingerprint, values, carried = narrowing
        kinds = {kind for kind, _, _ in closure.impurities}
        if gap and READER in kinds:
            kinds.add(UNSEEN)
        # Of those that no name leads to, it doesn't matter whether they ran.
        counted = {*closure.functions, *reached, *carried}
        return Narrowed(
            fingerprint,
            () if gap else tuple(sorted(ran)),
            reached,
            carried,
            tuple([name for name in earlier if name in counted]),
            self._values_at_entry(values, sight),
            tuple(sorted((kinds - {INTERPRETER, READER}) | sight.unpure)),
            (PYTHON,) if INTERPRETER in kinds else (),
            self._imported(sight),
            tuple(sorted(at_import)),
            gap,
        )

    def _walk(
        self,
        plan: Plan,
        reached: frozenset[Symbol],
        ran: frozenset[Symbol] | None,
        earlier: tuple[Symbol, ...],
        at_import: Collection[Symbol],
        cut: frozenset[Symbol],
    ) -> tuple[Closure, set[Symbol]]:
        """The narrowed closure, and what it starts at: with the code that its own live values hold, and no others'.

        A registry that the call doesn't look at would bring everything registered. Whatever ran is in the closure, even
        where no name leads to it any more.
        """
        starts = {*plan.own, *reached}
        for _ in range(MOST_ROUNDS):
            closure = self.book.closure(starts, ran=ran, earlier=earlier, at_import=at_import, cut=cut)
            inside = closure.symbols()
            new = {name for name in ran or () if name not in cut and not _is_import(name, plan)}
            for name in self._counted_values(plan, closure):
                if name not in closure.constants:
                    known = plan.brought.get(name)
                    new |= self.live.brought((name,)) if known is None else known
            new -= inside | starts
            if not new:
                return closure, starts
            starts |= new
        starts |= plan.base
        return self.book.closure(starts, ran=ran, earlier=earlier, at_import=at_import, cut=cut), starts

    def _what_ran(self, plan: Plan, sight: Sight) -> tuple[set[Symbol], str]:
        gap = running.incomplete(sight)
        if gap:
            return set(), gap
        ran: set[Symbol] = set()
        for code in tuple(sight.codes.values()):
            name = self.book.symbol_of_code(code)
            if id(code) in plan.own_code:
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
            left |= self._ever.look()
        return left

    def _takes_arguments(self, name: Symbol) -> bool:
        holder, attribute = self.live.holder(name)
        function = None if holder is None else function_in(holder.__dict__.get(attribute))
        return function is None or function.__code__.co_argcount > isinstance(holder, type)

    def _may_have_run(self, name: Symbol) -> bool:
        if not running.is_noting():
            return True
        return name in self._ever.look() or self.book.may_have_run_unseen(name)

    def _at_import(self, plan: Plan, reached: Iterable[Symbol]) -> frozenset[Symbol]:
        """Functions that the evaluation can lead to and that may have run outside of evaluations."""
        functions = set(plan.closure.functions)
        if reached:
            functions.update(self.book.closure({*plan.base, *reached}).functions)
        if not running.is_noting():
            return frozenset(functions)
        running.note_imports()
        outside = self._outside.look()
        return frozenset(name for name in functions if name in outside or self.book.may_have_run_unseen(name))

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


def _is_import(name: Symbol, plan: Plan) -> bool:
    """Whether it is the body of a module that the closure imports: of that, what is named counts, late or early."""
    return qualname_of(name) == MODULE and module_of(name) in plan.closure.modules
