"""`hitsave run --live`: the program again after each edit that could matter to it; what the edit spared is reused.

    it has ended               an edit that reaches something starts it again
    it runs, the edit is safe  it takes the edit over itself (`hitsave.live`), and goes on
    it runs, and declines      it is stopped, and started again

Each run is a process of its own, so there is no old state to go wrong.
"""

from __future__ import annotations

import argparse
import queue
import sys
from typing import Any

from hitsave.cli.output import Output
from hitsave.cli.place import Place, open_place
from hitsave.cli.run import Program
from hitsave.cli.watch import Survey, difference, follow, look
from hitsave.live.child import LiveChild
from hitsave.live.debounce import Gatherer
from hitsave.live.events import REFUSED
from hitsave.live.folders import git_is_busy
from hitsave.live.watcher import Watcher


def run_after_edits(options: argparse.Namespace, output: Output) -> int:
    """Run, and run again after edits, until interrupted; the exit code of the last run that ended."""
    program: Program = options.program
    options.root = options.root or program.place
    command = [sys.executable, "-m", "hitsave", "run", *_options(options), *program.words()]
    with open_place(options) as place:
        return _Reruns(command, place).go()


class _Reruns:
    """The program's runs, and what makes the next one begin."""

    def __init__(self, command: list[str], place: Place) -> None:
        self._command = command
        self._place = place
        self._news: queue.SimpleQueue[tuple[Any, Any]] = queue.SimpleQueue()  # (who, what)
        self._gatherer = Gatherer(
            lambda paths: self._news.put((None, paths)), busy=lambda: git_is_busy(place.project.root)
        )
        self._watcher = Watcher(self._gatherer.note)
        self._child: LiveChild | None = None
        self._survey: Survey = look(place, [])

    def go(self) -> int:
        code = 0
        self._gatherer.start()
        try:
            self._start()
            while True:
                who, what = self._news.get()
                if who is None:
                    self._edited(what)
                elif who is not self._child:
                    continue  # news of one that was stopped
                elif isinstance(what, int):
                    code = what
                    self._ended()
                elif what["kind"] == REFUSED:
                    reason = what["reasons"][0]
                    _say(f"started again, since it can't take this over: {reason['symbol']}: {reason['reason']}")
                    self._stop()
                    self._start()
        except KeyboardInterrupt:
            return code
        finally:
            self._stop()
            self._watcher.stop()
            self._gatherer.stop()

    def _start(self) -> None:
        self._survey = look(self._place, [])
        self._child = LiveChild(
            self._command,
            ended=lambda child, code: self._news.put((child, code)),
            told=lambda child, event: self._news.put((child, event)),
        )

    def _stop(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.stop()

    def _ended(self) -> None:
        self._child = None
        before, self._survey = self._survey, look(self._place, [])
        follow(self._watcher, self._survey, self._place)
        _say("waiting for an edit")
        self._again_if_it_matters(before.replace(rows=self._survey.rows), frozenset())  # an edit made during the run

    def _edited(self, paths: frozenset[str]) -> None:
        if self._child is None:
            before, self._survey = self._survey, look(self._place, [])
            self._again_if_it_matters(before, paths)

    def _again_if_it_matters(self, before: Survey, paths: frozenset[str]) -> None:
        edit = difference(before, self._survey, paths, self._place)
        if edit is not None:
            _say(edit.line())
            self._start()


def _say(text: str) -> None:
    print(f"hitsave: {text}", file=sys.stderr, flush=True)


def _options(options: argparse.Namespace) -> list[str]:
    given = ["--stats"] if options.stats else []
    given += ["--json"] if options.json else []
    for name in ("memo", "experiment"):
        given += [word for pattern in getattr(options, name) for word in (f"--{name}", pattern)]
    return given
