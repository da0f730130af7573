"""The outbox: uploads waiting for their turn, in a SQLite file that survives exit and crash.

Whoever saves a result only adds a row; a thread (`uploader`) empties the outbox, in this process or the next one.
Every row carries a tag made with this machine's key: what waits here will be signed with the team's key, so nobody
else who can write the directory may slip something in.

    rows     one per upload: what (`kind`, `body`), the bytes (`data`, or a `file` beside it, or in the local store)
    claims   a process takes a row for a minute at a time, so two processes don't send the same one
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sqlite3
import threading
import time
from typing import Any

from hitsave.evaluation import Blob
from hitsave.record import Record
from hitsave.store.authenticity import Seal

CLAIM_S = 60.0
# Results up to this size wait in the database, larger ones in files beside it.
ROW_MAX = 256 << 10
MAX_JOBS = 100_000

# 1  first
SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id INTEGER PRIMARY KEY,
    place TEXT NOT NULL,           -- server and project
    name TEXT NOT NULL,            -- what it is, so the same thing waits once
    kind TEXT NOT NULL,            -- entry | record
    body TEXT NOT NULL,            -- JSON
    data BLOB,                     -- the bytes, if they are few
    file TEXT NOT NULL,            -- else the file that holds them, or '' (then the local store has them)
    tag BLOB NOT NULL,             -- MAC over all of the above, made with the machine's key
    upload TEXT NOT NULL DEFAULT '',         -- id of a resumable upload that has begun
    attempts INTEGER NOT NULL DEFAULT 0,
    not_before REAL NOT NULL DEFAULT 0,
    claimed_until REAL NOT NULL DEFAULT 0,
    UNIQUE (place, name)
)
"""


class Job(Record):
    """One upload. `data` is None where the bytes are in `file` (a full path) or in the local store."""

    id: int
    kind: str
    name: str
    body: dict[str, Any]
    data: bytes | None
    file: str
    upload: str
    attempts: int


class OutboxFull(Exception):
    """More waits than anyone will ever send."""


class Outbox:
    """The jobs of one place (server and project) in `directory`. Safe for threads, processes and fork."""

    def __init__(self, directory: str, place: str, seal: Seal) -> None:
        self.directory = directory
        self._place = place
        self._seal = seal
        self._lock = threading.RLock()
        self._pid = -1
        self._connection: sqlite3.Connection | None = None

    def add(self, kind: str, name: str, body: dict[str, Any], blob: Blob | None, *, keep_bytes: bool = True) -> None:
        """Have something uploaded, durably. With `keep_bytes` false the local store is trusted to keep the bytes.

        Copies the bytes before it returns. Raises `OutboxFull`, `OSError` or `sqlite3.Error` if it can't be kept.
        """
        data, file = None, ""
        if blob is not None and blob.size_bytes <= ROW_MAX:
            data = b"".join(blob.buffers())
        elif blob is not None and keep_bytes:
            file = self._write(blob)
        text = json.dumps(body, separators=(",", ":"))
        tag = self._tag(kind, name, text, data, file)
        with self._lock:
            connection = self._open()
            if connection.execute("SELECT COUNT(*) FROM jobs").fetchone()[0] >= MAX_JOBS:
                self._unlink(file)
                raise OutboxFull(f"{MAX_JOBS} uploads are waiting already")
            done = connection.execute(
                "INSERT OR IGNORE INTO jobs (place, name, kind, body, data, file, tag) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (self._place, name, kind, text, data, file, tag),
            )
            if done.rowcount == 0:
                self._unlink(file)

    def claim(self) -> Job | None:
        """The next job that is due, ours for a minute; None if there is none. Forged rows are dropped."""
        while True:
            with self._lock:
                now = time.time()
                row = (
                    self._open()
                    .execute(
                        "UPDATE jobs SET claimed_until = ? WHERE id = (SELECT id FROM jobs WHERE place = ? AND "
                        "not_before <= ? AND claimed_until <= ? ORDER BY id LIMIT 1) AND claimed_until <= ? "
                        "RETURNING id, kind, name, body, data, file, upload, attempts, tag",
                        (now + CLAIM_S, self._place, now, now, now),
                    )
                    .fetchone()
                )
            if row is None:
                return None
            job_id, kind, name, body, data, file, upload, attempts, tag = row
            if self._seal.verify(tag, self._message(kind, name, body, data, file)):
                path = os.path.join(self.directory, file) if file else ""
                return Job(job_id, kind, name, json.loads(body), data, path, upload, attempts)
            self.done(job_id)

    def keep_claim(self, job_id: int) -> None:
        """Still at it."""
        self._change("claimed_until = ?", job_id, time.time() + CLAIM_S)

    def note_upload(self, job_id: int, upload_id: str) -> None:
        """Remember a resumable upload, so that another process can go on with it."""
        self._change("upload = ?", job_id, upload_id)

    def put_off(self, job_id: int, delay_s: float, body: dict[str, Any] | None = None) -> None:
        """Try again after `delay_s`; with `body`, in another form."""
        self._change("attempts = attempts + 1, claimed_until = 0, not_before = ?", job_id, time.time() + delay_s)
        if body is not None:
            with self._lock:
                connection = self._open()
                row = connection.execute("SELECT kind, name, data, file FROM jobs WHERE id = ?", (job_id,)).fetchone()
                if row is not None:
                    text = json.dumps(body, separators=(",", ":"))
                    tag = self._tag(row[0], row[1], text, row[2], row[3])
                    connection.execute("UPDATE jobs SET body = ?, tag = ? WHERE id = ?", (text, tag, job_id))

    def done(self, job_id: int) -> None:
        """Forget a job and its file."""
        with self._lock:
            row = self._open().execute("DELETE FROM jobs WHERE id = ? RETURNING file", (job_id,)).fetchone()
        if row is not None:
            self._unlink(row[0])

    def count(self) -> int:
        """How many jobs wait for this place."""
        with self._lock:
            found = self._open().execute("SELECT COUNT(*) FROM jobs WHERE place = ?", (self._place,)).fetchone()
        return int(found[0])

    def next_due_s(self) -> float | None:
        """Seconds until the next job may be sent, None if there is none."""
        with self._lock:
            query = "SELECT MIN(MAX(not_before, claimed_until)) FROM jobs WHERE place = ?"
            found = self._open().execute(query, (self._place,)).fetchone()[0]
        return None if found is None else max(0.0, float(found) - time.time())

    def make_due(self) -> None:
        """Every job may be sent now."""
        with self._lock:
            self._open().execute("UPDATE jobs SET not_before = 0 WHERE place = ?", (self._place,))

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._connection is not None and self._pid == os.getpid():
                self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection:
        if self._connection is None or self._pid != os.getpid():
            os.makedirs(self.directory, mode=0o700, exist_ok=True)
            path = os.path.join(self.directory, "outbox.db")
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            connection = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, SCHEMA_VERSION):
                connection.close()
                raise sqlite3.DatabaseError(f"the outbox was written by another version of hitsave ({version})")
            connection.execute(SCHEMA)
            connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
            self._connection, self._pid = connection, os.getpid()
        return self._connection

    def _change(self, what: str, job_id: int, value: object) -> None:
        with self._lock:
            self._open().execute(f"UPDATE jobs SET {what} WHERE id = ?", (value, job_id))

    def _write(self, blob: Blob) -> str:
        """The bytes in a file named after their digest, so that the tag over the row covers them too."""
        os.makedirs(self.directory, mode=0o700, exist_ok=True)
        aside = os.path.join(self.directory, f"in-{secrets.token_hex(8)}")
        digest = hashlib.sha256()
        fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(fd, "wb") as file:
                for part in blob.buffers():
                    digest.update(part)
                    file.write(part)
        except BaseException:
            os.unlink(aside)
            raise
        name = f"sha256-{digest.hexdigest()}-{secrets.token_hex(4)}"
        os.replace(aside, os.path.join(self.directory, name))
        return name

    def _unlink(self, file: str) -> None:
        if file:
            try:
                os.unlink(os.path.join(self.directory, file))
            except FileNotFoundError:
                pass

    def _message(self, kind: str, name: str, body: str, data: bytes | None, file: str) -> bytes:
        shown = None if data is None else hashlib.sha256(data).hexdigest()
        return json.dumps([self._place, kind, name, body, shown, file]).encode()

    def _tag(self, kind: str, name: str, body: str, data: bytes | None, file: str) -> bytes:
        return self._seal.tag(self._message(kind, name, body, data, file))
