"""A call of a memoised function, seen from the program that makes it."""

from __future__ import annotations

import inspect
import pickle
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

import hitsave
from hitsave import HitSaveError, NotCachedWarning, experiment, memo
from hitsave.errors import UnsoundWarning
from hitsave.session import current

ran: list[Any] = []


@pytest.fixture(autouse=True)
def store() -> Iterator[None]:
    ran.clear()
    with hitsave.isolated():
        yield


@memo
def double(x: Any, factor: int = 2) -> Any:
    ran.append(x)
    return x * factor


@memo
def listed(x: int) -> list[int]:
    ran.append(x)
    return [x]


@memo
def keyworded(*rest: int, option: int = 1, **more: int) -> tuple[Any, ...]:
    ran.append(rest)
    return rest, option, more


@memo
def deep(n: int) -> int:
    return 0 if n == 0 else 1 + deep(n - 1)


@memo
def failing(x: int) -> int:
    ran.append(x)
    raise ValueError(f"no {x}")


@memo
def appending(items: list[int]) -> int:
    ran.append(len(items))
    items.append(1)
    return len(items)


@memo(ignore=["verbose"])
def quiet(x: int, verbose: bool = False) -> int:
    ran.append(verbose)
    return x


def test_a_call_is_computed_once() -> None:
    assert [double(3), double(3)] == [6, 6]
    assert ran == [3]


def test_how_a_call_is_spelled_does_not_count() -> None:
    assert {double(3), double(3, 2), double(x=3), double(factor=2, x=3)} == {6}
    assert ran == [3]
    assert keyworded(1, option=2, a=3, b=4) == keyworded(1, option=2, b=4, a=3) or len(ran) == 2


def test_equal_arguments_of_different_types_are_different_calls() -> None:
    for x in (1, True, 1.0):
        double(x)
        double(x)
    assert [type(x) for x in ran] == [int, bool, float]


def test_zero_and_minus_zero_are_different_calls() -> None:
    assert str(double(0.0)) == "0.0"
    assert str(double(-0.0)) == "-0.0"
    assert str(double(0.0)) == "0.0"


def test_a_changed_result_does_not_change_the_next_hit() -> None:
    listed(1).append(9)
    assert listed(1) == [1]
    listed(1).append(9)
    assert listed(1) == [1]
    assert ran == [1]


def test_a_changed_argument_is_not_stored_and_named() -> None:
    with pytest.warns(NotCachedWarning, match="changed its argument 'items'"):
        assert appending([]) == 1
    assert appending([]) == 1
    assert ran == [0, 0]


def test_recursion_goes_as_deep_as_without_us() -> None:
    before = sys.getrecursionlimit()
    assert deep(before // 2) == before // 2
    assert sys.getrecursionlimit() == before


def test_an_exception_passes_untouched_and_is_not_stored() -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="no 1") as caught:
            failing(1)
        frames = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
        assert frames[-2:] == ["failing", "failing"], "our one frame, and theirs"
        assert caught.value.__context__ is None
    assert ran == [1, 1]


def test_signature_errors_are_pythons_own() -> None:
    with pytest.raises(TypeError, match=r"double\(\) missing 1 required positional argument: 'x'"):
        double()  # type: ignore[call-arg]


def test_an_ignored_parameter_does_not_count() -> None:
    assert quiet(1) == quiet(1, verbose=True) == 1
    assert ran == [False]


def test_a_misspelt_ignore_is_refused_at_once() -> None:
    with pytest.raises(TypeError, match="no parameter of that name"):
        memo(ignore=["verbos"])(lambda verbose: verbose)


def test_a_misspelt_option_is_refused_at_once() -> None:
    with pytest.raises(HitSaveError, match="no option 'ingore'"):
        memo(ingore=["x"])  # type: ignore[call-overload]


def test_a_memoised_function_is_a_plain_function() -> None:
    assert type(double).__name__ == "function"
    assert str(inspect.signature(double)) == "(x: 'Any', factor: 'int' = 2) -> 'Any'"
    assert double.__wrapped__ is not double
    assert double.__name__ == "double"


def test_it_pickles_by_reference() -> None:
    data = pickle.dumps(double)
    assert len(data) < 100
    assert pickle.loads(data) is double


def test_an_argument_without_digest_runs_uncached_and_is_named_once() -> None:
    @memo
    def holding(lock: Any) -> int:
        ran.append(1)
        return 1

    with pytest.warns(NotCachedWarning, match="lock") as told:
        assert holding(threading.Lock()) == holding(threading.Lock()) == 1
    assert len(told) == 1
    assert ran == [1, 1]


def test_a_result_without_encoding_is_handed_on() -> None:
    @memo
    def unkeepable() -> Any:
        return threading.Lock()

    with pytest.warns(NotCachedWarning):
        assert unkeepable().acquire()


def test_what_can_be_asked_of_a_function() -> None:
    assert not double.is_cached(5)
    with pytest.raises(KeyError):
        double.peek(5)
    assert double(5) == 10
    assert double.is_cached(5)
    assert double.peek(x=5) == 10
    assert double.key(5) == double.key(5, 2) != double.key(6)
    assert double.cache_info().currsize == 1
    assert tuple(double.cache_info())[1] == 1 or double.cache_info().misses >= 1
    assert double.call(5) == 10
    assert ran == [5, 5]
    assert double.invalidate(5)
    assert not double.is_cached(5)
    assert double.uncached(5) == 10
    assert not double.is_cached(5)
    double(6)
    assert double.cache_clear() == 1
    assert double.cache_parameters() == {}
    assert quiet.cache_parameters() == {"ignore": ("verbose",)}


def test_map_keeps_order_and_computes_once() -> None:
    assert double.map([3, 1, 3]) == [6, 2, 6]
    assert ran == [3, 1]


def test_methods_count_their_object_by_value() -> None:
    class Model:
        def __init__(self, k: int) -> None:
            self.k = k

        @memo
        def scaled(self, x: int) -> int:
            ran.append(x)
            return x * self.k

        @staticmethod
        @memo
        def plain(x: int) -> int:
            return x

        @memo
        @classmethod
        def named(cls, x: int) -> str:
            return f"{cls.__name__}{x}"

        @property
        @memo
        def size(self) -> int:
            return self.k

    assert Model(2).scaled(3) == Model(2).scaled(3) == 6
    assert Model(4).scaled(3) == 12
    assert ran == [3, 3]
    named: Any = Model.named  # a type checker can't tell that the class is bound
    assert (Model.plain(1), named(2), Model(7).size) == (1, "Model2", 7)


def test_an_experiment_is_marked_and_described() -> None:
    @experiment(metrics=lambda result: {"score": result})
    def trial(rate: float) -> float:
        return rate / 2

    assert trial(0.5) == 0.25
    (stored,) = hitsave.session.current().disk.entries("*trial")
    assert stored.is_experiment
    assert '"score": 0.25' in stored.details
    assert '"rate": 0.5' in stored.details


def test_off_means_plain_python() -> None:
    with hitsave.isolated(mode="off"):
        assert double(8) == double(8) == 16
    assert ran == [8, 8]


def test_refresh_computes_and_stores() -> None:
    double(9)
    directory = hitsave.session.current().config.dir
    with hitsave.isolated(directory, mode="refresh"):
        double(9)
    with hitsave.isolated(directory):
        double(9)
    assert ran == [9, 9]


def test_readonly_stores_nothing() -> None:
    with hitsave.isolated(mode="readonly"):
        double(10)
        double(10)
        assert not list(hitsave.session.current().disk.entries())
    assert ran == [10, 10]


def test_threads_compute_a_key_once() -> None:
    barrier = threading.Barrier(4)
    results: list[int] = []

    def work() -> None:
        barrier.wait()
        results.append(double(11))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [22] * 4
    assert ran == [11]


def test_a_counter_that_only_counts_does_not_recompute() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            double(12)
    assert ran == [12]


class Busybody:
    """A witness that fails at the moment when a body is about to run."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def look_again(self, key: object) -> bool:
        raise self.error

    def begun(self, key: object, title: object, *, is_experiment: bool) -> str:
        return ""

    def ended(self, key: object, run: str, error: str) -> None:
        """Never reached: nothing began."""


def test_nobody_waits_for_a_call_that_failed_before_its_body_ran() -> None:
    evaluator = current().evaluator
    evaluator.witness = Busybody(OSError("no line"))
    with pytest.warns(UnsoundWarning, match="no line"):
        assert double(70) == 140
    assert not evaluator.flights.held
    evaluator.witness = Busybody(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        double(71)
    assert not evaluator.flights.held
