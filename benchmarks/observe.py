"""What observation costs: processor time with it, against `observe="off"` in the same run (Python 3.12 and later).

    python benchmarks/observe.py [--rounds 5]

    calls        a call-heavy pure-Python program: 10^7 calls in one memoised evaluation      <= 1.03x
    numpy        array work in one memoised evaluation                                        <= 1.01x
    short        1,000 evaluations of 50 us each                                              + 15 us each

Each round runs both ways in turn, in fresh processes with empty caches; the ratio is of the minima over all rounds.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
PROGRAM = """
import sys, time
from hitsave import memo

def add(a, b):
    return a + b

@memo
def calls(n):
    total = 0
    for i in range(n):
        total = add(total, i)
    return total

@memo
def arrays(n):
    import numpy
    x = numpy.random.default_rng(1).random((n, n))
    for _ in range(12):
        x = x @ x
        x /= x.max()
    return float(x.sum())

@memo
def short(n):
    total = n
    for i in range(400):
        total = add(total, i)
    return total

short(-1)  # connects, makes the plan, opens the store
which = sys.argv[1]
if which == "numpy":
    import numpy
clock = time.process_time()
if which == "calls":
    calls(10_000_000)
elif which == "numpy":
    arrays(900)
else:
    for i in range(1000):
        short(i)
print(time.process_time() - clock)
"""


def measure(which: str, observe: str, folder: Path) -> float:
    """Processor time in seconds of one run in a fresh process."""
    with tempfile.TemporaryDirectory(dir=folder) as cache:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("HITSAVE_", "PYTHON"))}
        kept |= {"PYTHONPATH": str(REPOSITORY), "HITSAVE_DIR": cache, "HITSAVE_CONFIG_DIR": str(folder / "config")}
        kept |= {"HITSAVE_OBSERVE": observe, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, "program.py", which], cwd=folder, env=kept, capture_output=True, text=True, check=True
        )
    return float(done.stdout)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(f"{platform.platform()}, Python {platform.python_version()}, {options.rounds} rounds")
    missed = 0
    with tempfile.TemporaryDirectory(prefix="hitsave-observe-") as name:
        folder = Path(name).resolve()
        (folder / "program.py").write_text(PROGRAM, encoding="utf-8")
        (folder / ".git").mkdir()
        for which in ("calls", "numpy", "short"):
            times = {"auto": [], "off": []}
            for _ in range(options.rounds):
                for observe, found in times.items():
                    found.append(measure(which, observe, folder))
            on, off = min(times["auto"]), min(times["off"])
            raw = "  ".join(f"{observe}: {' '.join(f'{t:.3f}' for t in found)}" for observe, found in times.items())
            if which == "short":
                extra_us = (on - off) * 1000
                missed += extra_us > 15
                print(f"{which:8} {on:.3f} s against {off:.3f} s: {extra_us:+.1f} us each   ({raw})")
            else:
                missed += on / off > {"calls": 1.03, "numpy": 1.01}[which]
                print(f"{which:8} {on:.3f} s against {off:.3f} s: {on / off:.3f}x   ({raw})")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
