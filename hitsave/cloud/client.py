"""`Client`: the server's API as functions. They raise `Unreachable`, `Refused`, and `WireError` for nonsense."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import IO, Any
from urllib.parse import quote

from hitsave.cloud.transport import Refused, Reply, Transport
from hitsave.evaluation import Key
from hitsave.wire import Answer, Entry, Lease, Lookup, WireError
from hitsave.wire.messages import answers_from_json
from hitsave.wire.reading import Reader, parse_json

JSON = {"Content-Type": "application/json"}
BYTES = {"Content-Type": "application/octet-stream"}
# A resumable upload from this size on: less is sent again as a whole.
RESUMABLE_FROM = 16 << 20
CHUNK = 8 << 20


class Client:
    """One project on one server."""

    def __init__(self, transport: Transport, project: str) -> None:
        self.transport = transport
        self.project = project
        self._base = f"/api/v1/projects/{quote(project, safe='')}"

    def look_up(self, lookup: Lookup, budget_s: float) -> tuple[Answer, ...]:
        """An answer for each key."""
        reply = self._send("POST", "/entries:lookup", lookup.to_json(), budget_s)
        answers = answers_from_json(parse_json(reply.body))
        if len(answers) != len(lookup.keys):
            raise WireError("lookup: not one answer for each key")
        return answers

    def put_entry(
        self, key: Key, manifest: str, tag: str, *, inline: bytes | None = None, fence: int = 0, budget_s: float = 30
    ) -> str:
        """Store an entry; "created" or "same"."""
        body: dict[str, Any] = Entry(manifest, tag, inline).to_json()
        if fence:
            body["fence"] = fence
        reply = self._send("PUT", _entry_path(key), body, budget_s)
        return Reader(parse_json(reply.body), "answer").text("outcome", "", limit=20)

    def delete_entry(self, key: Key, blob: str, budget_s: float = 10) -> bool:
        """Remove the entries under `key` whose result is `blob`; whether there were any."""
        path = f"{self._base}{_entry_path(key)}?blob={blob}"
        return self.transport.request("DELETE", path, budget_s=budget_s).status != 404

    def list_entries(self, pattern: str, cursor: str, budget_s: float = 30) -> tuple[list[Entry], str]:
        """A page of entries whose symbol matches a glob, and the cursor of the next page ("" at the end)."""
        path = f"/entries?pattern={quote(pattern, safe='')}&cursor={quote(cursor, safe='')}"
        read = Reader(parse_json(self._get(path, budget_s).body), "answer")
        return list(read.items("entries", Entry.from_json)), read.text("next", "", limit=100)

    def read_blob(self, name: str, sink: Callable[[memoryview], None], start: int, budget_s: float) -> bool:
        """Send the blob's bytes from `start` on to `sink`; False if the server hasn't got it."""
        headers = {"Range": f"bytes={start}-"} if start else {}
        reply = self.transport.request(
            "GET", f"{self._base}/blobs/{name}", budget_s=budget_s, headers=headers, sink=sink, limit=1 << 50
        )
        if start and reply.status == 200:
            raise WireError("blob: the server sent all of it where a part was asked for")
        return reply.status in (200, 206)

    def blob_size(self, name: str, budget_s: float = 10) -> int | None:
        """The size of a blob, None if the server hasn't got it."""
        reply = self.transport.request("HEAD", f"{self._base}/blobs/{name}", budget_s=budget_s)
        text = reply.headers.get("content-length", "")
        return int(text) if reply.status == 200 and text.isascii() and text.isdigit() else None

    def missing_blobs(self, names: list[str], budget_s: float = 30) -> set[str]:
        """Which of `names` (at most 1000) the project lacks."""
        reply = self._send("POST", "/blobs:missing", {"blobs": names}, budget_s)
        found = Reader(parse_json(reply.body), "answer").items("missing", lambda value, _where: str(value))
        return set(found) & set(names)

    def put_blob(self, name: str, body: bytes | Callable[[], IO[bytes]], budget_s: float) -> None:
        """Upload a blob in one request."""
        path = f"{self._base}/blobs/{name}"
        self.transport.request("PUT", path, budget_s=budget_s, body=body, headers=BYTES, attempts=3)

    def begin_upload(self, name: str, size_bytes: int, budget_s: float = 10) -> str:
        """The id of a new resumable upload, "" if the blob is there already."""
        reply = self._send("POST", "/uploads", {"blob": name, "size_bytes": size_bytes}, budget_s)
        return Reader(parse_json(reply.body), "answer").digest("id", "")

    def upload_offset(self, upload_id: str, budget_s: float = 10) -> int | None:
        """How much of an upload has arrived, None if the server no longer knows it."""
        reply = self.transport.request("HEAD", f"{self._base}/uploads/{upload_id}", budget_s=budget_s)
        text = reply.headers.get("upload-offset", "")
        return int(text) if reply.status == 204 and text.isascii() and text.isdigit() else None

    def append(self, upload_id: str, offset: int, piece: bytes, budget_s: float) -> None:
        """Send the next piece. Not retried here: ask for the offset first."""
        headers = {**BYTES, "Upload-Offset": str(offset)}
        path = f"{self._base}/uploads/{upload_id}"
        self.transport.request("PATCH", path, budget_s=budget_s, body=piece, headers=headers, attempts=1)

    def complete(self, upload_id: str, budget_s: float) -> None:
        """Have the server check and publish what was uploaded."""
        self.transport.request("PUT", f"{self._base}/uploads/{upload_id}/complete", budget_s=budget_s, attempts=1)

    def acquire_lease(self, name: str, ttl_s: int, holder: str, budget_s: float = 2) -> Lease | None:
        """The lease, None if somebody else holds it."""
        body = {"ttl_s": ttl_s, "holder": holder[:100]}
        try:
            return Lease.from_json(parse_json(self._send("POST", f"/leases/{name}", body, budget_s).body))
        except Refused as error:
            if error.slug == "lease-held":
                return None
            raise

    def wait_for_lease(self, name: str, wait_s: int, budget_s: float) -> bool:
        """Come back, with true, when nobody holds the lease or after `wait_s`."""
        return self._get(f"/leases/{name}?wait={wait_s}", budget_s).status == 200

    def renew_lease(self, name: str, token: str, ttl_s: int, budget_s: float = 5) -> None:
        """The holder's heartbeat. Raises `Refused` (410) if the lease is lost."""
        self._send("PUT", f"/leases/{name}", {"token": token, "ttl_s": ttl_s}, budget_s)

    def release_lease(self, name: str, token: str, budget_s: float = 2) -> None:
        """Give a lease back."""
        path = f"{self._base}/leases/{name}?token={quote(token, safe='')}"
        self.transport.request("DELETE", path, budget_s=budget_s, attempts=1)

    def get_record(self, kind: str, name: str, budget_s: float) -> tuple[bytes, str] | None:
        """A record and its tag."""
        reply = self._get(f"/records/{kind}/{quote(name, safe='')}", budget_s)
        return (reply.body, reply.headers.get("x-hitsave-tag", "")) if reply.status == 200 else None

    def put_record(self, kind: str, name: str, data: bytes, tag: str, budget_s: float = 30) -> None:
        """Keep a record."""
        headers = {**BYTES, "X-Hitsave-Tag": tag}
        path = f"{self._base}/records/{kind}/{quote(name, safe='')}"
        self.transport.request("PUT", path, budget_s=budget_s, body=data, headers=headers, attempts=3)

    def start_run(self, run_id: str, key: dict[str, str], title: str, host: str, budget_s: float = 5) -> None:
        """Announce a run under an id of ours."""
        body = {"id": run_id, "key": key, "title": title[:4000], "host": host[:100]}
        self._send("POST", "/runs", body, budget_s)

    def change_run(self, run_id: str, status: str, error: str = "", budget_s: float = 5) -> None:
        """A heartbeat ("running") or the end ("ok", "failed")."""
        self._send("PATCH", f"/runs/{run_id}", {"status": status, "error": error[:60_000]}, budget_s)

    def get_tree(self, digest: str, budget_s: float = 60) -> bytes | None:
        """The text of a snapshot's tree."""
        reply = self._get(f"/snapshots/{digest}", budget_s)
        return reply.body if reply.status == 200 else None

    def put_tree(self, digest: str, text: bytes, name: str, budget_s: float = 60) -> None:
        """Store a snapshot's tree; its blobs must be there."""
        path = f"{self._base}/snapshots/{digest}?name={quote(name[:200], safe='')}"
        self.transport.request("PUT", path, budget_s=budget_s, body=text, headers=JSON, attempts=3)

    def me(self, budget_s: float = 10) -> dict[str, Any]:
        """Whose key this is: `{"user", "scope", "projects", "expires"}`."""
        found = parse_json(self.transport.request("GET", "/api/v1/me", budget_s=budget_s).body)
        return dict(Reader(found, "me").value)

    def _get(self, path: str, budget_s: float) -> Reply:
        return self.transport.request("GET", self._base + path, budget_s=budget_s)

    def _send(self, method: str, path: str, value: Any, budget_s: float) -> Reply:
        body = json.dumps(value, separators=(",", ":")).encode()
        return self.transport.request(method, self._base + path, budget_s=budget_s, body=body, headers=JSON)


def _entry_path(key: Key) -> str:
    return f"/entries/{quote(key.symbol, safe='')}/{key.fingerprint}/{key.arguments}"
