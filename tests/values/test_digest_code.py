"""Functions, classes and modules as values."""

from __future__ import annotations

import functools
import json
import types
from collections.abc import Callable
from typing import Any

from hitsave.values import digest_value
from tests.values.samples import Plain, Point, code, digest


def adder(amount: Any) -> Callable[[Any], Any]:
    def add(x: Any) -> Any:
        return x + amount

    return add


def with_defaults(a: object = 1, *, b: object = 2) -> None:
    """For its defaults."""


def test_a_function_counts_by_its_code() -> None:
    assert digest(adder) == digest(adder) != digest(with_defaults)
    assert digest(adder) != digest_value(adder, code=lambda thing: "edited")


def test_what_a_closure_captured_counts_by_value() -> None:
    assert digest(adder(1)) == digest(adder(1)) != digest(adder(2))
    assert digest(adder(1)) != digest(adder(True))
    assert digest(adder([1])) == digest(adder([1])) != digest(adder([2]))


def test_an_unfilled_cell_differs_from_one_that_holds_none() -> None:
    def make(fill: bool) -> Callable[[], object]:
        def read() -> object:
            return held

        if fill:
            held = None
        return read

    assert digest(make(True)) != digest(make(False))


def test_a_function_that_calls_itself_through_its_closure_has_a_digest() -> None:
    def make(base: int) -> Callable[[int], int]:
        def down(n: int) -> int:
            return base if n == 0 else down(n - 1)

        return down

    assert digest(make(1)) == digest(make(1)) != digest(make(2))


def test_defaults_count_by_value() -> None:
    def variant(default: object, keyword: object) -> Any:
        made = types.FunctionType(with_defaults.__code__, globals(), "variant", (default,))
        made.__kwdefaults__ = {"b": keyword}
        return made

    assert len({digest(variant(1, 2)), digest(variant(2, 2)), digest(variant(1, 3)), digest(variant(True, 2))}) == 4


def test_attributes_of_a_function_count() -> None:
    one, other = adder(1), adder(1)
    other.scale = 2  # type: ignore[attr-defined]
    assert digest(one) != digest(other)


def test_a_function_may_say_what_stands_for_it() -> None:
    one, other = adder(1), adder(2)
    one.__hitsave_key__ = other.__hitsave_key__ = lambda: "same"  # type: ignore[attr-defined]
    assert digest(one) == digest(other)


def test_a_memoised_function_is_the_function_it_wraps() -> None:
    inner = adder(1)

    @functools.wraps(inner)
    def wrapper(x: object) -> object:
        return inner(x)

    wrapper.__hitsave_memo__ = object()  # type: ignore[attr-defined]
    assert digest(wrapper) == digest(inner)


def test_bound_methods_count_by_function_and_object() -> None:
    assert digest(Plain(a=1).method) == digest(Plain(a=1).method) != digest(Plain(a=2).method)
    assert digest(Plain(a=1).method) != digest(Plain.method)


def test_partials_count_by_function_and_arguments() -> None:
    partial: Any = functools.partial
    assert digest(partial(adder, [1], b=2)) == digest(partial(adder, [1], b=2)) != digest(partial(adder, [2], b=2))


def test_what_an_lru_cache_has_cached_does_not_count() -> None:
    cached = functools.lru_cache(maxsize=3)(adder)
    before = digest(cached)
    cached(1)
    assert digest(cached) == before
    assert digest(functools.lru_cache(maxsize=4)(adder)) != before


def test_a_single_dispatch_function_counts_by_its_implementations_not_by_its_use() -> None:
    @functools.singledispatch
    def show(value: object) -> str:
        return "?"

    before = digest(show)
    show(1)
    assert digest(show) == before
    show.register(int, lambda value: "int")
    assert digest(show) != before


def test_a_class_made_in_a_function_counts_by_what_it_took_from_there() -> None:
    def make(factor: int, base: type = object) -> type:
        class Scaler(base):  # type: ignore[misc]
            half = factor / 2

            def scale(self, x: int) -> int:
                return x * factor

            @property
            def twice(self) -> int:
                return factor * 2

        return Scaler

    assert digest(make(2)) == digest(make(2)) != digest(make(3))
    assert digest(make(2)()) == digest(make(2)()) != digest(make(3)())
    assert digest(make(2)) != digest(make(2, Plain))


def test_a_class_that_refers_to_itself_has_a_digest() -> None:
    def make() -> type:
        class Node:
            def again(self) -> object:
                return __class__  # type: ignore[name-defined]

        Node.default = Node()  # type: ignore[attr-defined]
        return Node

    assert digest(make()) == digest(make())


def test_modules_count_by_their_code() -> None:
    assert digest(json) != digest(functools)
    assert digest_value(json, code=lambda thing: "one") != digest_value(json, code=lambda thing: "two")


def test_the_code_of_a_class_is_asked_for_once_per_value() -> None:
    asked: list[str] = []

    def counted(thing: Any) -> str:
        asked.append(thing.__qualname__)
        return code(thing)

    digest_value([Point(n) for n in range(100)], code=counted)
    assert asked == ["Point"]


def test_code_objects_count_by_what_they_do() -> None:
    def source(text: str) -> types.CodeType:
        return compile(text, "a.py", "eval")

    assert digest(source("x + 1")) == digest(source("x  +  1")) != digest(source("x + 2"))
