"""Targets: which symbols a write means (see `effects.py` for the forms a target has)."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from hitsave.analysis.classes import Trace
from hitsave.analysis.entities import Entity, Instance, Module, Outside
from hitsave.analysis.summary import Function

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hitsave.analysis.graph import Graph

# Statements that call these change nothing that a result can depend on, or nothing but what is printed.
QUIET_CALLS = (
    "builtins.", "logging.", "warnings.warn", "atexit.", "signal.", "faulthandler.", "gc.", "sys.", "argparse.",
    # Libraries that keep no state: what their objects are told, they alone know.
    "re.", "collections.", "itertools.", "operator.", "string.", "math.", "datetime.", "pathlib.", "uuid.", "hashlib.",
    "base64.", "struct.", "textwrap.", "dataclasses.", "enum.", "typing.", "types.", "copy.", "heapq.", "bisect.",
    "statistics.", "fractions.", "io.",
    "unittest.", "pytest.", "doctest.", "time.", "hitsave.", "multiprocessing.freeze_support",
    "multiprocessing.set_start_method",
)  # fmt: skip
REGISTER = ".register"  # `collections.abc.Sized.register(C)` decides what isinstance() says
_CONSTRUCTORS = ("__init__", "__post_init__")


class Targets:
    """Resolves writes over one graph."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def of_writes(
        self, module: Module, function: Entity | None, writes: Iterable[str], *, is_opaque: bool = True
    ) -> set[str]:
        """The targets of the `Facts.writes` of a region of `module`, the body of `function` if it is one."""
        targets: set[str] = set()
        for write in writes:
            if write[0] == "=":
                targets.add(f"{module.name}:{write[1:]}")
            elif write == "~globals()[]" and not is_opaque:
                targets.add(f"{module.name}:?")
            elif write.startswith(("~globals()", "*")):
                targets.add(f"{module.name}:*")
            elif write[0] == "~":
                targets |= self._of_chain(module, write[1:])
                if write.startswith("~type().") and function is not None:
                    owner = self._graph.own_class(function)
                    if owner is not None:
                        targets.add(f"^{owner.symbol}.{write[8:].partition('.')[0]}")
            elif write[0] == "^":
                targets |= self._entities_of_chain(module, write[1:])
            elif write.startswith("self.") and function is not None:
                owner = self._graph.own_class(function)
                member = self._graph.resolver.member(owner, write[5:]) if owner is not None else None
                if member is not None and member.has_value and not self._makes_new(owner, function):
                    targets.add(member.symbol)
                if owner is not None and (write == "self.__class__" or _receives_class(function)):
                    targets.add(f"^{owner.symbol}.{write[5:] if write != 'self.__class__' else '*'}")
        return targets

    def _makes_new(self, owner: Entity | None, function: Entity) -> bool:
        """Is `self` a new object, reached through whoever holds it? Not where a class hands out one that it has."""
        return owner is not None and function.name in _CONSTRUCTORS and self._graph.resolver.is_itself(owner)

    def _entities_of_chain(self, module: Module, chain: str) -> set[str]:
        """The project symbols that a chain goes through or ends at."""
        trace = Trace()
        things = self._graph.resolver.chain(module, chain, trace)
        found = {thing.symbol for thing in things if isinstance(thing, Entity)}
        return found | {entity.symbol for entity in trace.entities if entity.has_value}

    def _returned(self, function: Entity) -> set[str]:
        """The module-level values that a function returns, as far as it says so: `def registry(): return REG`."""
        found: set[str] = set()
        for definition in function.definitions:
            if isinstance(definition, Function):
                for chain in definition.body_facts.returns:
                    if chain != "?":
                        found |= self._entities_of_chain(function.module, chain)
        return found

    def _of_chain(self, module: Module, chain: str) -> set[str]:
        """The symbols that changing what `chain` names, or setting it, changes."""
        resolver = self._graph.resolver
        base, _, last = chain.rpartition(".")
        targets: set[str] = set()
        if base:
            trace = Trace()
            for thing in resolver.chain(module, base, trace):
                if isinstance(thing, Module):
                    targets.add(f"{thing.name}:{last}")
                elif isinstance(thing, Outside):
                    targets |= state_of([thing.name]) if thing.is_result else _of_attribute(thing.name, last)
                elif isinstance(thing, Entity):
                    targets.add(thing.symbol)
                    if thing.is_class:
                        targets.add(f"{thing.symbol}.{last}")
                elif isinstance(thing, Instance):
                    targets.add(thing.of.symbol)
            targets |= {entity.symbol for entity in trace.entities if entity.has_value}
            for thing in resolver.chain(module, chain, Trace()):
                if isinstance(thing, Entity):
                    targets.add(thing.symbol)
            return targets
        for thing in resolver.chain(module, chain.rstrip("()[]"), Trace()):
            if isinstance(thing, Entity):
                targets.add(thing.symbol)
                if chain.endswith("()"):
                    targets |= self._returned(thing)
            elif isinstance(thing, Outside) and "[" not in chain and "(" not in chain:
                targets.add(f"!{thing.name}")
        return targets


def state_of(functions: Iterable[str]) -> set[str]:
    """The targets that stand for the state of the packages to which these outside functions belong."""
    return {"!" + _keeper(f) for f in functions if "." in f and (f.endswith(REGISTER) or not f.startswith(QUIET_CALLS))}


def _keeper(name: str) -> str:
    """What keeps the state that an outside function changes: its module; of other people's, all of the package.

    `jax.config.update(…)` is about `jax.numpy`, too. A generator of random numbers is nobody else's business.
    """
    top, _, rest = name.partition(".")
    home = name.rpartition(".")[0]
    return home if top in sys.stdlib_module_names or "random" in rest.split(".")[:-1] else top


def _of_attribute(owner: str, name: str) -> set[str]:
    """The targets that setting an attribute of something outside stands for: `options.precision` is for all to read."""
    top = owner.partition(".")[0]
    found = {f"!{owner}.{name}"}
    if top not in sys.stdlib_module_names or "." in owner:
        found.add("!" + top)
    return found


def _receives_class(function: Entity) -> bool:
    """Is the first parameter the class itself?"""
    if function.name in ("__new__", "__init_subclass__", "__class_getitem__", "__prepare__"):
        return True
    return any(
        isinstance(d, Function) and any(chain == "classmethod" for chain, _ in d.decorators)
        for d in function.definitions
    )
