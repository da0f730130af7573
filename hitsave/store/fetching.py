"""Look-ups that must not wait where they are made: on an event loop, with other tasks behind them.

    found = await without_waiting(lambda: look_up(...))             # who looks up, in a coroutine
    answer = fetched(("find", key), lambda: ask_the_server(key))    # the store that would have to wait

Outside of `without_waiting`, `fetched` does its work at once. Inside, it breaks the look-up off the first time; a
thread does the work meanwhile, then the look-up is made again and finds the answer ready. So one synchronous look-up
serves both worlds, and costs coroutines a second pass over what is local (0.1 ms) only when there is a network.

Work that can't be finished yet, because a colleague's machine computes the result just now, raises `Later`.
"""

from __future__ import annotations

from _contextvars import ContextVar
from _thread import allocate_lock, start_new_thread

from hitsave.store.flight import sleep_in_task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    T = TypeVar("T")

# A look-up that needs more answers than this, one after another, is a miss.
MOST_ROUNDS = 64
# The transport has eight connections; threads of the program want some too.
MOST_AT_ONCE = 4
FIRST_PAUSE_S = 0.0002
LONGEST_PAUSE_S = 0.02
# Between two questions whether a colleague is done.
FIRST_ASK_S = 0.05
LONGEST_ASK_S = 1.0

_known: ContextVar[dict[object, Fetch] | None] = ContextVar("hitsave_fetched", default=None)


class Later(Exception):
    """Somebody else is at it. `wait()` comes back when it may make sense to try again."""

    def __init__(self, wait: Callable[[], object]) -> None:
        super().__init__()
        self.wait = wait


class NotYet(BaseException):
    """Breaks a look-up off until `fetch` is done. No `Exception`: nobody on the way may take it for a failure."""

    def __init__(self, what: object, fetch: Fetch) -> None:
        super().__init__()
        self.what = what
        self.fetch = fetch


def fetched(what: object, work: Callable[[], T], undo: Callable[[], object] = lambda: None) -> T:
    """What `work()` returns or raises; `what` names it within one look-up.

    `undo()` is called if the work was done in vain, because the task that wanted it was cancelled meanwhile.
    """
    known = _known.get()
    if known is None:
        while True:
            try:
                return work()
            except Later as later:
                later.wait()
    if what not in known:
        raise NotYet(what, Fetch(work, undo))
    return known[what].outcome()  # type: ignore[no-any-return]


async def without_waiting(look_up: Callable[[], T]) -> T | None:
    """What `look_up()` gives, without holding up the event loop for anything that is `fetched` in it."""
    known: dict[object, Fetch] = {}
    for _ in range(MOST_ROUNDS):
        token = _known.set(known)
        try:
            return look_up()
        except NotYet as missing:
            what, fetch = missing.what, missing.fetch
        finally:
            _known.reset(token)
        await fetch.run()
        known[what] = fetch
    return None


class may_wait:
    """Context manager: what is looked up inside may wait; it is for a body that runs synchronously anyway."""

    __slots__ = ("_token",)

    def __enter__(self) -> None:
        self._token = _known.set(None)

    def __exit__(self, *_: object) -> None:
        _known.reset(self._token)


class Slots:
    """How many threads of ours may be at work."""

    def __init__(self, free: int) -> None:
        self.free = free
        self.lock = allocate_lock()

    def take(self) -> bool:
        """Whether one was free, and is now taken."""
        with self.lock:
            if not self.free:
                return False
            self.free -= 1
            return True

    def give_back(self) -> None:
        """Free one."""
        with self.lock:
            self.free += 1


_slots = Slots(MOST_AT_ONCE)


class Fetch:
    """Work that a thread does for a task."""

    def __init__(self, work: Callable[[], Any], undo: Callable[[], object]) -> None:
        self.work = work
        self.undo = undo
        self.result: Any = None
        self.error: BaseException | None = None
        self._lock = allocate_lock()
        self._done = self._unwanted = False

    def outcome(self) -> Any:
        """What the work returned or raised."""
        if self.error is not None:
            raise self.error
        return self.result

    async def run(self) -> None:
        """Have the work done; if it isn't finished then, again and again."""
        ask_s = FIRST_ASK_S
        while True:
            await self._run_once()
            if not isinstance(self.error, Later):
                return
            await sleep_in_task(ask_s)
            ask_s = min(ask_s * 1.5, LONGEST_ASK_S)

    async def _run_once(self) -> None:
        pause_s = FIRST_PAUSE_S
        self._done, self.error = False, None
        while not _slots.take():
            await sleep_in_task(LONGEST_PAUSE_S)
        try:
            start_new_thread(self._work, ())
        except RuntimeError:  # no thread can be started at the end of the interpreter
            self._work()
        try:
            while not self._done:
                await sleep_in_task(pause_s)
                pause_s = min(pause_s * 1.5, LONGEST_PAUSE_S)
        except BaseException:  # cancelled
            with self._lock:
                self._unwanted = True
                in_vain = self._done
            if in_vain:
                self.undo()
            raise

    def _work(self) -> None:
        try:
            self.result = self.work()
        except BaseException as error:  # noqa: BLE001 - handed to the look-up, which raises it
            self.error = error
        _slots.give_back()
        with self._lock:
            self._done = True
            in_vain = self._unwanted
        if in_vain:
            self.undo()
