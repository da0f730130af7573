"""What the import hook costs, against plain Python in the same run.

    python benchmarks/import_overhead.py [--rounds 15] [--package sympy] [--instructions]

Four figures, each with its target:

    warm import        <= 1.05x  everything is compiled already
    cold import        <= 1.25x  nothing is: read, compile, write
    foreign name       <= 3 us   one `find_spec` of a module that is not the project's
    idle start-up      <= 5 ms   the hook is installed while Python starts, and nothing of the project is imported

Imports are measured on a generated project (500 modules, one in ten with a decorated function) and on a real package of
300 and more modules that is copied into a folder of its own, so that the hook takes it for the project.

Processor time of the importing child, with and without the hook in turn: other load on the machine hits both alike.
Ratios are of the minimum and of the median over all rounds. Raw numbers are printed as JSON with --json.

On a machine that others use, times say little. With --instructions the instructions that the importing child executes
in user mode are counted instead, by valgrind, and the system calls of the whole child, by strace: these are the same
however busy the machine is.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
TARGETS = {"warm": 1.05, "cold": 1.25, "foreign us": 3.0, "idle ms": 5.0}

IMPORT = """
import sys, time
sys.path.insert(0, {root!r})
if {hooked}:
    from hitsave.importhook import install_import_hook
    install_import_hook({root!r})
before = time.process_time()
{imports}
elapsed = time.process_time() - before
files = [str(getattr(module, "__file__", "")) for module in list(sys.modules.values())]
print(elapsed, sum(file.startswith({root!r}) for file in files))
"""

FOREIGN = """
import sys, timeit
if "" in sys.path:
    sys.path.remove("")  # it is a script that we ask about: at a prompt, the working folder costs another microsecond
from hitsave.importhook import install_import_hook
find_spec = install_import_hook({root!r}).finder.find_spec
path = [sys.prefix + "/lib/python/site-packages/numpy"]
fresh = iter(["name%d" % i for i in range(50_000)])
for what in ("find_spec('numpy')", "find_spec('json')", "find_spec('numpy.linalg', path)", "find_spec(next(fresh))"):
    print(min(timeit.repeat(what, globals=globals(), number=2000, repeat=20)) / 2000 * 1e6, what)
"""

MODULE = '''
"""Module {i} of a generated project."""
import os
from dataclasses import dataclass
from {package} import base
{links}

LIMIT = {i}
NAMES = {{"a": 1, "b": [1, 2, 3], "c": ("x", "y")}}


def load_{i}(path, *, limit=LIMIT, strict=False):
    """Read what there is at `path`."""
    rows = []
    for number, line in enumerate(path.splitlines()):
        if not line.strip():
            continue
        key, _, value = line.partition("=")
        if strict and not value:
            raise ValueError(f"line {{number}} of {{path!r}} has no value")
        rows.append((key.strip(), value.strip() or None))
        if len(rows) >= limit:
            break
    return dict(rows)


class Model_{i}:
    """Holds parameters."""

    scale = {i} / 7

    def __init__(self, name, **options):
        self.name = name
        self.options = {{**NAMES, **options}}

    def fit(self, data):
        total = sum(x * self.scale for x in data if x is not None)
        self.mean = total / max(1, len(data))
        return self

    def predict(self, data):
        return [base.clip(x - self.mean) for x in data]

    def __repr__(self):
        return f"{{type(self).__name__}}({{self.name!r}})"


def run_{i}(text, *, times=3):
    model = Model_{i}(text)
    table = load_{i}(text)
    try:
        return model.fit([len(v or "") for v in table.values()] * times).predict([1, 2, 3])
    finally:
        table.clear()


{decorated}
def helper_{i}(*args, **kwargs):
    with_defaults = lambda x=1, *, y=2: (x, y)
    return [with_defaults(a) for a in args], {{k: v for k, v in kwargs.items() if v}}, os.sep
'''


# Rewritten, but not run: what a decorator does is not the hook's time.
DECORATED = """
def make():
    from hitsave import memo

    @memo
    def inner(x):
        return x

    return inner

"""


def generate(root: Path, modules: int = 500) -> str:
    """Write a project of that many modules; the statement that imports all of it."""
    for package in range(10):
        folder = root / f"gen{package}"
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text("")
        (folder / "base.py").write_text("def clip(x):\n    return max(0, x)\n")
    for i in range(modules - 20):
        home = f"gen{i % 10}"
        decorated = i % 10 == 0 or i % 37 == 0
        text = MODULE.format(
            i=i,
            package=home,
            links=f"from gen{(i - 1) % 10} import m{i - 1}" if i else "",
            decorated=DECORATED if decorated else "",
        )
        (root / home / f"m{i}.py").write_text(text)
    return "import " + ", ".join(f"gen{i % 10}.m{i}" for i in range(modules - 20))


def copy_package(root: Path, name: str) -> str:
    """Copy an installed package into `root`; the statement that imports it."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"{name} is not installed; name another package of 300 modules with --package")
    source = Path(spec.submodule_search_locations[0])
    shutil.copytree(source, root / name, ignore=shutil.ignore_patterns("__pycache__", "tests"))
    return f"import {name}"


def child(code: str, *options: str, under: Sequence[str] = (), **env: str) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "HITSAVE"))}
    environment |= {"PYTHONPATH": str(REPOSITORY), **env}
    done = subprocess.run(
        [*under, sys.executable, *options, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stderr if under else done.stdout


def import_s(root: Path, imports: str, *, hooked: bool) -> tuple[float, int]:
    text = IMPORT.format(root=str(root), imports=imports, hooked=hooked)
    elapsed, modules = child(text).split()
    return float(elapsed), int(modules)


def measure(root: Path, imports: str, rounds: int) -> dict[str, dict[str, list[float]]]:
    """{"cold" and "warm": {"plain" and "hooked": seconds per round}}, in turn."""
    # Each way has a copy of its own, or the one would warm up the other's files. Two copies are two orders on disk, so
    # they change places in every round.
    places = [root, root.with_name(root.name + "-copy")]
    shutil.copytree(root, places[1])
    found: dict[str, dict[str, list[float]]] = {kind: {"plain": [], "hooked": []} for kind in ("cold", "warm")}
    for number in range(rounds):
        order = [("plain", places[number % 2]), ("hooked", places[1 - number % 2])]
        for how, place in order if number % 4 < 2 else reversed(order):
            for cache in place.rglob("__pycache__"):
                shutil.rmtree(cache)
            for kind in ("cold", "warm"):
                elapsed, _ = import_s(place, imports, hooked=how == "hooked")
                found[kind][how].append(elapsed)
    return found


def instructions(root: Path, imports: str, *, hooked: bool) -> tuple[int, int]:
    """Instructions in user mode of the imports alone, and system calls of the whole child."""
    valgrind = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")
    counts = []
    for what in ("pass", imports):
        said = child(IMPORT.format(root=str(root), imports=what, hooked=hooked), under=valgrind, PYTHONHASHSEED="0")
        counts.append(int(said.partition("Collected :")[2].split()[0]))
    said = child(IMPORT.format(root=str(root), imports=imports, hooked=hooked), under=("strace", "-c", "-f"))
    return counts[1] - counts[0], int(said.splitlines()[-1].split()[3])


def count(root: Path, imports: str) -> dict[str, dict[str, tuple[int, int]]]:
    """{"cold" and "warm": {"plain" and "hooked": what `instructions` gives}}."""
    found: dict[str, dict[str, tuple[int, int]]] = {"cold": {}, "warm": {}}
    for how in ("plain", "hooked"):
        place = root.with_name(f"{root.name}-{how}")
        shutil.copytree(root, place, ignore=shutil.ignore_patterns("__pycache__"))
        import_s(place, "pass", hooked=True)  # hitsave's own modules are compiled
        found["cold"][how] = instructions(place, imports, hooked=how == "hooked")[0], 0  # its strace ran warm
        found["warm"][how] = instructions(place, imports, hooked=how == "hooked")
    return found


def idle_ms(root: Path, rounds: int) -> dict[str, list[float]]:
    """Processor time of a whole Python that does nothing, without and with the hook installed at start-up."""
    import resource

    startup = "from hitsave.importhook.startup import bootstrap\nbootstrap()\n"
    (root / "with").mkdir()
    (root / "with" / "sitecustomize.py").write_text(startup)
    (root / "without").mkdir()
    (root / "without" / "sitecustomize.py").write_text("")
    found: dict[str, list[float]] = {"without": [], "with": []}
    for _ in range(rounds * 4):
        for how in found:
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            path = f"{root / how}{os.pathsep}{REPOSITORY}"
            child("pass", PYTHONPATH=path, HITSAVE_AUTOINSTALL="1")
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu_s = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
            found[how].append(cpu_s * 1e3)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--package", default="sympy")
    parser.add_argument("--instructions", action="store_true", help="count instructions (valgrind), measure no times")
    parser.add_argument("--json", action="store_true", help="print the raw numbers as well")
    options = parser.parse_args()
    print(f"Python {platform.python_version()}, {platform.platform()}, {os.cpu_count()} cores")
    raw: dict[str, object] = {}
    failed = False

    def report(what: str, value: float, target: float, unit: str = "x") -> None:
        nonlocal failed
        failed |= value > target
        print(f"  {what:44} {value:8.3f}{unit}  (target {target}{unit}){'' if value <= target else '  MISSED'}")

    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        for name in ("generated", options.package):
            root = base / name.replace(".", "_") / "project"
            root.mkdir(parents=True)
            imports = generate(root) if name == "generated" else copy_package(root, name)
            _, modules = import_s(root, imports, hooked=True)
            print(f"{name}: {modules} modules")
            if options.instructions:
                for kind, counted in count(root, imports).items():
                    (plain_in, plain_calls), (hooked_in, hooked_calls) = counted["plain"], counted["hooked"]
                    report(
                        f"{kind} import, instructions ({plain_in / 1e6:.0f} M plain)",
                        hooked_in / plain_in,
                        TARGETS[kind],
                    )
                    if plain_calls:
                        print(f"  {kind} import, system calls: {plain_calls} plain, {hooked_calls} hooked")
                continue
            raw[name] = found = measure(root, imports, options.rounds)
            for kind, ways in found.items():
                plain, hooked = ways["plain"], ways["hooked"]
                report(f"{kind} import, minimum ({min(plain):.3f} s plain)", min(hooked) / min(plain), TARGETS[kind])
                median = statistics.median(hooked) / statistics.median(plain)
                report(f"{kind} import, median ({statistics.median(plain):.3f} s plain)", median, TARGETS[kind])
        if options.instructions:
            return 1 if failed else 0
        print("foreign names")
        for line in child(FOREIGN.format(root=str(base / "generated" / "project"))).splitlines():
            figure, _, what = line.partition(" ")
            report(what, float(figure), TARGETS["foreign us"], " us")
        print("start-up")
        raw["idle"] = idle = idle_ms(base, options.rounds)
        for statistic in (min, statistics.median):
            value: float = statistic(idle["with"]) - statistic(idle["without"])
            report(f"installed, idle, {statistic.__name__}", value, TARGETS["idle ms"], " ms")
    if options.json:
        print(json.dumps(raw))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
