"""`hitsave run`: a script or module, run as Python would run it, with the import hook in place.

What the program prints, its exit code, its arguments and its tracebacks are its own: no line and no frame of ours.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from types import TracebackType

from hitsave.cli.output import Output
from hitsave.errors import UsageError

OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
OPTIONS_WITH_VALUE = frozenset(("--mode", "--refresh", "--dir", "--root", "--memo", "--experiment"))


def add_run(parser: argparse.ArgumentParser) -> None:
    """Options of `hitsave run`; all that follows the script or module is the program's."""
    parser.usage = "hitsave run [options] SCRIPT [ARGS ...]\n       hitsave run [options] -m MODULE [ARGS ...]"
    parser.add_argument("--mode", choices=("on", "off", "refresh", "readonly"), help="how stored results are used")
    parser.add_argument("--stats", action="store_true", help="print to stderr what was reused and the time it saved")
    parser.add_argument("target", metavar="SCRIPT | -m MODULE", help="the program, and its arguments")
    parser.epilog = (
        "--json prints the figures of --stats to stderr as one line of JSON. The exit code is the program's."
    )


def split(args: Sequence[str]) -> tuple[list[str], tuple[bool, str, list[str]] | None]:
    """`(our part of the command line, (is a module, target, the program's arguments))`.

    argparse would take the program's `--options` for ours.
    """
    index = 1
    while index < len(args):
        word = args[index]
        if word == "-m":
            if index + 1 == len(args):
                return [*args[:index], ""], None
            return [*args[:index], args[index + 1]], (True, args[index + 1], list(args[index + 2 :]))
        if word.startswith("-m") and not word.startswith("--") and len(word) > 2:
            return [*args[:index], word[2:]], (True, word[2:], list(args[index + 1 :]))
        if word == "--" and index + 1 < len(args):
            return [*args[:index], args[index + 1]], (False, args[index + 1], list(args[index + 2 :]))
        if not word.startswith("-"):
            return [*args[: index + 1]], (False, word, list(args[index + 1 :]))
        index += 2 if word in OPTIONS_WITH_VALUE else 1
    return list(args), None


def run(options: argparse.Namespace, output: Output) -> int:
    """Run the program; its exit code."""
    if options.program is None:
        raise UsageError("-m needs a module", hint="hitsave run -m MODULE [ARGS ...]")
    is_module, target, args = options.program
    if not is_module and not os.path.exists(target):
        raise UsageError(f"can't open {target!r}: no such file", hint=_other_scripts(target))
    if options.mode:
        os.environ["HITSAVE_MODE"] = options.mode
    from hitsave.importhook.program import run_module, run_path

    try:
        (run_module if is_module else run_path)(target, args)
    except SystemExit:
        raise  # Python prints the message, or exits with the code, as for the bare program
    except BaseException as error:  # noqa: BLE001 - every exception of the program is reported as Python would
        return _report(error)
    return 0


def _report(error: BaseException) -> int:
    """Print the program's traceback without our frames, through the program's own `sys.excepthook`; the exit code."""
    error.__traceback__ = _without_ours(error.__traceback__)
    if error.__context__ is not None:
        error.__context__.__traceback__ = _without_ours(error.__context__.__traceback__)
    sys.excepthook(type(error), error, error.__traceback__)
    if isinstance(error, KeyboardInterrupt):
        # Die by the signal, as Python does, so that a shell loop around us stops too.
        sys.stdout.flush()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    return 1


def _without_ours(traceback: TracebackType | None) -> TracebackType | None:
    while traceback is not None and _is_ours(traceback.tb_frame.f_code.co_filename):
        traceback = traceback.tb_next
    return traceback


def _is_ours(filename: str) -> bool:
    return filename.startswith((OURS, "<frozen runpy>", "<frozen importlib")) or filename.endswith(
        (f"{os.sep}runpy.py", f"importlib{os.sep}__init__.py")
    )


def _other_scripts(target: str) -> str:
    folder = os.path.dirname(target) or "."
    if not os.path.isdir(folder):
        return f"There is no folder {folder!r} either."
    scripts = sorted(name for name in os.listdir(folder) if name.endswith(".py"))
    return f"In {folder!r} there are: {', '.join(scripts[:8])}" if scripts else f"{folder!r} holds no Python file."
