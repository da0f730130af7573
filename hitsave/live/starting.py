"""When a live session begins and ends: `hitsave.live()`, and by itself at a prompt, in a notebook, in a server."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hitsave.errors import UsageError
from hitsave.live import process
from hitsave.live.child import pipe_listener
from hitsave.live.events import LiveEvent
from hitsave.session import Session, current

if TYPE_CHECKING:
    from hitsave.live.process import Live

SERVERS = frozenset(("uvicorn", "gunicorn", "hypercorn", "daphne", "flask", "django-admin", "manage.py"))
MODES = ("safe", "notify")


class live:
    """Context manager: in the `with` block, edited code is taken over where that is proven safe.

        with hitsave.live(on_event=print):
            serve_forever()

    `mode="notify"` takes over nothing and only tells. `on_event` is called with each `LiveEvent`, on a thread of ours
    or on that of the caller that takes code over. Entering gives the `Live` session, whose `sync()` looks at the files
    at once, without waiting for events. A live session that runs already goes on after the block.
    """

    def __init__(self, mode: str = "safe", *, on_event: Callable[[LiveEvent], None] | None = None) -> None:
        if mode not in MODES:
            raise UsageError(f"hitsave.live({mode!r})", hint=f"Modes: {', '.join(MODES)}.")
        self._mode = mode
        self._tell = on_event
        self._before: str | None = None

    def __enter__(self) -> Live:
        running = process.current()
        self._before = None if running is None else running.mode
        self._live = process.begin(current(), self._mode, self._tell)
        return self._live

    def __exit__(self, *_: object) -> None:
        if self._before is None:
            process.end()
            return
        self._live.mode = self._before
        if self._tell is not None:
            self._live.listeners.remove(self._tell)


def join(session: Session) -> None:
    """Make `session` live, as the settings and the kind of process say."""
    mode = session.config.live
    before = process.current()
    if mode == "auto":
        if is_interactive():
            mode = "safe"
        elif is_server() and not is_reloaded_from_outside():
            mode = "notify"
        else:
            return  # over before its code is edited, or started anew at each edit
    begun = process.begin(session, mode, pipe_listener())
    if before is not None and before is not begun:
        begun.listeners.extend(before.listeners)
    _join_notebook()


def is_interactive() -> bool:
    """Whether somebody types at this process: a prompt, IPython, a notebook."""
    return bool(sys.flags.interactive) or hasattr(sys, "ps1") or notebook() is not None


def is_server() -> bool:
    """Whether a server program was started, as far as its command tells."""
    words = os.path.normpath(sys.argv[0]).split(os.sep)[-2:] if sys.argv else []
    return not SERVERS.isdisjoint(word.removesuffix(".exe") for word in words)


def is_reloaded_from_outside() -> bool:
    """Whether a development server restarts this process at each edit (Django, werkzeug; uvicorn spawns a child)."""
    if os.environ.get("RUN_MAIN") == "true" or os.environ.get("WERKZEUG_RUN_MAIN") == "true":
        return True
    return "uvicorn" in sys.modules and "--reload" in sys.argv


def notebook() -> Any:
    """The running IPython shell, None if there is none."""
    module = sys.modules.get("IPython")
    get = getattr(module, "get_ipython", None)
    return None if get is None else get()


_joined: list[Any] = []


def _join_notebook() -> None:
    """Before each cell, look at the files: an edit that was saved a moment ago counts for this cell."""
    shell = notebook()
    if shell is None or any(shell is known for known in _joined):
        return
    _joined.append(shell)
    shell.events.register("pre_run_cell", _before_cell)


def _before_cell(_info: object = None) -> None:
    running = process.current()
    if running is not None:
        running.sync()
