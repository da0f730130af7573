"""What was done with a definition when modules were imported: code that ran then, and values that were copied then.

Exchanging the body of a function brings back nothing that it computed earlier. So a function is exchanged only if no
module of the process called it, or handed it to something that may have called it, while it was imported; nor did
anything that was called then reach it. That a dictionary or a default argument holds it is harmless: it stays the same
object. A constant may be exchanged only if nobody took its value elsewhere.

Nor may what a function computed *later* have been kept where nobody can see it: by a decorator of others (`lru_cache`),
in a default argument that serves as a cache, in a global that is filled when it is first needed.

What stands under `if __name__ == "__main__":` is the program, not its import: it isn't counted.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from hitsave.analysis.edges import resolve_edges
from hitsave.analysis.entities import Entity, Module
from hitsave.analysis.graph import Graph
from hitsave.analysis.summary import CALLED, MUTATES_ARGUMENT, Class, Facts, Function, Import, ModuleSummary, Value
from hitsave.errors import HitSaveError
from hitsave.live.events import Refusal
from hitsave.symbol import Symbol, module_of, qualname_of, symbol
from hitsave.values.immutable import is_immutable

if TYPE_CHECKING:
    from hitsave.analysis.closure import Closure
    from hitsave.evaluator.code import Codebook

# Constructs that look at a namespace, but run nothing that can't be seen; an exec does.
LOOKS = ("globals", "locals", "vars", "dir")
# Decorators from outside that keep nothing of what the function under them returns.
KEEP_NOTHING = ("contextlib.", "click.", "typer.", "pytest.", "atexit.register")


class Reliance:
    """What the import of all loaded modules relied on; made anew for each batch of edits."""

    def __init__(self, book: Codebook) -> None:
        self._book = book
        self._graph = Graph(book)
        self._used: dict[Symbol, Symbol] = {}  # what ran at import -> where
        self._read: dict[Symbol, Symbol] = {}  # what import-time code read -> where
        self._imported: dict[Symbol, Symbol] = {}  # names bound by `from m import name`
        self._missing: dict[Symbol, Symbol] = {}  # names that import-time code looked for in vain
        self._stars: set[str] = set()
        self._opaque: Symbol | None = None
        self._reached: frozenset[Symbol] | None = None
        self._kept_by: dict[Symbol, Symbol] | None = None
        self._keepers: dict[Symbol, str] = {}  # functions that may keep what they computed, where nobody sees it
        for name in book.loaded.names():
            if book.import_name(name) not in sys.modules:
                continue
            try:
                source = book.source(name)
            except HitSaveError:  # its text isn't known, so nothing is known of what it did
                self._opaque = symbol(name)
                continue
            summary = None if source is None else book.summary(source)
            module = self._graph.resolver.module(name)
            if summary is not None and module is not None:
                self._look(module, summary)

    def refusals(
        self, functions: Iterable[Symbol], constants: Iterable[Symbol], added: Iterable[Symbol]
    ) -> list[Refusal]:
        """Why these can't be exchanged, one for each that can't."""
        found = []
        reached = self._reach()
        for name in functions:
            if self._opaque is not None:
                found.append(_refusal(name, f"{self._opaque} runs code made at run time while it is imported"))
            elif name in reached:
                found.append(_refusal(name, self._where(name)))
            else:
                found += [_refusal(name, reason) for reason in self._kept(name)[:1]]
        for name in constants:
            ran = [self._where(name)] if name in reached else []
            found += [_refusal(name, reason) for reason in (*ran, *self._copies(name), *self._kept(name))][:1]
        for name in added:
            if name in self._missing:
                where = self._missing[name]
                found.append(_refusal(name, f"its absence was noticed while modules were imported ({where})"))
            elif module_of(name) in self._stars:
                found.append(_refusal(name, "other modules take all names of this module (`import *`)"))
        return found

    def note_state(self, closure: Closure) -> None:
        """Take in what a memoised function reads: state that functions leave is a place where old results are kept."""
        for _, writer in closure.writers:
            self._keepers.setdefault(writer, "it leaves state that memoised functions read")

    # -- private -----------------------------------------------------------------------------------------------------

    def _look(self, module: Module, summary: ModuleSummary) -> None:
        program = {
            number for number, one in enumerate(summary.conditions) if any(c == "__name__" for c, _ in one.facts.reads)
        }
        for statement in summary.statements:
            if program.isdisjoint(statement.conditions):
                self._take(module, symbol(summary.module), statement.facts)
        for name, bindings in summary.definitions.items():
            for one in bindings:
                if not program.isdisjoint(one.conditions):
                    continue
                where = symbol(summary.module, name)
                if isinstance(one, Function):
                    self._take(module, where, one.header_facts)
                    self._decorated(module, where, one)
                    self._keeping(module, name, one)
                elif isinstance(one, Class):
                    self._take(module, where, one.facts)
                    self._decorated(module, where, one)
                elif isinstance(one, Value):
                    self._take(module, where, one.facts)
                elif isinstance(one, Import) and one.attribute:
                    target = self._graph.resolver.module(module.absolute(one.module))
                    if target is not None:
                        self._imported.setdefault(symbol(target.name, one.attribute), where)
        for star in summary.stars:
            target = self._graph.resolver.module(module.absolute(star))
            if target is not None:
                self._stars.add(target.name)

    def _take(self, module: Module, where: Symbol, facts: Facts) -> None:
        edges = resolve_edges(self._graph.resolver, module, None, [facts])
        for name in edges.missing:
            self._missing.setdefault(Symbol(name), where)
        if any(construct not in LOOKS for construct, _ in edges.opaque):
            self._opaque = where
        for entity, bits in edges.mentions.items():
            self._read.setdefault(entity.symbol, where)
            if bits & CALLED or entity in edges.passed:
                self._use(entity, where)
        for entity, name in edges.demands:
            member = self._graph.resolver.member(entity, name)
            if member is not None:
                self._use(member, where)
        # An item of a container was called: whatever it may hold.
        for chain, bits in facts.reads:
            if bits & CALLED and chain.startswith("globals()"):
                self._opaque = where
            if bits & CALLED and "[" in chain:
                for entity in edges.mentions:
                    self._use(entity, where)

    def _decorated(self, module: Module, where: Symbol, one: Function | Class) -> None:
        for chain, _ in one.decorators:
            facts = Facts(reads=((chain, CALLED),))
            for entity in resolve_edges(self._graph.resolver, module, None, [facts]).mentions:
                if not (entity.has_function or entity.is_class or entity.has_value):
                    continue  # the import of a decorator from outside
                self._use(entity, where)
                # What it was given may have been called; what it returned calls it, but later.
                self._used.setdefault(where, where)

    def _keeping(self, module: Module, qualname: str, one: Function) -> None:
        entity = module.entity(qualname)
        if entity is None:
            return
        if self._graph.is_foreign(entity) and not self._keeps_nothing(module, one):
            self._keepers[entity.symbol] = "a decorator of others stands on it"
        elif one.body_facts.flags & MUTATES_ARGUMENT and self._has_mutable_default(entity.symbol):
            self._keepers[entity.symbol] = "a default argument of it may serve as a cache"

    def _has_mutable_default(self, name: Symbol) -> bool:
        import_name = self._book.import_name(module_of(name))
        thing: object = sys.modules.get(import_name or "")
        for part in qualname_of(name).split("."):
            thing = getattr(thing, "__dict__", {}).get(part)
        function = getattr(thing, "__wrapped__", getattr(thing, "__func__", thing))
        values = list(getattr(function, "__defaults__", None) or ())
        values += (getattr(function, "__kwdefaults__", None) or {}).values()
        return not all(map(is_immutable, values))

    def _keeps_nothing(self, module: Module, one: Function) -> bool:
        facts = Facts(reads=tuple((chain, CALLED) for chain, _ in one.decorators if chain != "?"))
        outside = resolve_edges(self._graph.resolver, module, None, [facts]).outside
        return bool(outside) and all(name.startswith(KEEP_NOTHING) for name in outside)

    def _kept(self, name: Symbol) -> list[str]:
        if self._kept_by is None:
            self._kept_by = {}
            for keeper in self._keepers:
                for found in _counting(self._book.closure({keeper})):
                    self._kept_by.setdefault(found, keeper)
        by = self._kept_by.get(name)
        return [] if by is None else [f"{by} may keep what it computed with the old code ({self._keepers[by]})"]

    def _use(self, entity: Entity, where: Symbol) -> None:
        self._used.setdefault(entity.symbol, where)

    def _reach(self) -> frozenset[Symbol]:
        if self._reached is None:
            closure = self._book.closure(self._used) if self._used else None
            self._reached = frozenset() if closure is None else _counting(closure)
        return self._reached

    def _where(self, name: Symbol) -> str:
        place = self._used.get(name)
        if place is None:
            place = next((w for used, w in self._used.items() if name in _counting(self._book.closure({used}))), None)
        at = f" ({place})" if place is not None and place != name else ""
        return f"it was called, or may have been, while modules were imported{at}"

    def _copies(self, name: Symbol) -> list[str]:
        found = []
        if name in self._read:
            found.append(f"its value was used while modules were imported ({self._read[name]})")
        if name in self._imported:
            found.append(f"its value was copied by `from … import` ({self._imported[name]})")
        if module_of(name) in self._stars:
            found.append("other modules take all names of this module (`import *`)")
        main = getattr(sys.modules.get("__main__"), "__dict__", {})
        owner = sys.modules.get(self._book.import_name(module_of(name)) or "", None)
        if main is not getattr(owner, "__dict__", None) and qualname_of(name) in main:
            found.append("a name in __main__ may be a copy of it")
        return found


def _counting(closure: Closure) -> frozenset[Symbol]:
    """The functions whose body a closure counts, and the names whose value it does."""
    return frozenset((*closure.functions, *closure.constants, *closure.live))


def _refusal(name: Symbol, reason: str) -> Refusal:
    module = module_of(name)
    return Refusal(name, 0, reason, f"restart, or hitsave.reload({module!r}) and whatever imported it")
