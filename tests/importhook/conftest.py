"""Projects that are imported under the hook, in children and in this process."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from hitsave.importhook import Hook, current_hook, install_import_hook
from tests.harness import Done, Project, Runner

PRELUDE = """\
import importlib, sys
sys.path.insert(0, {root!r})
from hitsave.importhook import attest, install_import_hook, loaded
hook = install_import_hook({root!r}, packages={packages!r})
"""


@dataclass
class Tree:
    """A project, and children that import from it under the hook (or, for comparison, without)."""

    project: Project
    run: Runner

    @property
    def root(self) -> Path:
        return self.project.root

    def write(self, files: Mapping[str, str]) -> Tree:
        self.project.write(files)
        return self

    def hooked(
        self, code: str, *options: str, packages: list[str] | None = None, env: Mapping[str, str] | None = None
    ) -> Done:
        """`code` in a child with the hook installed for the project."""
        text = PRELUDE.format(root=str(self.root), packages=packages) + code
        return self.run.python(*options, "-c", text, env=env)

    def plain(self, code: str, *options: str, env: Mapping[str, str] | None = None) -> Done:
        """`code` in a child without the hook."""
        return self.run.python(
            *options, "-c", f"import importlib, sys\nsys.path.insert(0, {str(self.root)!r})\n{code}", env=env
        )

    def cached(self) -> list[str]:
        """The names of all compiled files below the project."""
        return sorted(path.name for path in self.root.rglob("*.pyc"))


@pytest.fixture
def tree(project: Project, run: Runner) -> Tree:
    """An empty project for children."""
    return Tree(project, run)


@pytest.fixture
def hook(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    """The hook installed in this process for `project`, whose root is on `sys.path`; all undone afterwards."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.syspath_prepend(str(project.root))
    before = set(sys.modules)
    importlib.invalidate_caches()
    hook = current_hook()
    projects, packages = hook.scope.projects, hook.scope.packages
    with install_import_hook(str(project.root)):
        yield hook
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(project.root)):
            del sys.modules[name]
    hook.scope.projects, hook.scope.packages = projects, packages
    hook.scope.forget()
