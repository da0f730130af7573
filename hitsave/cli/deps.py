"""`hitsave deps`: what a symbol depends on, read from the files; nothing is imported or run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from hitsave.cli.choose import one_symbol
from hitsave.cli.files import Files
from hitsave.cli.judge import Judge, open_judge
from hitsave.cli.output import Output
from hitsave.errors import UnknownSymbol, UsageError
from hitsave.explain.drawing import dependency_graph
from hitsave.explain.graph import Graph, to_dot, to_mermaid, to_svg, tree_text
from hitsave.symbol import Symbol, module_of

PICTURES: dict[str, Callable[[Graph], str]] = {"svg": to_svg, "dot": to_dot, "mermaid": to_mermaid, "tree": tree_text}


def add_deps(parser: argparse.ArgumentParser) -> None:
    """Options of `hitsave deps`."""
    parser.add_argument(
        "symbol", metavar="SYMBOL", help="pkg.mod:Class.method, pkg.mod:NAME, pkg.mod:<module>, or a name"
    )
    parser.add_argument("--graph", choices=sorted(PICTURES), help="print a picture (default: tree)")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the picture to a file")
    parser.add_argument(
        "--reverse", action="store_true", help="what depends on the symbol instead, memoised functions first"
    )
    parser.add_argument(
        "--call", metavar="TEXT", help="draw pale what the newest stored call with this text did not run"
    )


def deps(options: argparse.Namespace, output: Output) -> int:
    """Print the dependencies of a symbol as a tree, a picture, or a JSON list of symbols."""
    with open_judge(options) as judge:
        symbol = resolve(options.symbol, judge.files)
        if options.reverse:
            return _reverse(symbol, judge, output)
        codebase = judge.files.codebase
        ran = _ran(symbol, options.call, judge) if options.call else None
        graph = dependency_graph(codebase, symbol, ran=ran)
        output.emit(sorted(codebase.depends(symbol)))
    picture = PICTURES[options.graph or "tree"](graph)
    if options.output:
        Path(options.output).write_text(picture + "\n", encoding="utf-8")
        output.remark(f"written to {options.output}")
        return 0
    output.line(picture)
    if not options.graph:
        packages = sorted(graph.packages)
        names = len(graph.nodes) - len(packages) - 1
        output.remark(
            f"{names} symbol{'' if names == 1 else 's'}" + (f", packages: {', '.join(packages)}" if packages else "")
        )
    return 0


def resolve(word: str, files: Files) -> Symbol:
    """The symbol that a word on the command line means. Raises `UnknownSymbol` with what comes near."""
    if ":" in word:
        head, _, tail = word.partition(":")
        module = head.removeprefix("./").removesuffix(".py").replace("/", ".") if head.endswith(".py") else head
        summary = files.find(module)
        symbol = Symbol(f"{summary.module if summary else module}:{tail}")
        if summary is not None and files.defines(symbol):
            return symbol
    _report_broken(word, files)
    try:
        return one_symbol(word, files.symbols(), what="symbol")
    except UsageError as error:
        raise UnknownSymbol(error.message, hint=error.hint) from None


def _report_broken(word: str, files: Files) -> None:
    """A module that doesn't parse defines nothing we could name: say that, not that the name is unknown."""
    for path, error in files.unparsable.items():
        if files.project.module_name(path) == module_of(Symbol(word)):
            where = files.project.relative(path)
            raise UnknownSymbol(f"{where}:{error.lineno}: {error.msg}", hint="Mend the file; it can't be analysed.")


def _ran(symbol: Symbol, text: str, judge: Judge) -> frozenset[Symbol]:
    entries = [entry for entry in judge.entries(symbol) if text in entry.title]
    if not entries:
        raise UsageError(f"no stored call of {symbol} contains {text!r}", hint="`hitsave ls` lists them.")
    newest = max(entries, key=lambda entry: entry.started)
    if not newest.observed.complete:
        raise UsageError(
            f"what {newest.title} ran isn't known: {newest.observed.incomplete_because}",
            hint="Results computed on Python 3.12 and later know it.",
        )
    return frozenset(newest.observed.ran)


def _reverse(symbol: Symbol, judge: Judge, output: Output) -> int:
    codebase = judge.files.codebase
    found = codebase.dependents([symbol], judge.files.symbols()) - {symbol}
    memoised = frozenset(judge.symbols())
    ordered = sorted(found, key=lambda name: (name not in memoised, name))
    output.emit(ordered)
    for name in ordered:
        output.line(f"{name}{'   (memoised)' if name in memoised else ''}")
    if not ordered:
        print(f"nothing in the project depends on {symbol}", file=sys.stderr)
    return 0
