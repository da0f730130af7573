"""A program in a process of its own that takes edits over itself, and tells what it did through a pipe."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
from collections.abc import Callable, Sequence
from typing import Any

from hitsave.live.events import LiveEvent

# The number of the pipe's end, for the child.
PIPE = "HITSAVE_LIVE_EVENTS"
GRACE_S = 5


class LiveChild:
    """A running program. `ended(child, exit code)` and `told(child, event)` are called on threads of ours."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        ended: Callable[[LiveChild, int], None],
        told: Callable[[LiveChild, dict[str, Any]], None],
    ) -> None:
        read, write = os.pipe()
        env = {**os.environ, "HITSAVE_LIVE": "safe", PIPE: str(write)}
        self._process = subprocess.Popen(command, env=env, pass_fds=(write,))
        os.close(write)
        self._told = told
        self._ended = ended
        for work, arguments in ((self._listen, (read,)), (self._wait, ())):
            threading.Thread(target=work, args=arguments, daemon=True).start()

    def stop(self) -> None:
        """End it, if it hasn't ended."""
        self._process.terminate()
        try:
            self._process.wait(timeout=GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _listen(self, read: int) -> None:
        with open(read, encoding="utf-8") as pipe:
            for line in pipe:
                self._told(self, json.loads(line))

    def _wait(self) -> None:
        self._ended(self, self._process.wait())


def pipe_listener() -> Callable[[LiveEvent], None] | None:
    """What tells the events of this process to the one that watches over it; None if there is none."""
    number = os.environ.pop(PIPE, "")
    if not number.isdigit():
        return None

    def tell(event: LiveEvent) -> None:
        with contextlib.suppress(OSError):  # nobody listens any more
            os.write(int(number), (json.dumps(event.as_dict()) + "\n").encode())

    return tell
