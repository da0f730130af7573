"""Programs as real processes: run, run again, edit, run, undo, run. What is stale, lucky or wasteful is told apart.

A file in `programs/` holds many programs, each like this:

    == the JSON branch is edited, CSV was read
    # m.py
    from hitsave import memo
    ...
    # main.py                               left out: `from m import top; print("=", top(3))`
    ...
    edit m.py: x + 1 >>> x + 2              one or more; `\\n`: a new line; an absent file is made; GONE removes one
    expect: spared

A memoised function prints `RUN` when its body runs; lines that begin with `=` are answers. Expectations:

    recomputed   the edit changes what the answer was made from: it must run again, even if the answer stays the same
    hit          the edit is benign (a comment, unrelated code): it must not run again on any Python version
    spared       it must not run again on 3.12 and later, where it is known what ran; before, it may
    right        only the answer counts
    runs A B     exactly these run (`print("RUN A")`) on 3.12 and later
    ... settles  one run may be needed to get used to state that a hit doesn't leave (docs/trust.md); the next must hit
    ... since312 asked of Python 3.12 and later only: before, nobody knows which functions ran earlier
    ... warns    warnings are expected
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
MAIN = 'from m import top\nprint("=", top(3))\n'
IMPORT = "from hitsave import memo\n"


@dataclass(frozen=True)
class Edit:
    """`old` becomes `new` in a file; `old` empty: the file is made; `new` None: it is removed."""

    file: str
    old: str
    new: str | None


@dataclass(frozen=True)
class Program:
    """A little project, an edit, and what the edit has to bring about."""

    name: str
    home: str
    files: dict[str, str]
    edits: tuple[Edit, ...]
    expect: str


@dataclass(frozen=True)
class Ran:
    """What one process printed."""

    stdout: str
    stderr: str
    code: int

    @property
    def answers(self) -> list[str]:
        """The lines that begin with `=`."""
        return [line for line in self.stdout.splitlines() if line.startswith("=")]

    @property
    def runs(self) -> list[str]:
        """The lines that memoised bodies print."""
        return [line for line in self.stdout.splitlines() if line.startswith("RUN")]


@dataclass
class Verdict:
    """What went wrong with a program; nothing, if `problems` is empty."""

    program: Program
    problems: list[str] = field(default_factory=list)
    spared: bool = False

    def text(self) -> str:
        """One line per problem."""
        return "\n".join(f"{self.program.home}: {self.program.name}: {problem}" for problem in self.problems)


# -- the format ------------------------------------------------------------------------------------------------------


def read_programs(path: Path) -> list[Program]:
    """The programs in a file."""
    return [_program(path.stem, part) for part in path.read_text(encoding="utf-8").split("\n== ")[1:]]


def _program(home: str, text: str) -> Program:
    name, *lines = text.splitlines()
    files: dict[str, list[str]] = {}
    edits: list[Edit] = []
    expect = ""
    current: list[str] | None = None
    for line in lines:
        if line.startswith("# ") and " " not in line[2:].strip() and "." in line:
            current = files.setdefault(line[2:].strip(), [])
        elif line.startswith("edit "):
            file, _, change = line[5:].partition(": ")
            old, _, new = change.partition(" >>> ") if " >>> " in change else change.partition(" >>>")
            edits.append(Edit(file, _unescape(old), None if new == "GONE" else _unescape(new)))
        elif line.startswith("expect: "):
            expect = line[8:].strip()
        elif current is not None:
            current.append(line)
    texts = {file: "\n".join(content).strip("\n") + "\n" for file, content in files.items()}
    texts.setdefault("main.py", MAIN)
    if "@memo" in texts.get("m.py", "") and "import memo" not in texts["m.py"]:
        texts["m.py"] = IMPORT + texts["m.py"]
    assert expect and edits, f"{home}: {name}: no expectation or no edit"
    return Program(name, home, texts, tuple(edits), expect)


def _unescape(text: str) -> str:
    return text.replace("\\n", "\n").replace("\\t", "    ")


# -- projects on disk ------------------------------------------------------------------------------------------------


class Folder:
    """A project on disk. Every write gets a time of its own: Python's own `.pyc` go by whole seconds."""

    def __init__(self, root: Path, files: dict[str, str]) -> None:
        self.root = root
        self._clock = 1_700_000_000
        for name, text in files.items():
            self.write(name, text)
        (root / ".git").mkdir()

    def write(self, name: str, text: str) -> None:
        """Write a file, newer than all before."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        self._clock += 10
        os.utime(path, (self._clock, self._clock))

    def apply(self, edit: Edit) -> None:
        """Make the edit."""
        path = self.root / edit.file
        if edit.new is None:
            path.unlink()
        elif not edit.old:
            assert not path.exists(), f"{edit.file} exists already"
            self.write(edit.file, edit.new)
        else:
            text = path.read_text(encoding="utf-8")
            assert edit.old in text, f"{edit.old!r} isn't in {edit.file}"
            self.write(edit.file, text.replace(edit.old, edit.new, 1))

    def restore(self, files: dict[str, str]) -> None:
        """Undo all edits."""
        for name in {str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file()} - set(files):
            if not name.startswith(".") and "__pycache__" not in name:
                (self.root / name).unlink()
                with contextlib.suppress(OSError):  # an empty folder is a package, or a distribution, too
                    (self.root / name).parent.rmdir()
        for name, text in files.items():
            if not (self.root / name).exists() or (self.root / name).read_text(encoding="utf-8") != text:
                self.write(name, text)


# -- processes -------------------------------------------------------------------------------------------------------


class Processes:
    """Runs scripts, each in a process of its own: forked from a zygote, or (`fresh`) started from nothing.

    What a zygote forks shares its hash seed, so several `zygotes` take turns where that could hide something.
    """

    def __init__(
        self,
        executable: str = sys.executable,
        *,
        fresh: bool = False,
        repository: Path = REPOSITORY,
        zygotes: int = 1,
    ) -> None:
        self.executable = executable
        self.fresh = fresh
        self.repository = repository
        self._zygotes: list[subprocess.Popen[str] | None] = [None] * zygotes
        version = "import sys; print(*sys.version_info[:2])"
        found = subprocess.run([executable, "-c", version], capture_output=True, text=True, check=True).stdout.split()
        self.version = (int(found[0]), int(found[1]))
        self.runs = 0

    def run(
        self,
        folder: Path,
        environment: dict[str, str],
        *,
        script: str = "main.py",
        no_bytecode: bool = False,
        bare: bool = False,
    ) -> Ran:
        """The script, run in `folder` with HITSAVE_… variables of its own.

        `bare`: what it prints without hitsave, its decorators doing nothing (in a fresh process: switched off).
        """
        self.runs += 1
        if self.fresh:
            return self._start(folder, script, {**environment, "HITSAVE_MODE": "off"} if bare else environment)
        request = {
            "folder": str(folder),
            "script": script,
            "environment": environment,
            "no_bytecode": no_bytecode or bare,
            "bare": bare,
        }
        zygote = self._get_zygote(self.runs % len(self._zygotes))
        assert zygote.stdin is not None and zygote.stdout is not None
        zygote.stdin.write(json.dumps(request) + "\n")
        zygote.stdin.flush()
        line = zygote.stdout.readline()
        assert line, "the zygote died"
        return Ran(**json.loads(line))

    def close(self) -> None:
        """End the zygotes."""
        for zygote in filter(None, self._zygotes):
            assert zygote.stdin is not None and zygote.stdout is not None
            zygote.stdin.close()
            zygote.wait()
            zygote.stdout.close()
        self._zygotes = [None] * len(self._zygotes)

    def _get_zygote(self, number: int) -> subprocess.Popen[str]:
        zygote = self._zygotes[number]
        if zygote is None:
            zygote = self._zygotes[number] = subprocess.Popen(
                [self.executable, str(Path(__file__).with_name("zygote.py")), str(self.repository)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=self._environment({}),
                cwd="/",
            )
        return zygote

    def _start(self, folder: Path, script: str, environment: dict[str, str]) -> Ran:
        done = subprocess.run(
            [self.executable, script],
            cwd=folder,
            env=self._environment(environment),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Ran(done.stdout, done.stderr, done.returncode)

    def _environment(self, more: dict[str, str]) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("HITSAVE_", "PYTHON"))}
        return {**kept, "PYTHONPATH": str(self.repository), **more}


# -- judging ---------------------------------------------------------------------------------------------------------


def judge(program: Program, processes: Processes) -> Verdict:
    """Run the program through run, run, edit, run, run, undo, run; its answers are held against uncached runs."""
    with _temporary() as base:
        folder = Folder(base / "project", program.files)
        cached = {"HITSAVE_DIR": str(base / "cache"), "HITSAVE_CONFIG_DIR": str(base / "config")}
        plain = {"HITSAVE_DIR": str(base / "none"), "HITSAVE_CONFIG_DIR": str(base / "nothing"), "HITSAVE_MODE": "off"}
        verdict = Verdict(program)
        if " since312" in program.expect and processes.version < (3, 12):
            return verdict
        say = verdict.problems.append
        first = processes.run(folder.root, cached)
        settles = " settles" in program.expect
        again = [processes.run(folder.root, cached) for _ in range(1 + settles)][-1]
        for edit in program.edits:
            folder.apply(edit)
        edited = processes.run(folder.root, cached)
        truth = processes.run(folder.root, plain, no_bytecode=True)
        settled = [processes.run(folder.root, cached) for _ in range(1 + settles)][-1]
        folder.restore(program.files)
        undone = processes.run(folder.root, cached)
        if not first.runs or not first.answers:
            say(f"NOTHING RAN {first.stdout!r} {first.stderr[-400:]!r}")
        if again.runs:
            say(f"WASTEFUL: the second run ran {again.runs}")
        if undone.runs:
            say(f"WASTEFUL: after the undo ran {undone.runs}")
        if settled.runs:
            say(f"WASTEFUL: the second run after the edit ran {settled.runs}")
        if again.answers != first.answers or undone.answers != first.answers:
            say(f"STALE: unedited {first.answers} {again.answers} {undone.answers}")
        for run in (edited, settled):
            if run.answers != truth.answers:
                say(f"STALE: {run.answers}, not {truth.answers}")
                break
        _judge_edit(verdict, edited, observes=processes.version >= (3, 12))
        noise = [run.stderr for run in (first, again, edited, settled, undone) if run.stderr != truth.stderr]
        if noise and "warns" not in program.expect:
            say(f"NOISE: {noise[0][-600:]}")
        return verdict


def _judge_edit(verdict: Verdict, edited: Ran, *, observes: bool) -> None:
    expect = verdict.program.expect.replace(" warns", "").replace(" settles", "").replace(" since312", "")
    verdict.spared = not edited.runs
    if expect == "recomputed" and not edited.runs:
        verdict.problems.append("LUCKY: it did not run again")
    elif expect == "hit" and edited.runs:
        verdict.problems.append(f"WASTEFUL: a benign edit ran {edited.runs}")
    elif expect == "spared" and edited.runs and observes:
        verdict.problems.append(f"WASTEFUL: it was not spared, ran {edited.runs}")
    elif expect.startswith("runs") and observes:
        wanted = [f"RUN {name}" for name in expect.split()[1:]]
        if sorted(edited.runs) != sorted(wanted):
            kind = "LUCKY" if set(wanted) - set(edited.runs) else "WASTEFUL"
            verdict.problems.append(f"{kind}: {edited.runs} ran, not {wanted}")


@contextlib.contextmanager
def _temporary() -> Iterator[Path]:
    memory = Path("/dev/shm")  # a tenth of the time on most machines; any folder does
    base = Path(tempfile.mkdtemp(prefix="hitsave-", dir=memory if memory.is_dir() else None)).resolve()
    (base / "project").mkdir()
    try:
        yield base
    finally:
        shutil.rmtree(base, ignore_errors=True)
