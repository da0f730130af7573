"""`Hook`: the finder in `sys.meta_path`, with what it needs, and the way to take it out again.

There is one per process. Its parts: `scope` (which modules are ours), `rewriting` (what is done to them), `loaded`
(what they were executed from). Installing costs no more than making these objects; the settings of the project are
read when the first module of it is imported.
"""

from __future__ import annotations

import os
import sys

from hitsave.importhook.entry import Entry
from hitsave.importhook.finder import HitsaveFinder
from hitsave.importhook.loader import note_foreign
from hitsave.importhook.record import LoadedSources
from hitsave.importhook.rewriter import Rewriting
from hitsave.importhook.scope import Scope
from hitsave.symbol import is_hitsave

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from hitsave.project import Project


class Hook:
    """The import hook of this process. As a context manager it is installed for the length of a `with` block."""

    def __init__(self) -> None:
        self.scope = Scope()
        self.loaded = LoadedSources(self.scope.module_name, _verify)
        self.finder = HitsaveFinder(self)
        self._given: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
        self._rewriting: Rewriting | None = None

    @property
    def installed(self) -> bool:
        """Whether the finder is in `sys.meta_path`."""
        return any(finder is self.finder for finder in sys.meta_path)

    @property
    def rewriting(self) -> Rewriting:
        """What is done to modules that are compiled: sites, and the patterns of the settings and of `instrument`."""
        if self._rewriting is None:
            memo, experiment = _configured(self.scope.projects)
            self._rewriting = Rewriting(
                self.scope.module_name, memo=self._given[0] + memo, experiment=self._given[1] + experiment
            )
        return self._rewriting

    def install(self, *projects: Project, packages: Sequence[str] | None = None) -> Hook:
        """Put the finder first, unless it is in the list already, and hook these projects too.

        `packages` narrows the hook to these; None leaves an installed hook as narrow as it is. In a frozen program
        (PyInstaller, cx_Freeze) there are no sources to look at: nothing is installed.
        """
        if getattr(sys, "frozen", False):
            return self
        if packages is not None or not self.installed:
            self.scope.packages = None if packages is None else tuple(packages)
        added = [project for project in projects if self.scope.add(project)]
        if added:
            self._rewriting = None  # its settings count as well
            self._note_loaded(added)
        if not self.installed:
            sys.meta_path.insert(0, self.finder)
        return self

    def note_earlier(self) -> None:
        """Keep the text of what the running script imported before us, before the script has changed anything in it."""
        if getattr(sys.modules.get("__main__"), "__file__", None):  # else a start-up file runs: no script is known yet
            self.scope.look_up()
            self._note_loaded(self.scope.projects)

    def instrument(self, memo: Sequence[str] = (), experiment: Sequence[str] = ()) -> None:
        """Memoise the functions that these patterns mean, beside those of the settings, in modules imported later."""
        self._given = (tuple(memo), tuple(experiment))
        self._rewriting = None

    def unmatched(self) -> tuple[str, ...]:
        """The patterns that mean no function in any module loaded so far."""
        from hitsave.importhook.instrument import meant

        texts = [found for found in map(self.loaded.get, self.loaded.names()) if found is not None and found.has_text]
        return tuple(
            pattern
            for _, pattern in self.rewriting.patterns
            if not any(meant(pattern, found.module_name, found.source.data) for found in texts)
        )

    def uninstall(self) -> None:
        """Take the finder out, and nothing else; what was recorded stays. Harmless if it is out already."""
        sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self.finder]

    def __enter__(self) -> Hook:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.uninstall()

    def _note_loaded(self, projects: Sequence[Project]) -> None:
        """Keep the text of modules that were imported before us, while it is likely to be still what they ran from."""
        roots = tuple(os.path.join(root, "") for project in projects for root in project.source_roots)
        for name, module in list(sys.modules.items()):
            path = getattr(module, "__dict__", {}).get("__file__") if type(module) is type(sys) else None
            if not isinstance(path, str) or not path.startswith(roots) or not path.endswith(".py"):
                continue
            if is_hitsave(name):
                continue
            if name != "__main__" and self.scope.owns(path) and not self.loaded.knows(name):
                note_foreign(self.loaded, name, path, loaded=True)
                # Where its age alone doesn't prove the file, compare it with what was loaded, while it is what it was.
                if not self.loaded.is_certain(name):
                    self.loaded.by_import_name(name)


def _verify(entry: Entry, asked_s: float) -> Entry:
    from hitsave.importhook.attestation import verify  # only where somebody else loaded a module

    return verify(entry, asked_s)


def _configured(projects: Sequence[Project]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The patterns (memo, experiment) in the settings of `projects`."""
    memo: tuple[str, ...] = ()
    experiment: tuple[str, ...] = ()
    for project in projects:
        if not _mentions_instrument(project.root):
            continue
        from hitsave.config import load_config
        from hitsave.errors import ConfigError

        try:
            config = load_config(project.root)
        except ConfigError as error:
            # An import must not fail for it. Whatever uses the settings next raises it for good.
            sys.stderr.write(f"hitsave: no function is instrumented: {error}\n")
            continue
        memo += config.instrument_memo
        experiment += config.instrument_experiment
    return memo, experiment


def _mentions_instrument(root: str) -> bool:
    """Whether reading the settings is worth while: understanding TOML costs 10 ms."""
    if any(name.startswith("HITSAVE_INSTRUMENT") for name in os.environ):
        return True
    config_dir = os.environ.get("HITSAVE_CONFIG_DIR") or os.path.join(
        os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config"), "hitsave"
    )
    for path in (os.path.join(root, "pyproject.toml"), os.path.join(config_dir, "config.toml")):
        try:
            with open(path, "rb") as file:
                if b"instrument" in file.read():
                    return True
        except OSError:
            continue
    return False
