from __future__ import annotations

import json

import pytest

from tests.harness import Project, Runner

DYNAMIC = """
import time
from hitsave import memo

class Table:
    def one(self): return 1

def pick(name):
    return getattr(Table(), name)()

@memo
def stamped(name):
    return pick(name), time.time()

@memo
def plain(x):
    return x
"""


@pytest.fixture
def dynamic(project: Project, run: Runner) -> Runner:
    project.write({"lab.py": DYNAMIC + "open('ran', 'w').close()\n"})
    return run


def test_each_place_is_named_with_line_code_and_treatment(dynamic: Runner, project: Project) -> None:
    lines = dynamic.hitsave("check").ok().lines
    assert any(line.startswith("lab.py:8: HS202 getattr with a computed name") for line in lines)
    assert any(line.startswith("lab.py:12: HS301 clock") and "lab:stamped" in line for line in lines)
    assert not (project.root / "ran").exists()


def test_only_what_the_named_functions_reach_is_checked(dynamic: Runner) -> None:
    assert dynamic.hitsave("check", "plain", "--strict", "--json").ok().json() == []


def test_strict_fails_when_anything_is_found(dynamic: Runner) -> None:
    assert dynamic.hitsave("check", "--strict").exit_code == 1


def test_findings_are_sarif_for_code_scanning(dynamic: Runner) -> None:
    (sarif,) = json.loads(dynamic.hitsave("check", "--format", "sarif").ok().stdout)["runs"]
    places = {
        (result["ruleId"], result["locations"][0]["physicalLocation"]["region"]["startLine"])
        for result in sarif["results"]
    }
    assert {("HS202", 8), ("HS301", 12)} <= places
    assert {rule["id"] for rule in sarif["tool"]["driver"]["rules"]} == {code for code, _ in places}


def test_findings_are_annotations_for_github(dynamic: Runner) -> None:
    assert "::warning file=lab.py,line=8,title=HS202::" in dynamic.hitsave("check", "--format", "github").ok().stdout


AUDITED = """
import sys

def a():
    return b() + c()

def b():
    return d()

def c():
    return 1

def d():
    return 2

def called_through(function):
    return function()

print(a(), called_through(d), *sys.argv[1:])
"""


def test_an_audit_counts_what_ran_under_each_caller(project: Project, run: Runner) -> None:
    project.write({"a.py": AUDITED})
    done = run.hitsave("audit", "--json", "a.py", "--flag").ok()
    assert done.lines == ["3 2 --flag"]
    found = json.loads(done.stderr)
    assert (found["pairs"], found["covered"]) == (5, 4)  # a: b c d, b: d, called_through: d
    assert found["gaps"] == {"a:called_through": ["a:d"]}
    assert found["callers_without_gap"] == found["callers"] - 1


def test_an_audit_leaves_the_programs_exit_code_and_stores_nothing(project: Project, run: Runner) -> None:
    project.write({"a.py": "from hitsave import memo\n@memo\ndef f(): return 1\nf()\nraise SystemExit(5)\n"})
    assert run.hitsave("audit", "a.py").exit_code == 5
    assert run.hitsave("ls", "--json").json() == []


def test_an_audit_sees_threads(project: Project, run: Runner) -> None:
    project.write(
        {
            "a.py": """
                import threading

                def work():
                    return inner()

                def inner():
                    return 1

                thread = threading.Thread(target=work)
                thread.start()
                thread.join()
                """
        }
    )
    assert json.loads(run.hitsave("audit", "--json", "a.py").ok().stderr)["pairs"] == 1
