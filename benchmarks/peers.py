"""hitsave beside other memoisers, in one run.

    pip install joblib cachier
    python benchmarks/peers.py [--rounds 5] [--only WORD] [--json]

    import           the tool's import in a fresh process, above bare Python
    first hit        a fresh process: import, decorate, one hit of what an earlier process stored
    cold hits        1,000 different hits in a fresh process, each
    warm hit         the same call again and again in one process, net of the loop
    miss             1,000 calls that are computed and stored, each
    array argument   a hit whose argument is an array of 80 MB
    array result     80 MB computed and stored, net of computing; then loaded by a fresh process
    dicts argument   a hit whose argument is a list of 10,000 dicts
    herd             8 processes ask for the same 200 keys at once: how many were computed, how many processes failed
    size             bytes on disk for each of 1,000 small entries

Each scenario of each tool runs in processes of its own, the tools in turn, so that other load on the machine hits all
alike. Times are processor time (user and system), the median over the rounds; byte code is written and warm. A tool
that isn't installed is left out. functools.cache keeps nothing: it stands there as the limit of a warm hit.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

TOOLS = {
    "functools": "import functools\nmemo = functools.cache\n",
    "diskcache": "import diskcache\nmemo = diskcache.Cache(CACHE).memoize()\n",
    "joblib": "import joblib\nmemo = joblib.Memory(CACHE, verbose=0).cache\n",
    "cachier": "import cachier\nmemo = cachier.cachier(cache_dir=CACHE)\n",
    "hitsave": "from hitsave import memo\n",
}
FUNCTIONS = """
@memo
def double(x):
    return x * 2

@memo
def first_of(values):
    return len(values)

@memo
def numbers(count):
    return np.arange(count, dtype=float)

@memo
def slow(x):
    with open(LOG, "ab", buffering=0) as log:
        log.write(b".")
    return sum(range(20_000)) + x
"""
# What a process does after these functions are there; `spent(action)` gives its seconds of processor time.
SCENARIOS = {
    "first hit": "double(1)\nanswer(time.process_time() - began)",
    "cold hits": "double(-1)\nanswer(spent(lambda: [double(x) for x in range(1000)]) / 1000)",
    "miss": "double(-1)\nanswer(spent(lambda: [double(x) for x in range(1000)]) / 1000)",
    "warm hit": """
double(5)
def calls():
    for _ in range(TIMES): double(5)
def loop():
    for _ in range(TIMES): pass
calls()
answer((spent(calls) - spent(loop)) / TIMES)""",
    "array argument": """
a = np.arange(10_000_000, dtype=float)
first_of(a)
answer(min(spent(lambda: first_of(a)) for _ in range(3)))""",
    "dicts argument": """
rows = [{"name": f"row {i}", "number": i, "weight": i / 7, "tags": [i, None]} for i in range(10_000)]
first_of(rows)
answer(min(spent(lambda: first_of(rows)) for _ in range(3)))""",
    "array stored": """
double(1)
numbers(10)
plain = min(spent(lambda: np.arange(10_000_000, dtype=float)) for _ in range(3))
answer(spent(lambda: numbers(10_000_000)) - plain)""",
    "array loaded": "double(1)\nnumbers(10)\nanswer(spent(lambda: numbers(10_000_000)))",
    "herd": "answer(sum(slow(x) for x in range(200)))",
}
# Byte code is written, as it is for users, whatever this machine is set to.
WRITING = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
# A process of a herd that hasn't ended by then counts as failed: cachier's wait for each other for ever.
PATIENCE_S = 30
NEEDS_NUMPY = ("array argument", "array stored", "array loaded", "dicts argument")


class Bench:
    """One folder with a program and a cache per tool."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def start(self, tool: str, scenario: str, cache: str) -> subprocess.Popen[str]:
        """A process that runs `scenario` with `tool` over the cache of that name."""
        folder = self.root / tool
        folder.mkdir(exist_ok=True)
        program = folder / f"{scenario.replace(' ', '_')}.py"
        times = 200_000 if tool in ("functools", "hitsave") else 2_000
        text = "\n".join(
            (
                "import os, time\nbegan = time.process_time()",
                f"CACHE, LOG, TIMES = os.environ['CACHE'], os.environ['CACHE'] + '.log', {times}",
                "import numpy as np" if scenario in NEEDS_NUMPY else "",
                TOOLS[tool],
                FUNCTIONS,
                "def spent(action):\n    t = time.process_time()\n    action()\n    return time.process_time() - t",
                "def answer(figure): print(figure)",
                'if __name__ == "__main__":',
                *("    " + line for line in SCENARIOS[scenario].strip().splitlines()),
            )
        )
        if not program.exists():
            program.write_text(text)
            (folder / ".git").mkdir(exist_ok=True)
        place = str(folder / cache)
        keys = str(folder / "config")
        environment = {**WRITING, "CACHE": place, "HITSAVE_DIR": place, "HITSAVE_CONFIG_DIR": keys}
        return subprocess.Popen(
            [sys.executable, program.name],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, tool: str, scenario: str, cache: str = "cache") -> float:
        """The figure that the scenario prints."""
        process = self.start(tool, scenario, cache)
        out, err = process.communicate()
        if process.returncode:
            raise RuntimeError(f"{tool}, {scenario}: {err.strip()[-400:]}")
        return float(out.split()[-1])

    def forget(self, tool: str, cache: str) -> None:
        """Remove a cache."""
        shutil.rmtree(self.root / tool / cache, ignore_errors=True)
        (self.root / tool / f"{cache}.log").unlink(missing_ok=True)

    def herd(self, tool: str) -> tuple[int, int]:
        """How many of 200 keys eight processes computed, and how many of the processes failed."""
        self.forget(tool, "herd")
        processes = [self.start(tool, "herd", "herd") for _ in range(8)]
        for process in processes:
            try:
                process.communicate(timeout=PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
        log = self.root / tool / "herd.log"
        return log.stat().st_size if log.exists() else 0, sum(bool(process.returncode) for process in processes)

    def size(self, tool: str) -> float:
        """Bytes on disk per entry after 1,001 small ones."""
        self.forget(tool, "size")
        self.run(tool, "miss", "size")
        files = [path.stat() for path in (self.root / tool / "size").rglob("*") if path.is_file()]
        return sum(status.st_blocks * 512 for status in files) / 1001


def import_s(tool: str) -> float:
    """Seconds of processor time that the imports of a tool add to a bare process."""

    def spent(code: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=WRITING)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    return sum(spent(TOOLS[tool].partition("\n")[0]) for _ in range(5)) / 5 - sum(spent("pass") for _ in range(5)) / 5


def measure(bench: Bench, rounds: int, wanted: Callable[[str], bool], tools: list[str]) -> dict[str, dict[str, float]]:
    """{scenario: {tool: median}}."""
    found: dict[str, dict[str, list[float]]] = {}

    def note(scenario: str, tool: str, figure: float) -> None:
        found.setdefault(scenario, {}).setdefault(tool, []).append(figure)

    keeping = [tool for tool in tools if tool != "functools"]
    for _ in range(rounds):
        for tool in tools:
            if wanted("import"):
                note("import", tool, import_s(tool))
            if wanted("warm hit"):
                note("warm hit", tool, bench.run(tool, "warm hit", "warm"))
        for tool in keeping:
            for fresh in ("miss", "array stored"):
                if wanted(fresh):
                    bench.forget(tool, fresh)
                    bench.run(tool, "first hit", fresh)  # compiles, and makes the cache
                    note(fresh, tool, bench.run(tool, fresh, fresh))
            for scenario, cache in (("cold hits", "miss"), ("first hit", "miss"), ("array loaded", "array stored")):
                if wanted(scenario):
                    bench.run(tool, scenario, cache)
                    note(scenario, tool, bench.run(tool, scenario, cache))
            for scenario in ("array argument", "dicts argument"):
                if wanted(scenario):
                    note(scenario, tool, bench.run(tool, scenario))
            if wanted("herd"):
                computed, failed = bench.herd(tool)
                note("herd computed", tool, computed)
                note("herd failed", tool, failed)
            if wanted("size"):
                note("size", tool, bench.size(tool))
    return {
        scenario: {tool: statistics.median(figures) for tool, figures in by_tool.items()}
        for scenario, by_tool in found.items()
    }


UNITS = {"warm hit": (1e6, "µs"), "cold hits": (1e6, "µs"), "miss": (1e6, "µs"), "size": (1, "B")}


def table(results: dict[str, dict[str, float]], tools: list[str]) -> str:
    """The results in Markdown; in brackets how many times that of hitsave a figure is."""
    lines = ["| | " + " | ".join(tools) + " |", "|---" * (len(tools) + 1) + "|"]
    for scenario, by_tool in results.items():
        factor, unit = (1.0, "") if scenario.startswith("herd") else UNITS.get(scenario, (1e3, "ms"))
        cells = []
        for tool in tools:
            figure = by_tool.get(tool)
            if figure is None:
                cells.append("")
                continue
            ours = by_tool.get("hitsave")
            ratio = f" ({figure / ours:.2g}x)" if ours and ours > 0 and unit and tool != "hitsave" else ""
            cells.append(f"{figure * factor:.3g} {unit}{ratio}".replace("  ", " ").strip())
        lines.append(f"| {scenario} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="hitsave beside other memoisers, in one run")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="scenarios whose name holds this")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    versions = {"python": platform.python_version()}
    for tool in TOOLS:
        try:
            versions[tool] = metadata.version(tool)
        except metadata.PackageNotFoundError:
            if tool == "functools":
                versions[tool] = "built in"
    tools = [tool for tool in TOOLS if tool in versions]
    with tempfile.TemporaryDirectory(prefix="hitsave-peers-") as folder:
        results = measure(Bench(Path(folder)), options.rounds, lambda name: options.only in name, tools)
    if options.json:
        print(json.dumps({"versions": versions, "rounds": options.rounds, "results": results}))
        return
    print(", ".join(f"{name} {version}" for name, version in versions.items()))
    print(table(results, tools))


if __name__ == "__main__":
    main()
