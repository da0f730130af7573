"""Which functions ran: `sys.monitoring` (PEP 669, Python 3.12 and later).

PY_START and PY_RESUME tell that a code object began to run. The callback notes it and returns `DISABLE`, so each code
object costs one callback (0.2 µs) and then runs at full speed; beginning an evaluation calls `restart_events`, which
arms all of them again (2 µs). Since an event may fire on any thread and is then spent for all, it is noted for every
evaluation under way, and for the process (`ever`).

What was already running when an evaluation began would not fire: the code on the stacks of the other threads is noted
at the start. A generator or coroutine made earlier fires PY_RESUME.

A record is complete unless something in `incomplete` says otherwise. Before Python 3.12 `profiled.py` does what can be
done within a budget.
"""

from __future__ import annotations

import _thread
import os
import sys

from hitsave.observe import profiled
from hitsave.observe.looks import is_look, note_look
from hitsave.observe.watch import Sight, under_way

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any

AVAILABLE = sys.version_info >= (3, 12)
# Ids that PEP 669 doesn't reserve; a debugger, coverage and a profiler have theirs.
FREE_IDS = (4, 3)
# Outside code that hands work to processes or machines whose functions nobody here can see running.
ELSEWHERE = tuple(
    part.replace("/", os.sep)
    for part in (
        ("/multiprocessing/connection.py", "/multiprocessing/queues.py", "/concurrent/futures/process.py")
        + ("/site-packages/distributed/", "/site-packages/ray/", "/site-packages/pyspark/", "/site-packages/mpi4py/")
        + ("/site-packages/execnet/", "/site-packages/zmq/", "/site-packages/rpyc/", "/site-packages/grpc/")
        + ("/site-packages/joblib/externals/loky/",)
    )
)
# Every code object seen to start since observation began: what may have left state behind.
ever: set[CodeType] = set()
# Revision of the loaded code when observation began: what ran in modules loaded before wasn't seen. -1: not begun.
observed_from = -1
_elsewhere: dict[CodeType, str] = {}  # the package of a code object that hands work to others, "" for most
_tool: int | None = None
_monitoring: Any = getattr(sys, "monitoring", None)


def install() -> bool:
    """Start noting; idempotent. False where it can't be done: before 3.12, or no tool id is free."""
    global _tool
    if not AVAILABLE:
        return False
    if _tool is not None:
        return True
    monitoring = _monitoring
    for tool in FREE_IDS:
        if monitoring.get_tool(tool) is None:
            monitoring.use_tool_id(tool, "hitsave")
            break
    else:
        return False
    _tool = tool
    events = monitoring.events
    for event in (events.PY_START, events.PY_RESUME):
        monitoring.register_callback(tool, event, _started)
    monitoring.register_callback(tool, events.PY_THROW, _thrown)
    monitoring.set_events(tool, events.PY_START | events.PY_RESUME | events.PY_THROW)
    return True


def is_noting() -> bool:
    """Whether `ever` holds what ran since observation began."""
    return _tool is not None


def uninstall() -> None:
    """Stop noting and give the tool id back."""
    global _tool
    if _tool is not None:
        _monitoring.set_events(_tool, 0)
        _monitoring.free_tool_id(_tool)
        _tool = None
        ever.clear()


def arm(sight: Sight) -> bool:
    """Note for `sight`, from now on, all code that starts; False if observation isn't possible here."""
    if _tool is None:
        if not AVAILABLE:
            sight.profile = profiled.begin(sight)
        return sight.profile is not None
    if _thread._count():
        _note_other_threads(sight)
    _monitoring.restart_events()
    return True


def disarm(sight: Sight) -> None:
    """The body has returned."""
    if sight.profile is not None:
        profiled.end(sight, sight.profile)
        sight.profile = None


def rearm() -> None:
    """Let all code tell again when it starts: a child has ended, and its caller may run the same functions."""
    if _tool is not None:
        _monitoring.restart_events()


def _note_other_threads(sight: Sight) -> None:
    mine = _thread.get_ident()
    for ident, frame in sys._current_frames().items():
        walk: Any = frame if ident != mine else None
        while walk is not None:
            sight.codes.add(walk.f_code)
            walk = walk.f_back


def _started(code: CodeType, _offset: int) -> Any:
    ever.add(code)
    if under_way:
        ident = _thread.get_ident()
        for sight in under_way:
            if ident not in sight.asleep:
                sight.codes.add(code)
    if is_look(code) and under_way:
        note_look(code, sys._getframe(1))
        return None  # not disabled: the path differs from call to call
    return _monitoring.DISABLE


def _thrown(code: CodeType, _offset: int, _error: BaseException) -> None:
    # An exception thrown into a suspended generator runs its handlers; this event can't be disabled, and is rare.
    _started(code, _offset)


def incomplete(sight: Sight) -> str:
    """Why the record in `sight` doesn't hold all that ran, "" if it does."""
    if sight.gap:
        return sight.gap
    for code in sight.codes:
        elsewhere = _elsewhere.get(code)
        if elsewhere is None:
            elsewhere = _elsewhere[code] = _place_of(code)
        if elsewhere:
            return f"work was handed to other processes ({elsewhere})"
    return ""


def _place_of(code: CodeType) -> str:
    name = code.co_filename
    if any(part in name for part in ELSEWHERE):
        return os.path.basename(os.path.dirname(name))
    return ""
