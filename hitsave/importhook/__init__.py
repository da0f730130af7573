"""The import hook: records what the project's modules are executed from, and writes sites into their decorators.

    install_import_hook(root)    put the hook in; a handle with `.uninstall()`, usable in a `with` statement
    loaded()                     what has been executed so far: {module: source}
    find_loaded(name)            the source of one module, attested if it was loaded without the hook
    attest(function)             the same for any function or module

Using it costs about 2 ms: no `ast`, no third-party package, nothing that reads the disk. Importing it costs nothing: a
start-up file imports `hitsave.importhook.startup` in every Python, only to learn that it isn't wanted.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hitsave.importhook.entry import ATTESTED, CELL, CODE, HOOK, OPAQUE, Loaded
    from hitsave.importhook.hook import Hook
    from hitsave.importhook.process import attest, current_hook, find_loaded, install_import_hook, loaded
    from hitsave.importhook.record import LoadedSources

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


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from hitsave.importhook import process

    for exported in __all__:
        globals()[exported] = getattr(process, exported)
    return globals()[name]
