"""Blobs: only what its name says, whole or in ranges, seen by the projects that have a reason to, resumable."""

from __future__ import annotations

import base64
import hashlib
import socket
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa

from hitsave.server.database.tables import blobs
from hitsave.wire import blob_name
from tests.server.api import Api, a_key, an_evaluation
from tests.services import ThreadServer

SMALL = b"small value"
LARGE = bytes(range(256)) * 4096  # 1 MiB


@pytest.mark.parametrize("data", [b"", SMALL, LARGE], ids=["empty", "small", "large"])
def test_a_blob_comes_back_as_it_was_sent(server: ThreadServer, data: bytes) -> None:
    api = Api(server)
    name = api.put_blob(data)
    reply = api("GET", f"/blobs/{name}")
    assert reply.content == data
    assert reply.headers["ETag"] == f'"{name}"'
    digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
    assert reply.headers["Repr-Digest"] == f"sha-256=:{digest}:"
    head = api("HEAD", f"/blobs/{name}")
    assert (head.content, head.headers["Content-Length"]) == (b"", str(len(data)))
    assert api("GET", f"/blobs/{name}", headers={"If-None-Match": f'"{name}"'}).status_code == 304


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [("0-0", 0, 1), ("3-6", 3, 7), ("5-", 5, None), ("-4", -4, None), ("2-99999999", 2, None)],
)
def test_a_range_gives_just_these_bytes(server: ThreadServer, data: bytes, asked: str, start: int, stop: int) -> None:
    api = Api(server)
    name = api.put_blob(data)
    reply = api("GET", f"/blobs/{name}", headers={"Range": f"bytes={asked}"})
    assert reply.status_code == 206
    assert reply.content == data[start:stop]
    assert reply.headers["Content-Range"].endswith(f"/{len(data)}")


@pytest.mark.parametrize(("asked", "status"), [("99-", 416), ("-0", 416), ("5-2", 200), ("x", 200), ("0-1,3-4", 200)])
def test_a_range_that_cannot_be_met_is_416_and_one_not_understood_is_ignored(
    small_server: ThreadServer, asked: str, status: int
) -> None:
    api = Api(small_server)
    name = api.put_blob(SMALL)
    assert api("GET", f"/blobs/{name}", headers={"Range": f"bytes={asked}"}).status_code == status


def test_bytes_that_are_not_what_their_name_says_are_refused_and_leave_nothing(server: ThreadServer) -> None:
    api = Api(server)
    for data in (SMALL, LARGE):
        reply = api("PUT", f"/blobs/{blob_name(data)}", data=data[:-1] + b"!")
        assert reply.status_code == 400
        assert reply.json()["type"].endswith("/digest-mismatch")
        assert api("GET", f"/blobs/{blob_name(data)}").status_code == 404
    assert list(server.state.blobs.names()) == []
    assert spooled(server) == []


def address(server: ThreadServer) -> tuple[str, int]:
    where = urlsplit(server.url)
    return where.hostname or "", where.port or 80


def spooled(server: ThreadServer) -> list[str]:
    return [path.name for path in server.state.blobs.spool.iterdir()]


def test_a_body_without_a_length_is_refused(server: ThreadServer) -> None:
    api = Api(server)
    reply = api("PUT", f"/blobs/{blob_name(SMALL)}", data=iter([SMALL]))
    assert reply.status_code == 411


def test_a_body_that_breaks_off_leaves_nothing(server: ThreadServer) -> None:
    where = address(server)
    name = blob_name(LARGE)
    with socket.create_connection(where) as line:
        head = f"PUT /api/v1/projects/default/blobs/{name} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        head += f"Authorization: Bearer {server.key}\r\nContent-Length: {len(LARGE)}\r\n\r\n"
        line.sendall(head.encode() + LARGE[:300_000])
    Api(server).put_blob(SMALL)  # a later request, so the server has had its turn
    assert Api(server)("GET", f"/blobs/{name}").status_code == 404
    from tests.services import wait_until

    wait_until(lambda: spooled(server) == [])


def test_a_known_blob_is_answered_before_its_body_is_sent(server: ThreadServer) -> None:
    Api(server).put_blob(LARGE)
    where = address(server)
    with socket.create_connection(where, timeout=10) as line:
        head = f"PUT /api/v1/projects/default/blobs/{blob_name(LARGE)} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        head += f"Authorization: Bearer {server.key}\r\nContent-Length: {len(LARGE)}\r\nExpect: 100-continue\r\n\r\n"
        line.sendall(head.encode())
        assert line.recv(200).startswith(b"HTTP/1.1 200")


def test_a_blob_above_the_limit_is_refused_before_it_is_read(tmp_path: object, small_server: ThreadServer) -> None:
    where = address(small_server)
    with socket.create_connection(where, timeout=10) as line:
        head = f"PUT /api/v1/projects/default/blobs/{blob_name(SMALL)} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        head += f"Authorization: Bearer {small_server.key}\r\nContent-Length: {6 << 30}\r\nExpect: 100-continue\r\n\r\n"
        line.sendall(head.encode())
        assert line.recv(200).startswith(b"HTTP/1.1 413")


def test_another_project_does_not_see_a_blob_until_it_uploads_the_bytes_itself(server: ThreadServer) -> None:
    owner = Api(server)
    assert owner("PUT", "//api/v1/projects/other", json={}).status_code == 201
    other = Api(server, project="other")
    name = owner.put_blob(LARGE)
    assert other("GET", f"/blobs/{name}").status_code == 404
    assert other("POST", "/blobs:missing", json={"blobs": [name]}).json() == {"missing": [name]}
    evaluation = an_evaluation(a_key(), LARGE)
    assert other.put(evaluation, LARGE, inline=False).status_code == 422
    other.put_blob(LARGE)
    assert other("GET", f"/blobs/{name}").content == LARGE
    assert other.put(evaluation, LARGE, inline=False).status_code == 201
    count = server.state.database.read_now(
        lambda c: c.execute(sa.select(sa.func.count()).select_from(blobs)).scalar_one()
    )
    assert count == 1


def test_an_upload_in_pieces_goes_on_where_it_stopped(server: ThreadServer) -> None:
    api = Api(server)
    name = blob_name(LARGE)
    begun = api("POST", "/uploads", json={"blob": name, "size_bytes": len(LARGE)})
    assert begun.status_code == 201
    path = f"/uploads/{begun.json()['id']}"
    assert send(api, path, 0, LARGE[:400_000]).headers["Upload-Offset"] == "400000"
    assert api("HEAD", path).headers["Upload-Offset"] == "400000"
    wrong = send(api, path, 10, b"xx")
    assert (wrong.status_code, wrong.json()["offset"]) == (409, 400_000)
    assert api("PUT", f"{path}/complete").status_code == 409
    send(api, path, 400_000, LARGE[400_000:])
    assert api("PUT", f"{path}/complete").status_code == 201
    assert api("GET", f"/blobs/{name}").content == LARGE
    assert api("HEAD", path).status_code == 404
    again = api("POST", "/uploads", json={"blob": name, "size_bytes": len(LARGE)})
    assert (again.status_code, again.json()["new"]) == (200, False)


def send(api: Api, path: str, offset: int, data: bytes):  # type: ignore[no-untyped-def]
    return api("PATCH", path, data=data, headers={"Upload-Offset": str(offset)})


def test_pieces_that_add_up_to_something_else_are_thrown_away(server: ThreadServer) -> None:
    api = Api(server)
    begun = api("POST", "/uploads", json={"blob": blob_name(LARGE), "size_bytes": 4}).json()
    path = f"/uploads/{begun['id']}"
    assert send(api, path, 0, b"too long").status_code == 400
    assert send(api, path, 0, b"evil").status_code == 204
    assert api("PUT", f"{path}/complete").json()["type"].endswith("/digest-mismatch")
    assert api("HEAD", path).status_code == 404
    assert spooled(server) == []
    begun = api("POST", "/uploads", json={"blob": blob_name(LARGE), "size_bytes": 4}).json()
    assert api("DELETE", f"/uploads/{begun['id']}").status_code == 204


def test_a_presigned_url_reads_from_the_object_storage_only(server: ThreadServer) -> None:
    import requests

    api = Api(server)
    name = api.put_blob(LARGE)
    reply = api("POST", f"/blobs/{name}:presign")
    if server.settings.blobs_url:
        assert requests.get(reply.json()["url"], timeout=10).content == LARGE
    else:
        assert reply.status_code == 501


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "sha256-..%2f..%2fetc", "sha256-" + "A" * 64, "x", "sha256-" + "0" * 63]
)
def test_a_name_that_is_no_digest_is_not_found_and_never_a_path(small_server: ThreadServer, name: str) -> None:
    api = Api(small_server)
    assert api("GET", f"/blobs/{name}").status_code == 404
    assert api("PUT", f"/blobs/{name}", data=b"x").status_code in (404, 405)
