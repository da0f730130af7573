"""Sinks: functions that do nothing but change one thing, so that what it held before goes nowhere else.

    def register(name, cls):
        if name not in _registry: _registry[name] = []
        _registry[name].append(cls)

It returns nothing, calls nothing that isn't known, and all that it writes is in `_registry`. Whatever it reads there
ends up there: who reads `_registry` himself depends on it, and to all others it is as if `register` read nothing. A
metaclass or decorator that registers what is defined then doesn't tie everything registered together.

Left out, as with any test that may raise: that what is there already makes it raise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hitsave.analysis.classes import Trace
from hitsave.analysis.entities import Entity
from hitsave.analysis.special import MUTATORS
from hitsave.analysis.summary import CALLED, WEAK, Function

if TYPE_CHECKING:
    from hitsave.analysis.edges import Edges
    from hitsave.analysis.resolve import Resolver

# They give an answer about what they are given, and do nothing with it.
_ASKING = frozenset({
    "any", "all", "bool", "callable", "dict", "enumerate", "frozenset", "id", "int", "isinstance", "issubclass", "len",
    "list", "max", "min", "range", "repr", "reversed", "set", "sorted", "str", "sum", "tuple", "type", "zip",
})  # fmt: skip
_LOOKING = frozenset({"get", "items", "keys", "values", "copy", "count", "index"}) | MUTATORS


def weaken(resolver: Resolver, function: Entity, edges: Edges) -> None:
    """Note in the edges of its body that a sink reads nothing of what it changes."""
    name = _changed(function)
    if not name or edges.demands or edges.is_computed() or edges.imported:
        return
    things = resolver.chain(function.module, name, Trace())
    target = things[0] if len(things) == 1 else None
    if not isinstance(target, Entity) or not target.has_value:
        return
    if any(bits & CALLED and entity is not target for entity, bits in edges.mentions.items()):
        return
    if any(callee is not None for callees in edges.passed.values() for callee in callees):
        return
    if any(bits & CALLED and not _only_asks(name) for name, (bits, _) in edges.outside.items()):
        return
    if target in edges.mentions:
        edges.mentions[target] = WEAK
        edges.passed.pop(target, None)


def _only_asks(outside: str) -> bool:
    home, _, name = outside.rpartition(".")
    return home == "builtins" and name in _ASKING


def _changed(function: Entity) -> str:
    """The one global name that all definitions of a function change, if they do nothing else; "" otherwise."""
    names: set[str] = set()
    for definition in function.definitions:
        if not isinstance(definition, Function):
            return ""
        facts = definition.body_facts
        if facts.flags or facts.returns or not facts.writes or not all(write[0] in "=~" for write in facts.writes):
            return ""
        names.update(_root(write[1:]) for write in facts.writes)
        if len(names) > 1 or not all(_is_plain_call(chain, info, names) for chain, info in facts.reads):
            return ""
    return names.pop() if len(names) == 1 else ""


def _is_plain_call(chain: str, info: int, names: set[str]) -> bool:
    """Is it no call, one of a name, or one of a container's methods on what is changed?"""
    if not info & CALLED:
        return True
    if chain.isidentifier():
        return chain not in names
    return _root(chain) in names and chain.rpartition(".")[2] in _LOOKING


def _root(chain: str) -> str:
    for place, character in enumerate(chain):
        if not (character.isalnum() or character == "_"):
            return chain[:place]
    return chain
