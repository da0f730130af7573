"""Memoised coroutine functions and generators."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator, Iterator
from typing import Any

import pytest

import hitsave
from hitsave import memo

ran: list[Any] = []


@pytest.fixture(autouse=True)
def store() -> Iterator[None]:
    ran.clear()
    with hitsave.isolated():
        yield


@memo
async def fetched(x: int) -> list[int]:
    ran.append(x)
    await asyncio.sleep(0)
    return [x]


@memo
def counted(n: int) -> Iterator[int]:
    ran.append(n)
    yield from range(n)


@memo
def echoing() -> Generator[str, str, str]:
    ran.append("echo")
    first = yield "ready"
    second = yield f"got {first}"
    return f"done {second}"


@memo
async def streamed(n: int) -> AsyncIterator[int]:
    ran.append(n)
    for i in range(n):
        await asyncio.sleep(0)
        yield i


def test_a_coroutine_function_stays_one_and_is_computed_once() -> None:
    async def main() -> list[list[int]]:
        return [await fetched(1), await fetched(1), *await asyncio.gather(*[fetched(2) for _ in range(5)])]

    assert asyncio.iscoroutinefunction(fetched)
    assert asyncio.run(main()) == [[1], [1], [2], [2], [2], [2], [2]]
    assert ran == [1, 2]


def test_a_cancelled_coroutine_keeps_nobody_waiting() -> None:
    @memo
    async def stuck(x: int) -> int:
        ran.append(x)
        if len(ran) == 1:
            await asyncio.Event().wait()
        return x

    async def main() -> int:
        first = asyncio.ensure_future(stuck(1))
        while not ran:
            await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        return await asyncio.wait_for(stuck(1), 10)

    assert asyncio.run(main()) == 1


def test_a_generator_is_replayed() -> None:
    assert list(counted(3)) == list(counted(3)) == [0, 1, 2]
    assert ran == [3]


def test_a_generator_that_was_not_exhausted_is_not_stored() -> None:
    iterator = iter(counted(3))
    assert next(iterator) == 0
    del iterator
    assert list(counted(3)) == [0, 1, 2]
    assert ran == [3, 3]


def test_what_is_sent_reaches_the_real_generator() -> None:
    def drive(*sent: str) -> list[str]:
        generator = echoing()
        seen = [next(generator)]
        try:
            for value in sent:
                seen.append(generator.send(value))
        except StopIteration as stop:
            seen.append(stop.value)
        return seen

    assert drive("a", "b") == ["ready", "got a", "done b"]
    assert drive("c", "d") == ["ready", "got c", "done d"]
    assert list(echoing()) == ["ready", "got None"]
    assert list(echoing()) == ["ready", "got None"]
    assert drive("e", "f") == ["ready", "got e", "done f"], "a replay hands over to the generator"


def test_what_a_generator_returns_is_replayed() -> None:
    def outer() -> Generator[str, str, str]:
        return (yield from echoing())

    def drain() -> str:
        generator = outer()
        try:
            while True:
                next(generator)
        except StopIteration as stop:
            return str(stop.value)

    assert drain() == drain() == "done None"
    assert ran == ["echo"]


def test_an_asynchronous_generator_is_replayed() -> None:
    async def drain() -> list[int]:
        return [item async for item in streamed(3)]

    assert asyncio.run(drain()) == asyncio.run(drain()) == [0, 1, 2]
    assert ran == [3]
