"""`Memo`: one memoised function, and `Options`: what its decorator said."""

from __future__ import annotations

from itertools import count

from hitsave.errors import UsageError
from hitsave.evaluator.binding import Parameters, read_parameters
from hitsave.record import Record
from hitsave.symbol import Symbol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FunctionType
    from typing import Any

    from hitsave.evaluator.plan import Plan


class Options(Record):
    """What `@memo(...)` or `@experiment(...)` was given. `None` means: as configured."""

    ignore: tuple[str, ...] = ()
    hashers: tuple[tuple[Any, Any], ...] = ()
    version: str = ""
    impure: str | None = None
    observe: str | None = None
    third_party: str | None = None
    ttl: float | None = None
    max_entries: int | None = None
    codec: str | None = None
    local_only: bool = False
    is_experiment: bool = False
    metrics: Any = None


class CacheInfo(Record):
    """As that of `functools.cache`: unpacks as (hits, misses, maxsize, currsize). `currsize` counts stored results."""

    hits: int
    misses: int
    maxsize: int | None
    currsize: int

    def __iter__(self) -> Iterator[int | None]:
        return iter(self._values())


class Memo:
    """A memoised function in this process: the user's function, its wrapper, its options, its counters.

    `site` is (symbol, source digest) as the import hook wrote it into the decorator, None where no hook was at work.
    """

    __slots__ = (
        "function",
        "hits",
        "keyed",
        "lookups",
        "misses",
        "options",
        "parameters",
        "plan",
        "saved_s",
        "site",
        "symbol",
        "__weakref__",
        "table",
        "told",
        "wrapper",
    )

    def __init__(
        self, function: FunctionType, symbol: Symbol, options: Options, site: tuple[str, str] | None = None
    ) -> None:
        self.function = function
        self.symbol = symbol
        self.options = options
        self.site = site
        self.parameters: Parameters = read_parameters(function.__code__)
        self.keyed = _keyed(self.parameters.names, options.ignore, function)
        self.table: dict[Any, Any] = {}
        self.hits = count()  # warm hits; `next` on it is the cheapest counter there is
        self.lookups = 0  # hits found by the long way
        self.misses = 0
        self.saved_s = 0.0  # how long what was reused had taken to compute
        self.plan: Plan | None = None
        self.told: set[str] = set()  # warnings already given for this function
        self.wrapper: FunctionType | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return Memo, (self.function, self.symbol, self.options, self.site)

    def first_time(self, what: str) -> bool:
        """Whether `what` is said for the first time for this function."""
        if what in self.told:
            return False
        self.told.add(what)
        return True

    def invoke(self, values: tuple[Any, ...]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """`(args, kwargs)` that call the function with bound `values`."""
        shape = self.parameters
        fixed = len(shape.positional_only) + len(shape.ordinary)
        args = values[:fixed]
        rest = fixed
        if shape.rest:
            args += tuple(values[fixed])
            rest += 1
        kwargs = dict(zip(shape.keyword_only, values[rest:], strict=False))
        if shape.options:
            kwargs.update(values[-1])
        return args, kwargs

    @property
    def is_positional(self) -> bool:
        """Whether bound values can be passed on as they are."""
        return not (self.parameters.rest or self.parameters.keyword_only or self.parameters.options)


def warm_hits(memo: Memo) -> int:
    """How many warm hits there were. `count` tells its next value only as text: `count(5)`."""
    return int(repr(memo.hits)[len("count(") : -1])


def _keyed(names: tuple[str, ...], ignore: tuple[str, ...], function: Callable[..., Any]) -> tuple[int, ...] | None:
    """The positions of the parameters that count; None if all do."""
    if not ignore:
        return None
    for name in ignore:
        if name not in names:
            raise UsageError(
                f"ignore={name!r}: {function.__qualname__}() has no parameter of that name",
                hint=f"Its parameters: {', '.join(names) or 'none'}.",
            )
    return tuple(index for index, name in enumerate(names) if name not in ignore)


def memo_of(thing: Any) -> Memo | None:
    """The memo behind a wrapper; None for anything else, also for a decorator's wrapper that copied our attributes."""
    memo = getattr(thing, "__dict__", {}).get("__hitsave_memo__")
    return memo if isinstance(memo, Memo) and memo.wrapper is thing else None
