"""The tutorial's sentence, for real: "anyone using your code would also have access to the cache".

Two people with homes and copies of the project of their own, and processes as they would start them.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import requests
import sqlalchemy as sa

from hitsave.cloud.signing import create_team_key, export_team_key, import_team_key
from hitsave.server.database.tables import metadata
from hitsave.server.starting import login_link
from tests.harness import REPOSITORY, Done, Project, Runner
from tests.services import ThreadServer

FIBO = """
from hitsave import experiment

@experiment
def fibo(n):
    print(f"computing fibo({n})")
    return 1 if n < 3 else fibo(n - 1) + fibo(n - 2)

print(fibo(10))
"""
ARRAYS = """
import numpy as np
from hitsave import memo, experiment

@memo
def grid(n):
    print(f"computing grid({n})")
    return np.arange(n * n, dtype=float).reshape(n, n)

@experiment
def spectrum(n, shift=0.5):
    print(f"computing spectrum({n})")
    values = np.linalg.eigvalsh(grid(n) + grid(n).T + shift)
    return {"largest": float(values.max()), "values": values}

print(round(spectrum(60)["largest"], 3), grid(300).sum())
"""


class Person:
    """A home, a copy of the project, a key."""

    def __init__(self, name: str, homes: Path, project: Project, server: ThreadServer) -> None:
        self.config = homes / name / "config"
        self.project = project.copy_to(homes / name / "project")
        environment = {"HITSAVE_REMOTE": server.url, "HITSAVE_API_KEY": server.new_key("write", name)}
        self.run = Runner(self.project.root, homes / name / "cache", self.config, environment)


@pytest.fixture
def people(project: Project, tmp_path: Path, server: ThreadServer) -> tuple[Person, Person]:
    ann, bob = (Person(name, tmp_path / "homes", project, server) for name in ("ann", "bob"))
    create_team_key(str(ann.config))
    import_team_key(str(bob.config), export_team_key(str(ann.config)))
    return ann, bob


@pytest.mark.slow
def test_a_colleague_computes_nothing_and_sees_it_on_the_dashboard(
    people: tuple[Person, Person], server: ThreadServer
) -> None:
    ann, bob = people
    for person in people:
        person.project.write({"hello.py": FIBO})
    first = ann.run.python("hello.py").ok()
    assert [line for line in first.lines if line.startswith("computing")] == [
        f"computing fibo({n})" for n in (10, 9, 8, 7, 6, 5, 4, 3, 2, 1)
    ]
    assert first.stderr == ""
    second = bob.run.python("hello.py").ok()
    assert second.lines == ["55"]
    assert second.stderr == ""
    bob.project.edit("hello.py", "fibo(n - 2)\n", "fibo(n - 2) + 1\n")
    assert "computing fibo(10)" in bob.run.python("hello.py").ok().lines
    bob.project.edit("hello.py", "fibo(n - 2) + 1\n", "fibo(n - 2)\n")
    assert bob.run.python("hello.py", env={"HITSAVE_OFFLINE": "1"}).ok().lines == ["55"], "kept here too"
    session = requests.Session()
    assert "fibo" in session.get(login_link(server.state, server.key), timeout=10).text
    page = session.get(f"{server.url}/dashboard/functions/hello:fibo", timeout=10).text
    assert "10 runs" in page or "20 runs" in page
    code = session.get(f"{server.url}/dashboard/functions/hello:fibo/code", timeout=10).text
    assert "def fibo(n)" in code


@pytest.mark.slow
def test_arrays_come_back_equal_and_nothing_is_computed(people: tuple[Person, Person]) -> None:
    pytest.importorskip("numpy", reason="numpy is not installed")
    ann, bob = people
    for person in people:
        person.project.write({"pkg/__init__.py": "", "pkg/spectra.py": ARRAYS})
    first = ann.run.python("pkg/spectra.py").ok()
    assert first.lines[:2] == ["computing spectrum(60)", "computing grid(60)"]
    assert bob.run.python("pkg/spectra.py").ok().lines == first.lines[-1:]


FIGURES = """
import matplotlib
matplotlib.use("agg")
from matplotlib import pyplot
from hitsave import memo, experiment

@memo
def curve(n):
    print(f"computing curve({n})")
    import pandas as pd
    return pd.DataFrame({"x": range(n), "y": [i * i for i in range(n)]})

@experiment
def drawing(n):
    print(f"computing drawing({n})")
    figure, axes = pyplot.subplots()
    points = curve(n)
    axes.plot(points["x"], points["y"])
    return figure

line = drawing(20).axes[0].lines[0]
print(line.get_xydata().sum())
"""


@pytest.mark.slow
def test_a_figure_comes_back_drawable_where_the_teams_pickles_are_read(people: tuple[Person, Person]) -> None:
    pytest.importorskip("matplotlib", reason="needs hitsave[examples]")
    pytest.importorskip("pandas", reason="needs hitsave[examples]")
    ann, bob = people
    for person in people:
        person.project.write({"figures.py": FIGURES})
        person.run.env["HITSAVE_ALLOW_PICKLE"] = "signed"
    assert ann.run.python("figures.py").ok().lines == ["computing drawing(20)", "computing curve(20)", "2660.0"]
    second = bob.run.python("figures.py").ok()
    assert (second.lines, second.stderr) == (["2660.0"], "")


@pytest.mark.slow
@pytest.mark.parametrize(("program", "computed"), [("etl", 4), ("sweep", 9)])
def test_the_examples_compute_nothing_at_a_colleagues(
    people: tuple[Person, Person], program: str, computed: int
) -> None:
    """Frames and arrays from one, a table of runs and a drawn figure from the other."""
    for extra in ("pandas", "sklearn", "vega_datasets", "matplotlib"):
        pytest.importorskip(extra, reason="needs hitsave[examples]")
    ann, bob = people
    for person in people:
        shutil.copytree(REPOSITORY / "examples", person.project.root / "examples", ignore=NOT_COPIED)
    first, second = (person.run.script(f"examples/{program}.py") for person in (ann, bob))
    assert len([line for line in first.lines if line.startswith(("computing ", "training "))]) == computed
    assert [line for line in second.lines if line.startswith(("computing ", "training "))] == []
    assert re.search(r"reused, 0 computed", second.lines[-1])
    assert printed(second) == printed(first)
    if program == "sweep":
        pictures = [p.project.root / "examples" / "output" / "sweep.png" for p in people]
        assert pictures[0].read_bytes()[:4] == pictures[1].read_bytes()[:4] == b"\x89PNG"


NOT_COPIED = shutil.ignore_patterns("__pycache__", "output")


def printed(done: Done) -> list[str]:
    """The results that a program printed, without what it says of itself."""
    own = ("computing", "training", "took", "plot", "hitsave")
    return [line for line in done.lines if not line.startswith(own)]


@pytest.mark.slow
def test_without_the_teams_key_everything_works_and_one_warning_says_why(
    people: tuple[Person, Person], tmp_path: Path, project: Project, server: ThreadServer
) -> None:
    ann, _ = people
    stranger = Person("carl", tmp_path / "homes", project, server)
    for person in (ann, stranger):
        person.project.write({"hello.py": FIBO})
    ann.run.python("hello.py").ok()
    done = stranger.run.python("hello.py").ok()
    assert done.lines[-1] == "55"
    assert done.stderr.count("can't be trusted") == 1


@pytest.mark.slow
def test_a_dead_server_changes_nothing_but_one_warning(people: tuple[Person, Person]) -> None:
    ann, _ = people
    ann.project.write({"hello.py": FIBO})
    away = {"HITSAVE_REMOTE": "http://127.0.0.1:9"}
    done = ann.run.python("hello.py", env=away).ok()
    assert done.lines[-1] == "55"
    assert done.stderr.count("StoreWarning") == 1
    assert ann.run.python("hello.py", env=away).ok().lines == ["55"]


BROKEN = """
import time
from hitsave import experiment

@experiment
def explode(n):
    raise ValueError(f"no {n}")

try:
    explode(3)
except ValueError as error:
    print(error)
"""


@pytest.mark.slow
def test_a_failure_is_on_the_dashboard_and_keeps_nobody_waiting(
    people: tuple[Person, Person], server: ThreadServer
) -> None:
    ann, bob = people
    for person in people:
        person.project.write({"broken.py": BROKEN})
        done = person.run.python("broken.py").ok()
        assert done.lines == ["no 3"]
    session = requests.Session()
    session.get(login_link(server.state, server.key), timeout=10)
    page = session.get(f"{server.url}/dashboard/live", timeout=10).text
    assert page.count("explode(n=3)") >= 1
    run = re.search(r"/dashboard/live/([0-9a-f]{32})", page)
    assert run
    assert "ValueError: no 3" in session.get(f"{server.url}/dashboard/live/{run[1]}", timeout=10).text


PRIVATE = """
from hitsave import experiment

@experiment(local_only=True)
def salary(name):
    print("computing salary")
    return 1234567

print(salary("ann"))
"""


@pytest.mark.slow
def test_what_is_local_only_reaches_no_server(people: tuple[Person, Person], server: ThreadServer) -> None:
    ann, bob = people
    for person in people:
        person.project.write({"private.py": PRIVATE})
    assert ann.run.python("private.py").ok().lines == ["computing salary", "1234567"]
    assert ann.run.python("private.py").ok().lines == ["1234567"]
    ann.run.hitsave("push").ok()
    assert bob.run.python("private.py").ok().lines == ["computing salary", "1234567"]
    later = dict.fromkeys(("HITSAVE_REMOTE", "HITSAVE_API_KEY"), "")
    bob.project.edit("private.py", "1234567", "7654321")
    bob.run.python("private.py", env=later).ok()  # stored while no server was set
    bob.run.hitsave("push").ok()
    with server.state.database.transaction() as connection:
        for table in ("entries", "records", "runs", "leases", "functions"):
            chosen = sa.select(sa.func.count()).select_from(metadata.tables[table])
            assert connection.execute(chosen).scalar_one() == 0, table
