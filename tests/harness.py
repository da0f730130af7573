"""Real projects in temporary folders, and real child processes that run in them.

`Project` is a Git folder with files; `Runner` starts child processes whose cache and configuration are their own.
Both come as fixtures (`project`, `run`) from conftest.py.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Done:
    """How a child process ended and what it printed."""

    stdout: str
    stderr: str
    exit_code: int

    @property
    def lines(self) -> list[str]:
        """The lines of stdout."""
        return self.stdout.splitlines()

    def json(self) -> Any:
        """stdout read as JSON; fails with all output in view where it is none."""
        try:
            return json.loads(self.stdout)
        except ValueError:
            raise AssertionError(f"not JSON: {self.stdout!r}\nstderr: {self.stderr}") from None

    def ok(self) -> Done:
        """Itself, if the exit code is 0; else an AssertionError that shows all output."""
        assert self.exit_code == 0, f"exit code {self.exit_code}\nstdout: {self.stdout}\nstderr: {self.stderr}"
        return self


@dataclass(frozen=True)
class Project:
    """A folder with source files, a Git repository unless made otherwise."""

    root: Path

    def write(self, files: Mapping[str, str]) -> Project:
        """Write each file, its text dedented, folders made as needed."""
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
        return self

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace the one occurrence of `old` in a file: a person's edit in an editor."""
        path = self.root / name
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times in {name}"
        path.write_text(text.replace(old, new), encoding="utf-8")

    def read(self, name: str) -> str:
        """The text of a file."""
        return (self.root / name).read_text(encoding="utf-8")

    def copy_to(self, root: Path) -> Project:
        """The same project in another folder."""
        shutil.copytree(self.root, root)
        return Project(root)


@dataclass
class Runner:
    """Starts child processes in `cwd` with a cache (`HITSAVE_DIR`) and a configuration folder of their own."""

    cwd: Path
    cache: Path
    config: Path
    env: dict[str, str] = field(default_factory=dict)
    executable: str = sys.executable

    def environment(self, env: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of the children: ours without anything that would steer Python or hitsave."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("HITSAVE_", "PYTHON"))}
        kept["PYTHONPATH"] = str(REPOSITORY)
        kept["HITSAVE_DIR"] = str(self.cache)
        kept["HITSAVE_CONFIG_DIR"] = str(self.config)
        kept["COLUMNS"] = "120"
        return {**kept, **self.env, **(env or {})}

    def python(
        self,
        *args: str | Path,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: str = "",
        timeout_s: float = 120,
    ) -> Done:
        """`python ARGS…`, waited for."""
        done = subprocess.run(
            [self.executable, *map(str, args)],
            cwd=cwd or self.cwd,
            env=self.environment(env),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        return Done(done.stdout, done.stderr, done.returncode)

    def hitsave(self, *args: str | Path, **options: Any) -> Done:
        """`python -m hitsave ARGS…`, waited for."""
        return self.python("-m", "hitsave", *args, **options)

    def script(self, name: str, *args: str | Path, **options: Any) -> Done:
        """`python -m hitsave run NAME ARGS…`, which has to succeed."""
        return self.hitsave("run", name, *args, **options).ok()
