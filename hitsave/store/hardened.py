"""diskcache, made safe: the only module that imports it.

CVE-2025-69872: stock diskcache unpickles what it finds, so whoever can write its directory runs code in its reader. And
a row may name a file anywhere on the machine, which is then read, or removed when the row goes. Here a row is bytes
or it is refused, and nothing is ever read from, written to or removed at a path that a row names. See SECURITY.md.

`import diskcache` costs 30 ms and `Cache(...)` re-writes its settings at each opening, waiting for any writer. So
only the first *write* of a process comes here (reads: database.py), and a database that we made is opened as it is.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import diskcache
from diskcache.core import MODE_RAW

from hitsave.errors import StoreError

if TYPE_CHECKING:
    from hitsave.store.database import NewRow

SETTINGS = {
    "eviction_policy": "none",  # the default drops the least recently stored results beyond 1 GB without a word
    "cull_limit": 0,
    "statistics": 0,  # else each look-up is a write transaction
    "tag_index": 0,
    "size_limit": 1 << 62,
    "disk_min_file_size": 1 << 40,  # values stay in their rows; large results are files of our own (blobs.py)
    "disk_pickle_protocol": 0,
    "sqlite_auto_vacuum": 0,
    "sqlite_cache_size": 1 << 11,
    "sqlite_mmap_size": 0,  # a file that is cut short under a map kills the process with SIGBUS
    "sqlite_synchronous": 1,  # NORMAL: a killed process loses nothing, a power cut the last entries
}
# Half of SQLite's: an entry changes one page of the table and one of its index, and each goes to the log as a whole.
PAGE_BYTES = 1 << 11
# Pages of write-ahead log before it is copied into the database: each copy waits for the disk (5 ms).
WAL_PAGES = 4000
WRITE = (
    "INSERT INTO Cache (key, raw, store_time, access_time, tag, mode, value) VALUES (?, 1, ?, 0, ?, 1, ?)"
    " ON CONFLICT (key, raw) DO UPDATE SET store_time = excluded.store_time, expire_time = NULL, tag = excluded.tag,"
    " size = 0, mode = 1, filename = NULL, value = excluded.value"
)


class BytesDisk(diskcache.Disk):  # type: ignore[misc]  # untyped library
    """Keys and values are bytes in the row itself; anything else found there is refused (diskcache: a miss)."""

    def put(self, key: object) -> tuple[Any, bool]:
        """The database form of `key`."""
        if type(key) is not bytes:
            raise TypeError("keys of the cache are bytes")
        return key, True

    def get(self, key: Any, raw: Any) -> bytes:
        """The key in a row."""
        if not raw or type(key) is not bytes:
            raise PermissionError("a pickled key is refused")
        return key

    def store(self, value: object, read: object, key: object = diskcache.UNKNOWN) -> tuple[int, int, None, bytes]:
        """The columns size, mode, filename, value of a row for `value`."""
        if read or type(value) is not bytes:
            raise TypeError("values of the cache are bytes")
        return 0, MODE_RAW, None, value

    def fetch(self, mode: Any, filename: Any, value: Any, read: Any) -> bytes:
        """The value in a row."""
        if mode != MODE_RAW or filename is not None or read or type(value) is not bytes:
            raise PermissionError("a value that isn't plain bytes is refused")
        return value

    def filename(self, key: object = diskcache.UNKNOWN, value: object = diskcache.UNKNOWN) -> tuple[str, str]:
        """Never: there are no value files."""
        raise PermissionError("the cache keeps no value files")

    def remove(self, file_path: object) -> None:
        """Nothing: we have no value files, so a name in a row is not ours to remove."""


class RowCache(diskcache.Cache):  # type: ignore[misc]  # untyped library
    """A diskcache of ours: one connection for all threads (the caller locks), closed before a fork."""

    def __init__(self, directory: str, *, timeout_s: float, journal_mode: str) -> None:
        self._shared: sqlite3.Connection | None = None
        if not self._adopt(directory, timeout_s):
            try:
                self._make(directory, timeout_s, journal_mode)
            finally:
                super().close()
        self._shared = self._connect(directory, timeout_s)

    def _make(self, directory: str, timeout_s: float, journal_mode: str) -> None:
        self._set_page_size(directory, timeout_s, journal_mode)
        super().__init__(directory, timeout=timeout_s, disk=BytesDisk, sqlite_journal_mode=journal_mode, **SETTINGS)
        # The triggers that keep diskcache's count and size cost a quarter of a write; nothing reads these.
        for name in ("count_insert", "count_delete", "size_insert", "size_update", "size_delete"):
            self._sql(f"DROP TRIGGER IF EXISTS Settings_{name}")
        # Our rows never expire: an index of when they do would only be another page to write.
        self._sql("DROP INDEX IF EXISTS Cache_expire_time")
        self._sql("CREATE INDEX Cache_expire_time ON Cache (expire_time) WHERE expire_time IS NOT NULL")
        self._sql("INSERT OR REPLACE INTO Settings VALUES ('hitsave', 1)")

    @staticmethod
    def _set_page_size(directory: str, timeout_s: float, journal_mode: str) -> None:
        """Begin a new database; nothing happens to one that has pages already."""
        connection = sqlite3.connect(os.path.join(directory, "cache.db"), timeout=timeout_s, isolation_level=None)
        try:
            connection.execute(f"PRAGMA page_size = {PAGE_BYTES}").fetchall()
            connection.execute(f"PRAGMA journal_mode = {journal_mode}").fetchall()
            # diskcache's own first statement: a file without any table has no page size yet.
            connection.execute("CREATE TABLE IF NOT EXISTS Settings (key TEXT NOT NULL UNIQUE, value)")
        finally:
            connection.close()

    def _adopt(self, directory: str, timeout_s: float) -> bool:
        """Take over a database that an earlier process set up, without writing; False if it isn't one."""
        self._directory = directory
        self._timeout = timeout_s
        self._local = threading.local()
        self._txn_id = None
        connection = self._connect(directory, timeout_s)
        try:
            stored = dict(connection.execute("SELECT key, value FROM Settings").fetchall())
            (self._page_size,) = connection.execute("PRAGMA page_size").fetchone()
        except sqlite3.OperationalError:
            return False  # no table yet; any other trouble is the caller's
        finally:
            connection.close()
        if stored.get("hitsave") != 1 or any(stored.get(name) != value for name, value in SETTINGS.items()):
            return False
        for name, value in stored.items():
            if name in SETTINGS:
                setattr(self, name, value)
        self._disk = BytesDisk(directory, min_file_size=SETTINGS["disk_min_file_size"], pickle_protocol=0)
        return True

    @staticmethod
    def _connect(directory: str, timeout_s: float) -> sqlite3.Connection:
        connection = sqlite3.connect(
            os.path.join(directory, "cache.db"), timeout=timeout_s, isolation_level=None, check_same_thread=False
        )
        try:
            for name in ("synchronous", "cache_size", "mmap_size"):
                connection.execute(f"PRAGMA {name} = {SETTINGS['sqlite_' + name]}").fetchall()
            connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}").fetchall()
        except BaseException:
            connection.close()
            raise
        return connection

    @property
    def _con(self) -> sqlite3.Connection:
        if self._shared is not None:
            return self._shared
        connection: sqlite3.Connection = super()._con
        return connection

    @property
    def connection(self) -> sqlite3.Connection:
        """The one connection. Raises `StoreError` after `close`."""
        if self._shared is None:
            raise StoreError("The cache is closed.")
        return self._shared

    def write(self, rows: Sequence[NewRow], *, durable: bool = False) -> None:
        """Write `rows` in one transaction, replacing those that exist. Raises `sqlite3.Error`.

        `durable`: wait for the disk (5 ms), so that they survive a power cut from now on.
        """
        connection = self.connection
        if durable and not connection.in_transaction:
            connection.execute("PRAGMA synchronous = FULL").fetchall()
            try:
                self.write(rows)
            finally:
                connection.execute("PRAGMA synchronous = NORMAL").fetchall()
            return
        if len(rows) == 1 or connection.in_transaction:
            for row in rows:
                connection.execute(WRITE, row)
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.executemany(WRITE, rows)
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def delete_rows(self, keys: list[bytes]) -> int:
        """Remove the rows under `keys` in one transaction; how many there were. Raises `sqlite3.Error`."""
        connection = self.connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            count = connection.executemany(
                "DELETE FROM Cache WHERE key = ? AND raw = 1", [(key,) for key in keys]
            ).rowcount
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
        return count

    def close(self) -> None:
        """Close the connection, copying the write-ahead log into the database if we are the last."""
        shared, self._shared = self._shared, None
        if shared is not None:
            shared.close()
        super().close()
