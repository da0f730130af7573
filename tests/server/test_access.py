"""Who may do what: every route with every kind of key, made from the route table; and what is refused outright."""

from __future__ import annotations

import re
import sqlite3
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from hitsave.errors import UsageError
from hitsave.server.api.routes import BASE, ROUTES, ApiRoute
from hitsave.server.main import serve
from hitsave.server.tokens import is_well_formed, new_key
from tests.server.api import Api, a_key, an_evaluation
from tests.services import ThreadServer, running

RANK = {"read": 0, "write": 1, "admin": 2}
PATH = {
    "project": "default",
    "name": "default",
    "symbol:path": "pkg.mod:f",
    "fingerprint": "00",
    "arguments": "11",
    "lease": "00",
    "upload": "00",
    "run": "00",
    "blob": "sha256-" + "0" * 64,
    "digest": "sha256-" + "0" * 64,
    "kind": "closure",
    "token": "999999",
}


def path_of(route: ApiRoute) -> str:
    return BASE + re.sub(r"{([\w:]+)}", lambda match: PATH[match[1]], route.path)


def send(server: ThreadServer, route: ApiRoute, key: str, path: str = "") -> int:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    body: dict[str, object] | None = {} if route.body not in ("", "bytes") else None
    reply = requests.request(
        route.method, server.url + (path or path_of(route)), headers=headers, json=body, timeout=10
    )
    assert reply.status_code < 500 or reply.status_code == 507, reply.text
    if reply.status_code >= 400 and route.method != "HEAD":
        assert reply.headers["Content-Type"] == "application/problem+json"
        assert set(reply.json()) >= {"type", "title", "status", "detail", "instance"}
    return reply.status_code


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_route_asks_for_a_key_of_its_scope(
    access_server: ThreadServer, keys: dict[str, str], route: ApiRoute
) -> None:
    assert send(access_server, route, "") == 401
    assert send(access_server, route, new_key("admin")) == 401
    assert send(access_server, route, keys["revoked"]) == 401
    assert send(access_server, route, keys["expired"]) == 401
    for scope, rank in RANK.items():
        status = send(access_server, route, keys[scope])
        assert (status == 403) == (rank < RANK[route.scope]), f"{scope}: {status}"
        assert status != 401


@pytest.mark.parametrize("route", [r for r in ROUTES if "{project}" in r.path], ids=lambda r: f"{r.method} {r.path}")
def test_a_key_of_another_project_finds_nothing_there(
    access_server: ThreadServer, keys: dict[str, str], route: ApiRoute
) -> None:
    assert send(access_server, route, keys["elsewhere"]) == 404


@pytest.fixture(scope="module")
def access_server(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    with running(tmp_path_factory.mktemp("server"), failed_logins_per_minute=100_000) as server:
        yield server


@pytest.fixture(scope="module")
def keys(access_server: ThreadServer) -> dict[str, str]:
    found = {scope: access_server.new_key(scope, scope) for scope in RANK}
    found["expired"] = access_server.new_key("admin", expires=time.time() - 1)
    found["revoked"] = access_server.new_key("admin", "gone")
    owner = Api(access_server)
    [row] = [t for t in owner("GET", "//api/v1/tokens").json()["tokens"] if t["user"] == "gone"]
    assert owner("GET", "//api/v1/me", headers={"Authorization": f"Bearer {found['revoked']}"}).status_code == 200
    assert owner("DELETE", f"//api/v1/tokens/{row['id']}").status_code == 204
    owner("PUT", "//api/v1/projects/elsewhere", json={})
    made = owner("POST", "//api/v1/tokens", json={"scope": "admin", "user": "x", "project": "elsewhere"})
    found["elsewhere"] = made.json()["key"]
    return found


def test_keys_are_shown_once_and_kept_only_as_digests(small_server: ThreadServer) -> None:
    api = Api(small_server)
    made = api("POST", "//api/v1/tokens", json={"scope": "write", "user": "ann", "label": "laptop"}).json()
    assert is_well_formed(made["key"])
    assert Api(small_server, made["key"])("GET", "//api/v1/me").json()["user"] == "ann"
    assert made["key"] not in api("GET", "//api/v1/tokens").text
    small_server.state.database.write_now(small_server.state.flush)
    database = small_server.settings.data_dir / "hitsave.db"
    with sqlite3.connect(database) as connection:
        dump = "\n".join(connection.iterdump())
    connection.close()
    assert made["key"] not in dump
    assert small_server.key not in dump


def test_a_key_bound_to_a_project_makes_keys_for_that_project_only(small_server: ThreadServer) -> None:
    owner = Api(small_server)
    owner("PUT", "//api/v1/projects/a", json={})
    owner("PUT", "//api/v1/projects/b", json={})
    key = owner("POST", "//api/v1/tokens", json={"scope": "admin", "project": "a"}).json()["key"]
    bound = Api(small_server, key)
    assert bound("POST", "//api/v1/tokens", json={"scope": "read", "project": "b"}).status_code == 404
    made = bound("POST", "//api/v1/tokens", json={"scope": "read"}).json()["key"]
    assert Api(small_server, made)("GET", "//api/v1/me").json()["projects"] == ["a"]
    assert bound("PUT", "//api/v1/projects/c", json={}).status_code == 403
    assert bound("GET", "//api/v1/audit").status_code == 403
    assert {t["project"] for t in bound("GET", "//api/v1/tokens").json()["tokens"]} == {"a"}


def test_what_administrators_do_is_in_the_audit_log_without_secrets(small_server: ThreadServer) -> None:
    api = Api(small_server)
    made = api("POST", "//api/v1/tokens", json={"scope": "read", "user": "ann"}).json()
    api("DELETE", f"//api/v1/tokens/{made['id']}")
    log = api("GET", "//api/v1/audit").json()["audit"]
    assert [row["action"] for row in log] == ["revoke-key", "create-key"]
    assert made["key"] not in str(log)


def test_a_public_address_without_keys_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no key exists"):
        serve("0.0.0.0", 0, tmp_path / "server")


def test_the_owners_key_is_readable_by_its_owner_only(small_server: ThreadServer) -> None:
    data_dir = small_server.settings.data_dir
    assert (data_dir / "owner.key").stat().st_mode & 0o077 == 0
    assert (data_dir / "hitsave.db").stat().st_mode & 0o077 == 0
    assert data_dir.stat().st_mode & 0o077 == 0


def test_a_foreign_host_name_is_refused(small_server: ThreadServer) -> None:
    for host, status in (("evil.example", 421), ("127.0.0.1", 200), ("localhost:1234", 200), ("[::1]:80", 200)):
        assert requests.get(small_server.url + "/healthz", headers={"Host": host}, timeout=10).status_code == status


def test_bad_keys_are_limited_by_address(tmp_path: Path) -> None:
    with running(tmp_path, failed_logins_per_minute=5) as server:
        statuses = [Api(server, new_key("read"))("GET", "//api/v1/me").status_code for _ in range(8)]
        assert statuses == [401] * 5 + [429] * 3


def test_requests_are_limited_by_key(tmp_path: Path) -> None:
    with running(tmp_path, requests_per_s=1.0) as server:
        api = Api(server)
        statuses = [api("GET", "//api/v1/me").status_code for _ in range(4)]
        assert statuses[:2] == [200, 200]
        assert statuses[3] == 429


def test_quotas_refuse_what_is_too_much(server: ThreadServer) -> None:
    api = Api(server)
    api("PUT", "//api/v1/projects/default", json={"quota_bytes": 100})
    assert api.put(an_evaluation(a_key(), b"x" * 90), b"x" * 90).status_code == 201
    refused = api.put(an_evaluation(a_key(1), b"y" * 90), b"y" * 90)
    assert refused.status_code == 507
    assert refused.json()["quota_bytes"] == 100


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/entries:lookup", b"{" * 100_000),
        ("/entries:lookup", b"[" * 100_000),
        ("/entries:lookup", b"\xff\xfe"),
        ("/entries:lookup", b'{"keys": NaN}'),
        ("/entries:lookup", b'{"keys": [{"symbol": "a\\u0000b", "fingerprint": "0", "arguments": "0"}]}'),
        ("/entries:lookup", b'{"keys": [{"symbol": "\\ud800", "fingerprint": "0", "arguments": "0"}]}'),
        ("/entries:lookup", b'{"keys": [], "lease_s": 1e999}'),
        ("/blobs:missing", b'{"blobs": ["../x"]}'),
        ("/uploads", b'{"blob": "x", "size_bytes": -1}'),
        ("/runs", b'{"key": {}}'),
    ],
)
def test_malformed_bodies_are_refused_kindly(small_server: ThreadServer, path: str, body: bytes) -> None:
    reply = Api(small_server)("POST", path, data=body, headers={"Content-Type": "application/json"})
    assert reply.status_code == 400, reply.text


def test_an_oversized_body_is_refused(small_server: ThreadServer) -> None:
    api = Api(small_server)
    assert api("POST", "/entries:lookup", data=b" " * (1 << 20) + b"{}").status_code == 413
    assert api("PUT", "/records/closure/x", data=b"x" * 300_000).status_code == 413


def test_path_tricks_reach_nothing(small_server: ThreadServer) -> None:
    import http.client

    where = urlsplit(small_server.url)
    for path in ("/static/..%2f..%2fowner.key", "/static/../../owner.key", "//etc/passwd", "/api/v1/../../owner.key"):
        line = http.client.HTTPConnection(where.hostname or "", where.port, timeout=10)
        line.request("GET", path)
        reply = line.getresponse()
        assert reply.status in (303, 400, 401, 404), path
        assert small_server.key.encode() not in reply.read()
        line.close()


def test_answers_carry_the_headers_that_keep_browsers_calm(small_server: ThreadServer) -> None:
    headers = requests.get(small_server.url + "/healthz", timeout=10).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Request-Id"]
    assert headers["Server-Timing"].startswith("app;dur=")


def test_metrics_and_health_answer(small_server: ThreadServer) -> None:
    api = Api(small_server)
    api.look_up(a_key())
    text = api("GET", "//api/v1/metrics").text
    assert "hitsave_misses_total 1" in text
    assert 'hitsave_requests_total{method="POST",route="/projects/{project}/entries:lookup",status="200"} 1' in text
    for path in ("healthz", "readyz", "version", "openapi.json"):
        assert requests.get(f"{small_server.url}/{path}", timeout=10).status_code == 200
