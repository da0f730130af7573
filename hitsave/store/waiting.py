"""When waiting for a key is hopeless, because its holder waits, directly or not, for us.

`Wait` is one waiter. It knows the keys that its own code holds and the key it waits for. All waiters of a process
stand in a table; those that waited for half a second also in a folder beside the lock file, so that cycles across
processes are found: a waits for b's key, b for c's, c for a's. Whoever sees the cycle stops waiting.

Threads also wait for one another by other means than keys: the holder joins a thread, or collects from a pool, whose
work needs the key. That can't be seen, only suspected, after `PATIENCE_S`:

  * the holder, another thread of this process, has stood still all that time inside a module that waits for others,
    and we are not the main thread (so we may be what it waits for);
  * the holder is an ancestor of this process (so we may be the worker it waits for).

Being wrong costs a second computation of one key. What is not seen at all: a holder in an unrelated process that
waits for this one by other means than keys.
"""

from __future__ import annotations

import os
import sys
from _thread import get_ident
from time import monotonic

from hitsave.store.locks import FIRST_FLIGHT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hitsave.store.flight import Flights, Holder

PATIENCE_S = 5.0
PUBLISH_AFTER_S = 0.5
# A child of `multiprocessing` where the locks of its ancestors can't be seen (not Linux).
PATIENCE_OF_CHILDREN_S = 60.0
WAITING_MODULES = (
    "threading",
    "queue",
    "selectors",
    "concurrent",
    "multiprocessing",
    "asyncio",
    "joblib",
    "distributed",
)


class Wait:
    """One waiter for `key`, whose code holds the keys `holding`. `end()` it."""

    def __init__(self, flights: Flights, key: bytes, holding: tuple[bytes, ...]) -> None:
        self.key = key
        self.holding = holding
        self._flights = flights
        self._started = monotonic()
        self._published = ""
        self._looked = 0.0
        self._position: tuple[int, int] | None = None
        self._stood_still_since = 0.0
        with flights.mutex:
            flights.waits[id(self)] = self

    def end(self) -> None:
        """No longer wait."""
        self._flights.waits.pop(id(self), None)
        if self._published:
            _unlink(self._published)
            self._published = ""

    def is_hopeless(self, holder: Holder | None) -> bool:
        """Whether to stop waiting. `holder` is who has the key in this process; None if another process has it."""
        with self._flights.mutex:
            waiters = [(wait.holding, wait.key) for wait in self._flights.waits.values()]
        if self.holding and is_cycle(self.key, self.holding, waiters):
            return True
        now = monotonic()
        if now - self._started < PUBLISH_AFTER_S or now - self._looked < PUBLISH_AFTER_S:
            return False
        self._looked = now
        if self.holding:
            self._publish()
            if is_cycle(self.key, self.holding, [*waiters, *self._others()]):
                return True
        if holder is not None:
            return self._stands_still(holder, now)
        return now - self._started > PATIENCE_S and self._may_be_for_us(now)

    # Cycles over processes

    @property
    def _folder(self) -> str:
        return self._flights.path + ".waits"

    def _publish(self) -> None:
        if self._published:
            return
        path = os.path.join(self._folder, f"{os.getpid()}-{id(self):x}")
        lines = [self.key.hex(), *[key.hex() for key in self.holding]]
        try:
            os.makedirs(self._folder, 0o700, exist_ok=True)
            with open(path + ".new", "w", encoding="ascii") as file:
                file.write("\n".join(lines))
            os.replace(path + ".new", path)
            self._published = path
        except OSError:
            pass  # then cycles over processes aren't found; those of this process are

    def _others(self) -> Iterator[tuple[tuple[bytes, ...], bytes]]:
        try:
            names = os.listdir(self._folder)
        except OSError:
            return
        for name in names:
            path = os.path.join(self._folder, name)
            try:
                if not is_alive(int(name.partition("-")[0])):
                    _unlink(path)
                    continue
                with open(path, encoding="ascii") as file:
                    key, *holding = [bytes.fromhex(line) for line in file.read().split("\n")]
            except (OSError, ValueError):
                continue  # just removed, or half-written
            yield tuple(holding), key

    # Suspicion

    def _stands_still(self, holder: Holder, now: float) -> bool:
        if holder.in_task or _is_main_thread():
            return False
        frame = sys._current_frames().get(holder.thread)
        if frame is None:
            return True  # the thread is gone and left its flight open: nobody will end it
        position = id(frame), frame.f_lasti
        module = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if position != self._position or module not in WAITING_MODULES:
            self._position = position
            self._stood_still_since = now
        return now - self._stood_still_since > PATIENCE_S

    def _may_be_for_us(self, now: float) -> bool:
        if self.key in self._flights.inherited:
            return True
        if os.path.isdir("/proc/self/fdinfo"):
            from hitsave.store.flight import offset_of

            return any(_holds(pid, self._flights.path, offset_of(self.key)) for pid in ancestors())
        return _is_child() and now - self._started > PATIENCE_OF_CHILDREN_S


def is_cycle(key: bytes, holding: Iterable[bytes], waiters: Iterable[tuple[tuple[bytes, ...], bytes]]) -> bool:
    """Whether waiting for `key` closes a circle, given the keys we hold and what all `waiters` hold and wait for."""
    waiters = list(waiters)
    mine = set(holding)
    seen = {key}
    frontier = [key]
    while frontier:
        awaited = frontier.pop()
        if awaited in mine:
            return True
        for theirs, next_key in waiters:
            if awaited in theirs and next_key not in seen:
                seen.add(next_key)
                frontier.append(next_key)
    return False


def ancestors() -> list[int]:
    """The process ids of our parent, its parent and so on, as far as Linux tells."""
    found: list[int] = []
    pid = os.getppid()
    while pid > 1 and pid not in found:
        found.append(pid)
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                pid = int(file.read().rpartition(b")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            break
    return found


def _holds(pid: int, path: str, offset: int) -> bool:
    """Whether the process `pid` holds the lock on the byte at `offset`: Linux lists them beside its open files."""
    if offset < FIRST_FLIGHT:
        return False
    folder = f"/proc/{pid}/fd"
    try:
        for name in os.listdir(folder):
            if os.readlink(os.path.join(folder, name)) != path:
                continue
            with open(f"/proc/{pid}/fdinfo/{name}", encoding="ascii") as file:
                if any(line.startswith("lock:") and line.split()[-2:] == [str(offset)] * 2 for line in file):
                    return True
    except OSError:
        pass  # gone, or not ours to look at
    return False


def _is_child() -> bool:
    process = sys.modules.get("multiprocessing.process")
    return process is not None and process.parent_process() is not None


def _is_main_thread() -> bool:
    threading = sys.modules.get("threading")
    return threading is not None and threading.main_thread().ident == get_ident()


def is_alive(pid: int) -> bool:
    """Whether there is a process `pid`, as far as can be told."""
    if sys.platform == "win32":
        return True  # there, os.kill would end it
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass
