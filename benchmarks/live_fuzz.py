"""Long runs of the fuzz corpus: `python benchmarks/live_fuzz.py --count 2000 [--seed N] [--threads 2]`.

Each sequence is a random program, eight random edits of it that get to disk in random ways (`tests/live/saves.py`:
in place, renamed, half written, deleted, checked out, stashed, rebased ...), and calls in between (with `--threads`,
all the time, half of them beside a watcher). Afterwards every stored result is compared with what its own code gives
when it is executed from scratch. Prints each violation with its seed; the exit code is their number.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.live.fuzz import Run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--edits", type=int, default=8)
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args()
    wrong = stored = swaps = refusals = 0
    ways: Counter[str] = Counter()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        os.environ["HITSAVE_CONFIG_DIR"] = str(Path(name) / "config")
        for seed in range(options.seed, options.seed + options.count):
            run = Run(seed, Path(name), threads=options.threads).go(options.edits)
            stored, swaps, refusals = stored + run.stored, swaps + run.swaps, refusals + run.refusals
            ways.update(run.ways)
            if seed % 100 == 99:
                print(
                    f"{seed + 1 - options.seed} after {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True
                )
            if run.problems:
                wrong += 1
                print(f"seed {seed}: {run.problems[0]} ({len(run.problems)} in all)", flush=True)
    print(
        f"{options.count} sequences of {options.edits} edits, {options.threads} threads: {wrong} wrong; {stored} "
        f"results checked, {swaps} modules exchanged, {refusals} declined; {time.perf_counter() - began:.0f} s"
    )
    print(", ".join(f"{way.replace('_', ' ')} {number}" for way, number in ways.most_common()))
    return min(wrong, 100)


if __name__ == "__main__":
    sys.exit(main())
