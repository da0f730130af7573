"""Runs a random project through edits, and compares every cached answer with an uncached run."""

from __future__ import annotations

import random
import re
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.generate import edit, make
from tests.processes.runner import Folder, Processes, Ran


@dataclass
class Counts:
    """What was seen over many programs."""

    programs: int = 0
    processes: int = 0
    answers: int = 0
    ran: int = 0  # bodies of memoised functions, after an edit
    spared: int = 0  # answers after an edit that needed no body
    again: int = 0  # bodies that ran although nothing was edited since the last run
    uncached: int = 0  # warnings that a function runs uncached: such a run proves little
    differences: list[str] = field(default_factory=list)
    printed: list[str] = field(default_factory=list)  # by each cached run

    def add(self, other: Counts) -> None:
        """Add up."""
        for name in ("programs", "processes", "answers", "ran", "spared", "again", "uncached"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.differences += other.differences

    def check_against(self, fresh: Counts, where: str) -> None:
        """Add the same program's runs in processes started from nothing; they have to print the same."""
        if fresh.printed != self.printed:
            self.differences.append(f"{where}: from nothing {fresh.printed}, not {self.printed}")
        self.add(fresh)
        self.programs -= fresh.programs

    def text(self) -> str:
        """One line."""
        return (
            f"{self.programs} programs, {self.processes} processes, {self.answers} answers compared: "
            f"{len(self.differences)} differ; after edits {self.spared} answers spared, {self.ran} bodies run; "
            f"{self.again} bodies run again without an edit, {self.uncached} warnings of uncached runs"
        )


def compare(seed: int, processes: Processes, *, edits: int = 5) -> Counts:
    """Make the project of `seed`, edit it `edits` times (now and then undoing one), compare after each edit."""
    chance = random.Random(seed * 7919 + 1)
    memory = Path("/dev/shm")
    base = Path(tempfile.mkdtemp(prefix="hitsave-fuzz-", dir=memory if memory.is_dir() else None)).resolve()
    try:
        (base / "project").mkdir()
        versions = [make(seed)]
        runs = Runs(base, Folder(base / "project", versions[0].files()), processes)
        runs.check(f"seed {seed}, as made", after_edit=False)
        for number in range(edits):
            last = versions[-1]
            versions.append(chance.choice(versions) if chance.random() < 0.2 else edit(last, chance))
            runs.folder.restore(versions[-1].files())
            runs.check(f"seed {seed}, edit {number + 1}", after_edit=True)
        runs.counts.again += len(runs.cached().runs)
    finally:
        shutil.rmtree(base, ignore_errors=True)
    return runs.counts


class Runs:
    """Runs of one project, cached and without hitsave. What the same files print without hitsave is asked for once."""

    def __init__(self, base: Path, folder: Folder, processes: Processes) -> None:
        self.base = base
        self.folder = folder
        self.processes = processes
        self.counts = Counts(programs=1)
        self._truths: dict[tuple[tuple[str, str], ...], Ran] = {}

    def cached(self) -> Ran:
        """A run with the cache."""
        where = {"HITSAVE_DIR": str(self.base / "cache"), "HITSAVE_CONFIG_DIR": str(self.base / "config")}
        ran = self.processes.run(self.folder.root, where)
        self.counts.processes += 1
        self.counts.uncached += ran.stderr.count("runs uncached")
        self.counts.printed.append(ran.stdout)
        return ran

    def truth(self) -> Ran:
        """What the files print without hitsave."""
        files = tuple((path.name, path.read_text(encoding="utf-8")) for path in sorted(self.folder.root.glob("*.py")))
        if files not in self._truths:
            where = {"HITSAVE_DIR": str(self.base / "none"), "HITSAVE_CONFIG_DIR": str(self.base / "nothing")}
            self._truths[files] = self.processes.run(self.folder.root, where, bare=True)
            self.counts.processes += 1
        return self._truths[files]

    def check(self, where: str, *, after_edit: bool) -> None:
        """Compare a cached run with the truth."""
        cached, truth, counts = self.cached(), self.truth(), self.counts
        counts.answers += len(truth.answers)
        if after_edit:
            counts.ran += len(cached.runs)
            counts.spared += max(len(truth.answers) - len(cached.runs), 0)
        if cached.answers != truth.answers or cached.code != truth.code:
            pairs = zip(cached.answers, truth.answers, strict=False)
            wrong = [f"{got} is not {right}" for got, right in pairs if got != right]
            noise = cached.stderr[-300:] if cached.code != truth.code else ""
            counts.differences.append(f"{where}: {wrong[:2]} {noise}")
        elif _raised(cached) != _raised(truth):
            counts.differences.append(f"{where}: {cached.stderr[-500:]}, not {truth.stderr[-500:]}")
        elif "UnsoundWarning" in cached.stderr:
            counts.differences.append(f"{where}: {cached.stderr[-500:]}")


def _raised(ran: Ran) -> list[str]:
    """The exceptions that a program died of: some call `asyncio.run` inside a coroutine."""
    return re.findall(r"^\w+(?:\.\w+)*(?:Error|Exception)\b.*", ran.stderr, re.MULTILINE)
