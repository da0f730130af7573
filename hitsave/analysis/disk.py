"""`dependencies`: what a symbol depends on, for a project on disk. Imports nothing of the user's.

One `Codebase` per project root is kept in the process, so that the second question costs microseconds to
milliseconds. It is thrown away when a file that it read changed size or time, or when a file it looked for appeared.
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


class DiskModules:
    """Summaries of a project's files, read when asked for."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._names: dict[str, ModuleSummary | None] = {}
        self._summaries: dict[str, tuple[Stamp, ModuleSummary]] = {}
        self._read: dict[str, Stamp] = {}  # the files behind the answers given
        self._folders: dict[str, Stamp] = {}

    def find(self, name: str) -> ModuleSummary | None:
        """The summary of a module by its import name; None if the project has none, or it doesn't parse."""
        if name not in self._names:
            path = self.project.find_module(name)
            self._names[name] = None if path is None else self._summary(path)
        return self._names[name]

    def _summary(self, path: str) -> ModuleSummary | None:
        stamp = _stamp(path)
        self._read[path] = stamp
        known = self._summaries.get(path)
        if known is not None and known[0] == stamp:
            return known[1]
        name = self.project.module_name(path)
        try:
            with open(path, "rb") as file:  # noqa: PTH123 - bytes of a path from os.path
                data = file.read()
            is_package = os.path.basename(path) == "__init__.py"  # noqa: PTH119
            summary = summarise(source_of(name or "", path, data, is_package=is_package))
        except (OSError, SyntaxError, ValueError):
            return None
        self._summaries[path] = (stamp, summary)
        return summary

    def children(self, package: str) -> Iterable[str]:
        """Absolute names of the modules and packages directly in a package."""
        found = set()
        for root in self.project.source_roots:
            folder = os.path.join(root, *package.split(".")) if package else root  # noqa: PTH118
            self._folders[folder] = _stamp(folder)
            try:
                entries = list(os.scandir(folder))
            except OSError:
                continue
            for entry in entries:
                stem, extension = os.path.splitext(entry.name)  # noqa: PTH122
                if extension == ".py" and stem.isidentifier() and stem != "__init__":
                    found.add(stem)
                elif not extension and stem.isidentifier() and stem != "__pycache__" and entry.is_dir():
                    found.add(stem)
        return sorted(f"{package}.{name}" if package else name for name in found)

    def is_current(self) -> bool:
        """Is every file that answers rest on as it was, and every name that was missing still missing?"""
        return (
            all(_stamp(path) == stamp for path, stamp in self._read.items())
            and all(_stamp(folder) == stamp for folder, stamp in self._folders.items())
            and not any(summary is None and self.project.find_module(name) for name, summary in self._names.items())
        )

    def restart(self) -> None:
        """Forget answers; summaries of unchanged files are kept."""
        self._names.clear()
        self._read.clear()
        self._folders.clear()


def _stamp(path: str) -> Stamp:
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return (0, 0, 0)
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
                self.codebase = Codebase(self.modules)
            return self.codebase.depends(symbol)


_kept: dict[str, _Kept] = {}


def dependencies(root: Path | str, symbol: str) -> frozenset[str]:
    """Every symbol that `symbol` can depend on, itself included, in the project at `root`.

    Symbols are `pkg.mod:Class.method` and `pkg.mod:NAME`, in the module that defines them; nested functions stand
    under their outermost definition. `pkg.mod:<module>` asks for what executing a module runs; in answers it stands
    for top-level statements that can change what another symbol of the answer means. Raises `UnknownSymbol`.
    """
    path = os.path.realpath(root)  # noqa: PTH123
    kept = _kept.get(path)
    if kept is None:
        kept = _kept.setdefault(path, _Kept(path))
    return kept.answer(symbol)

