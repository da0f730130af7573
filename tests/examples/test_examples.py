"""The programs in examples/, on real data: twice, the second time without computing, then after edits."""

from __future__ import annotations

import re
import shutil

import pytest

from tests.harness import REPOSITORY, Done, Project, Runner

for extra in ("pandas", "sklearn", "vega_datasets", "matplotlib"):
    pytest.importorskip(extra, reason="needs hitsave[examples]")

GRID = 9


@pytest.fixture
def examples(project: Project) -> Project:
    shutil.copytree(
        REPOSITORY / "examples", project.root / "examples", ignore=shutil.ignore_patterns("__pycache__", "output")
    )
    return project


def computed(done: Done) -> list[str]:
    return [line.removeprefix("computing ") for line in done.lines if line.startswith("computing ")]


class TestPipeline:
    @pytest.fixture
    def first(self, examples: Project, run: Runner) -> Done:
        return run.script("examples/etl.py")

    def test_the_second_run_computes_nothing_and_prints_the_same(self, first: Done, run: Runner) -> None:
        assert computed(first) == ["report", "features", "clean", "read"]
        second = run.script("examples/etl.py")
        assert computed(second) == []
        assert re.fullmatch(r"hitsave: 1 reused, 0 computed, saved \d+\.\d\d s", second.lines[-1])
        table = [line for line in first.lines if not line.startswith(("computing", "took", "hitsave"))]
        assert [line for line in second.lines if line in table] == table

    @pytest.mark.parametrize(
        ("old", "new", "again"),
        [
            ('"Seattle by month, 2012-2015"', '"Seattle, month by month"', ["report"]),
            ("WET_MM = 0.5", "WET_MM = 1.0", ["features", "report"]),
            ("RESAMPLES = 4000", "RESAMPLES = 4001", ["features", "report"]),
            ('"temp_max"]) / 2', '"temp_max"]) / 2 + 0.1', ["clean", "features", "report"]),
            (".dropna()", '.dropna(how="any")', ["clean"]),  # computed again to the same rows: it stops there
            ("# now edit", "# next, edit", []),
        ],
        ids=["report", "constant", "constant of a helper", "middle step", "middle step, same result", "comment"],
    )
    def test_an_edit_recomputes_exactly_what_depends_on_it(
        self, examples: Project, first: Done, run: Runner, old: str, new: str, again: list[str]
    ) -> None:
        examples.edit("examples/etl.py", old, new)
        assert sorted(computed(run.script("examples/etl.py"))) == again
        assert computed(run.script("examples/etl.py")) == []

    def test_another_file_recomputes_and_the_old_one_hits_again(self, examples: Project, run: Runner) -> None:
        from vega_datasets import local_data

        data = examples.root / "weather.csv"
        shutil.copy(local_data.seattle_weather.filepath, data)
        examples.edit("examples/etl.py", "local_data.seattle_weather.filepath", repr(str(data)))
        assert len(computed(run.script("examples/etl.py"))) == 4
        whole = data.read_text()
        data.write_text("\n".join(whole.splitlines()[:800]) + "\n")
        assert len(computed(run.script("examples/etl.py"))) == 4
        data.write_text(whole)
        assert computed(run.script("examples/etl.py")) == []


class TestSweep:
    def test_each_point_is_trained_once(self, examples: Project, run: Runner) -> None:
        first = run.script("examples/sweep.py")
        assert sum(line.startswith("training") for line in first.lines) == GRID
        picture = examples.root / "examples" / "output" / "sweep.png"
        assert picture.read_bytes().startswith(b"\x89PNG")
        second = run.script("examples/sweep.py")
        assert sum(line.startswith("training") for line in second.lines) == 0
        assert second.lines[-1].startswith("hitsave: 9 reused, 0 computed, saved ")
        assert [line for line in first.lines if "gamma" in line and not line.startswith("training")] == [
            line for line in second.lines if "gamma" in line
        ]
        examples.edit("examples/sweep.py", "GAMMAS = [0.001, 0.01, 0.1]", "GAMMAS = [0.001, 0.003, 0.01, 0.1]")
        third = run.script("examples/sweep.py")
        trained = [line for line in third.lines if line.startswith("training")]
        assert [line for line in trained if "gamma=0.003" not in line] == []
        assert len(trained) == 3
        examples.edit("examples/sweep.py", "StandardScaler().fit_transform(digits.data)", "digits.data / 16")
        fourth = run.script("examples/sweep.py")
        assert sum(line.startswith("training") for line in fourth.lines) == 12

    def test_the_runs_are_listed_as_experiments(self, examples: Project, run: Runner) -> None:
        run.script("examples/sweep.py")
        listed = run.hitsave("ls", "--experiments", "--json").ok().json()
        assert len(listed) == GRID
        assert all("accuracy" in entry["result"] for entry in listed)


def test_hello_computes_each_number_once(examples: Project, run: Runner) -> None:
    first = run.script("examples/hello.py").lines
    assert sorted(first) == sorted([*(f"computing fibo({n})" for n in range(1, 11)), "fibo(10) = 55"])
    assert run.script("examples/hello.py").lines == ["fibo(10) = 55"]
