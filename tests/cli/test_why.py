from __future__ import annotations

import pytest

from tests.harness import Project, Runner

PROGRAM = """
from dataclasses import dataclass
from hitsave import memo
import os

@dataclass
class Cfg:
    lr: float = 0.1
    depth: int = 8

@memo
def train(path, cfg):
    with open(path) as file:
        return file.read(), cfg.lr, os.environ.get("LEVEL")

train("data.csv", Cfg(lr=float(os.environ["LR"])))
"""


@pytest.fixture
def ran(project: Project, run: Runner) -> Runner:
    project.write({"lab.py": PROGRAM, "data.csv": "1\n"})
    run.env["LR"] = "0.1"
    run.script("lab.py")
    return run


def test_the_first_call_is_explained_as_such(ran: Runner) -> None:
    assert "computed: first call of this function" in ran.hitsave("why", "train").ok().stdout


def test_an_argument_is_named_to_its_leaf(ran: Runner) -> None:
    ran.script("lab.py", env={"LR": "0.01"})
    done = ran.hitsave("why", "train").ok()
    assert "computed: new arguments" in done.stdout
    assert "  cfg.lr: 0.1 → 0.01" in done.lines


def test_a_file_is_named_before_and_after_the_run(ran: Runner, project: Project) -> None:
    project.write({"data.csv": "2\n"})
    assert "will be computed: a file changed" in ran.hitsave("why", "train").ok().stdout
    ran.script("lab.py")
    done = ran.hitsave("why", "train").ok()
    assert "computed: a file changed" in done.stdout
    assert "file data.csv" in done.stdout


def test_an_environment_variable_is_named(ran: Runner) -> None:
    done = ran.hitsave("why", "train", env={"LEVEL": "9"}).ok()
    assert "will be computed: an environment variable changed" in done.stdout
    assert "environment LEVEL: unset → " in done.stdout


def test_a_call_is_chosen_by_its_text_or_id(ran: Runner) -> None:
    ran.script("lab.py", env={"LR": "0.5"})
    assert ran.hitsave("why", "train", "--call", "lr=0.5", "--json").ok().json()["outcome"] == "arguments"
    assert ran.hitsave("why", "train", "--call", "lr=0.1", "--json").ok().json()["outcome"] == "new"
    entry = next(e for e in ran.hitsave("ls", "--json").json() if "lr=0.1" in e["call"])
    assert ran.hitsave("why", entry["id"], "--json").ok().json()["outcome"] == "new"
    assert len(ran.hitsave("why", "train", "--all", "--json").ok().json()) == 2


def test_a_function_that_never_ran_is_new(project: Project, run: Runner) -> None:
    project.write({"a.py": "from hitsave import memo\n@memo\ndef f(): ...\n"})
    assert run.hitsave("why", "f").ok().lines == ["a.f   will be computed: first call of this function"]


def test_a_misspelt_function_gets_the_right_one_as_a_hint(ran: Runner) -> None:
    done = ran.hitsave("why", "trian")
    assert done.exit_code == 2
    assert "Did you mean lab:train?" in done.stderr


def test_names_only_without_diffs(ran: Runner, project: Project) -> None:
    project.edit("lab.py", "cfg.lr,", "cfg.lr * 2,")
    assert "+    " not in ran.hitsave("why", "train", "--no-diff").ok().stdout
    assert "cfg.lr * 2" in ran.hitsave("why", "train").ok().stdout


def test_a_text_that_no_call_contains_is_wrong_usage(ran: Runner) -> None:
    assert ran.hitsave("why", "train", "--call", "nothing").exit_code == 2
