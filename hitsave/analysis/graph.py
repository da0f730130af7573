"""`Graph`: entities with their edges, over one set of modules; everything that closures share.

    header   what runs when the definition is executed: decorators, defaults, bases, initialisers, governing tests
    body     what runs when a function is called

Which modules a module's import runs (`import_closure`) is here too: statements in those can have changed what a name
means (`effects.py`).
"""

from __future__ import annotations

from hitsave.analysis.classes import Trace
from hitsave.analysis.edges import Edges, getters_asked, modules_run, resolve_edges
from hitsave.analysis.entities import Entity, Module, Outside
from hitsave.analysis.modules import Modules
from hitsave.analysis.refresh import same_facts
from hitsave.analysis.resolve import Resolver
from hitsave.analysis.sinks import weaken
from hitsave.analysis.summary import NO_FACTS, Class, Definition, Facts, Function, ModuleSummary, Value

# Decorators that neither call a function when it is defined nor keep what it returns.
TRANSPARENT = frozenset({
    "builtins.property", "builtins.staticmethod", "builtins.classmethod", "functools.wraps", "abc.abstractmethod",
    "abc.abstractproperty", "abc.abstractclassmethod", "abc.abstractstaticmethod",
    "typing.overload", "typing.override", "typing.final", "typing.no_type_check", "typing.runtime_checkable",
    "typing_extensions.overload", "typing_extensions.override", "typing_extensions.final",
    "typing_extensions.deprecated", "warnings.deprecated", "functools.total_ordering", "dataclasses.dataclass",
})  # fmt: skip
# Decorators whose name says what comes out.
_PLAIN_WRAPPERS = (*TRANSPARENT, "functools.", "contextlib.", "hitsave.", "enum.", "types.")
_ACCESSORS = frozenset({"setter", "getter", "deleter"})


class Graph:
    """Edges of every entity, resolved when first needed and kept."""

    def __init__(self, modules: Modules) -> None:
        self.resolver = Resolver(modules)
        self._annotations: dict[Entity, Edges | None] = {}
        self._watched: dict[Entity, bool] = {}
        self._imports: dict[Module, list[Module]] = {}
        self._closures: dict[Module, frozenset[Module]] = {}
        self._statements: dict[tuple[Module, int], Edges] = {}
        self._conditions: dict[tuple[Module, int], Edges] = {}

    def entity(self, symbol: str) -> Entity | None:
        """The entity of a symbol, if the project defines it."""
        name, _, qualname = symbol.partition(":")
        module = self.resolver.module(name)
        return None if module is None else module.entity(qualname)

    def exchange(self, module: Module, summary: ModuleSummary) -> set[Entity]:
        """Give a module its edited summary, which binds the same names; the entities whose edges are made anew."""
        old, module.summary = module.summary, summary
        touched = set()
        for qualname, entity in module.entities.items():
            if entity is not None:
                before, entity.definitions = entity.definitions, summary.definitions[qualname]
                if not all(map(_same_edges, before, entity.definitions)):
                    touched.add(entity)
        for number, (one, other) in enumerate(zip(old.statements, summary.statements, strict=True)):
            if not same_facts(one.facts, other.facts):
                self._statements.pop((module, number), None)
        governed = [
            c for c, d in zip(old.conditions, summary.conditions, strict=True) if not same_facts(c.facts, d.facts)
        ]
        if governed or len(touched) or old.statements != summary.statements:
            for entity in module.entities.values():
                if entity is not None and (
                    governed or entity in touched or any(n < 0 for d in entity.definitions for n in d.conditions)
                ):
                    touched.add(entity)
        for entity in touched:
            entity.header = entity.body = None
            self._annotations.pop(entity, None)
        return touched

    def own_class(self, entity: Entity) -> Entity | None:
        """The class that an entity is a member of."""
        owner = entity.module.entity(entity.class_name) if entity.class_name else None
        return owner if owner is not None and owner.is_class else None

    def header(self, entity: Entity) -> Edges:
        """What executing the definition leads to."""
        if entity.header is None:
            regions: list[Facts] = []
            makers: list[str] = []
            for definition in entity.definitions:
                kind = definition.__class__
                if kind is Function:
                    regions.append(definition.header_facts)  # type: ignore[attr-defined]
                    makers += [chain for chain, _ in definition.decorators]  # type: ignore[attr-defined]
                    if definition.annotations and self.is_annotated(entity):  # type: ignore[attr-defined]
                        regions.append(definition.annotation_facts)  # type: ignore[attr-defined]
                elif kind is Class:
                    regions.append(definition.facts)  # type: ignore[attr-defined]
                    makers += [*definition.bases, *(chain for chain, _ in definition.decorators)]  # type: ignore[attr-defined]
                    if definition.annotations and self.is_annotated(entity):  # type: ignore[attr-defined]
                        regions.append(definition.annotation_facts)  # type: ignore[attr-defined]
                elif kind is Value:
                    regions.append(definition.facts)  # type: ignore[attr-defined]
                for number in definition.conditions:
                    regions.append(self._condition_facts(entity.module, number))
            entity.header = resolve_edges(self.resolver, entity.module, None, _distinct(regions), makers=makers)
        return entity.header

    def body(self, entity: Entity) -> Edges:
        """What calling a function leads to."""
        if entity.body is None:
            regions = [d.body_facts for d in entity.definitions if isinstance(d, Function)]
            entity.body = resolve_edges(self.resolver, entity.module, self.own_class(entity), regions, name=entity.name)
            weaken(self.resolver, entity, entity.body)
        return entity.body

    def annotations(self, entity: Entity) -> Edges | None:
        """What the annotations of a function or class mention; None if it has none."""
        try:
            return self._annotations[entity]
        except KeyError:
            regions = [d.annotation_facts for d in entity.definitions if isinstance(d, (Function, Class))]
            regions = _distinct(regions)
            found = resolve_edges(self.resolver, entity.module, None, regions) if regions else None
            self._annotations[entity] = found
            return found

    def statement(self, module: Module, number: int) -> Edges:
        """What a top-level statement leads to."""
        edges = self._statements.get((module, number))
        if edges is None:
            found = module.summary.statements[number]
            regions = [found.facts, *(self._condition_facts(module, n) for n in found.conditions)]
            edges = self._statements[module, number] = resolve_edges(self.resolver, module, None, _distinct(regions))
        return edges

    def _condition_facts(self, module: Module, number: int) -> Facts:
        summary = module.summary
        return summary.conditions[number].facts if number >= 0 else summary.statements[-number - 1].facts

    def decides(self, module: Module, number: int) -> bool:
        """Can a governing test come out otherwise than it did? `if __name__ == "__main__"` is how a module was met."""
        return any(chain != "__name__" for chain, _ in self._condition_facts(module, number).reads) or number < 0

    def import_closure(self, module: Module) -> frozenset[Module]:
        """The project modules that run when `module` is imported, itself and its packages included."""
        if module not in self._closures:
            self._find_closures(module)
        return self._closures[module]

    def _find_closures(self, start: Module) -> None:
        """Tarjan's algorithm: modules that import one another share one closure, found after those they import."""
        number: dict[Module, int] = {}
        lowest: dict[Module, int] = {}
        open_: list[Module] = []
        work = [(start, iter(self.imports(start)))]
        number[start] = lowest[start] = 0
        open_.append(start)
        while work:
            module, rest = work[-1]
            for found in rest:
                if found in self._closures:
                    continue
                if found not in number:
                    number[found] = lowest[found] = len(number)
                    open_.append(found)
                    work.append((found, iter(self.imports(found))))
                    break
                lowest[module] = min(lowest[module], number[found])
            else:
                work.pop()
                if work:
                    above = work[-1][0]
                    lowest[above] = min(lowest[above], lowest[module])
                if lowest[module] == number[module]:
                    index = open_.index(module)
                    members = open_[index:]
                    del open_[index:]
                    self._close(members)

    def _close(self, members: list[Module]) -> None:
        closure = set(members)
        for member in members:
            for found in self.imports(member):
                if found not in closure:
                    closure |= self._closures[found]
        frozen = frozenset(closure)
        self._closures.update(dict.fromkeys(members, frozen))

    def imports(self, module: Module) -> list[Module]:
        """The modules that importing `module` runs directly: its packages, and what its own statements import."""
        known = self._imports.get(module)
        if known is not None:
            return known
        found: list[Module] = []
        parent = module.name.rpartition(".")[0]
        if parent and (package := self.resolver.module(parent)) is not None:
            found.append(package)
        for name, attribute in module.summary.imports:
            found += modules_run(self.resolver, module, name, attribute)
        found = self._imports[module] = list(dict.fromkeys(found))
        return found

    def getters_asked(self, module: Module) -> list[Entity]:
        """The module-level `__getattr__` functions that the import statements of a module call."""
        found: list[Entity] = []
        for name, attribute in module.summary.imports:
            if attribute:
                found += getters_asked(self.resolver, module, name)
        return found

    def is_watched(self, entity: Entity) -> bool:
        """Does anything look at the attributes of a class when it is made: a metaclass, a decorator, a hook, a base?"""
        known = self._watched.get(entity)
        if known is None:
            known = self._watched[entity] = self._is_watched(entity)
        return known

    def _is_watched(self, entity: Entity) -> bool:
        if self.resolver.is_made_outside(entity):
            return True
        for ancestor in self.resolver.mro(entity)[0]:
            for definition in ancestor.definitions:
                if isinstance(definition, Class) and (definition.keywords or definition.decorators):
                    return True
            if ancestor is not entity and ancestor.module.entity(f"{ancestor.qualname}.__init_subclass__") is not None:
                return True
        return False

    def is_annotated(self, entity: Entity) -> bool:
        """Are the annotations of a function or class looked at when it is made: by a decorator, a base, a metaclass?"""
        if entity.is_class:
            outside = self.resolver.mro(entity)[1]
            return self.is_watched(entity) or any(name.endswith(".Protocol") for name in outside)
        decorators = [chain for d in entity.definitions if isinstance(d, Function) for chain, _ in d.decorators]
        return any(chain.endswith(".register") for chain in decorators) or (
            bool(decorators) and self.is_foreign(entity)
        )

    def is_foreign(self, entity: Entity) -> bool:
        """Is a function under a decorator from outside the project that may keep what it returns?"""
        for definition in entity.definitions:
            if isinstance(definition, Function):
                for chain, _ in definition.decorators:
                    if self._is_foreign_decorator(entity, chain):
                        return True
        return False

    def is_wrapped(self, entity: Entity, function: Function) -> bool:
        """Does a decorator decide at import what the name of a function is bound to?"""
        for chain, _ in function.decorators:
            if chain.rpartition(".")[2] in _ACCESSORS:
                continue
            things = () if chain == "?" else self.resolver.chain(entity.module, chain, Trace())
            if not things or not all(isinstance(t, Outside) and t.name.startswith(_PLAIN_WRAPPERS) for t in things):
                return True
        return False

    def _is_foreign_decorator(self, entity: Entity, chain: str) -> bool:
        if chain == "?":
            return True
        if chain.rpartition(".")[2] in _ACCESSORS:
            return False
        trace = Trace()
        things = self.resolver.chain(entity.module, chain, trace)
        for thing in things:
            if isinstance(thing, Outside) and thing.name not in TRANSPARENT and not thing.name.startswith("hitsave."):
                return True
        return not things or not (trace.entities or trace.demands or any(isinstance(t, Outside) for t in things))


def _same_edges(old: Definition, new: Definition) -> bool:
    return all(
        same_facts(getattr(old, field), getattr(new, field))
        for field in ("header_facts", "body_facts", "facts", "annotation_facts")
        if hasattr(old, field)
    )


def _distinct(regions: list[Facts]) -> list[Facts]:
    seen: dict[int, Facts] = {id(facts): facts for facts in regions if facts is not NO_FACTS}
    return list(seen.values())
