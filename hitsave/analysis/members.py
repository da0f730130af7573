"""Attribute names and classes in a walk: rapid type analysis, and names that are computed.

The part of `reach.py` that says which members of classes and modules a reach takes in, and when.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from hitsave.analysis.classes import Trace
from hitsave.analysis.entities import Entity, Module, Outside, Thing
from hitsave.analysis.levels import (
    CONSTRUCTORS,
    EARLIER,
    MAKING,
    MENTION,
    ON_REQUEST,
    PICKLED,
    PICKLING,
    PRESENT,
    PROTOCOL,
    QUIET_BASES,
    SHAPE,
    UNCUT,
    called_by_bases,
    is_protocol,
)
from hitsave.analysis.looking import SIGNATURES

if TYPE_CHECKING:
    from collections.abc import Collection

    from hitsave.analysis.edges import Edges
    from hitsave.analysis.effects import Effects
    from hitsave.analysis.graph import Graph


class Members(ABC):
    """Which members count, for `Reach`."""

    def __init__(
        self, graph: Graph, effects: Effects | None, ran: Collection[str] | None, *, construct_only: bool
    ) -> None:
        self.graph = graph
        self.effects = effects
        self.ran = ran
        self.levels: dict[Entity, int] = {}
        self.classes: dict[Entity, int] = {}
        self.names: dict[str, int] = {} if construct_only else dict.fromkeys(PROTOCOL, MENTION)
        self.active: set[Module] = set()
        self.bare: dict[Module, None] = {}
        self.looks_anywhere = False  # at the annotations of anybody
        self.outside: set[str] = set()  # outside names reached through imports of members
        self._followed_imports: dict[Entity, int] = {}
        self.all_members = 0  # level at which a computed getattr reaches every member
        self.prefixes: list[tuple[str, str, int]] = []
        self._members: dict[str, list[Entity]] = {}  # by name: members of reached classes and modules
        self._demands: dict[Entity, dict[str, int]] = {}
        self._super_demands: dict[tuple[Entity, str], int] = {}
        self._descendants: dict[Entity, list[Entity]] = {}
        self._subclasses_wanted = 0
        self._doubted = 0  # level at which instances may have changed their class
        self._construct_only = construct_only

    @abstractmethod
    def mention(self, entity: Entity, level: int, source: Entity | None) -> None:
        """Note that `source` names `entity`."""

    @abstractmethod
    def activate(self, module: Module) -> None:
        """Note that a module is imported."""

    @abstractmethod
    def _absorb(
        self, edges: Edges, phase: int, source: Entity | None, region: str, shaped: Collection[Entity] = ()
    ) -> None:
        """Follow the edges of a region."""

    @abstractmethod
    def _want_effects(self, targets: Collection[str], source: Entity | None) -> None:
        """Take in what changes the targets."""

    # Attribute names and classes

    def _read_name(self, name: str, level: int, source: Entity | None) -> None:
        self.names[name] = level
        for member in self._members.get(name, ()):
            self._reach_member(member, level, source)
        self.looks_anywhere |= name in SIGNATURES
        if name == "__subclasses__":
            self._want_subclasses(level)

    def _register(self, member: Entity, name: str, source: Entity | None) -> None:
        self._members.setdefault(name, []).append(member)
        if name[:2] == "__" and name[-2:] != "__" and member.class_name:
            mangled = f"_{member.class_name.rpartition('.')[2].lstrip('_')}{name}"
            self._members.setdefault(mangled, []).append(member)
            if mangled in self.names:
                self._reach_member(member, self.names[mangled], source)
        level = named = self.names.get(name, 0)
        if name not in PICKLING and name != PICKLED:
            level = max(level, self.all_members)
        for prefix, suffix, reached in self.prefixes:
            if reached > level and name.startswith(prefix) and name.endswith(suffix):
                level = reached
        if level:
            self._reach_member(member, level, source, by_name=level == named)

    def _reach_member(self, member: Entity, level: int, source: Entity | None, *, by_name: bool = True) -> None:
        """Reach a member by its name alone: one that the module or class imports is what it imports.

        But a computed name (not `by_name`) leads through no further module, or it would lead everywhere.
        """
        self.mention(member, level, source)
        if member.has_import and self._followed_imports.get(member, 0) < level:
            self._followed_imports[member] = level
            for thing in self.graph.resolver.bound(member):
                if isinstance(thing, Entity):
                    self.mention(thing, level, member)
                elif isinstance(thing, Module):
                    if by_name:
                        self._add_bare(thing, level, member)
                elif isinstance(thing, Outside):
                    self.outside.add(thing.name)
                    self.looks_anywhere |= thing.name in SIGNATURES

    def _add_class(self, entity: Entity, known: int, level: int) -> None:
        resolver = self.graph.resolver
        if self._construct_only:
            if known < MENTION <= level:
                self._add_members(entity)
                for name in CONSTRUCTORS:
                    if (member := resolver.member(entity, name)) is not None:
                        self.mention(member, MENTION, entity)
            return
        if not known:
            if self.effects is not None:
                self._want_effects((f"{entity.symbol}.register()",), entity)
            for ancestor in resolver.mro(entity)[0][1:]:
                self.mention(ancestor, SHAPE, entity)
            for name in entity.module.members_of(entity.qualname):
                found = entity.module.entity(f"{entity.qualname}.{name}")
                if found is not None and not found.has_function and not found.is_class:
                    self.mention(found, SHAPE, entity)
            self._run_class_hooks(entity)
        if level == SHAPE:
            return
        if known <= SHAPE:
            self._add_members(entity)
        self.classes[entity] = level
        if level > PRESENT >= known:
            for name in CONSTRUCTORS:
                if (member := resolver.member(entity, name)) is not None:
                    self.mention(member, level if level < EARLIER else MENTION, entity)
        if level == UNCUT and self.ran is not None:
            self._run_constructors(entity)

    def _absorb_class(self, entity: Entity) -> None:
        """What the class statement runs. A base that is only named as such has no instances made here."""
        edges = self.graph.header(entity)
        bases = self.graph.resolver.mro(entity)[0][1:]
        for base in bases:
            self.mention(base, SHAPE, entity)
        self._absorb(edges, UNCUT, entity, "header", shaped=bases)

    def _add_members(self, entity: Entity) -> None:
        resolver = self.graph.resolver
        self.classes[entity] = PRESENT
        ancestors, outside = resolver.mro(entity)
        for ancestor in ancestors[1:]:
            self.mention(ancestor, PRESENT, entity)
        loud = any(not name.startswith(QUIET_BASES) for name in outside)
        quiet = called_by_bases(outside)
        for name in entity.module.members_of(entity.qualname):
            found = entity.module.entity(f"{entity.qualname}.{name}")
            if found is None:
                continue
            is_dunder = not self._construct_only and is_protocol(name) and name not in CONSTRUCTORS
            if found.has_function and name in PICKLING:
                self.mention(found, SHAPE, entity)
                self._register(found, PICKLED, entity)
            elif (
                (found.has_function and (is_dunder or loud or name in quiet))
                or (found.is_class and loud)
                or (found.has_value and is_dunder)
            ):
                self.mention(found, MENTION, entity)
            self._register(found, name, entity)
        if loud:
            for ancestor in ancestors[1:]:  # a mixin beside an outside base may override its methods
                self._reach_all_members(ancestor, MENTION)
        for ancestor in ancestors:
            self._descendants.setdefault(ancestor, []).append(entity)
            for name, reached in self._demands.get(ancestor, {}).items():
                if (member := resolver.member(entity, name)) is not None:
                    self.mention(member, reached, entity)
        for (owner, name), reached in self._super_demands.items():
            if owner in ancestors and (member := resolver.after(entity, owner, name)) is not None:
                self.mention(member, reached, entity)

    def _run_class_hooks(self, entity: Entity) -> None:
        """What Python calls when the class statement runs: metaclass, `__init_subclass__`, `__set_name__`."""
        resolver = self.graph.resolver
        for ancestor in resolver.mro(entity)[0][1:]:
            hook = ancestor.module.entity(f"{ancestor.qualname}.__init_subclass__")
            if hook is not None:
                self.mention(hook, UNCUT, entity)
        for attribute, hook in resolver.name_hooks(entity):
            self.mention(attribute, MENTION, entity)
            self.mention(hook, UNCUT, entity)
        for definition in entity.definitions:
            for keyword, chain in getattr(definition, "keywords", ()):
                if keyword == "metaclass" and chain != "?":
                    for thing in self._things(entity, chain):
                        for meta in resolver.classes(thing):
                            self.mention(meta, UNCUT, entity)
        if self.ran is not None and resolver.is_made_outside(entity):
            for name in MAKING:
                if (member := resolver.member(entity, name)) is not None:
                    self.mention(member, UNCUT, entity)

    def _things(self, entity: Entity, chain: str) -> tuple[Thing, ...]:
        return self.graph.resolver.chain(entity.module, chain, Trace())

    def _run_constructors(self, entity: Entity) -> None:
        """The class was called at import: what ran then is not known, so all that Python calls by itself counts."""
        for ancestor in self.graph.resolver.mro(entity)[0]:
            for name in ancestor.module.members_of(ancestor.qualname):
                if name.startswith("__") and name.endswith("__") and name not in ON_REQUEST:
                    found = ancestor.module.entity(f"{ancestor.qualname}.{name}")
                    if found is not None and found.has_function:
                        self.mention(found, UNCUT, entity)

    def _demand(self, owner: Entity, name: str, level: int, source: Entity | None) -> None:
        demands = self._demands.setdefault(owner, {})
        if demands.get(name, 0) >= level:
            return
        demands[name] = level
        if name == "__subclasses__":
            self._want_subclasses(level)
        resolver = self.graph.resolver
        self.mention(owner, SHAPE if name else PRESENT, source)
        if not name:
            return
        member = resolver.member(owner, name)
        if member is not None:
            self._reach_member(member, level, source)
        for entity in self._descendants.get(owner, ()):
            if (found := resolver.member(entity, name)) is not None:
                self._reach_member(found, level, source)
        if self.names.get(name, 0) < level and (self._doubted or (member is None and self._passes_on(owner))):
            self._read_name(name, level, source)

    def _doubt_classes(self, level: int, source: Entity | None) -> None:
        """Somebody sets `__class__`: instances may be of other classes than those that were called."""
        if self._doubted < level:
            self._doubted = level
            for demands in list(self._demands.values()):
                for name in demands:
                    if name and self.names.get(name, 0) < level:
                        self._read_name(name, level, source)

    def _passes_on(self, owner: Entity) -> bool:
        """May attributes of an instance be those of other objects: by a base unknown, a metaclass, `__getattr__`?"""
        resolver = self.graph.resolver
        return (
            any(base in ("?", "builtins.type") for base in resolver.mro(owner)[1])
            or resolver.member(owner, "__getattr__") is not None
            or resolver.member(owner, "__getattribute__") is not None
        )

    def _demand_super(self, owner: Entity, name: str, level: int, source: Entity) -> None:
        if self._super_demands.get((owner, name), 0) >= level:
            return
        self._super_demands[owner, name] = level
        resolver = self.graph.resolver
        for entity in [owner, *self._descendants.get(owner, ())]:
            if (member := resolver.after(entity, owner, name)) is not None:
                self.mention(member, level, source)

    def _reach_all_members(self, entity: Entity, level: int) -> None:
        for ancestor in self.graph.resolver.mro(entity)[0]:
            for name in ancestor.module.members_of(ancestor.qualname):
                if (found := ancestor.module.entity(f"{ancestor.qualname}.{name}")) is not None:
                    self.mention(found, level, entity)

    def _escape(self, owner: Entity, level: int, source: Entity | None) -> None:
        """Outside code got the class or an instance: it may call any method."""
        self.mention(owner, MENTION, source)
        self._demand_matching(owner, "", "", level, source)

    def _want_subclasses(self, level: int) -> None:
        self._subclasses_wanted = max(level, self._subclasses_wanted)

    def _reach_subclasses(self, module: Module) -> None:
        for name in module.summary.definitions:
            entity = module.entity(name)
            if entity is None or not entity.is_class or self.levels.get(entity, 0) >= MENTION:
                continue
            if any(base in self.classes for base in self.graph.resolver.mro(entity)[0][1:]):
                self.mention(entity, MENTION, None)

    # Computed names

    def _add_pattern(self, thing: object, prefix: str, suffix: str, level: int, source: Entity | None) -> None:
        if isinstance(thing, Module):
            for name in thing.summary.definitions:
                fits = "." not in name and name.startswith(prefix) and name.endswith(suffix)
                if fits and (entity := thing.entity(name)) is not None:
                    self._reach_member(entity, level, source)
        elif isinstance(thing, Entity):
            self.mention(thing, MENTION, source)
            self._demand_matching(thing, prefix, suffix, level, source)
        elif prefix or suffix:
            if (prefix, suffix, level) not in self.prefixes:
                self.prefixes.append((prefix, suffix, level))
                for name in [n for n in self._members if n.startswith(prefix) and n.endswith(suffix)]:
                    for member in self._members[name]:
                        self._reach_member(member, level, source, by_name=False)
        elif self.all_members < level:
            self.all_members = level
            for name, members in list(self._members.items()):
                if name not in PICKLING and name != PICKLED:
                    for member in members:
                        self._reach_member(member, level, source, by_name=False)

    def _demand_matching(self, owner: Entity, prefix: str, suffix: str, level: int, source: Entity | None) -> None:
        """A computed name on an object of a known class: any matching member, of it and of its subclasses."""
        resolver = self.graph.resolver
        for entity in [owner, *self._descendants.get(owner, ())]:
            for ancestor in resolver.mro(entity)[0]:
                for name in ancestor.module.members_of(ancestor.qualname):
                    if name.startswith(prefix) and name.endswith(suffix) and (prefix or suffix or name not in PICKLING):
                        self._demand(owner, name, level, source)

    def _add_bare(self, module: Module, level: int, source: Entity | None) -> None:
        """A module used as a value: names read as attributes anywhere may be its."""
        if module in self.bare:
            return
        self.bare[module] = None
        if module not in self.active:
            self.activate(module)
        for name in module.summary.definitions:
            if "." not in name and (entity := module.entity(name)) is not None:
                self._register(entity, name, source)
        for star in module.summary.stars:
            taken = self.graph.resolver.imported(module, star)
            if isinstance(taken, Module):
                self._add_bare(taken, level, source)

    def _add_submodules(self, package: Module, level: int, source: Entity | None) -> None:
        """A package whose submodules are listed: each may be imported and used."""
        for child in self.graph.resolver.children(package.name):
            module = self.graph.resolver.module(child)
            if module is not None and module not in self.bare:
                self._add_bare(module, level, source)
                self._add_submodules(module, level, source)

    def _reach_module(self, module: Module, level: int, source: Entity | None) -> None:
        """Something computed in a module may name anything in it."""
        for name in module.summary.definitions:
            if "." not in name and (entity := module.entity(name)) is not None:
                self._reach_member(entity, level, source)

    def _import_any(self, importer: Module, prefix: str, level: int, source: Entity | None) -> None:
        """A module imported by a computed name: any that fits."""
        resolver = self.graph.resolver
        package = prefix.rpartition(".")[0] if "." in prefix.lstrip(".") else ""
        absolute = importer.absolute(prefix[: len(prefix) - len(prefix.lstrip("."))] + package) if prefix else ""
        for child in resolver.children(absolute or package or importer.package):
            module = resolver.module(child)
            if module is not None and child.rpartition(".")[2].startswith(prefix.rpartition(".")[2]):
                self._add_bare(module, level, source)

    def _import_spelt(self, importer: Module, edges: Edges, level: int, source: Entity) -> None:
        """A module imported by a name nothing is known of: those that the code around spells out."""
        texts = set(edges.texts)
        for entity in edges.mentions:
            if entity.has_value:
                texts |= self.graph.header(entity).texts
        for text in sorted(texts):
            if (module := self.graph.resolver.module(importer.absolute(text))) is not None:
                self._add_bare(module, level, source)
