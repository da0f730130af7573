"""Several stores as one: nearest first, and what is far comes nearer."""

from __future__ import annotations

from collections.abc import Iterable

from hitsave.evaluation import Evaluation, Key
from hitsave.store.contract import Mark
from hitsave.store.memory import MemoryStore
from hitsave.store.tiers import Tiers
from tests.store.contract import F, evaluation, key, reading


class Counting(MemoryStore):
    """A memory store that counts how often it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def find(self, key: Key) -> list[Evaluation]:
        self.asked += 1
        return super().find(key)


def first(found: Iterable[Evaluation]) -> Evaluation:
    return next(iter(found))


def test_the_far_store_is_not_asked_while_the_near_one_serves() -> None:
    near, far = MemoryStore(), Counting()
    tiers = Tiers(near, far)
    tiers.save(*evaluation())
    assert first(tiers.find(key())) == evaluation()[0]
    assert far.asked == 0
    assert list(tiers.find(key())) == [evaluation()[0]]  # all of them, each once
    assert far.asked == 1


def test_an_older_evaluation_that_only_the_far_store_has_comes_after() -> None:
    near, far = MemoryStore(), MemoryStore()
    old = evaluation(observed=reading("data.csv", "old"), started=1.0)
    new = evaluation(observed=reading("data.csv", "new"), started=2.0)
    far.save(*old)
    near.save(*new)
    assert list(Tiers(near, far).find(key())) == [new[0], old[0]]
    assert list(Tiers(near, far).candidates(F, key().arguments)) == [new[0], old[0]]


def test_what_is_loaded_from_afar_is_kept_near() -> None:
    stores = [MemoryStore() for _ in range(3)]
    stores[2].save(*evaluation())
    stores[2].put_record("source", "a", b"text")
    tiers = Tiers(*stores)
    blob = tiers.load(first(tiers.find(key())))
    assert blob is not None
    assert blob.data == b"result"
    assert tiers.get_record("source", "a") == b"text"
    for store in stores:
        assert len(store.find(key())) == 1
        assert store.get_record("source", "a") == b"text"


def test_what_cannot_be_loaded_near_is_loaded_from_afar() -> None:
    class Forgetful(MemoryStore):
        def load(self, evaluation: Evaluation) -> None:
            return None

    tiers = Tiers(Forgetful(), MemoryStore())
    tiers.save(*evaluation())
    assert tiers.load(first(tiers.find(key()))) is not None


def test_removing_and_marking_reach_every_store() -> None:
    stores = [MemoryStore(), MemoryStore()]
    tiers = Tiers(*stores)
    tiers.save(*evaluation())
    mark = Mark(F, key().fingerprint)
    tiers.supersede(iter([mark]))
    tiers.put_record("source", "a", b"text")
    assert all(store.superseded() == {mark} for store in stores)
    tiers.revive(iter([mark]))
    assert tiers.remove(evaluation()[0])
    assert tiers.remove_record("source", "a")
    for store in stores:
        assert store.superseded() == frozenset()
        assert list(store.entries()) == store.record_names("source") == []


def test_no_stores_are_a_store_too() -> None:
    tiers = Tiers()
    tiers.save(*evaluation())
    assert list(tiers.find(key())) == list(tiers.entries()) == tiers.record_names("a") == []
    assert tiers.load(evaluation()[0]) is None
    assert tiers.get_record("a", "b") is None
    assert tiers.stats().entries == 0
