"""`run_path` and `run_module`: what `python script.py` and `python -m module` do, with the hook installed first.

The program finds everything as Python would have left it: `sys.argv`, `sys.path[0]`, a fresh `__main__` with the names
that Python gives it, exit codes, `SystemExit`, a traceback that starts at its own first frame. Only the bytes it is
executed from are on record, and its decorators have their sites.

Not the same: `sys.orig_argv`, `sys.flags` of options that aren't ours to pass on, and that `hitsave` is imported.
"""

from __future__ import annotations

import os
import sys
from _frozen_importlib_external import SourceFileLoader, SourcelessFileLoader

from hitsave.importhook.hook import Hook
from hitsave.importhook.loader import script_code

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType, FrameType, ModuleType, TracebackType
    from typing import Any


def run_path(script: str, args: Sequence[str], hook: Hook) -> None:
    """Run a file, a folder or zip file with a `__main__.py`, or a `.pyc`, as `python SCRIPT ARGS…` does."""
    sys.argv[:] = [script, *args]
    if os.path.isdir(script) or _is_archive(script):
        _set_first_path(os.path.join(os.getcwd(), script))
        _run_as_main("__main__", alter_argv=False)
        return
    path = os.path.join(os.getcwd(), script)
    if not os.path.exists(path):
        sys.stderr.write(f"{sys.executable}: can't open file {path!r}: [Errno 2] No such file or directory\n")
        raise SystemExit(2)
    _set_first_path(os.path.dirname(os.path.realpath(script)))
    compiled = path.endswith(".pyc")
    loader = (SourcelessFileLoader if compiled else SourceFileLoader)("__main__", path)
    main = _fresh_main(__doc__=None, __package__=None, __loader__=loader, __spec__=None, __file__=path, __cached__=None)
    with _OwnFrames(main):
        code = _read_bytecode(path) if compiled else script_code(hook, path)
        exec(code, main.__dict__)


def run_module(name: str, args: Sequence[str], hook: Hook) -> None:
    """Run a module or package, as `python -m NAME ARGS…` does."""
    del hook  # it is in sys.meta_path: runpy meets our loader there
    sys.argv[:] = ["-m", *args]
    _set_first_path(os.getcwd())
    _run_as_main(name, alter_argv=True)


def _run_as_main(name: str, *, alter_argv: bool) -> None:
    """Run a module in a fresh `__main__` by the very function that `python -m` calls."""
    import runpy

    run: Any = vars(runpy)["_run_module_as_main"]
    with _OwnFrames(_fresh_main(), run.__code__.co_filename):
        run(name, alter_argv)


def _read_bytecode(path: str) -> CodeType:
    from pkgutil import read_code

    with open(path, "rb") as file:
        code: CodeType | None = read_code(file)
    if code is None:
        raise RuntimeError("Bad magic number in .pyc file")  # Python's own words
    return code


_started_from: list[ModuleType] = []


def _fresh_main(**names: object) -> ModuleType:
    """A new `__main__` in `sys.modules`, holding what Python puts there before a program starts."""
    import builtins

    main = type(sys)("__main__")
    namespace = main.__dict__
    if sys.version_info < (3, 14):  # then annotations became lazy
        namespace["__annotations__"] = {}
    namespace["__builtins__"] = builtins
    namespace.update(names)
    # Python itself goes on using the dictionary of the `__main__` it started with, without owning it.
    _started_from.append(sys.modules["__main__"])
    sys.modules["__main__"] = main
    return main


def _set_first_path(folder: str) -> None:
    """Put `folder` where Python had put its own idea of it, unless it was told not to (`-P`, `-I`)."""
    if getattr(sys.flags, "safe_path", False) or sys.flags.isolated:
        return
    sys.path[:1] = [folder]


def _is_archive(path: str) -> bool:
    if not os.path.isfile(path) or path.endswith((".py", ".pyc")):
        return False
    from zipfile import is_zipfile

    return is_zipfile(path)


class _OwnFrames:
    """Sees to it that an uncaught exception is shown from the program's first frame on, not from ours.

    The exception itself goes on its way: exit codes, `KeyboardInterrupt`, `sys.last_exc` and the program's own
    `sys.excepthook` are Python's business.
    """

    def __init__(self, main: ModuleType, starter: str = "") -> None:
        self._namespace = main.__dict__
        self._starter = starter  # the file of what starts a module under plain Python, and is shown there too

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is None or isinstance(error, SystemExit):
            return
        show = sys.excepthook

        def show_own_frames(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
            own = traceback
            while own is not None and not self._is_own(own.tb_frame):
                own = own.tb_next
            error.__traceback__ = sys.last_traceback = own
            show(kind, error, own)

        sys.excepthook = show_own_frames

    def _is_own(self, frame: FrameType) -> bool:
        return frame.f_globals is self._namespace or frame.f_code.co_filename == self._starter
