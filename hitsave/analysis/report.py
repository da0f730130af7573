"""From a finished `Reach` to a `Closure`: digests of what was reached, and what is to be said about it."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from hitsave.analysis.classes import Trace
from hitsave.analysis.closure import MADE, WHICH, Closure, Widened
from hitsave.analysis.entities import Entity, Instance, Module, Outside, Thing
from hitsave.analysis.impurity import impurity_of
from hitsave.analysis.levels import SHAPE
from hitsave.analysis.summary import COMPUTES, Class, Function, Import, Value
from hitsave.digest import Digest, digest_text
from hitsave.symbol import Symbol, is_hitsave, symbol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from hitsave.analysis.effects import Effects
    from hitsave.analysis.graph import Graph
    from hitsave.analysis.reach import Reach

SUBCLASSES = "__subclasses__"
# Reading one of these looks at a function or class without running it.
_DOCUMENTATION = frozenset({"__doc__", "getdoc", "inspect.getdoc", "help", "inspect.cleandoc"})
# … and these tell where in its file something stands. (A traceback's text does, too: see docs/limits.md.)
_LINES = frozenset({
    "f_lineno", "tb_lineno", "co_firstlineno", "co_lines", "co_positions", "co_linetable", "inspect.getlineno",
    "inspect.getsourcelines", "inspect.getframeinfo", "inspect.stack", "inspect.trace",
})  # fmt: skip
_CODE = frozenset({
    "__code__", "inspect.getsource", "inspect.getsourcelines", "dis.dis", "dis.Bytecode", "inspect.getsourcefile",
    "marshal.dumps", "inspect.findsource",
})  # fmt: skip


def make_closure(graph: Graph, effects: Effects, reach: Reach, starts: Iterable[Symbol]) -> Closure:
    """The closure that a reach amounts to."""
    seen = _seen(reach)
    pairs: dict[Symbol, Digest] = {}
    live: list[Symbol] = []
    constants: list[Symbol] = []
    for entity in reach.levels:
        digest = _digest(graph, reach, entity, seen)
        if not _is_ours(entity, digest):
            pairs[entity.symbol] = digest
        if entity.has_value and reach.levels[entity] > SHAPE:
            is_constant = all(d.__class__ is Value and d.is_literal for d in entity.definitions)
            rebound = effects.is_written(entity, reach.active)
            (constants if is_constant and not rebound else live).append(entity.symbol)
    live = list({*live, *map(Symbol, effects.set_elsewhere(reach)), *_subclasses_asked(reach)}.difference(constants))
    live += [Symbol(f"{e.symbol}.{end}") for e in reach.levels if (end := _made_at_import(graph, reach, e))]
    writers = effects.writers(live, reach.active) if live else []
    for entity in reach.defined:
        if entity not in reach.levels:
            pairs[entity.symbol] = _headers_digest(entity)
    for module, digest in _statement_digests(reach).items():
        pairs[symbol(module.name)] = digest
    pairs.update(_module_pairs(graph, reach, seen))
    environment, is_dynamic = seen.environment()
    return Closure(
        tuple(starts),
        tuple(sorted(pairs.items())),
        frozenset(name.partition(".")[0] for name in seen.outside if not name.startswith(("builtins.", "hitsave."))),
        tuple(sorted(live)),
        tuple(sorted(constants)),
        tuple(sorted([e.symbol for e in reach.followed])),
        tuple(sorted([e.symbol for e in reach.levels if e.is_class])),
        environment,
        is_dynamic,
        seen.impurities(),
        seen.widened(),
        tuple([(Symbol(name), Symbol(function)) for name, function in writers]),
        tuple(sorted([m.name for m in reach.active])),
    )


def _made_at_import(graph: Graph, reach: Reach, entity: Entity) -> str:
    """`MADE` or `WHICH` if the text of a function, class or import doesn't tell what its name is bound to."""
    if entity.has_value or (reach.levels[entity] == SHAPE and not entity.is_class):
        return ""
    several = len(entity.definitions) > 1 and not all(
        isinstance(d, Function) and (d.decorators or d is entity.definitions[-1]) for d in entity.definitions
    )
    if several or any(graph.decides(entity.module, n) for d in entity.definitions for n in d.conditions):
        return WHICH
    for definition in entity.definitions:
        if isinstance(definition, Function):
            if definition.header_facts.flags & COMPUTES or graph.is_wrapped(entity, definition):
                return MADE
        elif isinstance(definition, Class) and "?" in definition.bases:
            return MADE
    return ""


def update_digests(graph: Graph, reach: Reach, closure: Closure, modules: Collection[Module]) -> Closure:
    """The closure after an edit of `modules` that changed digests alone."""
    changed: dict[Symbol, Digest] = {}
    seen = _seen(reach)
    for module in modules:
        for entity in module.entities.values():
            if entity is not None and entity in reach.levels:
                digest = _digest(graph, reach, entity, seen)
                if not _is_ours(entity, digest):
                    changed[entity.symbol] = digest
            elif entity is not None and entity in reach.defined:
                changed[entity.symbol] = _headers_digest(entity)
        if module in reach.active:
            numbers = [number for home, number in reach.statements if home is module]
            if numbers:
                changed[symbol(module.name)] = _statements_digest(module, numbers)
    changed.update(_module_pairs(graph, reach, seen))
    pairs = list(closure.pairs)
    for name, digest in changed.items():
        pairs[bisect_left(pairs, (name,))] = (name, digest)
    return closure.replace(pairs=tuple(pairs))


def _is_ours(entity: Entity, digest: str) -> bool:
    """Is it an import of hitsave's own names? They are no part of what is computed."""
    return entity.is_only_import and is_hitsave(digest)


def _headers_digest(entity: Entity) -> Digest:
    return digest_text(" ".join([d.header for d in entity.definitions if isinstance(d, Function)]))


def _subclasses_asked(reach: Reach) -> list[Symbol]:
    """`m:C.__subclasses__` for each class whose subclasses are asked for: which there are depends on what is loaded."""
    everywhere = SUBCLASSES in reach.names
    owners = {owner for edges, _, _ in reach.edges for owner, name in edges.demands if name == SUBCLASSES}
    return [Symbol(f"{owner.symbol}.{SUBCLASSES}") for owner in (reach.classes if everywhere else owners)]


def _module_pairs(graph: Graph, reach: Reach, seen: _Seen) -> dict[Symbol, Digest]:
    """What counts of whole modules: docstrings that are read, the order of names that are listed, where lines stand."""
    found: dict[Symbol, Digest] = {}
    for module in seen.listed:
        found[Symbol(f"{module.name}:__dict__")] = digest_text(" ".join(module.summary.definitions))
    if seen.lines:
        for module in {entity.module for entity in reach.levels}:
            found[Symbol(f"{module.name}:<lines>")] = module.summary.source
    for name in seen.module_documentation:
        home = graph.resolver.module(name.partition(":")[0])
        if home is not None:
            found[Symbol(name)] = digest_text(home.summary.doc)
    return found


def _seen(reach: Reach) -> _Seen:
    found = reach.seen
    if not isinstance(found, _Seen):
        found = reach.seen = _Seen(reach)
    return found


class _Seen:
    """What the edges of a reach say beyond entities."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self.outside: set[str] = set(reach.outside)
        self.module_documentation: set[str] = set()
        self.listed: set[Module] = set()  # modules whose `__dict__` is listed
        for edges, _, _ in reach.edges:
            self.outside.update(edges.outside)
            if edges.missing:
                self.module_documentation.update(name for name in edges.missing if name.endswith(":__doc__"))
            for thing, prefix, suffix, line in edges.attribute_patterns:
                if isinstance(thing, Module) and line <= 0 and not (prefix or suffix):
                    self.listed.add(thing)
        names = reach.names
        self.lines = any(name in names or name in self.outside for name in _LINES)
        self.documentation = any(name in names or name in self.outside for name in _DOCUMENTATION)
        self.code = any(name in names or name in self.outside for name in _CODE)

    def environment(self) -> tuple[tuple[str, ...], bool]:
        """(names read with a constant key, whether others may be read)."""
        found: set[str] = set()
        dynamic = False
        for edges, _, _ in self._reach.edges:
            found |= edges.environment
            dynamic = dynamic or "os.environ" in edges.outside
        return tuple(sorted(found - {"*"})), dynamic or "*" in found

    def impurities(self) -> tuple[tuple[str, Symbol, int], ...]:
        """(kind, symbol, line) of what is read that no key can hold."""
        found = set()
        for edges, source, _ in self._reach.edges:
            for name, (_, line) in edges.outside.items():
                kind = impurity_of(name)
                if kind and source is not None:
                    found.add((kind, source.symbol, line))
        return tuple(sorted(found))

    def widened(self) -> tuple[Widened, ...]:
        """What could not be followed."""
        found = set()
        for edges, source, _ in self._reach.edges:
            where = source.symbol if source is not None else Symbol("")
            for thing, prefix, suffix, line in edges.attribute_patterns:
                what = (
                    f"getattr with a computed name ({prefix or ''}…{suffix})"
                    if prefix or suffix
                    else "getattr with a computed name"
                )
                on = "that object" if thing is not None else "every class and module it reaches"
                found.add(Widened(where, abs(line), "HS202", what, f"every member of {on} that fits counts"))
            for prefix, _, line in edges.import_patterns:
                found.add(
                    Widened(
                        where, line, "HS203", f"import of a computed name {prefix}…", "every module that fits counts"
                    )
                )
            for construct, line in edges.opaque:
                if construct != "locals":
                    found.add(
                        Widened(
                            where,
                            line,
                            "HS201",
                            f"{construct} of something computed",
                            "every name of the module counts",
                        )
                    )
            if "*" in edges.environment or "os.environ" in edges.outside:
                found.add(
                    Widened(
                        where,
                        0,
                        "HS209",
                        "environment variable by a computed name",
                        "what is read is observed when it runs",
                    )
                )
        return tuple(sorted(found, key=lambda w: (w.symbol, w.line, w.code, w.reason)))


def _digest(graph: Graph, reach: Reach, entity: Entity, seen: _Seen) -> Digest:
    """The digest of all bindings of an entity, as far as they count."""
    parts: list[str] = []
    for definition in entity.definitions:
        kind = definition.__class__
        if kind is Function:
            parts.append(definition.header)  # type: ignore[attr-defined]
            if entity in reach.followed or seen.code or reach.levels[entity] == SHAPE:
                parts.append(definition.body)  # type: ignore[attr-defined]
            if seen.documentation:
                parts.append(definition.doc)  # type: ignore[attr-defined]
            if definition.annotations and (reach.is_looked_at(entity) or graph.is_annotated(entity)):  # type: ignore[attr-defined]
                parts.append(definition.annotations)  # type: ignore[attr-defined]
        elif kind is Class:
            parts.append(definition.shape)  # type: ignore[attr-defined]
            if definition.annotations and (reach.is_looked_at(entity) or graph.is_annotated(entity)):  # type: ignore[attr-defined]
                parts.append(definition.annotations)  # type: ignore[attr-defined]
            if seen.documentation:
                parts.append(definition.doc)  # type: ignore[attr-defined]
        elif kind is Value:
            parts.append(definition.digest)  # type: ignore[attr-defined]
        else:
            parts.append(_import_digest(graph, entity, definition))  # type: ignore[arg-type]
        for number in definition.conditions:
            if number >= 0:
                parts.append(entity.module.summary.conditions[number].digest)
    if len(parts) == 1:
        return Digest(parts[0])
    return digest_text(" ".join(parts))


def _import_digest(graph: Graph, entity: Entity, definition: Import) -> str:
    """An import binding counts by what it leads to, so that moving a re-export changes nothing."""
    things = graph.resolver.import_target(entity.module, definition.module, definition.attribute, Trace())
    if not things:
        return f"missing {entity.module.absolute(definition.module)}:{definition.attribute}"
    return ",".join([_name_of(thing) for thing in things])


def _name_of(thing: Thing) -> str:
    if isinstance(thing, Entity):
        return thing.symbol
    if isinstance(thing, (Module, Outside)):
        return thing.name
    return thing.of.symbol if isinstance(thing, Instance) else "?"


def _statement_digests(reach: Reach) -> dict[Module, Digest]:
    """Per module, the digest of those of its top-level statements that count, in their order."""
    by_module: dict[Module, list[int]] = {}
    for module, number in reach.statements:
        by_module.setdefault(module, []).append(number)
    return {module: _statements_digest(module, numbers) for module, numbers in by_module.items()}


def _statements_digest(module: Module, numbers: Iterable[int]) -> Digest:
    parts: list[str] = []
    for number in sorted(numbers):
        statement = module.summary.statements[number]
        parts.append(statement.digest)
        parts += [module.summary.conditions[n].digest for n in statement.conditions if n >= 0]
    return digest_text(" ".join(parts))
