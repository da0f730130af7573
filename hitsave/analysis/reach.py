"""`Reach`: the walk from a symbol to everything it can lead to.

Three ideas carry it:

*Mentioned counts.* Naming a function is taken for calling it, wherever it stands: `map(f, xs)`, `{"a": f}`, `key=f`.

*Rapid type analysis.* An attribute read on an object of unknown type, `x.run()`, needs no guess about types: whoever
made the object named its class, so the class is reached too. A reached class therefore gives those of its methods
whose name is read as an attribute anywhere in the reach, and those that Python or outside code call by themselves.
Names read on `self`, `super()` and instances of known classes are looked up in those classes and their subclasses.

*What ran.* With a record of the functions that ran, the walk doesn't enter the bodies of others, except where they
ran before the call (`levels` below): then their header counts and their body doesn't.

The walk is a worklist to a fixpoint; each entity is expanded once per level, each edge followed once: linear.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hitsave.analysis.entities import Entity, Module
from hitsave.analysis.summary import CALLED, CALLS_UNKNOWN, READ, Function

if TYPE_CHECKING:
    from collections.abc import Collection

    from hitsave.analysis.edges import Edges
    from hitsave.analysis.effects import Effects
    from hitsave.analysis.graph import Graph

# How an entity was reached.
SHAPE = 1  # a class only tested for, a class attribute nobody names, a value only written to, a pickling method
PRESENT = 2  # a class with instances that were not made here, and with which anything may be done: a base class
ASIDE = 3  # led to by pickling methods only: entered, but what others put into registries read there is left out
MENTION = 4  # named by code of the call
EARLIER = 5  # named by what may have run earlier in this process, and left state
UNCUT = 6  # may have run when modules were imported, or runs out of sight: its body counts whether it ran or not

# Methods that outside code is wont to call on objects it is given.
PROTOCOL = frozenset({
    "write", "writelines", "flush", "read", "readline", "readlines", "readinto", "seek", "tell", "close", "closed",
    "fileno", "isatty", "keys", "values", "items", "get", "acquire", "release", "send", "throw", "run", "start",
    "emit", "handle", "update", "append", "encode", "decode", "name", "mode",
})  # fmt: skip
CONSTRUCTORS = frozenset({
    "__init__", "__new__", "__post_init__", "__init_subclass__", "__set_name__", "__prepare__", "__attrs_post_init__",
})  # fmt: skip
_ATTRIBUTES = frozenset({"__doc__", "__name__", "__qualname__", "__module__", "__signature__", "__wrapped__",
                         "__annotations__", "__dict__", "__all__", "__version__", "__author__"})  # fmt: skip
# Dunders that run on request only, not by an operator.
# Dunders that pickling and copying call. They count in a class that is reached, since results may be stored that way,
# but lead on only where the closure itself copies or pickles.
_PICKLING = frozenset({"__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__getnewargs__",
                       "__getnewargs_ex__", "__copy__", "__deepcopy__"})  # fmt: skip
_PICKLED = "<pickled>"  # stands for all of _PICKLING among attribute names
_ON_REQUEST = frozenset({"__repr__", "__str__", "__format__", "__del__", "__reduce__", "__reduce_ex__", "__getstate__",
                         "__setstate__", "__copy__", "__deepcopy__", "__sizeof__", "__dir__", "__call__"})  # fmt: skip
# Bases from outside the project that call methods by no name but dunders and those of the builtin type.
_QUIET_BASES = ("builtins.", "abc.", "typing.", "typing_extensions.", "collections.", "enum.", "types.", "numbers.")


class Reach:
    """One walk and what it found. `levels` maps entities to how they were reached, `parents` to whence."""

    def __init__(
        self,
        graph: Graph,
        effects: Effects | None,
        *,
        ran: Collection[str] | None = None,
        earlier: Collection[str] = (),
        cut: Collection[str] = (),
        extra: Collection[Module] = (),
        construct_only: bool = False,
    ) -> None:
        self.graph = graph
        self.effects = effects
        self.ran = ran
        self.earlier = earlier
        self.cut = cut
        self.levels: dict[Entity, int] = {}
        self.parents: dict[Entity, Entity | None] = {}
        self.followed: dict[Entity, None] = {}  # functions whose body counts
        self.classes: dict[Entity, int] = {}
        self.executed: dict[Module, None] = {}  # modules whose top level the start runs
        self.defined: dict[Entity, None] = {}  # functions of those, of which only the header counts
        self.names: dict[str, int] = {}
        self.edges: list[tuple[Edges, Entity | None, str]] = []  # all that was absorbed, with whose and which region
        self.statements: dict[tuple[Module, int], None] = {}
        self.active: set[Module] = set()
        self.bare: dict[Module, None] = {}
        self.seen: object = None  # what `report.py` gathered from the edges
        self.all_members = 0  # level at which a computed getattr reaches every member
        self.prefixes: list[tuple[str, str, int]] = []
        self._members: dict[str, list[Entity]] = {}  # by name: members of reached classes and modules
        self._demands: dict[Entity, dict[str, int]] = {}
        self._super_demands: dict[tuple[Entity, str], int] = {}
        self._descendants: dict[Entity, list[Entity]] = {}
        self._subclasses_wanted = 0
        self._strong: dict[str, Entity | None] = {}  # targets of effects that are read, and by or as what
        self._stack: list[tuple[Entity, int]] = []
        self._construct_only = construct_only
        if not construct_only:
            self.names = dict.fromkeys(PROTOCOL, MENTION)
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

    def _define(self, entity: Entity) -> None:
        """A definition is executed: decorators, defaults, class bodies and initialisers run, function bodies don't."""
        if entity.has_function:
            self.defined[entity] = None
            self._absorb(self.graph.header(entity), UNCUT, entity, "header")
        if entity.is_class:
            self.mention(entity, SHAPE, None)
            self._absorb(self.graph.header(entity), UNCUT, entity, "header")
        elif entity.has_value:
            self.mention(entity, MENTION if "." not in entity.qualname else SHAPE, None)

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
        if level == UNCUT or self.graph.is_foreign(entity):
            return UNCUT
        if entity.symbol in self.ran:
            return level
        return EARLIER if level == EARLIER and entity.symbol in self.earlier else 0

    def _absorb(
        self, edges: Edges, phase: int, source: Entity | None, region: str, shaped: Collection[Entity] = ()
    ) -> None:
        self.edges.append((edges, source, region))
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
        if edges.pickles and _PICKLED not in self.names:
            self._read_name(_PICKLED, ASIDE, source)
        if edges.parent and source is not None and (owner := self.graph.own_class(source)) is not None:
            for name in edges.parent:
                self._demand_super(owner, name, level, source)
        if self._construct_only:
            return
        if edges.is_computed():
            self._absorb_computed(edges, level, source)
        for module in edges.modules:
            self._add_bare(module, level, source)
        for module in edges.imported:
            if module not in self.active:
                self.activate(module)
        for owner in edges.escapes:
            self._escape(owner, level, source)
        if self.effects is not None and level > ASIDE and not (targets := edges.targets()) <= self._strong.keys():
            self._want_effects(targets, source)

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

    # Attribute names and classes

    def _read_name(self, name: str, level: int, source: Entity | None) -> None:
        self.names[name] = level
        for member in self._members.get(name, ()):
            self.mention(member, level, source)
        if name == "__subclasses__":
            self._want_subclasses(level)

    def _register(self, member: Entity, name: str, source: Entity | None) -> None:
        self._members.setdefault(name, []).append(member)
        level = self.names.get(name, 0)
        if name not in _PICKLING and name != _PICKLED:
            level = max(level, self.all_members)
        for prefix, suffix, reached in self.prefixes:
            if reached > level and name.startswith(prefix) and name.endswith(suffix):
                level = reached
        if level:
            self.mention(member, level, source)

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
            for member in entity.module.members_of(entity.qualname):
                found = entity.module.entity(f"{entity.qualname}.{member}")
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
        loud = any(not name.startswith(_QUIET_BASES) for name in outside)
        quiet = _called_by_bases(outside)
        for name in entity.module.members_of(entity.qualname):
            found = entity.module.entity(f"{entity.qualname}.{name}")
            if found is None:
                continue
            is_dunder = not self._construct_only and _is_protocol(name) and name not in CONSTRUCTORS
            if found.has_function and name in _PICKLING:
                self.mention(found, SHAPE, entity)
                self._register(found, _PICKLED, entity)
            elif (found.has_function and (is_dunder or loud or name in quiet)) or (found.is_class and loud):
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
        for definition in entity.definitions:
            for keyword, chain in getattr(definition, "keywords", ()):
                if keyword == "metaclass" and chain != "?":
                    for thing in self._things(entity, chain):
                        for meta in resolver.classes(thing):
                            self.mention(meta, UNCUT, entity)

    def _things(self, entity: Entity, chain: str) -> tuple[object, ...]:
        from hitsave.analysis.resolve import Trace

        return self.graph.resolver.chain(entity.module, chain, Trace())

    def _run_constructors(self, entity: Entity) -> None:
        """The class was called at import: what ran then is not known, so all that Python calls by itself counts."""
        for ancestor in self.graph.resolver.mro(entity)[0]:
            for name in ancestor.module.members_of(ancestor.qualname):
                if name.startswith("__") and name.endswith("__") and name not in _ON_REQUEST:
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
            self.mention(member, level, source)
        for entity in self._descendants.get(owner, ()):
            if (member := resolver.member(entity, name)) is not None:
                self.mention(member, level, source)
        if member is None and self.names.get(name, 0) < level and self._passes_on(owner):
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
            if entity is not None and entity.is_class and self.levels.get(entity, 0) < MENTION:
                if any(base in self.classes for base in self.graph.resolver.mro(entity)[0][1:]):
                    self.mention(entity, MENTION, None)

    # Computed names

    def _add_pattern(self, thing: object, prefix: str, suffix: str, level: int, source: Entity | None) -> None:
        if isinstance(thing, Module):
            for name in thing.summary.definitions:
                if "." not in name and name.startswith(prefix) and name.endswith(suffix):
                    if (entity := thing.entity(name)) is not None:
                        self.mention(entity, level, source)
        elif isinstance(thing, Entity):
            self.mention(thing, MENTION, source)
            self._demand_matching(thing, prefix, suffix, level, source)
        elif prefix or suffix:
            if (prefix, suffix, level) not in self.prefixes:
                self.prefixes.append((prefix, suffix, level))
                for name in [n for n in self._members if n.startswith(prefix) and n.endswith(suffix)]:
                    for member in self._members[name]:
                        self.mention(member, level, source)
        elif self.all_members < level:
            self.all_members = level
            for name, members in list(self._members.items()):
                if name not in _PICKLING and name != _PICKLED:
                    for member in members:
                        self.mention(member, level, source)

    def _demand_matching(self, owner: Entity, prefix: str, suffix: str, level: int, source: Entity | None) -> None:
        """A computed name on an object of a known class: any matching member, of it and of its subclasses."""
        resolver = self.graph.resolver
        for entity in [owner, *self._descendants.get(owner, ())]:
            for ancestor in resolver.mro(entity)[0]:
                for name in ancestor.module.members_of(ancestor.qualname):
                    if name.startswith(prefix) and name.endswith(suffix):
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

    def _reach_module(self, module: Module, level: int, source: Entity | None) -> None:
        """Something computed in a module may name anything in it."""
        for name in module.summary.definitions:
            if "." not in name and (entity := module.entity(name)) is not None:
                self.mention(entity, level, source)

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
                    self._apply(targets[target], found, self._strong[target])

    def _add_effects(self, entity: Entity) -> None:
        if self.effects is not None:
            self._want_effects((entity.symbol, f"{entity.module.name}:*"), entity)

    def _want_effects(self, targets: Collection[str], source: Entity | None) -> None:
        for target in targets:
            if target not in self._strong:
                self._strong[target] = source
                for module, contributors in self.effects.on(target):  # type: ignore[union-attr]
                    if module in self.active:
                        self._apply(contributors, module, source)

    def _apply(self, contributors: Collection[Entity | int], module: Module, source: Entity | None) -> None:
        for contributor in contributors:
            if isinstance(contributor, int):
                self.add_statement(module, contributor, source)
            else:
                self.mention(contributor, MENTION, source)


def _is_protocol(name: str) -> bool:
    """Is this a method that Python calls by itself? Others are read by name like any attribute."""
    return name.startswith("__") and name.endswith("__") and name not in _ATTRIBUTES


def _called_by_bases(outside: tuple[str, ...]) -> tuple[str, ...]:
    """The methods without underscores that quiet bases call: the mixins of `collections.abc`, `enum`.

    Builtin types aren't among them: `dict.update` doesn't call an overriding `setdefault`, only dunders.
    """
    names: tuple[str, ...] = ()
    if any(name.startswith(("collections.", "typing.")) for name in outside):
        names += ("insert", "add", "discard", "send", "throw", "close", "_from_iterable", "_hash")
    if any(name.startswith("enum.") for name in outside):
        names += ("_generate_next_value_", "_missing_")
    return names
