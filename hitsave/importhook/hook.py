"""`Hook`: the finder in `sys.meta_path`, with what it needs, and the way to take it out again.

There is one per process. Its parts: `scope` (which modules are ours), `rewriting` (what is done to them), `loaded`
(what they were executed from). Installing costs no more than making these objects; the settings of the project are read
when the first module of it is imported.
"""

from __future__ import annotations

import sys

from hitsave.importhook.finder import HitsaveFinder
from hitsave.importhook.record import Entry, LoadedSources
from hitsave.importhook.rewriter import Rewriting
from hitsave.importhook.scope import Scope

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
        self.rewriting = Rewriting(self.scope.module_name)
        self.finder = HitsaveFinder(self)

    @property
    def installed(self) -> bool:
        """Whether the finder is in `sys.meta_path`."""
        return any(finder is self.finder for finder in sys.meta_path)

    def install(self, *projects: Project, packages: Sequence[str] | None = None) -> Hook:
        """Put the finder first, unless it is in the list already, and hook these projects too."""
        for project in projects:
            self.scope.add(project)
        self.scope.packages = None if packages is None else tuple(packages)
        if not self.installed:
            sys.meta_path.insert(0, self.finder)
        return self

    def instrument(self, memo: Sequence[str] = (), experiment: Sequence[str] = ()) -> None:
        """Memoise the functions that these patterns mean, in modules imported from now on."""
        self.rewriting = Rewriting(self.scope.module_name, memo, experiment)

    def uninstall(self) -> None:
        """Take the finder out, and nothing else; what was recorded stays. Harmless if it is out already."""
        sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self.finder]

    def __enter__(self) -> Hook:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.uninstall()


def _verify(entry: Entry) -> Entry:
    from hitsave.importhook.attest import verify  # only where somebody else loaded a module

    return verify(entry)
