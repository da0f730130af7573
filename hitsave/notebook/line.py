"""The line under a notebook cell that says what hitsave did in it."""

from __future__ import annotations

from hitsave.reporting import Report, report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class StatusLine:
    """Shows a line under each cell that called memoised functions; `shell` is that of a notebook's kernel."""

    def __init__(self, shell: Any) -> None:
        self._publish = shell.display_pub.publish
        self._before = report()

    def pre_run_cell(self, _: Any) -> None:
        """A cell is about to run."""
        self._before = report()

    def post_run_cell(self, _: Any) -> None:
        """It ran, to its end or not."""
        text = line_of(self._before, report())
        if text:
            shown = f'<div style="opacity: 0.6; font-size: smaller">{text}</div>'
            self._publish({"text/plain": text, "text/html": shown})


def line_of(before: Report, after: Report) -> str:
    """What was reused and computed from one report to the next; "" for nothing."""
    reused, computed = after.reused - before.reused, after.computed - before.computed
    if not reused and not computed:
        return ""
    return str(Report((), reused, computed, after.saved_s - before.saved_s))
