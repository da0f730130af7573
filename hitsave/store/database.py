"""`Database`: the rows of a cache, read and written from any thread, across forks, whatever its file has suffered.

Reading goes through a read-only connection of our own on diskcache's table: `_sqlite3` loads in 5 ms where diskcache
takes 30, and opening waits for nobody. The first write loads diskcache (hardened.py).

SQLite keeps in process memory which locks a process holds on a file. A child that inherits such memory believes in
locks it doesn't have: measured outcomes are a write-ahead log deleted under a writer, and a child that waits 60 s for
a thread it doesn't possess. So both connections are closed before a fork, and each process opens its own.

Every `sqlite3.Error` and `OSError` ends here: reported once (trouble.py), answered as "no rows" or "not written".
A database that failed as a whole is left alone for a while, so a broken disk doesn't slow the program call by call.
"""

from __future__ import annotations

import os
import sys
from _thread import RLock, get_ident
from time import monotonic

from hitsave.store.places import Places
from hitsave.store.trouble import Trouble

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3 as _sqlite3
    from collections.abc import Callable, Sequence
    from typing import Any, TypeVar

    from hitsave.store.hardened import RowCache

    T = TypeVar("T")
    Row = tuple[bytes, float, bytes]  # key, time, value: from a file, so any column may be of any type
    # Key, time, tag, value. The tag names another row or a file that this one needs, so that collection finds out
    # in one query what nothing needs (collect.py).
    NewRow = tuple[bytes, float, bytes | None, bytes]

READ_CACHE_KB = 16_000  # as far as it is used: else a look-up among 100,000 reads pages again and again
READ_TIMEOUT_S = 1.0  # readers wait only while somebody recovers or replaces the database
WRITE_TIMEOUT_S = 2.0
# After a failure that will not pass by itself (disk full, locked for long, not a database).
PAUSE_S = 10.0
# How often to look whether the file is still the one we opened (`rm -r`, `doctor --repair` of another process).
CHECK_S = 1.0

# Every open database of this process, for the fork hooks, which Python can't unregister.
_open: dict[int, Database] = {}
_hooked: list[bool] = []


class Database:
    """One `cache.db`. Cheap to make: nothing is opened before the first use."""

    def __init__(self, places: Places, trouble: Trouble) -> None:
        self.places = places
        self.trouble = trouble
        self._reading = RLock()
        self._writing = RLock()
        self._reader: _sqlite3.Connection | None = None
        self._cache: RowCache | None = None
        self._identity: tuple[int, int] | None = None
        self._checked = 0.0
        self._paused_until = 0.0
        self._reads_paused_until = 0.0
        self.has_written = False
        self.generation = 0  # grows whenever the file turns out to be another one
        self._opened = 0

    # Reading

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """What the query gives; nothing if the database is absent, or unreadable (reported)."""
        with self._reading:
            reader = self._reader
            if reader is None or monotonic() - self._checked > CHECK_S:
                reader = self._open_reader()
                if reader is None:
                    return []
            try:
                return reader.execute(sql, parameters).fetchall()
            except Exception as error:
                if not _is_ours(error):
                    raise
                self._read_failed(error)
                return []

    def version(self) -> object:
        """Something that changes when anybody writes to the database."""
        return self.rows("PRAGMA data_version"), self._opened

    def _open_reader(self) -> _sqlite3.Connection | None:
        now = monotonic()
        if now < self._reads_paused_until:
            return None
        self._checked = now
        try:
            status = os.stat(self.places.database)
        except OSError as error:
            self._close_reader()
            if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
                self._read_failed(error)
            return None
        identity = status.st_dev, status.st_ino
        if identity != self._identity:
            self._close_reader()
            if self._identity is not None:
                self.generation += 1
            self._identity = identity
        if self._reader is None:
            try:
                self._reader = self._connect_reader()
            except Exception as error:
                if not _is_ours(error):
                    raise
                self._read_failed(error)
        return self._reader

    def _connect_reader(self) -> _sqlite3.Connection | None:
        import _sqlite3

        path = self.places.database.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
        _register(self)
        # A directory that we can't write has no room for the shared memory of a write-ahead log. Where nobody can be
        # writing, the file may be read as it lies.
        for options in ("mode=ro", "mode=ro&immutable=1"):
            connection = _sqlite3.connect(
                f"file:{path}?{options}",
                timeout=READ_TIMEOUT_S,
                isolation_level=None,
                check_same_thread=False,
                uri=True,
            )
            connection.text_factory = bytes  # a row that was tampered with must not fail the whole query
            try:
                tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'Cache'").fetchone()
                connection.execute("PRAGMA mmap_size = 0").fetchall()
                connection.execute(f"PRAGMA cache_size = -{READ_CACHE_KB}").fetchall()
            except _sqlite3.OperationalError:
                connection.close()
                if options != "mode=ro" or os.access(self.places.home, os.W_OK):
                    raise
                continue
            except BaseException:
                connection.close()
                raise
            if tables[0]:
                self._opened += 1
                return connection
            connection.close()  # being made by another process just now
            return None
        return None

    def _read_failed(self, error: BaseException) -> None:
        self._close_reader()
        self._reads_paused_until = monotonic() + PAUSE_S
        self.trouble.report(f"can't be read ({error})")

    def _close_reader(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()

    # Writing

    def write(self, rows: Sequence[NewRow], *, durable: bool = False) -> bool:
        """Write `rows` in one transaction, replacing those that exist; whether that worked.

        `durable`: they survive even a power cut from now on.
        """
        done = self.change(lambda cache: cache.write(rows, durable=durable)) is not FAILED
        self.has_written = self.has_written or done
        return done

    def delete(self, keys: list[bytes]) -> int:
        """Remove the rows under `keys`; how many there were."""
        if not keys or (self._cache is None and not os.path.exists(self.places.database)):
            return 0
        count = self.change(lambda cache: cache.delete_rows(keys))
        return 0 if count is FAILED else int(count)

    def change(self, action: Callable[[RowCache], T]) -> T | Any:
        """What `action` returns for the open cache, or `FAILED` (reported) if the database could not be changed."""
        with self._writing:
            if monotonic() < self._paused_until:
                return FAILED
            try:
                return action(self._open_cache())
            except Exception as error:
                if not _is_ours(error):
                    raise
                self._write_failed(error)
                return FAILED

    def _open_cache(self) -> RowCache:
        cache = self._cache
        if cache is not None:
            if monotonic() - self._checked <= CHECK_S or self._is_same():
                return cache
            self._close_cache()
        self.places.make()
        _register(self)
        from hitsave.store.locks import OPENING, FileLock

        # Two processes that make a database at once get "database is locked" from SQLite, so they take turns.
        with FileLock(self.places.flight + ".open", OPENING, timeout_s=WRITE_TIMEOUT_S):
            self._cache = self._open_or_make()
        status = os.stat(self.places.database)
        identity = status.st_dev, status.st_ino
        if self._identity is not None and identity != self._identity:
            self.generation += 1
        self._identity = identity
        self._reads_paused_until = 0.0
        return self._cache

    def _open_or_make(self) -> RowCache:
        from hitsave.store.hardened import RowCache

        try:
            # SQLite would make it readable for all; the files it adds beside it take the mode of this one.
            os.close(os.open(self.places.database, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except FileExistsError:
            if os.stat(self.places.database).st_mode & 0o077:
                os.chmod(self.places.database, 0o600)
        journal_mode = "delete" if self.places.is_network() else "wal"
        return RowCache(self.places.home, timeout_s=WRITE_TIMEOUT_S, journal_mode=journal_mode)

    def _is_same(self) -> bool:
        self._checked = monotonic()
        try:
            status = os.stat(self.places.database)
        except OSError:
            status = None
        if status is not None and (status.st_dev, status.st_ino) == self._identity:
            return True
        with self._reading:
            self._close_reader()
        self.generation += 1
        return False

    def _write_failed(self, error: BaseException) -> None:
        self._close_cache()
        self._paused_until = monotonic() + PAUSE_S
        self.trouble.report(f"can't be written ({error})")

    def _close_cache(self) -> None:
        cache, self._cache = self._cache, None
        if cache is not None:
            try:
                cache.close()
            except Exception as error:
                if not _is_ours(error):
                    raise
                self.trouble.count += 1  # what was committed stays in the log, for the next one to tidy up

    # Both

    def close(self) -> None:
        """Close both connections; the next use opens them again, also after a failure."""
        with self._writing, self._reading:
            if self._paused_until != float("inf"):
                self._paused_until = self._reads_paused_until = 0.0
            self._close_reader()  # first: the last connection to close tidies up, which a reader can't
            self._close_cache()
            _open.pop(id(self), None)

    def before_fork(self) -> bool:
        """Close both connections and hold the locks, so no thread is inside SQLite when the process is copied."""
        # A thread that waits for a locked database may hold the lock for the length of the time-out.
        if not self._writing.acquire(timeout=2 * WRITE_TIMEOUT_S):
            return False
        if not self._reading.acquire(timeout=2 * READ_TIMEOUT_S):
            self._writing.release()
            return False
        self._close_reader()
        self._close_cache()
        return True

    def after_fork(self) -> None:
        """Let the threads of this process go on."""
        self._reading.release()
        self._writing.release()

    def after_failed_fork(self) -> None:
        """In a child that was copied while a thread was inside SQLite: do without the database."""
        # Kept alive on purpose: closing them would use locks that this process doesn't have. And SQLite's own locks
        # may be those of a thread that doesn't exist here, so that any call could wait for ever.
        _abandoned.append((self._reader, self._cache))
        self._reading, self._writing = RLock(), RLock()
        self._reader = self._cache = None
        self._reads_paused_until = self._paused_until = float("inf")
        self.trouble.report("can't be used in this process, which was forked while another thread was writing")


class _Failed:
    """The type of `FAILED`."""


FAILED = _Failed()
_abandoned: list[object] = []
# What the forking thread holds, and could not get: two threads may fork at once.
_held: dict[int, tuple[list[Database], list[Database]]] = {}


def _is_ours(error: Exception) -> bool:
    """Whether `error` is a failure of the medium. `_sqlite3` isn't imported for the sake of an except clause."""
    if isinstance(error, OSError):
        return True
    module = sys.modules.get("_sqlite3")
    if module is not None and isinstance(error, module.Error):
        return True
    core = sys.modules.get("diskcache.core")
    return core is not None and isinstance(error, core.Timeout)


def _register(database: Database) -> None:
    _open[id(database)] = database
    if _hooked:
        return
    _hooked.append(True)
    import atexit

    atexit.register(_close_all)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_before_fork, after_in_parent=_after_in_parent, after_in_child=_after_in_child)


def _close_all() -> None:
    for database in list(_open.values()):
        database.close()


def _before_fork() -> None:
    held, missed = _held[get_ident()] = [], []
    for database in list(_open.values()):
        (held if database.before_fork() else missed).append(database)


def _after_in_parent() -> None:
    held, _ = _held.pop(get_ident(), ([], []))
    for database in held:
        database.after_fork()


def _after_in_child() -> None:
    held, missed = _held.pop(get_ident(), ([], []))
    _held.clear()
    for database in held:
        database.after_fork()
    for database in missed:
        database.after_failed_fork()
