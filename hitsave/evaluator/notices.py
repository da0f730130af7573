"""Warnings, said once each, at the user's line."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hitsave.errors import HitSaveWarning
    from hitsave.evaluator.memo import Memo

OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


class Notices:
    """Gives each warning once per function (or once per process), and counts the rest."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self._told: set[str] = set()

    def say(self, kind: type[HitSaveWarning], text: str, *, hint: str = "", memo: Memo | None = None) -> None:
        """Warn that `text`, unless the same was said before (for this function)."""
        self.counts[kind.slug] = self.counts.get(kind.slug, 0) + 1
        if memo is not None:
            if not memo.first_time(kind.slug):
                return
        elif text in self._told:
            return
        self._told.add(text)
        import warnings

        warnings.warn(f"{text}\n  hint: {hint}" if hint else text, kind, stacklevel=_user_level())


def _user_level() -> int:
    """The stack level of the innermost frame that isn't ours, as `warnings.warn` in `say` counts."""
    level, frame = 2, sys._getframe(2)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(OURS):
        frame = frame.f_back
        level += 1
    return level
