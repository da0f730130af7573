"""Children of `multiprocessing`: how the hook comes along.

`fork` inherits it. `spawn` and `forkserver` start from nothing: there, modules are loaded by plain Python and attested
when a function of theirs is decorated, so keys and results are the parent's anyway. What is missing is what only the
hook can do: write sites ahead, and decorate the functions that patterns mean.

`share_with_children` brings it to them. `multiprocessing` sends each child a dictionary to prepare itself with before
it imports the program; we add one entry that, in being unpickled, installs the hook. It is made of a string that `exec`
runs, so a child that has no hitsave goes on without it.

`multiprocessing.spawn` is not imported for this. The finder waits for the program to do so.
"""

from __future__ import annotations

import os
import sys
from _frozen_importlib_external import SourceFileLoader

from hitsave.importhook.disguise import as_importlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from hitsave.importhook.hook import Hook

SPAWN = "multiprocessing.spawn"
ENTRY = "hitsave"

# Run in the child, before it knows the parent's `sys.path`.
INSTALL = """
try:
    import sys
    if {home!r} not in sys.path: sys.path.append({home!r})
    from hitsave.importhook.multiproc import install_as_parent
    install_as_parent({roots!r}, {packages!r}, {patterns!r})
except ImportError:
    pass
"""


def share_with_children(hook: Hook) -> None:
    """From now on, children that `multiprocessing` starts have `hook` as well."""
    spawn = sys.modules.get(SPAWN)
    if spawn is not None:
        wrap(spawn, hook)
    else:
        hook.finder.awaited[SPAWN] = lambda module: wrap(module, hook)


def wrap(spawn: ModuleType, hook: Hook) -> None:
    """Make `spawn.get_preparation_data` add our entry; once."""
    plain: Any = vars(spawn)["get_preparation_data"]
    if getattr(plain, "hitsave", False):
        return

    def get_preparation_data(name: str) -> dict[str, Any]:
        data: dict[str, Any] = plain(name)
        if hook.installed:
            data[ENTRY] = Stowaway(hook)
        return data

    get_preparation_data.__dict__["hitsave"] = True
    vars(spawn)["get_preparation_data"] = get_preparation_data


class Stowaway:
    """Installs the hook where it is unpickled."""

    def __init__(self, hook: Hook) -> None:
        self._text = INSTALL.format(
            home=os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
            roots=tuple(project.root for project in hook.scope.projects),
            packages=hook.scope.packages,
            patterns=hook.rewriting.patterns,
        )

    def __reduce__(self) -> tuple[object, ...]:
        return exec, (self._text,)


def install_as_parent(
    roots: tuple[str, ...], packages: tuple[str, ...] | None, patterns: tuple[tuple[str, str], ...]
) -> None:
    """Install the hook as it was in the parent, for children of our own as well."""
    from hitsave.importhook import current_hook, install_import_hook

    for root in roots:
        install_import_hook(root, packages=packages)
    hook = current_hook()
    hook.instrument(
        memo=[pattern for kind, pattern in patterns if kind == "memo"],
        experiment=[pattern for kind, pattern in patterns if kind == "experiment"],
    )
    share_with_children(hook)


class AwaitingLoader(SourceFileLoader):
    """Loads a module as Python does, and tells us when it is there."""

    def __init__(self, fullname: str, path: str, then: Callable[[ModuleType], None]) -> None:
        super().__init__(fullname, path)
        self._then = then

    @as_importlib
    def exec_module(self, module: ModuleType) -> None:
        """Run the module, then whoever waited for it."""
        super().exec_module(module)
        self._then(module)
