"""Which functions ran, before Python 3.12: `sys.setprofile`, within a small budget.

Every call and return of the thread costs a callback there (0.2 µs), so an evaluation gets so many and no more: a short
one is observed to its end, a long one gives up early and then runs at full speed. The record is incomplete where it
can't see: another thread is running or started, somebody else is profiling, or takes our place.
"""

from __future__ import annotations

import _thread
import sys

from hitsave.observe.looks import is_look, note_look
from hitsave.observe.readers import is_reader, note_reader
from hitsave.observe.watch import Sight

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

# About 10 ms. A function that makes more calls than this is better left alone.
BUDGET_EVENTS = 40_000
START = _thread.start_new_thread
USED_UP = "it makes too many calls to be observed before Python 3.12"


class Profile:
    """Observation of one evaluation on the thread that made it. `before` is that of the evaluation around it."""

    __slots__ = ("_left", "_sight", "before", "function")

    def __init__(self, sight: Sight, before: Any) -> None:
        self._sight = sight
        self._left = BUDGET_EVENTS
        self.before = before
        self.function = self._event  # one bound method, so that it can be recognised

    def _event(self, frame: FrameType, event: str, argument: Any) -> None:
        self._left -= 1
        if self._left < 0:
            sys.setprofile(None)
            self._sight.gap = self._sight.gap or USED_UP
            return
        if event == "call":
            code = frame.f_code
            self._sight.codes[id(code)] = code
            if is_look(code):
                note_look(code, frame)
            elif is_reader(code):
                note_reader(code, frame)
        elif event == "c_call" and argument is START:
            self._sight.gap = self._sight.gap or "it started a thread"


def begin(sight: Sight) -> Profile | None:
    """Observe what this thread runs from now on; None, with the reason in `sight.gap`, where that isn't possible."""
    if _thread._count():
        # They may do part of the work unseen; what this thread asks of files is seen all the same.
        sight.gap = "other threads are running"
    before = sys.getprofile()
    if before is not None and not isinstance(getattr(before, "__self__", None), Profile):
        sight.gap = "somebody else is profiling"
        return None
    profile = Profile(sight, before)
    sys.setprofile(profile.function)
    return profile


def end(sight: Sight, profile: Profile) -> None:
    """Stop observing."""
    if sys.getprofile() is profile.function:
        sys.setprofile(profile.before)
    elif profile.before is not None and sys.getprofile() is None:
        sys.setprofile(profile.before)  # this one had used up its budget; the one around it may have some left
    elif not sight.gap:
        sight.gap = "somebody else took over profiling"
    if _thread._count() and not sight.gap:
        sight.gap = "it started threads that are still running"
