"""What code has read so far: files and environment variables, by the code that was on the stack.

A function under `functools.cache` reads its file once and never again. An evaluation that gets the cached answer
depends on that file all the same, though it was opened before the evaluation began, by another one or by plain code.
So every read is noted for the project's code that was on the stack, evaluation or not, and an evaluation takes over
what the cached functions it used had read (`taken_over`).
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import CodeType
    from typing import Any

    from hitsave.observe.watch import Sight

MOST_READS = 64  # per piece of code: beyond, the oldest are forgotten
MOST_STEPS = 100
MOST_KNOWN = 4096
_OS = frozenset((os.__file__, "<frozen os>"))
_NOT_OURS = (
    os.path.dirname(os.__file__) + os.sep,
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep,
    "<",
)
# By the id of the code object, which stands beside: equal ones may be functions of two files that read alike.
_files: dict[int, tuple[CodeType, dict[str, tuple[int, ...]]]] = {}
_variables: dict[int, tuple[CodeType, dict[str, str | None]]] = {}
_known: dict[tuple[object, ...], tuple[CodeType, ...]] = {}
# By id, what `functools.cache` made of functions of the project that had answered before anybody heard what they read.
filled_before: dict[int, Any] = {}


def note_filled_caches() -> None:
    """Note which cached functions have answers already; called when hearing begins."""
    for module in list(sys.modules.values()):
        names = getattr(module, "__dict__", None)
        path = names.get("__file__") if type(names) is dict else None
        if type(path) is str and not path.startswith(_NOT_OURS) and "site-packages" not in path:
            for value in list(names.values()):  # type: ignore[union-attr]
                _note_filled(value)
                if issubclass(type(value), type):
                    for member in list(vars(value).values()):
                        _note_filled(getattr(member, "__func__", member))


def is_lru_cache(value: Any) -> bool:
    """Whether `value` is what `functools.lru_cache` makes of a function."""
    return type(value).__name__ == "_lru_cache_wrapper" and type(value).__module__ == "functools"


def _note_filled(value: Any) -> None:
    if is_lru_cache(value) and value.cache_info().currsize:
        filled_before[id(value)] = value


def is_known(name: Any) -> bool:
    """Whether the code that reads `name` now, on behalf of the same two callers, was noted before; if not, it will be.

    The short way for what reads in a loop. Nothing is lost by it: a value that has changed since is one more reason
    for the evaluation not to be reused.
    """
    frame: Any = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename in _OS:
        frame = frame.f_back
    if frame is None:
        return True
    above = frame.f_back or frame
    further = above.f_back or above
    codes = frame.f_code, above.f_code, further.f_code
    key = (name, *map(id, codes))  # the hash of a code object is that of all its parts
    if key in _known:
        return True
    if len(_known) > MOST_KNOWN:
        _known.clear()
    _known[key] = codes  # alive, so that the ids stay theirs
    return False


def note_file(path: str, signature: tuple[int, ...]) -> None:
    """Note that the code on the stack opens the file, whose state is `signature`."""
    for code in _on_stack():
        _note(_files, code, path, signature)


def note_variable(name: str, value: str | None) -> None:
    """Note that the code on the stack reads an environment variable."""
    for code in _on_stack():
        _note(_variables, code, name, value)


def take_over(sight: Sight, code: CodeType | None) -> None:
    """Have `sight` see what `code` has read so far."""
    if code is None:
        return
    for path, signature in _files.get(id(code), (code, {}))[1].items():
        sight.files.setdefault(path, signature)
    for name, value in _variables.get(id(code), (code, {}))[1].items():
        sight.variables.setdefault(name, value)


def _note(table: dict[int, tuple[CodeType, Any]], code: CodeType, name: str, value: Any) -> None:
    _, known = table.setdefault(id(code), (code, {}))
    known[name] = value
    if len(known) > MOST_READS:
        known.pop(next(iter(known)), None)


def _on_stack() -> Iterable[CodeType]:
    found: dict[int, CodeType] = {}
    frame: Any = sys._getframe(2)
    for _ in range(MOST_STEPS):
        if frame is None:
            break
        code = frame.f_code
        if not code.co_filename.startswith(_NOT_OURS):
            found[id(code)] = code
        frame = frame.f_back
    return found.values()
