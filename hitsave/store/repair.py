"""`check` says what is wrong with a cache, `repair` mends it; for `hitsave doctor` and `hitsave doctor --repair`.

What can be wrong, and what becomes of it:

    the database can't be opened, or fails SQLite's own check    put aside; every row that can still be read and
                                                                 verified goes into a new one
    rows that can't be verified, or have lost their group        removed
    results that are damaged, or that nothing needs              removed
    half-written files of killed processes                       removed
    modes that let others in                                     0700 and 0600

What was put aside stays in `damaged/` until somebody removes it. Other processes may go on while this runs: they find
within a second that the database is another file. What they write in that second may be lost.
"""

from __future__ import annotations

import os
import sqlite3
from time import strftime

from hitsave.errors import StoreError
from hitsave.record import Record
from hitsave.store.blobs import TEMPORARY, BlobFolder, Digester, blob_files
from hitsave.store.collect import Limits, collect
from hitsave.store.disk import DiskStore
from hitsave.store.locks import REPAIRING, FileLock
from hitsave.store.packing import BlobRef
from hitsave.store.places import make_private
from hitsave.store.waiting import is_alive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from hitsave.store.database import NewRow

ROWS_AT_ONCE = 500
MOST_FAILURES = 50_000  # of reading a range of rows, before the rest is given up


class Finding(Record):
    """Something wrong with a cache: `what` it is, how many of it, and whether `repair` mends it."""

    slug: str
    what: str
    count: int = 1
    mends: bool = True


class Repaired(Record):
    """What a repair did. `salvaged`: rows taken over from a database that was put `aside` (its path, else "")."""

    findings: tuple[Finding, ...] = ()
    aside: str = ""
    salvaged: int = 0
    removed: int = 0


def check(store: DiskStore, *, deep: bool = False) -> tuple[Finding, ...]:
    """What is wrong with the cache of `store`. `deep` digests every large result too."""
    return (*_check_modes(store), *_check_key(store), *_check_database(store, deep=deep))


def repair(store: DiskStore, *, deep: bool = True) -> Repaired:
    """Mend the cache of `store`; what was wrong, and what became of it. Raises `StoreError` if another one is at it."""
    findings = check(store, deep=deep)
    store.close()
    if not os.path.isdir(store.places.home):
        return Repaired(findings)
    with FileLock(store.places.flight + ".open", REPAIRING, timeout_s=0.0) as lock:
        if not lock.held:
            raise StoreError(f"The cache in {store.places.root} is being repaired by another process.")
        _close_to_others(store)
        aside, salvaged = "", 0
        if any(finding.slug == "unreadable" for finding in findings):
            aside = _put_aside(store)
            salvaged = _salvage(store, os.path.join(aside, "cache.db"))
        store.close()  # what failed before may work now
        removed = 0
        if _has_key(store):  # else nothing could be verified, and everything would go
            removed = _remove_bad(store, deep=deep)
            collect(store, Limits())
    return Repaired(findings, aside, salvaged, removed)


# Checking


def _check_modes(store: DiskStore) -> Iterator[Finding]:
    open_to_others = [path for path in _ours(store) if os.lstat(path).st_mode & 0o077]
    if open_to_others and hasattr(os, "getuid"):
        yield Finding("modes", f"open to other users: {open_to_others[0]}", len(open_to_others))


def _check_key(store: DiskStore) -> Iterator[Finding]:
    try:
        store.keys()
    except StoreError as error:
        yield Finding("key", error.message, mends=False)
    root = os.path.realpath(store.places.root)
    if os.path.realpath(store.config_dir).startswith(root + os.sep):
        yield Finding(
            "key", "the keys lie inside the cache directory, where whoever can write it replaces them", mends=False
        )


def _has_key(store: DiskStore) -> bool:
    try:
        store.keys()
    except StoreError:
        return False
    return True


def _check_database(store: DiskStore, *, deep: bool) -> Iterator[Finding]:
    path = store.places.database
    if not os.path.exists(path):
        return
    trouble = _quick_check(path)
    if trouble:
        yield Finding("unreadable", f"the database is damaged: {trouble}")
    if trouble or not _has_key(store):
        return
    bad, missing, wrong = _survey(store, deep=deep)
    if bad:
        yield Finding("unverified", "entries that can't be verified, or have lost a part", len(bad))
    if missing:
        yield Finding("missing", "entries whose result is gone", len(missing))
    if wrong:
        yield Finding("wrong", "results that are not what their entries were signed for", len(wrong))
    half_written = sum(1 for entry in blob_files(store.places.blobs) if entry.name.endswith(TEMPORARY))
    if half_written:
        yield Finding("half-written", "half-written files (of killed processes, or being written now)", half_written)
    if store.places.is_network() and _journal_mode(path) == "wal":
        yield Finding("network", "a write-ahead log on a network file system, which SQLite doesn't support")


def _quick_check(path: str) -> str:
    """What SQLite finds wrong with the database at `path`; "" if nothing."""
    try:
        connection = sqlite3.connect(f"file:{_quoted(path)}?mode=ro", uri=True, timeout=2)
        try:
            (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            connection.execute("SELECT count(*) FROM Cache").fetchone()
        finally:
            connection.close()
    except sqlite3.Error as error:
        return str(error)
    return "" if answer == "ok" else str(answer)


def _journal_mode(path: str) -> str:
    connection = sqlite3.connect(f"file:{_quoted(path)}?mode=ro", uri=True, timeout=2)
    try:
        return str(connection.execute("PRAGMA journal_mode").fetchone()[0])
    finally:
        connection.close()


def _survey(store: DiskStore, *, deep: bool) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """The keys of rows that can't be verified, whose result is gone, and whose result is wrong."""
    good: dict[bytes, None] = {}
    missing, wrong = [], []
    folder = BlobFolder(store.places.blobs, Digester(store.keys()), mapped=True, strict=True)
    store.trouble.silent = True  # we look for them
    try:
        for evaluation, where, row_key in store.located_entries():
            good[row_key] = None
            if not isinstance(where, BlobRef):
                continue
            found: bool | None = True
            if where.place == "row" or deep:
                found = store.results.is_right(where, evaluation.size_bytes, folder)
            elif not store.results.exists(where):
                found = None
            if found is None:
                missing.append(row_key)
            elif not found:
                wrong.append(row_key)
    finally:
        store.trouble.silent = False
    bad = [row_key for row_key in store.row_keys() if row_key not in good]
    return bad, missing, wrong


# Mending


def _remove_bad(store: DiskStore, *, deep: bool) -> int:
    bad, missing, wrong = _survey(store, deep=deep)
    keys = [*bad, *missing, *wrong]
    removed = 0
    for position in range(0, len(keys), ROWS_AT_ONCE):
        removed += store.database.delete(keys[position : position + ROWS_AT_ONCE])
    for entry in blob_files(store.places.blobs):
        if entry.name.endswith(TEMPORARY) and not _is_being_written(entry):
            os.unlink(entry.path)
    return removed


def _is_being_written(entry: os.DirEntry[str]) -> bool:
    try:
        return is_alive(int(entry.name.partition("-")[0]))
    except ValueError:
        return True


def _ours(store: DiskStore) -> list[str]:
    home = store.places.home
    found = [home] if os.path.isdir(home) else []
    for folder, folders, files in os.walk(home):
        found += [os.path.join(folder, name) for name in (*folders, *files)]
    return found


def _close_to_others(store: DiskStore) -> None:
    for path in _ours(store):
        if os.lstat(path).st_mode & 0o077 and not os.path.islink(path):
            os.chmod(path, 0o700 if os.path.isdir(path) else 0o600)


def _put_aside(store: DiskStore) -> str:
    """Move the database, with its log, into a folder of its own; the path of that folder."""
    base = os.path.join(store.places.damaged, strftime("%Y%m%d-%H%M%S"))
    folder, number = base, 1
    while os.path.exists(folder):
        number += 1
        folder = f"{base}-{number}"
    make_private(store.places.damaged)
    make_private(folder)
    for suffix in ("-wal", "-journal", "-shm", ""):
        path = store.places.database + suffix
        if os.path.exists(path):
            os.replace(path, os.path.join(folder, "cache.db" + suffix))
    return folder


def _salvage(store: DiskStore, path: str) -> int:
    """Copy the rows that can be read from the database at `path`; how many. They are verified afterwards."""
    count = 0
    rows: list[NewRow] = []
    for row in _readable_rows(path):
        rows.append(row)
        if len(rows) == ROWS_AT_ONCE:
            count += len(rows) if store.database.write(rows) else 0
            rows = []
    if rows and store.database.write(rows):
        count += len(rows)
    return count


def _readable_rows(path: str) -> Iterator[NewRow]:
    try:
        connection = sqlite3.connect(path, timeout=2)
        connection.text_factory = bytes
    except sqlite3.Error:
        return
    try:
        connection.execute("SELECT key, store_time, tag, value FROM Cache LIMIT 0").fetchall()
        try:
            (last,) = connection.execute("SELECT max(rowid) FROM Cache").fetchone()
        except sqlite3.Error:
            last = 1 << 24
        yield from _rows_between(connection, 0, last or 0)
    except sqlite3.Error:
        return  # not even the names of the columns can be read
    finally:
        connection.close()


def _rows_between(connection: sqlite3.Connection, first: int, last: int) -> Iterator[NewRow]:
    """The rows with ids from `first` to `last`, around the pages that can't be read."""
    ranges = [(first, last)]
    failures = 0
    while ranges and failures < MOST_FAILURES:
        first, last = ranges.pop()
        try:
            found = connection.execute(
                "SELECT key, store_time, tag, value FROM Cache WHERE rowid BETWEEN ? AND ? AND raw = 1", (first, last)
            ).fetchall()
        except sqlite3.Error:
            failures += 1
            if first < last:
                middle = (first + last) // 2
                ranges += [(middle + 1, last), (first, middle)]
            continue
        for key, moment, tag, value in found:
            is_ours = type(key) is bytes and type(moment) is float and type(value) is bytes
            if is_ours and (tag is None or type(tag) is bytes):
                yield key, moment, tag, value


def _quoted(path: str) -> str:
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
