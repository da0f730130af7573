"""The evaluations under way, and what each has seen so far."""

from __future__ import annotations

import _thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType
    from typing import Any


# How often an evaluation bears that other evaluations, on threads of their own, run code which it hasn't run itself:
# that code goes on telling of its starts (1 µs each), in case the evaluation runs it, too. Later it counts as run.
PATIENCE = 2000


class Sight:
    """What one evaluation under way has seen. Mutable, filled by callbacks of any thread, read when it ends."""

    __slots__ = (
        "asleep",
        "children",
        "codes",
        "directories",
        "folder",
        "existence",
        "files",
        "gap",
        "hits",
        "home",
        "imports",
        "live",
        "patience",
        "profile",
        "revision",
        "stats",
        "thread",
        "unpure",
        "variables",
        "written",
    )

    def __init__(self) -> None:
        self.codes: dict[int, CodeType] = {}  # by id: equal ones may be of two files
        self.files: dict[str, tuple[int, ...]] = {}  # absolute path -> stat signature when it was opened
        self.directories: dict[str, tuple[int, ...]] = {}
        self.stats: dict[str, tuple[int, ...]] = {}  # looked at, not opened: getmtime(), getsize() …
        self.existence: dict[str, tuple[int, ...]] = {}  # asked for only: exists(), isfile() …
        self.folder = ""  # the working folder, if a relative path was looked up in it
        self.written: set[str] = set()
        self.variables: dict[str, str | None] = {}  # name -> value when it was first read
        self.children: list[Any] = []
        self.unpure: set[str] = set()
        self.gap = ""  # why the record of what ran is incomplete
        self.hits: tuple[int, ...] = ()  # of the caches of cached functions, at entry
        self.live: dict[Any, Any] = {}  # digests of live values as they were at entry
        self.profile: Any = None  # before Python 3.12: what observes it
        self.revision = 0  # of the loaded code, at entry
        self.imports = False  # whether a module was executed meanwhile
        self.thread = 0  # that runs the body, and nothing else until it returns; 0 where others run on it in between
        self.home = 0  # the thread that it was begun, or taken up again, on
        self.asleep: list[int] = []  # threads whose doings belong to a memoised child at the moment
        self.patience = PATIENCE

    def saw_only_code(self) -> bool:
        """Whether nothing was seen but code that ran: no file, no variable, no memoised call."""
        return not (
            self.files
            or self.variables
            or self.children
            or self.unpure
            or self.directories
            or self.stats
            or self.existence
            or self.folder
        )

    def absorb(self, child: Sight) -> None:
        """Take over all that `child` saw: its result could not be kept, so it doesn't stand for what it did."""
        self.codes |= child.codes
        self.imports = self.imports or child.imports
        for seen in ("files", "directories", "stats", "existence", "variables"):
            mine: dict[str, Any] = getattr(self, seen)
            for name, value in getattr(child, seen).items():
                mine.setdefault(name, value)
        self.written |= child.written
        self.folder = self.folder or child.folder
        self.children += child.children
        self.unpure |= child.unpure
        self.gap = self.gap or child.gap


# Every evaluation under way in this process, on any thread. Compiled wrappers test this list for truth: while it has
# members, a memoised call takes the long way, so that it is noted as a child.
class UnderWay(list["Sight"]):
    """A list of which there is one per process: a wrapper that is pickled by value finds the one where it arrives."""

    def __reduce__(self) -> str:
        return "under_way"


under_way = UnderWay()

# {thread: how many evaluations' bodies are under way on it, one within the other}. Of coroutines and generators, what
# runs in between isn't theirs, so these aren't counted.
inside: dict[int, int] = {}

# Threads that are doing hitsave's own work at this moment: their reads are nobody's dependency.
_busy: set[int] = set()


class unseen:
    """Context manager: what this thread does inside is hitsave's own, and is not noted."""

    __slots__ = ("_outermost",)

    def __enter__(self) -> None:
        ident = _thread.get_ident()
        self._outermost = ident not in _busy
        _busy.add(ident)

    def __exit__(self, *_: object) -> None:
        if self._outermost:
            _busy.discard(_thread.get_ident())


def watchers() -> Sequence[Sight]:
    """The evaluations that what happens on this thread now belongs to."""
    if not under_way:
        return ()
    ident = _thread.get_ident()
    if ident in _busy:
        return ()
    return [sight for sight in tuple(under_way) if ident not in sight.asleep]


def is_busy() -> bool:
    """Whether this thread is doing hitsave's own work."""
    return _thread.get_ident() in _busy


def callers() -> Sequence[Sight]:
    """The evaluations that this thread works for at the moment, whatever it is doing."""
    ident = _thread.get_ident()
    return [sight for sight in tuple(under_way) if ident not in sight.asleep]


def begin(sight: Sight) -> list[Sight]:
    """Start noting for `sight`; what this thread does until `end` is no longer noted for the others.

    Gives those others. A memoised child stands for what it did by its result, so an edit inside it that leaves the
    result alone stops there. (Not for coroutines, which share their thread with others: `begin_beside`.)
    """
    ident = _thread.get_ident()
    outer = [other for other in tuple(under_way) if ident not in other.asleep]
    for other in outer:
        other.asleep.append(ident)
    sight.thread = sight.home = ident
    under_way.append(sight)
    inside[ident] = inside.get(ident, 0) + 1
    return outer


def begin_beside(sight: Sight) -> None:
    """Start noting for `sight`, and go on noting for the others."""
    sight.home = _thread.get_ident()
    under_way.append(sight)


def end(sight: Sight, outer: list[Sight] | tuple[()] = ()) -> None:
    """Stop noting for `sight`, and note for `outer` again."""
    if sight in under_way:  # one call each: other threads end theirs meanwhile, which a loop would stumble over
        under_way.remove(sight)
    ident = _thread.get_ident()
    if sight.thread:
        left = inside.get(sight.thread, 0) - 1
        if left > 0:
            inside[sight.thread] = left
        else:
            inside.pop(sight.thread, None)
        sight.thread = 0
    for other in outer:
        other.asleep.remove(ident)


def forget_after_fork() -> None:
    """In a forked child, only the forking thread lives on; the evaluations of other threads never end there."""
    _busy.clear()


class seen_again:
    """Context manager: inside `unseen`, what happens here is the user's own again (a child is evaluated)."""

    __slots__ = ("_was_busy",)

    def __enter__(self) -> None:
        ident = _thread.get_ident()
        self._was_busy = ident in _busy
        _busy.discard(ident)

    def __exit__(self, *_: object) -> None:
        if self._was_busy:
            _busy.add(_thread.get_ident())
