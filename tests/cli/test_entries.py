from __future__ import annotations

import os
import pty
import subprocess
import textwrap

import pytest

from tests.harness import Project, Runner

PROGRAM = """
from hitsave import experiment, memo

@memo
def double(x):
    return 2 * x

@experiment
def train(rate, deep=False):
    return {"accuracy": rate}

double(1), double(2), train(0.5)
"""


@pytest.fixture
def stored(project: Project, run: Runner) -> Runner:
    project.write({"lab.py": PROGRAM})
    run.script("lab.py")
    return run


def calls(run: Runner, *args: str) -> list[str]:
    return sorted(entry["call"] for entry in run.hitsave("ls", "--json", *args).ok().json())


def test_everything_stored_is_listed(stored: Runner) -> None:
    assert calls(stored) == ["double(x=1)", "double(x=2)", "train(rate=0.5, deep=False)"]
    done = stored.hitsave("ls").ok()
    assert "lab.train(rate=0.5, deep=False)" in done.stdout
    assert done.lines[-1].startswith("3 results, ")


@pytest.mark.parametrize("name", ["double", "lab.double", "lab:double", "lab.py:double", "dou*"])
def test_a_function_is_listed_by_any_spelling(stored: Runner, name: str) -> None:
    assert calls(stored, name) == ["double(x=1)", "double(x=2)"]


def test_experiments_are_listed_alone(stored: Runner) -> None:
    assert calls(stored, "--experiments") == ["train(rate=0.5, deep=False)"]


def test_the_list_is_sorted_and_limited(stored: Runner) -> None:
    listed = stored.hitsave("ls", "--json", "--sort", "name", "--limit", "1").ok().json()
    assert [entry["call"] for entry in listed] == ["double(x=1)"]


def test_one_result_is_shown_with_what_it_observed(stored: Runner) -> None:
    shown = stored.hitsave("show", "train", "--json").ok().json()
    assert shown["symbol"] == "lab:train"
    assert shown["experiment"] is True
    assert shown["observed"]["files"] == []
    by_id = stored.hitsave("show", shown["id"]).ok().stdout
    assert "experiment (never collected)" in by_id
    assert "accuracy" in by_id


def test_a_module_is_shown_as_the_hook_executes_it(stored: Runner, project: Project) -> None:
    shown = stored.hitsave("show", "lab.py", "--rewritten").ok().stdout
    assert "@memo.at_site(('lab:double', " in shown
    project.write({"plain.py": "x = 1  # nothing decorated\n", "broken.py": "def f(:\n"})
    assert "executed as it is written" in stored.hitsave("show", "plain", "--rewritten").ok().stdout
    assert stored.hitsave("show", "broken", "--rewritten").exit_code == 2
    assert stored.hitsave("show", "nowhere", "--rewritten").exit_code == 2


def test_showing_what_is_not_stored_is_wrong_usage(stored: Runner) -> None:
    done = stored.hitsave("show", "nothing")
    assert done.exit_code == 2
    assert "hitsave ls" in done.stderr


def test_a_removed_result_is_computed_again_and_others_are_kept(stored: Runner) -> None:
    (first,) = [e["id"] for e in stored.hitsave("ls", "--json").json() if e["call"] == "double(x=1)"]
    assert stored.hitsave("rm", first, "--json").ok().json()["removed"] == [first]
    assert calls(stored) == ["double(x=2)", "train(rate=0.5, deep=False)"]


def test_a_dry_run_removes_nothing(stored: Runner) -> None:
    done = stored.hitsave("rm", "double", "--dry-run").ok()
    assert "would remove 2 results" in done.stdout
    assert len(calls(stored)) == 3


def test_results_are_removed_by_age(stored: Runner) -> None:
    assert stored.hitsave("rm", "--older", "1d", "--json").ok().json()["removed"] == []
    assert len(stored.hitsave("rm", "--older", "0s", "--json").ok().json()["removed"]) == 3


def test_results_of_replaced_code_are_listed_and_removed_alone(stored: Runner) -> None:
    mark = """
        from hitsave.config import load_config
        from hitsave.session import open_disk
        from hitsave.store.contract import Mark
        store = open_disk(load_config("."))
        entry = next(iter(store.entries("lab:double")))
        store.supersede([Mark(entry.key.symbol, entry.key.fingerprint)])
        store.close()
        """
    assert calls(stored, "--superseded") == []
    stored.python("-c", textwrap.dedent(mark)).ok()
    assert calls(stored, "--superseded") == ["double(x=1)", "double(x=2)"]
    stored.hitsave("rm", "--superseded").ok()
    assert calls(stored) == ["train(rate=0.5, deep=False)"]


def test_removing_without_saying_what_is_refused(stored: Runner) -> None:
    assert stored.hitsave("rm").exit_code == 2
    assert len(calls(stored)) == 3


def test_a_time_that_makes_no_sense_is_refused(stored: Runner) -> None:
    done = stored.hitsave("rm", "--older", "soon")
    assert done.exit_code == 2
    assert '"7d"' in done.stderr


def test_clear_removes_everything_and_the_next_run_computes_again(stored: Runner, project: Project) -> None:
    assert "removed 3 results" in stored.hitsave("clear").ok().stdout
    assert calls(stored) == []
    assert stored.hitsave("ls").ok().lines == ["nothing stored"]
    stored.script("lab.py")
    assert len(calls(stored)) == 3


def test_clear_asks_on_a_terminal(stored: Runner, project: Project) -> None:
    primary, secondary = pty.openpty()
    with subprocess.Popen(
        [stored.executable, "-m", "hitsave", "clear"],
        cwd=project.root,
        env=stored.environment(),
        stdin=secondary,
        stdout=secondary,
        stderr=secondary,
    ) as process:
        os.close(secondary)
        os.write(primary, b"n\n")
        assert process.wait(60) == 1
    os.close(primary)
    assert len(calls(stored)) == 3


def test_listing_an_empty_cache_creates_nothing(run: Runner) -> None:
    assert run.hitsave("ls").ok().lines == ["nothing stored"]


def test_another_directory_is_chosen_by_option(stored: Runner, project: Project) -> None:
    assert stored.hitsave("ls", "--dir", project.root / "elsewhere", "--json").ok().json() == []
