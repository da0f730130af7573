"""Attestation: which text a module was executed from, when it wasn't our loader that executed it.

The file as it is now is a mere candidate. It counts only if what was loaded certainly came from it:

1. the code object of the module itself is at hand (its frame is still on the stack, as for a script that is just
   decorating its functions): compile the file, compare everything;
2. our finder saw who was going to load the file, and it hasn't been written to since (`Entry.stamp`);
3. it hasn't been written to since this process started, and every function in the module is found again in the
   compiled file.

Otherwise the answer is kind "code": no text, and the digest of the code objects. That costs a recomputation when the
module is later imported in the ordinary way, never a wrong result.

Why 3 needs the clock as well: constants, defaults and decorators are in no function's code. Why it is enough: the
change time (ctime) of a file can't be set back by any program.

Cannot see: a file written to before this process imported it and after it started, by a loader we don't know, while no
function of it changed: that is kind "code" too.
"""

from __future__ import annotations

import os
import sys
from time import time

from hitsave.digest import digest_pairs
from hitsave.importhook import cells
from hitsave.importhook.codes import CodeObject, digest_code, find_same, same_code
from hitsave.importhook.record import ATTESTED, CODE, Entry, Loaded, stamp_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType, FrameType
    from typing import Any

    from hitsave.importhook.record import LoadedSources

Function = type(lambda: None)

_IMPORTED_AT_S = time()
_IMPORTED_IN = os.getpid()
# How far apart the clock of a file system and ours may be, and the resolution of either.
SLACK_S = 0.05


def attest(thing: Any, loaded: LoadedSources) -> Loaded:
    """What the function or module `thing` was executed from, recorded in `loaded` if that is new.

    A function whose globals are no module's (unpickled by value, made by `exec`) is known by its code alone: nothing
    is read for it.
    """
    function = _plain(thing)
    namespace: dict[str, Any] = vars(thing) if function is None else function.__globals__
    name = namespace.get("__name__")
    module = sys.modules.get(name) if isinstance(name, str) else None
    if name is None or module is None or getattr(module, "__dict__", None) is not namespace:
        return _by_code(thing, str(name or "__main__"))
    path = function.__code__.co_filename if function is not None else getattr(module, "__file__", None)
    known = loaded.by_import_name(name)
    if known is not None and (function is None or _belongs(path, known)):
        return known
    if not isinstance(path, str) or _is_typed(path):
        return cells.attest_cell(thing, loaded) or _by_code(thing, name)
    if known is not None or not _same_file(path, getattr(module, "__file__", None)):
        return _by_code(thing, name)  # a function made in this module, from another file
    entry = _examine(name, namespace, path)
    loaded.put(entry)
    return entry.loaded(loaded.name_of)


def verify(entry: Entry) -> Entry:
    """`entry` with nothing left to verify: the same text if that was executed, else its code."""
    module = sys.modules.get(entry.import_name)
    if isinstance(entry.unverified, CodeObject):  # Python's own .pyc, whose origin wasn't certain
        compiled = _compile(entry.data, entry.path)
        if compiled is not None and same_code(compiled, entry.unverified):
            return _verified(entry)
        return _code_entry(entry.import_name, entry.path, [entry.unverified])
    if module is None:
        return _code_entry(entry.import_name, entry.path, [])
    if entry.stamp is not None and entry.stamp == _stamp(entry.path):
        return _verified(entry)
    return _examine(entry.import_name, vars(module), entry.path, data=entry.data)


def _verified(entry: Entry) -> Entry:
    verified = entry.under(entry.import_name)
    verified.unverified = False
    return verified


def _examine(name: str, namespace: dict[str, Any], path: str, data: bytes | None = None) -> Entry:
    """The entry for a module that somebody loaded, `data` being the text it should have come from (else the file's)."""
    changed_s = _changed_s(path)
    if data is None:
        data = _read(path)
        on_disk = True
    else:
        on_disk = data == _read(path)
    compiled = None if data is None else _compile(data, path)
    functions = [function.__code__ for function in functions_of(namespace, path)]
    if compiled is None or data is None:
        return _code_entry(name, path, functions)
    whole = _module_code(namespace)
    if whole is not None and same_code(whole, compiled):
        return Entry(name, path, data, kind=ATTESTED)
    unchanged = on_disk and changed_s is not None and changed_s + SLACK_S < _started_s()
    if unchanged and (whole is not None or all(find_same(code, compiled) for code in functions)):
        # With the module's own code at hand and different, a loader that transforms code was at work (pytest, a type
        # checker): the text is right, and what it adds is not the user's.
        return Entry(name, path, data, kind=ATTESTED)
    return _code_entry(name, path, functions)


def functions_of(namespace: dict[str, Any], path: str) -> Iterator[Any]:
    """The plain functions that a module's text defined: its own, and the methods of its classes."""
    seen: set[int] = set()
    pending = list(namespace.values())
    while pending:
        value = pending.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, type):
            if value.__module__ == namespace.get("__name__"):
                pending.extend(vars(value).values())
        elif isinstance(value, (staticmethod, classmethod)):
            pending.append(value.__func__)
        elif isinstance(value, property):
            pending.extend((value.fget, value.fset, value.fdel))
        elif isinstance(value, Function) and value.__globals__ is namespace and value.__code__.co_filename == path:
            yield value


def _plain(thing: Any) -> Any:
    """The function inside `thing` (a method, a wrapper with `__wrapped__`), or None if it is a module."""
    seen = 0
    while seen < 100:
        if isinstance(thing, Function):
            wrapped = thing.__dict__.get("__wrapped__")
            if wrapped is None:
                return thing
            thing = wrapped
        elif isinstance(thing, (staticmethod, classmethod)) or hasattr(thing, "__func__"):
            thing = thing.__func__
        elif getattr(thing, "__wrapped__", None) is not None:
            thing = thing.__wrapped__
        else:
            return None
        seen += 1
    return None


def _by_code(thing: Any, name: str) -> Loaded:
    function = _plain(thing)
    if function is None:
        codes = [f.__code__ for f in functions_of(vars(thing), str(getattr(thing, "__file__", "")))]
        path = str(getattr(thing, "__file__", "") or "")
    else:
        codes, path = [function.__code__], function.__code__.co_filename
    return _code_entry(name, path, codes).loaded(lambda _: None)


def _code_entry(name: str, path: str, codes: list[CodeType]) -> Entry:
    pairs = [(getattr(code, "co_qualname", code.co_name), digest_code(code)) for code in codes]
    return Entry(name, path, b"", kind=CODE, digest=digest_pairs("codes-1", pairs))


def _belongs(path: object, known: Loaded) -> bool:
    return path == known.source.path or (isinstance(path, str) and _same_file(path, known.source.path))


def _same_file(path: str, other: object) -> bool:
    if path == other:
        return True
    return isinstance(other, str) and os.path.realpath(path) == os.path.realpath(other)


def _is_typed(path: str) -> bool:
    """Whether a code object's file name is no file: `<stdin>`, `<string>`, a notebook's cell."""
    return path.startswith("<") or cells.is_cell(path)


def _module_code(namespace: dict[str, Any]) -> CodeType | None:
    """The code object of the module whose globals are `namespace`, if it is still running in any thread."""
    for frame in sys._current_frames().values():
        below: FrameType | None = frame
        while below is not None:
            if below.f_globals is namespace and below.f_code.co_name == "<module>":
                return below.f_code
            below = below.f_back
    return None


def _compile(data: bytes, path: str) -> CodeType | None:
    from warnings import catch_warnings, simplefilter

    with catch_warnings():
        simplefilter("ignore")  # they were shown when the module was loaded
        try:
            return compile(data, path, "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None


def _stamp(path: str) -> object:
    try:
        return stamp_of(os.stat(path))
    except OSError:
        return None


def _changed_s(path: str) -> float | None:
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return max(stat.st_ctime, stat.st_mtime)


def _started_s() -> float:
    """When this process, or the one it was forked from, started; a time not after any import in it."""
    if os.getpid() == _IMPORTED_IN:
        try:
            with open("/proc/self/stat", "rb") as file:
                ticks = int(file.read().rpartition(b")")[2].split()[19])
            with open("/proc/stat", "rb") as file:
                boot = next(int(line.split()[1]) for line in file if line.startswith(b"btime"))
            return min(_IMPORTED_AT_S, boot + ticks / os.sysconf("SC_CLK_TCK"))
        except (OSError, ValueError, StopIteration, IndexError):  # not Linux
            pass
    return _IMPORTED_AT_S
