"""What the graph is made of: a `Module` per summary, an `Entity` per symbol, and the things a chain can lead to.

Summaries are frozen and know one file; entities belong to one `Codebase`, are made when first asked for, and carry
what was worked out about them across files (`Edges`), so that thousands of closures share it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hitsave.analysis.summary import Class, Definition, Function, Import, ModuleSummary, Value
from hitsave.symbol import Symbol, symbol

if TYPE_CHECKING:
    from hitsave.analysis.edges import Edges


class Module:
    """A project module."""

    __slots__ = ("children", "entities", "members", "name", "package", "summary", "waiting")

    def __init__(self, summary: ModuleSummary) -> None:
        self.summary = summary
        self.name = summary.module
        self.package = summary.module if summary.is_package else summary.module.rpartition(".")[0]
        self.entities: dict[str, Entity | None] = {}
        self.members: dict[str, list[str]] | None = None  # class qualname → names of its members

    def entity(self, qualname: str) -> Entity | None:
        """The entity of a qualified name that the module defines, or None."""
        try:
            return self.entities[qualname]
        except KeyError:
            found = self.summary.definitions.get(qualname)
            entity = None if found is None else Entity(self, qualname, found)
            self.entities[qualname] = entity
            return entity

    def members_of(self, qualname: str) -> list[str]:
        """The names bound in the body of a class."""
        if self.members is None:
            self.members = {}
            for name in self.summary.definitions:
                owner, _, member = name.rpartition(".")
                if owner:
                    self.members.setdefault(owner, []).append(member)
        return self.members.get(qualname, [])

    def absolute(self, name: str) -> str:
        """The absolute name of a module as an import statement in this module gives it."""
        level = len(name) - len(name.lstrip("."))
        if not level:
            return name
        package = self.package
        for _ in range(level - 1):
            package = package.rpartition(".")[0]
        rest = name[level:]
        return f"{package}.{rest}" if package and rest else package or rest

    def __repr__(self) -> str:
        return f"<Module {self.name}>"


class Entity:
    """One symbol: a name of a module or class, with all its bindings."""

    __slots__ = (
        "body",
        "bound_class",
        "definitions",
        "has_function",
        "has_import",
        "has_value",
        "header",
        "is_class",
        "mro",
        "module",
        "owner",
        "qualname",
        "symbol",
    )

    def __init__(self, module: Module, qualname: str, definitions: tuple[Definition, ...]) -> None:
        self.module = module
        self.qualname = qualname
        self.symbol: Symbol = symbol(module.name, qualname)
        self.definitions = definitions
        self.has_function = self.has_import = self.has_value = self.is_class = False
        for definition in definitions:
            kind = definition.__class__
            if kind is Function:
                self.has_function = True
            elif kind is Class:
                self.is_class = True
            elif kind is Value:
                self.has_value = True
            elif kind is Import:
                self.has_import = True
        self.header: Edges | None = None
        self.body: Edges | None = None
        self.mro: tuple[tuple[Entity, ...], tuple[str, ...]] | None = None

    @property
    def is_only_import(self) -> bool:
        """Does the module only import the name?"""
        return not (self.has_function or self.is_class or self.has_value)

    @property
    def name(self) -> str:
        """The last part of the qualified name."""
        return self.qualname.rpartition(".")[2]

    @property
    def class_name(self) -> str:
        """The qualified name of the class it is a member of, "" at module level."""
        return self.qualname.rpartition(".")[0]

    def __repr__(self) -> str:
        return f"<{self.symbol}>"


class Outside:
    """Something of the standard library, a third-party package or the builtins, by dotted name."""

    __slots__ = ("is_namespace", "is_result", "name")

    def __init__(self, name: str, *, is_result: bool = False, is_namespace: bool = False) -> None:
        self.name = name
        self.is_result = is_result
        self.is_namespace = is_namespace  # a folder of project modules without a file of its own

    def __repr__(self) -> str:
        return f"<outside {self.name}>"


class Instance:
    """An object made by calling a project class."""

    __slots__ = ("of",)

    def __init__(self, of: Entity) -> None:
        self.of = of


class Unknown:
    """An object that nothing is known of."""

    __slots__ = ()


UNKNOWN = Unknown()
Thing = Module | Entity | Outside | Instance | Unknown
