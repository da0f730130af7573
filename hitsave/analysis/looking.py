"""Who looks at annotations, and at whose: `inspect.signature(f)` and its like.

    inspect.signature(f).parameters     those of `f` alone
    inspect.signature(handler)          anybody's, where `handler` is a parameter or made somewhere
    read = inspect.signature            the same: nobody follows `read`
    Row = dataclass(Plain)              those of `Plain` alone
    TypeAdapter(Plain)                  anybody's: a package that is known to work by annotations is called

What a decorator, a base or a metaclass looks at is known from the definition that it stands in.
"""

from __future__ import annotations

import ast
from functools import lru_cache
from typing import TYPE_CHECKING

from hitsave.analysis.classes import Trace
from hitsave.analysis.entities import Entity, Module, Outside
from hitsave.analysis.expressions import chain_of
from hitsave.analysis.summary import CALLED, LOOKS, Class, Facts, Function

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from hitsave.analysis.resolve import Resolver

# Calls of these look at what is given first.
LOOKING = frozenset({"signature", "getfullargspec", "get_type_hints", "get_annotations", "dataclass"})
# Reading one of these looks at annotations without running what has them.
SIGNATURES = frozenset({
    "__annotations__", "__type_params__", "__bound__", "inspect.signature", "typing.get_type_hints",
    "inspect.get_annotations", "dataclasses.dataclass",
    "inspect.getfullargspec", "typing_extensions.get_type_hints", "annotationlib.get_annotations",
})  # fmt: skip
# Packages that do what annotations say, and what they offer that doesn't look at any.
WORKING_BY_THEM = frozenset({
    "apischema", "attr", "attrs", "beartype", "cattr", "cattrs", "dacite", "dataclass_wizard", "desert", "fastapi",
    "fire", "injector", "jsonargparse", "mashumaro", "msgspec", "pydantic", "simple_parsing", "sqlmodel", "strawberry",
    "typeguard", "typer", "tyro",
})  # fmt: skip
_BLIND = frozenset({
    "Field", "field", "PrivateAttr", "ConfigDict", "ib", "attrib", "Factory", "asdict", "astuple", "evolve",
    "Argument", "Option", "echo", "secho", "Exit", "Depends", "Query", "Body", "Path", "Header", "HTTPException",
})  # fmt: skip
# They make the annotations of one function seem those of another.
REDIRECTING = ("__wrapped__", "__signature__")
# Methods whose annotations are those of their class.
_OF_CLASS = ("__init__", "__new__", "__call__")
ANYHOW = -1
NOBODY: frozenset[Entity] = frozenset()
_SCOPES = (
    (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
    + (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
)  # fmt: skip


def looks_at_names(code: Iterable[ast.AST], passed: Collection[tuple[str, str]]) -> bool:
    """Whether `code`, which calls one of `LOOKING`, always calls it directly, with a global name first.

    `passed` are the (callee, argument) pairs of its facts, so that no local name is taken for a global one.
    """
    pending = list(code)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Call) and _last_name(node.func) in LOOKING:
            callee, argument = chain_of(node.func), chain_of(node.args[0]) if node.args else None
            if callee is None or argument is None or (callee, argument) not in passed or set("([|") & set(argument):
                return False
            pending += [*node.args[1:], *(keyword.value for keyword in node.keywords)]
        elif _mentions(node):
            return False
        elif isinstance(node, _SCOPES):  # its names may be its own
            if any(map(_mentions, ast.walk(node))):
                return False
        else:
            pending.extend(ast.iter_child_nodes(node))
    return True


def _mentions(node: ast.AST) -> bool:
    return _last_name(node) in LOOKING or (isinstance(node, ast.Constant) and node.value in LOOKING)


def _last_name(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def may_look(outside: Mapping[str, tuple[int, int]]) -> bool:
    """Whether something among the `outside` of edges looks at annotations."""
    for name, (bits, _) in outside.items():
        wanted = _looks_when(name)
        if wanted and (bits & wanted or wanted == ANYHOW):
            return True
    return False


@lru_cache(maxsize=1 << 14)
def _looks_when(name: str) -> int:
    """When annotations may be looked at by who names something outside: `ANYHOW`, if it is `CALLED`, never (0)."""
    if name in SIGNATURES:
        return ANYHOW
    top, _, rest = name.partition(".")
    return CALLED if top in WORKING_BY_THEM and rest.rpartition(".")[2] not in _BLIND else 0


def redirects(outside: Collection[str], writes: Iterable[str]) -> bool:
    """Whether edges make the annotations of one function seem those of another."""
    return "functools.update_wrapper" in outside or any(end in write for write in writes for end in REDIRECTING)


def looked_at(
    resolver: Resolver, module: Module, regions: Iterable[Facts], makers: Collection[str]
) -> frozenset[Entity] | None:
    """Whose annotations these regions look at; None: anybody's. `makers` look at the definition that they stand in."""
    found: set[Entity] = set()
    for facts in regions:
        for chain, info in facts.reads:
            if chain in makers or (facts.flags & LOOKS and chain.rpartition(".")[2] in LOOKING):
                continue
            things = resolver.chain(module, chain, Trace())
            if may_look({thing.name: (info & 255, 0) for thing in things if isinstance(thing, Outside)}):
                return None
        for callee, argument in facts.passed if facts.flags & LOOKS else ():
            if callee.rpartition(".")[2] in LOOKING:
                for thing in resolver.chain(module, argument, Trace()) or (None,):
                    if not isinstance(thing, Entity) or not _is_plain(thing):
                        return None
                    found |= _with_its_own(resolver, thing)
    return frozenset(found)


def _is_plain(entity: Entity) -> bool:
    """Whether it is a function or class, and nothing stands for it that would show the annotations of another."""
    return all(isinstance(one, (Function, Class)) and not one.decorators for one in entity.definitions)


def _with_its_own(resolver: Resolver, entity: Entity) -> set[Entity]:
    if not entity.is_class:
        return {entity}
    methods = (resolver.member(entity, name) for name in _OF_CLASS)
    return {*resolver.mro(entity)[0], *(method for method in methods if method is not None)}
