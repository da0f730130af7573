"""Classes across modules: method resolution order, members, and whether a class's name is bound to that class."""

from __future__ import annotations

import builtins
from abc import ABC, abstractmethod

from hitsave.analysis.entities import Entity, Instance, Module, Outside, Thing
from hitsave.analysis.modules import Modules, ModuleTable
from hitsave.analysis.summary import Class, Value

# Decorators and metaclasses that leave a class what it is.
_KEEPS_CLASS = frozenset({
    "dataclasses.dataclass", "functools.total_ordering", "typing.final", "typing.runtime_checkable", "abc.ABCMeta",
    "typing_extensions.final", "typing_extensions.runtime_checkable", "typing_extensions.deprecated", "enum.unique",
    "warnings.deprecated", "builtins.type", "attr.s", "attrs.define", "attrs.frozen", "enum.EnumMeta",
})  # fmt: skip
_MAKES_NONE = _KEEPS_CLASS - {"enum.EnumMeta"}
# Bases from outside the project that don't look at what a class defines.
_BLIND_BASES = (
    "builtins.object",
    "abc.ABC",
    "typing.Generic",
    "typing.Protocol",
    "collections.abc.",
    "typing_extensions.Protocol",
)


def _is_builtin_type(name: str) -> bool:
    kind = getattr(builtins, name[9:], None) if name.startswith("builtins.") else None
    return isinstance(kind, type)


class Trace:
    """What was met on the way of resolving chains: `entities` in order, import bindings included."""

    __slots__ = ("attributes", "demands", "entities", "listed", "missing", "unbound")

    def __init__(self) -> None:
        self.entities: dict[Entity, None] = {}
        self.attributes: set[str] = set()  # names read on unknown receivers
        self.demands: dict[tuple[Entity, str], None] = {}  # names read on instances of a known class
        self.unbound: dict[Entity, None] = {}  # methods taken from their class
        self.listed: dict[tuple[Thing, str], None] = {}  # (thing, __dict__ or __path__)
        self.missing: set[str] = set()  # names that a project module doesn't define


class Classes(ModuleTable, ABC):
    """What is known of classes, for `Resolver`."""

    def __init__(self, modules: Modules) -> None:
        super().__init__(modules)
        self._itself: dict[Entity, bool] = {}
        self._open: set[Entity] = set()

    @abstractmethod
    def chain(self, module: Module, chain: str, trace: Trace) -> tuple[Thing, ...]:
        """What a chain read in `module` stands for."""

    def mro(self, entity: Entity) -> tuple[tuple[Entity, ...], tuple[str, ...]]:
        """(project classes in method resolution order, the class first; dotted names of outside bases, "?" unknown)."""
        if entity.mro is not None:
            return entity.mro
        entity.mro = ((entity,), ())  # a class that is its own ancestor
        order: list[Entity] = []
        outside: dict[str, None] = {}
        linear: list[list[Entity]] = []
        for base in self._bases(entity, outside):
            ancestors, names = self.mro(base)
            linear.append(list(ancestors))
            outside.update(dict.fromkeys(names))
        linear.append([chain[0] for chain in linear])
        order = [entity, *_merge(linear)]
        entity.mro = (tuple(order), tuple(outside))
        return entity.mro

    def _bases(self, entity: Entity, outside: dict[str, None]) -> list[Entity]:
        found: list[Entity] = []
        for definition in entity.definitions:
            if definition.__class__ is not Class:
                continue
            for base in definition.bases:
                chain = base.removesuffix("[]")
                things: tuple[Thing, ...] = () if chain == "?" else self.chain(entity.module, chain, Trace())
                classes = [c for thing in things for c in self.classes(thing) if c is not entity]
                if classes:
                    found += [c for c in classes if c not in found]
                else:
                    names = [t.name for t in things if isinstance(t, Outside) and not t.is_result] or ["?"]
                    outside.update(dict.fromkeys(names))
        return found

    def classes(self, thing: Thing) -> list[Entity]:
        """The project classes that a thing is: itself, or what a value is another name of."""
        if not isinstance(thing, Entity):
            return []
        if thing.is_class:
            return [thing]
        found: list[Entity] = []
        for definition in thing.definitions:
            if definition.__class__ is Value and (alias := definition.alias) and alias[-1] not in ")][":
                for target in self._aliased(thing, alias, Trace()):
                    found += self.classes(target)
        return found

    def member(self, entity: Entity, name: str) -> Entity | None:
        """The member that a class has under `name`, its own or inherited from project classes."""
        ancestors = self.mro(entity)[0]
        for ancestor in ancestors:
            found = ancestor.module.entity(f"{ancestor.qualname}.{name}")
            if found is not None:
                return found
        if name[:1] == "_" and "__" in name[2:]:  # a private name from outside its class: `_Class__name`
            for ancestor in ancestors:
                prefix = "_" + ancestor.name.lstrip("_")
                if name.startswith(prefix + "__"):
                    return ancestor.module.entity(f"{ancestor.qualname}.{name[len(prefix) :]}")
        return None

    def is_itself(self, entity: Entity) -> bool:
        """Is the name of a class bound to that class, and does calling it give an instance of it?"""
        known = self._itself.get(entity)
        if known is None:
            known = self._itself[entity] = self._is_itself(entity)
        return known

    def _is_itself(self, entity: Entity) -> bool:
        if entity.has_value or entity.has_function or entity.has_import or self.member(entity, "__new__") is not None:
            return False
        for ancestor in self.mro(entity)[0]:
            for definition in ancestor.definitions:
                if not isinstance(definition, Class):
                    continue
                for chain in _handlers(definition, is_itself=ancestor is entity):
                    things = self.chain(ancestor.module, chain, Trace()) if chain != "?" else ()
                    if not things or not all(isinstance(t, Outside) and t.name in _KEEPS_CLASS for t in things):
                        return False
        return True

    def is_made_outside(self, entity: Entity) -> bool:
        """May something outside the project make instances when the class is made: a base, metaclass or decorator?"""
        ancestors, outside = self.mro(entity)
        if any(not name.startswith(_BLIND_BASES) and not _is_builtin_type(name) for name in outside):
            return True
        for ancestor in ancestors:
            for definition in ancestor.definitions:
                if isinstance(definition, Class):
                    for chain in _handlers(definition, is_itself=ancestor is entity):
                        things = self.chain(ancestor.module, chain, Trace()) if chain != "?" else ()
                        if any(isinstance(t, Outside) and t.name not in _MAKES_NONE for t in things):
                            return True
        return False

    def name_hooks(self, entity: Entity) -> list[tuple[Entity, Entity]]:
        """(attribute, `__set_name__`) of each attribute that is told of the class when that is made."""
        found = []
        for name in entity.module.members_of(entity.qualname):
            attribute = entity.module.entity(f"{entity.qualname}.{name}")
            for definition in () if attribute is None else attribute.definitions:
                if isinstance(definition, Value):
                    chains = [definition.alias] if definition.alias.endswith("()") else []
                else:
                    chains = [f"{chain}()" for chain, _ in getattr(definition, "decorators", ())]
                for chain in chains:
                    for thing in self.chain(entity.module, chain, Trace()):
                        hook = self.member(thing.of, "__set_name__") if isinstance(thing, Instance) else None
                        if hook is not None and attribute is not None:
                            found.append((attribute, hook))
        return found

    def after(self, entity: Entity, beyond: Entity, name: str) -> Entity | None:
        """What `super().name` in class `beyond` is for an instance of class `entity`."""
        order = self.mro(entity)[0]
        start = order.index(beyond) + 1 if beyond in order else 0
        for ancestor in order[start:]:
            found = ancestor.module.entity(f"{ancestor.qualname}.{name}")
            if found is not None:
                return found
        return None

    def _aliased(self, entity: Entity, alias: str, trace: Trace) -> tuple[Thing, ...]:
        """What a value is another name of. A value that is an alias of itself, by whatever detour, is of nothing."""
        if entity in self._open:
            return ()
        self._open.add(entity)
        things = self.chain(entity.module, alias, trace)
        self._open.discard(entity)
        return things


def _handlers(definition: Class, *, is_itself: bool) -> list[str]:
    """What is given a class when it is made: its metaclass and, of the class itself, its decorators."""
    chains = [chain for keyword, chain in definition.keywords if keyword == "metaclass"]
    return chains + [chain for chain, _ in definition.decorators] if is_itself else chains


def _merge(linear: list[list[Entity]]) -> list[Entity]:
    """C3, or left to right where the order is inconsistent (Python would raise)."""
    order: list[Entity] = []
    linear = [chain for chain in linear if chain]
    while linear:
        for chain in linear:
            head = chain[0]
            if not any(head in other[1:] for other in linear):
                break
        else:
            head = linear[0][0]
        order.append(head)
        linear = [[e for e in chain if e is not head] for chain in linear]
        linear = [chain for chain in linear if chain]
    return order
