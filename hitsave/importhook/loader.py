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
from hitsave.importhook.disguise import as_importlib
from hitsave.importhook.record import ATTESTED, OPAQUE, Entry, stamp_of
from hitsave.importhook.rewriter import PARSE_ONLY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, ModuleType
    from typing import Any

    from hitsave.importhook.hook import Hook
    from hitsave.importhook.record import LoadedSources


class HitsaveLoader(SourceFileLoader):
    """Loads one source module of a project, and records what it was loaded from."""

    def __init__(self, fullname: str, path: str, hook: Hook) -> None:
        super().__init__(fullname, path)
        self._hook = hook

    @as_importlib
    def get_code(self, fullname: str) -> CodeType:
        """The code object of the module, compiled from the file or read from a cache that belongs to this very text."""
        path: str = self.get_filename(fullname)
        found = _find_code(self._hook, fullname, path)
        if found is None:
            data, stat = _read_source(path)
            code = self.source_to_code(data, path, fullname)
            entry = _keep_code(self._hook, fullname, path, data, stat, code)
        else:
            code, entry = found
        running = self.__dict__.pop("_running", None)
        if running is None:
            self._hook.loaded.hand_out(entry, self)
        else:
            running.append(entry)
            self._hook.loaded.begin(entry)
        return code

    @as_importlib
    def exec_module(self, module: ModuleType) -> None:
        """Run the module; its record stays if it comes to its end."""
        running: list[Entry] = []
        self._running = running
        try:
            super().exec_module(module)
        except BaseException:
            _end(self._hook.loaded, running, finished=False)
            raise
        _end(self._hook.loaded, running, finished=True)

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
                tree = _call_with_frames_removed(compile, data, path, "exec", PARSE_ONLY, dont_inherit=True)
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


def _read_quickly(path: str) -> tuple[bytes, os.stat_result] | None:
    """The bytes of a file that only go on record, and its state when they were read; None if that doesn't work out.

    A third of the time that a file object takes; what is compiled from is read by `_read_source`.
    """
    try:
        file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0))
    except OSError:
        return None
    try:
        size = os.fstat(file).st_size
        data = os.read(file, size + 1)
        stat = os.fstat(file)  # after reading: an edit that came between shows in it
    except OSError:
        return None
    finally:
        os.close(file)
    return (data, stat) if len(data) == size == stat.st_size else None


def _find_code(hook: Hook, fullname: str, path: str) -> tuple[CodeType, Entry] | None:
    """The compiled code of a source from a file, with the entry to record; None if it has to be compiled."""
    place = bytecode.own_path(path)
    if place is None:
        return None
    rewriting = hook.rewriting
    own = bytecode.Own(place, path)
    # A file of Python's with our trailer says that its module mentions none of our decorators.
    plain = not rewriting.patterns
    if plain and not hook.loaded.keeps_texts:
        try:
            compiled = own.unchanged(os.stat(path))
        except OSError:
            return None
        if compiled is not None:
            entry = Entry(fullname, path, None, digest=bytecode.digest_in(compiled), times=own.times)
            return compiled.code, entry
    read = _read_quickly(path)
    if read is None:
        return None
    data, stat = read
    compiled = own.unchanged(stat) if plain else None
    if compiled is not None:
        return compiled.code, Entry(fullname, path, data, digest=bytecode.digest_in(compiled))
    if rewriting.concerns(data, path, fullname):
        return _find_rewritten(hook, fullname, path, data)
    compiled = own.certain(data) or own.likely(data, stat)
    if compiled is None:
        return None
    if not compiled.verified and bytecode.may_write() and os.access(os.path.dirname(place), os.W_OK):
        return None  # compile it once more; from then on the file says what it came from
    unverified = False if compiled.verified else compiled.code
    return compiled.code, Entry(fullname, path, data, digest=bytecode.digest_in(compiled), unverified=unverified)


def _find_rewritten(hook: Hook, fullname: str, path: str, data: bytes) -> tuple[CodeType, Entry] | None:
    hook.loaded.keep_texts()
    module_name = hook.rewriting.module_name(path, fullname)
    place = bytecode.tagged_path(path, hook.rewriting.tag)
    compiled = None if place is None else bytecode.read_tagged(place, path, data, module_name)
    if compiled is None:
        return None
    return compiled.code, Entry(fullname, path, data, module_name=module_name, digest=bytecode.digest_in(compiled))


def _keep_code(hook: Hook, fullname: str, path: str, data: bytes, stat: os.stat_result, code: CodeType) -> Entry:
    """The entry to record for freshly compiled `code`, which is written to the cache if that may be."""
    rewritten = hook.rewriting.concerns(data, path, fullname)
    if rewritten:
        hook.loaded.keep_texts()
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
    hook.loaded.put(found[1])
    return found[0]


def _end(loaded: LoadedSources, running: list[Entry], *, finished: bool) -> None:
    for entry in running:
        if finished:
            loaded.commit(entry)
        else:
            loaded.roll_back(entry)


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
            changed_s = max(stamp.ctime_ns, stamp.mtime_ns) / 1e9
            if loaded and not is_close(changed_s, process_bound_s()):
                entry.unverified = False
    except OSError:
        return
    sources.put(entry)
