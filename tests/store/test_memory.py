"""The memory tier: bounded, and safe from receivers that change what they got."""

from __future__ import annotations

import threading

from hitsave.evaluation import Blob
from hitsave.store.memory import ENTRY_BYTES, MemoryStore
from hitsave.symbol import Symbol
from tests.store.contract import evaluation, key, reading


def test_the_least_recently_used_goes_first() -> None:
    store = MemoryStore(max_entries=3)
    for number in range(3):
        store.save(*evaluation(str(number)))
    store.find(key("0"))
    store.save(*evaluation("3"))
    assert [bool(store.find(key(str(number)))) for number in range(4)] == [True, False, True, True]


def test_bytes_are_bounded_too() -> None:
    store = MemoryStore(max_bytes=100_000)
    for number in range(50):
        store.save(*evaluation(str(number), data=bytes(5000)))
    stats = store.stats()
    assert stats.size_bytes <= 100_000
    assert stats.entries == 100_000 // (5000 + ENTRY_BYTES)
    for number in range(50):
        store.put_record("source", str(number), bytes(5000))
    assert store.stats().size_bytes <= 100_000
    assert store.record_names("source")


def test_what_is_too_large_for_the_whole_is_not_kept_and_replaces_nothing_stale() -> None:
    store = MemoryStore(max_bytes=100_000)
    store.save(*evaluation(data=b"small"))
    store.save(*evaluation(data=bytes(50_000)))
    assert store.find(key()) == []


def test_a_result_is_copied_where_it_could_change() -> None:
    store = MemoryStore()
    buffer = bytearray(b"before")
    for number, blob in enumerate((Blob("data", buffer, 6), Blob("data", b"", 6, (buffer,)))):
        store.save(evaluation(str(number), data=b"before")[0], blob)
    buffer[:] = b"after!"
    for number in range(2):
        kept = store.load(store.find(key(str(number)))[0])
        assert kept is not None
        assert kept.data == b"before"


def test_clearing_forgets_the_functions_that_match() -> None:
    store = MemoryStore()
    for symbol in ("a:f", "a:g", "b:f"):
        store.save(*evaluation(symbol=Symbol(symbol)))
    store.clear("a:*")
    assert [entry.key.symbol for entry in store.entries()] == ["b:f"]
    store.clear()
    assert store.stats().entries == store.stats().size_bytes == 0


def test_evicting_one_call_takes_all_its_candidates() -> None:
    store = MemoryStore(max_entries=4)
    for day in range(3):
        store.save(*evaluation(observed=reading("d.csv", str(day))))
    for number in range(2, 4):
        store.save(*evaluation(str(number)))
    assert store.find(key()) == []
    assert store.stats().entries == 2


def test_threads_may_use_it_at_once() -> None:
    store = MemoryStore(max_entries=50)

    def work(name: int) -> None:
        for number in range(300):
            mine, blob = evaluation(f"{name}-{number % 40}")
            store.save(mine, blob)
            for found in store.find(mine.key):
                assert found == mine
            store.remove(evaluation(f"{name}-{(number + 7) % 40}")[0])

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    left = list(store.entries())
    assert store.stats().entries == len(left) <= 50
    assert store.stats().size_bytes == sum(entry.size_bytes + ENTRY_BYTES for entry in left)
