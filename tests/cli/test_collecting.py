from __future__ import annotations

import pytest

from tests.harness import Project, Runner

PROGRAM = """
from hitsave import experiment, memo
import random

@memo
def big(x):
    return random.Random(x).randbytes(200_000)

@experiment
def kept(x):
    return random.Random(100 + x).randbytes(200_000)

for x in range(10):
    big(x), kept(x)
"""


@pytest.fixture
def full(project: Project, run: Runner) -> Runner:
    project.write({"a.py": PROGRAM})
    run.script("a.py")
    return run


def symbols(run: Runner) -> list[str]:
    return sorted(entry["symbol"] for entry in run.hitsave("ls", "--json").ok().json())


def test_a_cache_is_brought_below_a_size_and_experiments_stay(full: Runner) -> None:
    done = full.hitsave("gc", "--max-size", "3M", "--json").ok().json()
    assert done["removed"] > 0
    left = symbols(full)
    assert left.count("a:kept") == 10
    assert left.count("a:big") == 10 - done["removed"]


def test_a_dry_run_collects_nothing(full: Runner) -> None:
    done = full.hitsave("gc", "--max-size", "3M", "--dry-run").ok()
    assert "would collect " in done.stdout
    assert len(symbols(full)) == 20


def test_results_are_collected_by_age(full: Runner) -> None:
    assert full.hitsave("gc", "--older", "1d", "--json").ok().json()["removed"] == 0
    full.hitsave("gc", "--older", "0.001s", "--json").ok()
    assert symbols(full) == ["a:kept"] * 10


def test_a_size_that_makes_no_sense_is_refused(full: Runner) -> None:
    assert full.hitsave("gc", "--max-size", "huge").exit_code == 2


def test_a_damaged_cache_is_found_and_mended(full: Runner) -> None:
    assert "20 results" in full.hitsave("doctor").ok().stdout
    database = next(full.cache.rglob("cache.db"))
    data = bytearray(database.read_bytes())
    for at in range(8192, len(data), 4096):
        data[at : at + 64] = b"garbage " * 8
    database.write_bytes(data)
    assert "hitsave doctor --repair" in full.hitsave("doctor").stdout
    full.hitsave("doctor", "--repair").ok()
    full.hitsave("doctor").ok()
    full.script("a.py")
    assert len(symbols(full)) == 20


def test_bytecode_of_the_hook_is_removed_and_pythons_own_is_left(project: Project, run: Runner) -> None:
    project.write({"main.py": "import lab\n", "lab.py": "from hitsave import memo\n@memo\ndef f(): ...\n"})
    run.script("main.py")
    run.python("-c", "import lab").ok()
    (removed,) = run.hitsave("clean", "--json").ok().json()["removed"]
    assert removed.startswith("__pycache__/lab.")
    assert run.hitsave("clean").ok().lines == ["removed 0 bytecode files"]
    assert list((project.root / "__pycache__").glob("lab.*.pyc"))
