"""Runs a random project through edits, and compares every cached answer with an uncached run."""

from __future__ import annotations

import random
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.generate import Project, edit, make
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
    differences: list[str] = field(default_factory=list)

    def add(self, other: Counts) -> None:
        """Add up."""
        for name in ("programs", "processes", "answers", "ran", "spared", "again"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.differences += other.differences

    def text(self) -> str:
        """One line."""
        return (
            f"{self.programs} programs, {self.processes} processes, {self.answers} answers compared: "
            f"{len(self.differences)} differ; after edits {self.spared} answers spared, {self.ran} bodies run; "
            f"{self.again} bodies run again without an edit"
        )


def compare(seed: int, processes: Processes, *, edits: int = 5) -> Counts:
    """Make the project of `seed`, edit it `edits` times (now and then undoing one), compare after each edit."""
    chance = random.Random(seed * 7919 + 1)
    counts = Counts(programs=1)
    memory = Path("/dev/shm")
    base = Path(tempfile.mkdtemp(prefix="hitsave-fuzz-", dir=memory if memory.is_dir() else None)).resolve()
    try:
        (base / "project").mkdir()
        versions = [make(seed)]
        folder = Folder(base / "project", versions[0].files())
        _check(base, folder, processes, counts, f"seed {seed}, as made", after_edit=False)
        for number in range(edits):
            last = versions[-1]
            versions.append(chance.choice(versions) if chance.random() < 0.2 else edit(last, chance))
            _write(folder, versions[-1])
            _check(base, folder, processes, counts, f"seed {seed}, edit {number + 1}", after_edit=True)
        before = processes.runs
        counts.again += len(_run(base, folder, processes, cached=True).runs)
        counts.processes += processes.runs - before
    finally:
        shutil.rmtree(base, ignore_errors=True)
    return counts


def _write(folder: Folder, project: Project) -> None:
    folder.restore(project.files())


def _run(base: Path, folder: Folder, processes: Processes, *, cached: bool) -> Ran:
    where = {"HITSAVE_DIR": str(base / "cache"), "HITSAVE_CONFIG_DIR": str(base / "config")}
    if not cached:
        where["HITSAVE_MODE"] = "off"
    return processes.run(folder.root, where, no_bytecode=not cached)


def _check(base: Path, folder: Folder, processes: Processes, counts: Counts, where: str, *, after_edit: bool) -> None:
    cached = _run(base, folder, processes, cached=True)
    truth = _run(base, folder, processes, cached=False)
    counts.processes += 2
    counts.answers += len(truth.answers)
    if after_edit:
        ran = len(cached.runs)
        counts.ran += ran
        counts.spared += max(len(truth.answers) - ran, 0)
    if cached.answers != truth.answers or cached.code != truth.code:
        pairs = zip(cached.answers, truth.answers, strict=False)
        wrong = [f"{got} is not {right}" for got, right in pairs if got != right]
        counts.differences.append(f"{where}: {wrong[:2]} {cached.stderr[-300:] if cached.code != truth.code else ''}")
    elif "UnsoundWarning" in cached.stderr:
        counts.differences.append(f"{where}: {cached.stderr[-500:]}")
