"""The pytest plugin, in the pytest of a user's project."""

from __future__ import annotations

from importlib.metadata import entry_points

import pytest

from tests.harness import Done, Project, Runner

# An installed hitsave is found by pytest through its entry point; in a bare checkout the plugin has to be named.
NAMED = [] if "hitsave" in entry_points(group="pytest11").names else ["-p", "hitsave.pytest_plugin"]
BASE = ["-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", "-p", "no:randomly", *NAMED]

TESTS = """
import os, subprocess, sys
from hitsave import memo
import pytest

@memo
def work(x):
    print("computing", x, flush=True)
    return x + 1

def test_one():
    assert work(1) == work(1) == 2

def test_two():
    assert work(1) == 2

def test_child():
    code = "import test_it; test_it.work(1)"
    path = os.pathsep.join(sys.path)
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": path})
"""


@pytest.fixture
def suite(project: Project) -> Project:
    return project.write({"test_it.py": TESTS})


def pytest_in(run: Runner, *args: str) -> Done:
    return run.python(*BASE, *args).ok()


def test_each_test_has_an_empty_store_by_default(suite: Project, run: Runner) -> None:
    for _ in range(2):
        assert pytest_in(run).stdout.count("computing") == 3
    assert not any(run.cache.rglob("*.db")), "a test left something in the user's store"


def test_a_shared_store_is_that_of_the_user(suite: Project, run: Runner) -> None:
    assert pytest_in(run, "--hitsave=shared").stdout.count("computing") == 1
    assert pytest_in(run, "--hitsave=shared").stdout.count("computing") == 0


def test_off_computes_every_call(suite: Project, run: Runner) -> None:
    assert pytest_in(run, "--hitsave=off").stdout.count("computing") == 4


def test_the_ini_file_chooses_and_the_command_line_overrules_it(suite: Project, run: Runner) -> None:
    suite.write({"pytest.ini": "[pytest]\nhitsave = off\n"})
    assert pytest_in(run).stdout.count("computing") == 4
    assert pytest_in(run, "--hitsave=isolated").stdout.count("computing") == 3
    suite.write({"pytest.ini": "[pytest]\nhitsave = nonsense\n"})
    assert "use one of isolated, shared, off" in run.python(*BASE).stderr


def test_a_marker_chooses_for_one_test(project: Project, run: Runner) -> None:
    marked = TESTS.replace("def test_two", "@pytest.mark.hitsave('off')\ndef test_two")
    project.write({"test_it.py": marked.replace("assert work(1) == 2", "assert work(1) == work(1) == 2")})
    assert pytest_in(run).stdout.count("computing") == 4
    project.write({"test_it.py": TESTS.replace("def test_two", "@pytest.mark.hitsave('nonsense')\ndef test_two")})
    assert "use one of isolated, shared, off" in run.python(*BASE).stderr


@pytest.mark.parametrize("mode", ["isolated", "shared", "off"])
def test_the_fixture_gives_an_isolated_store_in_any_mode(project: Project, run: Runner, mode: str) -> None:
    more = """
def test_store(hitsave_store):
    assert list(hitsave_store.entries()) == []
    work(5)
    work(5)
    assert [entry.title for entry in hitsave_store.entries()] == ["work(x=5)"]
"""
    project.write({"test_it.py": TESTS + more})
    assert "passed" in pytest_in(run, f"--hitsave={mode}", "-k", "store").stdout


def test_a_project_without_memoised_functions_does_not_load_the_store(project: Project, run: Runner) -> None:
    project.write({"test_it.py": "import sys\n\ndef test_it():\n    assert 'hitsave.session' not in sys.modules\n"})
    assert "1 passed" in pytest_in(run).stdout
