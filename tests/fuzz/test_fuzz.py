"""The seed corpus of the fuzzer; the long run is `python benchmarks/fuzz.py --programs 10000`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fuzz.compare import compare
from tests.fuzz.generate import make
from tests.processes.runner import Processes


@pytest.fixture(scope="module")
def forked() -> Iterator[Processes]:
    processes = Processes()
    yield processes
    processes.close()


@pytest.mark.parametrize("seed", range(25))
def test_cached_answers_are_those_of_an_uncached_run(seed: int, forked: Processes) -> None:
    assert not compare(seed, forked, edits=4).differences


@pytest.mark.parametrize("seed", range(300))
def test_generated_projects_are_python(seed: int) -> None:
    for name, text in make(seed).files().items():
        compile(text, name, "exec")
