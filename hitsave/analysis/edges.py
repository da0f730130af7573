"""`Edges`: the facts of one region, resolved across modules. What the closure walks."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from hitsave.analysis.classes import Trace
from hitsave.analysis.entities import Entity, Instance, Module, Outside, Thing
from hitsave.analysis.looking import NOBODY, looked_at, may_look, redirects
from hitsave.analysis.resolve import Resolver
from hitsave.analysis.summary import CALLED, LOOKED, READ, WEAK, Facts, Function

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

# Parts of the standard library that call methods of duck-typed objects; the rest calls dunders and `reach.PROTOCOL`,
# or methods of subclasses of its own classes.
_CALLING = frozenset(
    {"asyncio", "bdb", "codecs", "email", "importlib", "multiprocessing", "selectors", "unittest", "xml"}
)

# Outside callables that keep a function they are given, and don't call it.
_KEEPERS = frozenset({
    "functools.partial", "functools.partialmethod", "builtins.dict", "builtins.list", "builtins.tuple",
    "builtins.set", "builtins.frozenset", "builtins.len", "builtins.id", "builtins.callable", "builtins.isinstance",
    "builtins.staticmethod", "builtins.classmethod", "builtins.property", "types.MappingProxyType",
    "types.SimpleNamespace", "weakref.ref", "collections.OrderedDict", "dataclasses.field", "operator.itemgetter",
    "typing.cast",
})  # fmt: skip

LIBRARY = sys.stdlib_module_names | {"builtins", "hitsave"}

PICKLERS = frozenset({
    "copy", "pickle", "_pickle", "copyreg", "shelve", "multiprocessing", "concurrent", "dill", "cloudpickle",
    "joblib", "dask", "ray", "distributed", "loky",
})  # fmt: skip


class Edges:
    """Everything one region leads to.

    `mentions` maps entities to bits (READ, WEAK, CHECK, CALLED); `passed` maps those handed to a call to the entities
    called (None: something unknown). `names` are attribute names read on unknown receivers, `demands` (class, name)
    pairs on known ones, `parent` names read on `super()`. `modules` are modules used as values. `imported` are modules
    that the region itself imports. `outside` maps dotted names to (bits, line).
    """

    __slots__ = (
        "attribute_patterns",
        "demands",
        "environment",
        "escapes",
        "flags",
        "import_patterns",
        "imported",
        "listed",
        "looked",
        "mentions",
        "missing",
        "modules",
        "names",
        "opaque",
        "outside",
        "parent",
        "passed",
        "pickles",
        "redirects",
        "_targets",
        "texts",
        "unbound",
        "writes",
    )

    def __init__(self) -> None:
        self.mentions: dict[Entity, int] = {}
        self.passed: dict[Entity, list[Entity | None]] = {}
        self.names: set[str] = set()
        self.demands: dict[tuple[Entity, str], None] = {}
        self.parent: tuple[str, ...] = ()
        self.modules: dict[Module, None] = {}
        self.imported: dict[Module, None] = {}
        self.listed: dict[Module, None] = {}  # packages whose submodules are listed
        self.outside: dict[str, tuple[int, int]] = {}
        self.environment: set[str] = set()  # "*" for a computed name
        self.escapes: dict[Entity, None] = {}  # classes whose instances (or which themselves) outside code gets
        self.attribute_patterns: list[tuple[Thing | None, str, str, int]] = []
        self.import_patterns: list[tuple[str, str, int]] = []
        self.looked: frozenset[Entity] | None = NOBODY  # whose annotations it looks at; None: anybody's
        self.redirects = False  # makes the annotations of one function seem those of another
        self.opaque: list[tuple[str, int]] = []
        self.unbound: dict[Entity, None] = {}
        self.missing: set[str] = set()
        self.writes: tuple[str, ...] = ()
        self.flags = 0
        self.texts: set[str] = set()  # names spelt out beside a computed import, or in containers it may go through
        self.pickles = False  # copies or pickles
        self._targets: frozenset[str] | None = None

    def is_computed(self) -> bool:
        """Does the region name things by computed names?"""
        return bool(self.attribute_patterns or self.import_patterns or self.opaque)

    def targets(self) -> frozenset[str]:
        """What is read here that has no entity, as targets of effects: missing names, and things outside."""
        if self._targets is None:
            found: set[str] = set()
            for name in self.missing:
                module = name.partition(":")[0]
                found.update((name, f"{module}:*", f"{module}:?", f"!builtins.{name.partition(':')[2]}"))
            for name in self.outside:
                if name.partition(".")[0] not in LIBRARY:  # who puts something into `sys.modules` decides what it is
                    found.add("!sys.modules")
                while name:
                    found.add("!" + name)
                    name = name.rpartition(".")[0]
            found -= {"!builtins", "!sys", "!os"}
            self._targets = frozenset(found)
        return self._targets


def resolve_edges(
    resolver: Resolver,
    module: Module,
    own_class: Entity | None,
    regions: Iterable[Facts],
    *,
    name: str = "",
    makers: Collection[str] = (),
) -> Edges:
    """The edges of regions of code in `module`, of the function `name`, in class `own_class` (None: in no class).

    `makers` are the decorators and bases of the definition that the regions belong to: they look at that one alone.
    """
    edges = Edges()
    trace = Trace()
    regions = tuple(regions)
    writes: list[str] = []
    for facts in regions:
        for chain, info in facts.reads:
            _add(edges, resolver, module, chain, info & 255, info >> 8, trace)
        edges.names.update(facts.attributes)
        if own_class is not None:
            for name in facts.own:
                edges.demands[own_class, name] = None
            if "__class__" in facts.own or ("type", "self") in facts.passed:  # type(self)(…) makes another
                for name in ("__new__", "__init__", "__post_init__"):
                    edges.demands[own_class, name] = None
        else:
            edges.names.update(filter(None, facts.own))
        edges.parent += facts.parent
        writes += facts.writes
        edges.flags |= facts.flags
        edges.opaque += facts.opaque
        edges.texts.update(facts.texts)
        for chain, key in facts.keys:
            _add_key(edges, resolver, module, chain, key)
        for callee, argument in facts.passed:
            _add_passed(edges, resolver, module, own_class, callee, argument)
        for receiver, prefix, suffix, line in facts.patterns:
            _add_pattern(edges, resolver, module, own_class, (receiver, prefix, suffix, line), name)
    edges.writes = tuple(writes)
    edges.names.update(trace.attributes)
    edges.demands.update(trace.demands)
    edges.missing = trace.missing
    for thing, listing in trace.listed:
        if listing == "__dict__":
            edges.attribute_patterns.append((thing, "", "", 0))
        elif isinstance(thing, Module):
            edges.listed[thing] = None
    if may_look(edges.outside):
        edges.looked = looked_at(resolver, module, regions, makers)
    edges.redirects = redirects(edges.outside, writes)
    edges.pickles = any(name.partition(".")[0] in PICKLERS for name in edges.outside)
    for method in trace.unbound:  # its `self` may be anything
        edges.unbound[method] = None
        for definition in method.definitions:
            if definition.__class__ is Function:
                edges.names.update(filter(None, definition.body_facts.own))
    return edges


def _add(edges: Edges, resolver: Resolver, module: Module, chain: str, bits: int, line: int, trace: Trace) -> None:
    trace.entities = {}
    if bits & LOOKED:
        bits |= READ
    things = resolver.chain(module, chain, trace)
    for entity in trace.entities:
        edges.mentions[entity] = edges.mentions.get(entity, 0) | (bits & 7 or READ)
    if chain[0] == "@":
        _add_imported(edges, resolver, module, chain)
        if bits == WEAK:
            return  # the import statement itself; its name is bound by it, and counts where it is read
    for thing in things:
        kind = thing.__class__
        if kind is Entity:
            edges.mentions[thing] = edges.mentions.get(thing, 0) | bits  # type: ignore[index, arg-type]
        elif kind is Instance:
            edges.mentions[thing.of] = edges.mentions.get(thing.of, 0) | READ | CALLED  # type: ignore[union-attr]
        elif kind is Outside:
            name = thing.name  # type: ignore[union-attr]
            known = edges.outside.get(name)
            edges.outside[name] = (bits, line) if known is None else (known[0] | bits, known[1])
        elif kind is Module and bits & READ:  # not where only an attribute of it is set
            edges.modules[thing] = None  # type: ignore[index]


def _add_imported(edges: Edges, resolver: Resolver, module: Module, chain: str) -> None:
    """Importing a.b.c runs a, a.b and a.b.c; `from a import b` may run a.b."""
    name, _, attribute = chain[1:].partition("|")
    if name == ":self":
        return
    for imported in modules_run(resolver, module, name, attribute.partition(".")[0]):
        edges.imported[imported] = None
    if attribute:
        for getter in getters_asked(resolver, module, name):
            edges.mentions.setdefault(getter, WEAK)


def modules_run(resolver: Resolver, importer: Module, name: str, attribute: str) -> list[Module]:
    """The project modules that an import statement runs, if they didn't run before."""
    absolute = importer.absolute(name)
    found = []
    parts = absolute.split(".")
    for count in range(1, len(parts) + 1):
        module = resolver.module(".".join(parts[:count]), importer)
        if module is not None:
            found.append(module)
    if attribute and attribute != "*" and found and found[-1].summary.is_package:
        bound = found[-1].entity(attribute)
        if bound is None or bound.has_import:
            submodule = resolver.module(f"{found[-1].name}.{attribute}")
            if submodule is not None:
                found.append(submodule)
    return found


def getters_asked(resolver: Resolver, importer: Module, name: str) -> list[Entity]:
    """The `__getattr__` of a module that isn't a package: `from m import x` asks it for `__path__`."""
    imported = resolver.module(importer.absolute(name), importer)
    if imported is None or imported.summary.is_package:
        return []
    getter = imported.entity("__getattr__")
    return [] if getter is None else [getter]


def _add_key(edges: Edges, resolver: Resolver, module: Module, chain: str, key: str) -> None:
    for thing in resolver.chain(module, chain, Trace()):
        if isinstance(thing, Outside) and thing.name in ("os.environ", "os.getenv", "os.environb"):
            edges.environment.add(key or "*")


def _add_passed(
    edges: Edges, resolver: Resolver, module: Module, own_class: Entity | None, callee: str, argument: str
) -> None:
    callees: list[Thing] = [] if callee == "?" else list(resolver.chain(module, callee, Trace()))
    given: list[Entity] = []
    if argument == "self":
        if own_class is not None:
            given.append(own_class)
    else:
        for thing in resolver.chain(module, argument, Trace()):
            if isinstance(thing, Instance):
                given.append(thing.of)
            elif isinstance(thing, Entity):
                given.append(thing)
                called = [c for c in callees if not (isinstance(c, Outside) and c.name in _KEEPERS)]
                if called or not callees:
                    passed = edges.passed.setdefault(thing, [])
                    passed += [c if isinstance(c, Entity) else None for c in called] or [None]
    for thing in callees:
        if isinstance(thing, Outside) and _calls_methods(thing.name):
            for entity in given:
                if entity.is_class:
                    edges.escapes[entity] = None


def _calls_methods(name: str) -> bool:
    """May this outside function call methods of an object it is given, by names that only it knows?"""
    top = name.partition(".")[0]
    return top in _CALLING or (top not in sys.stdlib_module_names and top not in ("builtins", "hitsave"))


def _add_pattern(
    edges: Edges,
    resolver: Resolver,
    module: Module,
    own_class: Entity | None,
    pattern: tuple[str, str, str, int],
    name: str,
) -> None:
    """`name` is that of the function the pattern stands in."""
    receiver, prefix, suffix, line = pattern
    if prefix == "$":  # the name is a parameter
        if name in ("__getattr__", "__getattribute__") and receiver != "@import":
            return  # names asked for are names read, and those count anyway
        prefix = suffix = ""
    if receiver == "@globals":
        edges.attribute_patterns.append((module, prefix, suffix, line))
        return
    if receiver == "@import":
        edges.import_patterns.append((prefix, suffix, line))
        return
    if receiver == "self":
        edges.attribute_patterns.append((own_class, prefix, suffix, line))
        return
    things: tuple[Thing, ...] = resolver.chain(module, receiver, Trace()) if receiver else ()
    known = [t.of if isinstance(t, Instance) else t for t in things]
    narrow = [t for t in known if isinstance(t, Module) or (isinstance(t, Entity) and t.is_class)]
    if narrow and len(narrow) == len(known):
        edges.attribute_patterns += [(thing, prefix, suffix, line) for thing in narrow]
    elif not known or not all(isinstance(t, Outside) and not t.is_result for t in known):
        edges.attribute_patterns.append((None, prefix, suffix, line))
