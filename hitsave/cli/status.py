"""`hitsave status`: what the next run would compute again, why, and how long that took last time. Runs nothing."""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from hitsave.cli.choose import entry_id, matches
from hitsave.cli.entries import time_covered
from hitsave.cli.judge import Judge, open_judge
from hitsave.cli.output import Output, time_text
from hitsave.digest import Digest
from hitsave.evaluation import Evaluation
from hitsave.explain.standing import FRESH, SPARED, Standing
from hitsave.explain.text import change_text, short
from hitsave.symbol import Symbol

STALE_EXIT = 3
CAUSES = 3


@dataclass
class Row:
    """One memoised function: its results, how they stand, and why some are stale.

    `older` are results of older code that nobody asked for since newer code ran: a run is not expected to compute them.
    """

    symbol: Symbol
    fresh: int = 0
    spared: int = 0
    older: int = 0
    stale: list[Evaluation] = field(default_factory=list)
    causes: list[str] = field(default_factory=list)

    @property
    def results(self) -> int:
        """How many different calls have a result."""
        return self.fresh + self.spared + self.older + len(self.stale)

    @property
    def recompute_s(self) -> float:
        """How long the stale results took to compute."""
        return time_covered(self.stale)

    def as_dict(self) -> dict[str, Any]:
        """The row for JSON."""
        return {
            "symbol": self.symbol,
            "results": self.results,
            "fresh": self.fresh,
            "spared": self.spared,
            "older": self.older,
            "stale": len(self.stale),
            "recompute_s": self.recompute_s,
            "causes": self.causes,
            "stale_results": [
                {"id": entry_id(entry), "call": entry.title, "elapsed_s": entry.elapsed_s} for entry in self.stale
            ],
        }


def add_status(parser: argparse.ArgumentParser) -> None:
    """Options of `hitsave status`."""
    parser.add_argument("names", nargs="*", metavar="GLOB", help="only these functions (name or glob)")
    parser.add_argument("--check", action="store_true", help=f"exit with {STALE_EXIT} if something is stale")


def status(options: argparse.Namespace, output: Output) -> int:
    """Judge every stored result of the project's memoised functions against the files."""
    with open_judge(options) as judge:
        rows = rows_of(judge, options.names)
        broken = {judge.place.project.relative(path): error for path, error in judge.files.unparsable.items()}
    stale = sum(len(row.stale) for row in rows)
    output.emit(
        {
            "functions": [row.as_dict() for row in rows],
            "stale": stale,
            "recompute_s": time_covered(entry for row in rows for entry in row.stale),
            "unparsable": sorted(broken),
        }
    )
    print_rows(rows, output)
    for path, error in sorted(broken.items()):
        output.warn(f"{path}:{error.lineno}: {error.msg}; what depends on this file can't be judged")
    return STALE_EXIT if options.check and stale else 0


def rows_of(judge: Judge, names: Iterable[str] = ()) -> list[Row]:
    """A row for each memoised function of the project, or for those that `names` mean."""
    return [_row(name, judge) for name in judge.symbols() if _wanted(name, names)]


def _wanted(name: Symbol, patterns: Iterable[str]) -> bool:
    patterns = list(patterns)
    return not patterns or any(matches(name, pattern) for pattern in patterns)


def _row(name: Symbol, judge: Judge) -> Row:
    row = Row(name)
    entries = judge.entries(name)
    latest = _latest_code(entries)
    groups: dict[Digest, list[Evaluation]] = defaultdict(list)
    for entry in entries:
        groups[entry.key.arguments].append(entry)
    for group in groups.values():
        states = {judge.standings.of(entry).state for entry in group}
        if FRESH in states:
            row.fresh += 1
        elif SPARED in states:
            row.spared += 1
        elif newest := [entry for entry in group if entry.key.fingerprint in latest]:
            row.stale.append(max(newest, key=lambda entry: entry.started))
        else:
            row.older += 1
    row.causes = _causes(row.stale, judge)
    return row


def _latest_code(entries: Iterable[Evaluation]) -> set[str]:
    """The fingerprints under which the function ran last: one for each set of code that came in with arguments."""
    last: dict[tuple[Symbol, ...], float] = {}
    for entry in entries:
        carried = entry.observed.carried
        last[carried] = max(last.get(carried, 0.0), entry.started)
    # What was taken over under new code keeps the time of the run that made it, so several may be the last.
    times: dict[tuple[tuple[Symbol, ...], str], float] = defaultdict(float)
    for entry in entries:
        group = (entry.observed.carried, entry.key.fingerprint)
        times[group] = max(times[group], entry.started)
    return {fingerprint for (carried, fingerprint), started in times.items() if started == last[carried]}


def _causes(stale: Iterable[Evaluation], judge: Judge) -> list[str]:
    """What made these stale, each cause once."""
    found: dict[str, None] = {}
    told: set[object] = set()
    for entry in stale:
        standing = judge.standings.of(entry)
        reason = (entry.key.fingerprint, standing)
        if reason not in told:
            told.add(reason)
            found.update(dict.fromkeys(_cause(entry, standing, judge)))
    return list(found)


def _cause(entry: Evaluation, standing: Standing, judge: Judge) -> list[str]:
    if standing.condition:
        return [f"{standing.condition} changed"]
    if standing.via is not None:
        return [f"via {short(standing.via)} (may stop there)"]
    explanation = judge.explain(entry)
    return [change_text(change, explanation) for change in explanation.changes] or ["the code that made it wasn't kept"]


def print_rows(rows: list[Row], output: Output) -> None:
    """Print the table and its summary."""
    if not rows:
        output.remark("no memoised functions here: decorate one with @memo or @experiment")
        return
    columns = ["FUNCTION", "RESULTS", "FRESH", "SPARED", "STALE", "OLDER", "RECOMPUTE", "CAUSE"]
    table = [
        [
            short(row.symbol),
            str(row.results),
            str(row.fresh),
            str(row.spared),
            str(len(row.stale)),
            str(row.older),
            time_text(row.recompute_s) if row.stale else "–",
            _shortened(row.causes),
        ]
        for row in rows
    ]
    older = sum(row.older for row in rows)
    if not older:
        for line in (columns, *table):
            del line[5]
    output.table(columns, table)
    stale, total = sum(len(row.stale) for row in rows), sum(row.results for row in rows)
    spared = sum(row.spared for row in rows)
    said = f"{stale} stale of {total}"
    if spared:
        said += f", {spared} untouched by the edits"
    if older:
        said += f", {older} of older code that no run asked for since"
    if stale:
        whole = time_covered(entry for row in rows for entry in row.stale)
        said += f" · about {time_text(whole)} if everything reruns"
        worst = max(rows, key=lambda row: row.recompute_s)
        said += f" · hitsave why {short(worst.symbol)}"
    output.remark(said)


def _shortened(causes: list[str]) -> str:
    more = f" and {len(causes) - CAUSES} more" if len(causes) > CAUSES else ""
    return "; ".join(causes[:CAUSES]) + more
