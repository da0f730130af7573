"""`f.map(...)`: many calls of a memoised function, each stored as it is done, so that an interrupted map resumes."""

from __future__ import annotations

import sys

from hitsave.evaluator.memo import Memo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from concurrent.futures import Executor, Future
    from typing import Any


def map_calls(
    memo: Memo, iterables: tuple[Iterable[Any], ...], *, executor: Executor | None, progress: bool | None
) -> list[Any]:
    """The results of the calls, in order. What is stored isn't sent to the executor.

    `progress` None shows progress on a terminal only. The first exception of a call is raised when all that were
    started are done; what finished is stored.
    """
    calls = list(zip(*iterables, strict=False))
    function: Any = memo.wrapper
    show = sys.stderr.isatty() if progress is None else progress
    if executor is None:
        return [function(*call) for call in _shown(calls, len(calls), memo, show=show)]
    results: list[Any] = [None] * len(calls)
    futures: dict[Future[Any], list[int]] = {}
    waiting: dict[str, Future[Any]] = {}
    for index, call in enumerate(calls):
        if function.is_cached(*call):
            results[index] = function(*call)
            continue
        name = function.key(*call)
        future = waiting.get(name)
        if future is None:  # equal calls are sent once
            future = waiting[name] = executor.submit(function, *call)
            futures[future] = []
        futures[future].append(index)
    from concurrent.futures import as_completed

    failure: BaseException | None = None
    for future in _shown(as_completed(futures), len(futures), memo, show=show):
        error = future.exception()
        failure = failure or error
        for index in futures[future]:
            results[index] = None if error else future.result()
    if failure is not None:
        raise failure
    return results


def _shown(items: Iterable[Any], total: int, memo: Memo, *, show: bool) -> Iterable[Any]:
    if not show:
        return items
    from rich.progress import track

    return track(items, description=memo.function.__qualname__, total=total)
