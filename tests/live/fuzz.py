"""Random programs under random edits, and an oracle that says what a fresh process computes.

A program is three modules of small functions, classes, constants, caches and registries that call one another, and an
`app` with two memoised functions. An edit changes, adds or removes something, or only the way a file is written.
Everything comes from a seed, so a failure can be run again: `python benchmarks/live_fuzz.py --seed N --count 1`.
"""

# ruff: noqa: E501 - programs written as one string each
from __future__ import annotations

import ast
import builtins
import importlib
import os
import random
import sys
import threading
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import hitsave
from hitsave.errors import HitSaveWarning
from hitsave.evaluation import Evaluation
from hitsave.explain.record import decode_code
from hitsave.importhook import install_import_hook
from hitsave.live.events import LiveEvent
from hitsave.live.process import Live
from hitsave.project import forget_folders
from hitsave.values import decode

MODULES = ("m0", "m1", "m2")


class Program:
    """The items of each module, and their text."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.count = 0
        self.gentle = chance.random() < 0.5  # nothing in it that keeps state or runs at import
        self.items: dict[str, list[tuple[str, str]]] = {name: [] for name in MODULES}
        for name in MODULES:
            for _ in range(chance.randint(2, 5)):
                self.add(name)

    def number(self) -> int:
        return self.chance.randint(1, 99)

    def add(self, module: str) -> None:
        self.count += 1
        if self.gentle:
            self._insert(module, self.chance.choice(["plain"] * 5 + ["constant", "class"]))
            return
        kinds = ["plain"] * 6 + ["constant"] * 2 + ["class", "table", "import-time", "lru", "lazy", "default", "moved"]
        self._insert(module, self.chance.choice(kinds))

    def _insert(self, module: str, kind: str) -> None:
        self.items[module].insert(self.chance.randint(0, len(self.items[module])), (kind, self.make(module, kind)))

    def make(self, module: str, kind: str) -> str:
        n, k = self.count, self.number()
        call = self.call(module)
        if kind == "plain":
            return f"def f{n}(x, n={self.number()}):\n    return x * {k} + n + {call}\n"
        if kind == "constant":
            return f"C{n} = {k}\n"
        if kind == "class":
            return f"class B{n}:\n    size = {self.number()}\n    def f{n}(self, x):\n        return x + {k} + {call}\n"
        if kind == "import-time":
            return f"V{n} = {k}\ndef g{n}(x):\n    return x + {k}\nW{n} = g{n}({k})\n"
        if kind == "lru":
            return f"import functools\n@functools.lru_cache\ndef f{n}(x):\n    return x + {k} + {call}\n"
        if kind == "lazy":
            return f"S{n} = {{}}\ndef f{n}(x):\n    if x not in S{n}:\n        S{n}[x] = {k} + {call}\n    return S{n}[x]\n"
        if kind == "default":
            return (
                f"def f{n}(x, seen={{}}):\n    if x not in seen:\n        seen[x] = {k} + {call}\n    return seen[x]\n"
            )
        if kind == "table":
            return f"def f{n}(x):\n    return x + {k}\nT{n} = {{'a': f{n}}}\ndef h{n}(x):\n    return T{n}['a'](x)\n"
        return f"def f{n}(x):\n    return {k} - x\n"

    def call(self, module: str) -> str:
        """An expression that uses something made before, so that calls never go round in circles."""
        known = [
            (other, line.split("(")[0].split()[-1], line)
            for other in MODULES
            for _, text in self.items[other]
            for line in text.splitlines()
            if line.startswith("def ") or (line[0] in "CVW" and " = " in line)
        ]
        if not known:
            return "0"
        other, name, line = self.chance.choice(known)
        prefix = "" if other == module else f"{other}."
        if line.startswith("def "):
            return f"{prefix}{name}(x)"
        return f"{prefix}{line.split()[0]}"

    def edit(self) -> str:
        """Change something; the module."""
        module = self.chance.choice(MODULES)
        items = self.items[module]
        what = self.chance.random()
        if what < 0.15 or not items:
            self.add(module)
        elif what < 0.2:
            items.pop(self.chance.randrange(len(items)))
        elif what < 0.3 and len(items) > 1:
            one, two = self.chance.sample(range(len(items)), 2)
            items[one], items[two] = items[two], items[one]
        elif what < 0.4:
            position = self.chance.randrange(len(items))
            items[position] = (items[position][0], f"# {self.number()}\n" + items[position][1])
        else:
            position = self.chance.randrange(len(items))
            kind, text = items[position]
            numbers = [
                part for part in text.replace("=", " ").replace(")", " ").replace(":", " ").split() if part.isdigit()
            ]
            if numbers:
                old = self.chance.choice(numbers)
                items[position] = (
                    kind,
                    text.replace(f" {old}", f" {self.number()}", 1).replace(f"={old}", f"={self.number()}", 1),
                )
        return module

    def text(self, module: str, tag: str) -> str:
        body = "\n".join(text for _, text in self.items[module])
        for other in MODULES:
            body = body.replace(f"{other}.", f"{other}_{tag}.")
        imports = "".join(f"import {other}_{tag}\n" for other in MODULES if other != module)
        return imports + "\n" + body

    def app(self, tag: str) -> str:
        calls = {name: self.call("app") for name in ("one", "two")}
        text = "from hitsave import memo\n" + "".join(f"import {name}_{tag}\n" for name in MODULES)
        for name, call in calls.items():
            for other in MODULES:
                call = call.replace(f"{other}.", f"{other}_{tag}.")
            text += f"\n\n@memo\ndef {name}(x):\n    return x + {call}\n"
        return text + "\n\n@memo\ndef both(x):\n    return one(x) * two(x)\n"


def fresh(texts: dict[str, str], function: str, app: str, x: int) -> Any:
    """What a process that executes these texts from scratch computes; the exception it raises, as text."""
    modules: dict[str, ModuleType] = {}
    stub = ModuleType("hitsave")
    stub.memo = lambda function: function  # type: ignore[attr-defined]

    def load(name: str, *rest: Any) -> Any:
        if name == "hitsave":
            return stub
        if name not in texts:
            return importlib.__import__(name, *rest)
        if name not in modules:
            module = modules[name] = ModuleType(name)
            module.__dict__["__builtins__"] = {**vars(builtins), "__import__": load}
            exec(compile(texts[name], name, "exec", dont_inherit=True), module.__dict__)
        return modules[name]

    try:
        return getattr(load(app), function)(x)
    except Exception as error:  # noqa: BLE001 - random programs raise what they will
        return f"{type(error).__name__}"


class Run:
    """One sequence of edits and calls in this process. `problems` is what was found wrong."""

    def __init__(self, seed: int, folder: Path, *, threads: int = 0) -> None:
        self.seed = seed
        self.chance = random.Random(seed)
        self.tag = f"s{seed}p{os.getpid()}"
        self.root = folder / f"project{seed}"
        self.cache = folder / f"cache{seed}"
        self.threads = threads
        self.problems: list[str] = []
        self.stored = 0
        self.swaps = 0
        self.refusals = 0
        self.texts: dict[str, dict[str, str]] = {}  # module -> digest -> text

    def go(self, edits: int) -> Run:
        self.root.mkdir()
        (self.root / "pyproject.toml").write_text("")
        forget_folders()
        program = Program(self.chance)
        for name in MODULES:
            self._path(name).write_text(program.text(name, self.tag))
        self._path("app").write_text(program.app(self.tag))
        sys.path.insert(0, str(self.root))
        install_import_hook(str(self.root))
        importlib.invalidate_caches()
        try:
            with warnings.catch_warnings(), hitsave.isolated(str(self.cache)):
                warnings.simplefilter("ignore", HitSaveWarning)
                self._drive(program, edits)
        finally:
            sys.path.remove(str(self.root))
            for name in [name for name in sys.modules if name.endswith(self.tag)]:
                del sys.modules[name]
        return self

    def _drive(self, program: Program, edits: int) -> None:
        try:
            app = importlib.import_module(f"app_{self.tag}")
        except Exception:  # noqa: BLE001 - a random program that can't be imported says nothing
            return
        self._call_all(app)
        session = hitsave.session.current()
        live = Live(session, "safe", self._count)
        live.look()
        stop = threading.Event()
        workers = [threading.Thread(target=self._hammer, args=(app, stop, n)) for n in range(self.threads)]
        for worker in workers:
            worker.start()
        for _ in range(edits):
            self._save(program, program.edit(), live)
            live.sync()
            if not workers:
                self._call_all(app)
        stop.set()
        for worker in workers:
            worker.join()
        live.take_over()
        self._check_store(session)

    def _count(self, event: LiveEvent) -> None:
        self.swaps += event.kind == "swapped"
        self.refusals += event.kind == "refused"

    def _save(self, program: Program, module: str, live: Live) -> None:
        path, text = self._path(module), program.text(module, self.tag)
        how = self.chance.random()
        if how < 0.3:
            path.write_text(text)
        elif how < 0.6:
            beside = path.with_suffix(".tmp")
            beside.write_text(text)
            beside.replace(path)
        elif how < 0.7:
            stat = path.stat()
            path.write_text(text)
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        elif how < 0.8:
            path.write_text(text[: len(text) // 2])
            live.sync()
            path.write_text(text)
        elif how < 0.9:
            path.write_text(text + "\n)(")
            live.sync()
            path.write_text(text)
        else:
            path.unlink()
            live.sync()
            path.write_text(text)

    def _call_all(self, app: ModuleType) -> None:
        texts = self._loaded()
        for name in ("one", "two", "both"):
            for x in (1, 2):
                expected = fresh(texts, name, f"app_{self.tag}", x)
                found = self._call(app, name, x)
                if found != expected:
                    self.problems.append(f"{name}({x}) is {found!r}, and a fresh process gives {expected!r}")

    def _call(self, app: ModuleType, name: str, x: int) -> Any:
        try:
            return getattr(app, name)(x)
        except Exception as error:  # noqa: BLE001 - compared with what a fresh process raises
            return f"{type(error).__name__}"

    def _hammer(self, app: ModuleType, stop: threading.Event, number: int) -> None:
        x = number * 100
        while not stop.is_set():
            x += 1
            for name in ("both", "one", "two"):
                self._call(app, name, x % 7)
            self._call(app, "both", x)

    def _loaded(self) -> dict[str, str]:
        book = hitsave.session.current().book
        found = {}
        for name in (*MODULES, "app"):
            source = book.source(f"{name}_{self.tag}")
            if source is not None:
                found[f"{name}_{self.tag}"] = source.data.decode()
        return found

    def _path(self, module: str) -> Path:
        return self.root / f"{module}_{self.tag}.py"

    def _check_store(self, session: Any) -> None:
        self.stored, wrong = check_store(session, f"app_{self.tag}", self._loaded())
        self.problems += wrong


def check_store(session: Any, app: str, loaded: dict[str, str]) -> tuple[int, list[str]]:
    """How many results are stored, and which of them their own code doesn't compute. `loaded`: texts of all modules."""
    found = list(session.disk.entries())
    return len(found), [problem for each in found if (problem := _check(each, session, app, loaded))]


def _check(evaluation: Evaluation, session: Any, app: str, loaded: dict[str, str]) -> str:
    record = session.disk.get_record("closure", evaluation.key.fingerprint)
    code = None if record is None else decode_code(record)
    assert code is not None, "the code behind a result wasn't kept"
    texts = dict(loaded)
    for module, digest in code.sources:
        data = session.disk.get_record("source", digest)
        assert data is not None
        texts[module] = zlib.decompress(data).decode()
    function = evaluation.key.symbol.partition(":")[2]
    call = ast.parse(evaluation.title, mode="eval").body
    assert isinstance(call, ast.Call)
    x = ast.literal_eval(call.keywords[0].value)
    expected = fresh(texts, function, app, x)
    found = decode(session.disk.load(evaluation))
    if found == expected:
        return ""
    return f"stored {evaluation.title} = {found!r}, and a fresh process of that code gives {expected!r}"


def run_many(
    first: int, count: int, folder: Path, *, edits: int, threads: int, tell: Callable[[Run], None]
) -> list[Run]:
    """The runs that found something wrong."""
    wrong = []
    for seed in range(first, first + count):
        run = Run(seed, folder, threads=threads).go(edits)
        tell(run)
        if run.problems:
            wrong.append(run)
    return wrong
