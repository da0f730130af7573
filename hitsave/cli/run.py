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
    parser.epilog = "--json prints the figures of --stats to stderr as one line of JSON. The exit code is the program's."


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
