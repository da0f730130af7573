"""`hitsave run --live`: the program again after each edit that could matter to it; what the edit spared is reused.

Each run is a process of its own, so there is no old state to go wrong. What puts edits into a running process is
`hitsave.live`.
"""

from __future__ import annotations

import argparse
import queue
import subprocess
import sys

from hitsave.cli.output import Output
from hitsave.cli.place import open_place
from hitsave.cli.run import Program
from hitsave.cli.watch import difference, follow, look
from hitsave.live.debounce import Gatherer
from hitsave.live.folders import git_is_busy
from hitsave.live.watcher import Watcher


def run_after_edits(options: argparse.Namespace, output: Output) -> int:
    """Run, wait for an edit, run again, until interrupted; the exit code of the last run."""
    program: Program = options.program
    options.root = options.root or program.place
    command = [sys.executable, "-m", "hitsave", "run", *_options(options), *program.words()]
    batches: queue.SimpleQueue[frozenset[str]] = queue.SimpleQueue()
    code = 0
    with open_place(options) as place:
        root = place.project.root
        gatherer = Gatherer(batches.put, busy=lambda: git_is_busy(root))
        watcher = Watcher(gatherer.note)
        gatherer.start()
        try:
            while True:
                before = look(place, [])
                code = subprocess.run(command, check=False).returncode
                survey = look(place, [])
                follow(watcher, survey, place)
                print("hitsave: waiting for an edit", file=sys.stderr, flush=True)
                edit = difference(before.replace(rows=survey.rows), survey, frozenset(), place)
                while edit is None:  # an edit made during the run counts too
                    paths = batches.get()
                    earlier, survey = survey, look(place, [])
                    edit = difference(earlier, survey, paths, place)
                print(f"hitsave: {edit.line()}", file=sys.stderr, flush=True)
        except KeyboardInterrupt:
            return code
        finally:
            watcher.stop()
            gatherer.stop()


def _options(options: argparse.Namespace) -> list[str]:
    given = ["--stats"] if options.stats else []
    given += ["--json"] if options.json else []
    for name in ("memo", "experiment"):
        given += [word for pattern in getattr(options, name) for word in (f"--{name}", pattern)]
    return given
