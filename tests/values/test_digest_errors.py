"""Values without a digest, and what is said about them."""

from __future__ import annotations

import asyncio
import functools
import io
import socket
import sqlite3
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path
from typing import Any

import pytest

from hitsave.errors import CannotDigest
from hitsave.values import digest_arguments, digest_value
from tests.values.samples import Frozen, Plain, Point, Slotted, code, digest


def refused(value: object, *, name: str = "model") -> CannotDigest:
    with pytest.raises(CannotDigest) as caught:
        digest_arguments(("seed", name), (1, value), code=code)
    return caught.value


LOCK = threading.Lock()


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (LOCK, "model"),
        ([LOCK], "model[0]"),
        ((1, [2, LOCK]), "model[1][1]"),
        ({"a": {"b": LOCK}}, "model['a']['b']"),
        ({1: LOCK}, "model[1]"),
        ({(1, 2): LOCK}, "model[<tuple>]"),
        ({LOCK: 1}, "model.keys()[0]"),
        ({1, LOCK}, "model{...}"),
        (Plain(callbacks=[1, 2, LOCK]), "model.callbacks[2]"),
        (Point(Frozen([Plain(a=LOCK)])), "model.x.x[0].a"),
        (Slotted(1, LOCK), "model.b"),
        (deque([1, LOCK]), "model[1]"),
        (functools.partial(print, LOCK), "model.args[0]"),
        (Plain(a=LOCK).method, "model.__self__.a"),
    ],
)
def test_the_path_leads_to_the_culprit(value: object, path: str) -> None:
    error = refused(value)
    assert error.path == path
    assert error.message.startswith(f"{path}: no stable digest for a value of type ")
    assert "ignore=" in error.hint
    assert "hashers=" in error.hint
    assert "__hitsave_key__" in error.hint


def test_what_a_closure_captured_is_named() -> None:
    lock = LOCK

    def locked() -> object:
        return lock

    assert refused(locked).path == "model.lock"


def test_the_type_is_named() -> None:
    assert "type _thread.lock" in refused(LOCK).message
    assert "type _io.TextIOWrapper" in refused(sys.__stdout__).message


async def coroutine() -> None:
    """Never awaited."""


def outside_values(folder: Path) -> dict[str, Any]:
    left, right = socket.socketpair()
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return {
        "generator": (x for x in [1]),
        "open file": (folder / "a").open("w"),
        "binary file": (folder / "b").open("wb"),
        "socket": left,
        "its peer": right,
        "connection": sqlite3.connect(":memory:"),
        "lock": threading.RLock(),
        "event": threading.Event(),
        "thread": threading.current_thread(),
        "process": process,
        "frame": sys._getframe(),
        "future": asyncio.new_event_loop(),
        "raw file": (folder / "c").open("wb", buffering=0),
    }


def test_what_stands_for_something_outside_has_no_digest(tmp_path: Path) -> None:
    values = outside_values(tmp_path)
    waiting = coroutine()
    try:
        for name, value in {**values, "coroutine": waiting}.items():
            with pytest.raises(CannotDigest):
                print(name, digest(value))
    finally:
        waiting.close()
        for value in values.values():
            if hasattr(value, "close"):
                value.close()


def test_buffers_in_memory_are_values() -> None:
    assert digest(io.BytesIO(b"a")) == digest(io.BytesIO(b"a")) != digest(io.BytesIO(b"b"))
    assert digest(io.StringIO("a")) != digest(io.StringIO("b"))


@pytest.mark.parametrize("method", ["__getstate__", "__reduce__", "__hitsave_key__"])
def test_whatever_the_users_own_code_raises_is_a_value_without_a_digest(method: str) -> None:
    def fail(self: object) -> object:
        raise ZeroDivisionError("mine")

    kind = type("Failing", (), {method: fail})
    error = refused([kind()])
    assert error.path == "model[0]"
    assert "mine" in error.message
    assert isinstance(error.__cause__, ZeroDivisionError)


def test_a_hasher_that_raises_is_named_by_its_parameter() -> None:
    with pytest.raises(CannotDigest, match="^data: "):
        digest_arguments(("data",), (1,), code=code, hashers={"data": lambda value: 1 / 0})


def test_a_value_that_is_pickled_differently_each_time_is_refused() -> None:
    counter = iter(range(1000))

    class Restless:
        def __reduce__(self) -> tuple[Any, ...]:
            return Restless, (), {"n": next(counter)}

    error = refused([1, Restless()])
    assert error.path == "model[1]"
    assert "differently each time" in error.message


def test_a_value_that_is_pickled_the_same_each_time_is_not() -> None:
    class Steady:
        def __init__(self, n: int) -> None:
            self.n = n

        def __reduce__(self) -> tuple[Any, ...]:
            return Steady, (self.n,)

    assert digest(Steady(1)) == digest(Steady(1)) != digest(Steady(2))


def test_a_budget_bounds_the_work() -> None:
    for value in (
        [0] * 1000,
        "a" * 5000,
        b"a" * 5000,
        [Point(n) for n in range(200)],
        bytearray(5000),
        {1: "a" * 5000},
    ):
        digest_value(value, code=code, budget=100_000)
        with pytest.raises(CannotDigest, match="too large"):
            digest_value(value, code=code, budget=1000)


def test_a_budget_does_not_change_the_digest() -> None:
    for value in (1, [1, "a"], Point([1, 2])):
        assert digest_value(value, code=code, budget=1000) == digest(value)


def test_the_path_of_a_value_alone_starts_with_its_name() -> None:
    with pytest.raises(CannotDigest) as caught:
        digest_value([LOCK], code=code, path="settings")
    assert caught.value.path == "settings[0]"


def test_what_the_code_callback_refuses_is_named_too() -> None:
    def refuse(thing: object) -> str:
        raise CannotDigest("no code for this", hint="do that")

    with pytest.raises(CannotDigest) as caught:
        digest_value([Point(1)], code=refuse, path="x")
    assert caught.value.message == "x[0]: no code for this"
    assert caught.value.hint == "do that"
