"""`Misses`: what the server lately said that it hasn't got, so that one call asks once."""

from __future__ import annotations

import time

from hitsave.evaluation import Evaluation, Key

KEPT_S = 2.0
MOST = 10_000


class Misses:
    """Keys without an entry, and the candidates that came instead. Both are believed for two seconds."""

    def __init__(self) -> None:
        self._until: dict[Key, float] = {}
        self._candidates: dict[tuple[str, str], tuple[float, list[Evaluation]]] = {}

    def note(self, key: Key, candidates: list[Evaluation]) -> None:
        """There is no entry under `key`; these are under other code."""
        if len(self._until) > MOST:
            self.clear()
        until = time.monotonic() + KEPT_S
        self._until[key] = until
        self._candidates[key.symbol, key.arguments] = until, candidates

    def forget(self, key: Key) -> None:
        """There is one now."""
        self._until.pop(key, None)
        self._candidates.pop((key.symbol, key.arguments), None)

    def clear(self) -> None:
        """Believe nothing any more."""
        self._until.clear()
        self._candidates.clear()

    def has(self, key: Key) -> bool:
        """Whether there is no entry under `key`."""
        return self._until.get(key, 0.0) > time.monotonic()

    def candidates(self, symbol: str, arguments: str) -> list[Evaluation] | None:
        """Those that came lately; None if nobody asked."""
        until, found = self._candidates.get((symbol, arguments), (0.0, []))
        return found if until > time.monotonic() else None
