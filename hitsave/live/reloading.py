"""`hitsave.reload`: load a module again, and say who still holds what it made before."""

from __future__ import annotations

import importlib
import sys
import warnings
from types import FunctionType, ModuleType
from typing import Any

from hitsave.errors import LiveWarning, UsageError
from hitsave.importhook import loaded
from hitsave.live import process

MOST_NAMES = 5


def reload(module: str | ModuleType) -> ModuleType:
    """Execute `module` (or the module of that name) again from its file, and give it.

    Functions and classes that were taken from it before (`from lib import f`) are still the old ones: a `LiveWarning`
    names them. Their memoised calls run uncached, or hit what was stored for the old code; they are never mixed up.
    Raises `UsageError` for a module that isn't loaded, or is the running script.
    """
    found = module if isinstance(module, ModuleType) else _find(module)
    if found.__name__ in ("__main__", "__mp_main__"):
        raise UsageError("the running script can't be loaded again", hint="Restart it, or import it as a module.")
    before = {id(value): name for name, value in vars(found).items() if isinstance(value, (FunctionType, type))}
    held = [value for value in vars(found).values() if id(value) in before]  # so that no id is used twice
    fresh = importlib.reload(found)
    now = set(map(id, vars(fresh).values()))
    old = {key for key in before if key not in now and _is_own(next(v for v in held if id(v) == key), fresh)}
    running = process.current()
    if running is not None:
        running.look()
    aliases = [
        f"{name}.{attribute}"
        for name, other in sorted(sys.modules.items())
        if other is not fresh and (name == "__main__" or loaded().knows(name))
        for attribute, value in list(vars(other).items())
        if id(value) in old
    ]
    if aliases:
        shown = ", ".join(aliases[:MOST_NAMES]) + (" …" if len(aliases) > MOST_NAMES else "")
        warnings.warn(
            f"{fresh.__name__} was loaded again, and these still are what it made before: {shown}\n"
            "  hint: take them from the module again.",
            LiveWarning,
            stacklevel=2,
        )
    return fresh


def _find(name: str) -> ModuleType:
    known = loaded().get(name)
    found: Any = sys.modules.get(known.import_name if known is not None else name)
    if not isinstance(found, ModuleType):
        raise UsageError(f"hitsave.reload({name!r}): no such module is loaded", hint="Give its name as imported.")
    return found


def _is_own(value: object, module: ModuleType) -> bool:
    return getattr(value, "__module__", None) == module.__name__
