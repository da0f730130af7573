"""Compiled code on disk: read without ever raising, trusted only where it is known to come from the bytes at hand.

Two kinds of file, both in `__pycache__`:

`mod.cpython-311.pyc`                   Python's own, for modules that we don't rewrite. Their code is what plain Python
                                        compiles, so the file stays Python's: same name, same header, readable with and
                                        without the hook. We only append a *trailer*, which `marshal` ignores.
`mod.cpython-311.hitsave-<tag>.pyc`     ours, for rewritten modules; a checked-hash file (PEP 552). The tag names the
                                        rewriter's version and options, so another hitsave never reads it.

Python accepts its own file if the source's size and modification time *in whole seconds* match, so an edit within the
second runs the old code (cpython#75953, #136224, #120932). A cache key needs better. The trailer holds what the source
was compiled from:

    trailer = name of the module, its length (2), length of the code (4),
              mtime_ns (8), ctime_ns (8), source hash (8), source digest (16), MAGIC

The two times are those of the source, or 0 if it had been written to so shortly before that a later write could have
the same (Git's rule for its index, "racily clean"). Both unchanged: so is the file, for a program can set its mtime,
but not its ctime. Otherwise the hash decides. A file without a trailer, written by plain Python, counts if the source
was last touched well before it; else we compile anew, and write the trailer.

The length is there because `marshal` believes what it reads: a damaged file can make it ask for gigabytes.

The name is there because a rewritten module contains its own symbols: a package renamed together with its
`__pycache__` must not keep the old ones.
"""

from __future__ import annotations

import _frozen_importlib_external as _external
import _imp
import _thread
import os
import sys
from _frozen_importlib_external import MAGIC_NUMBER
from _io import BufferedReader, FileIO, open_code  # `open_code` is what importlib reads code with (PEP 578)
from marshal import dumps, loads
from time import time_ns

from hitsave.digest import digest_bytes
from hitsave.importhook.disguise import IMPORTLIB
from hitsave.importhook.stamps import times_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType

# The last byte is the version of the trailer.
#   2  the source's digest
#   3  the length of the code
MAGIC = b"HITSAVE\x03"
HEADER_BYTES = 16
TAIL_BYTES = 2 + 4 + 8 + 8 + 8 + 16 + len(MAGIC)
CHECKED_HASH = (3).to_bytes(4, "little")
CHUNK = 1 << 16  # few modules are larger
# How long after a write another one may bear the same time: two ticks of the slowest kernel clock, or two seconds where
# a file system keeps whole seconds (FAT, HFS+, ext3).
FINE_NS, COARSE_NS = 20_000_000, 2_000_000_000
# To compile a byte of source takes 0.2 us; a loaded machine takes its time.
COMPILING_NS = 1_000

_KEY = int.from_bytes(MAGIC_NUMBER, "little")  # what importlib seeds its source hash with
CodeObject = type((lambda: None).__code__)
OPTIMIZED = 0x1  # the flag of a function's code; bodies of modules and classes don't have it (inspect.CO_OPTIMIZED)
_from_bytes = int.from_bytes


def source_hash(data: bytes) -> bytes:
    """The hash that PEP 552 puts into a .pyc."""
    return _imp.source_hash(_KEY, data)


def _find_cache_from_source() -> Callable[[str], str] | None:
    """Python's function, or None if all we can see is a stand-in.

    typeguard, jaxtyping and beartype put theirs in its place while they import a module, and that module may be the one
    that imports us: writing under *their* tag is the very bug this would repeat (jaxtyping#329).
    """
    for module in (_external, sys.modules.get("importlib.util")):
        function = getattr(module, "cache_from_source", None)
        if getattr(getattr(function, "__code__", None), "co_filename", "") == IMPORTLIB:
            return function
    return None


_cache_from_source = _find_cache_from_source()


# {optimisation level: what Python puts behind a module's name}, learnt from Python's own function.
_endings: dict[tuple[str | None, int], str] = {}


def own_path(path: str) -> str | None:
    """Where Python keeps the compiled source `path`; None if it keeps none."""
    if _cache_from_source is None:
        return None
    # Python asks its function twice for each module, 5 us a time. All there is to it, without a prefix, is an ending.
    if sys.pycache_prefix is None and path.endswith(".py"):
        tag: str | None = sys.implementation.cache_tag
        level = (tag, sys.flags.optimize)
        ending = _endings.get(level)
        if ending is None and tag is not None:
            ending = _endings[level] = _cache_from_source("/d/m.py")[len("/d/__pycache__/m") :]
        folder, separator, name = path.rpartition("/")
        if ending is not None and separator and os.sep == "/" and "." not in name[:-3]:
            return f"{folder}/__pycache__/{name[:-3]}{ending}"
    try:
        return _cache_from_source(path)
    except NotImplementedError:  # sys.implementation.cache_tag is None
        return None


def tagged_path(path: str, tag: str) -> str | None:
    """Where the rewritten module of `path` is kept; optimisation level and `pycache_prefix` as in Python's own."""
    own = own_path(path)
    return None if own is None else f"{own[:-4]}.hitsave-{tag}.pyc"


# How far a file of plain Python's can be trusted to come from the source at hand.
LIKELY = 1
CERTAIN = 2


class Own:
    """A file of compiled code, read but not judged yet: Python's own, or a tagged one of ours.

    `is_ours` says that we wrote it, so that it has a trailer: the `times` and `hash` of its source, and the `digest`.
    """

    __slots__ = ("content", "is_ours", "place", "tail")

    def __init__(self, place: str, content: bytes) -> None:
        self.place = place
        self.content = content
        self.tail = content[-48:]  # times (16), hash (8), digest (16), MAGIC (8), if the file is ours
        self.is_ours = content.endswith(MAGIC) and content.startswith(MAGIC_NUMBER)
        if self.is_ours:
            lengths = content[-TAIL_BYTES:-48]
            name_bytes, code_bytes = _from_bytes(lengths[:2], "little"), _from_bytes(lengths[2:], "little")
            if HEADER_BYTES + code_bytes + name_bytes + TAIL_BYTES != len(content):
                self.content, self.is_ours = b"", False  # damaged: as if it weren't there

    @property
    def times(self) -> bytes:
        """The times of the source that we wrote the file for, zero if a later write could have the same."""
        return self.tail[:16]

    @property
    def hash(self) -> bytes:
        """The hash of that source."""
        return self.tail[16:24]

    @property
    def size(self) -> int:
        """The size of that source; only in a file of Python's own kind."""
        return int.from_bytes(self.content[12:16], "little")

    def code(self, path: str) -> CodeType | None:
        """The code object, for a source that is called `path` now; None if there is none."""
        try:
            code = loads(memoryview(self.content)[HEADER_BYTES:])
        except (ValueError, EOFError, TypeError, MemoryError):  # truncated or garbage
            return None
        if not isinstance(code, CodeObject):
            return None
        # The folder may have been moved or renamed since; tracebacks must name the file as it is called now.
        _imp._fix_co_filename(code, path)  # type: ignore[attr-defined]
        return code

    def is_rewritten(self, module_name: str) -> bool:
        """Whether this is rewritten code of that module; `times` and `hash` say of which source."""
        content = self.content
        if not self.is_ours or content[4:8] != CHECKED_HASH:
            return False
        length = int.from_bytes(content[-TAIL_BYTES : -TAIL_BYTES + 2], "little")
        name = content[-TAIL_BYTES - length : -TAIL_BYTES]
        return name == module_name.encode("utf-8", "surrogatepass")

    def trust(self, data: bytes, stat: os.stat_result) -> int:
        """CERTAIN, LIKELY or 0: whether plain Python, which wrote the file, would use it for the source `data`.

        `stat` is that of the source after it was read: an edit that came between shows in it.
        """
        content = self.content
        if content[:4] != MAGIC_NUMBER or len(content) < HEADER_BYTES:
            return 0
        flags = int.from_bytes(content[4:8], "little")
        if flags & ~0b11:
            return 0
        if flags & 0b1:
            if content[8:16] == source_hash(data):
                return CERTAIN
            return 0 if flags & 0b10 or _imp.check_hash_based_pycs == "always" else LIKELY
        if content[8:16] != _stamp(stat):
            return 0
        return CERTAIN if _written_later(self.place, stat) else LIKELY


def functions_among(constants: tuple[object, ...]) -> list[CodeType]:
    """The code objects of the functions and methods that a module with these constants defines, in their order.

    Not those inside functions, which these hold; nor the bodies of classes, which nobody needs once they have run.
    """
    found: list[CodeType] = []
    for constant in constants:
        if type(constant) is CodeObject:
            if constant.co_flags & OPTIMIZED:
                found.append(constant)
            else:
                found += functions_among(constant.co_consts)
    return found


def read_own(place: str) -> Own:
    """The file of compiled code at `place`, with empty content if there is none."""
    try:
        with open_code(place) as file:
            if type(file) is not BufferedReader or type(file.raw) is not FileIO:  # whatever an embedder gives us
                return Own(place, file.read())
            # One system call, where `read` makes four.
            content = os.read(file.fileno(), CHUNK)
            if len(content) == CHUNK:
                # All of it once more, as one piece: memory that is touched for the first time is what costs here.
                del content
                os.lseek(file.fileno(), 0, os.SEEK_SET)
                content = file.read()
            return Own(place, content)
    except OSError:
        return Own(place, b"")


def write_tagged(
    bytecode_path: str, path: str, data: bytes, code: CodeType, stat: os.stat_result, module_name: str
) -> None:
    """Keep the rewritten `code` of `data`. A failure to write is no failure: the next process compiles again."""
    header, body = MAGIC_NUMBER + CHECKED_HASH + source_hash(data), dumps(code)
    _write(bytecode_path, header + body + trailer(data, stat, len(body), module_name), path)


def write_own(bytecode_path: str, path: str, data: bytes, code: CodeType, stat: os.stat_result) -> bool:
    """Keep plain Python's `code` of `data` where Python does; False if that can't be written.

    `stat` is that of the source *before* it was read, so that an edit in between makes the file stale for Python.
    """
    header, body = MAGIC_NUMBER + bytes(4) + _stamp(stat), dumps(code)
    return _write(bytecode_path, header + body + trailer(data, stat, len(body)), path)


def trailer(data: bytes, stat: os.stat_result, code_bytes: int, module_name: str = "") -> bytes:
    """What we append to a .pyc compiled from `data`; `stat` is that of the source before it was read."""
    name = module_name.encode("utf-8", "surrogatepass")
    times = times_of(stat) if is_settled(stat, time_ns()) else bytes(16)
    lengths = len(name).to_bytes(2, "little") + code_bytes.to_bytes(4, "little")
    return name + lengths + times + source_hash(data) + bytes.fromhex(digest_bytes(data)) + MAGIC


def _stamp(stat: os.stat_result) -> bytes:
    mtime, size = int(stat.st_mtime) & 0xFFFFFFFF, stat.st_size & 0xFFFFFFFF
    return mtime.to_bytes(4, "little") + size.to_bytes(4, "little")


def _written_later(bytecode_path: str, stat: os.stat_result) -> bool:
    try:
        written_ns = os.stat(bytecode_path).st_mtime_ns
    except OSError:
        return False
    changed_ns = max(stat.st_ctime_ns, stat.st_mtime_ns)
    if _is_coarse(stat.st_ctime_ns) or _is_coarse(written_ns):
        return changed_ns + COARSE_NS < written_ns
    # Both times come from one clock, so an edit after the file was written bears a later one. An edit between reading
    # the source and writing the file doesn't: the file must be younger than it takes to compile the source.
    return changed_ns + stat.st_size * COMPILING_NS < written_ns


def is_settled(stat: os.stat_result, at_ns: int) -> bool:
    """Whether a file with this state was last written to so long before `at_ns` that a later write would show."""
    changed_ns = max(stat.st_ctime_ns, stat.st_mtime_ns)
    return changed_ns + (COARSE_NS if _is_coarse(stat.st_ctime_ns) else FINE_NS) < at_ns


def _is_coarse(time_ns: int) -> bool:
    return time_ns % 1_000_000 == 0


def _write(bytecode_path: str, content: bytes, path: str) -> bool:
    """Write a whole file or none: to a temporary name, then renamed. False if that failed."""
    temporary = f"{bytecode_path}.{os.getpid()}-{_thread.get_ident()}"
    try:
        mode = os.stat(path).st_mode | 0o200  # as importlib: never read-only, or it could not be replaced
    except OSError:
        mode = 0o666
    try:
        os.makedirs(os.path.dirname(bytecode_path), exist_ok=True)
        file = os.open(temporary, os.O_EXCL | os.O_CREAT | os.O_WRONLY | getattr(os, "O_BINARY", 0), mode & 0o666)
    except OSError:  # read-only, or `__pycache__` is a file
        return False
    try:
        try:
            done = os.write(file, content) == len(content)  # a disk that fills up writes a part
        finally:
            os.close(file)
        if done:
            os.replace(temporary, bytecode_path)
            return True
    except OSError:
        pass
    _remove(temporary)
    return False


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return


def may_write() -> bool:
    """Whether the user lets Python write compiled code (`-B`, PYTHONDONTWRITEBYTECODE)."""
    return not sys.dont_write_bytecode
