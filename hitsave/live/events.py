"""`LiveEvent`: one thing that happened in a live session, for callbacks, `hitsave watch` and its `--json` stream."""

from __future__ import annotations

from typing import Any

from hitsave.record import Record

EDITED = "edited"  # a file was saved: what in it changed, whom that reaches
SWAPPED = "swapped"  # the process runs the new code
REFUSED = "refused"  # the old code still runs; `reasons` say why
BROKEN = "broken"  # the file can't be parsed (half written, perhaps): the old code goes on
GONE = "gone"  # the file isn't there any more: the old code goes on
TROUBLE = "trouble"  # something in here failed; `detail` says what
UNDONE = "undone"  # the file is again what the process runs


class Refusal(Record):
    """Why a definition can't be exchanged in place: its symbol, the line in the new text, the reason, the way out."""

    symbol: str
    line: int
    reason: str
    remedy: str


class LiveEvent(Record):
    """`kind` is one of the names above; `path` the file, `module` its canonical name.

    `symbols` are the definitions that changed, `affected` the memoised functions that depend on them and will be
    computed anew under the new code, `back` those whose earlier results count again.
    """

    kind: str
    module: str
    path: str
    symbols: tuple[str, ...] = ()
    affected: tuple[str, ...] = ()
    back: tuple[str, ...] = ()
    reasons: tuple[Refusal, ...] = ()
    detail: str = ""
    elapsed_s: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """The event for JSON."""
        found = {name: getattr(self, name) for name in self._fields}
        found["reasons"] = [{name: getattr(each, name) for name in each._fields} for each in self.reasons]
        return found
