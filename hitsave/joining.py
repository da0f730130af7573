"""Who joins each new session: parts that stand above it (`hitsave.live`) and that it must not know."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from hitsave.session import Session

# Called with each session when it is made.
when_made: list[Callable[[Session], None]] = []
