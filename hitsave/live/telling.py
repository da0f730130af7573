"""`Telling`: what a live session says: events to callbacks, refusals as warnings to whoever calls next.

Events are collected while the session holds its lock, and told once all of it is done, so that nobody waits for a
callback and a callback may call anything.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable

from hitsave.errors import LiveWarning
from hitsave.live.events import LiveEvent, Refusal

OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


class Telling:
    """The listeners of one live session, and what is still to be told."""

    def __init__(self, listeners: list[Callable[[LiveEvent], None]]) -> None:
        self.listeners = listeners
        self._outbox: list[LiveEvent] = []
        self._warned: set[tuple[str, str]] = set()

    def note(self, event: LiveEvent) -> None:
        """Tell this at the next `flush`."""
        self._outbox.append(event)

    def flush(self) -> None:
        """Tell what happened, once all of it is done and nobody has to wait for a callback."""
        while self._outbox:
            try:
                event = self._outbox.pop(0)
            except IndexError:  # another thread told the last
                return
            for listener in list(self.listeners):
                try:
                    listener(event)
                except Exception as error:  # noqa: BLE001 - the user's callback; it must not stop what it only watches
                    sys.stderr.write(f"hitsave: a callback for live events failed: {error!r}\n")

    def warn(self, refusals: tuple[Refusal, ...]) -> None:
        """Say why old code goes on, each reason once; on the thread, and at the line, of whoever calls."""
        fresh = [each for each in refusals if (each.symbol, each.reason) not in self._warned]
        if not fresh:
            return
        self._warned.update((each.symbol, each.reason) for each in fresh)
        first = fresh[0]
        more = f" (and {len(fresh) - 1} more)" if len(fresh) > 1 else ""
        where = f" (line {first.line})" if first.line else ""
        text = f"{first.symbol} was edited{where}, and the old code still runs: {first.reason}{more}"
        warnings.warn(f"{text}\n  hint: {first.remedy}", LiveWarning, stacklevel=_user_level())


def _user_level() -> int:
    """The stack level of the innermost frame that isn't ours."""
    level, frame = 2, sys._getframe(2)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(OURS):
        frame = frame.f_back
        level += 1
    return level
