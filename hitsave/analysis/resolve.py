"""Resolution: what a chain of names in a module stands for, through imports, re-exports, stars and class members.

Every way a name may get its meaning counts, so a chain leads to several things where a name is bound several times
(`try`/`except ImportError`, both branches of an `if`). Cyclic imports are ordinary: a name that leads back to itself
leads nowhere.

What it cannot see: attributes of what a function returns, or of items of containers (they become attribute names for
`reach.py`), and attributes that a module gains at run time other than by statements of the project.
"""

from __future__ import annotations

import builtins

from hitsave.analysis.classes import Classes, Trace
from hitsave.analysis.entities import UNKNOWN, Entity, Instance, Module, Outside, Thing
from hitsave.analysis.modules import Modules
from hitsave.analysis.summary import Import, Value

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


# Reading one of these gives all names of a module or class, or all submodules of a package.
_LISTINGS = ("__dict__", "__path__")


class Resolver(Classes):
    """Resolves names over a set of modules. Caches; make a new one when a module changes what it binds."""

    def __init__(self, modules: Modules) -> None:
        super().__init__(modules)
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


def _is_class_name(name: str) -> bool:
    """Is this the name of an outside class by convention, and not of one that stands in for other objects?"""
    last = name.rpartition(".")[2].lstrip("_")
    return last[:1].isupper() and not last.isupper() and "Proxy" not in last
