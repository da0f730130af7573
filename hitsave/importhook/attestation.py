"""Attestation: which text a module was executed from, when it wasn't our loader that executed it.

The file as it is now is a mere candidate. It counts only if what was loaded certainly came from it:

1. the code object of the module itself is at hand (its frame is still on the stack, as for a script that is just
   decorating its functions): compile the file, compare everything;
2. our finder saw who was going to load the file, and it hasn't been written to since (`Entry.stamp`);
3. it hasn't been written to since the module can have been read at the earliest (`clock`), and every function in the
   module is found again in the compiled file (unless it has a loader of its own, which may have transformed them).

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
from _frozen_importlib_external import SourceFileLoader

from hitsave.digest import digest_bytes, digest_pairs, digest_text
from hitsave.importhook import cells
from hitsave.importhook.clock import is_close, process_bound_s
from hitsave.importhook.codes import CodeObject, digest_code, find_same, nested, same_code
from hitsave.importhook.entry import ATTESTED, CODE, HOOK, OPAQUE, Entry, Loaded
from hitsave.importhook.stamps import stamp_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType, FrameType
    from typing import Any

    from hitsave.importhook.record import LoadedSources

Function = type(lambda: None)


def attest(thing: Any, loaded: LoadedSources) -> Loaded:
    """What the function or module `thing` was executed from, recorded in `loaded` if that is new.

    A function whose globals are no module's (unpickled by value, made by `exec`) is known by its code alone: nothing
    is read for it.
    """
    function = _plain(thing)
    namespace: dict[str, Any] = _names_of(thing) if function is None else function.__globals__
    name = namespace.get("__name__")
    module = sys.modules.get(name) if isinstance(name, str) else None
    if name is None or module is None or not _is_module_of(namespace, _names_of(module)):
        return _by_code(thing, str(name or "__main__"))
    file = _names_of(module).get("__file__")
    path = function.__code__.co_filename if function is not None else file
    known = loaded.by_import_name(name)
    if known is not None and (function is None or _belongs(path, known)):
        return known
    if not isinstance(path, str) or _is_typed(path):
        return cells.attest_cell(thing, loaded) or _by_code(thing, name)
    if known is not None or not _same_file(path, file):
        return _by_code(thing, name)  # a function made in this module, from another file
    entry = _examine(name, namespace, path, asked_s=loaded.asked.get(name, 0.0))
    loaded.put(entry)
    return entry.loaded(loaded.name_of)


def attest_named(module_name: str, loaded: LoadedSources) -> Loaded | None:
    """Attest the loaded module whose canonical name is `module_name`, under whatever name it was imported."""
    tail = module_name.rpartition(".")[2]
    for name in dict.fromkeys((module_name, "__main__", "__mp_main__", *sys.modules)):
        module = sys.modules.get(name)
        path = None if module is None else _names_of(module).get("__file__")
        if not isinstance(path, str) or not path.endswith((f"{tail}.py", f"{tail}{os.sep}__init__.py")):
            continue
        if loaded.name_of(path) == module_name:
            return attest(module, loaded)
    return None


def verify(entry: Entry, asked_s: float = 0.0) -> Entry:
    """`entry` with nothing left to verify: the same text if that was executed, else its code."""
    if entry.kind == OPAQUE:
        data = _read(entry.path) if entry.stamp == stamp_at(entry.path) else None
        changed = digest_text(repr(entry.stamp))  # what was loaded is gone, and nobody kept its bytes
        digest = changed if data is None else digest_bytes(data)
        return Entry(entry.import_name, entry.path, b"", kind=OPAQUE, module_name=entry.module_name, digest=digest)
    module = sys.modules.get(entry.import_name)
    if entry.data is None:  # the file was written to before anybody needed its text; its digest is known
        data = _read(entry.path)
        if data is None or digest_bytes(data) != entry.digest:
            names = {} if module is None else _names_of(module)
            codes = [function.__code__ for function in functions_of(names, entry.path)]
            return _code_entry(entry.import_name, entry.path, codes)
        entry.data = data
        if not entry.unverified:
            return entry
    if isinstance(entry.unverified, CodeObject):  # Python's own .pyc, whose origin wasn't certain
        compiled = _compile(entry.data, entry.path)
        if compiled is not None and same_code(compiled, entry.unverified):
            return _verified(entry)
        return _code_entry(entry.import_name, entry.path, [entry.unverified])
    if module is None:
        return _code_entry(entry.import_name, entry.path, [])
    if entry.kind == HOOK:  # a reload failed: was anything of the new text executed?
        return _compare(entry, _names_of(module))
    if entry.stamp is not None and entry.stamp == stamp_at(entry.path):
        return _verified(entry)
    return _examine(entry.import_name, _names_of(module), entry.path, data=entry.data, asked_s=asked_s)


def _compare(entry: Entry, names: dict[str, Any]) -> Entry:
    data = entry.data or b""
    compiled = _compile(data, entry.path)
    codes = [function.__code__ for function in functions_of(names, entry.path)]
    if compiled is not None and all(find_same(code, nested(compiled)) for code in codes):
        from hitsave.importhook.literals import literals_agree

        if literals_agree(data, entry.path, names):
            return _verified(entry)
    return _code_entry(entry.import_name, entry.path, codes)


def _verified(entry: Entry) -> Entry:
    verified = entry.under(entry.import_name)
    verified.unverified = False
    return verified


def _examine(
    name: str, namespace: dict[str, Any], path: str, data: bytes | None = None, *, asked_s: float = 0.0
) -> Entry:
    """The entry for a module that somebody loaded.

    `data` is the text it should have come from (else the file's), `asked_s` when our finder was asked for it.
    """
    from hitsave.importhook.literals import literals_agree

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
    attested = Entry(name, path, data, kind=ATTESTED)
    if whole is not None and same_code(whole, compiled):
        attested.constants = whole.co_consts
        return attested
    bound_s = max(process_bound_s(), asked_s)
    if not on_disk or changed_s is None or changed_s > bound_s:
        return _code_entry(name, path, functions)
    if is_close(changed_s, bound_s) and not literals_agree(data, path, namespace, running=whole is not None):
        return _code_entry(name, path, functions)
    # Where the code differs, a loader that transforms it was at work (pytest, a type checker): the text is right, and
    # what they add is not the user's. Python's own loader is another matter: it may have read a stale .pyc.
    if all(find_same(code, nested(compiled)) for code in functions):
        attested.constants = compiled.co_consts
        return attested
    if whole is not None or _is_transforming(namespace, path):
        return attested
    return _code_entry(name, path, functions)


def _is_transforming(namespace: dict[str, Any], path: str) -> bool:
    """Whether a loader of somebody's own loaded the module from the file at `path`."""
    spec = namespace.get("__spec__")
    loader = getattr(spec, "loader", None)
    return loader is not None and type(loader) is not SourceFileLoader and getattr(spec, "origin", None) == path


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
        elif isinstance(value, Function):
            wrapped = value.__dict__.get("__wrapped__")
            if wrapped is not None:
                pending.append(wrapped)
            if value.__globals__ is namespace and value.__code__.co_filename == path:
                yield value


def _plain(thing: Any) -> Any:
    """The function inside `thing` (a method, a wrapper with `__wrapped__`), or None if it is a module."""
    if issubclass(type(thing), type(sys)):
        return None
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


def _names_of(module: Any) -> dict[str, Any]:
    """A module's dictionary, without waking a lazily loaded module (`importlib.util.LazyLoader`)."""
    try:
        names: dict[str, Any] = object.__getattribute__(module, "__dict__")
    except AttributeError:  # something else was put into sys.modules
        return {}
    return names


def _is_module_of(namespace: dict[str, Any], names: dict[str, Any]) -> bool:
    if names is namespace:
        return True
    # A spawned child runs the parent's script in one dictionary, and puts a copy into the module that stays.
    main = namespace.get("__name__") == names.get("__name__") == "__mp_main__"
    return main and namespace.get("__file__") == names.get("__file__")


def _by_code(thing: Any, name: str) -> Loaded:
    function = _plain(thing)
    if function is None:
        names = _names_of(thing)
        path = str(names.get("__file__") or "")
        codes = [f.__code__ for f in functions_of(names, path)]
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
    """The text compiled once more, silently: what it has to warn of was shown when the module was loaded."""
    warnings = sys.modules.get("warnings")
    if warnings is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _try_compile(data, path)
    # Never imported for this: the project may have a `warnings.py`. Without it, Python goes by this list.
    import _warnings

    filters: Any = _warnings.filters
    mutated = getattr(_warnings, "_filters_mutated", None)
    if mutated is None:  # 3.14 keeps a lock of its own
        return _try_compile(data, path)
    silence = ("ignore", None, Warning, None, 0)
    filters.insert(0, silence)
    mutated()
    try:
        return _try_compile(data, path)
    finally:
        filters.remove(silence)
        mutated()


def _try_compile(data: bytes, path: str) -> CodeType | None:
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


def _changed_s(path: str) -> float | None:
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return max(stat.st_ctime, stat.st_mtime)
