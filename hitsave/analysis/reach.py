"""`Reach`: the walk from a symbol to everything it can lead to.

Three ideas carry it:

*Mentioned counts.* Naming a function is taken for calling it, wherever it stands: `map(f, xs)`, `{"a": f}`, `key=f`.

*Rapid type analysis.* An attribute read on an object of unknown type, `x.run()`, needs no guess about types: whoever
made the object named its class, so the class is reached too. A reached class therefore gives those of its methods
whose name is read as an attribute anywhere in the reach, and those that Python or outside code call by themselves.
Names read on `self`, `super()` and instances of known classes are looked up in those classes and their subclasses.

*What ran.* With a record of the functions that ran, the walk doesn't enter the bodies of others, except where they
ran before the call (`levels` below): then their header counts and their body doesn't. What may have run when modules
were imported is entered, if it may have made what a name means (UNCUT) and wasn't seen not to run then (`at_import`).

The walk is a worklist to a fixpoint; each entity is expanded once per level, each edge followed once: linear.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hitsave.analysis.entities import Entity, Module
from hitsave.analysis.levels import ASIDE, EARLIER, MENTION, PICKLED, SHAPE, UNCUT
from hitsave.analysis.looking import NOBODY
from hitsave.analysis.members import Members
from hitsave.analysis.summary import CALLED, CALLS_UNKNOWN, READ, TURNS, Function

if TYPE_CHECKING:
    from collections.abc import Collection

    from hitsave.analysis.edges import Edges
    from hitsave.analysis.effects import Effects
    from hitsave.analysis.graph import Graph


class Reach(Members):
    """One walk and what it found. `levels` maps entities to how they were reached, `parents` to whence."""

    def __init__(
        self,
        graph: Graph,
        effects: Effects | None,
        *,
        ran: Collection[str] | None = None,
        earlier: Collection[str] = (),
        at_import: Collection[str] | None = None,
        cut: Collection[str] = (),
        extra: Collection[Module] = (),
        construct_only: bool = False,
    ) -> None:
        super().__init__(graph, effects, ran, construct_only=construct_only)
        self.earlier = earlier
        self.at_import = at_import
        self.cut = cut
        self.parents: dict[Entity, Entity | None] = {}
        self.followed: dict[Entity, None] = {}  # functions whose body counts
        self.executed: dict[Module, None] = {}  # modules whose top level the start runs
        self.defined: dict[Entity, None] = {}  # functions of those, of which only the header counts
        self.edges: list[tuple[Edges, Entity | None, str]] = []  # all that was absorbed, with whose and which region
        self.statements: dict[tuple[Module, int], None] = {}
        self._looked: set[Entity] = set()  # whose annotations are looked at
        self._redirects = False  # at one's when another's are meant
        self._annotated: set[Entity] = set()  # whose annotations lead on
        self.seen: object = None  # what `report.py` gathered from the edges
        self._strong: dict[str, Entity | None] = {}  # targets of effects that are read, and by or as what
        self._stack: list[tuple[Entity, int]] = []
        for module in extra:
            self.activate(module)

    # Entry points

    def start(self, entity: Entity) -> None:
        """Reach a symbol as the function to be called, the class whose code is wanted, or the value read."""
        if entity.has_function:
            if (owner := self.graph.own_class(entity)) is not None:
                self.mention(owner, SHAPE, None)
            self._start_function(entity)
        self.mention(entity, MENTION, None)
        if entity.is_class:
            self._drain()
            self._reach_all_members(entity, MENTION)
        self._drain()

    def start_earlier(self, entity: Entity) -> None:
        """Reach a function that ran before the call and may have left what the call reads."""
        self.mention(entity, EARLIER, None)
        self._drain()

    def start_module(self, module: Module) -> None:
        """Reach what executing a module's top level runs, and that of the modules it imports."""
        self.activate(module)
        for imported in sorted(self.graph.import_closure(module), key=lambda m: m.name):
            self.executed[imported] = None
            for name in imported.summary.definitions:
                if (entity := imported.entity(name)) is not None:
                    self._define(entity)
            for number in range(len(imported.summary.statements)):
                self.add_statement(imported, number, None)
            for getter in self.graph.getters_asked(imported):
                self.mention(getter, SHAPE, None)
        self._drain()

    def start_value(self, module: Module) -> None:
        """Reach a module that was handed over: names that are read as attributes may be its."""
        self.activate(module)
        self._add_bare(module, MENTION, None)
        self._drain()

    def _define(self, entity: Entity) -> None:
        """A definition is executed: decorators, defaults, class bodies and initialisers run, function bodies don't."""
        if entity.has_function:
            self.defined[entity] = None
            self._absorb(self.graph.header(entity), UNCUT, entity, "header")
        if entity.is_class:
            self.mention(entity, SHAPE, None)
            self._absorb(self.graph.header(entity), UNCUT, entity, "header")
        elif entity.has_value:
            self.mention(entity, SHAPE, None)

    def run_only(self, entity: Entity) -> None:
        """Reach what calling an entity runs, without the definition itself or what it stands for."""
        self.parents[entity] = None
        if entity.has_function:
            self.followed[entity] = None
            self._absorb(self.graph.body(entity), MENTION, entity, "body")
        if entity.is_class:
            self.mention(entity, MENTION, None)
        self._drain()

    def _start_function(self, entity: Entity) -> None:
        if self.ran is not None and entity.symbol not in self.ran:
            self.ran = {*self.ran, entity.symbol}

    # The worklist

    def mention(self, entity: Entity, level: int, source: Entity | None) -> None:
        """Note that `source` names `entity`."""
        if entity.qualname == "__getattr__":  # of a module: an import statement may have asked it
            level = UNCUT
        known = self.levels.get(entity, 0)
        if known >= level or entity.symbol in self.cut:
            return
        if not known:
            self.parents.setdefault(entity, source)
        self.levels[entity] = level
        self._stack.append((entity, known))

    def _drain(self) -> None:
        stack = self._stack
        while stack:
            entity, known = stack.pop()
            self._expand(entity, known, self.levels[entity])
            if not stack and self._subclasses_wanted:
                for module in list(self.active):
                    self._reach_subclasses(module)
            if not stack and (self._looked or self.looks_anywhere):
                self._absorb_annotations()

    def _expand(self, entity: Entity, known: int, level: int) -> None:
        if self._construct_only:  # what definitions run, ran before
            if entity.is_class:
                self._add_class(entity, known, level)
            if entity.has_function and entity not in self.followed:
                self.followed[entity] = None
                self._absorb(self.graph.body(entity), MENTION, entity, "body")
            return
        if not known:
            if entity.module not in self.active:
                self.activate(entity.module)
            if entity.is_class:
                self._absorb_class(entity)
            elif not self._is_unread(entity, level):
                self._absorb(self.graph.header(entity), UNCUT, entity, "header")
            for definition in entity.definitions:
                for number in definition.conditions:
                    if number < 0:
                        self.add_statement(entity.module, -number - 1, entity)
        elif known == SHAPE and self._is_unread(entity, known):
            self._absorb(self.graph.header(entity), UNCUT, entity, "header")
        if entity.has_value and not known:
            self._reach_statements(entity)
        if entity.is_class:
            self._add_class(entity, known, level)
        if entity.has_function and entity not in self.followed and (phase := self._phase(entity, level)):
            self.followed[entity] = None
            self._absorb(self.graph.body(entity), phase, entity, "body")
        elif entity in self.followed and (known <= ASIDE < level or (level == UNCUT and self.ran is not None)):
            self._absorb(self.graph.body(entity), self._phase(entity, level), entity, "body")
        if level > ASIDE >= known:
            self._add_effects(entity)

    def _is_unread(self, entity: Entity, level: int) -> bool:
        """Is it an attribute that nobody names, of a class whose creation nobody watches? Its text counts, and leads
        nowhere: what its initialiser calls can't be seen.
        """
        if level != SHAPE or not entity.class_name or entity.has_function or entity.is_class:
            return False
        owner = self.graph.own_class(entity)
        return owner is not None and not self.graph.is_watched(owner)

    def _phase(self, entity: Entity, level: int) -> int:
        """At which level the body of a function is to be entered; 0 for not at all."""
        if level == SHAPE:
            return 0
        if self.ran is None:
            return min(level, MENTION)
        if self.graph.is_foreign(entity):
            return UNCUT
        if level == UNCUT and (self.at_import is None or entity.symbol in self.at_import):
            return UNCUT
        if entity.symbol in self.ran:
            return MENTION if level == UNCUT else level
        return EARLIER if level == EARLIER and entity.symbol in self.earlier else 0

    def _absorb(
        self, edges: Edges, phase: int, source: Entity | None, region: str, shaped: Collection[Entity] = ()
    ) -> None:
        self.edges.append((edges, source, region))
        if edges.looked is not NOBODY:
            self._looked.update(edges.looked or ())
            self.looks_anywhere |= edges.looked is None
        self._redirects |= edges.redirects
        level = MENTION if phase == UNCUT else phase
        everything = phase == UNCUT and self.ran is not None
        called_too = everything and bool(edges.flags & CALLS_UNKNOWN)
        levels = self.levels
        for entity, bits in edges.mentions.items():
            if not bits & (READ | CALLED) or (entity in shaped and not bits & CALLED):
                wanted = SHAPE
            elif everything and (bits & CALLED or called_too):
                wanted = UNCUT
            else:
                wanted = level
            if levels.get(entity, 0) < wanted:
                self.mention(entity, wanted, source)
        if everything:
            for entity, callees in edges.passed.items():
                if any(callee is None or self._calls_what_it_is_given(callee) for callee in callees):
                    self.mention(entity, UNCUT, source)
            level = UNCUT
        names = self.names
        for name in edges.names:
            if names.get(name, 0) < level:
                self._read_name(name, level, source)
        for owner, name in edges.demands:
            asked = self._demands.get(owner)
            if asked is None or asked.get(name, 0) < level:
                self._demand(owner, name, level, source)
        if edges.pickles and PICKLED not in self.names:
            self._read_name(PICKLED, ASIDE, source)
        if edges.parent and source is not None and (above := self.graph.own_class(source)) is not None:
            for name in edges.parent:
                self._demand_super(above, name, level, source)
        if self._construct_only:
            return
        if edges.is_computed():
            self._absorb_computed(edges, level, source)
        for module in edges.modules:
            self._add_bare(module, level, source)
        for module in edges.imported:
            if module not in self.active:
                self.activate(module)
        for module in edges.listed:
            self._add_submodules(module, level, source)
        if any(write == TURNS or (write[0] == "~" and write.endswith(".__class__")) for write in edges.writes):
            self._doubt_classes(level, source)
        for owner in edges.escapes:
            self._escape(owner, level, source)
        if self.effects is not None and level > ASIDE and not (targets := edges.targets()) <= self._strong.keys():
            self._want_effects(targets, source)

    def is_looked_at(self, entity: Entity) -> bool:
        """May code that was reached look at the annotations of a function or class?"""
        return self.looks_anywhere or entity in self._looked or (self._redirects and bool(self._looked))

    def _absorb_annotations(self) -> None:
        """Follow the annotations that may be looked at: `x: Alias` is what `Alias` is."""
        for entity in [e for e in self.levels if e not in self._annotated and self.is_looked_at(e)]:
            self._annotated.add(entity)
            if (edges := self.graph.annotations(entity)) is not None:
                self._absorb(edges, MENTION, entity, "annotations")

    def _absorb_computed(self, edges: Edges, level: int, source: Entity | None) -> None:
        """What a region names in ways that only running it can tell."""
        for thing, prefix, suffix, _ in edges.attribute_patterns:
            self._add_pattern(thing, prefix, suffix, level, source)
        if edges.import_patterns and source is not None:
            for prefix, _, _ in edges.import_patterns:
                if prefix:
                    self._import_any(source.module, prefix, level, source)
                else:
                    self._import_spelt(source.module, edges, level, source)
        for construct, _ in edges.opaque:
            if construct in ("globals", "exec", "eval") and source is not None:
                self._reach_module(source.module, level, source)
                for star in source.module.summary.stars:
                    taken = self.graph.resolver.imported(source.module, star)
                    if isinstance(taken, Module):
                        self._reach_module(taken, level, source)

    def _calls_what_it_is_given(self, callee: Entity) -> bool:
        if callee.is_class:
            return any(
                (member := self.graph.resolver.member(callee, name)) is not None
                and self._calls_what_it_is_given(member)
                for name in ("__init__", "__new__")
            )
        return any(isinstance(d, Function) and d.body_facts.flags & CALLS_UNKNOWN for d in callee.definitions) or (
            not callee.has_function
        )

    # Statements and effects

    def _reach_statements(self, entity: Entity) -> None:
        for definition in entity.definitions:
            number = getattr(definition, "statement", -1)
            if number >= 0:
                self.add_statement(entity.module, number, entity)

    def add_statement(self, module: Module, number: int, source: Entity | None) -> None:
        """Count a top-level statement and what it reads."""
        if (module, number) in self.statements:
            return
        self.statements[module, number] = None
        self._absorb(self.graph.statement(module, number), UNCUT, source, f"statement {number}")

    def activate(self, module: Module) -> None:
        """Note that a module is imported, and so are all that it imports."""
        new = self.graph.import_closure(module) - self.active
        self.active |= new
        if self.effects is not None:
            for found in new:
                targets = self.effects.of_module(found)
                for target in sorted(targets.keys() & self._strong.keys()):
                    self._apply(target, targets[target], found, self._strong[target])

    def _add_effects(self, entity: Entity) -> None:
        if self.effects is not None:
            self._want_effects((entity.symbol, f"{entity.module.name}:*"), entity)

    def _want_effects(self, targets: Collection[str], source: Entity | None) -> None:
        for target in targets:
            if target not in self._strong:
                self._strong[target] = source
                for module, contributors in self.effects.on(target):  # type: ignore[union-attr]
                    if module in self.active:
                        self._apply(target, contributors, module, source)

    def _apply(
        self, target: str, contributors: Collection[Entity | int], module: Module, source: Entity | None
    ) -> None:
        known = None if self.ran is None else self.at_import
        for contributor in contributors:
            if known is not None and not self.effects.did_change(target, module, contributor, known):  # type: ignore[union-attr]
                continue
            if isinstance(contributor, int):
                self.add_statement(module, contributor, source)
            else:
                self.mention(contributor, MENTION, source)
