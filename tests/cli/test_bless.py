from __future__ import annotations

import pytest

from tests.harness import Project, Runner

PROGRAM = """
from hitsave import memo

EPS = 1e-6

def scale(x):
    return x / (1 + EPS)

@memo(version=3)
def train(x, deep=False):
    print("computing", x)
    return round(scale(x), 2)

if __name__ == "__main__":
    print(train(1.0), train(2.0, deep=True))
"""
BOTH = ["computing 1.0", "computing 2.0"]


@pytest.fixture
def ran(project: Project, run: Runner) -> Runner:
    project.write({"lab.py": PROGRAM})
    assert run.script("lab.py").lines[:-1] == BOTH
    return run


def computed(run: Runner) -> list[str]:
    return run.script("lab.py").lines[:-1]


def test_blessed_results_are_reused_across_the_edit(ran: Runner, project: Project) -> None:
    project.edit("lab.py", "EPS = 1e-6", "EPS = 1e-7")
    done = ran.hitsave("bless", "train", "-m", "tolerance only").ok()
    assert "train → scale → EPS" in done.stdout
    assert "blessed 2 results of lab:train" in done.stdout
    assert ran.hitsave("status", "--check").exit_code == 0
    assert computed(ran) == []
    why = ran.hitsave("why", "train").ok().stdout
    assert "reused: somebody vouched for the edit" in why
    assert "tolerance only" in why


def test_the_next_edit_makes_blessed_results_stale(ran: Runner, project: Project) -> None:
    project.edit("lab.py", "EPS = 1e-6", "EPS = 1e-7")
    ran.hitsave("bless", "train").ok()
    project.edit("lab.py", "EPS = 1e-7", "EPS = 0.5")
    assert ran.hitsave("status", "--check").exit_code == 3
    assert computed(ran) == BOTH


def test_a_blessing_is_taken_back(ran: Runner, project: Project) -> None:
    project.edit("lab.py", "EPS = 1e-6", "EPS = 1e-7")
    ran.hitsave("bless", "train").ok()
    assert "2 results of lab:train are stale again" in ran.hitsave("bless", "train", "--undo").ok().stdout
    assert computed(ran) == BOTH
    assert ran.hitsave("bless", "train", "--undo").exit_code == 2


def test_proof_by_replay_lets_an_edit_pass_that_changes_nothing(ran: Runner, project: Project) -> None:
    project.edit("lab.py", "EPS = 1e-6", "EPS = 1e-7")
    ran.hitsave("bless", "train", "--verify", "2").ok()
    assert computed(ran) == []


def test_proof_by_replay_stops_an_edit_that_changes_results(ran: Runner, project: Project) -> None:
    project.edit("lab.py", "EPS = 1e-6", "EPS = 0.5")
    done = ran.hitsave("bless", "train", "--verify", "1")
    assert done.exit_code == 1
    assert "comes out differently: stored " in done.stderr
    assert computed(ran) == BOTH


def test_nothing_stale_is_nothing_to_bless(ran: Runner) -> None:
    assert ran.hitsave("bless", "train").ok().lines == ["nothing of lab:train is stale"]


def test_a_version_that_was_raised_in_the_edit_counts(ran: Runner, project: Project) -> None:
    project.edit("lab.py", "version=3", 'version="4"')
    ran.hitsave("bless", "train").ok()
    assert computed(ran) == []


def test_stored_results_are_computed_again_and_compared(ran: Runner) -> None:
    done = ran.hitsave("verify").ok()
    assert done.lines[-1] == "2 the same, 0 different, 0 skipped"
    assert len(ran.hitsave("verify", "--sample", "1", "--json").ok().lines) > 2


def test_a_result_that_comes_out_differently_is_a_finding(project: Project, run: Runner) -> None:
    project.write(
        {
            "lab.py": """
                import itertools
                from hitsave import memo

                class Counter:
                    value = 0

                @memo(impure="allow")
                def unsteady(x):
                    import os
                    return x + len(os.listdir("/proc/self/fd")) * 0 + int.from_bytes(os.urandom(4), "big")

                @memo
                def steady(x):
                    return {"x": [x, (1, 2)]}

                if __name__ == "__main__":
                    unsteady(1), steady("a")
                """
        }
    )
    run.script("lab.py")
    done = run.hitsave("verify", "--remove")
    assert done.exit_code == 1
    assert done.lines[0].startswith("different  unsteady(x=1): stored ")
    assert done.lines[-1] == "1 the same, 1 different and removed, 0 skipped"
    assert [entry["call"] for entry in run.hitsave("ls", "--json").json()] == ["steady(x='a')"]


def test_a_call_whose_arguments_cannot_be_read_back_is_skipped(project: Project, run: Runner) -> None:
    project.write(
        {
            "lab.py": """
                from hitsave import memo

                class Box:
                    pass

                @memo
                def f(box):
                    return 1

                if __name__ == "__main__":
                    f(Box())
                """
        }
    )
    run.script("lab.py")
    done = run.hitsave("verify").ok()
    assert done.lines[0].startswith("skipped")
