"""What analysis costs, as ratios measured in one run: `python benchmarks/analysis.py [--packages NAME …]`.

    summaries   cold summaries of the standard library, over `ast.parse` of the same files          goal: <= 2
    closure     the closure of all that importing a package runs, cold, and the largest of a thousand others:
                seconds and megabytes                                                  goal: networkx <= 6 s, 200 MB
    questions   dependencies() of a thousand symbols of that package, per second
    warm        a closure of 500 modules in a process that has to parse none of them          goal: <= 20 ms
    edit        summary and closure after an edit of one module of 500, over parsing that module    goal: <= 3

CPU time, the smallest of several interleaved rounds. Packages are read from where they are installed, never imported.
"""

from __future__ import annotations

import argparse
import ast
import gc
import importlib.util
import os
import platform
import random
import resource
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from hitsave.analysis import Codebase, ModuleSummary, summarise
from hitsave.analysis.disk import DiskModules
from hitsave.project import project_at
from hitsave.source import source_of
from hitsave.symbol import Symbol

ROUNDS = 5


def cpu_s(work: Callable[[], object]) -> float:
    gc.collect()
    start = time.process_time()
    work()
    return time.process_time() - start


def summaries() -> None:
    root = Path(sysconfig.get_paths()["stdlib"])
    paths = [
        p for p in sorted(root.rglob("*.py")) if not {"test", "tests", "site-packages", "encodings"} & set(p.parts)
    ]
    sources = [(p, p.read_bytes()) for p in paths[::3]]
    size_mb = sum(len(data) for _, data in sources) / 1e6

    def parse() -> None:
        for _, data in sources:
            ast.parse(data)

    def both() -> None:
        for path, data in sources:
            summarise(source_of("m", str(path), data))

    parsed: list[float] = []
    summed: list[float] = []
    for _ in range(ROUNDS):
        parsed.append(cpu_s(parse))
        summed.append(cpu_s(both))
    a, b = min(parsed), min(summed)
    print(f"summaries  {len(sources)} files, {size_mb:.1f} MB: {b:.2f} s; ast.parse {a:.2f} s; ratio {b / a:.2f}")


def closure_of(package: str) -> None:
    """In a process of its own, so that the peak of memory is that of the closure."""
    subprocess.run([sys.executable, __file__, "--closure", package], check=False)


def largest_closure(package: str) -> None:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        print(f"closure    {package} isn't installed")
        return
    home = Path(tempfile.mkdtemp())  # a copy, so that the package alone is the project
    shutil.copytree(Path(spec.origin).parent, home / package)
    modules = DiskModules(project_at(str(home)))
    start = time.process_time()
    codebase = Codebase(modules)
    closure = codebase.closure(Symbol(f"{package}:<module>"))
    first_s = time.process_time() - start
    names = [s for name in closure.modules if (m := modules.find(name)) is not None for s in m.symbols()]
    random.Random(1).shuffle(names)
    start = time.process_time()
    sizes = [(len(codebase.depends(name)), name) for name in names[:1000]]
    asked_s = time.process_time() - start
    size, name = max(sizes)
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"closure    {package}: {len(closure.modules)} modules, {len(closure.pairs)} pairs in {first_s:.2f} s, "
        f"{megabytes:.0f} MB peak; largest answer {size} symbols ({name})"
    )
    shutil.rmtree(home)
    print(f"questions  {package}: {len(sizes)} in {asked_s:.2f} s, {len(sizes) / asked_s:.0f} a second")


class Texts:
    """Modules by name."""

    def __init__(self, texts: dict[str, str]) -> None:
        self.summaries = {name: summary_of(name, text) for name, text in texts.items()}

    def find(self, name: str) -> ModuleSummary | None:
        return self.summaries.get(name)


def summary_of(name: str, text: str) -> ModuleSummary:
    return summarise(source_of(name, f"{name}.py", text.encode()))


def module_text(number: int, constant: int = 1) -> str:
    above = sorted({max(0, number - 1), max(0, number - 7), number // 2} - {number})
    imports = "".join(f"from mod{i} import f{i}_0, C{i}\n" for i in above)
    call = [f"f{number}_{n + 1}(item)" for n in range(9)] + [f"f{number - 1}_0(item)" if number else "1"]
    body = "".join(
        f"""
def f{number}_{n}(x, y={n}):
    total = {constant if n == 0 else n}
    for item in range(x):
        if item % 2:
            total += {call[n]}
        else:
            total -= item * y
    return [total, x, {{"a": y, "b": [q for q in range(3)]}}]
"""
        for n in range(10)
    )
    return f"""{imports}{body}
class C{number}:
    def __init__(self, a): self.a = a
    def run(self, b): return self.a + b + f{number}_0(b) + {f"C{number // 2}(b).run(b)" if number else "0"}
"""


def edit() -> None:
    count = 500
    modules = Texts({f"mod{i}": module_text(i) for i in range(count)})
    codebase = Codebase(modules)
    start = Symbol(f"mod{count - 1}:C{count - 1}")
    size = len(codebase.closure(start).pairs)
    parsed, taken = [], []
    for round_ in range(3 * ROUNDS):
        text = module_text(count // 2, 100 + round_)
        parsed.append(cpu_s(lambda text=text: ast.parse(text)))  # type: ignore[misc]
        before = codebase.closure(start)

        def take(text: str = text) -> None:
            modules.summaries[f"mod{count // 2}"] = summary_of(f"mod{count // 2}", text)
            codebase.refresh()
            codebase.closure(start)

        taken.append(cpu_s(take))
        assert codebase.closure(start) != before
    a, b = min(parsed), min(taken)
    print(
        f"edit       closure of {size} symbols: {1e3 * b:.2f} ms; ast.parse of the module {1e3 * a:.2f} ms; "
        f"ratio {b / a:.2f}"
    )


WARM = """
import time
from hitsave import memo
import mod499

@memo
def top(x):
    return mod499.C499(1).run(0) if x < 0 else x

from hitsave.session import current
book = current().evaluator.planner.book
start = time.process_time()
closure = book.closure({"main:top"})
closed = time.process_time()
top(1)
print(len(closure.modules), len(closure.pairs), book.parsed, closed - start, time.process_time() - closed)
"""


def warm() -> None:
    """The closure of 500 loaded modules from records, and the first call, which makes the plan and its guard."""
    home = Path(tempfile.mkdtemp())
    (home / "project" / ".git").mkdir(parents=True)
    for number in range(500):
        (home / "project" / f"mod{number}.py").write_text(module_text(number), "utf-8")
    (home / "project" / "main.py").write_text(WARM, "utf-8")
    environment = {**os.environ, "HITSAVE_DIR": str(home / "cache"), "HITSAVE_CONFIG_DIR": str(home / "config")}
    rows = []
    for _ in range(ROUNDS + 1):
        command = [sys.executable, "main.py"]
        done = subprocess.run(
            command, cwd=home / "project", env=environment, capture_output=True, text=True, check=True
        )
        rows.append([float(part) for part in done.stdout.split()])
    modules, symbols, parsed = rows[-1][:3]
    closed, called = (min(row[column] for row in rows[1:]) for column in (3, 4))
    print(
        f"warm       closure of {modules:.0f} modules, {symbols:.0f} symbols: {1e3 * closed:.1f} ms, "
        f"{parsed:.0f} parsed; "
        f"the first call {1e3 * called:.0f} ms more (cold: {1e3 * rows[0][3]:.0f} ms)"
    )
    shutil.rmtree(home)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", nargs="*", default=["networkx"])
    parser.add_argument("--closure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.closure:
        largest_closure(options.closure)
        return
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores")
    summaries()
    edit()
    warm()
    for package in options.packages:
        closure_of(package)


if __name__ == "__main__":
    main()
