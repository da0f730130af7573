"""Resolution: what a chain of names in a module stands for, through imports, re-exports, stars and class members.

Every way a name may get its meaning counts, so a chain leads to several things where a name is bound several times
(`try`/`except ImportError`, both branches of an `if`). Cyclic imports are ordinary: a name that leads back to itself
leads nowhere.

What it cannot see: attributes of what a function returns, or of items of containers (they become attribute names for
`reach.py`), and attributes that a module gains at run time other than by statements of the project.
"""

from __future__ import annotations

import builtins

from hitsave.analysis.entities import UNKNOWN, Entity, Instance, Module, Outside, Thing
from hitsave.analysis.modules import Modules, ModuleTable
from hitsave.analysis.summary import Class, Import, Value

# The alias of a value that is a literal or a display of a builtin container.
PLAIN = "["
BUILTINS = frozenset(vars(builtins))
# Calling these gives an object whose methods are not the project's.
PLAIN_TYPES = frozenset({
    "builtins.str", "builtins.bytes", "builtins.bytearray", "builtins.list", "builtins.dict", "builtins.set",
    "builtins.tuple", "builtins.frozenset", "builtins.int", "builtins.float", "builtins.complex", "builtins.bool",
    "builtins.range", "re.compile", "collections.deque", "collections.Counter", "collections.OrderedDict",
    "collections.defaultdict",
})  # fmt: skip


# Decorators and metaclasses that leave a class what it is.
_KEEPS_CLASS = frozenset({
    "dataclasses.dataclass", "functools.total_ordering", "typing.final", "typing.runtime_checkable", "abc.ABCMeta",
    "typing_extensions.final", "typing_extensions.runtime_checkable", "typing_extensions.deprecated", "enum.unique",
    "warnings.deprecated", "builtins.type", "attr.s", "attrs.define", "attrs.frozen", "enum.EnumMeta",
})  # fmt: skip
# Reading one of these gives all names of a module or class, or all submodules of a package.
_LISTINGS = ("__dict__", "__path__")


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


class Resolver(ModuleTable):
    """Resolves names over a set of modules. Caches; make a new one when a module changes what it binds."""

    def __init__(self, modules: Modules) -> None:
        super().__init__(modules)
        self._itself: dict[Entity, bool] = {}
        self._open: set[Entity] = set()
        self._names: dict[tuple[Module, str], tuple[tuple[Thing, ...], tuple[Entity, ...]]] = {}

    # Names

    def name(self, module: Module, name: str, trace: Trace) -> tuple[Thing, ...]:
        """What a global name in `module` stands for; () if neither the module nor Python defines it."""
        key = (module, name)
        known = self._names.get(key)
        if known is None:
            self._names[key] = ((), ())  # a name that leads back to itself leads nowhere
            inner = Trace()
            things = tuple(self._name(module, name, inner))
            known = self._names[key] = (things, tuple(inner.entities))
        for entity in known[1]:
            trace.entities[entity] = None
        if not known[0]:
            trace.missing.add(f"{module.name}:{name}")
        return known[0]

    def _name(self, module: Module, name: str, trace: Trace) -> list[Thing]:
        entity = module.entity(name)
        if entity is not None:
            return self._bound(entity, trace)
        for star in reversed(module.summary.stars):
            source = self.imported(module, star)
            if isinstance(source, Module):
                if self._exported(source, name):
                    found = self.attribute(source, name, trace)
                    if found:
                        return list(found)
            elif isinstance(source, Outside) and name not in BUILTINS:
                return [Outside(f"{source.name}.{name}")]
        if name in BUILTINS:
            return [Outside(f"builtins.{name}")]
        if name == "__class__":
            return [UNKNOWN]
        return []

    def bound(self, entity: Entity) -> list[Thing]:
        """What a name stands for, by all its bindings."""
        return self._bound(entity, Trace())

    def _bound(self, entity: Entity, trace: Trace) -> list[Thing]:
        trace.entities[entity] = None
        things: list[Thing] = []
        if entity.has_import:
            for definition in entity.definitions:
                if definition.__class__ is Import:
                    # What the import leads through doesn't count, only where it leads: a re-export may move.
                    inner = Trace()
                    things += self._import(entity.module, definition, inner)
                    trace.missing |= inner.missing
                    trace.entities.update(dict.fromkeys(e for e in inner.entities if not e.is_only_import))
        if entity.has_function or entity.is_class or entity.has_value:
            things.append(entity)
        return things

    def _import(self, importer: Module, definition: Import, trace: Trace) -> tuple[Thing, ...]:
        return self.import_target(importer, definition.module, definition.attribute, trace)

    def import_target(self, importer: Module, name: str, attribute: str, trace: Trace) -> tuple[Thing, ...]:
        """What `from name import attribute` (or `import name` where attribute is "") binds."""
        source = self.imported(importer, name)
        if source is None:
            return ()
        if not attribute:
            return (source,)
        return self.attribute_of(source, attribute, trace)

    def _exported(self, module: Module, name: str) -> bool:
        exports = module.summary.exports
        if exports is None:
            return not name.startswith("_")
        if name in exports or "*" in exports:
            return True
        for export in exports:
            if export.endswith(".*"):
                for thing in self.chain(module, export[:-2], Trace()):
                    if isinstance(thing, Module) and self._exported(thing, name):
                        return True
        return False

    def attribute(self, module: Module, name: str, trace: Trace) -> tuple[Thing, ...]:
        """What `module.name` is."""
        found = self.name(module, name, trace) if self._defines(module, name) else ()
        if module.summary.is_package:
            submodule = self.module(f"{module.name}.{name}")
            if submodule is not None and submodule not in found and not self._hides(module, name):
                found = (*found, submodule)
        if found:
            return found
        if name.startswith("__"):
            if name == "__doc__":
                trace.missing.add(f"{module.name}:__doc__")
            return (UNKNOWN,)
        getter = module.entity("__getattr__")
        if getter is not None:
            trace.entities[getter] = None
            lazy = self._lazily(module, name, trace)
            return lazy or (UNKNOWN,)
        trace.missing.add(f"{module.name}:{name}")
        return ()

    def _defines(self, module: Module, name: str) -> bool:
        if module.entity(name) is not None:
            return True
        return bool(module.summary.stars) and name not in BUILTINS

    def _hides(self, package: Module, name: str) -> bool:
        """Does the package bind over its submodule? `from .name import name` runs after the submodule is set."""
        entity = package.entity(name)
        if entity is None:
            return False
        for definition in entity.definitions:
            if definition.__class__ is not Import:
                return True
            if definition.attribute and package.absolute(definition.module) == f"{package.name}.{name}":
                return True
        return False

    def _lazily(self, module: Module, name: str, trace: Trace) -> tuple[Thing, ...]:
        """A name served by a module's `__getattr__`: most often it is defined in one of its submodules."""
        found: list[Thing] = []
        for child in self.children(module.name):
            submodule = self.module(child)
            if submodule is not None and submodule.entity(name) is not None:
                found += self.name(submodule, name, trace)
        return tuple(found)

    # Chains

    def chain(self, module: Module, chain: str, trace: Trace) -> tuple[Thing, ...]:
        """What a chain read in `module` stands for."""
        things: tuple[Thing, ...]
        if chain[0] == "@":
            name, _, rest = chain[1:].partition("|")
            source = module if name == ":self" else self.imported(module, name)
            things = () if source is None else (source,)
            parts = rest.split(".") if rest else []
        else:
            parts = chain.split(".")
            root = parts.pop(0)
            marker = root[-2:]
            if marker in ("()", "[]"):
                things = self._after(self.name(module, root[:-2], trace), marker)
            else:
                things = self.name(module, root, trace)
        for part in parts:
            marker = part[-2:]
            name = part[:-2] if marker in ("()", "[]") else part
            moved: tuple[Thing, ...] = ()
            for thing in things:
                moved += self.attribute_of(thing, name, trace)
            things = self._after(moved, marker) if marker in ("()", "[]") else moved
        return things

    def attribute_of(self, thing: Thing, name: str, trace: Trace) -> tuple[Thing, ...]:
        """What attribute `name` of a thing is."""
        kind = thing.__class__
        if name in _LISTINGS and (kind is Module or (kind is Entity and thing.is_class)):  # type: ignore[union-attr]
            trace.listed[thing, name] = None
            return (UNKNOWN,)
        if kind is Module:
            return self.attribute(thing, name, trace)  # type: ignore[arg-type]
        if kind is Outside:
            if thing.is_result:  # type: ignore[union-attr]
                trace.attributes.add(name)
                return (UNKNOWN,)
            inner = f"{thing.name}.{name}"  # type: ignore[union-attr]
            if thing.is_namespace:  # type: ignore[union-attr]
                module = self.module(inner)
                if module is not None:
                    return (module,)
                return (Outside(inner, is_namespace=inner in self._namespaces or bool(self.children(inner))),)
            return (Outside(inner),)
        if kind is Instance:
            trace.demands[thing.of, name] = None  # type: ignore[union-attr]
            return (UNKNOWN,)
        if kind is Entity:
            return self._attribute_of_entity(thing, name, trace)  # type: ignore[arg-type]
        trace.attributes.add(name)
        return (UNKNOWN,)

    def _attribute_of_entity(self, entity: Entity, name: str, trace: Trace) -> tuple[Thing, ...]:
        found: tuple[Thing, ...] = ()
        is_known = False
        if entity.is_class:
            member = self.member(entity, name)
            if member is not None:
                is_known = True
                trace.entities[member] = None
                if member.has_function:
                    trace.unbound[member] = None
                found = tuple(self._bound(member, trace)) if member.has_import else (member,)
            else:
                trace.demands[entity, name] = None
            if not self.is_itself(entity):
                trace.attributes.add(name)
        if entity.has_value:
            for definition in entity.definitions:
                if definition.__class__ is Value:
                    alias = definition.alias
                    if not alias:
                        is_known = False
                        continue
                    if alias == PLAIN:
                        is_known = True
                        continue
                    for thing in self._aliased(entity, alias, trace):
                        found += self.attribute_of(thing, name, trace)
                        is_known = True
        if entity.has_function and not entity.is_class:
            trace.attributes.add(name)
            return (*found, UNKNOWN)
        if not is_known:
            trace.attributes.add(name)
            return (*found, UNKNOWN)
        return found

    def _aliased(self, entity: Entity, alias: str, trace: Trace) -> tuple[Thing, ...]:
        """What a value is another name of. A value that is an alias of itself, by whatever detour, is of nothing."""
        if entity in self._open:
            return ()
        self._open.add(entity)
        things = self.chain(entity.module, alias, trace)
        self._open.discard(entity)
        return things

    def _after(self, things: tuple[Thing, ...], marker: str) -> tuple[Thing, ...]:
        """What calling the things, or taking an item of them, gives."""
        found: list[Thing] = []
        for thing in things:
            if marker == "()" and isinstance(thing, Entity) and thing.is_class:
                found.append(Instance(thing))
                if not self.is_itself(thing):
                    found.append(UNKNOWN)
            elif marker == "()" and isinstance(thing, Outside):
                plain = thing.name in PLAIN_TYPES or _is_class_name(thing.name)
                found.append(Outside(thing.name) if plain else Outside(thing.name, is_result=True))
            else:
                found.append(UNKNOWN)
        return tuple(found)

    # Classes

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
                chains = [chain for keyword, chain in definition.keywords if keyword == "metaclass"]
                if ancestor is entity:
                    chains += [chain for chain, _ in definition.decorators]
                for chain in chains:
                    things = self.chain(ancestor.module, chain, Trace()) if chain != "?" else ()
                    if not things or not all(isinstance(t, Outside) and t.name in _KEEPS_CLASS for t in things):
                        return False
        return True

    def after(self, entity: Entity, beyond: Entity, name: str) -> Entity | None:
        """What `super().name` in class `beyond` is for an instance of class `entity`."""
        order = self.mro(entity)[0]
        start = order.index(beyond) + 1 if beyond in order else 0
        for ancestor in order[start:]:
            found = ancestor.module.entity(f"{ancestor.qualname}.{name}")
            if found is not None:
                return found
        return None


def _is_class_name(name: str) -> bool:
    """Is this the name of an outside class by convention, and not of one that stands in for other objects?"""
    last = name.rpartition(".")[2].lstrip("_")
    return last[:1].isupper() and not last.isupper() and "Proxy" not in last


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
