"""The user's own document, docs/tutorial.md, replayed line by line: a real Git folder, real processes, real edits."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness import Project, Runner

PLAIN = """
def fibo(n):
  print(f"computing fibo({n})")
  return 1 if n < 3 else fibo(n - 1) + fibo(n - 2)

fibo(10)
"""
CACHED = "import functools\n\n@functools.cache" + PLAIN
EXPERIMENT = "from hitsave import experiment\n\n@experiment" + PLAIN
THREE = EXPERIMENT.replace("fibo(n - 2)", "fibo(n - 2) + fibo(n - 3)")
HELPERS = """
from hitsave import experiment

C = 4

def g(x):
    return x * x

@experiment
def fibo(n):
  print(f"computing fibo({n})")
  return 1 if n < 3 else fibo(n - 1) + g(fibo(n - 2)) + C

fibo(10)
"""
EVERY_N = sorted(f"computing fibo({n})" for n in range(1, 11))
# fibo(1) and fibo(2) never call g, so an edit of g can't have touched them. The others must be computed again.
NEED_G = sorted(f"computing fibo({n})" for n in range(3, 11))


@pytest.fixture
def hello(project: Project) -> Project:
    return project.write({"hello.py": EXPERIMENT})


def computed(run: Runner, **options: object) -> list[str]:
    return sorted(run.script("hello.py", **options).lines)


def test_plain_python_computes_the_inner_values_again_and_again(project: Project, run: Runner) -> None:
    project.write({"hello.py": PLAIN})
    assert len(computed(run)) == 109


def test_functools_cache_forgets_between_runs(project: Project, run: Runner) -> None:
    project.write({"hello.py": CACHED})
    assert computed(run) == EVERY_N
    assert computed(run) == EVERY_N


def test_the_first_run_computes_each_value_once_and_the_second_none(hello: Project, run: Runner) -> None:
    assert computed(run) == EVERY_N
    assert computed(run) == []


def test_editing_the_body_recomputes_and_undoing_the_edit_hits_again(hello: Project, run: Runner) -> None:
    assert computed(run) == EVERY_N
    hello.write({"hello.py": THREE})
    # The sum of three reaches fibo(0) as well.
    assert computed(run) == sorted([*EVERY_N, "computing fibo(0)"])
    assert computed(run) == []
    hello.write({"hello.py": EXPERIMENT})
    assert computed(run) == []


def test_editing_a_constant_or_a_helper_recomputes(project: Project, run: Runner) -> None:
    project.write({"hello.py": HELPERS})
    assert computed(run) == EVERY_N
    assert computed(run) == []
    project.edit("hello.py", "C = 4", "C = 5")
    assert computed(run) == EVERY_N
    project.edit("hello.py", "return x * x", "return x * x + 1")
    assert computed(run) == NEED_G
    assert computed(run) == []
    project.write({"hello.py": HELPERS})
    assert computed(run) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("return x * x", "return x * x  # the square"),
        ("def g(x):", 'def g(x):\n    """The square of x."""'),
        ("return x * x", "return (\n        x\n        *   x\n    )"),
        ("C = 4", "\n\n\nC    =   4"),
        ("fibo(10)\n", "def unrelated():\n    return 1\n\nfibo(10)\n"),
    ],
    ids=["comment", "docstring", "reformatting", "moved lines", "unrelated function"],
)
def test_what_means_the_same_recomputes_nothing(project: Project, run: Runner, old: str, new: str) -> None:
    project.write({"hello.py": HELPERS})
    assert computed(run) == EVERY_N
    text = project.read("hello.py")
    at = text.rindex(old)
    project.write({"hello.py": text[:at] + new + text[at + len(old) :]})
    assert computed(run) == []


@pytest.mark.parametrize(
    "command",
    [("hello.py",), ("-m", "hitsave", "run", "hello.py"), ("-m", "hello"), ("-m", "hitsave", "run", "-m", "hello")],
    ids=" ".join,
)
def test_every_way_to_start_the_program_shares_results(hello: Project, run: Runner, command: tuple[str, ...]) -> None:
    assert sorted(run.python(*command).ok().lines) == EVERY_N
    for other in (("hello.py",), ("-m", "hitsave", "run", "hello.py"), ("-m", "hello"), ("-c", "import hello")):
        assert run.python(*other).ok().lines == []


def test_another_working_directory_shares_results(hello: Project, run: Runner, tmp_path: Path) -> None:
    assert computed(run) == EVERY_N
    assert run.hitsave("run", hello.root / "hello.py", cwd=tmp_path).ok().lines == []
    assert run.python(hello.root / "hello.py", cwd=tmp_path).ok().lines == []


def test_a_copy_of_the_project_elsewhere_shares_results(hello: Project, run: Runner, tmp_path: Path) -> None:
    assert computed(run) == EVERY_N
    copy = hello.copy_to(tmp_path / "somewhere" / "else")
    assert run.hitsave("run", "hello.py", cwd=copy.root).ok().lines == []


def test_another_hash_seed_shares_results(hello: Project, run: Runner) -> None:
    assert computed(run, env={"PYTHONHASHSEED": "1"}) == EVERY_N
    assert computed(run, env={"PYTHONHASHSEED": "2"}) == []


class TestSaid:
    """`status` says before a run what it will recompute; `why` says after it what changed, along which path."""

    EDITS = (
        ("body", "+ C\n", "+ C + 1\n", "fibo", "+ C + 1", EVERY_N),
        ("constant", "C = 4", "C = 5", "fibo → C", "+C = 5", EVERY_N),
        ("helper", "return x * x", "return x ** 3", "fibo → g", "+    return x ** 3", NEED_G),
    )

    @pytest.mark.parametrize(("old", "new", "path", "diff", "again"), [e[1:] for e in EDITS], ids=[e[0] for e in EDITS])
    def test_an_edit(
        self, project: Project, run: Runner, old: str, new: str, path: str, diff: str, again: list[str]
    ) -> None:
        project.write({"hello.py": HELPERS})
        computed(run)
        assert run.hitsave("status", "--check").exit_code == 0
        project.edit("hello.py", old, new)
        before = run.hitsave("status", "--check")
        assert before.exit_code == 3, before
        assert "hello.fibo" in before.stdout
        pending = run.hitsave("why", "fibo").ok().stdout
        assert path in pending.splitlines()[1]
        assert diff in pending
        assert computed(run) == again
        after = run.hitsave("why", "fibo").ok().stdout
        assert path in after.splitlines()[1]
        assert diff in after
        assert run.hitsave("status", "--check").exit_code == 0

    def test_status_does_not_run_the_program(self, project: Project, run: Runner) -> None:
        project.write({"hello.py": HELPERS + "\nprint('ran')\nopen('ran', 'w').close()\n"})
        run.hitsave("status").ok()
        assert not (project.root / "ran").exists()
