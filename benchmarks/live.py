"""What a live session costs, and how soon it sees an edit: `python benchmarks/live.py [--edits 40] [--folders 7000]`.

latency   a file is saved -> the entries it reaches are marked superseded (wall clock, inotify)
idle      CPU of a process that watches a project of many folders and does nothing, over ten seconds
warm hit  with a live session and without, best of many
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import queue
import statistics
import sys
import tempfile
import time
import timeit
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import hitsave
from hitsave.live.events import EDITED, UNDONE, LiveEvent

LIB = "def helper(x):\n    return x + {}\n"
APP = "from hitsave import memo\nfrom lib{0} import helper\n\n\n@memo\ndef top(x):\n    return helper(x) * 10\n"
FOLDERS = 20


def make_project(root: Path, folders: int) -> None:
    (root / ".git").mkdir()
    for number in range(folders):
        folder = root / "data" / f"d{number // 100}" / f"e{number % 100}"
        folder.mkdir(parents=True)
    for number in range(FOLDERS):
        package = root / f"pkg{number}"
        package.mkdir()
        (package / "__init__.py").write_text("")
        (package / f"lib{number}.py").write_text(LIB.format(1))
    (root / "lib0.py").write_text(LIB.format(1))
    (root / "app.py").write_text(APP.format(0))


def latency(root: Path, edits: int) -> list[float]:
    seen: queue.Queue[float] = queue.Queue()

    def told(event: LiveEvent) -> None:
        if event.kind in (EDITED, UNDONE):
            seen.put(marked[0])

    marked = [0.0]
    app = importlib.import_module("app")
    app.top(1)
    for number in range(FOLDERS):
        importlib.import_module(f"pkg{number}.lib{number}")
    found = []
    with hitsave.live(on_event=told):
        store = hitsave.session.current().store
        supersede = store.supersede

        def noted(marks: object) -> None:
            supersede(marks)  # type: ignore[arg-type]
            marked[0] = time.perf_counter()

        store.supersede = noted  # type: ignore[method-assign, assignment]
        for number in range(edits):
            began = time.perf_counter()
            (root / "lib0.py").write_text(LIB.format(number + 2))
            found.append(seen.get(timeout=30) - began)
            assert app.top(1) == (1 + number + 2) * 10
    return found


def idle(seconds: float) -> float:
    with hitsave.live():
        time.sleep(2)  # let it take in what it started with
        before = time.process_time()
        time.sleep(seconds)
        return (time.process_time() - before) / seconds


def warm_hit_ns() -> float:
    app = sys.modules["app"]
    app.top(1)
    app.top(1)
    return min(timeit.repeat(lambda: app.top(1), number=100_000, repeat=7)) / 100_000 * 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edits", type=int, default=40)
    parser.add_argument("--folders", type=int, default=7000)
    parser.add_argument("--seconds", type=float, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = Path(os.path.realpath(name)) / "project"
        root.mkdir()
        make_project(root, options.folders)
        os.chdir(root)
        os.environ["HITSAVE_CONFIG_DIR"] = str(root.parent / "config")
        sys.path.insert(0, str(root))
        hitsave.install_import_hook(str(root))
        with hitsave.isolated(str(root.parent / "cache")):
            print(f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
            times = sorted(latency(root, options.edits))
            p95 = times[int(len(times) * 0.95) - 1]
            median = statistics.median(times)
            print(f"save -> superseded: median {median * 1e3:.0f} ms, p95 {p95 * 1e3:.0f} ms ({len(times)} edits)")
            share = idle(options.seconds) * 100
            print(f"idle: {share:.2f} % of a core, {options.folders} folders, {FOLDERS + 1} of them watched")
            without = warm_hit_ns()
            with hitsave.live():
                during = warm_hit_ns()
            print(f"warm hit: {without:.0f} ns without a live session, {during:.0f} ns with one")


if __name__ == "__main__":
    main()
