"""The entry point: find the command, parse its options, turn errors into messages and exit codes.

`hitsave run SCRIPT` must start as fast as Python does, so the way there imports next to nothing: no parser, unless
there are options to parse, and the module of no other command.
"""

from __future__ import annotations

import os
import sys

from hitsave.cli.codes import ERROR, INTERRUPTED, OK, USAGE
from hitsave.errors import HitSaveError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from hitsave.cli.output import Output
    from hitsave.cli.run import Program

# Commands that run a program: what follows its name is the program's.
PROGRAMS = ("run", "audit")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    program = None
    if args and args[0] in PROGRAMS:
        from hitsave.cli.run import run_plainly, split

        args, program = split(args)
        if program is not None and args == ["run", program.target]:
            # The run is not guarded: an exception of the program is not ours to handle.
            return _check(program) or run_plainly(program)
    return _run_command(args, program)


def _run_command(args: list[str], program: Program | None) -> int:
    from hitsave.cli.output import Output
    from hitsave.cli.parser import COMMANDS, build_parser, function

    parser = build_parser(args[0] if args and args[0] in COMMANDS else "")
    try:
        options: argparse.Namespace = parser.parse_args(args)
    except SystemExit as stop:
        return int(stop.code or 0)
    if options.command is None:
        parser.print_help()
        return USAGE
    output = Output(json=options.json, quiet=options.quiet)
    if options.dir:
        os.environ["HITSAVE_DIR"] = os.path.abspath(options.dir)
    command = function(COMMANDS[options.command][0], options.command)
    if options.command not in PROGRAMS:
        return _guarded(lambda: int(command(options, output)), output)
    if program is None:
        usage = UsageError("-m needs a module", hint=f"hitsave {options.command} -m MODULE [ARGS ...]")
        output.error(usage)
        return USAGE
    options.program = program
    return _check(program, output) or int(command(options, output))


def _check(program: Program, output: Output | None = None) -> int:
    def work() -> int:
        program.check()
        return OK

    return _guarded(work, output)


def _guarded(work: Callable[[], int], output: Output | None = None) -> int:
    """The exit code of `work`; what it raises on our own behalf is printed."""
    try:
        code = work()
        sys.stdout.flush()
        return code
    except HitSaveError as error:
        _say(error, output)
        return USAGE if isinstance(error, UsageError) else ERROR
    except OSError as error:
        if isinstance(error, BrokenPipeError):  # `hitsave ls | head`: the reader has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return OK
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        hint = "`hitsave doctor` says what is wrong with the cache or the settings."
        _say(HitSaveError(what, hint=hint), output)
        return ERROR
    except KeyboardInterrupt:
        return INTERRUPTED


def _say(error: HitSaveError, output: Output | None) -> None:
    if output is None:
        from hitsave.cli.output import Output

        output = Output()
    output.error(error)
