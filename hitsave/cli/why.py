"""`hitsave why`: why a function was computed, would be computed, or is reused."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from hitsave.cli.choose import entry_id, one_symbol
from hitsave.cli.judge import Judge, open_judge
from hitsave.cli.output import Output
from hitsave.errors import UnknownSymbol, UsageError
from hitsave.evaluation import Evaluation
from hitsave.explain.record import Explanation
from hitsave.explain.standing import newest_that_holds
from hitsave.symbol import Symbol


def add_why(parser: argparse.ArgumentParser) -> None:
    """Options of `hitsave why`."""
    parser.add_argument("function", metavar="FUNCTION", help="a function, or the id of a result (from `hitsave ls`)")
    parser.add_argument(
        "--call", metavar="TEXT", help="the call that contains this text, such as 'n=3' (default: newest)"
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--all", action="store_true", help="every call of the function, not only the newest")
    which.add_argument("--last", action="store_true", help="the newest call (the default)")
    parser.add_argument(
        "--diff", action=argparse.BooleanOptionalAction, default=True, help="show what changed, line by line"
    )


def why(options: argparse.Namespace, output: Output) -> int:
    """Explain the newest call of a function (or the one asked for)."""
    with open_judge(options) as judge:
        explanations = list(_explanations(options, judge))
    output.emit([each.as_dict() for each in explanations] if options.all else explanations[0].as_dict())
    for each in explanations:
        output.diff(each.text(diff=options.diff))
    return 0


def _explanations(options: argparse.Namespace, judge: Judge) -> Iterable[Explanation]:
    symbols = judge.symbols()
    by_id = [
        entry
        for name in symbols
        for entry in judge.entries(name)
        if len(options.function) >= 6 and entry_id(entry).startswith(options.function)
    ]
    if by_id:
        return [judge.explain(by_id[0])]
    symbol = _symbol(options.function, symbols)
    entries = judge.entries(symbol)
    if options.call:
        entries = [entry for entry in entries if options.call in entry.title]
        if not entries:
            raise UsageError(f"no stored call of {symbol} contains {options.call!r}", hint="`hitsave ls` lists them.")
    if not entries:
        return [Explanation("new", symbol, "", pending=True)]
    calls: dict[str, list[Evaluation]] = {}
    # Newest by when it was finished: of a recursion, that is the outermost call.
    for entry in sorted(entries, key=lambda each: -(each.started + each.elapsed_s)):
        calls.setdefault(entry.key.arguments, []).append(entry)
    chosen = list(calls.values()) if options.all else [next(iter(calls.values()))]
    return [judge.explain(newest_that_holds(group, judge.standings) or group[0]) for group in chosen]


def _symbol(pattern: str, symbols: Iterable[Symbol]) -> Symbol:
    try:
        return one_symbol(pattern, symbols)
    except UsageError as error:
        raise UnknownSymbol(error.message, hint=error.hint) from None
