"""Every program in `programs/` as real processes; see runner.py for the format and the words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.runner import Processes, Program, judge, read_programs

PROGRAMS = [one for path in sorted((Path(__file__).parent / "programs").glob("*.txt")) for one in read_programs(path)]


@pytest.fixture(scope="module")
def forked() -> Iterator[Processes]:
    processes = Processes()
    yield processes
    processes.close()


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: f"{p.home}-{p.name}".replace(" ", "_"))
def test_what_an_edit_changes_is_computed_again_and_nothing_else(program: Program, forked: Processes) -> None:
    assert not judge(program, forked).text()


@pytest.mark.parametrize("program", PROGRAMS[::40], ids=lambda p: f"{p.home}-{p.name}".replace(" ", "_"))
def test_processes_started_from_nothing_agree(program: Program) -> None:
    assert not judge(program, Processes(fresh=True)).text()
