"""Random edits of random programs; the long run is `python benchmarks/live_fuzz.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live.fuzz import Run
from tests.live.saves import WAYS


@pytest.mark.parametrize("way", WAYS)
def test_however_edits_get_to_disk_what_runs_and_what_is_stored_is_right(way: str, tmp_path: Path) -> None:
    run = Run(5000, tmp_path, only=way).go(2)
    assert not run.problems
    assert run.stored
    assert run.ways == {way: 2}


@pytest.mark.parametrize("way", ["half_written_by_rename", "stash", "rebase", "checkout_of_many"])
def test_nothing_wrong_is_stored_while_threads_call(way: str, tmp_path: Path) -> None:
    run = Run(5000, tmp_path, threads=2, only=way).go(2)
    assert not run.problems
    assert run.stored


@pytest.mark.parametrize("seed", [10, 40, 47])
def test_what_runs_and_what_is_stored_is_what_a_fresh_process_computes(seed: int, tmp_path: Path) -> None:
    run = Run(seed, tmp_path).go(6)
    assert not run.problems
    assert run.stored


@pytest.mark.parametrize("seed", [57, 94])
def test_a_key_and_its_result_are_of_one_state_of_the_code(seed: int, tmp_path: Path) -> None:
    """Code goes back and forth while threads look up: each of these once stored a result under another state's key."""
    run = Run(seed, tmp_path, threads=2).go(8)
    assert not run.problems
    assert run.stored
