"""Digests and codecs, against what others do with the same values in the same run.

    python benchmarks/values.py [--rounds 7] [--json]

    what                    ours                      beside it                 target
    small arguments         digest of (1, "x")        joblib.hash               <= 2 us
    10,000 dicts            digest                    joblib.hash, pickle       <= 6 ms
    10,000 dataclasses      digest                    joblib.hash, pickle
    80 MB array             digest                    joblib.hash, a copy       >= 20 GB/s
    frame, 1e6 x 5          digest                    joblib.hash, a copy       >= 15 GB/s
    80 MB array             encode and write          pickle to the same file   >= 3 GB/s
    80 MB array             read: map and decode      numpy.load                <= 3 ms
    frame, 1e6 x 5          read: map and decode      pickle.load               <= 3 ms

Processor time (user and system) of this process, the best of all rounds; what stands side by side is measured in turn,
so that other load on the machine hits both alike. joblib and pandas are left out where they aren't installed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import mmap
import os
import pickle
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hitsave.evaluation import Blob
from hitsave.values import decode, digest_arguments, encode

try:
    import joblib
except ImportError:
    joblib = None
try:
    import pandas
except ImportError:
    pandas = None


@dataclasses.dataclass
class Row:
    number: int
    weight: float
    name: str


def code(thing: Any) -> str:
    return f"{thing.__module__}:{thing.__qualname__}"


def digest(*values: object) -> str:
    return digest_arguments(tuple("abcdef"[: len(values)]), values, code=code)


def best(rounds: int, runs: dict[str, Callable[[], object]], number: int = 1) -> dict[str, float]:
    """{name: the shortest processor time in seconds} of each of `runs`, taken in turn."""
    found = dict.fromkeys(runs, float("inf"))
    for _ in range(rounds):
        for name, run in runs.items():
            before = time.process_time()
            for _ in range(number):
                run()
            found[name] = min(found[name], (time.process_time() - before) / number)
    return found


def write(blob: Blob, path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        for part in blob.buffers():
            file.write(part)


def read(codec: str, path: Path) -> object:
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    return decode(Blob(codec, mapped, len(mapped)))


def pickle_to(path: Path, value: object) -> None:
    with path.open("wb") as file:
        pickle.dump(value, file, 5)


def pickle_from(path: Path) -> object:
    with path.open("rb") as file:
        return pickle.load(file)


def beside(
    ours: Callable[[], object], value: object, **others: Callable[[], object]
) -> dict[str, Callable[[], object]]:
    runs: dict[str, Callable[[], object]] = {"hitsave": ours}
    if joblib is not None:
        runs["joblib.hash"] = lambda: joblib.hash(value)
    return {**runs, **others}


def measure(rounds: int, folder: Path) -> list[tuple[str, int, dict[str, float]]]:
    """(what, its size in bytes or 0, {who: seconds})."""
    generator = np.random.default_rng(0)
    small = (1, "x")
    dicts = [{"id": n, "name": f"n{n}", "v": n / 7, "tags": ["a", "b"], "ok": True} for n in range(10_000)]
    rows = [Row(n, n / 7, f"n{n}") for n in range(10_000)]
    array = generator.random(10_000_000)
    found = [
        ("small arguments", 0, best(rounds, beside(lambda: digest(*small), small), 1000)),
        ("10,000 dicts", 0, best(rounds, beside(lambda: digest(dicts), dicts, pickle=lambda: pickle.dumps(dicts, 5)))),
        (
            "10,000 dataclasses",
            0,
            best(rounds, beside(lambda: digest(rows), rows, pickle=lambda: pickle.dumps(rows, 5))),
        ),
        ("array: digest", array.nbytes, best(rounds, beside(lambda: digest(array), array, copy=array.copy))),
    ]
    values: list[tuple[str, Any, int]] = [("array", array, array.nbytes)]
    if pandas is not None:
        frame = pandas.DataFrame(generator.random((1_000_000, 5)), columns=list("abcde")).copy()
        size = 40_000_000
        found.append(("frame: digest", size, best(rounds, beside(lambda: digest(frame), frame, copy=frame.copy))))
        values.append(("frame", frame, size))
    for name, value, size in values:
        ours, theirs = folder / f"{name}.blob", folder / f"{name}.pickle"
        runs = {
            "hitsave": lambda v=value, p=ours: write(encode(v), p),
            "pickle": lambda v=value, p=theirs: pickle_to(p, v),
        }
        found.append((f"{name}: encode and write", size, best(rounds, runs)))
        codec = encode(value).codec
        runs = {"hitsave": lambda c=codec, p=ours: read(c, p), "pickle": lambda p=theirs: pickle_from(p)}
        if name == "array":
            np.save(folder / "array.npy", value)
            runs["numpy.load"] = lambda: np.load(folder / "array.npy")
        found.append((f"{name}: read", 0, best(rounds, runs)))
    return found


def show(what: str, size: int, seconds: dict[str, float]) -> None:
    ours = seconds["hitsave"]
    cells = []
    for who, took in seconds.items():
        figure = f"{took * 1e6:.1f} us" if took < 1e-3 else f"{took * 1e3:.2f} ms"
        if size:
            figure = f"{size / took / 1e9:.1f} GB/s"
        cells.append(f"{who} {figure}" + ("" if who == "hitsave" else f" ({took / ours:.1f}x)"))
    print(f"{what:26} {', '.join(cells)}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure digests and codecs.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true", help="print raw seconds")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(options.rounds, Path(folder))
    if options.json:
        print(json.dumps({what: seconds for what, _, seconds in found}))
        return
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, {os.cpu_count()} CPUs, {platform.platform()}")
    for row in found:
        show(*row)


if __name__ == "__main__":
    main()
