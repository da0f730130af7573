"""The entry point: find the command, parse its options, turn errors into messages and exit codes.

A command's module is imported only when it is asked for: `hitsave run` must start as fast as Python does, and
`hitsave ls` needs no server.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from hitsave.cli.output import Output
from hitsave.errors import HitSaveError, UsageError
from hitsave.version import __version__

OK, ERROR, USAGE, STALE = 0, 1, 2, 3
INTERRUPTED = 130  # 128 + SIGINT, as shells count

# name: (module, one line of help), in the order that `hitsave --help` shows them
COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("run", "run a script or module; its memoised functions reuse what is stored"),
    "status": ("status", "what would be recomputed, why, and how long it took last time; runs nothing"),
    "why": ("why", "why a function was computed, or would be: symbol path, diff, argument, file, package"),
    "deps": ("deps", "what a symbol depends on, as a tree, list or picture; runs nothing"),
    "watch": ("watch", "status after each saved edit: what it reaches, what stands, what would be computed"),
    "ls": ("entries", "list stored results"),
    "show": ("entries", "show one stored result and what it observed"),
    "rm": ("entries", "remove stored results"),
    "clear": ("entries", "remove every stored result"),
    "check": ("check", "places where analysis can't follow the code exactly, and how they are treated"),
    "audit": ("audit", "run a program and list project code that ran outside the static closure"),
    "verify": ("verify", "compute stored results again and compare"),
    "bless": ("bless", "keep results across an edit that you vouch for, with proof if you like"),
    "gc": ("collecting", "bring the cache within its limits: superseded results first, experiments never"),
    "push": ("team", "upload results to the team's server"),
    "pull": ("team", "download results from the team's server"),
    "sync": ("team", "download and upload"),
    "login": ("team", "keep an API key for a server, and use that server"),
    "logout": ("team", "forget the API key for a server"),
    "keygen": ("team", "make a team key, which signs results so that colleagues trust them"),
    "keys": ("team", "list, hand out, take in, forget or renew keys"),
    "snapshot": ("snapshot", "keep a file or directory by its content, share it, restore it"),
    "serve": ("serving", "run a server for the team: results, single flight, dashboard"),
    "dashboard": ("serving", "show the results in the local cache as web pages"),
    "config": ("settings", "show or change settings, and where each comes from"),
    "doctor": ("doctor", "check that hitsave can do its work here, and say what to mend"),
}

# Commands that run a program: what follows its name is the program's.
PROGRAMS = ("run", "audit")
EPILOG = "exit codes: 0 ok, 1 error, 2 wrong usage, 3 something is stale (status --check)"


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints end with a way on."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where help is; exit with 2."""
        self.exit(USAGE, f"hitsave: error: {message}\n  hint: see `{self.prog} --help`\n")


def build_parser(only: str | None = None) -> Parser:
    """The parser for every command, or for the command `only` with the others known by name."""
    parser = Parser(
        prog="hitsave",
        description="Compute once: results are kept until the code and data that made them change.",
        epilog=EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"hitsave {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    for name, (module, description) in COMMANDS.items():
        sub = commands.add_parser(name, help=description, description=_sentence(description), epilog=EPILOG)
        if only is None or only == name:
            _add_common(sub)
            _function(module, f"add_{name}")(sub)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    program = None
    name = next((word for word in args if not word.startswith("-")), None)
    known = name in COMMANDS and args.index(name) == 0
    if known and name in PROGRAMS:
        args, program = _function("run", "split")(args)
    parser = build_parser(name if known else "")
    try:
        options = parser.parse_args(args)
    except SystemExit as stop:
        return int(stop.code or 0)
    if options.command is None:
        parser.print_help()
        return USAGE
    output = Output(json=options.json, quiet=options.quiet)
    if options.dir:
        os.environ["HITSAVE_DIR"] = os.path.abspath(options.dir)
    command = _function(COMMANDS[options.command][0], options.command)
    if options.command in PROGRAMS:
        options.program = program
        code = _guarded(lambda: _function(options.command, "check_program")(options) or OK, output)
        # Not guarded: an exception of the program is not ours to handle.
        return code or int(command(options, output))
    return _guarded(lambda: command(options, output), output)


def _guarded(work: Callable[[], int], output: Output) -> int:
    """The exit code of `work`; what it raises on our own behalf is printed."""
    try:
        code = work()
        sys.stdout.flush()
        return code
    except HitSaveError as error:
        output.error(error)
        return USAGE if isinstance(error, UsageError) else ERROR
    except OSError as error:
        if isinstance(error, BrokenPipeError):  # `hitsave ls | head`: the reader has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return OK
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        output.error(HitSaveError(what, hint="`hitsave doctor` says what is wrong with the cache or the settings."))
        return ERROR
    except KeyboardInterrupt:
        return INTERRUPTED


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("-q", "--quiet", action="store_true", help="print only what was asked for, no remarks")
    parser.add_argument("--dir", metavar="PATH", help="the cache directory (default: HITSAVE_DIR, settings, platform)")
    parser.add_argument("--root", metavar="PATH", help="a folder of the project (default: the current one)")


def _function(module: str, name: str) -> Callable[..., Any]:
    found: Callable[..., Any] = getattr(importlib.import_module(f"hitsave.cli.{module}"), name)
    return found


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."
