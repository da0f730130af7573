"""`dependencies`: what a symbol depends on, for a project on disk. Imports nothing of the user's.

One `Codebase` per project root is kept in the process, so that the second question costs microseconds to
milliseconds. Before each answer the files behind it are looked at with one `stat` each, and the folders in which a file
was looked for and not found; when one changed, the code base takes over the edit (`refresh.py`).
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from hitsave.analysis.codebase import Codebase
from hitsave.analysis.summariser import summarise
from hitsave.analysis.summary import ModuleSummary
from hitsave.project import Project, project_at
from hitsave.source import source_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Stamp = tuple[int, int, int]
_MISSING: Stamp = (0, 0, 0)


class DiskModules:
    """Summaries of a project's files, read when asked for."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._names: dict[tuple[str, str], ModuleSummary | None] = {}  # by name and folder beside
        self._summaries: dict[str, tuple[Stamp, ModuleSummary]] = {}
        self._read: dict[str, Stamp] = {}  # the files behind the answers given
        self._folders: dict[str, Stamp] = {}

    def find(self, name: str) -> ModuleSummary | None:
        """The summary of a module by its import name; None if the project has none, or it doesn't parse."""
        return self._find(name, "")

    def find_beside(self, name: str, path: str) -> ModuleSummary | None:
        """The module that the script at `path` finds in its own folder, which Python searches first when it runs."""
        folder = os.path.dirname(path)
        if os.path.exists(os.path.join(folder, "__init__.py")):
            return None
        return self._find(name, folder)

    def _find(self, name: str, folder: str) -> ModuleSummary | None:
        key = (name, folder)
        if key not in self._names:
            path = self.project.find_module(name, beside=folder)
            self._names[key] = None if path is None else self._summary(path)
            if path is None:
                for root in (*self.project.source_roots, folder):
                    if root:
                        self._watch(os.path.dirname(os.path.join(root, *name.split("."))))
        return self._names[key]

    def _watch(self, folder: str) -> None:
        """Notice when something appears in `folder`, or, if there is no such folder, in the first one above it."""
        while folder not in self._folders:
            stamp = _stamp(folder)
            self._folders[folder] = stamp
            if stamp != _MISSING:
                break
            folder = os.path.dirname(folder)

    def _summary(self, path: str) -> ModuleSummary | None:
        stamp = _stamp(path)
        self._read[path] = stamp
        known = self._summaries.get(path)
        if known is not None and known[0] == stamp:
            return known[1]
        name = self.project.module_name(path)
        try:
            with open(path, "rb") as file:
                data = file.read()
            is_package = os.path.basename(path) == "__init__.py"
            summary = summarise(source_of(name or "", path, data, is_package=is_package))
        except (OSError, SyntaxError, ValueError):
            return None
        self._summaries[path] = (stamp, summary)
        return summary

    def children(self, package: str) -> Iterable[str]:
        """Absolute names of the modules and packages directly in a package."""
        found = set()
        for root in self.project.source_roots:
            folder = os.path.join(root, *package.split(".")) if package else root
            self._watch(folder)
            try:
                with os.scandir(folder) as entries:
                    listed = [(*os.path.splitext(entry.name), entry) for entry in entries]
            except OSError:
                continue
            for stem, extension, entry in listed:
                if (
                    extension == ".py"
                    and stem.isidentifier()
                    and stem != "__init__"
                    or not extension
                    and stem.isidentifier()
                    and stem != "__pycache__"
                    and entry.is_dir()
                ):
                    found.add(stem)
        return sorted(f"{package}.{name}" if package else name for name in found)

    def is_current(self) -> bool:
        """Is every file that answers rest on as it was, and may no name that was missing have appeared?"""
        return all(_stamp(path) == stamp for path, stamp in self._read.items()) and all(
            _stamp(folder) == stamp for folder, stamp in self._folders.items()
        )

    def restart(self) -> None:
        """Forget answers; summaries of unchanged files are kept."""
        self._names.clear()
        self._read.clear()
        self._folders.clear()


def _stamp(path: str) -> Stamp:
    try:
        status = os.stat(path)
    except OSError:
        return _MISSING
    return (status.st_mtime_ns, status.st_size, status.st_ino)


class _Kept:
    """The code base of one root, and the lock that its questions are asked under."""

    def __init__(self, root: str) -> None:
        self.lock = threading.Lock()
        self.modules = DiskModules(project_at(root))
        self.codebase = Codebase(self.modules)

    def answer(self, symbol: str) -> frozenset[str]:
        with self.lock:
            if not self.modules.is_current():
                self.modules.restart()
                self.codebase.refresh()
            return self.codebase.depends(symbol)


_kept: dict[str, _Kept] = {}


def dependencies(root: Path | str, symbol: str) -> frozenset[str]:
    """Every symbol that `symbol` can depend on, itself included, in the project at `root`.

    Symbols are `pkg.mod:Class.method` and `pkg.mod:NAME`, in the module that defines them; nested functions stand
    under their outermost definition. `pkg.mod:<module>` asks for what executing a module runs; in answers it stands
    for top-level statements that can change what another symbol of the answer means. Raises `UnknownSymbol`.
    """
    path = os.path.realpath(root)
    kept = _kept.get(path)
    if kept is None:
        kept = _kept.setdefault(path, _Kept(path))
    return kept.answer(symbol)
