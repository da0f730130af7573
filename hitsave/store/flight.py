"""Single flight: of all who want the same result at once, one computes it and the others wait for it.

    with flights.flight(key):            # key: bytes; in coroutines `async with`
        found = look_up()                # again: another may have finished while we waited, or just before
        if found is None:
            compute and store

Within a process a table says who holds which key. Between processes a lock on one byte of a file does, which the
kernel frees when its holder dies: there are no stale locks, and nobody has to be alive to clean up.

A flight is *advice*: who can't be alone on a key computes all the same. That may cost a second computation and never
a hang, so every doubt is resolved that way. When waiting is hopeless is told in waiting.py.
"""

from __future__ import annotations

import os
import sys
from _contextvars import ContextVar
from _thread import RLock, allocate_lock, get_ident
from time import monotonic, sleep

from hitsave.digest import blake2b
from hitsave.store.locks import FIRST_FLIGHT, open_lock_file, try_lock, unlock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _contextvars import Token
    from _thread import LockType
    from collections.abc import Callable
    from types import TracebackType

    from hitsave.store.waiting import Wait

FIRST_PAUSE_S = 0.0002
LONGEST_PAUSE_S = 0.02
# How often somebody who waits for another thread looks whether it still makes sense.
LOOK_S = 0.25
# After the lock file could not be used (read-only directory, no locks there): how long to do without.
RETRY_S = 10.0

# Keys held by the code that runs, or by the code that started it: tasks and `asyncio.to_thread` inherit it.
_holding: ContextVar[tuple[bytes, ...]] = ContextVar("hitsave_flights", default=())
_known: list[Flights] = []  # for the fork hook, which Python can't unregister


class Holder:
    """Who computes a key in this process: `thread`, and whether a task may suspend it. `lock` is held until it ends."""

    __slots__ = ("in_task", "lock", "thread")

    def __init__(self, thread: int, *, in_task: bool) -> None:
        self.thread = thread
        self.in_task = in_task
        self.lock: LockType = allocate_lock()
        self.lock.acquire()


class Flights:
    """The flights of this process over one cache directory; the lock file is at `path`.

    `is_network` says whether other machines write there too.
    """

    def __init__(self, path: str, is_network: Callable[[], bool] = lambda: False) -> None:
        self.path = path
        self._is_network = is_network
        self._counts = False  # whether the size of the lock file says how often something was stored
        self.held: dict[bytes, Holder] = {}
        self.waits: dict[int, Wait] = {}
        self.inherited: frozenset[bytes] = frozenset()  # what our parent held when it forked us
        self.mutex = RLock()  # re-entrant: a signal handler may call a memoised function
        self._descriptor = -1
        self._inode = 0
        self._useless_until = 0.0
        self._told = 0

    def news(self) -> int:
        """How often something was stored in this cache so far; -1 if that can't be told.

        The same before a look-up and after its flight has begun: nobody has stored the key in between. Each who stores
        adds a byte to the lock file, which the kernel does for one after the other.
        """
        descriptor = self._descriptor
        if descriptor < 0 or not self._counts or (self._useless_until and monotonic() < self._useless_until):
            return -1
        try:
            status = os.fstat(descriptor)
        except OSError:
            return -1
        return status.st_size if status.st_ino == self._inode and status.st_nlink else -1

    def news_of_others(self) -> int:
        """As `news`, without what was stored through this object: the same as long as nobody else stores anything."""
        news = self.news()
        return news if news < 0 else news - self._told

    def tell(self) -> None:
        """Let others know that something was stored."""
        descriptor = self.descriptor()  # opened, if need be: others count on hearing of it
        if descriptor >= 0 and self._counts:
            try:
                os.write(descriptor, b"\0")
            except OSError:  # a full disk: others may compute what they could have found
                return
            with self.mutex:
                self._told += 1  # afterwards: for a moment it looks as if another had stored something

    def flight(self, key: bytes) -> Flight:
        """A context manager, plain and asynchronous, that is alone on `key` while it lasts, if that is possible."""
        return Flight(self, key)

    def take(self, key: bytes, *, in_task: bool) -> Holder | None:
        """Who holds `key` in this process; None if it was free, and is now held by the caller."""
        with self.mutex:
            holder = self.held.get(key)
            if holder is None:
                self.held[key] = Holder(get_ident(), in_task=in_task)
            return holder

    def drop(self, key: bytes) -> None:
        """Free `key` in this process, and wake who waits for it."""
        with self.mutex:
            holder = self.held.pop(key, None)
        if holder is not None:
            holder.lock.release()

    def descriptor(self) -> int:
        """The open lock file; -1 where there is none to be had, or it proved useless a while ago."""
        if self._useless_until and monotonic() < self._useless_until:
            return -1
        if not self.owns(self._descriptor):
            self._mind_forks()
            with self.mutex:
                if self._descriptor < 0:
                    self._open()
        return self._descriptor

    def owns(self, descriptor: int) -> bool:
        """Whether `descriptor` is still our open lock file; forgets the one that isn't."""
        if descriptor < 0 or descriptor != self._descriptor:
            return False
        try:
            status = os.fstat(descriptor)
        except OSError:
            self._descriptor = -1  # a daemon closed all its files
            return False
        if status.st_ino == self._inode and status.st_nlink:
            return True
        if status.st_ino == self._inode and len(self.held) <= 1:
            os.close(descriptor)  # the cache was removed
        self._descriptor = -1  # otherwise the number now belongs to another file, so leave that alone
        return False

    def _mind_forks(self) -> None:
        """Be renewed in forked children; before the mutex is taken, or one forked meanwhile would wait for ever."""
        if self not in _known:
            _known.append(self)
            if len(_known) == 1 and hasattr(os, "register_at_fork"):
                os.register_at_fork(after_in_child=_after_fork_in_child)

    def _open(self) -> None:
        try:
            descriptor = open_lock_file(self.path)
            self._inode = os.fstat(descriptor).st_ino
        except FileNotFoundError:
            self._make_directory()
        except OSError:
            self.give_up()
        else:
            # On Windows a lock keeps others from writing, and over a network the size may be that of a while ago.
            self._counts = sys.platform != "win32" and not self._is_network()
            self._descriptor = descriptor

    def _make_directory(self) -> None:
        from hitsave.store.places import make_private

        try:
            make_private(os.path.dirname(self.path))
            self._descriptor = open_lock_file(self.path)
            os.close(self._descriptor)
        except OSError:
            self.give_up()
            return
        self._descriptor = -1
        self._open()

    def give_up(self) -> None:
        """Do without locks between processes for a while."""
        self._useless_until = monotonic() + RETRY_S

    def after_fork_in_child(self) -> None:
        """Start anew: the threads, flights and locks of the parent are the parent's."""
        if self._descriptor >= 0:
            # As long as we share its open file, our locks would be one with the parent's and outlive it.
            os.close(self._descriptor)
        self._descriptor = -1
        self.mutex = RLock()
        self.inherited |= self.held.keys()
        self.held = {}
        self.waits = {}

    def close(self) -> None:
        """Close the lock file, unless a flight is under way."""
        with self.mutex:
            if not self.held and self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1


class Flight:
    """One attempt to be alone on `key`.

    `alone`: nobody else computes it while this lasts. `waited`: somebody else held it before us. Neither is needed for
    right results: look up again on entry in any case, and compute if that fails.
    """

    __slots__ = ("_descriptor", "_flights", "_offset", "_taken", "_token", "alone", "key", "waited")

    def __init__(self, flights: Flights, key: bytes) -> None:
        self._flights = flights
        self._taken = False
        self._descriptor = -1
        self._offset = 0
        self._token: Token[tuple[bytes, ...]] | None = None
        self.key = key
        self.alone = False
        self.waited = False

    # Threads

    def __enter__(self) -> Flight:
        wait: Wait | None = None
        try:
            if self._is_recursive():
                return self
            while (holder := self._flights.take(self.key, in_task=False)) is not None:
                if holder.thread == get_ident():
                    return self  # ourselves, or a suspended task that can't go on before we return
                wait = wait or self._start_wait()
                if wait.is_hopeless(holder):
                    return self
                if holder.lock.acquire(timeout=LOOK_S):
                    holder.lock.release()
            self._taken = self.alone = True
            pause_s = FIRST_PAUSE_S
            while not self._try_lock():
                wait = wait or self._start_wait()
                if wait.is_hopeless(None):
                    self.alone = False
                    break
                sleep(pause_s)
                pause_s = min(pause_s * 1.5, LONGEST_PAUSE_S)
        except BaseException:  # Ctrl-C while waiting
            self._release()
            raise
        finally:
            if wait is not None:
                wait.end()
        return self._begin()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._release()

    # Coroutines

    async def __aenter__(self) -> Flight:
        wait: Wait | None = None
        pause_s = FIRST_PAUSE_S
        try:
            if self._is_recursive():
                return self
            self.alone = True
            while not self._try_both():
                wait = wait or self._start_wait()
                if wait.is_hopeless(None if self._taken else self._flights.held.get(self.key)):
                    self.alone = False
                    break
                await sleep_in_task(pause_s)
                pause_s = min(pause_s * 1.5, LONGEST_PAUSE_S)
        except BaseException:  # a cancelled task
            self._release()
            raise
        finally:
            if wait is not None:
                wait.end()
        return self._begin()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._release()

    def _try_both(self) -> bool:
        if not self._taken:
            self._taken = self._flights.take(self.key, in_task=True) is None
        return self._taken and self._try_lock()

    # Both

    def _is_recursive(self) -> bool:
        key, flights = self.key, self._flights
        return key in _holding.get() and (key in flights.held or key in flights.inherited)

    def _start_wait(self) -> Wait:
        from hitsave.store.waiting import Wait

        self.waited = True
        return Wait(self._flights, self.key, _holding.get())

    def _try_lock(self) -> bool:
        """Take the lock between processes; True also where there are no locks."""
        flights = self._flights
        descriptor = flights.descriptor()
        if descriptor < 0:
            return True
        if not self._offset:
            self._offset = offset_of(self.key)
        try:
            locked = try_lock(descriptor, self._offset)
        except OSError:
            flights.give_up()
            return True
        if locked:
            self._descriptor = descriptor
        return locked

    def _begin(self) -> Flight:
        if self._taken:
            self._token = _holding.set((*_holding.get(), self.key))
        return self

    def _release(self) -> None:
        if self._token is not None:
            try:
                _holding.reset(self._token)
            except ValueError:  # an asynchronous generator that is closed from another context
                _holding.set(tuple(key for key in _holding.get() if key != self.key))
            self._token = None
        if self._descriptor >= 0:
            if self._flights.owns(self._descriptor):
                try:
                    unlock(self._descriptor, self._offset)
                except OSError:
                    self._flights.give_up()
            self._descriptor = -1
        if self._taken:
            self._taken = False
            self._flights.drop(self.key)


def offset_of(key: bytes) -> int:
    """The byte of the lock file that stands for `key`: one of 2^55, so two keys hardly ever share one."""
    return FIRST_FLIGHT + (int.from_bytes(blake2b(key, digest_size=7).digest(), "little") >> 1)


async def sleep_in_task(pause_s: float) -> None:
    """Let other tasks run for so long, under asyncio, trio or neither."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            await asyncio.sleep(pause_s)
            return
    trio = sys.modules.get("trio")
    if trio is not None:
        await trio.sleep(pause_s)
        return
    sleep(pause_s)  # a coroutine driven by hand


def _after_fork_in_child() -> None:
    for flights in _known:
        flights.after_fork_in_child()
