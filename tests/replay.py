"""Replays a documentation page: writes its files, runs its commands, and puts the true output beneath them.

    python -m tests.replay docs/tutorial.md README.md      # write the output of a real run into the pages

A Python block whose first line is `# name.py` is a file. In a `console` block, each line that starts with `$ ` is a
command (`hitsave` and `python` are the ones being tested; others go to the shell), and what follows is its output.
`<!-- files: etl.py -->` brings in a program from examples/. Blocks of other kinds are left alone.

Times, dates and ids differ from run to run; a comparison treats them as equal.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from tests.harness import REPOSITORY, Runner

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FILES = re.compile(r"<!-- files: ([\w.]+) -->")
VARYING = [
    (re.compile(r"\b\d+(\.\d+)?( |&nbsp;)?(µs|ms|s)\b"), "<time>"),
    (re.compile(r"\b\d+m \d\ds\b"), "<time>"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?"), "<date>"),
    (re.compile(r"\b(just now|\d+ (minute|hour|day)s? ago)\b"), "<age>"),
    (re.compile(r"\b[0-9a-f]{12,}\b"), "<digest>"),
    (re.compile(r" +"), " "),  # columns move with the width of a time
]


def replay(page: str, run: Runner) -> str:
    """`page` with the output of its commands as it is today."""

    def block(found: re.Match[str]) -> str:
        kind, text = found.groups()
        if kind == "python" and (name := re.match(r"# ([\w/]+\.py)\n", text)):
            file = run.cwd / name.group(1)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        if kind == "console":
            text = "".join(f"$ {command}\n{_output(command, run)}" for command in re.findall(r"^\$ (.*)$", text, re.M))
        return f"```{kind}\n{text}```"

    for name in FILES.findall(page):
        shutil.copy(REPOSITORY / "examples" / name, run.cwd)
    return BLOCK.sub(block, page)


def normalised(page: str) -> str:
    """`page` without what differs from run to run."""
    for pattern, word in VARYING:
        page = pattern.sub(word, page)
    return page


def _output(command: str, run: Runner) -> str:
    shell = re.sub(r"\bhitsave(?= )", f"{sys.executable} -m hitsave", command, count=1)
    shell = re.sub(r"^python\b", sys.executable, shell)
    done = subprocess.run(
        ["bash", "-c", shell],
        cwd=run.cwd,
        env={**run.environment(), "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    installed = sysconfig.get_path("purelib")
    return done.stdout.replace(str(run.cwd), "~/hello-hitsave").replace(installed, "…/site-packages")


def replayed(page: Path, base: Path) -> str:
    """A page with its true output, from a run in an empty Git folder below `base`."""
    root = base / "hello-hitsave"
    root.mkdir()
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    return replay(page.read_text(encoding="utf-8"), Runner(cwd=root, cache=base / "cache", config=base / "config"))


def main(pages: list[str]) -> None:
    """Rewrite each page in place."""
    for page in map(Path, pages):
        with tempfile.TemporaryDirectory() as folder:
            page.write_text(replayed(page, Path(folder)), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
