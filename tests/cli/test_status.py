from __future__ import annotations

import sys
from typing import Any

import pytest

from tests.harness import Project, Runner

PIPELINE = {
    "cfg.py": "EPS = 1e-6\nWIDE = 3\n",
    "features.py": """
        from hitsave import memo
        import cfg

        @memo
        def scale(x):
            return x / cfg.EPS
        """,
    "models.py": """
        from hitsave import experiment
        from features import scale

        @experiment
        def train(x):
            return scale(x) * 2

        @experiment
        def read(path):
            with open(path) as file:
                return file.read()

        @experiment
        def other(x):
            return -x
        """,
    "main.py": """
        from models import other, read, train
        train(1.0), train(2.0), other(1), read("data.csv")
        """,
    "data.csv": "1,2\n",
}


@pytest.fixture
def ran(project: Project, run: Runner) -> Runner:
    project.write(PIPELINE)
    run.script("main.py")
    return run


def rows(run: Runner, *args: str) -> dict[str, Any]:
    return {row["symbol"]: row for row in run.hitsave("status", "--json", *args).json()["functions"]}


def test_nothing_is_stale_after_a_run(ran: Runner) -> None:
    found = rows(ran)
    assert {name: (row["results"], row["fresh"], row["stale"]) for name, row in found.items()} == {
        "features:scale": (2, 2, 0),
        "models:other": (1, 1, 0),
        "models:read": (1, 1, 0),
        "models:train": (2, 2, 0),
    }
    assert ran.hitsave("status", "--check").exit_code == 0


def test_an_edit_makes_stale_what_depends_on_it_and_nothing_else(ran: Runner, project: Project) -> None:
    project.edit("cfg.py", "EPS = 1e-6", "EPS = 1e-8")
    found = rows(ran)
    assert {name: row["stale"] for name, row in found.items()} == {
        "features:scale": 2,
        "models:other": 0,
        "models:read": 0,
        "models:train": 2,
    }
    assert found["features:scale"]["causes"] == ["scale → cfg.EPS   (cfg.py:1)"]
    assert found["models:train"]["causes"] == ["via features.scale (may stop there)"]
    done = ran.hitsave("status", "--check")
    assert done.exit_code == 3
    assert done.lines[-1].startswith("4 stale of 6 · about ")


def test_only_the_named_functions_are_judged(ran: Runner, project: Project) -> None:
    project.edit("cfg.py", "EPS = 1e-6", "EPS = 1e-8")
    assert list(rows(ran, "models.*")) == ["models:other", "models:read", "models:train"]
    assert ran.hitsave("status", "--check", "other").exit_code == 0


def test_undoing_the_edit_makes_it_fresh_again(ran: Runner, project: Project) -> None:
    project.edit("cfg.py", "EPS = 1e-6", "EPS = 1e-8")
    project.edit("cfg.py", "EPS = 1e-8", "EPS = 1e-6  # as it was")
    assert ran.hitsave("status", "--check").exit_code == 0


def test_results_of_older_code_that_no_run_asks_for_are_not_stale(ran: Runner, project: Project) -> None:
    project.edit("cfg.py", "EPS = 1e-6", "EPS = 1e-8")
    project.edit("main.py", "train(1.0), train(2.0)", "train(1.0)")
    assert ran.hitsave("status", "--check").exit_code == 3
    ran.script("main.py")
    row = rows(ran)["models:train"]
    assert (row["results"], row["fresh"], row["older"], row["stale"]) == (2, 1, 1, 0)
    done = ran.hitsave("status", "--check").ok()
    assert "of older code that no run asked for since" in done.stdout
    project.edit("cfg.py", "EPS = 1e-8", "EPS = 1e-7")
    row = rows(ran)["models:train"]
    assert (row["older"], row["stale"]) == (1, 1)


def test_a_changed_file_is_a_cause(ran: Runner, project: Project) -> None:
    project.write({"data.csv": "3,4\n"})
    assert rows(ran)["models:read"]["causes"] == ["file data.csv changed"]
    project.write({"data.csv": "1,2\n"})
    assert ran.hitsave("status", "--check").exit_code == 0


def test_a_function_that_never_ran_is_listed_without_results(ran: Runner, project: Project) -> None:
    project.write({"new.py": "import hitsave as hs\n\n@hs.memo(version=2)\ndef fresh():\n    return 1\n"})
    assert rows(ran)["new:fresh"]["results"] == 0


@pytest.mark.parametrize(
    "files",
    [
        {
            "ours.py": "from hitsave import memo as cached\n",
            "use.py": "from ours import cached\n@cached\ndef f(): ...\n",
        },
        {"ours.py": "import hitsave\nkeep = hitsave.memo\n", "use.py": "import ours\n@ours.keep\ndef f(): ...\n"},
        {"pkg/__init__.py": "from hitsave import memo\n", "pkg/use.py": "from . import memo\n@memo()\ndef f(): ...\n"},
    ],
    ids=["renamed", "module attribute", "relative"],
)
def test_a_decorator_is_recognised_through_the_projects_own_imports(
    project: Project, run: Runner, files: dict[str, str]
) -> None:
    project.write(files)
    assert [name.rpartition(":")[2] for name in rows(run)] == ["f"]


def test_a_decorator_of_the_same_name_that_is_not_ours_is_not_listed(project: Project, run: Runner) -> None:
    project.write({"a.py": "import hitsave\ndef memo(f):\n    return f\n@memo\ndef f(): ...\n"})
    assert rows(run) == {}


def test_a_script_in_a_folder_of_its_own_finds_its_neighbours(project: Project, run: Runner) -> None:
    project.write(
        {
            "scripts/job.py": "from hitsave import memo\nimport helper\n@memo\ndef f(x): return helper.g(x)\nf(1)\n",
            "scripts/helper.py": "def g(x): return x + 1\n",
        }
    )
    run.script("scripts/job.py")
    assert run.hitsave("status", "--check").exit_code == 0
    project.edit("scripts/helper.py", "x + 1", "x + 2")
    assert rows(run)["scripts.job:f"]["causes"] == ["f → scripts.helper.g   (scripts/helper.py:1)"]


def test_a_file_that_does_not_parse_is_reported_and_the_rest_judged(ran: Runner, project: Project) -> None:
    project.write({"cfg.py": "EPS = = 1\n"})
    done = ran.hitsave("status")
    assert done.exit_code == 0
    assert "cfg.py:1:" in done.stderr
    assert rows(ran)["models:other"]["fresh"] == 1
    assert rows(ran)["features:scale"]["stale"] == 2


def test_a_project_without_memoised_functions_says_so(project: Project, run: Runner) -> None:
    assert run.hitsave("status").ok().lines == ["no memoised functions here: decorate one with @memo or @experiment"]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="needs Python 3.12: observation of what runs")
def test_results_that_an_edit_cannot_have_touched_are_counted_as_spared(project: Project, run: Runner) -> None:
    project.write(
        {
            "m.py": """
                from hitsave import memo

                def as_json(x):
                    return "json"

                def as_csv(x):
                    return "csv"

                @memo
                def report(kind):
                    return as_json(kind) if kind == "json" else as_csv(kind)

                report("json"), report("csv"), report("tsv")
                """
        }
    )
    run.script("m.py")
    project.edit("m.py", 'return "json"', 'return "JSON"')
    row = rows(run)["m:report"]
    assert (row["results"], row["fresh"], row["spared"], row["stale"]) == (3, 0, 2, 1)
    assert "1 stale of 3, 2 untouched by the edits" in run.hitsave("status").stdout
    survivor = run.hitsave("why", "report", "--call", "csv").ok().stdout
    assert "reused: what was edited did not run in this call" in survivor
    assert "report → as_json   (did not run in this call)" in survivor
