"""docs/cli.md, written from the parser: `python -m hitsave.cli.manual docs/cli.md`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from hitsave.cli.parser import COMMANDS, build_parser

HEAD = """# Command line

<!-- Written by `python -m hitsave.cli.manual docs/cli.md`; a test compares the two. -->

`hitsave COMMAND` and `python -m hitsave COMMAND` are the same. Exit codes: 0 ok, 1 error, 2 wrong usage, 3 something is
stale (`status --check`); `hitsave run` ends with the program's own. On a terminal output is laid out and coloured
(`NO_COLOR` is obeyed), in a pipe it is plain text, and with `--json` it is JSON, errors included.

Every command takes `--json`, `-q`/`--quiet`, `--dir PATH` (the cache directory) and `--root PATH` (a folder of the
project).
"""
COMMON = frozenset(("--help", "--json", "--quiet", "--dir", "--root"))


def manual() -> str:
    """The page, as Markdown."""
    return "\n".join([HEAD, *_sections()])


def _sections() -> Iterator[str]:
    parser = build_parser()
    subparsers = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    for name in COMMANDS:
        command: argparse.ArgumentParser = subparsers.choices[name]
        yield f"## hitsave {name}\n"
        yield f"{command.description}\n"
        own = [action for action in command._actions if not COMMON & set(action.option_strings)]
        if own:
            yield "| argument | means |\n|---|---|"
            yield from (f"| `{_spelling(action)}` | {_meaning(action)} |" for action in own)
            yield ""
        if command.epilog and command.epilog != parser.epilog:
            yield f"{command.epilog}\n"


def _spelling(action: argparse.Action) -> str:
    metavar = action.metavar or (action.dest.upper() if action.option_strings else action.dest)
    value = "" if action.nargs == 0 else str(metavar)
    if action.choices:
        value = "{" + ",".join(map(str, action.choices)) + "}"
    if action.nargs in ("*", "+"):
        value += " ..."
    spelling = f"{', '.join(action.option_strings)} {value}".strip()
    return spelling.replace("|", "\\|")


def _meaning(action: argparse.Action) -> str:
    # Python 3.10 adds the default to what a switch with two names says.
    return (action.help or "").removesuffix(" (default: %(default)s)").replace("|", "\\|")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(manual(), encoding="utf-8")
