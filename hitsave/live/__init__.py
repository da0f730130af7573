"""Live sessions: edit a file, and the running process is right.

    hitsave.live()      a context manager: watch the loaded code, take over what is proven safe, tell about the rest
    hitsave.reload(m)   load a module again, and be told who still holds what it made before
    `hitsave watch`     the same seen from outside

The way of an edit: `watcher` (events) -> `debounce` (batches) -> `classify` (what changed) -> `marks` (whom it reaches)
-> `edits` and `reliance` (is it safe?) -> `swap` (exchange it, on the caller's thread). `process` holds it together.

The package can be called: `hitsave.live` is the name of both the package and what one does with it.
"""

from __future__ import annotations

import sys
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from hitsave.live.events import LiveEvent
    from hitsave.live.starting import live


class _Package(ModuleType):
    def __call__(self, mode: str = "safe", *, on_event: Callable[[LiveEvent], None] | None = None) -> live:
        from hitsave.live.starting import live

        return live(mode, on_event=on_event)


def __getattr__(name: str) -> object:
    if name == "LiveEvent":
        from hitsave.live.events import LiveEvent

        return LiveEvent
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


sys.modules[__name__].__class__ = _Package
