"""`HitsaveFinder`: stands first in `sys.meta_path`, and changes nothing but the loader of the project's own sources.

For a name that may be the project's it asks the finders behind it, in their order, exactly as importlib would; the
first spec found is the one that importlib gets. If its loader is Python's plain `SourceFileLoader` and the file is
ours, the loader is replaced by ours. Any other loader (pytest's, beartype's, one of an editable install) wins: what it
is about to load is noted, so that the code can be attested later.

It never calls `importlib.util.find_spec` (it may run under an import lock), patches nothing, and holds no lock.
"""

from __future__ import annotations

import _thread
import os
import sys
from _frozen_importlib import BuiltinImporter, FrozenImporter
from _frozen_importlib_external import SourceFileLoader
from time import time

from hitsave.importhook.bytecode import own_path
from hitsave.importhook.disguise import as_importlib
from hitsave.importhook.loader import HitsaveLoader, note_foreign

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    from hitsave.importhook.hook import Hook

OURS = "hitsave"
SEPARATOR = os.sep


class HitsaveFinder:
    """The finder of one `Hook`."""

    def __init__(self, hook: Hook) -> None:
        self._hook = hook
        self._scope = hook.scope
        self._asked = hook.loaded.asked
        self._asking = _thread._local()
        self.awaited: dict[str, Callable[[ModuleType], None]] = {}  # foreign module -> who wants to know it is loaded

    @as_importlib
    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec that the rest of `sys.meta_path` finds, with our loader if the source is ours; None if foreign."""
        # Our own modules first: what the hook imports while it works can't come back to the hook.
        if fullname.startswith(OURS) and fullname.partition(".")[0] == OURS:
            return None
        self._asked[fullname] = time()
        if self._scope.packages is not None:
            wanted = self._scope.may_own(fullname, path)
        elif path is None:
            wanted = self._scope.may_own_top(fullname)
        else:
            for entry in path:
                if self._scope.folders.get(entry):
                    wanted = True
                    break
            else:
                wanted = self._scope.may_own(fullname, path)
        if not wanted and fullname not in self.awaited:
            return None
        # A finder behind us may ask the import system for the same name in turn: it must not come back to us.
        try:
            asking = self._asking.names
        except AttributeError:
            asking = self._asking.names = set()
        if fullname in asking:
            return None
        asking.add(fullname)
        try:
            # Those before us were asked before us. If somebody calls us from a finder of their own, all the others. The
            # finders of built-in and frozen modules have nothing inside a package of somebody else's.
            finders = sys.meta_path
            passed = finders[0] is not self and self not in finders
            for finder in finders:
                if finder is self:
                    passed = True
                elif passed and (path is None or not (finder is BuiltinImporter or finder is FrozenImporter)):
                    try:
                        find_spec = finder.find_spec
                    except AttributeError:
                        return None  # a finder of the old kind: leave the whole search to importlib
                    spec = find_spec(fullname, path, target)
                    if spec is not None:
                        return self._claimed(fullname, spec, target)
        finally:
            asking.discard(fullname)
        return None

    def invalidate_caches(self) -> None:
        """Look at the folders again; called by `importlib.invalidate_caches`."""
        self._scope.forget()

    def _claimed(self, fullname: str, spec: ModuleSpec, target: ModuleType | None) -> ModuleSpec:
        loader, origin = spec.loader, spec.origin
        if self.awaited and fullname in self.awaited and type(loader) is SourceFileLoader:
            from hitsave.importhook.multiproc import AwaitingLoader

            spec.loader = AwaitingLoader(loader.name, loader.path, self.awaited.pop(fullname))
            return spec
        if not isinstance(origin, str) or not spec.has_location:
            return spec
        if not self._scope.folders.get(origin.rpartition(SEPARATOR)[0]) and not self._scope.owns(origin):
            return spec
        if spec.submodule_search_locations is not None:
            self._scope.adopt(fullname)
        if type(loader) is SourceFileLoader:
            # What importlib would work out for itself, twice, at 8 us a time.
            spec.cached = place = own_path(origin)
            spec.loader = HitsaveLoader(loader.name, loader.path, self._hook, place)
        elif loader is not None and (fullname not in sys.modules or target is not None):
            # Somebody who merely asks for the spec of a loaded module must not change what is known about it.
            self._hook.loaded.settle_notes()
            path = getattr(loader, "archive", origin)
            note_foreign(self._hook.loaded, fullname, path, loaded=target is not None)
        return spec

    def __repr__(self) -> str:
        roots = ", ".join(project.root for project in self._scope.projects)
        return f"<HitsaveFinder {roots or 'of the script'}>"
