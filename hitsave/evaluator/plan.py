"""`Plan`: what the code of a memoised function depends on, as far as that is known before a call."""

from __future__ import annotations

from hitsave.evaluator.guard import Check, always
from hitsave.symbol import Symbol
from hitsave.values.immutable import is_immutable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Any

    from hitsave.analysis import Closure
    from hitsave.digest import Digest, Fingerprint


class Plan:
    """What one memoised function depends on, in the state the process is in."""

    __slots__ = (
        "base",
        "brought",
        "caches",
        "checks",
        "closure",
        "extra",
        "fingerprint",
        "guard",
        "is_warm",
        "last_seen",
        "moving",
        "narrowings",
        "own",
        "own_code",
        "own_symbol",
        "unloaded",
        "revision",
        "starts",
        "stateful",
        "values",
        "writers",
    )

    def __init__(
        self,
        starts: frozenset[Symbol],
        closure: Closure,
        fingerprint: Fingerprint,
        extra: tuple[tuple[str, str], ...],
        revision: int,
    ) -> None:
        self.starts = starts
        self.own = starts  # without the writers, and without what live values bring
        self.base = starts  # without the writers
        self.brought: dict[Symbol, set[Symbol]] = {}  # the code that each of its live values holds
        # Functions that may have left state which the closure reads, where that state can't be digested.
        self.writers: frozenset[Symbol] = frozenset()
        self.stateful: tuple[Symbol, ...] = ()  # functions that keep something
        self.caches: tuple[Any, ...] = ()  # what `functools.lru_cache` made of functions of the closure
        self.closure = closure
        self.fingerprint = fingerprint
        self.extra = extra
        self.revision = revision
        self.values: tuple[Symbol, ...] = ()  # names that count by value
        self.moving: dict[Symbol, Digest] = {}  # those of them whose value can change in place
        self.narrowings: dict[
            Any, tuple[Closure, Fingerprint, tuple[Symbol, ...], tuple[Symbol, ...]]
        ] = {}  # how evaluations narrowed it
        self.own_code: dict[int, CodeType] = {}  # of a nested function, and the symbol it has for analysis
        self.own_symbol = Symbol("")
        self.unloaded: tuple[tuple[str, tuple[int, ...]], ...] = ()  # files that a call may import, as they were
        self.checks: tuple[Check, ...] = ()
        self.guard: Callable[[], bool] = always
        self.is_warm = False
        self.last_seen: Any = None  # what its last evaluation saw, and what follows from that (recording.py)

    @staticmethod
    def is_atomic(values: tuple[Any, ...]) -> bool:
        """Whether no body could have changed `values`."""
        return all(map(is_immutable, values))
