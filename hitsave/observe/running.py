"""Which functions ran: `sys.monitoring` (PEP 669, Python 3.12 and later).

PY_START and PY_RESUME tell that a code object began to run. The callback notes it and returns `DISABLE`, so each code
object costs one callback (0.2 µs) and then runs at full speed. Since an event may fire on any thread and is then spent
for all, it is noted for every evaluation under way, and for the process (`ever`).

Evaluations on several threads overlap. What a memoised call runs isn't noted for those of other threads, and these may
come to run the same code themselves: until they have, it isn't disabled (`Sight.patience`).

Beginning an evaluation arms again what has fired. `restart_events` would do that in one call, but for all code there
is: the 150 functions of the library and of ours that run around every evaluation would each tell again (400 µs in
all). So there are two tools. The first *discovers*: it listens to all code, once. What it finds and what may matter
to a record (`_matters`: not Python's library, installed packages, or hitsave) the second listens to, object by object,
and only these are armed again: 0.6 µs for each that ran since.

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
from hitsave.observe.readers import is_reader, note_reader
from hitsave.observe.watch import Sight, inside, under_way

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any

MODULE = "<module>"
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
# Python's library (os.py's folder), and hitsave.
_NOT_OURS = (
    os.path.dirname(os.__file__) + os.sep,
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep,
)
# Code objects are kept by their `id` here: two that are equal may be functions of two files that read alike.
#
# Every one of a file that matters seen to start since observation began: what may have left state behind. Code that was
# made from a text at run time has no symbol, and is let go.
ever: dict[int, CodeType] = {}
# Of these, what may have run outside of evaluations, as imports do: it may have made what names are bound to.
outside: dict[int, CodeType] = {}
# Modules that were there (at least in part) when observation began: what ran in them before wasn't seen.
before: frozenset[str] = frozenset()
# {file of a module that was being executed at that moment: the line it had come to}: what stands below had not run.
reached_lines: dict[str, int] = {}
_spent: dict[int, CodeType] = {}  # code that has fired and would not fire again
_arming = _thread.RLock()  # over `rearm`
MADE, OF_A_FILE = 1, 2  # why code matters: it was made at run time from a text, or comes from a file of the project
_matters_by_file: dict[str, int] = {}
_elsewhere: dict[str, str] = {}  # by file, the package that it belongs to if that hands work to others, "" for most
_tool: int | None = None  # discovers
_again = FREE_IDS[1]  # listens to what was discovered
_monitoring: Any = getattr(sys, "monitoring", None)
_events = 0


def install() -> bool:
    """Start noting; idempotent. False where it can't be done: before 3.12, or the tool ids aren't free."""
    global _tool, _events, before, reached_lines
    if not AVAILABLE:
        return False
    if _tool is not None:
        return True
    monitoring = _monitoring
    if any(monitoring.get_tool(tool) is not None for tool in FREE_IDS):
        return False
    for tool in FREE_IDS:
        monitoring.use_tool_id(tool, "hitsave")
    _tool = FREE_IDS[0]
    events = monitoring.events
    _events = events.PY_START | events.PY_RESUME
    for event in (events.PY_START, events.PY_RESUME):
        monitoring.register_callback(_tool, event, _discovered)
        monitoring.register_callback(_again, event, _started)
    monitoring.register_callback(_tool, events.PY_THROW, _thrown)
    monitoring.set_events(_tool, _events | events.PY_THROW)
    before = frozenset(sys.modules)
    reached_lines = _lines_reached()
    return True


def _lines_reached() -> dict[str, int]:
    found: dict[str, int] = {}
    frame: Any = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == MODULE:
            found[frame.f_code.co_filename] = max(frame.f_lineno or 0, found.get(frame.f_code.co_filename, 0))
        frame = frame.f_back
    return found


def is_noting() -> bool:
    """Whether `ever` holds what ran since observation began."""
    return _tool is not None


def arm(sight: Sight) -> bool:
    """Note for `sight`, from now on, all code that starts; False if observation isn't possible here."""
    if _tool is None:
        if not AVAILABLE:
            sight.profile = profiled.begin(sight)
        return sight.profile is not None
    if _thread._count():
        _note_other_threads(sight)
    rearm()
    return True


def disarm(sight: Sight) -> None:
    """The body has returned."""
    if sight.profile is not None:
        profiled.end(sight, sight.profile)
        sight.profile = None
    else:
        pause(sight)


def pause(sight: Sight) -> None:
    """What this thread runs from now on isn't the evaluation's."""
    note_imports()
    if sight.thread and inside.get(sight.thread) == 1:
        rearm()  # what starts from now on is outside


def note_imports() -> None:
    """An evaluation that imports a module runs what the import runs: count all of it as `outside`, too."""
    for sight in list(under_way):
        if sight.imports:
            outside.update(sight.codes)


def rearm() -> None:
    """Let all code that matters tell again when it starts, for this evaluation or for the caller of a finished one."""
    if _tool is not None:
        # One thread at a time: between the two calls below code is silent, and others rely on what they have armed.
        # What has fired since they did so, they have seen.
        with _arming:
            for code in list(_spent.values()):
                _spent.pop(id(code), None)  # first: it may fire at once
                # Only a change arms: a location that returned DISABLE stays silent while the events are the same.
                _monitoring.set_local_events(_again, code, 0)
                _monitoring.set_local_events(_again, code, _events)


def resume(sight: Sight) -> None:
    """A generator goes on: what its consumer ran meanwhile has fired, and may be run by the generator now."""
    if _tool is not None:
        if _thread._count():
            _note_other_threads(sight)
        rearm()


def renew_lock() -> None:
    """In a forked child: the thread that held it, if one did, doesn't exist there."""
    global _arming
    _arming = _thread.RLock()


def _note_other_threads(sight: Sight) -> None:
    mine = _thread.get_ident()
    for ident, frame in sys._current_frames().items():
        walk: Any = frame if ident != mine else None
        while walk is not None:
            sight.codes[id(walk.f_code)] = walk.f_code
            walk = walk.f_back


def _discovered(code: CodeType, offset: int) -> Any:
    """The first run of a code object (or of a resumption of one); nobody asks for it again unless it matters."""
    if _monitoring is None:
        return None  # the interpreter is ending: callbacks live on when the names of their module are gone
    if is_look(code):
        if under_way:
            note_look(code, sys._getframe(1))
        return None  # not disabled: the path differs from call to call
    if is_reader(code):
        if under_way:
            note_reader(code, sys._getframe(1))
        return None
    name = code.co_filename
    matters = _matters_by_file.get(name)
    if matters is None:
        matters = _matters_by_file[name] = _matters(name)
    return _started(code, offset) if matters else _monitoring.DISABLE


def _matters(name: str) -> int:
    """Whether and why code of this file can be the project's, or says that work is done elsewhere; 0 if it doesn't."""
    if name[:1] == "<":
        return 0 if name.startswith(("<frozen ", "<string>")) else MADE
    if any(part in name for part in ELSEWHERE):
        return OF_A_FILE
    if name.startswith(_NOT_OURS) or "site-packages" in name or "dist-packages" in name:
        return 0
    return OF_A_FILE if os.path.isabs(name) else MADE


def _started(code: CodeType, _offset: int) -> Any:
    if _monitoring is None:
        return None
    key = id(code)
    ident = _thread.get_ident()
    if _matters_by_file.get(code.co_filename) == OF_A_FILE:
        ever[key] = code
        if ident not in inside:
            outside[key] = code
    is_noted = True
    if under_way:
        imports = code.co_name == MODULE
        for sight in tuple(under_way):
            if ident not in sight.asleep:
                sight.codes[key] = code
                sight.imports = sight.imports or imports
            elif sight.home != ident and key not in sight.codes:
                is_noted = _is_noted_for(sight, code) and is_noted
    if not is_noted:
        return None
    # Nothing may come in between these two lines. No other thread does: neither looks whether one wants to run.
    _spent[key] = code
    return _monitoring.DISABLE


def _is_noted_for(sight: Sight, code: CodeType) -> bool:
    """Note `code`, which a memoised call on another thread runs, for `sight` if that has lost patience."""
    sight.patience -= 1
    if sight.patience < 0:
        sight.codes[id(code)] = code
    return sight.patience < 0


def _thrown(code: CodeType, _offset: int, _error: BaseException) -> None:
    # An exception thrown into a suspended generator runs its handlers; this event can't be disabled, and is rare.
    _discovered(code, _offset)


def incomplete(sight: Sight) -> str:
    """Why the record in `sight` doesn't hold all that ran, "" if it does."""
    if sight.gap:
        return sight.gap
    for name in {code.co_filename for code in tuple(sight.codes.values())}:
        elsewhere = _elsewhere.get(name)
        if elsewhere is None:
            elsewhere = _elsewhere[name] = _place_of(name)
        if elsewhere:
            return f"work was handed to other processes ({elsewhere})"
    return ""


def _place_of(name: str) -> str:
    if any(part in name for part in ELSEWHERE):
        return os.path.basename(os.path.dirname(name))
    return ""
