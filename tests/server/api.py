"""A thin client for tests: plain HTTP, nothing of ours in between, so that what is tested is the wire itself."""

from __future__ import annotations

import base64
import itertools
from typing import Any
from urllib.parse import quote

import requests

from hitsave.digest import digest_text
from hitsave.evaluation import Evaluation, Key, Observed
from hitsave.wire import Manifest, blob_name, key_to_json, render_manifest
from tests.services import ThreadServer

_numbers = itertools.count(1_700_000_000)


class Api:
    """One key on one server."""

    def __init__(self, server: ThreadServer, key: str | None = None, project: str = "default") -> None:
        self.url = server.url
        self.project = project
        self.base = f"{server.url}/api/v1/projects/{project}"
        self.session = requests.Session()
        self.session.trust_env = False
        if key != "":
            self.session.headers["Authorization"] = f"Bearer {key or server.key}"

    def __call__(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        """Send to a path of the project; to one of the server if it begins with //."""
        url = self.url + path[1:] if path.startswith("//") else self.base + path
        return self.session.request(method, url, timeout=30, **kwargs)

    def put_blob(self, data: bytes) -> str:
        """Upload; the blob's name."""
        name = blob_name(data)
        assert self("PUT", f"/blobs/{name}", data=data).status_code in (200, 201)
        return name

    def put(self, evaluation: Evaluation, data: bytes, *, inline: bool = True, **more: Any) -> requests.Response:
        """Store an entry with its value."""
        manifest = render_manifest(Manifest(self.project, "k", blob_name(data), evaluation))
        body = {"manifest": manifest, "tag": "k:00", **more}
        if inline:
            body["inline"] = base64.b64encode(data).decode()
        return self("PUT", entry_path(evaluation.key), json=body)

    def look_up(self, *keys: Key, **more: Any) -> list[dict[str, Any]]:
        """The answers."""
        reply = self("POST", "/entries:lookup", json={"keys": [key_to_json(key) for key in keys], **more})
        assert reply.status_code == 200, reply.text
        answers: list[dict[str, Any]] = reply.json()["answers"]
        return answers


def entry_path(key: Key) -> str:
    """Where the entries of a key are."""
    return f"/entries/{quote(key.symbol, safe='')}/{key.fingerprint}/{key.arguments}"


def a_key(arguments: object = 0, *, symbol: str = "pkg.mod:train", code: object = "v1") -> Key:
    """A key that differs by what is given."""
    return Key(symbol, digest_text(f"code {code}"), digest_text(f"arguments {arguments}"))  # type: ignore[arg-type]


def an_evaluation(key: Key, data: bytes, observed: Observed | None = None, **more: Any) -> Evaluation:
    """A finished call with `data` as its encoded result."""
    values: dict[str, Any] = {"started": float(next(_numbers)), "elapsed_s": 1.5, "title": "train(lr=0.1)"}
    values |= {"codec": "plain-1", "result": digest_text(repr(data)), "size_bytes": len(data)}
    return Evaluation(key=key, observed=observed or Observed(), **{**values, **more})
