"""`Exchanges`: which code of this process was exchanged while it ran, and when.

A result that was computed partly by old code and partly by new belongs to neither, so whoever records a result asks
whether anything it depends on was exchanged since the call began. Time is counted in revisions of `LoadedSources`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

# Evaluations that began before the oldest one that is remembered count as touched.
REMEMBERED = 1000


class Exchanges:
    """A log of exchanges. `names` are symbols, or module names for "anything in it"."""

    __slots__ = ("_forgotten", "_log", "_under_way", "in_place")

    def __init__(self) -> None:
        self._log: list[tuple[int, frozenset[str]]] = []
        self._under_way: list[frozenset[str]] = []
        self._forgotten = 0
        self.in_place = 0  # exchanges of running code so far

    def moment(self) -> int:
        """A number that is the same before and after something if no running code was exchanged meanwhile; else -1."""
        return -1 if self._under_way else self.in_place

    def begin(self, names: Collection[str]) -> None:
        """Code is about to be exchanged; until `end`, nobody knows what a function is."""
        self._under_way.append(frozenset(names))

    def end(self, names: Collection[str], revision: int) -> None:
        """It was, and `revision` is the first that describes what is there now."""
        self._log.append((revision, frozenset(names)))
        if len(self._log) > REMEMBERED:
            self._forgotten = self._log.pop(0)[0]
        self._under_way.remove(frozenset(names))

    def touch(self, names: Iterable[str], revision: int) -> bool:
        """Whether one of `names` was exchanged after `revision`, or is being exchanged."""
        if self._forgotten > revision:
            return True
        if not self._log and not self._under_way:
            return False
        wanted = frozenset(names)
        recent = [found for at, found in tuple(self._log) if at > revision]
        return any(not wanted.isdisjoint(found) for found in (*tuple(self._under_way), *recent))
