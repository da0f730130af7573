"""Push and pull of whole stores."""

from __future__ import annotations

from pathlib import Path

from hitsave.cloud.sync import Synced, pull, push
from hitsave.digest import digest_bytes
from hitsave.evaluation import Evaluation
from hitsave.explain.record import CodeState, encode_code
from hitsave.store.disk import DiskStore
from tests.cloud.team import MANY, Team, a_blob
from tests.server.api import a_key, an_evaluation


def a_disk(team: Team, name: str) -> DiskStore:
    return DiskStore(str(team.homes / name / "cache"), str(team.homes / name / "config"))


def some_results() -> list[tuple[Evaluation, bytes]]:
    values = [b"one", b"two", MANY, b"four"]
    return [
        (an_evaluation(a_key(i, symbol=f"pkg.m{i % 2}:f"), d).replace(result=digest_bytes(d)), d)
        for i, d in enumerate(values)
    ]


def test_what_is_pushed_from_one_store_is_pulled_into_another_once(small_team: Team, tmp_path: Path) -> None:
    here, there = a_disk(small_team, "ann"), a_disk(small_team, "bob")
    ann = small_team.store("ann", local=here)
    bob = small_team.store("bob", local=there)
    results = some_results()
    for evaluation, data in results:
        here.save(evaluation, a_blob(data))
    fingerprint = results[0][0].key.fingerprint
    code = encode_code(CodeState((("pkg.m0:f", "d"),), (), (("pkg.m0", digest_bytes(b"source")),)))  # type: ignore[arg-type]
    here.put_record("closure", fingerprint, code)
    here.put_record("source", digest_bytes(b"source"), b"zipped")
    assert push(ann, here) == Synced(4, 0, 0)
    assert push(ann, here) == Synced(0, 4, 0)
    assert pull(bob, there, "pkg.m0:*") == Synced(2, 0, 0)
    assert pull(bob, there) == Synced(2, 2, 0)
    for evaluation, data in results:
        [found] = there.find(evaluation.key)
        blob = there.load(found)
        assert blob is not None
        assert bytes(blob.data) == data
    assert there.get_record("closure", fingerprint) == code
    assert there.get_record("source", digest_bytes(b"source")) == b"zipped"


def test_a_result_that_was_there_with_another_value_is_counted_as_failed(small_team: Team) -> None:
    one, two = a_disk(small_team, "ann"), a_disk(small_team, "bob")
    for disk, data in ((one, b"one"), (two, b"two")):
        disk.save(an_evaluation(a_key(), data).replace(result=digest_bytes(data)), a_blob(data))
    assert push(small_team.store("ann", local=one), one) == Synced(1, 0, 0)
    assert push(small_team.store("bob", local=two), two) == Synced(0, 0, 1)
