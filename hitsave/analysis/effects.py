"""Effects: which code that runs at import can change what a name means.

A monkeypatch (`mod.f = g`), a registry filled by decorators, by a loop, by a metaclass: none of these is where the name
is defined, and each changes what reading it gives. For each module this works out *contributors*, its top-level
statements and definitions, by *target*: the symbol whose meaning they may change. A closure that reads a target takes
in its contributors, as far as they stand in modules that are imported by modules of the closure.

    target   pkg.mod:NAME, pkg.mod:Class.attribute       a project symbol, defined or not
             pkg.mod:*                                   any name of the module (globals()[computed] = …)
             !numpy.random                               something outside the project, and all below it

A call at import is followed: what its callee, and what that calls in turn, writes is what it may change.

What it cannot see: an object changed through another name that a third module gave it, or by outside code that was
handed a callback. Both are left to live values, which count by value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hitsave.analysis.classes import Trace
from hitsave.analysis.entities import Entity, Module, Outside
from hitsave.analysis.reach import Reach
from hitsave.analysis.summary import CALLED, MUTATES_ARGUMENT, MUTATES_UNKNOWN, Function, Value
from hitsave.analysis.targets import Targets, state_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from hitsave.analysis.edges import Edges
    from hitsave.analysis.graph import Graph

Contributor = Entity | int


class Written:
    """What running something may change: `targets`, and whether it changes objects it is given."""

    __slots__ = ("arguments", "targets", "through")

    def __init__(self, targets: frozenset[str], *, arguments: bool, through: frozenset[Entity] = frozenset()) -> None:
        self.targets = targets
        self.arguments = arguments
        self.through = through  # the functions that it runs


REGISTERED = "register()"  # `Abstract.register(Concrete)`
NOTHING = Written(frozenset(), arguments=False)


class Effects:
    """Contributors by target, per module, worked out when the module first becomes part of a reach."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._targets = Targets(graph)
        self._by_module: dict[Module, dict[str, list[Contributor]]] = {}
        self._by_target: dict[str, dict[Module, list[Contributor]]] = {}
        self._written: dict[Entity, Written] = {}
        self._direct: dict[Entity, Written] = {}
        self._rebinds: dict[Module, frozenset[str]] = {}
        # Of each contributor: what it changes itself, and what it calls, which may change the rest.
        self._how: dict[tuple[Module, Contributor], tuple[set[str], list[Entity]]] = {}

    def of_module(self, module: Module) -> dict[str, list[Contributor]]:
        """The contributors in a module, by target."""
        known = self._by_module.get(module)
        if known is None:
            known = self._by_module[module] = {}
            for contributor, targets in self._contributors(module):
                for target in targets:
                    known.setdefault(target, []).append(contributor)
            for target, contributors in known.items():
                self._by_target.setdefault(target, {})[module] = contributors
        return known

    def on(self, target: str) -> Iterable[tuple[Module, list[Contributor]]]:
        """Every (module, contributors) known for a target."""
        return self._by_target.get(target, {}).items()

    def did_change(self, target: str, module: Module, contributor: Contributor, ran: Collection[str]) -> bool:
        """May it have changed the target when the module was imported, if of the functions only those in `ran` ran?"""
        itself, called = self._how[module, contributor]
        return target in itself or any(
            function.symbol in ran and target in self._direct_of(function).targets
            for entity in called
            for function in self.written(entity).through
        )

    def forget(self, modules: Collection[Module], touched: Collection[Entity]) -> None:
        """Work out anew what an edit of `modules` may have changed, which changed the edges of `touched`."""
        stale = [entity for entity, written in self._written.items() if not written.through.isdisjoint(touched)]
        for entity in stale:
            del self._written[entity]
        for entity in touched:
            self._direct.pop(entity, None)
        for module in modules if not stale else list(self._by_module):
            for target in self._by_module.pop(module, ()):
                self._by_target[target].pop(module, None)
        for module in modules:
            self._rebinds.pop(module, None)

    def is_written(self, entity: Entity, active: Collection[Module]) -> bool:
        """May anything but its definition set this name, in the modules given?"""
        targets = (entity.symbol, f"{entity.module.name}:*")
        return any(not self._rebound(module).isdisjoint(targets) for module in active)

    def _rebound(self, module: Module) -> frozenset[str]:
        """Every target that a statement or a function body of the module writes itself."""
        known = self._rebinds.get(module)
        if known is None:
            found: set[str] = set()
            for number, statement in enumerate(module.summary.statements):
                if statement.facts.writes:
                    found |= self._targets.of_writes(module, None, self.graph.statement(module, number).writes)
            for name in module.summary.definitions:
                entity = module.entity(name)
                if entity is not None and entity.has_function:
                    found |= self._direct_of(entity).targets
            known = self._rebinds[module] = frozenset(found)
        return known

    # State that functions leave

    def set_elsewhere(self, reach: Reach) -> set[str]:
        """Functions and classes that are given attributes somewhere, and names that are read but nowhere defined.

        What these hold isn't in any definition, so it counts by value: `f.cache = {}`, `cls._it = made`,
        `globals()["EXTRA"] = 1`. A class given a computed attribute is `m:C.*`.
        """
        found: set[str] = set()
        for edges, _, _ in reach.edges:
            found.update(name for name in edges.missing if not name.partition(":")[2].startswith("__"))
        classes = [entity for entity in reach.levels if entity.is_class]
        for module in reach.active:
            for target in self._rebound(module):
                if target[0] == "^":
                    owner, _, name = target[1:].rpartition(".")
                    base = self.graph.entity(owner)
                    found.update(
                        f"{entity.symbol}.{name}"
                        for entity in classes
                        if base in self.graph.resolver.mro(entity)[0]
                        and ((member := self.graph.entity(f"{entity.symbol}.{name}")) is None or member.has_value)
                    )
                elif target[0] != "!" and not target.endswith(":*"):
                    entity = self.graph.entity(target)
                    if entity is not None:
                        if entity.has_function and entity in reach.levels:
                            found.add(target)
                        continue
                    above = self.graph.entity(target.rpartition(".")[0])
                    if above is not None and above.is_class and above in reach.levels:
                        found.add(target)
        return found

    def writers(self, names: Collection[str], active: Iterable[Module]) -> list[tuple[str, str]]:
        """(name, function) for every function of the modules that may change what one of the names holds."""
        wanted = frozenset(names)
        last = {name.rpartition(":")[2].rpartition(".")[2] for name in wanted}
        found: set[tuple[str, str]] = set()
        for module in active:
            for name in module.summary.definitions:
                entity = module.entity(name)
                if entity is None or not entity.has_function:
                    continue
                found.update((target, entity.symbol) for target in wanted & self._direct_of(entity).targets)
                if self._handles(entity, last):
                    edges = self.graph.body(entity)
                    handled = [e.symbol for e in (*edges.passed, *edges.mentions) if e.symbol in wanted]
                    found.update((target, entity.symbol) for target in handled)
        return sorted(found)

    @staticmethod
    def _handles(entity: Entity, names: Collection[str]) -> bool:
        """Does the function hand something of one of these names to a call, or call a method of it?"""
        for definition in entity.definitions:
            if isinstance(definition, Function):
                facts = definition.body_facts
                if any(_names_in(argument, names) for _, argument in facts.passed):
                    return True
                if any(info & CALLED and "." in chain and _names_in(chain, names) for chain, info in facts.reads):
                    return True
        return False

    # Contributors

    def _contributors(self, module: Module) -> Iterable[tuple[Contributor, set[str]]]:
        for number in range(len(module.summary.statements)):
            edges = self.graph.statement(module, number)
            targets, called = self._targets_of_calls(edges)
            targets |= self._targets.of_writes(module, None, edges.writes, is_opaque=bool(edges.opaque))
            targets |= self._targets_of_statement(module, edges)
            self._how[module, number] = targets, called
            if targets := targets.union(*[self.written(entity).targets for entity in called]):
                yield number, targets
        for name in module.summary.definitions:
            entity = module.entity(name)
            if entity is None or (entity.has_import and not entity.has_function and not entity.has_value):
                continue
            edges = self.graph.header(entity)
            targets, called = self._targets_of_calls(edges)
            called += self._hooks(entity)
            targets |= self._targets.of_writes(module, None, edges.writes)
            self._how[module, entity] = targets, called
            targets = targets.union(*[self.written(one).targets for one in called])
            targets.discard(entity.symbol)
            if targets:
                yield entity, targets

    def _targets_of_calls(self, edges: Edges) -> tuple[set[str], list[Entity]]:
        """What calls change, and the entities called, which may change more."""
        targets: set[str] = set()
        called = [entity for entity, bits in edges.mentions.items() if bits & CALLED]
        for entity, callees in edges.passed.items():
            for callee in callees:
                if callee is not None:
                    if entity.has_function or entity.is_class:
                        called.append(entity)
                    elif self.written(callee).arguments:
                        targets.add(entity.symbol)
        for owner, name in edges.demands:
            member = self.graph.resolver.member(owner, name)
            if member is not None and member.has_function:
                called.append(member)
            elif member is None and name == "register":  # of `abc.ABCMeta`: what isinstance says afterwards
                targets.add(f"{owner.symbol}.{REGISTERED}")
        return targets, called

    def _targets_of_statement(self, module: Module, edges: Edges) -> set[str]:
        """A call made for its effect: what it is given may be changed, and so may the state of an outside package."""
        targets: set[str] = set()
        for entity, callees in edges.passed.items():
            if None in callees and _is_mutable(entity):
                targets.add(entity.symbol)
        called = {write[1:] for write in edges.writes if write[0] == "!"}
        if "*" in called:
            names = {name for name, (bits, _) in edges.outside.items() if bits & CALLED}
        else:
            things = (thing for chain in called for thing in self.graph.resolver.chain(module, chain, Trace()))
            names = {thing.name for thing in things if isinstance(thing, Outside)}
        return targets | state_of(names)

    def _hooks(self, entity: Entity) -> list[Entity]:
        """What Python itself calls when a class statement runs."""
        if not entity.is_class:
            return []
        resolver = self.graph.resolver
        found = [hook for _, hook in resolver.name_hooks(entity)]
        for ancestor in resolver.mro(entity)[0]:
            if ancestor is not entity:
                hook = ancestor.module.entity(f"{ancestor.qualname}.__init_subclass__")
                if hook is not None:
                    found.append(hook)
            for definition in ancestor.definitions:
                for keyword, chain in getattr(definition, "keywords", ()):
                    if keyword == "metaclass" and chain != "?":
                        for thing in resolver.chain(ancestor.module, chain, Trace()):
                            found += resolver.classes(thing)
        return found

    # What running something writes

    def written(self, entity: Entity) -> Written:
        """What calling an entity may change, through everything it calls."""
        known = self._written.get(entity)
        if known is not None:
            return known
        self._written[entity] = NOTHING
        reach = Reach(self.graph, None, construct_only=True)
        reach.run_only(entity)
        targets: set[str] = set()
        arguments = False
        for function in reach.followed:
            direct = self._direct_of(function)
            targets |= direct.targets
            arguments = arguments or direct.arguments
        result = Written(frozenset(targets), arguments=arguments, through=frozenset(reach.followed))
        self._written[entity] = result
        return result

    def _direct_of(self, function: Entity) -> Written:
        """What the body of a function itself writes."""
        known = self._direct.get(function)
        if known is None:
            writes: list[str] = []
            flags = 0
            for definition in function.definitions:
                if isinstance(definition, Function):
                    writes += definition.body_facts.writes
                    flags |= definition.body_facts.flags
            targets: set[str] = set()
            if writes or flags & MUTATES_UNKNOWN:
                targets = self._targets.of_writes(function.module, function, writes)
            if flags & MUTATES_UNKNOWN:  # what a call returned may be (part of) what it was given
                passed = self.graph.body(function).passed
                targets |= {entity.symbol for entity in passed if _is_mutable(entity)}
            arguments = bool(flags & (MUTATES_ARGUMENT | MUTATES_UNKNOWN))
            known = self._direct[function] = Written(frozenset(targets), arguments=arguments)
        return known


def _is_mutable(entity: Entity) -> bool:
    return any(d.__class__ is Value and not d.is_literal for d in entity.definitions)


def _names_in(chain: str, names: Collection[str]) -> bool:
    return any(part.rstrip("()[]").rpartition("|")[2] in names for part in chain.split("."))
