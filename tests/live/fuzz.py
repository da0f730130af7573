"""Random programs under random edits, and an oracle that says what a fresh process computes.

A program is made by `random_programs`, edits get to disk in the ways of `saves`, and calls run in between or, in
threads, all the time. Everything comes from a seed, so a failure can be run again:
`python benchmarks/live_fuzz.py --seed N --count 1`.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import os
import random
import shutil
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
from tests.live.random_programs import MODULES, Program
from tests.live.saves import STORM_EVERY, Saves


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

    def __init__(self, seed: int, folder: Path, *, threads: int = 0, only: str = "") -> None:
        self.seed = seed
        self.chance = random.Random(seed)
        self.tag = f"s{seed}p{os.getpid()}"
        self.root = folder / f"project{seed}"
        self.cache = folder / f"cache{seed}"
        self.threads = threads
        self.only = only
        self.problems: list[str] = []
        self.stored = 0
        self.swaps = 0
        self.refusals = 0
        self.ways: dict[str, int] = {}  # way of saving -> how often it was taken

    def go(self, edits: int) -> Run:
        self.root.mkdir()
        (self.root / "pyproject.toml").write_text("")
        forget_folders()
        storm = self.seed % STORM_EVERY == STORM_EVERY - 1
        saves = Saves(Program(self.chance), self.root, self.tag, self.chance, self._look, storm=storm)
        saves.only = self.only
        saves.begin()
        self.ways = saves.done
        sys.path.insert(0, str(self.root))
        install_import_hook(str(self.root))
        importlib.invalidate_caches()
        try:
            with warnings.catch_warnings(), hitsave.isolated(str(self.cache)):
                warnings.simplefilter("ignore", HitSaveWarning)
                self._drive(saves, edits)
        finally:
            sys.path.remove(str(self.root))
            shutil.rmtree(self.root)
            for name in [name for name in sys.modules if name.endswith(self.tag)]:
                del sys.modules[name]
        return self

    def _drive(self, saves: Saves, edits: int) -> None:
        try:
            app = importlib.import_module(f"app_{self.tag}")
        except Exception:  # noqa: BLE001 - a random program that can't be imported says nothing
            return
        self._call_all(app)
        session = hitsave.session.current()
        live = self.live = Live(session, "safe", self._count)
        if self.threads and self.chance.random() < 0.5:
            live.start()  # events, too, on a thread of theirs
        live.look()
        stop = threading.Event()
        workers = [threading.Thread(target=self._hammer, args=(app, stop, n)) for n in range(self.threads)]
        for worker in workers:
            worker.start()
        try:
            for _ in range(edits):
                saves.save()
                live.sync()
                if not workers:
                    self._call_all(app)
        finally:
            stop.set()
            for worker in workers:
                worker.join()
            live.stop()
        live.sync()
        self._check_store(session)

    def _look(self) -> None:
        """Somebody looks in the middle of saving; without threads, everything must be right even so."""
        self.live.sync()
        if not self.threads:
            self._call_all(sys.modules[f"app_{self.tag}"])

    def _count(self, event: LiveEvent) -> None:
        if event.kind == "trouble":
            self.problems.append(f"the live session failed: {event.detail}")
        self.swaps += event.kind == "swapped"
        self.refusals += event.kind == "refused"

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
        x = number * 25
        while not stop.is_set():
            x += 1
            for name in ("both", "one", "two"):
                self._call(app, name, x % 7)
            self._call(app, "both", x % 50)

    def _loaded(self) -> dict[str, str]:
        book = hitsave.session.current().book
        found = {}
        for name in (*MODULES, "app"):
            source = book.source(f"{name}_{self.tag}")
            if source is not None:
                found[f"{name}_{self.tag}"] = source.data.decode()
        return found

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
