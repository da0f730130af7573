"""The abilities of memoised functions (see `functions.MemoFunction`), each a function of the memo and the call."""

from __future__ import annotations

from hitsave.digest import digest_text
from hitsave.errors import CannotDigest, UsageError
from hitsave.evaluator.binding import compile_binder
from hitsave.evaluator.evaluator import Asked
from hitsave.evaluator.memo import CacheInfo, Memo, warm_hits
from hitsave.evaluator.wrapper import Raised
from hitsave.session import Session, current

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from concurrent.futures import Executor
    from typing import Any

    from hitsave.analysis import Closure
    from hitsave.explain.record import Explanation


def is_cached(memo: Memo, /, *args: Any, **kwargs: Any) -> bool:
    """Whether a stored result holds for the call."""
    session, asked = _asked(memo, args, kwargs)
    return asked is not None and session.look.holds(asked) is not None


def peek(memo: Memo, /, *args: Any, **kwargs: Any) -> Any:
    """The stored result; `KeyError` if there is none."""
    session, asked = _asked(memo, args, kwargs)
    hit = None if asked is None else session.look.find(asked)
    if hit is None:
        raise KeyError(f"{memo.function.__qualname__}: no stored result holds for this call")
    return hit.value


def call(memo: Memo, /, *args: Any, **kwargs: Any) -> Any:
    """Run the body now and store the result."""
    _plain_only(memo, "call")
    session = current()
    evaluator = session.adopt(memo)
    values = compile_binder(memo.function)(*args, **kwargs)
    asked = evaluator.ask(memo, values)
    if asked is not None:
        for evaluation in list(session.store.find(asked.key)):
            session.store.remove(evaluation)
        memo.table.clear()
    result = evaluator.call(memo, values)
    if type(result) is Raised:
        raise result.error
    return result


def uncached(memo: Memo, /, *args: Any, **kwargs: Any) -> Any:
    """Run the body and nothing else."""
    return memo.function(*args, **kwargs)


def invalidate(memo: Memo, /, *args: Any, **kwargs: Any) -> bool:
    """Remove what is stored for the call under today's code."""
    session, asked = _asked(memo, args, kwargs)
    if asked is None:
        return False
    memo.table.clear()
    removed = [session.store.remove(evaluation) for evaluation in list(session.store.find(asked.key))]
    spared = session.look.holds(asked)
    if spared is not None:
        removed.append(session.store.remove(spared))
    return any(removed)


def key(memo: Memo, /, *args: Any, **kwargs: Any) -> str:
    """The call's key, 32 hexadecimal digits."""
    _, asked = _asked(memo, args, kwargs)
    if asked is None:
        raise CannotDigest(f"{memo.function.__qualname__}: this call has no key", hint="See the warning above.")
    return digest_text(f"{asked.key.symbol}\n{asked.key.fingerprint}\n{asked.key.arguments}")


def explain(memo: Memo, /, *args: Any, **kwargs: Any) -> Explanation:
    """Why the call is a hit or a miss."""
    from hitsave.explaining import explain_asked

    session, asked = _asked(memo, args, kwargs)
    return explain_asked(session, memo, asked)


def deps(memo: Memo, /) -> Closure:
    """The code that the function depends on."""
    session = current()
    session.adopt(memo)
    return session.planner.plan(memo).closure


def map(
    memo: Memo, /, *iterables: Iterable[Any], executor: Executor | None = None, progress: bool | None = None
) -> list[Any]:
    """The results for each item, in order."""
    from hitsave.mapping import map_calls

    return map_calls(memo, iterables, executor=executor, progress=progress)


def cache_info(memo: Memo, /) -> CacheInfo:
    """Hits and misses of this process; how many results are stored, under any code."""
    stored = sum(1 for _ in current().disk.entries(memo.symbol))
    return CacheInfo(memo.lookups + warm_hits(memo), memo.misses, memo.options.max_entries, stored)


def cache_clear(memo: Memo, /) -> int:
    """Remove all stored results of the function."""
    session = current()
    memo.table.clear()
    found = list(session.disk.entries(memo.symbol))
    for evaluation in found:
        session.store.remove(evaluation)
    return len(found)


def cache_parameters(memo: Memo, /) -> dict[str, Any]:
    """The options that differ from their defaults."""
    defaults = type(memo.options)._defaults
    options = {name: getattr(memo.options, name) for name in type(memo.options)._fields}
    return {name: value for name, value in options.items() if value != defaults.get(name)}


def _asked(memo: Memo, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Session, Asked | None]:
    session = current()
    evaluator = session.adopt(memo)
    return session, evaluator.ask(memo, compile_binder(memo.function)(*args, **kwargs))


def _plain_only(memo: Memo, name: str) -> None:
    if memo.function.__code__.co_flags & 0x2A0:
        raise UsageError(
            f"{memo.function.__qualname__}.{name}() is for plain functions",
            hint="For a coroutine or generator function, `invalidate(...)` the call, then call it.",
        )
