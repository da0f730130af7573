"""What functions keep from call to call, and what of it can be seen."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from hitsave.evaluator.state import cached_in
from hitsave.observe.inputs import is_lru_cache


@pytest.mark.parametrize("maxsize", [None, 128, 4])
def test_an_lru_cache_shows_its_keys_and_results(maxsize: int | None) -> None:
    @functools.lru_cache(maxsize)
    def cached(*args: Any) -> Any:
        return {"of": args}

    assert is_lru_cache(cached)
    assert cached_in(cached) == []
    cached.note = {"an": "attribute"}  # type: ignore[attr-defined]
    for call in ((1, 2), ("text", None), (3,), (1, 2)):
        cached(*call)
    asked = [((1, 2), {"of": (1, 2)}), (("text", None), {"of": ("text", None)}), (3, {"of": (3,)})]
    assert cached_in(cached) == asked


def test_a_bounded_cache_shows_only_what_it_still_holds() -> None:
    cached = functools.lru_cache(2)(lambda x: [x])
    for number in range(5):
        cached(number)
    assert cached_in(cached) == [(3, [3]), (4, [4])]


def test_types_and_tables_are_results_like_any_other() -> None:
    cached = functools.lru_cache(lambda x: {int: dict, 0: {}}[x])
    assert [cached(x) for x in (int, 0)] == [dict, {}]
    assert cached_in(cached) == [((int,), dict), (0, {})]
