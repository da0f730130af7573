"""Who joins each new session: parts that stand above it (`hitsave.live`) and that it must not know."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# Called with each `Session` when it is made. Its type stands above this module, like those who join.
when_made: list[Callable[..., None]] = []
