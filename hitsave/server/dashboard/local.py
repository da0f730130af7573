"""`serve_local`: the dashboard over one person's own store, with nothing set up.

The local store's evaluations are read into a temporary database of the same form as a server's, so there is one set
of queries and one set of pages. Any reader of `Evaluation`s will do: the caller hands over `entries` and `records`
(this package knows no store). New results appear within seconds; nothing can be changed from here.
"""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hitsave.evaluation import Evaluation
from hitsave.server import entries
from hitsave.server.database.engine import insert_ignore
from hitsave.server.database.tables import blob_refs, blobs, projects, records
from hitsave.server.main import serve
from hitsave.server.state import State
from hitsave.wire import Manifest, render_manifest

REFRESH_S = 3.0
# So many evaluations are shown at most, the newest of what the store gives.
SHOWN_MAX = 100_000
BATCH = 200

Entries = Callable[[], Iterable[Evaluation]]
# The closure of a fingerprint as JSON bytes {"pairs", "versions", "sources"}, the source of a digest as zlib bytes.
Records = Callable[[str, str], "bytes | None"]


def serve_local(
    entries_now: Entries,
    records_now: Records = lambda kind, name: None,
    *,
    port: int = 0,
    say: Callable[[str], None] = print,
    on_ready: Callable[[str, str], None] | None = None,
) -> None:
    """Show a store's evaluations until interrupted. `say` gets the line with the link that logs a browser in."""
    stop = threading.Event()

    def on_open(state: State) -> Callable[[], None]:
        mirror = Mirror(state, entries_now, records_now)
        mirror.refresh(limit=2000)
        thread = threading.Thread(target=mirror.follow, args=(stop,), daemon=True)
        thread.start()

        def finish() -> None:
            stop.set()
            thread.join()

        return finish

    with tempfile.TemporaryDirectory(prefix="hitsave-dashboard-") as directory:
        serve(
            "127.0.0.1",
            port,
            Path(directory) / "view",
            say=say,
            on_ready=on_ready,
            on_open=on_open,
            is_local_view=True,
            maintenance_every_s=3600.0,
        )


class Mirror:
    """Keeps a temporary database in step with a store."""

    def __init__(self, state: State, entries_now: Entries, records_now: Records) -> None:
        self._state = state
        self._entries_now = entries_now
        self._records_now = records_now
        self._seen: set[tuple[object, ...]] = set()

    def follow(self, stop: threading.Event) -> None:
        """Refresh now and then, until told to stop."""
        while not stop.is_set():
            self.refresh()
            stop.wait(REFRESH_S)

    def refresh(self, limit: int = SHOWN_MAX) -> int:
        """Take in what is new; how many evaluations that were."""
        new: list[Evaluation] = []
        for evaluation in self._entries_now():
            identity = (evaluation.key, evaluation.started, evaluation.result)
            if identity not in self._seen and len(new) < limit and len(self._seen) < SHOWN_MAX:
                self._seen.add(identity)
                new.append(evaluation)
        new.sort(key=lambda e: e.started)
        for start in range(0, len(new), BATCH):
            part = new[start : start + BATCH]
            self._state.database.write_now(lambda connection, part=part: self._take(connection, part))  # type: ignore[misc]
        return len(new)

    def _take(self, connection: Connection, part: list[Evaluation]) -> None:
        project_id = connection.execute(sa.select(projects.c.id).where(projects.c.slug == "default")).scalar_one()
        for evaluation in part:
            # The bytes stay where they are: the pages show previews, never a blob.
            name = "sha256-" + (evaluation.result or "0").rjust(64, "0")[-64:]
            size = evaluation.size_bytes
            row = {"name": name, "size_bytes": size, "data": b"", "state": "ready", "created": 0.0, "last_used": 0.0}
            insert_ignore(connection, blobs, row)
            connection.execute(sa.update(blobs).where(blobs.c.name == name).values(size_bytes=size))
            ref = {"blob": name, "project_id": project_id, "kind": "upload", "ref": "", "created": 0.0}
            insert_ignore(connection, blob_refs, ref)
            manifest = Manifest("default", "this machine", name, evaluation)
            offer = entries.Offer(manifest, render_manifest(manifest), "", None, 0, "you")
            entries.store(connection, project_id, offer)
            self._take_code(connection, project_id, evaluation.key.fingerprint)

    def _take_code(self, connection: Connection, project_id: int, fingerprint: str) -> None:
        if ("code", fingerprint) in self._seen:
            return
        self._seen.add(("code", fingerprint))
        closure = self._records_now("closure", fingerprint)
        if closure is None:
            return
        self._keep(connection, project_id, "closure", fingerprint, closure)
        for _, digest in json.loads(closure).get("sources", []):
            if ("source", digest) not in self._seen:
                self._seen.add(("source", digest))
                source = self._records_now("source", digest)
                if source is not None:
                    self._keep(connection, project_id, "source", digest, source)

    def _keep(self, connection: Connection, project_id: int, kind: str, name: str, data: bytes) -> None:
        row = {"project_id": project_id, "kind": kind, "name": name, "data": data, "tag": "", "created": 0.0}
        insert_ignore(connection, records, row)
