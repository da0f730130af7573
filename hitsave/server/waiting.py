"""Wakes those who wait for a key when its entry arrives or its lease ends, without polling."""

from __future__ import annotations

import asyncio

# Another server process on the same PostgreSQL may have taken the entry: look again at least this often.
RECHECK_S = 1.0


class Waiting:
    """Waiters by (project, name of the key)."""

    def __init__(self) -> None:
        self._events: dict[tuple[int, str], asyncio.Event] = {}

    def notify(self, project_id: int, name: str) -> None:
        """Something happened to this key."""
        event = self._events.pop((project_id, name), None)
        if event is not None:
            event.set()

    async def wait(self, project_id: int, name: str, timeout_s: float) -> None:
        """Come back when something happened to the key, or after `timeout_s` (a second at most)."""
        event = self._events.setdefault((project_id, name), asyncio.Event())
        try:
            await asyncio.wait_for(event.wait(), min(timeout_s, RECHECK_S))
        except (asyncio.TimeoutError, TimeoutError):
            return

    def forget_idle(self) -> None:
        """Drop events nobody waits for any more; they are made again when needed."""
        self._events = {key: event for key, event in self._events.items() if event._waiters}
