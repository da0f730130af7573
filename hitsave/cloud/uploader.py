"""Empties the outbox: blob before entry, with patience. Runs in one daemon thread per process, or in the foreground."""

from __future__ import annotations

import hashlib
import io
import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable
from typing import Any

from hitsave.cloud.client import CHUNK, RESUMABLE_FROM, Client
from hitsave.cloud.outbox import CLAIM_S, Job, Outbox
from hitsave.cloud.signing import Signer
from hitsave.cloud.transport import Refused, Unreachable
from hitsave.cloud.trusted import ENTRY_PURPOSE, RECORD_PURPOSE
from hitsave.evaluation import Blob, Evaluation
from hitsave.observe.watch import unseen
from hitsave.wire import Manifest, blob_name, evaluation_from_json, render_manifest
from hitsave.wire.manifests import MAX_MANIFEST_BYTES
from hitsave.wire.messages import INLINE_MAX_BYTES
from hitsave.wire.reading import WireError

# An upload is given up after so many refusals that could have been passing ones (quota, rate, server trouble).
MAX_ATTEMPTS = 200
# Slow lines: a piece may take as long as this many bytes a second would.
SLOWEST_BYTES_PER_S = 100_000


class BadJob(Exception):
    """A job that will never be good: another version wrote it, or its bytes are damaged."""


class Uploader:
    """Sends what waits in `outbox`. `find_local` gives the bytes of an evaluation that the local store keeps."""

    def __init__(
        self,
        client: Client,
        outbox: Outbox,
        signer: Signer,
        find_local: Callable[[Evaluation], Blob | None],
        report: Callable[[str], None],
        on_done: Callable[[Evaluation], None] = lambda _: None,
    ) -> None:
        self._client = client
        self._outbox = outbox
        self._signer = signer
        self._find_local = find_local
        self._report = report
        self._on_done = on_done
        self._wake = threading.Event()
        self._idle = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._pid = -1
        self._closing = False
        self.conflicts = 0
        self.sent = 0

    def poke(self) -> None:
        """There is work; starts the thread on first use (and after a fork)."""
        if self._pid != os.getpid():
            self._wake, self._idle, self._lock = threading.Event(), threading.Event(), threading.Lock()
            self._thread, self._pid = None, os.getpid()
        self._idle.clear()
        self._wake.set()
        with self._lock:
            if self._thread is None and not self._closing:
                thread = threading.Thread(target=self._run, name="hitsave-upload", daemon=True)
                try:
                    thread.start()
                except RuntimeError:
                    return  # the interpreter is ending: what waits goes out next time
                self._thread = thread

    def flush(self, timeout_s: float) -> bool:
        """Wait until the outbox is empty or stuck, at most `timeout_s`; whether it is empty."""
        if self._thread is not None and self._pid == os.getpid():
            self._wake.set()
            self._idle.wait(timeout_s)
        return self._outbox.count() == 0

    def close(self) -> None:
        """End the thread after the job in hand; what waits is sent by a later process."""
        self._closing = True
        self._wake.set()

    def drain(self, on_progress: Callable[[int, int], None] = lambda done, left: None) -> int:
        """Send everything now, here; how many jobs were settled. Raises `Unreachable`, or `Refused` (401, 403)."""
        settled = 0
        self._outbox.make_due()
        while (job := self._outbox.claim()) is not None:
            wait_s = self._settle(job)
            if wait_s is None:
                settled += 1
            on_progress(settled, self._outbox.count())
        # The thread may still have a job in hand that we could not claim.
        self.flush(CLAIM_S)
        return settled

    def _run(self) -> None:
        with unseen():  # our own doings are no dependency of what the user's program evaluates meanwhile
            self._run_unseen()

    def _run_unseen(self) -> None:
        while not self._closing:
            wait_s: float | None
            try:
                wait_s = self._step()
            except (sqlite3.Error, OSError) as error:
                self._report(f"couldn't keep its uploads: {error}")
                wait_s = 60.0
            if wait_s == 0:
                continue
            self._idle.set()
            self._wake.wait(wait_s)
            self._wake.clear()
        self._idle.set()

    def _step(self) -> float | None:
        """Do one job; seconds to pause (0: none, None: until poked)."""
        job = self._outbox.claim()
        if job is None:
            return self._outbox.next_due_s()
        try:
            self._settle(job)
        except Unreachable as error:
            self._report(f"is not reachable ({error.message}); results are sent later")
            return min(30.0, float(1 << min(job.attempts, 5)))
        except Refused as error:
            self._report(f"refuses our uploads ({error.message})")
            return 300.0
        return 0.0

    def _settle(self, job: Job) -> float | None:
        """Do `job`; None when it is settled, else the seconds until it is tried again."""
        try:
            self._send(job)
        except Unreachable:
            self._outbox.put_off(job.id, _backoff_s(job.attempts))
            raise
        except Refused as error:
            return self._refused(job, error)
        except WireError as error:
            # Nonsense from the other side says nothing about the job: it is tried again like after an outage.
            self._outbox.put_off(job.id, _backoff_s(job.attempts))
            raise Unreachable(f"the answer makes no sense: {error}") from None
        except BadJob as error:
            self._report(f"can't be sent a result: {error}")
        self.sent += 1
        self._outbox.done(job.id)
        return None

    def _refused(self, job: Job, error: Refused) -> float | None:
        if error.status in (401, 403):
            self._outbox.put_off(job.id, 300.0)
            raise error
        if error.slug == "entry-conflict":
            self.conflicts += 1
            self._outbox.done(job.id)
            return None
        if error.slug == "fenced-off":
            # Another holder computes the key now. Ours is offered again when that is over.
            self._outbox.put_off(job.id, 30.0, {**job.body, "fence": 0})
            return 30.0
        passing = error.status in (404, 408, 409, 410, 422, 425, 429, 507)
        if passing and job.attempts < MAX_ATTEMPTS:
            delay_s = _backoff_s(job.attempts) * (20 if error.status == 507 else 1)
            self._outbox.put_off(job.id, delay_s)
            if error.status in (507, 404):
                self._report(f"has no room for our results ({error.message})")
            return delay_s
        self._report(f"refused a result for good ({error.message})")
        self._outbox.done(job.id)
        return None

    def _send(self, job: Job) -> None:
        if job.kind == "record":
            kind, name = job.body["kind"], job.body["name"]
            data = job.data or b""
            tag = self._signer.sign(RECORD_PURPOSE, record_message(kind, name, data))
            self._client.put_record(kind, name, data, tag)
            return
        try:
            evaluation = evaluation_from_json(job.body["evaluation"])
        except (WireError, KeyError) as error:
            raise BadJob(str(error)) from None
        try:
            self._send_entry(job, evaluation)
        finally:
            self._on_done(evaluation)

    def _send_entry(self, job: Job, evaluation: Evaluation) -> None:
        source = self._bytes(job, evaluation)
        if source is None:
            return  # the local store has collected it meanwhile
        name, size, opened = source
        manifest = Manifest(self._client.project, self._signer.signing_id(), name, evaluation)
        text = render_manifest(manifest)
        if len(text) > MAX_MANIFEST_BYTES:
            manifest = manifest.replace(evaluation=evaluation.replace(details="", preview="", title=""))
            text = render_manifest(manifest)
        tag = self._signer.sign(ENTRY_PURPOSE, text.encode())
        fence = job.body.get("fence", 0)
        inline = None
        if size <= INLINE_MAX_BYTES:
            with opened() as file:
                inline = file.read()
        else:
            self._send_blob(job, name, size, opened)
        self._client.put_entry(evaluation.key, text, tag, inline=inline, fence=fence)

    def _bytes(self, job: Job, evaluation: Evaluation) -> tuple[str, int, Callable[[], Any]] | None:
        if job.data is not None:
            data = job.data
            return blob_name(data), len(data), lambda: io.BytesIO(data)
        if job.file:
            name, size = _digest_file(job.file)
            # The tag over the row covers the file's name, and that is its digest: other bytes are not ours.
            if not os.path.basename(job.file).startswith(name):
                raise BadJob("the bytes that waited are not those that were put there")
            return name, size, lambda: open(job.file, "rb")
        blob = self._find_local(evaluation)
        if blob is None:
            return None
        buffers = blob.buffers()
        data_view = memoryview(buffers[0]).cast("B") if len(buffers) == 1 else memoryview(b"".join(buffers))
        return blob_name(data_view), data_view.nbytes, lambda: _ViewFile(data_view)

    def _send_blob(self, job: Job, name: str, size: int, opened: Callable[[], Any]) -> None:
        budget_s = 60 + size / SLOWEST_BYTES_PER_S
        if not self._client.missing_blobs([name]):
            return
        if size < RESUMABLE_FROM:
            self._client.put_blob(name, opened, budget_s)
            return
        upload_id, offset = job.upload, None
        if upload_id:
            offset = self._client.upload_offset(upload_id)
        if offset is None:
            upload_id, offset = self._client.begin_upload(name, size), 0
            if not upload_id:
                return
            self._outbox.note_upload(job.id, upload_id)
        failures = 0
        with opened() as file:
            while offset < size:
                self._outbox.keep_claim(job.id)
                file.seek(offset)
                piece = file.read(CHUNK)
                try:
                    self._client.append(upload_id, offset, piece, 30 + len(piece) / SLOWEST_BYTES_PER_S)
                    offset += len(piece)
                    failures = 0
                except (Unreachable, Refused) as error:
                    failures += 1
                    if failures > 3 or (isinstance(error, Refused) and error.slug != "offset-mismatch"):
                        raise
                    time.sleep(random.uniform(0.1, 0.5 * 2**failures))
                    offset = self._client.upload_offset(upload_id)
                    if offset is None:
                        raise Unreachable("the server lost the upload") from None
        self._client.complete(upload_id, budget_s)


class _ViewFile(io.RawIOBase):
    """A file over memory that isn't copied; `requests` asks it for its length."""

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._at = 0
        self.len = view.nbytes

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        base = {0: 0, 1: self._at, 2: self._view.nbytes}[whence]
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        piece = self._view[self._at : self._at + len(buffer)]
        buffer[: piece.nbytes] = piece
        self._at += piece.nbytes
        return piece.nbytes


def record_message(kind: str, name: str, data: bytes) -> bytes:
    """What the tag of a record covers."""
    return f"{kind}\n{name}\n".encode() + data


def _digest_file(path: str) -> tuple[str, int]:
    digest = hashlib.sha256()
    size = 0
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
            size += len(piece)
    return "sha256-" + digest.hexdigest(), size


def _backoff_s(attempts: int) -> float:
    return random.uniform(0.5, 1.0) * min(300.0, 0.5 * (1 << min(attempts, 10)))
