"""The cloud tier as a store: sharing, trust, single flight, modes."""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from hitsave.cloud.signing import create_team_key
from hitsave.errors import StoreWarning, UntrustedEntry
from hitsave.evaluation import FileRead, Observed
from hitsave.explain.record import CodeState, decode_code, encode_code
from hitsave.server.database import tables
from tests.cloud.team import MANY, Team, a_blob, load_bytes, share
from tests.server.api import Api, a_key, an_evaluation
from tests.services import ThreadServer, wait_until


@pytest.mark.parametrize("data", [b"", b"small", MANY], ids=["empty", "small", "large"])
def test_what_one_computes_another_finds(team: Team, data: bytes) -> None:
    ann, bob = team.store("ann"), team.store("bob")
    evaluation = an_evaluation(a_key(), data, Observed(files=(FileRead("a.csv", "d1"),)))  # type: ignore[arg-type]
    assert ann.find(evaluation.key) == []
    share(ann, evaluation, data)
    assert bob.find(evaluation.key) == [evaluation]
    assert load_bytes(bob, evaluation) == data


def test_a_small_hit_and_a_miss_are_one_request_each(small_team: Team) -> None:
    ann, bob = small_team.store("ann"), small_team.store("bob")
    evaluation = an_evaluation(a_key(), b"x")
    share(ann, evaluation, b"x")
    before = requests_served(small_team.server)
    bob.load(bob.find(evaluation.key)[0])
    assert requests_served(small_team.server) - before == 1
    bob.find(a_key(1))
    bob.candidates(a_key(1).symbol, a_key(1).arguments)
    bob.find(a_key(1))
    assert requests_served(small_team.server) - before == 2


def requests_served(server: ThreadServer) -> int:
    return sum(server.state.metrics.requests.values())


def test_candidates_under_other_code_are_found(team: Team) -> None:
    ann, bob = team.store("ann"), team.store("bob")
    observed = Observed(ran=("pkg.mod:train",), complete=True, narrowed="n1")  # type: ignore[arg-type]
    evaluation = an_evaluation(a_key(code="old"), b"x", observed)
    share(ann, evaluation, b"x")
    new = a_key(code="new")
    assert bob.find(new) == []
    assert bob.candidates(new.symbol, new.arguments) == [evaluation]
    assert load_bytes(bob, evaluation) == b"x"
    fresh = team.store("carl")
    assert fresh.candidates(new.symbol, new.arguments) == [evaluation]


def test_a_result_signed_with_a_foreign_key_is_a_miss_said_once(small_team: Team) -> None:
    stranger = small_team.store("eve", trusted=False)
    evaluation = an_evaluation(a_key(), b"x")
    share(stranger, evaluation, b"x")
    ann = small_team.store("ann")
    with pytest.warns(StoreWarning, match="hitsave|key"):
        assert ann.find(evaluation.key) == []
    assert ann.find(a_key(2)) == []
    strict = small_team.store("bob", strict=True)
    with pytest.raises(UntrustedEntry):
        strict.find(evaluation.key)


def test_keys_rotate_and_old_results_stay_good(small_team: Team) -> None:
    ann, bob = small_team.store("ann"), small_team.store("bob")
    old, new = an_evaluation(a_key(), b"old"), an_evaluation(a_key(1), b"new")
    share(ann, old, b"old")
    create_team_key(str(small_team.homes / "ann" / "config"))
    ann.signer.reload()
    share(ann, new, b"new")
    assert ann.find(old.key) == [old]
    assert ann.find(new.key) == [new]
    assert bob.find(old.key) == [old]
    with pytest.warns(StoreWarning):
        assert bob.find(new.key) == []


def tamper(server: ThreadServer, **changes: object) -> None:
    server.state.database.write_now(lambda c: c.execute(sa.update(tables.entries).values(**changes)))


def test_whatever_a_server_changes_is_a_miss_and_never_a_value(small_team: Team) -> None:
    ann = small_team.store("ann")
    one, two = an_evaluation(a_key(), b"one"), an_evaluation(a_key(1), b"two")
    share(ann, one, b"one")
    share(ann, two, b"two")
    api = Api(small_team.server)
    entries = {k: api("GET", path).json()["entries"][0] for k, path in ((1, path_of(one)), (2, path_of(two)))}
    manifest, tag = entries[1]["manifest"], entries[1]["tag"]
    lies = [
        {"tag": entries[2]["tag"]},
        {"tag": ""},
        {"tag": tag.replace(tag[:16], "0" * 16)},
        {"manifest": entries[2]["manifest"], "tag": entries[2]["tag"]},  # well signed, but for another call
        {"manifest": manifest.replace("plain-1", "pickle5-1")},
        {"manifest": manifest + " "},
        {"manifest": manifest[:-1]},
        *({"manifest": flip(manifest, i)} for i in range(0, len(manifest), 7)),
    ]
    bob = small_team.store("bob")
    with pytest.warns(StoreWarning):
        for i, lie in enumerate(lies):
            tamper(small_team.server, **{"manifest": manifest, "tag": tag, **lie})
            bob._misses.clear()
            assert bob.find(one.key) == [], f"lie {i}"
    assert bob.trouble.refused >= len(lies)
    tamper(small_team.server, manifest=manifest, tag=tag)
    bob._misses.clear()
    assert bob.find(one.key) == [one]


def path_of(evaluation: object) -> str:
    from tests.server.api import entry_path

    return entry_path(evaluation.key)  # type: ignore[attr-defined]


def flip(text: str, at: int) -> str:
    return text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :]


@pytest.mark.parametrize("data", [b"small", MANY], ids=["inline", "blob"])
def test_other_bytes_than_were_signed_are_never_given_out(small_team: Team, data: bytes) -> None:
    ann, bob = small_team.store("ann"), small_team.store("bob")
    evaluation = an_evaluation(a_key(), data)
    share(ann, evaluation, data)
    other = data[:-1] + b"!"
    with small_team.server.state.database.transaction() as connection:
        connection.execute(sa.update(tables.blobs).where(tables.blobs.c.data.isnot(None)).values(data=other))
    for path in small_team.server.state.blobs.spool.parent.glob("??/*"):
        path.write_bytes(other)
    [found] = bob.find(evaluation.key)
    with pytest.warns(StoreWarning, match="not what was signed"):
        assert bob.load(found) is None


def test_a_second_asker_waits_for_the_first_and_gets_its_result(team: Team) -> None:
    ann, bob = team.store("ann"), team.store("bob")
    evaluation = an_evaluation(a_key(), b"x")
    assert ann.find(evaluation.key) == []
    found: list[object] = []
    waiter = threading.Thread(target=lambda: found.extend(bob.find(evaluation.key)))
    waiter.start()
    share(ann, evaluation, b"x")
    waiter.join(10)
    assert found == [evaluation]


def test_a_lease_given_back_lets_the_waiter_compute(team: Team) -> None:
    ann, bob = team.store("ann"), team.store("bob", wait_s=20.0)
    key = a_key()
    ann.find(key)
    done = threading.Event()

    def wait() -> None:
        bob.find(key)
        done.set()

    waiter = threading.Thread(target=wait)
    waiter.start()
    ann.abandon(key)
    assert done.wait(10)
    assert bob.leases.any
    waiter.join()


def test_a_holder_that_died_is_waited_for_no_longer_than_its_lease(small_team: Team) -> None:
    ann, bob = small_team.store("ann", lease_s=1), small_team.store("bob", wait_s=30.0)
    key = a_key()
    ann.find(key)
    ann.leases.drop(next(iter(ann.leases._leases)))  # its heart stops
    began = time.monotonic()
    assert bob.find(key) == []
    assert time.monotonic() - began < 5
    assert bob.leases.any


def test_a_beating_heart_keeps_a_short_lease(small_team: Team) -> None:
    ann, bob = small_team.store("ann", lease_s=1), small_team.store("bob", wait_s=2.5)
    key = a_key()
    ann.find(key)
    began = time.monotonic()
    assert bob.find(key) == []
    assert time.monotonic() - began > 2
    assert not bob.leases.any
    began = time.monotonic()
    assert bob.find(a_key(1)) == []  # after one wait in vain it doesn't wait again for a while
    assert time.monotonic() - began < 1


def test_two_who_wait_for_each_other_both_go_on(small_team: Team) -> None:
    ann, bob = small_team.store("ann", lease_s=1), small_team.store("bob", lease_s=1)
    ann.find(a_key(1))
    bob.find(a_key(2))
    done = []
    threads = [
        threading.Thread(target=lambda: done.append(ann.find(a_key(2)))),
        threading.Thread(target=lambda: done.append(bob.find(a_key(1)))),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(15)
    assert done == [[], []]


def test_pull_never_uploads_and_push_never_asks(small_team: Team) -> None:
    evaluation = an_evaluation(a_key(), b"x")
    puller = small_team.store("ann", mode="pull")
    puller.save(evaluation, a_blob(b"x"))
    assert puller.waiting() == 0
    assert puller.find(evaluation.key) == []
    assert not puller.leases.any
    pusher = small_team.store("bob", mode="push")
    share(pusher, evaluation, b"x")
    assert pusher.find(evaluation.key) == []
    puller._misses.clear()
    assert puller.find(evaluation.key) == [evaluation]


def test_a_read_only_key_uses_results_and_says_once_that_it_cannot_add_any(small_team: Team) -> None:
    ann = small_team.store("ann")
    evaluation = an_evaluation(a_key(), b"x")
    share(ann, evaluation, b"x")
    ci = small_team.store("ci", key=small_team.server.new_key("read", "ci"))
    assert ci.find(evaluation.key) == [evaluation]
    with pytest.warns(StoreWarning, match="refuses our uploads"):
        ci.save(an_evaluation(a_key(1), b"y"), a_blob(b"y"))
        wait_until(lambda: ci.trouble.count > 0)


def test_a_revoked_key_is_said_once_and_not_tried_again(small_team: Team) -> None:
    ann = small_team.store("ann", key="hs_read_" + "x" * 32 + "_00000000")
    with pytest.warns(StoreWarning, match="401"):
        assert ann.find(a_key()) == []
    before = requests_served(small_team.server)
    assert ann.find(a_key(1)) == []
    assert requests_served(small_team.server) == before


def test_another_result_for_the_same_call_becomes_a_conflict_and_the_first_stays(small_team: Team) -> None:
    ann, bob = small_team.store("ann"), small_team.store("bob")
    first, second = an_evaluation(a_key(), b"one"), an_evaluation(a_key(), b"two")
    share(ann, first, b"one")
    share(bob, second, b"two")
    assert bob.uploader.conflicts == 1
    carl = small_team.store("carl")
    assert carl.find(first.key) == [first]


def test_records_travel_so_that_a_colleague_can_be_told_why(team: Team) -> None:
    ann, bob = team.store("ann"), team.store("bob")
    state = CodeState((("m:f", "d1"),), (("numpy", "2.0"),), (("m", "s1"),))  # type: ignore[arg-type]
    ann.put_record("closure", "f00d", encode_code(state))
    ann.put_record("source", "s1", b"compressed")
    ann.put_record("summary", "s1", b"stays here")
    assert ann.flush(10)
    found = bob.get_record("closure", "f00d")
    assert found is not None
    assert decode_code(found) == state
    assert bob.get_record("source", "s1") == b"compressed"
    assert bob.get_record("summary", "s1") is None
    with team.server.state.database.transaction() as connection:
        connection.execute(sa.update(tables.records).values(data=b"other"))
    with pytest.warns(StoreWarning):
        assert bob.get_record("source", "s1") is None


def test_everything_on_the_server_can_be_listed(small_team: Team) -> None:
    ann, bob = small_team.store("ann"), small_team.store("bob")
    stored = [an_evaluation(a_key(i, symbol=f"pkg.m{i % 2}:f"), b"x") for i in range(5)]
    for evaluation in stored:
        ann.save(evaluation, a_blob(b"x"))
    assert ann.flush(10)
    assert set(bob.entries()) == set(stored)
    assert len(list(bob.entries("pkg.m1:*"))) == 2
    assert ann.remove(stored[0])
    assert set(bob.entries()) == set(stored[1:])


def test_running_and_failed_experiments_are_announced(small_team: Team) -> None:
    ann = small_team.store("ann")
    api = Api(small_team.server)
    run_id = ann.announce(a_key(), "train(lr=0.1)")
    wait_until(lambda: api("GET", "/runs").json()["runs"])
    assert api("GET", "/runs").json()["runs"][0]["status"] == "running"
    ann.conclude(run_id, "Traceback: boom")
    wait_until(lambda: api("GET", "/runs").json()["runs"][0]["status"] == "failed")
    assert api("GET", "/runs").json()["runs"][0]["error"] == "Traceback: boom"


def test_nothing_is_opened_before_the_first_question(tmp_path: Path) -> None:
    from hitsave.cloud.store import CloudSettings, CloudStore

    store = CloudStore(
        CloudSettings("http://127.0.0.1:9", "k"), config_dir=str(tmp_path / "c"), outbox_dir=str(tmp_path / "o")
    )
    assert not (tmp_path / "o").exists()
    store.outbox.close()


def test_a_forged_row_in_the_outbox_is_dropped_not_signed(small_team: Team) -> None:
    ann = small_team.store("ann")
    evaluation = an_evaluation(a_key(), b"x")
    ann.uploader.close()
    ann.save(evaluation, a_blob(b"x"))
    path = small_team.homes / "ann" / "outbox" / "outbox.db"
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE jobs SET data = ?", (b"evil",))
    connection.close()
    again = small_team.store("ann")
    assert again.uploader.drain() == 0
    assert again.waiting() == 0
    assert Api(small_team.server).look_up(evaluation.key)[0]["status"] == "miss"
