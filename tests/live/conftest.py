"""A project whose modules are imported into this process, edited, and looked at by a live session without threads."""

from __future__ import annotations

import contextlib
import importlib
import sys
import textwrap
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import hitsave
from hitsave.errors import LiveWarning
from hitsave.importhook import install_import_hook
from hitsave.live.events import LiveEvent
from hitsave.live.process import Live
from hitsave.project import forget_folders


class Bench:
    """A project in a folder. `files` names modules without `.py`; module names are made unique by `tag`."""

    def __init__(self, root: Path, tag: str) -> None:
        self.root = root
        self.tag = tag
        self.events: list[LiveEvent] = []
        self.warnings: list[str] = []
        self.live: Live | None = None

    def write(self, name: str, text: str) -> None:
        (self.root / f"{name}_{self.tag}.py").write_text(self._tagged(textwrap.dedent(text).lstrip("\n")))

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.root / f"{name}_{self.tag}.py"
        text = path.read_text()
        old, new = self._tagged(old), self._tagged(new)
        assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times in\n{text}"
        path.write_text(text.replace(old, new))

    def path(self, name: str) -> Path:
        return self.root / f"{name}_{self.tag}.py"

    def load(self, name: str) -> ModuleType:
        importlib.invalidate_caches()
        return importlib.import_module(f"{name}_{self.tag}")

    def _tagged(self, text: str) -> str:
        for name in ("lib", "app", "other"):
            text = text.replace(f"from {name} ", f"from {name}_{self.tag} ")
            text = text.replace(f"import {name}\n", f"import {name}_{self.tag} as {name}\n")
        return text

    def start(self, mode: str = "safe") -> Live:
        """A live session that looks when it is told to."""
        self.live = Live(hitsave.session.current(), mode, self.events.append)
        self.live.look()  # remember how the files are
        return self.live

    def sync(self) -> None:
        """Take in what was edited, as a caller would; warnings are kept."""
        assert self.live is not None
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self.live.sync()
        assert not self.troubles(), self.troubles()
        self.warnings += [str(each.message) for each in caught if issubclass(each.category, LiveWarning)]

    def troubles(self) -> list[str]:
        return [event.detail for event in self.events if event.kind == "trouble"]

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]


@pytest.fixture
def bench(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
    root = tmp_path / "project"
    root.mkdir()
    (root / "pyproject.toml").write_text("")
    forget_folders()
    tag = f"t{abs(hash(request.node.nodeid)) % 10**9}"
    sys.path.insert(0, str(root))
    install_import_hook(str(root))
    before = set(sys.modules)
    with hitsave.isolated(str(tmp_path / "cache")):
        try:
            yield Bench(root, tag)
        finally:
            sys.path.remove(str(root))
            for name in set(sys.modules) - before:
                if tag in name:
                    with contextlib.suppress(KeyError):
                        del sys.modules[name]
