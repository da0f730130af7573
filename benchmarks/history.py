"""Replay a Git history: would hitsave have been right, and how much would it have spared?

    python benchmarks/history.py REPOSITORY CALLS [--last N] [--observe off] [--python EXECUTABLE] [--keep FOLDER]

CALLS is a Python file whose public functions take no arguments and return something with a stable `repr`. At each
commit, oldest first, these calls run in fresh processes: plainly (the truth), under a tracer (what a result is made
from), and memoised, with the cache of all commits before. At the end a few earlier commits are visited again.

    stale        a memoised answer differs from the plain one
    lucky        it was reused although what it runs or reads had changed, and is right all the same: as bad a sign
    executed     how many memoised calls ran their body
    unnecessary  of these: all that the call runs and reads equals that of an earlier commit (see `history_trace.py`)
    ideal        what must be executed: the first time that a call has this trace

The plain and the traced run of a commit know nothing of hitsave: with `--keep` they are made once per call file,
Python and tracer, and read from there by later replays. A call that raises is not stored, so it isn't counted. The
exit code is 1 if anything is stale, lucky or crashed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent


@dataclass
class Tally:
    """Counts over all commits."""

    answers: int = 0
    stale: list[str] = field(default_factory=list)
    lucky: list[str] = field(default_factory=list)
    crashed: list[str] = field(default_factory=list)
    executed: int = 0
    unnecessary: list[str] = field(default_factory=list)
    ideal: int = 0
    raised: int = 0
    again: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def text(self) -> str:
        """The figures, one per line."""
        spared = self.answers - self.ideal
        reused = self.answers - self.executed
        share = f" ({reused / spared:.1%} of what the ideal reuses)" if spared else ""
        return "\n".join(
            (
                f"answers       {self.answers:6}   ({self.raised} more raised)",
                f"stale         {len(self.stale):6}",
                f"lucky         {len(self.lucky):6}",
                f"crashed       {len(self.crashed):6}",
                f"executed      {self.executed:6}",
                f"unnecessary   {len(self.unnecessary):6}",
                f"ideal         {self.ideal:6}",
                f"reused        {reused:6}{share}",
                f"run again on going back to earlier commits {len(self.again)}",
            )
        )


class Replay:
    """One walk over a history."""

    def __init__(
        self, repository: Path, calls: Path, python: str, observe: str, folder: Path, keep: Path | None
    ) -> None:
        self.repository = repository
        self.keep = keep and keep / _digest_of(repository.name, calls, python)
        self.python = python
        self.work = folder / "work"
        self.work.mkdir()
        (self.work / ".git").mkdir()
        self.calls = calls
        self.cache = {
            "HITSAVE_DIR": str(folder / "cache"),
            "HITSAVE_CONFIG_DIR": str(folder / "config"),
            "HITSAVE_OBSERVE": observe,
        }
        self.seen: dict[str, set[str]] = {}  # call -> traces of earlier commits
        self.tally = Tally()
        self._clock = 1_000_000_000

    def walk(self, commits: list[tuple[str, str]], *, verbose: bool = False) -> Tally:
        """Visit the commits (id, subject) in order, then three of them again."""
        for commit, subject in commits:
            before = self.tally.executed
            self.visit(commit, subject)
            if verbose:
                print(f"{subject:20} executed {self.tally.executed - before}", file=sys.stderr, flush=True)
        for commit, subject in commits[:: max(len(commits) // 3, 1)]:
            if any(left.startswith(f"{subject}: ") for left in self.tally.left_out):
                continue
            self.check_out(commit)
            memoised = self.run("memoised", self.cache)
            ran = [name for name, found in memoised.items() if found["ran"] and not found["raised"]]
            self.tally.again += [f"{subject}: {name}" for name in ran]
        return self.tally

    def visit(self, commit: str, subject: str) -> None:
        """Compare the three runs at a commit."""
        self.check_out(commit)
        tally = self.tally
        plain = self.run_once(commit, "plain")
        if not plain:
            tally.left_out.append(f"{subject}: the calls can't be imported")
            tally.crashed.pop()
            return
        traced = self.run_once(commit, "traced")
        memoised = self.run("memoised", self.cache)
        if not traced:
            return
        for name, truth in plain.items():
            if name not in memoised:
                tally.crashed.append(f"{subject}: {name}")
                continue
            found = memoised[name]
            if found["answer"] != truth["answer"]:
                tally.stale.append(f"{subject}: {name}: {found['answer'][:80]} is not {truth['answer'][:80]}")
            if truth["raised"]:
                tally.raised += 1
                continue
            tally.answers += 1
            trace = json.dumps(traced[name]["trace"])
            earlier = self.seen.setdefault(name, set())
            known = trace in earlier
            tally.ideal += not known
            tally.executed += found["ran"]
            if found["ran"] and known:
                tally.unnecessary.append(f"{subject}: {name}")
            if not found["ran"] and not known and found["answer"] == truth["answer"]:
                tally.lucky.append(f"{subject}: {name}: {self._difference(name, traced[name]['trace'])}")
            earlier.add(trace)

    def _difference(self, name: str, trace: list[str]) -> str:
        """How a trace differs from the closest of the earlier ones."""
        traces = [set(json.loads(text)) for text in self.seen[name]]
        closest = min(traces, key=lambda one: len(one ^ set(trace)), default=set())
        return ", ".join(sorted(item.rpartition("=")[0] for item in set(trace) ^ closest)[:5])

    def check_out(self, commit: str) -> None:
        """Put the files of a commit into the working folder, each with a time of its own."""
        for path in self.work.iterdir():
            if path.name != ".git":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        archive = subprocess.run(["git", "archive", commit], cwd=self.repository, stdout=subprocess.PIPE, check=True)
        subprocess.run(["tar", "-x"], cwd=self.work, input=archive.stdout, check=True)
        shutil.copy(self.calls, self.work / "replayed_calls.py")
        for path in self.work.rglob("*.py"):
            os.utime(path, (self._clock, self._clock))
        self._clock += 10
        time.sleep(
            0.2
        )  # a file written as a process starts may be another than the one it runs: see importhook/clock.py

    def run_once(self, commit: str, how: str) -> dict[str, dict[str, object]]:
        """As `run` without memoisation, or what it gave in an earlier replay."""
        file = self.keep and self.keep / f"{commit}.{how}.json"
        if file and file.is_file():
            known: dict[str, dict[str, object]] = json.loads(file.read_text())
            return known
        found = self.run(how, {})
        if file and found:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(found))
        return found

    def run(self, how: str, environment: dict[str, str]) -> dict[str, dict[str, object]]:
        """{call: {"answer", "raised", "ran", "trace"}} of a fresh process; empty if it crashed."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("HITSAVE_", "PYTHON"))}
        path = os.pathsep.join((str(HERE.parent), str(HERE)))
        if how != "memoised":
            kept["PYTHONDONTWRITEBYTECODE"] = "1"
        done = subprocess.run(
            [self.python, str(HERE / "history_child.py"), how, str(self.work)],
            cwd=self.work,
            env={**kept, "PYTHONPATH": path, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        if "UnsoundWarning" in done.stderr:
            self.tally.crashed.append(f"{how}: {done.stderr[-2000:]}")
        line = done.stdout.rpartition("\n@")[2]
        if done.returncode or not line:
            self.tally.crashed.append(f"{how}: {done.stderr[-2000:]}")
            return {}
        found: dict[str, dict[str, object]] = json.loads(line)
        return found


def main() -> int:
    """Print the figures, and each finding that is a bug."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("repository", type=Path)
    parser.add_argument("calls", type=Path)
    parser.add_argument("--last", type=int, default=0, metavar="N", help="the N newest commits only")
    parser.add_argument("--observe", default="auto", choices=("auto", "off"), help="off: the static closure alone")
    parser.add_argument("--python", default=sys.executable, metavar="EXECUTABLE")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="of plain answers and traces, for later replays")
    parser.add_argument("--verbose", action="store_true", help="also each commit, and each unnecessary execution")
    options = parser.parse_args()
    log = subprocess.run(
        ["git", "log", "--reverse", "--first-parent", "--format=%H %s"],
        cwd=options.repository,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    commits = [(line.partition(" ")[0], line.partition(" ")[2]) for line in log][-options.last :]
    with tempfile.TemporaryDirectory(prefix="hitsave-history-") as folder:
        base = Path(folder).resolve()
        calls = options.calls.resolve()
        replay = Replay(options.repository, calls, options.python, options.observe, base, options.keep)
        tally = replay.walk(commits, verbose=options.verbose)
    how = f"Python {_version(options.python)}, observe={options.observe}"
    print(f"{options.repository.name}: {len(commits)} commits, {how}")
    print(tally.text())
    for kind in ("left_out", "stale", "lucky", "crashed", "again") + (("unnecessary",) if options.verbose else ()):
        for finding in getattr(tally, kind):
            print(f"{kind}: {finding}")
    return 1 if tally.stale or tally.lucky or tally.crashed or tally.again else 0


def _digest_of(repository: str, calls: Path, python: str) -> str:
    """A name for what the plain and traced runs of a commit depend on."""
    texts = [calls.read_bytes(), *((HERE / name).read_bytes() for name in ("history_child.py", "history_trace.py"))]
    return f"{repository}-{_version(python)}-{hashlib.sha1(b''.join(texts)).hexdigest()[:12]}"


def _version(python: str) -> str:
    code = "import platform; print(platform.python_version())"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
