"""`hitsave verify`: compute stored results again and compare. It finds functions that aren't what they seem."""

from __future__ import annotations

import argparse
import random

from hitsave.cli.choose import entry_id, find_entries
from hitsave.cli.judge import open_judge
from hitsave.cli.output import Output
from hitsave.cli.recompute import repeat


def add_verify(parser: argparse.ArgumentParser) -> None:
    """Options of `hitsave verify`."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="functions (name or glob) or ids; default: all")
    parser.add_argument("--sample", type=int, metavar="N", help="only N of them, chosen at random")
    parser.add_argument("--remove", action="store_true", help="remove results that came out differently")
    parser.epilog = "This imports and runs your code. Only results that the next call would reuse are verified."


def verify(options: argparse.Namespace, output: Output) -> int:
    """Repeat the calls, print what differs; 1 if anything does."""
    with open_judge(options) as judge:
        symbols = judge.symbols()
        entries = find_entries(options.names, (entry for name in symbols for entry in judge.entries(name)))
        standing = [entry for entry in entries if judge.standings.of(entry).holds]
        if options.sample is not None and options.sample < len(standing):
            standing = random.sample(standing, options.sample)
        repeated = [repeat(entry, judge.place) for entry in standing]
        different = [each for each in repeated if each.outcome == "different"]
        if options.remove:
            for each in different:
                judge.place.store.remove(each.evaluation)
    output.emit(
        [
            {
                "id": entry_id(each.evaluation),
                "symbol": each.evaluation.key.symbol,
                "call": each.evaluation.title,
                "outcome": each.outcome,
                "reason": each.reason,
            }
            for each in repeated
        ]
    )
    for each in repeated:
        if each.outcome != "same":
            output.line(f"{each.outcome:<9}  {each.evaluation.title}: {each.reason}")
    skipped = sum(each.outcome == "skipped" for each in repeated)
    same = len(repeated) - len(different) - skipped
    removed = " and removed" if options.remove and different else ""
    output.remark(f"{same} the same, {len(different)} different{removed}, {skipped} skipped")
    return 1 if different else 0
