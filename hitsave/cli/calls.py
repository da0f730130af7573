"""`CallRecorder`: which project functions ran while which others were running, whoever called them.

It is built on `sys.setprofile`, which every Python from 3.10 on has and which sees each call and return of every
thread; `sys.monitoring` would be faster, but an audit is about being complete. A pair (f, g) says that g ran, at any
depth, between a call of f and its return.
"""

from __future__ import annotations

import sys
import threading
from collections import defaultdict
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

from hitsave.symbol import Symbol


class CallRecorder:
    """Records pairs between `start` and `stop`. `symbol_of` names project code, None for everything else."""

    def __init__(self, symbol_of: Callable[[CodeType], Symbol | None]) -> None:
        self.pairs: dict[Symbol, set[Symbol]] = defaultdict(set)
        self._symbol_of = symbol_of
        self._known: dict[int, tuple[CodeType, Symbol | None]] = {}  # by id: equal ones may be of two files
        self._local = threading.local()

    def start(self) -> None:
        """Record from now on, in this thread and in those started later."""
        threading.setprofile(self._observe)
        sys.setprofile(self._observe)

    def stop(self) -> None:
        """Record no longer."""
        sys.setprofile(None)
        threading.setprofile(None)

    def _observe(self, frame: FrameType, event: str, argument: Any) -> None:
        if event not in ("call", "return"):
            return
        code = frame.f_code
        try:
            _, name = self._known[id(code)]
        except KeyError:
            # Naming it may load modules: their frames must not come back to us.
            sys.setprofile(None)
            try:
                _, name = self._known[id(code)] = code, self._symbol_of(code)
            finally:
                sys.setprofile(self._observe)
        if name is None:
            return
        stack: list[tuple[FrameType, Symbol, set[Symbol]]] = self._local.__dict__.setdefault("stack", [])
        if event == "call":
            stack.append((frame, name, set()))
        elif stack and stack[-1][0] is frame:
            _, caller, ran = stack.pop()
            self.pairs[caller] |= ran
            if stack:
                stack[-1][2].update(ran, (caller,))
