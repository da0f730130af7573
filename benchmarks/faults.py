"""Thousands of faults against a cache: `python benchmarks/faults.py [--kills 2000] [--damages 10000] [--seed 1]`.

Kills processes at random moments of their work, two at a time, and damages files of a cache at random, each time
reading (and half the time writing) what is left. Prints counts; exit code 1 if anything was lost, wrong, or crashed.
What is injected and how it is judged: tests/store/faults.py.
"""

from __future__ import annotations

import argparse
import platform
import shutil
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.store.faults import Damage, Kills, Place

BAD = ("lost", "errors", "crashes", "gadgets")


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--kills", type=int, default=2000)
    arguments.add_argument("--damages", type=int, default=10_000)
    arguments.add_argument("--seed", type=int, default=1)
    options = arguments.parse_args()
    print(f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {platform.platform()}")
    bad = 0
    for name, run, count in (("kill -9", kill, options.kills), ("damage", damage, options.damages)):
        if not count:
            continue
        folder = Path(tempfile.mkdtemp(prefix="hitsave-faults-"))
        started = time.monotonic()
        counts = run(folder, count, options.seed)
        shutil.rmtree(folder)
        print(f"\n{name}, {time.monotonic() - started:.0f} s")
        for key in (*sorted(key for key in counts if key not in BAD), *BAD):
            print(f"  {key:24} {counts[key]:8}")
        bad += sum(counts[key] for key in BAD)
    return 1 if bad else 0


def kill(folder: Path, count: int, seed: int) -> Counter[str]:
    counts = Kills(Place(folder), seed).run(count)
    database = folder / "cache" / "v1" / "cache.db"
    if database.exists():
        connection = sqlite3.connect(database)
        counts["errors"] += connection.execute("PRAGMA integrity_check").fetchone() != ("ok",)
        connection.close()
    return counts


def damage(folder: Path, count: int, seed: int) -> Counter[str]:
    """In ten caches, each with contents of its own."""
    counts: Counter[str] = Counter()
    for part in range(10):
        (folder / str(part)).mkdir()
        counts += Damage(Place(folder / str(part)), seed * 10 + part).run(count // 10)
    return counts


if __name__ == "__main__":
    sys.exit(main())
