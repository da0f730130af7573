"""`ModuleTable`: the project's modules by import name, as the source of summaries gives them.

A name that is no project module is *outside* (the standard library, third-party packages), or a folder without a file
of its own that holds project modules (a namespace package, PEP 420).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from hitsave.analysis.entities import Module, Outside
from hitsave.analysis.summary import ModuleSummary

if TYPE_CHECKING:
    from collections.abc import Iterable


class Modules(Protocol):
    """Where summaries come from."""

    def find(self, name: str) -> ModuleSummary | None:
        """The summary of a project module by its absolute import name; None if it is outside or missing."""


class ModuleTable:
    """Modules by name, each made once."""

    def __init__(self, modules: Modules) -> None:
        self._modules = modules
        # Optional: (name, path of the importing file) to what only a script's own folder holds.
        self._find_beside = getattr(modules, "find_beside", None)
        self._found: dict[str, Module | None] = {}
        self._near: dict[tuple[str, str], Module | None] = {}
        self._by_name: dict[str, Module] = {}
        self._children: dict[str, tuple[str, ...]] = {}
        self._namespaces: set[str] = set()
        self._primed: set[Module] = set()

    def module(self, name: str, importer: Module | None = None) -> Module | None:
        """The project module of an absolute import name, as `importer` sees it."""
        try:
            found = self._found[name]
        except KeyError:
            found = self._found[name] = self._find(name)
        if found is None and importer is not None and self._find_beside is not None:
            key = (name, importer.summary.path.rpartition("/")[0])
            if key not in self._near:
                self._near[key] = self._module_of(self._find_beside(name, importer.summary.path))
            return self._near[key]
        return found

    def _find(self, name: str) -> Module | None:
        module = self._module_of(self._modules.find(name) if name else None)
        if module is not None:
            parent = name.rpartition(".")[0]
            while parent and self.module(parent) is None:
                self._namespaces.add(parent)
                parent = parent.rpartition(".")[0]
        return module

    def _module_of(self, summary: ModuleSummary | None) -> Module | None:
        if summary is None:
            return None
        module = self._by_name.get(summary.module)
        if module is None:
            module = self._by_name[summary.module] = Module(summary)
        return module

    def asked_again(self) -> Iterable[tuple[Module | None, ModuleSummary | None]]:
        """For every name asked for whose answer isn't the same object: the module it was, and its summary now."""
        find = self._modules.find
        for name, module in list(self._found.items()):
            summary = find(name) if name else None
            if summary is not (None if module is None else module.summary):
                yield module, summary
        for (name, folder), module in list(self._near.items()):
            yield module, self._find_beside(name, f"{folder}/")  # type: ignore[misc]

    def has_new_children(self) -> bool:
        """Has a package that was listed gained or lost a submodule?"""
        listed, self._children = self._children, {}
        return any(self.children(package) != names for package, names in listed.items())

    def consulted(self) -> dict[str, Module | None]:
        """Every import name asked for so far and what it was found to be."""
        return self._found

    def children(self, package: str) -> tuple[str, ...]:
        """Absolute names of the submodules of a package, if the source of modules can tell."""
        found = self._children.get(package)
        if found is None:
            children = getattr(self._modules, "children", None)
            names: Iterable[str] = children(package) if children is not None else ()
            found = self._children[package] = tuple(sorted(names))
        return found

    def imported(self, importer: Module, name: str) -> Module | Outside | None:
        """The module an import statement names: a `Module`, an `Outside`, or None for a missing project module."""
        absolute = importer.absolute(name)
        if not absolute:
            return None
        module = self.module(absolute, importer)
        if module is not None:
            return module
        return Outside(absolute, is_namespace=self._is_namespace(absolute, importer))

    def _is_namespace(self, name: str, importer: Module) -> bool:
        """Is this a package without a file (PEP 420) that holds project modules?"""
        if importer not in self._primed:
            self._primed.add(importer)
            for imported, _ in importer.summary.imports:
                if "." in imported:
                    self.module(importer.absolute(imported))
        return name in self._namespaces or bool(self.children(name))
