"""Files, folders, processes and sockets, seen through Python's audit events (PEP 578).

An audit hook can't be removed, so it is added once, with the first memoised function. It only notes a path and a
`stat`; content is digested when the evaluation ends, and if the file has changed by then the result isn't stored.

Not inputs: files below the interpreter, environments' packages and `/dev`, `/proc`, `/sys`; compiled modules; source
files of the project that are merely being imported (they are code, which the fingerprint covers); what the
evaluation itself has written before.
"""

from __future__ import annotations

import os
import sys

from hitsave.observe import inputs, watch
from hitsave.observe.watch import Sight, watchers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_installed = False
_OS = frozenset((os.__file__, "<frozen os>", "<frozen genericpath>", "<frozen posixpath>", os.path.__file__))
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Audit event -> the impurity it shows.
OUTSIDE = {
    "subprocess.Popen": "subprocess",
    "os.system": "subprocess",
    "os.fork": "subprocess",
    "os.forkpty": "subprocess",
    "os.posix_spawn": "subprocess",
    "os.exec": "subprocess",
    "os.spawn": "subprocess",
    "socket.connect": "network",
    "socket.sendto": "network",
    "socket.bind": "network",
    "socket.getaddrinfo": "network",
    "urllib.Request": "network",
}
LISTINGS = frozenset(("os.listdir", "os.scandir"))
# Called when somebody exchanges the code of a function in place (jurigged, autoreload). A guard can't look for that:
# each look at `__code__` is an audit event of its own, which costs more than all else in it.
code_exchanged: list[Callable[[], None]] = []
_NOT_INPUT: tuple[str, ...] = ()
_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


MOST_FILES = 10_000  # of a folder that is read as a whole


def install() -> None:
    """Watch from now on; idempotent."""
    global _installed, _NOT_INPUT
    if _installed:
        return
    _installed = True
    inputs.note_filled_caches()
    places = {os.path.dirname(os.__file__), os.path.realpath(os.path.dirname(os.__file__))}
    places.update((sys.prefix + os.sep + "lib", sys.base_prefix + os.sep + "lib"))
    _NOT_INPUT = tuple(place.rstrip(os.sep) + os.sep for place in sorted(places)) + ("/dev/", "/proc/", "/sys/")
    sys.addaudithook(_heard)


def stat_signature(path: str) -> tuple[int, ...]:
    """What tells one state of a file from another without reading it; () if there is no such file."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return ()
    return (found.st_mtime_ns, found.st_size, found.st_ctime_ns, found.st_ino, found.st_mode)


def is_input(path: str) -> bool:
    """Whether reading `path` (absolute) makes a result depend on it."""
    if path.endswith((".dist-info" + os.sep + "METADATA", ".egg-info" + os.sep + "PKG-INFO")):
        return True  # somebody asks which version is installed
    return not (
        (path.startswith(_NOT_INPUT) and not path.startswith("/dev/shm/"))  # a disk in memory
        or path.endswith((".pyc", ".so", ".pyd", ".dll", ".dylib"))
        or f"{os.sep}site-packages{os.sep}" in path
        or f"{os.sep}dist-packages{os.sep}" in path
        or f"{os.sep}__pycache__{os.sep}" in path + os.sep
    )


def looked_at(path: Any, *, closely: bool) -> None:
    """Note that the evaluation asked whether `path` exists, or (`closely`) for its size and times."""
    sights = watchers()
    if sights:
        absolute = _absolute(path)
        if absolute is not None and is_input(absolute):
            _note_folder(sights, path)
            for sight in sights:
                (sight.stats if closely else sight.existence).setdefault(absolute, stat_signature(absolute))


def noted(path: str) -> None:
    """Note that the file `path`, or all that is in the folder, is read where nobody else hears of it."""
    sights = watchers()
    if not os.path.isdir(path):
        _opened(sights, path, "r", os.O_RDONLY)
        return
    if all(_absolute(path) in sight.directories for sight in sights):
        return
    left = MOST_FILES
    for folder, _, names in os.walk(path):
        _listed(sights, folder)
        for name in names[:left]:
            _opened(sights, os.path.join(folder, name), "r", os.O_RDONLY)
        left -= len(names)
        if left < 0:
            note_unseen()
            return


def note_unseen() -> None:
    """Note that files are read of which nobody keeps a list: too many, or by code that nobody sees."""
    from hitsave.analysis.impurity import UNSEEN

    for sight in watchers():
        sight.unpure.add(UNSEEN)


def _heard(event: str, args: tuple[Any, ...]) -> None:
    if watchers is None:  # Python is going down, and has emptied this module; a hook can't be removed
        return  # type: ignore[unreachable]
    if event == "open":
        sights = watchers()
        if (sights or not (watch.is_busy() or _is_known(args[0]))) and not _on_pythons_behalf():
            _opened(sights, *args)
    elif event in LISTINGS:
        sights = watchers()
        if sights and not _on_pythons_behalf():
            _listed(sights, args[0])
    elif event in OUTSIDE:
        for sight in watchers():
            sight.unpure.add(OUTSIDE[event])
            if OUTSIDE[event] == "subprocess":
                sight.gap = sight.gap or "a process was started"
    elif event == "object.__setattr__":
        if args[1] == "__code__" and not watch.is_busy():
            for changed in tuple(code_exchanged):
                changed()
    elif event == "sqlite3.connect":
        sights = watchers()
        if sights:
            _opened(sights, args[0], "r", os.O_RDONLY)


def _is_known(path: Any) -> bool:
    return isinstance(path, int) or inputs.is_known(path)


def _opened(sights: Any, path: Any, mode: Any, flags: Any) -> None:
    absolute = _absolute(path)
    if absolute is None or not is_input(absolute):
        return
    _note_folder(sights, path)
    writes = bool(flags & WRITES) if isinstance(flags, int) else bool(mode and set(mode) & set("wax+"))
    fresh = bool(flags & os.O_TRUNC or flags & os.O_WRONLY) if isinstance(flags, int) else mode[:1] in ("w", "x")
    if not writes:
        inputs.note_file(absolute, stat_signature(absolute))
    for sight in sights:
        if absolute in sight.written:
            continue
        if not (writes and fresh):
            sight.files.setdefault(absolute, stat_signature(absolute))
        if writes:
            sight.written.add(absolute)


def _listed(sights: Any, path: Any) -> None:
    absolute = _absolute("." if path is None else path)
    if absolute is not None and is_input(absolute + os.sep):
        _note_folder(sights, "." if path is None else path)
        for sight in sights:
            sight.directories.setdefault(absolute, stat_signature(absolute))


def _note_folder(sights: Any, path: Any) -> None:
    """A relative path means another file where the working folder is another."""
    if not isinstance(path, int) and not os.path.isabs(path):
        for sight in sights:
            sight.folder = sight.folder or os.getcwd()


def _absolute(path: Any) -> str | None:
    if isinstance(path, int):  # a file descriptor: whoever opened it was seen doing so
        return None
    try:
        text = os.fsdecode(path)
        return os.path.abspath(text) if text and text != ":memory:" else None
    except (TypeError, ValueError, OSError):
        return None


def is_ours(frame: Any) -> bool:
    """Whether `frame` belongs to hitsave or the import system, or to `os` doing something for them."""
    while frame is not None and frame.f_code.co_filename in _OS:
        frame = frame.f_back
    return frame is not None and frame.f_code.co_filename.startswith(("<frozen importlib", _OURS))


def _is_import(frame: Any) -> bool:
    name: str = frame.f_code.co_filename
    return name.startswith(("<frozen importlib", _OURS))


def _on_pythons_behalf() -> bool:
    """Whether Python itself reads: source to import it, or to print a line of it in a traceback or warning."""
    frame = sys._getframe(2)
    name = frame.f_code.co_filename
    if name.startswith("<frozen importlib"):
        asker = frame.f_back
        while asker is not None and asker.f_code.co_filename in _OS:
            asker = asker.f_back
        # A loader that is asked for data reads for whoever asks; to import, it asks itself.
        return frame.f_code.co_name != "get_data" or asker is None or _is_import(asker)
    if name.startswith(_OURS):
        return True
    if os.path.basename(name) not in ("tokenize.py", "linecache.py"):
        return False
    while frame.f_back is not None:
        frame = frame.f_back
        if os.path.basename(frame.f_code.co_filename) in ("traceback.py", "warnings.py", "logging.py"):
            return True
    return False


def changed_since(sight: Sight) -> str:
    """A file that was read and has changed while the evaluation ran, "" if none."""
    for seen in (sight.files, sight.stats, sight.existence):
        for path, signature in seen.items():
            if path not in sight.written and stat_signature(path) != signature:
                return path
    return ""
