"""`Codebase`: closures over a set of modules. The face of the analysis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hitsave.analysis.closure import Closure
from hitsave.analysis.effects import Effects
from hitsave.analysis.entities import Entity, Module
from hitsave.analysis.graph import Graph
from hitsave.analysis.reach import Reach
from hitsave.analysis.refresh import EDGES, NAMES, NOTHING, reach_of_edit
from hitsave.analysis.report import make_closure, update_digests
from hitsave.errors import UnknownSymbol
from hitsave.symbol import ANY, MODULE, Symbol, module_of, outermost, qualname_of
from hitsave.symbol import symbol as symbol_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from hitsave.analysis.modules import Modules
    from hitsave.analysis.summary import ModuleSummary

# Walks that are kept, so that an edit which changes digests alone leaves their closures standing.
_MOST_REACHES = 500


class Codebase:
    """The project's modules as one graph, from which closures are taken.

    Made once per state of the code: what it resolved is kept, so the second closure costs a fraction of the first.
    `extra` are names of modules known to be imported although nothing in a closure imports them (the main program,
    plugins): their statements may have changed what names mean. Not safe to use from two threads at a time.
    """

    def __init__(self, modules: Modules, *, extra: Iterable[str] = ()) -> None:
        self._modules = modules
        self._extra_names = tuple(extra)
        self._reset()

    def _reset(self) -> None:
        self._graph = Graph(self._modules)
        self._effects = Effects(self._graph)
        self._closures: dict[object, Closure] = {}
        self._reaches: dict[object, Reach] = {}
        self._answers: dict[str, frozenset[str]] = {}
        self._extra = [m for name in self._extra_names if (m := self._graph.resolver.module(name)) is not None]

    def closure(
        self,
        start: Symbol | Iterable[Symbol],
        *,
        ran: Collection[Symbol] | None = None,
        earlier: Collection[Symbol] = (),
        at_import: Collection[Symbol] | None = None,
        cut: Collection[Symbol] = (),
    ) -> Closure:
        """What calling `start` can depend on. Raises `UnknownSymbol` for a symbol that no module defines.

        With `ran`, the functions that ran in one evaluation, bodies of others neither count nor lead on, unless they
        may have run when modules were imported (`at_import`; None: nobody knows), or are among `earlier` (ran before in
        this process) and left state that is read. `cut` are memoised functions: their results count, not their code.
        """
        starts = (start,) if isinstance(start, str) else tuple(start)
        imports = None if at_import is None else frozenset(at_import)
        key = (starts, None if ran is None else frozenset(ran), frozenset(earlier), imports, frozenset(cut))
        known = self._closures.get(key)
        if known is None:
            reach = self.reach(starts, ran=ran, earlier=earlier, at_import=imports, cut=cut)
            known = self._closures[key] = make_closure(self._graph, self._effects, reach, starts)
            if ran is None and len(self._reaches) < _MOST_REACHES:
                self._reaches[key] = reach
        return known

    def refresh(self) -> bool:
        """Take over edits: ask again for every module that was consulted. False if nothing changed.

        An edit that leaves names, bases, imports and initialisers as they are costs little more than its own module
        (`refresh.py`). Lines in messages (`widened`, `impurities`) may be those of before for definitions that moved.
        """
        changed: list[tuple[Module, ModuleSummary]] = []
        reach = NAMES if self._graph.resolver.has_new_children() else NOTHING
        for module, summary in self._graph.resolver.asked_again():
            if module is None or summary is None:
                if module is not None or summary is not None:
                    reach = NAMES
                    break
            elif (found := reach_of_edit(module.summary, summary)) != NOTHING:
                changed.append((module, summary))
                reach = max(reach, found)
        if reach == NAMES:
            self._reset()
        elif reach != NOTHING:
            self._take_over(changed, edges_changed=reach == EDGES)
        return reach != NOTHING

    def _take_over(self, changed: list[tuple[Module, ModuleSummary]], *, edges_changed: bool) -> None:
        touched: set[Entity] = set()
        for module, summary in changed:
            touched |= self._graph.exchange(module, summary)
        if edges_changed:
            self._effects.forget([module for module, _ in changed], touched)
            self._closures.clear()
            self._reaches.clear()
            self._answers.clear()
            return
        modules = frozenset(module for module, _ in changed)
        for key, closure in list(self._closures.items()):
            reach = self._reaches.get(key)
            if reach is None:
                del self._closures[key]
            else:
                self._closures[key] = update_digests(self._graph, reach, closure, modules)

    def depends(self, symbol: str) -> frozenset[str]:
        """The symbols that a symbol can depend on, in their defining modules: import bindings are left out."""
        known = self._answers.get(symbol)
        if known is None:
            reach = self.reach((Symbol(symbol),))
            found = [e.symbol for e in reach.levels if e.has_function or e.is_class or e.has_value]
            found += [symbol_of(module.name) for module, _ in reach.statements]
            found += [symbol_of(module.name) for module in reach.executed]
            found += [
                symbol_of(module.name)
                for edges, _, region in reach.edges
                for module in edges.imported
                if region == "body"
            ]
            known = self._answers[symbol] = frozenset(found)
        return known

    def reach(
        self,
        starts: Iterable[Symbol],
        *,
        ran: Collection[Symbol] | None = None,
        earlier: Collection[Symbol] = (),
        at_import: Collection[Symbol] | None = None,
        cut: Collection[Symbol] = (),
    ) -> Reach:
        """The walk behind `closure`."""
        starts = tuple(starts)
        cut = frozenset(cut).difference(starts) if cut else ()
        reach = Reach(
            self._graph, self._effects, ran=ran, earlier=earlier, at_import=at_import, cut=cut, extra=self._extra
        )
        for symbol in starts:
            self._start(reach, symbol)
        return reach

    def _start(self, reach: Reach, symbol: Symbol) -> None:
        name, qualname = module_of(symbol), outermost(qualname_of(symbol))
        module = self._graph.resolver.module(name)
        if module is None:
            raise UnknownSymbol(f"{symbol}: no module {name} in the project", hint="Symbols are written pkg.mod:name.")
        if qualname == MODULE:
            reach.start_module(module)
            return
        if qualname == ANY:
            reach.start_value(module)
            return
        entity = self.find(module, qualname)
        if entity is None:
            raise UnknownSymbol(f"{symbol}: {name} defines no {qualname}", hint=f"hitsave deps {name} lists its names.")
        if reach.ran is not None and symbol in reach.earlier:
            reach.start_earlier(entity)
        else:
            reach.start(entity)

    def find(self, module: Module, qualname: str) -> Entity | None:
        """The entity of a qualified name, an inherited member included."""
        entity = module.entity(qualname)
        if entity is None and "." in qualname:
            owner, _, name = qualname.rpartition(".")
            found = self.find(module, owner)
            if found is not None and found.is_class:
                return self._graph.resolver.member(found, name)
        return entity

    def imported_by(self, module: str) -> frozenset[str]:
        """The project modules that importing a module runs, itself included."""
        found = self._graph.resolver.module(module)
        return frozenset() if found is None else frozenset([m.name for m in self._graph.import_closure(found)])

    def path(self, start: Symbol, target: Symbol) -> tuple[Symbol, ...]:
        """A chain of symbols from `start` to `target`, each naming the next; () if there is none."""
        reach = self.reach((start,))
        entity = next((e for e in reach.parents if e.symbol == target), None)
        steps: list[Symbol] = []
        while entity is not None:
            steps.append(entity.symbol)
            entity = reach.parents[entity]
        if steps and steps[-1] != start:
            steps.append(start)
        return tuple(reversed(steps))

    def dependents(self, changed: Iterable[Symbol], among: Iterable[Symbol]) -> frozenset[Symbol]:
        """Those of `among` whose closure holds one of `changed`."""
        wanted = frozenset(changed)
        return frozenset([symbol for symbol in among if not wanted.isdisjoint(self.closure(symbol).symbols())])
