"""`HitsaveLoader`: Python's `SourceFileLoader`, except that it knows which bytes it compiled.

`get_code` is where everything meets: `import`, `reload`, `runpy` (`python -m`) and `pkgutil` all pass there. It reads
the source once, compiles *that*, and hands the bytes to `LoadedSources` before they run. `exec_module` only adds the
two brackets around it: the module ran, or it raised.

Modules that mention no decorator of ours compile to exactly what plain Python compiles, and are cached in Python's own
`.pyc`. The others go through the rewriter and a file of their own (`bytecode`).
"""

from __future__ import annotations

import os
import sys
from _frozen_importlib import _call_with_frames_removed  # type: ignore[attr-defined]
from _frozen_importlib_external import SourceFileLoader
from _io import open_code

from hitsave.importhook import bytecode
from hitsave.importhook.clock import is_close, process_bound_s
from hitsave.importhook.disguise import as_bootstrap, as_importlib
from hitsave.importhook.entry import ATTESTED, OPAQUE, Entry
from hitsave.importhook.stamps import stamp_of, times_of
from hitsave.parsing import PARSE_ONLY, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, ModuleType
    from typing import Any

    from hitsave.importhook.hook import Hook
    from hitsave.importhook.record import LoadedSources


READ_ONLY = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


class HitsaveLoader(SourceFileLoader):
    """Loads one source module of a project, and records what it was loaded from."""

    def __init__(self, fullname: str, path: str, hook: Hook, place: str | None = None) -> None:
        self.name = fullname
        self.path = path
        self._hook = hook
        self._place = place or bytecode.own_path(path)  # where Python keeps the compiled module
        self._running = False
        self._entry: Entry | None = None

    @as_importlib
    def get_code(self, fullname: str) -> CodeType:
        """The code object of the module, compiled from the file or read from a cache that belongs to this very text."""
        path: str = self.path if fullname == self.name else self.get_filename(fullname)
        found = _find_code(self._hook, fullname, path, self._place)
        if found is None:
            data, stat = _read_source(path)
            code = self.source_to_code(data, path, fullname)
            entry = _keep_code(self._hook, fullname, path, data, stat, code)
        else:
            code, entry = found
        entry.functions = bytecode.functions_among(code.co_consts)
        if self._running:
            self._entry = entry
            self._hook.loaded.begin(entry)
        else:
            self._hook.loaded.hand_out(entry, self)
        return code

    @as_bootstrap
    def exec_module(self, module: ModuleType) -> None:
        """Run the module; its record stays if it comes to its end."""
        # As in SourceFileLoader, written out: a further frame would count where programs import as deep as Python lets.
        self._running = True
        try:
            code = self.get_code(module.__name__)
            _call_with_frames_removed(exec, code, module.__dict__)
        except BaseException:
            self._running = False
            if self._entry is not None:
                self._hook.loaded.roll_back(self._entry)
            raise
        self._running = False
        if self._entry is not None:
            self._hook.loaded.commit(self._entry)

    @as_importlib
    def source_to_code(  # type: ignore[override]  # importlib's third parameter came with 3.15
        self, data: Any, path: Any, fullname: str | None = None, *, _optimize: int = -1
    ) -> CodeType:
        """`data` (bytes, text or a syntax tree) compiled, with the sites of our decorators written in. Pure."""
        name = fullname or self.name
        rewriting = self._hook.rewriting
        options: dict[str, Any] = {"dont_inherit": True, "optimize": _optimize}
        if sys.version_info >= (3, 15):
            options["module"] = name
        code: CodeType
        if rewriting.concerns(data, os.fspath(path), name):
            try:
                # The tree is compiled even if nothing in it changes: compiling the text again would show each
                # SyntaxWarning of the parser twice.
                try:
                    tree = _call_with_frames_removed(compile, data, path, "exec", PARSE_ONLY, dont_inherit=True)
                except SystemError:  # another thread parses, and CPython counts them together
                    tree = _call_with_frames_removed(parse, data, path)
                rewriting.rewrite(tree, data, os.fspath(path), name)
                code = _call_with_frames_removed(compile, tree, path, "exec", **options)
                return code
            except (RecursionError, MemoryError):
                pass  # deeper than a tree can be shown to Python, which the compiler itself copes with
        code = _call_with_frames_removed(compile, data, path, "exec", **options)
        return code

    def __reduce__(self) -> tuple[object, ...]:
        # A spec that is pickled or copied must not carry the hook of this process along.
        return SourceFileLoader, (self.name, self.path)


@as_importlib
def _read_source(path: str) -> tuple[bytes, os.stat_result]:
    """The bytes of a file that are to be compiled, and its state before they were read."""
    with open_code(path) as file:
        try:
            stat = os.fstat(file.fileno())
        except OSError:  # an audit hook opened it, and gave us something that is no file
            stat = os.stat(path)
        return file.read(), stat


def _read_quickly(path: str, size: int = -1) -> tuple[bytes, os.stat_result]:
    """The bytes of a file that only go on record, and its state when they were read; `OSError` if that fails.

    A third of the time that a file object takes; what is compiled from is read by `_read_source`. `size` is what the
    file's size should be, if that is known.
    """
    file = os.open(path, READ_ONLY)
    try:
        if size < 0:
            size = os.fstat(file).st_size
        data = os.read(file, size + 1)
        stat = os.fstat(file)  # after reading: an edit that came between shows in it
    finally:
        os.close(file)
    if not len(data) == size == stat.st_size:
        raise BlockingIOError(f"{path} is being written to")
    return data, stat


def _find_code(hook: Hook, fullname: str, path: str, place: str | None) -> tuple[CodeType, Entry] | None:
    """The compiled code of a source from a file, with the entry to record; None if it has to be compiled.

    This runs for every module of the project in every process: it is written for speed.
    """
    if place is None:
        return None
    own = bytecode.read_own(place)
    loaded, rewriting = hook.loaded, hook.rewriting
    if not own.content:
        return _find_rewritten(hook, fullname, path)
    # A file of Python's with our trailer says that its module mentions none of our decorators: no need to look.
    if own.is_ours and not rewriting.patterns:
        try:
            if not loaded.keeps_texts and times_of(os.stat(path)) == own.times:
                code = own.code(path)
                return None if code is None else (code, Entry(fullname, path, None, None, own.tail))
            data, stat = _read_quickly(path, own.size)
        except OSError:
            return None
        if times_of(stat) == own.times or bytecode.source_hash(data) == own.hash:
            code = own.code(path)
            return None if code is None else (code, Entry(fullname, path, data, None, own.tail))
    else:
        try:
            data, stat = _read_quickly(path)
        except OSError:
            return None
    if rewriting.concerns(data, path, fullname):
        return _find_rewritten(hook, fullname, path, data)
    return _find_plain(own, fullname, path, data, stat)


def _find_plain(
    own: bytecode.Own, fullname: str, path: str, data: bytes, stat: os.stat_result
) -> tuple[CodeType, Entry] | None:
    """The code that plain Python may have compiled from `data`."""
    if own.is_ours:
        verified = own.hash == bytecode.source_hash(data)
        if not verified:
            return None
    else:
        trust = own.trust(data, stat)
        if not trust:
            return None
        verified = trust == bytecode.CERTAIN
        if not verified and bytecode.may_write() and os.access(os.path.dirname(own.place), os.W_OK):
            return None  # compile it once more; from then on the file says what it came from
    code = own.code(path)
    if code is None:
        return None
    entry = Entry(fullname, path, data, None, own.tail if own.is_ours else b"")
    entry.unverified = False if verified else code
    return code, entry


def _find_rewritten(hook: Hook, fullname: str, path: str, data: bytes | None = None) -> tuple[CodeType, Entry] | None:
    """The code that we compiled from the source, whose bytes are `data` if it was read."""
    loaded, rewriting = hook.loaded, hook.rewriting
    place = bytecode.tagged_path(path, rewriting.tag)
    if place is None:
        return None
    tagged = bytecode.read_own(place)
    module_name = rewriting.module_name(path, fullname)
    if not tagged.is_rewritten(module_name):
        return None
    wants_texts = _wants_texts(loaded)
    if data is None:
        try:
            if not wants_texts and times_of(os.stat(path)) == tagged.times:
                code = tagged.code(path)
                return None if code is None else (code, Entry(fullname, path, None, module_name, tagged.tail))
            data, _ = _read_quickly(path)
        except OSError:
            return None
    if tagged.hash != bytecode.source_hash(data):
        return None
    code = tagged.code(path)
    return None if code is None else (code, Entry(fullname, path, data, module_name, tagged.tail))


def _wants_texts(loaded: LoadedSources) -> bool:
    """Whether the texts of modules are to be kept as they are imported: somebody types, and edits what they import."""
    if not loaded.keeps_texts and (hasattr(sys, "ps1") or sys.flags.interactive):
        loaded.keep_texts()
    return loaded.keeps_texts


def _keep_code(hook: Hook, fullname: str, path: str, data: bytes, stat: os.stat_result, code: CodeType) -> Entry:
    """The entry to record for freshly compiled `code`, which is written to the cache if that may be."""
    rewritten = hook.rewriting.concerns(data, path, fullname)
    if rewritten:
        _wants_texts(hook.loaded)
    module_name = hook.rewriting.module_name(path, fullname) if rewritten else None
    if bytecode.may_write():
        if module_name is not None:
            place = bytecode.tagged_path(path, hook.rewriting.tag)
            if place is not None:
                bytecode.write_tagged(place, path, data, code, stat, module_name)
        else:
            place = bytecode.own_path(path)
            if place is not None:
                bytecode.write_own(place, path, data, code, stat)
    return Entry(fullname, path, data, module_name=module_name)


def script_code(hook: Hook, path: str) -> CodeType:
    """The code of a script, recorded as `__main__`.

    Python keeps no `.pyc` of a script, so neither do we; unless it is a project's own and has to be rewritten.
    """
    data, stat = _read_source(path)
    name = "__main__"
    keep = hook.scope.owns(path) and hook.rewriting.concerns(data, path, name)
    found = _find_rewritten(hook, name, path, data) if keep else None
    if found is None:
        code = HitsaveLoader(name, path, hook).source_to_code(data, path, name)
        found = code, _keep_code(hook, name, path, data, stat, code) if keep else Entry(name, path, data)
    found[1].functions = bytecode.functions_among(found[0].co_consts)
    hook.loaded.put(found[1])
    return found[0]


def note_foreign(sources: LoadedSources, fullname: str, path: str, *, loaded: bool = False) -> None:
    """Remember the file that somebody else's loader is about to load, as it is now.

    If the module is `loaded` already, the file may have changed since: only if it is older than the process, or the
    code in the module agrees with it, will it count.
    """
    try:
        if not path.endswith((".py", ".pyw")):  # an extension module may be large: its digest is made when asked for
            stamp = stamp_of(os.stat(path))
            entry = Entry(fullname, path, b"", kind=OPAQUE, module_name=fullname, stamp=stamp, unverified=True)
        else:
            with open(path, "rb") as file:
                data, stamp = file.read(), stamp_of(os.fstat(file.fileno()))
            before = None if loaded else stamp
            entry = Entry(fullname, path, data, kind=ATTESTED, stamp=before, unverified=True)
            if loaded and not is_close(max(stamp.ctime_ns, stamp.mtime_ns) / 1e9, process_bound_s()):
                entry.unverified = False
    except OSError:
        return
    sources.put(entry)
