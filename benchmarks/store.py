"""What the store costs: `python benchmarks/store.py [--entries 100000]`. CPU time, the best of many short runs.

Each figure is beside the least the machine allows for the same: a SELECT, a write to the page cache. On a busy
machine compare ratios, not figures.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from hitsave.digest import Digest, Fingerprint, digest_bytes, digest_text
from hitsave.evaluation import Blob, Evaluation, Key, Observed
from hitsave.store.disk import DiskStore
from hitsave.symbol import Symbol

F = Symbol("pkg.mod:f")
MEGABYTES = 80


def call(number: int, code: str = "v1") -> tuple[Evaluation, Blob]:
    data = str(number * number).encode()
    key = Key(F, Fingerprint(digest_text(code)), digest_text(str(number)))
    observed = Observed(ran=(F,), complete=True, narrowed=digest_text("narrowed " + code))
    found = Evaluation(
        key, observed, "plain-1", digest_bytes(data), len(data), 1.7e9 + number, 0.000123, f"f(x={number})"
    )
    return found, Blob("plain-1", data, len(data))


def best_us(action: Callable[[object], object], items: Iterable[object], chunk: int = 50) -> float:
    """Microseconds of CPU per item, in the fastest of the chunks."""
    items = list(items)
    times = []
    for start in range(0, len(items) - chunk + 1, chunk):
        began = time.process_time()
        for item in items[start : start + chunk]:
            action(item)
        times.append((time.process_time() - began) / chunk)
    return min(times) * 1e6


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self) -> DiskStore:
        return DiskStore(str(self.folder / "cache"), str(self.folder / "config"), data_codecs=("plain-1", "npy-1"))

    def small(self, count: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            store = Bench(Path(folder)).open()
            store.save(*call(-1))
            calls = [call(number) for number in range(2000)]
            took = best_us(lambda pair: store.save(*pair), calls)  # type: ignore[misc]
            store.close()
        report("save a small entry", took, "us", "<= 60")
        store = self.open()
        sizes = [100, 1000, 10_000, count]
        written = 0
        for size in sizes:
            for number in range(written, size):
                store.save(*call(number))
            written = size
            store.close()
            self.look_up(size)
        store.close()
        size_bytes = sum(path.stat().st_size for path in (self.folder / "cache").rglob("*") if path.is_file())
        report(f"on disk, {count} entries", size_bytes / count, "bytes each", "<= 150")

    def look_up(self, size: int) -> None:
        keys = [call(number)[0].key for number in range(0, size, max(1, size // 1000))]

        def hit(key: object) -> None:
            store.load(store.find(key)[0])  # type: ignore[arg-type]

        store = self.open()
        store.preload._fetch_ahead = lambda *_: None  # type: ignore[method-assign]
        single = best_us(hit, keys * (1 + 4000 // len(keys)))
        store.close()
        connection = sqlite3.connect(self.folder / "cache" / "v1" / "cache.db")
        select = "SELECT value FROM Cache WHERE key = ? AND raw = 1"
        names = [name for (name,) in connection.execute("SELECT key FROM Cache LIMIT 2000")] * 20
        floor = best_us(lambda name: connection.execute(select, (name,)).fetchall(), names)
        connection.close()
        report(f"hit among {size} (a SELECT: {floor:.1f})", single, "us", "flat")
        times = []
        for _ in range(5):
            thousand = self.open()
            thousand.find(keys[0])
            began = time.process_time()
            for key in keys:
                thousand.load(thousand.find(key)[0])
            times.append((time.process_time() - began) / len(keys))
            thousand.close()
        report(f"  each of {len(keys)} in a fresh process", min(times) * 1e6, "us each", "<= 8 with all else")

    def candidates(self) -> None:
        store = self.open()
        for number in range(1000):
            store.save(*call(7, f"code {number}"))
        store.close()
        for label, wanted in (("read in full", None), ("none of them wanted", lambda observed, narrowed: False)):
            times = []
            for _ in range(10):
                store = self.open()
                store.find(call(3)[0].key)
                began = time.process_time()
                store.candidates(F, digest_text("7"), wanted)
                times.append(time.process_time() - began)
                store.close()
            report(f"1,000 candidates, {label}", min(times) * 1e3, "ms", "<= 10")

    def large(self) -> None:
        size = MEGABYTES << 20
        store = self.open()
        store.save(*call(-1))
        written = []
        for number in range(6):
            # Memory that the machine has never used takes ten times as long to write to, so use the same again.
            for path in (self.folder / "cache").rglob("*.blob"):
                path.unlink()
            array = bytearray(os.urandom(1 << 20) * MEGABYTES)
            found = call(10**9 + number)[0].replace(codec="npy-1", size_bytes=size + 64, result=Digest(""))
            began = time.process_time()
            store.save(found, Blob("npy-1", b"", size + 64, (b"h" * 64, memoryview(array))))
            written.append(time.process_time() - began)
            del array
        store.close()
        report(f"store {MEGABYTES} MB", size / min(written) / 1e9, "GB/s", ">= 3")
        for verify in ("on", "strict"):
            times = []
            for _ in range(6):
                store = DiskStore(
                    str(self.folder / "cache"), str(self.folder / "config"), data_codecs=("npy-1",), verify=verify
                )
                store.find(call(3)[0].key)
                began = time.process_time()
                assert store.load(store.find(found.key)[0]) is not None
                times.append(time.process_time() - began)
                store.close()
            report(f"load {MEGABYTES} MB, verify={verify}", min(times) * 1e3, "ms", "<= 3")

    def others(self) -> None:
        store = self.open()
        store.put_record("summary", "a", os.urandom(3000))
        report("get a record of 3 kB", best_us(lambda _: store.get_record("summary", "a"), range(2000)), "us", "")

        def fly(number: object) -> None:
            with store.flights.flight(str(number).encode()):
                pass

        report("a flight that nobody contests", best_us(fly, range(4000)), "us", "")
        store.close()


def report(what: str, figure: float, unit: str, target: str) -> None:
    print(f"{what:48} {figure:9.2f} {unit:12} {target}")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--entries", type=int, default=100_000)
    options = arguments.parse_args()
    print(f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {platform.platform()}\n")
    folder = Path(tempfile.mkdtemp(prefix="hitsave-store-"))
    try:
        bench = Bench(folder)
        bench.small(options.entries)
        bench.candidates()
        bench.large()
        bench.others()
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
