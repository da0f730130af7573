"""The one import hook of this process, and the questions that the rest of hitsave asks it."""

from __future__ import annotations

import os

from hitsave.importhook.entry import ATTESTED, CELL, CODE, HOOK, OPAQUE, Loaded
from hitsave.importhook.hook import Hook
from hitsave.importhook.record import LoadedSources

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType
    from typing import Any

__all__ = [
    "ATTESTED",
    "CELL",
    "CODE",
    "HOOK",
    "OPAQUE",
    "Hook",
    "Loaded",
    "LoadedSources",
    "attest",
    "current_hook",
    "find_loaded",
    "install_import_hook",
    "loaded",
]

# A process has one import system, hence one hook; what it recorded outlives its removal.
_hook = Hook()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_hook.loaded.renew_lock)


def install_import_hook(root: str | None = None, *, packages: Sequence[str] | None = None) -> Hook:
    """The hook of this process, installed for the project that the file or folder `root` belongs to.

    Without `root` the project is that of the running script, else of the working folder. `packages` narrows it to these
    modules and what is below them. Calling it again adds a project; the finder is never in `sys.meta_path` twice.
    """
    if root is None:
        return _hook.install(packages=packages)
    from hitsave.project import find_project

    return _hook.install(find_project(root), packages=packages)


def current_hook() -> Hook:
    """The hook of this process, installed or not."""
    return _hook


def loaded() -> LoadedSources:
    """What the modules of this process were executed from."""
    return _hook.loaded


def find_loaded(module_name: str) -> Loaded | None:
    """What the project module with this canonical name was executed from, whoever loaded it; None if nobody did.

    A module on record costs a dictionary look-up; one that was loaded before the hook is attested, and then on record.
    """
    found = _hook.loaded.get(module_name)
    if found is None:
        from hitsave.importhook.attestation import attest_named

        found = attest_named(module_name, _hook.loaded)
    return found


def attest(thing: Callable[..., Any] | ModuleType) -> Loaded:
    """What a function or module loaded by anybody was executed from; see `attestation`."""
    from hitsave.importhook.attestation import attest

    return attest(thing, _hook.loaded)
