"""`hitsave run`: a script or module, run as Python would run it, with the import hook in place.

What the program prints, its exit code, its arguments and its tracebacks are its own: no line and no frame of ours.
This module is on the way of every such start, so it imports nothing that isn't needed for it.
"""

from __future__ import annotations

import os
import sys

from hitsave.errors import UsageError
from hitsave.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from hitsave.cli.output import Output
    from hitsave.importhook.hook import Hook

OPTIONS_WITH_VALUE = frozenset(("--mode", "--dir", "--root", "--memo", "--experiment"))


class Program(Record):
    """What to run: a module's name or a script's path, and its arguments."""

    target: str
    is_module: bool
    args: tuple[str, ...]

    def check(self) -> None:
        """Raises `UsageError` for a script that isn't there; everything else is for Python to report."""
        if not self.is_module and not os.path.exists(self.target):
            raise UsageError(f"can't open {self.target!r}: no such file", hint=_other_scripts(self.target))

    @property
    def place(self) -> str:
        """Where its project is looked for."""
        return os.getcwd() if self.is_module else os.path.abspath(self.target)

    def words(self) -> list[str]:
        """Itself on a command line."""
        return [*(["-m"] if self.is_module else []), self.target, *self.args]


def add_run(parser: argparse.ArgumentParser) -> None:
    """Options of `hitsave run`; all that follows the script or module is the program's."""
    parser.usage = "hitsave run [options] SCRIPT [ARGS ...]\n       hitsave run [options] -m MODULE [ARGS ...]"
    parser.add_argument("--mode", choices=("on", "off", "refresh", "readonly"), help="how stored results are used")
    parser.add_argument("--stats", action="store_true", help="print to stderr what was reused and the time it saved")
    parser.add_argument("--live", action="store_true", help="run again after each edit that reaches what is stored")
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


def split(args: Sequence[str]) -> tuple[list[str], Program | None]:
    """Our part of the command line, and the program with its own, which argparse would take for ours."""
    index = 1
    while index < len(args):
        word, rest = args[index], tuple(args[index + 1 :])
        if word == "-m":
            if not rest:
                return [*args[:index], ""], None
            return [*args[:index], rest[0]], Program(rest[0], True, rest[1:])
        if word.startswith("-m") and not word.startswith("--") and len(word) > 2:
            return [*args[:index], word[2:]], Program(word[2:], True, rest)
        if word == "--" and rest:
            return [*args[:index], rest[0]], Program(rest[0], False, rest[1:])
        if not word.startswith("-"):
            return [*args[: index + 1]], Program(word, False, rest)
        index += 2 if word in OPTIONS_WITH_VALUE else 1
    return list(args), None


def run_plainly(program: Program) -> int:
    """Run without options."""
    return _run(program, _installed(program.place))


def run(options: argparse.Namespace, output: Output) -> int:
    """Run the program. What it raises, `SystemExit` too, goes on its way as under plain Python."""
    program: Program = options.program
    if options.mode:
        os.environ["HITSAVE_MODE"] = options.mode
    if options.live:
        from hitsave.cli.rerun import run_after_edits

        return run_after_edits(options, output)
    hook = _installed(options.root or program.place)
    if options.memo or options.experiment:
        hook.instrument(memo=options.memo, experiment=options.experiment)
    if options.stats or options.json:
        _report_at_exit(as_json=options.json)
    return _run(program, hook)


def _installed(place: str) -> Hook:
    from hitsave.importhook import install_import_hook
    from hitsave.importhook.multiproc import share_with_children
    from hitsave.project import find_project

    hook = install_import_hook(find_project(place).root)
    share_with_children(hook)
    return hook


def _run(program: Program, hook: Hook) -> int:
    from hitsave.importhook.main import run_module, run_path

    (run_module if program.is_module else run_path)(program.target, program.args, hook)
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


def _other_scripts(target: str) -> str:
    folder = os.path.dirname(target) or "."
    if not os.path.isdir(folder):
        return f"There is no folder {folder!r} either."
    scripts = sorted(name for name in os.listdir(folder) if name.endswith(".py"))
    return f"In {folder!r} there are: {', '.join(scripts[:8])}" if scripts else f"{folder!r} holds no Python file."
