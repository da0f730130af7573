"""`hitsave watch`: a view of what each saved edit reaches, what stands, and what would be computed. Runs nothing.

It is `hitsave status` again and again: after each batch of file events the stored results are judged anew against the
files. Summaries are kept by source digest, so only what was edited is analysed.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import time
from typing import TYPE_CHECKING, Any

from hitsave.cli.entries import time_covered
from hitsave.cli.judge import Judge
from hitsave.cli.output import Output, time_text
from hitsave.cli.place import Place, open_place
from hitsave.cli.status import Row, print_rows, rows_of
from hitsave.explain.text import short
from hitsave.live.classify import compare
from hitsave.live.debounce import Gatherer
from hitsave.live.folders import choose_folders, git_is_busy
from hitsave.live.watcher import RESYNC, Watcher
from hitsave.record import Record
from hitsave.symbol import Symbol

if TYPE_CHECKING:
    from hitsave.analysis import ModuleSummary

RECENT = 8  # edits shown below the table


class Survey(Record):
    """One look at the project: a row per function, a summary per module, and the files that results were read from."""

    rows: tuple[Row, ...]
    summaries: dict[str, ModuleSummary]
    folders: tuple[str, ...]
    inputs: frozenset[str]


class Edit(Record):
    """What a batch of saved files changed: symbols, and functions of which some results went stale or stand again."""

    when: float
    files: tuple[str, ...]
    symbols: tuple[Symbol, ...]
    stale: tuple[Symbol, ...]
    restored: tuple[Symbol, ...]

    def line(self) -> str:
        """The edit in one line."""
        what = ", ".join(map(short, self.symbols)) or ", ".join(self.files)
        effects = [f"stale: {', '.join(map(short, self.stale))}"] if self.stale else []
        effects += [f"stands again: {', '.join(map(short, self.restored))}"] if self.restored else []
        when = time.strftime("%H:%M:%S", time.localtime(self.when))
        return f"{when}  {what}  →  {'; '.join(effects) or 'nothing stored'}"


def add_watch(parser: argparse.ArgumentParser) -> None:
    """Options of `hitsave watch`."""
    parser.add_argument("names", nargs="*", metavar="GLOB", help="only these functions (name or glob)")
    parser.epilog = "--json prints a line of JSON at the start and for each batch of edits. Ctrl-C ends it."


def watch(options: argparse.Namespace, output: Output) -> int:
    """Show the status, and again after each batch of edits, until interrupted."""
    batches: queue.SimpleQueue[frozenset[str]] = queue.SimpleQueue()
    with open_place(options) as place:
        root = place.project.root
        gatherer = Gatherer(batches.put, busy=lambda: git_is_busy(root))
        watcher = Watcher(gatherer.note)
        survey = look(place, options.names)
        edits: list[Edit] = []
        gatherer.start()
        try:
            follow(watcher, survey, place)
            _show(survey, edits, output)
            while True:
                paths = batches.get()
                before, survey = survey, look(place, options.names)
                edit = difference(before, survey, paths, place)
                if edit is not None:
                    edits = [*edits, edit][-RECENT:]
                    follow(watcher, survey, place)
                    _show(survey, edits, output)
        except KeyboardInterrupt:
            return 0
        finally:
            watcher.stop()
            gatherer.stop()


def look(place: Place, names: list[str]) -> Survey:
    """The project and its results as they are now."""
    judge = Judge(place)
    rows = tuple(rows_of(judge, names))
    summaries = {name: summary for name in judge.files.modules() if (summary := judge.files.find(name)) is not None}
    inputs = {
        place.project.absolute(read.path)
        for row in rows
        for entry in judge.entries(row.symbol)
        for read in entry.observed.files
    }
    folders = {os.path.dirname(summary.path) for summary in summaries.values()}
    return Survey(rows, summaries, tuple(sorted(folders | {place.project.root})), frozenset(inputs))


def difference(before: Survey, after: Survey, paths: frozenset[str], place: Place) -> Edit | None:
    """What a batch of paths changed; None if it changed nothing that means something."""
    symbols: set[str] = set()
    for module in before.summaries.keys() | after.summaries.keys():
        old, new = before.summaries.get(module), after.summaries.get(module)
        if old is not None and new is not None:
            symbols |= set(compare(old, new).symbols)
        elif (there := old or new) is not None:
            symbols.update(there.symbols())
    stale_then = {row.symbol: len(row.stale) for row in before.rows}
    more = [row.symbol for row in after.rows if len(row.stale) > stale_then.get(row.symbol, 0)]
    fewer = [row.symbol for row in after.rows if len(row.stale) < stale_then.get(row.symbol, 0)]
    files = sorted(place.project.relative(path) for path in paths - {RESYNC})
    if not symbols and not more and not fewer:
        return None
    return Edit(time.time(), tuple(files), tuple(map(Symbol, sorted(symbols))), tuple(more), tuple(fewer))


def follow(watcher: Watcher, survey: Survey, place: Place) -> None:
    """Watch the folders of the project's modules, and the files that results were read from."""
    watcher.inputs = survey.inputs
    folders = {*survey.folders, *(os.path.dirname(path) for path in survey.inputs if os.path.exists(path))}
    watcher.watch(
        choose_folders(folders, place.project.root, lambda path: place.project.owns(os.path.join(path, "x.py")))
    )


def _show(survey: Survey, edits: list[Edit], output: Output) -> None:
    if output.json:
        print(json.dumps(_as_dict(survey, edits)), flush=True)
        return
    if output.is_terminal:
        print("\x1b[2J\x1b[H", end="")
    elif edits:
        print(edits[-1].line())
    print_rows(list(survey.rows), output)
    if output.is_terminal:
        for edit in reversed(edits):
            output.line(edit.line())


def _as_dict(survey: Survey, edits: list[Edit]) -> dict[str, Any]:
    stale = [entry for row in survey.rows for entry in row.stale]
    edit = edits[-1] if edits else None
    return {
        "edit": None if edit is None else dict(zip(Edit._fields, edit._values(), strict=True)),
        "functions": [row.as_dict() for row in survey.rows],
        "stale": len(stale),
        "recompute": time_text(time_covered(stale)),
        "recompute_s": time_covered(stale),
    }
