"""`hitsave check`: every place where analysis can't follow the code exactly, and how it is treated. Runs nothing."""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from hitsave.analysis.impurity import INTERPRETER, READER
from hitsave.cli.choose import matches
from hitsave.cli.judge import Judge, open_judge
from hitsave.cli.output import Output
from hitsave.record import Record
from hitsave.symbol import Symbol, module_of
from hitsave.version import __version__

IMPURE = "HS301"
HELP = "https://github.com/hitsave-io/hitsave/blob/main/docs/checks.md"


class Place(Record):
    """One finding: where it is, its code (see docs/checks.md), what it is, and what counts instead."""

    path: str
    line: int
    code: str
    reason: str
    treatment: str
    symbol: Symbol


def add_check(parser: argparse.ArgumentParser) -> None:
    """Options of `hitsave check`."""
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="only what these memoised functions reach (name or glob)"
    )
    parser.add_argument("--strict", action="store_true", help="exit with 1 if anything is found")
    parser.add_argument("--format", choices=("text", "github", "sarif"), default="text", help="how to print findings")


def check(options: argparse.Namespace, output: Output) -> int:
    """Print each finding once, with the memoised functions that reach it."""
    with open_judge(options) as judge:
        wanted = [
            name
            for name in judge.symbols()
            if judge.files.defines(name) and (not options.names or any(matches(name, word) for word in options.names))
        ]
        found = _find(wanted, judge)
        unparsable = sorted((judge.place.project.relative(p), e) for p, e in judge.files.unparsable.items())
    if output.json:
        output.emit([{**_as_dict(place), "reached_by": names} for place, names in found.items()])
    elif options.format == "sarif":
        print(json.dumps(_sarif(found), indent=2))
    else:
        for place, names in found.items():
            print(_github(place) if options.format == "github" else _text(place, names))
        if options.format == "text":
            places = f"{len(found)} place{'' if len(found) == 1 else 's'}"
            output.remark(f"{places} that {len(wanted)} memoised function{'' if len(wanted) == 1 else 's'} can reach")
    for path, error in unparsable:
        output.warn(f"{path}:{error.lineno}: {error.msg}")
    return 1 if options.strict and (found or unparsable) else 0


def _find(wanted: Iterable[Symbol], judge: Judge) -> dict[Place, list[Symbol]]:
    found: dict[Place, list[Symbol]] = defaultdict(list)
    for name in wanted:
        closure = judge.files.codebase.closure(name)
        places = [
            Place(judge.files.locate(module_of(w.symbol)) or "", w.line, w.code, w.reason, w.treatment, w.symbol)
            for w in closure.widened
        ]
        places += [
            Place(
                judge.files.locate(module_of(symbol)) or "",
                line,
                IMPURE,
                f"{kind} reaches the result",
                "told when it runs (impure=warn), refused, or allowed",
                symbol,
            )
            for kind, symbol, line in closure.impurities
            if kind not in (INTERPRETER, READER)
        ]
        for place in places:
            found[place].append(name)
    return {place: found[place] for place in sorted(found, key=lambda p: (p.path, p.line, p.code))}


def _text(place: Place, names: list[Symbol]) -> str:
    reached = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"{place.path}:{place.line}: {place.code} {place.reason} → {place.treatment}  (reached by {reached})"


def _github(place: Place) -> str:
    text = f"{place.reason}; {place.treatment}".replace("%", "%25").replace("\n", "%0A")
    return f"::warning file={place.path},line={max(place.line, 1)},title={place.code}::{text}"


def _as_dict(place: Place) -> dict[str, Any]:
    return dict(zip(place._fields, place._values(), strict=True))


def _sarif(found: dict[Place, list[Symbol]]) -> dict[str, Any]:
    codes = sorted({place.code for place in found})
    results = [
        {
            "ruleId": place.code,
            "level": "warning",
            "message": {"text": f"{place.reason}; {place.treatment}"},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": place.path},
                        "region": {"startLine": max(place.line, 1)},
                    }
                }
            ],
        }
        for place in found
    ]
    driver = {
        "name": "hitsave check",
        "version": __version__,
        "informationUri": HELP,
        "rules": [{"id": code, "helpUri": f"{HELP}#{code.lower()}"} for code in codes],
    }
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": results}],
    }
