"""What a memoised function can do besides being called: `MemoFunction`, and the functions that are attached to it.

    f.is_cached(1)   f.peek(1)   f.call(1)   f.uncached(1)   f.invalidate(1)   f.key(1)   f.explain(1)   f.deps()
    f.map(values)    f.cache_info()   f.cache_clear()   f.cache_parameters()

They take the call's own arguments. A plain function binds like any method, but its attributes don't bind `self`:
write `Model.train.is_cached(model, data)`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Executor
    from types import FunctionType
    from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, overload

    from hitsave.analysis import Closure
    from hitsave.evaluator.memo import CacheInfo, Memo
    from hitsave.explain.record import Explanation

    P = ParamSpec("P")
    Q = ParamSpec("Q")
    R = TypeVar("R")
    R_co = TypeVar("R_co", covariant=True)
    D = TypeVar("D")

    class MemoFunction(Protocol[P, R_co]):
        """A memoised function as type checkers see it; at run time it is a plain function with these attributes."""

        __wrapped__: Callable[..., Any]
        __name__: str
        __qualname__: str
        __module__: str

        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
            """The result: stored, or computed and stored."""

        @overload
        def __get__(self, instance: None, owner: type | None = None, /) -> MemoFunction[P, R_co]: ...
        @overload
        def __get__(
            self: MemoFunction[Concatenate[Any, Q], R_co], instance: object, owner: type | None = None, /
        ) -> Callable[Q, R_co]: ...
        def __get__(self, instance: object, owner: type | None = None, /) -> Any:
            """Bound like any function: as a method of `instance`."""

        def is_cached(self, *args: P.args, **kwargs: P.kwargs) -> bool:
            """Whether the call would be answered without running the body. Runs and loads nothing."""

        def peek(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
            """The stored result; `KeyError` if there is none. Never runs the body."""

        def call(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
            """Run the body now, and store the result."""

        def uncached(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
            """Run the body, look nothing up and store nothing."""

        def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> bool:
            """Remove what is stored for the call under today's code; whether there was anything."""

        def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
            """The call's key as hexadecimal digits; the same on every machine that has this code."""

        def explain(self, *args: P.args, **kwargs: P.kwargs) -> Explanation:
            """Why the call is a hit or a miss, without running it."""

        def deps(self) -> Closure:
            """The code that the function depends on."""

        def map(
            self,
            *iterables: Iterable[Any],
            executor: Executor | None = None,
            progress: bool | None = None,
        ) -> list[Any]:
            """The results for each item, in order; computed by `executor` if given, each stored as it is done."""

        def cache_info(self) -> CacheInfo:
            """Hits and misses of this process, and how many results are stored."""

        def cache_clear(self) -> int:
            """Remove all stored results of the function, under any code; how many there were."""

        def cache_parameters(self) -> dict[str, Any]:
            """The options that the decorator was given."""


MISSING = object()


def attach(wrapper: FunctionType, memo: Memo) -> None:
    """Give the wrapper of `memo` its further abilities."""
    for name in ("is_cached", "peek", "call", "uncached", "invalidate", "key", "explain", "deps", "map"):
        wrapper.__dict__[name] = Ability(memo, name)
    for name in ("cache_info", "cache_clear", "cache_parameters"):
        wrapper.__dict__[name] = Ability(memo, name)


class Ability:
    """One attached function. Its code is loaded when it is first used: few programs use more than one."""

    __slots__ = ("_memo", "_name")

    def __init__(self, memo: Memo, name: str) -> None:
        self._memo = memo
        self._name = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Do it, for the call with these arguments."""
        from hitsave import abilities

        return getattr(abilities, self._name)(self._memo, *args, **kwargs)

    def __repr__(self) -> str:
        return f"<{self._memo.function.__qualname__}.{self._name} of a memoised function>"

    def __reduce__(self) -> Any:
        return Ability, (self._memo, self._name)
