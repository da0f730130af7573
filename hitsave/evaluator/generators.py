"""Memoised generators: what was yielded is stored when the generator is exhausted, and replayed.

A generator runs in the time between its consumer's requests, so it is observed step by step. It is stored only if it
was consumed to the end by plain iteration: what it yields after `send(value)` or `throw(...)` depends on its consumer.
Asked so in a replay, the replay starts the real generator, lets it catch up, and hands over.
"""

from __future__ import annotations

import time

from hitsave.evaluator.evaluator import Attempt, Evaluator, Found
from hitsave.observe import running, watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator
    from typing import Any

    from hitsave.evaluator.memo import Memo


def call_generator(evaluator: Evaluator, memo: Memo, values: tuple[Any, ...]) -> Generator[Any, Any, Any]:
    """The items of a memoised generator function's call, stored or computed."""
    attempt = evaluator.before(memo, values)
    args, kwargs = memo.invoke(values)
    if type(attempt) is Found:
        items, returned = attempt.value
        for position, item in enumerate(items):
            try:
                sent = yield item
            except GeneratorExit:
                raise
            except BaseException as error:  # noqa: BLE001 - thrown in by the consumer: the real generator answers
                return (yield from _throw_in(memo.function(*args, **kwargs), position + 1, error))
            if sent is not None:
                return (yield from _catch_up(memo.function(*args, **kwargs), position + 1, sent))
        return returned
    generator = memo.function(*args, **kwargs)
    if attempt is None:
        return (yield from generator)
    return (yield from _record(evaluator, attempt, generator))


def _record(evaluator: Evaluator, attempt: Attempt, generator: Any) -> Generator[Any, Any, Any]:
    items: list[Any] = []
    elapsed_s = 0.0
    evaluator.recorder.arm(attempt.asked, attempt.sight, stepwise=True)
    sent: Any = None
    while True:
        outer = watch.begin(attempt.sight)
        running.resume(attempt.sight)
        clock = time.perf_counter()
        try:
            item = generator.send(sent)
        except StopIteration as stop:
            _pause(attempt, outer)
            attempt.outer = outer
            evaluator.after(attempt, (items, stop.value), elapsed_s + time.perf_counter() - clock)
            return stop.value
        except BaseException:
            _pause(attempt, outer)
            evaluator.failed(attempt)
            raise
        elapsed_s += time.perf_counter() - clock
        _pause(attempt, outer)
        items.append(item)
        try:
            sent = yield item
        except GeneratorExit:
            evaluator.failed(attempt)
            generator.close()
            raise
        except BaseException as error:  # noqa: BLE001 - thrown in by the consumer
            evaluator.failed(attempt)
            return (yield from _thrown(generator, error))
        if sent is not None:
            evaluator.failed(attempt)
            return (yield from _sent(generator, sent))


def _pause(attempt: Attempt, outer: list[Any]) -> None:
    running.pause(attempt.sight)
    watch.end(attempt.sight, outer)
    running.rearm()


def _sent(generator: Any, value: Any) -> Generator[Any, Any, Any]:
    try:
        item = generator.send(value)
    except StopIteration as stop:
        return stop.value
    return (yield from _go_on(generator, item))


def _thrown(generator: Any, error: BaseException) -> Generator[Any, Any, Any]:
    try:
        item = generator.throw(error)
    except StopIteration as stop:
        return stop.value
    return (yield from _go_on(generator, item))


def _go_on(generator: Any, item: Any) -> Generator[Any, Any, Any]:
    """Yield `item`, then everything that `generator` yields, passing on what is sent and thrown."""
    while True:
        try:
            sent = yield item
        except GeneratorExit:
            generator.close()
            raise
        except BaseException as error:  # noqa: BLE001 - passed on to whom it is meant for
            try:
                item = generator.throw(error)
            except StopIteration as stop:
                return stop.value
            continue
        try:
            item = generator.send(sent)
        except StopIteration as stop:
            return stop.value


def _catch_up(generator: Any, steps: int, sent: Any) -> Generator[Any, Any, Any]:
    for _ in range(steps):
        next(generator)
    return (yield from _sent(generator, sent))


def _throw_in(generator: Any, steps: int, error: BaseException) -> Generator[Any, Any, Any]:
    for _ in range(steps):
        next(generator)
    return (yield from _thrown(generator, error))


async def call_async_generator(evaluator: Evaluator, memo: Memo, values: tuple[Any, ...]) -> AsyncIterator[Any]:
    """As `call_generator`, for an asynchronous generator; nothing can be sent into it."""
    attempt = await evaluator.before_coroutine(memo, values)
    args, kwargs = memo.invoke(values)
    if type(attempt) is Found:
        for item in attempt.value:
            yield item
        return
    if attempt is None:
        async for item in memo.function(*args, **kwargs):
            yield item
        return
    items = []
    watch.begin_beside(attempt.sight)
    evaluator.recorder.arm(attempt.asked, attempt.sight, stepwise=True)
    clock = time.perf_counter()
    finished = False
    try:
        async for item in memo.function(*args, **kwargs):
            items.append(item)
            yield item
        finished = True
    finally:
        if not finished:
            evaluator.failed(attempt)
    evaluator.after(attempt, items, time.perf_counter() - clock)
