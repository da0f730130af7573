"""`hitsave run`: a script or module, run as Python would run it, with the import hook in place.

What the program prints, its exit code, its arguments and its tracebacks are its own: no line and no frame of ours.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from hitsave.cli.output import Output
from hitsave.errors import UsageError

OPTIONS_WITH_VALUE = frozenset(("--mode", "--refresh", "--dir", "--root", "--memo", "--experiment"))


def add_run(parser: argparse.ArgumentParser) -> None:
    """Options of `hitsave run`; all that follows the script or module is the program's."""
    parser.usage = "hitsave run [options] SCRIPT [ARGS ...]\n       hitsave run [options] -m MODULE [ARGS ...]"
    parser.add_argument("--mode", choices=("on", "off", "refresh", "readonly"), help="how stored results are used")
    parser.add_argument("--stats", action="store_true", help="print to stderr what was reused and the time it saved")
    parser.add_argument(
        "--memo",
        action="append",
        default=[],
        metavar="PATTERN",
        help="memoise functions without decorator: pkg.etl:load_*",
    )
    parser.add_argument("--experiment", action="append", default=[], metavar="PATTERN", help="likewise as experiments")
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
    """Run the program. What it raises, `SystemExit` too, goes on its way as under plain Python."""
    is_module, target, args = options.program
    for setting in ("mode", "refresh"):
        if getattr(options, setting, None):
            os.environ[f"HITSAVE_{setting.upper()}"] = getattr(options, setting)
    from hitsave.importhook import install_import_hook
    from hitsave.importhook.main import run_module, run_path
    from hitsave.importhook.multiproc import share_with_children
    from hitsave.project import find_project

    hook = install_import_hook(find_project(options.root or _place_of(is_module, target)).root)
    if options.memo or options.experiment:
        hook.instrument(memo=options.memo, experiment=options.experiment)
    share_with_children(hook)
    if options.stats or options.json:
        _report_at_exit(as_json=options.json)
    (run_module if is_module else run_path)(target, args, hook)
    return 0


def _report_at_exit(*, as_json: bool) -> None:
    import atexit

    def say() -> None:
        from hitsave.reporting import report

        found = report()
        if as_json:
            import json

            sys.stderr.write(json.dumps(found.as_dict()) + "\n")
        else:
            sys.stderr.write(f"{found}\n")

    atexit.register(say)


def check_program(options: argparse.Namespace) -> None:
    """Raises `UsageError` for a program that isn't there; its own errors are for Python to report."""
    if options.program is None:
        raise UsageError("-m needs a module", hint="hitsave run -m MODULE [ARGS ...]")
    is_module, target, _ = options.program
    if not is_module and not os.path.exists(target):
        raise UsageError(f"can't open {target!r}: no such file", hint=_other_scripts(target))


def _place_of(is_module: bool, target: str) -> str:
    return os.getcwd() if is_module else os.path.abspath(target)


def _other_scripts(target: str) -> str:
    folder = os.path.dirname(target) or "."
    if not os.path.isdir(folder):
        return f"There is no folder {folder!r} either."
    scripts = sorted(name for name in os.listdir(folder) if name.endswith(".py"))
    return f"In {folder!r} there are: {', '.join(scripts[:8])}" if scripts else f"{folder!r} holds no Python file."
