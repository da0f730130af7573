"""Random multi-module programs and edits: does every cached answer equal that of a run without hitsave?

    python benchmarks/fuzz.py [--programs 10000] [--seed 0] [--python EXECUTABLE]

Processes are forked from two that have imported hitsave's modules and nothing of a program
(`tests/processes/zygote.py`). Each fiftieth program also runs in processes started from nothing, which have to print
the same.

Prints each difference with its seed (`--seed N --programs 1` runs it alone, `--show` prints its files), and at the end
how many answers were compared, how many results an edit spared, and how many bodies ran.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.fuzz.compare import Counts, compare
from tests.fuzz.generate import make
from tests.processes.runner import Processes


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--programs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--edits", type=int, default=5, help="edits per program")
    parser.add_argument("--python", default=sys.executable, metavar="EXECUTABLE")
    parser.add_argument("--minutes", type=float, default=0, help="stop after so long")
    parser.add_argument("--fresh-every", type=int, default=50, help="so many programs, one from nothing too; 1: each")
    parser.add_argument("--show", action="store_true", help="print the files of the first program")
    options = parser.parse_args()
    if options.show:
        for name, text in make(options.seed).files().items():
            print(f"# {name}\n{text}")
    forked = Processes(options.python, zygotes=2)
    fresh = Processes(options.python, fresh=True)
    total = Counts()
    clock = time.monotonic()
    for seed in range(options.seed, options.seed + options.programs):
        counts = compare(seed, forked, edits=options.edits)
        if seed % options.fresh_every == 0:
            counts.check_against(compare(seed, fresh, edits=options.edits), f"seed {seed}")
        total.add(counts)
        for difference in counts.differences:
            print(difference, flush=True)
        if options.minutes and time.monotonic() - clock > options.minutes * 60:
            break
    forked.close()
    spent = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = sum(one.ru_utime + one.ru_stime for one in spent)
    print(
        f"Python {'.'.join(map(str, forked.version))}: {total.text()} "
        f"({time.monotonic() - clock:.0f} s, {cpu_s:.0f} s of processor time)"
    )
    return 1 if total.differences else 0


if __name__ == "__main__":
    sys.exit(main())
