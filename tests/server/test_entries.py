"""Entries: the first writer wins, observations coexist, candidates are grouped, leases keep others waiting."""

from __future__ import annotations

import base64
import threading

import sqlalchemy as sa

from hitsave.evaluation import Evaluation, FileRead, Observed
from hitsave.server.database import tables
from hitsave.wire import blob_name
from tests.server.api import Api, a_key, an_evaluation, entry_path
from tests.services import ThreadServer


def seen(digest: str, **more: object) -> Observed:
    return Observed(files=(FileRead("data.csv", digest),), **more)  # type: ignore[arg-type]


def narrowed(narrowed: str, ran: str, digest: str = "f0") -> Observed:
    return seen(digest, ran=(f"pkg.mod:{ran}",), complete=True, narrowed=narrowed)


def test_a_stored_entry_is_found_with_its_value_in_one_request(server: ThreadServer) -> None:
    api = Api(server)
    evaluation = an_evaluation(a_key(), b"value")
    assert api.put(evaluation, b"value").status_code == 201
    [answer] = api.look_up(evaluation.key)
    assert answer["status"] == "hit"
    assert base64.b64decode(answer["entries"][0]["inline"]) == b"value"
    assert answer["entries"][0]["tag"] == "k:00"


def test_a_large_value_is_uploaded_first_and_referred_to(server: ThreadServer) -> None:
    api = Api(server)
    data = bytes(range(256)) * 2000
    evaluation = an_evaluation(a_key(), data)
    early = api.put(evaluation, data, inline=False)
    assert early.status_code == 422
    assert early.json()["title"] == "blob missing"
    name = api.put_blob(data)
    assert api.put(evaluation, data, inline=False).status_code == 201
    [answer] = api.look_up(evaluation.key)
    assert "inline" not in answer["entries"][0]
    assert api("GET", f"/blobs/{name}").content == data


def test_the_first_writer_wins_and_the_second_is_kept_as_a_conflict(server: ThreadServer) -> None:
    first, second = Api(server), Api(server, server.new_key("write", "bob"))
    evaluation = an_evaluation(a_key(), b"one")
    assert first.put(evaluation, b"one").status_code == 201
    assert first.put(evaluation, b"one").status_code == 200
    for _ in range(2):
        refused = second.put(an_evaluation(a_key(), b"two"), b"two")
        assert refused.status_code == 409
        assert refused.json()["type"].endswith("/entry-conflict")
    [answer] = first.look_up(evaluation.key)
    assert [base64.b64decode(entry["inline"]) for entry in answer["entries"]] == [b"one"]
    rows = server.state.database.read_now(lambda c: c.execute(sa.select(tables.conflicts)).all())
    assert [(row.who, row.blob) for row in rows] == [("bob", blob_name(b"two"))]


def test_entries_that_observed_other_data_live_side_by_side_newest_first(server: ThreadServer) -> None:
    api = Api(server)
    for digest, data in (("d1", b"one"), ("d2", b"two")):
        assert api.put(an_evaluation(a_key(), data, seen(digest)), data).status_code == 201
    [answer] = api.look_up(a_key())
    assert [base64.b64decode(entry["inline"]) for entry in answer["entries"]] == [b"two", b"one"]


def test_a_record_of_what_ran_is_kept_beside_one_without(server: ThreadServer) -> None:
    api = Api(server)
    assert api.put(an_evaluation(a_key(), b"one", seen("d1")), b"one").status_code == 201
    assert api.put(an_evaluation(a_key(), b"one", narrowed("n1", "a", "d1")), b"one").status_code == 201
    [answer] = api.look_up(a_key())
    assert len(answer["entries"]) == 2
    assert api.put(an_evaluation(a_key(), b"other", narrowed("n1", "b", "d1")), b"other").status_code == 409


def test_candidates_under_other_code_come_with_a_miss_one_per_group(server: ThreadServer) -> None:
    api = Api(server)
    for code, observed in (
        ("v1", narrowed("n1", "a")),
        ("v2", narrowed("n1", "a")),  # the same group as v1, so only this newer one is sent
        ("v3", narrowed("n2", "b")),
        ("v4", seen("f0")),  # incomplete: can never be narrowed
    ):
        api.put(an_evaluation(a_key(code=code), b"x", observed), b"x")
    api.put(an_evaluation(a_key(1, code="v1"), b"x", narrowed("n1", "a")), b"x")
    [answer] = api.look_up(a_key(code="now"))
    assert answer["status"] == "candidates"
    assert [code_of(entry) for entry in answer["entries"]] == ["v3", "v2"]
    [answer] = api.look_up(a_key(code="now"), candidates=False)
    assert answer["status"] == "miss"


def code_of(entry: dict[str, str]) -> str:
    codes = {a_key(code=code).fingerprint: code for code in ("v1", "v2", "v3", "v4")}
    return next(code for fingerprint, code in codes.items() if fingerprint in entry["manifest"])


def test_a_miss_grants_the_lease_and_the_next_asker_hears_who_holds_it(server: ThreadServer) -> None:
    ann, bob = Api(server, server.new_key("write", "ann")), Api(server, server.new_key("write", "bob"))
    key = a_key()
    [mine] = ann.look_up(key, lease_s=60, holder="laptop:1")
    assert mine["lease"]["fence"] >= 1
    [theirs] = bob.look_up(key, lease_s=60, holder="desk:2")
    assert theirs["held"]["holder"] == "ann laptop:1"
    [again] = ann.look_up(key, lease_s=60, holder="laptop:1")
    assert again["lease"]["token"] == mine["lease"]["token"]
    ann.put(an_evaluation(key, b"x"), b"x", fence=mine["lease"]["fence"])
    [now] = bob.look_up(key, lease_s=60, holder="desk:2")
    assert now["status"] == "hit"


def test_a_read_key_is_granted_no_lease(server: ThreadServer) -> None:
    [answer] = Api(server, server.new_key("read")).look_up(a_key(), lease_s=60)
    assert answer == {"status": "miss", "entries": []}


def test_whoever_waits_for_a_lease_is_woken_when_the_entry_arrives(server: ThreadServer) -> None:
    ann, bob = Api(server, server.new_key("write", "ann")), Api(server, server.new_key("write", "bob"))
    key = a_key()
    [mine] = ann.look_up(key, lease_s=60, holder="a")
    name = mine["lease"]["name"]
    replies = []
    waiter = threading.Thread(target=lambda: replies.append(bob("GET", f"/leases/{name}?wait=20")))
    waiter.start()
    ann.put(an_evaluation(key, b"x"), b"x", fence=mine["lease"]["fence"])
    waiter.join(15)
    assert replies[0].json() == {"held": None}
    assert replies[0].elapsed.total_seconds() < 10


def test_a_late_commit_after_a_takeover_is_refused_until_the_lease_is_free(server: ThreadServer) -> None:
    ann, bob = Api(server, server.new_key("write", "ann")), Api(server, server.new_key("write", "bob"))
    key = a_key()
    [mine] = ann.look_up(key, lease_s=60, holder="a")
    lease = mine["lease"]
    assert ann("DELETE", f"/leases/{lease['name']}?token={lease['token']}").status_code == 204
    [theirs] = bob.look_up(key, lease_s=60, holder="b")
    assert theirs["lease"]["fence"] > lease["fence"]
    assert ann.put(an_evaluation(key, b"x"), b"x", fence=lease["fence"]).status_code == 412
    assert bob.put(an_evaluation(key, b"x"), b"x", fence=theirs["lease"]["fence"]).status_code == 201
    assert ann.put(an_evaluation(key, b"x"), b"x", fence=lease["fence"]).status_code == 200


def test_a_lease_lives_by_its_heartbeat_and_only_its_holder_renews_it(server: ThreadServer) -> None:
    api = Api(server)
    [answer] = api.look_up(a_key(), lease_s=60, holder="a")
    lease = answer["lease"]
    path = f"/leases/{lease['name']}"
    assert api("PUT", path, json={"token": lease["token"], "ttl_s": 30}).json()["fence"] == lease["fence"]
    assert api("PUT", path, json={"token": "00" * 16, "ttl_s": 30}).status_code == 410
    assert api("POST", path, json={"ttl_s": 30, "holder": "b"}).status_code == 409


def test_one_manifest_under_another_key_or_project_is_refused(server: ThreadServer) -> None:
    api = Api(server)
    evaluation = an_evaluation(a_key(), b"x")
    other = an_evaluation(a_key(1), b"x")
    body = {"manifest": "", "tag": ""}
    assert api("PUT", entry_path(evaluation.key), json=body).status_code == 400
    reply = api.put(evaluation, b"x")
    text = api("GET", entry_path(evaluation.key)).json()["entries"][0]["manifest"]
    assert reply.status_code == 201
    moved = api("PUT", entry_path(other.key), json={"manifest": text, "tag": "k:00"})
    assert moved.status_code == 422
    renamed = text.replace('"project":"default"', '"project":"other"')
    assert api("PUT", entry_path(evaluation.key), json={"manifest": renamed, "tag": ""}).status_code == 422


def test_a_wrong_size_or_other_inline_bytes_are_refused(server: ThreadServer) -> None:
    api = Api(server)
    wrong_size = an_evaluation(a_key(), b"x").replace(size_bytes=2)
    assert api.put(wrong_size, b"x").status_code == 422
    evaluation = an_evaluation(a_key(), b"x")
    reply = api.put(evaluation, b"x", inline=False, inline_=0)
    assert reply.status_code == 422
    other = base64.b64encode(b"y").decode()
    assert api.put(evaluation, b"x", inline=False, inline_value=other).status_code == 422
    assert api.look_up(a_key())[0]["status"] == "miss"


def test_a_writer_removes_its_own_entries_and_an_admin_any(server: ThreadServer) -> None:
    ann, bob, owner = (
        Api(server, server.new_key("write", "ann")),
        Api(server, server.new_key("write", "bob")),
        Api(server),
    )
    evaluation = an_evaluation(a_key(), b"x")
    for remover, status in ((bob, 403), (ann, 204), (ann, 404)):
        if status == 403:
            ann.put(evaluation, b"x")
        assert remover("DELETE", entry_path(evaluation.key)).status_code == status
    ann.put(evaluation, b"x")
    assert owner("DELETE", entry_path(evaluation.key)).status_code == 204
    assert owner.look_up(evaluation.key)[0]["status"] == "miss"


def test_entries_are_listed_by_glob_in_pages(server: ThreadServer) -> None:
    api = Api(server)
    for i in range(5):
        api.put(an_evaluation(a_key(i, symbol="pkg.a:f"), b"x"), b"x")
    api.put(an_evaluation(a_key(symbol="pkg.b:g"), b"x"), b"x")
    found = []
    cursor = ""
    while True:
        page = api("GET", f"/entries?pattern=pkg.a:*&limit=2&cursor={cursor}").json()
        found += page["entries"]
        cursor = page["next"]
        if not cursor:
            break
    assert len(found) == 5
    assert api("GET", "/entries?cursor=zz").status_code == 400


def test_an_entry_has_an_etag_and_304(server: ThreadServer) -> None:
    api = Api(server)
    evaluation = an_evaluation(a_key(), b"x")
    api.put(evaluation, b"x")
    etag = api("GET", entry_path(evaluation.key)).headers["ETag"]
    assert api("GET", entry_path(evaluation.key), headers={"If-None-Match": etag}).status_code == 304
    assert api("GET", entry_path(a_key(9))).status_code == 404


def test_concurrent_writers_of_one_key_leave_one_winner(server: ThreadServer) -> None:
    results: list[int] = []

    def write(i: int) -> None:
        data = f"value {i}".encode()
        results.append(
            Api(server, server.new_key("write", f"user{i}")).put(an_evaluation(a_key(), data), data).status_code
        )

    threads = [threading.Thread(target=write, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [201] + [409] * 7


def test_hits_misses_and_time_saved_are_counted(server: ThreadServer) -> None:
    api = Api(server)
    evaluation: Evaluation = an_evaluation(a_key(), b"x", elapsed_s=4.0)
    api.put(evaluation, b"x")
    for _ in range(3):
        api.look_up(evaluation.key)
    server.state.database.write_now(server.state.flush)
    stats = api("GET", "/stats?days=2").json()
    assert stats["total"]["hits"] == 3
    assert stats["total"]["saved_s"] == 12.0
