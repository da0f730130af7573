"""Random edits of random programs; the long run is `python benchmarks/live_fuzz.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live.fuzz import Run

# Each of these once found something wrong.
CORPUS = [10, 40, 47]


@pytest.mark.parametrize("seed", [*CORPUS, 5001, 5002, 5003])
def test_what_runs_and_what_is_stored_is_what_a_fresh_process_computes(seed: int, tmp_path: Path) -> None:
    run = Run(seed, tmp_path).go(6)
    assert not run.problems
    assert run.stored


@pytest.mark.parametrize("seed", [1014, 6001])
def test_nothing_wrong_is_stored_while_threads_call(seed: int, tmp_path: Path) -> None:
    run = Run(seed, tmp_path, threads=2).go(5)
    assert not run.problems
    assert run.stored
