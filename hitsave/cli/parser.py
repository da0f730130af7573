"""The parser of the command line, and the table of its commands."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable
from typing import Any, NoReturn

from hitsave.cli.codes import USAGE
from hitsave.version import __version__

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
    "clean": ("collecting", "remove the bytecode that the import hook keeps in __pycache__"),
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

EPILOG = "exit codes: 0 ok, 1 error, 2 wrong usage, 3 something is stale (status --check)"


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints end with a way on."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where help is; exit with 2."""
        self.exit(USAGE, f"hitsave: error: {message}\n  hint: see `{self.prog} --help`\n")


def build_parser(only: str | None = None) -> Parser:
    """The parser for every command; with `only` for that one ("": for none, but all are listed with their help)."""
    parser = Parser(
        prog="hitsave",
        description="Compute once: results are kept until the code and data that made them change.",
        epilog=EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"hitsave {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    for name, (module, description) in COMMANDS.items():
        if only and name != only:
            continue  # a parser for each costs `run` more than finding its script
        sub = commands.add_parser(name, help=description, description=_sentence(description), epilog=EPILOG)
        if only is None or only == name:
            _add_common(sub)
            function(module, f"add_{name}")(sub)
    return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("-q", "--quiet", action="store_true", help="print only what was asked for, no remarks")
    parser.add_argument("--dir", metavar="PATH", help="the cache directory (default: HITSAVE_DIR, settings, platform)")
    parser.add_argument("--root", metavar="PATH", help="a folder of the project (default: the current one)")


def function(module: str, name: str) -> Callable[..., Any]:
    """A function of one of the commands' modules, which is imported for it."""
    found: Callable[..., Any] = getattr(importlib.import_module(f"hitsave.cli.{module}"), name)
    return found


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."
