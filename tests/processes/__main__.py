"""Run programs on several Python versions.

python -m tests.processes [--python EXECUTABLE]... [--fresh] [WORD]...     programs whose name or file holds a WORD
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tests.processes.runner import Processes, judge, read_programs

HERE = Path(__file__).parent


def main() -> int:
    """Print what is wrong; 1 if anything is."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--python", action="append", default=[], metavar="EXECUTABLE")
    parser.add_argument("--fresh", action="store_true", help="start every process from nothing instead of forking")
    parser.add_argument("--repository", type=Path, default=HERE.parents[1], help="the hitsave to test")
    parser.add_argument("words", nargs="*")
    options = parser.parse_args()
    programs = [one for path in sorted((HERE / "programs").glob("*.txt")) for one in read_programs(path)]
    programs = [p for p in programs if not options.words or any(w in f"{p.home} {p.name}" for w in options.words)]
    bad = 0
    for executable in options.python or [sys.executable]:
        processes = Processes(executable, fresh=options.fresh, repository=options.repository)
        clock = time.perf_counter()
        verdicts = [judge(program, processes) for program in programs]
        elapsed_s = time.perf_counter() - clock
        for verdict in verdicts:
            if verdict.problems:
                print(verdict.text(), flush=True)
        wrong = {kind: sum(any(p.startswith(kind) for p in v.problems) for v in verdicts) for kind in
                 ("STALE", "LUCKY", "WASTEFUL", "NOISE", "NOTHING")}  # fmt: skip
        spared = sum(verdict.spared for verdict in verdicts)
        counts = ", ".join(f"{count} {kind.lower()}" for kind, count in wrong.items())
        name = ".".join(map(str, processes.version))
        print(
            f"{name}: {len(programs)} programs, {spared} spared by the edit; {counts} ({elapsed_s:.0f} s)", flush=True
        )
        bad += sum(wrong.values())
        processes.close()
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
