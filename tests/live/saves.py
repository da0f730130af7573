"""Every way in which a text gets to disk: by an editor, half or whole, in place or renamed; by Git, many at once.

`between()` is called wherever somebody may look at the files in the middle of it.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.live.random_programs import MODULES, Program

# So many files besides the program's change in a checkout, in one sequence of fifty.
STORM_FILES = 1500
STORM_EVERY = 50

GIT = [
    "git",
    "-c",
    "user.name=n",
    "-c",
    "user.email=n@example.org",
    "-c",
    "gc.auto=0",
    "-c",
    "core.hooksPath=/dev/null",
]


WITH_AN_EDITOR = (
    "in_place", "in_place", "replaced", "replaced", "same_time", "same_time_and_size", "half_written",
    "half_written_by_rename", "with_syntax_error", "deleted", "renamed", "folder_renamed",
)  # fmt: skip
WITH_GIT = ("checkout", "stash", "rebase")
WAYS = tuple(dict.fromkeys((*WITH_AN_EDITOR, *WITH_GIT, "checkout_of_many")))


class Saves:
    """Saves edits of `program` below `root`, as `chance` has it. `done` counts the ways taken."""

    def __init__(
        self, program: Program, root: Path, tag: str, chance: random.Random, between: Callable[[], Any], *, storm: bool
    ) -> None:
        self.program = program
        self.root = root
        self.tag = tag
        self.chance = chance
        self.between = between
        self.storm = storm
        self.only = ""  # the one way to take; "" for any
        self.done: dict[str, int] = {}
        self._branches = 0
        self._fill = 0
        self._has_git = False

    def begin(self) -> None:
        """Write the program's first texts."""
        for name in MODULES:
            self.path(name).write_text(self.program.text(name, self.tag))
        self.path("app").write_text(self.program.app(self.tag))

    def path(self, module: str) -> Path:
        return self.root / f"{module}_{self.tag}.py"

    def save(self) -> None:
        """Edit the program, and save the edit in one of the ways."""
        if self.only:
            way = self.only
        elif self.storm:
            self.storm, way = False, "checkout_of_many"
        elif self.chance.random() < 0.15:
            way = self.chance.choice(WITH_GIT)
        else:
            way = self.chance.choice(WITH_AN_EDITOR)
        self.done[way] = self.done.get(way, 0) + 1
        if way in WITH_AN_EDITOR:
            getattr(self, way)(self.program.edit())
        else:
            self._open_repository(filled=way == "checkout_of_many")
            getattr(self, way)()

    # -- by an editor ------------------------------------------------------------------------------------------------

    def in_place(self, module: str) -> None:
        self.path(module).write_text(self._text(module))

    def replaced(self, module: str) -> None:
        path = self.path(module)
        beside = path.with_suffix(".tmp")
        beside.write_text(self._text(module))
        beside.replace(path)

    def same_time(self, module: str) -> None:
        path = self.path(module)
        stat = path.stat()
        path.write_text(self._text(module))
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    def same_time_and_size(self, module: str) -> None:
        """The shorter of the two texts is filled up with a comment, by an edit of its own if that is the old one."""
        path, text = self.path(module), self._text(module)
        missing = len(text) - path.stat().st_size
        if missing > 0:
            with path.open("a") as file:
                file.write("#" * missing)
            self.between()
        stat = path.stat()
        path.write_text(text + "#" * -missing)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        after = path.stat()
        assert (after.st_size, after.st_mtime_ns) == (stat.st_size, stat.st_mtime_ns)

    def half_written(self, module: str) -> None:
        path, text = self.path(module), self._text(module)
        with path.open("w") as file:
            file.write(text[: self.chance.randint(0, len(text))])
            file.flush()
            self.between()
            file.seek(0)
            file.write(text)

    def half_written_by_rename(self, module: str) -> None:
        """What is there in between is whole, valid and of half the module."""
        path, text = self.path(module), self._text(module)
        lines = text.splitlines(keepends=True)
        path.write_text("".join(lines[: self.chance.randint(1, len(lines))]))
        self.between()
        self.replaced(module)

    def with_syntax_error(self, module: str) -> None:
        path, text = self.path(module), self._text(module)
        path.write_text(text + "\n)(")
        self.between()
        path.write_text(text)

    def deleted(self, module: str) -> None:
        path = self.path(module)
        path.unlink()
        self.between()
        path.write_text(self._text(module))

    def renamed(self, module: str) -> None:
        """Away and, with the new text, back again."""
        path = self.path(module)
        away = path.with_name(f"away_{path.name}")
        path.rename(away)
        self.between()
        away.write_text(self._text(module))
        away.rename(path)

    def folder_renamed(self, module: str) -> None:
        away = self.root.with_name(self.root.name + "-away")
        self.root.rename(away)
        self.between()
        (away / self.path(module).name).write_text(self._text(module))
        away.rename(self.root)

    def _text(self, module: str) -> str:
        return self.program.text(module, self.tag)

    # -- by Git ------------------------------------------------------------------------------------------------------

    def checkout(self) -> None:
        """To another branch, back, and sometimes there again."""
        main = self._branch("topic")
        self._edit_some()
        self._commit()
        self._git("checkout", "-q", main)
        self.between()
        if self.chance.random() < 0.5:
            self._git("checkout", "-q", "-")

    def checkout_of_many(self) -> None:
        main = self._branch("storm")
        self._edit_some()
        self._write_filling()
        self._commit()
        self._git("checkout", "-q", main)
        self.between()
        self._git("checkout", "-q", "-")

    def stash(self) -> None:
        self._edit_some()
        self._git("stash", "-q")
        self.between()
        if self._git("rev-parse", "-q", "--verify", "refs/stash", check=False) == 0:  # else the edits undid each other
            self._git("stash", "pop", "-q")

    def rebase(self) -> None:
        """Two branches that edit the same program; where they conflict, it is called off."""
        main = self._branch("topic")
        self._edit_some()
        self._commit()
        self.between()
        topic = self._head()
        self._git("checkout", "-q", main)
        self._edit_some()
        self._commit()
        self._git("checkout", "-q", topic)
        if self._git("rebase", "-q", main, check=False):
            self.between()  # with the marks of a conflict in the files
            self._git("rebase", "--abort")

    def _edit_some(self) -> None:
        for _ in range(self.chance.randint(1, 3)):
            self.in_place(self.program.edit())
            if self.chance.random() < 0.3:
                self.between()

    def _write_filling(self) -> None:
        """In a child: here, each system call would wait its turn behind the threads that call."""
        self._fill += 1
        (self.root / "filling").mkdir(exist_ok=True)
        text = f"for n in range({STORM_FILES}): open(f'filling/f{{n}}.py', 'w').write('x = {self._fill}\\n')"
        subprocess.run([sys.executable, "-S", "-c", text], cwd=self.root, check=True)

    def _open_repository(self, *, filled: bool) -> None:
        if not self._has_git:
            self._has_git = True
            self._git("init", "-q")
            (self.root / ".git" / "info" / "exclude").write_text("__pycache__\n*.tmp\n")
        if filled and not self._fill:
            self._write_filling()
        self._commit()

    def _branch(self, kind: str) -> str:
        """Start a new branch here; the name of the old one."""
        before = self._head()
        self._branches += 1
        self._git("checkout", "-q", "-b", f"{kind}{self._branches}")
        return before

    def _head(self) -> str:
        done = subprocess.run(
            [*GIT, "rev-parse", "--abbrev-ref", "HEAD"], cwd=self.root, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def _commit(self) -> None:
        self._git("add", "-A")
        self._git("commit", "-q", "--allow-empty", "-m", "edit")

    def _git(self, *words: str, check: bool = True) -> int:
        done = subprocess.run([*GIT, *words], cwd=self.root, capture_output=True, text=True, check=False)
        assert not (check and done.returncode), (words, done.stderr)
        return done.returncode
