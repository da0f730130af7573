from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.harness import Project, Runner

PROGRAM = """
from hitsave import memo
from helper import scale

@memo
def f(x):
    return scale(x)

@memo
def g(path):
    with open(path) as file:
        return file.read()

f(1), g("data.csv")
"""

Next = Callable[[], dict[str, Any]]


@pytest.fixture
def following(project: Project, run: Runner) -> Iterator[Next]:
    project.write({"a.py": PROGRAM, "helper.py": "def scale(x):\n    return x\n", "data.csv": "1\n"})
    run.script("a.py")
    with subprocess.Popen(
        [run.executable, "-m", "hitsave", "watch", "--json"],
        cwd=run.cwd,
        env=run.environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        stdout = process.stdout

        def read_next() -> dict[str, Any]:
            found: dict[str, Any] = json.loads(stdout.readline())
            return found

        yield read_next
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


def test_each_edit_tells_what_it_changed_and_reached(project: Project, following: Next) -> None:
    first = following()
    assert (first["edit"], first["stale"]) == (None, 0)
    project.edit("helper.py", "return x", "return x + 1")
    edited = following()
    assert edited["edit"]["symbols"] == ["helper:scale"]
    assert edited["edit"]["stale"] == ["a:f"]
    assert edited["stale"] == 1
    project.edit("helper.py", "return x + 1", "return x  # as before")
    undone = following()
    assert undone["edit"]["restored"] == ["a:f"]
    assert undone["stale"] == 0


def test_an_edited_data_file_is_seen_too(project: Project, following: Next) -> None:
    following()
    project.write({"data.csv": "2\n"})
    edited = following()
    assert edited["edit"]["files"] == ["data.csv"]
    assert edited["edit"]["stale"] == ["a:g"]


def test_an_edit_that_means_nothing_is_passed_over(project: Project, following: Next) -> None:
    following()
    project.edit("helper.py", "return x", "return x  # the same")
    project.write({"new.py": "def fresh(): ...\n"})
    symbols = following()["edit"]["symbols"]
    assert symbols == ["new:fresh"]
