"""The contract of `hitsave.store.contract.Store` as tests, for any implementation.

class TestMyStore(StoreContract):
    @pytest.fixture
    def store(self): ...
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hitsave.digest import Digest, Fingerprint, digest_bytes, digest_text
from hitsave.evaluation import Blob, Child, Evaluation, FileRead, Key, Observed
from hitsave.store.contract import Mark, Store
from hitsave.symbol import Symbol

F = Symbol("pkg.mod:f")


def key(arguments: str = "1", code: str = "v1", symbol: Symbol = F) -> Key:
    return Key(symbol, Fingerprint(digest_text(code)), digest_text(arguments))


def evaluation(
    arguments: str = "1",
    code: str = "v1",
    *,
    symbol: Symbol = F,
    data: bytes = b"result",
    started: float = 1.7e9,
    codec: str = "data",
    observed: Observed | None = None,
    **more: Any,
) -> tuple[Evaluation, Blob]:
    """An evaluation with its blob; `observed` defaults to one that ran `symbol` alone."""
    observed = observed if observed is not None else Observed(ran=(symbol,), complete=True, narrowed=digest_text(code))
    more = {"elapsed_s": 0.25, "title": f"f(x={arguments})", **more}
    found = Evaluation(
        key(arguments, code, symbol), observed, codec, digest_bytes(data), len(data), started, **more
    )  # fmt: skip
    return found, Blob(codec, data, len(data))


def reading(path: str, content: str) -> Observed:
    return Observed(files=(FileRead(path, digest_text(content)),), ran=(F,))


RICH = Observed(
    files=(FileRead("data.csv", digest_text("a,b")), FileRead("gone.txt", Digest(""), "absent")),
    environment=(("HOME", digest_text("/root")), ("LANG", "")),
    live=((Symbol("pkg.mod:TABLE"), digest_text("table")),),
    children=(
        Child(Symbol("pkg.mod:g"), digest_text("7"), digest_text("49"), b"\x00call"),
        Child(Symbol("pkg.mod:h"), digest_text("8"), digest_text("64")),
    ),
    ran=tuple(Symbol(f"pkg.mod:Class{i}.méthode") for i in range(60)),
    reached=(Symbol("pkg.mod:Class3.méthode"),),
    complete=True,
    incomplete_because="",
    narrowed=digest_text("narrowed"),
    impurities=("clock", "network"),
    below_files=(FileRead("below.csv", digest_text("c")),),
    below_environment=(("TZ", digest_text("UTC")),),
    below_live=((Symbol("pkg.low:X"), digest_text("x")),),
    carried=(Symbol("pkg.mod:Handed"),),
    earlier=(Symbol("pkg.mod:set_up"), Symbol("pkg.mod:warm")),
)


class StoreContract:
    """What every store must do. `store` is a fixture of the subclass."""

    def test_what_was_saved_is_found_and_loaded(self, store: Store) -> None:
        saved, blob = evaluation()
        store.save(saved, blob)
        (found,) = store.find(key())
        assert found == saved
        assert self.loaded(store, found) == b"result"

    def test_a_key_that_was_not_saved_is_not_found(self, store: Store) -> None:
        store.save(*evaluation())
        for other in (key("2"), key(code="v2"), key(symbol=Symbol("pkg.mod:g"))):
            assert list(store.find(other)) == []
            if other.arguments != key().arguments or other.symbol != F:
                assert list(store.candidates(other.symbol, other.arguments)) == []

    def test_every_field_survives(self, store: Store) -> None:
        saved, blob = evaluation(
            observed=RICH,
            elapsed_s=86_400.5,
            is_experiment=True,
            title="f(x='ü=1')",
            preview="‘préview’",
            details='{"a": 1}',
            codec="pickle5",
        )
        store.save(saved, blob)
        assert list(store.find(saved.key)) == [saved]
        assert list(store.entries()) == [saved]

    def test_texts_of_any_length_survive(self, store: Store) -> None:
        for number, (title, preview) in enumerate(
            [("", ""), ("f", "x" * 300), ("f(" + "y" * 5000 + ")", ""), ("f(x=1, y=2)", "3")]
        ):
            saved, blob = evaluation(str(number), title=title, preview=preview)
            store.save(saved, blob)
            assert list(store.find(saved.key)) == [saved]

    def test_results_of_any_size_survive(self, store: Store) -> None:
        for size in (0, 1, 1023, 1024, 1025, 5000, 131_072, 131_073, 1_000_000):
            for codec in ("data", "pickle5"):
                data = bytes(i * 7 % 251 for i in range(min(size, 1000))) * (size // 1000 + 1)
                saved, blob = evaluation(f"{size} {codec}", data=data[:size], codec=codec)
                store.save(saved, blob)
                (found,) = store.find(saved.key)
                assert found == saved
                assert self.loaded(store, found) == data[:size]

    def test_a_result_digest_that_is_not_of_its_bytes_survives(self, store: Store) -> None:
        for number, digest in enumerate((Digest(""), digest_text("of the value"))):
            saved, blob = evaluation(str(number))
            saved = saved.replace(result=digest)
            store.save(saved, blob)
            assert list(store.find(saved.key)) == [saved]

    def test_candidates_are_those_of_any_code_newest_first(self, store: Store) -> None:
        saved = [evaluation(code=f"v{i}", started=1.7e9 + i) for i in (2, 0, 1)]
        for pair in saved:
            store.save(*pair)
        store.save(*evaluation("other"))
        found = list(store.candidates(F, key().arguments))
        assert [e.started - 1.7e9 for e in found] == [2, 1, 0]
        assert {e.key.fingerprint for e in found} == {e.key.fingerprint for e, _ in saved}

    def test_candidates_are_chosen_by_what_they_observed(self, store: Store) -> None:
        saved = [evaluation(code=f"v{i}", started=1.7e9 + i) for i in range(4)]
        other = evaluation(code="v9", observed=reading("data.csv", "old"))
        for pair in (*saved, other):
            store.save(*pair)

        def wanted(observed: Observed, narrowed: str) -> bool:
            return observed.complete and observed.ran == (F,) and narrowed in (digest_text("v1"), digest_text("v3"))

        assert list(store.candidates(F, key().arguments, wanted)) == [saved[3][0], saved[1][0]]
        assert list(store.candidates(F, key().arguments, lambda observed, narrowed: not narrowed)) == [other[0]]

    def test_evaluations_that_observed_different_things_live_under_one_key(self, store: Store) -> None:
        old = evaluation(observed=reading("data.csv", "old"), data=b"old", started=1.0)
        new = evaluation(observed=reading("data.csv", "new"), data=b"new", started=2.0)
        store.save(*old)
        store.save(*new)
        found = list(store.find(key()))
        assert found == [new[0], old[0]]
        assert [self.loaded(store, e) for e in found] == [b"new", b"old"]

    def test_saving_the_same_observations_again_replaces(self, store: Store) -> None:
        store.save(*evaluation(data=b"first", started=1.0))
        later = evaluation(data=b"second", started=2.0)
        store.save(*later)
        (found,) = store.find(key())
        assert found == later[0]
        assert self.loaded(store, found) == b"second"
        assert len(list(store.entries())) == 1

    def test_an_equal_evaluation_that_was_made_elsewhere_can_be_loaded(self, store: Store) -> None:
        saved, blob = evaluation(data=b"x" * 200_000)
        store.save(saved, blob)
        store.save(*evaluation("2"))
        list(store.find(key("2")))
        assert self.loaded(store, saved.replace()) == blob.data

    def test_what_was_not_saved_can_not_be_loaded(self, store: Store) -> None:
        assert store.load(evaluation()[0]) is None

    def test_what_was_asked_for_in_vain_is_found_once_it_is_saved(self, store: Store) -> None:
        saved, blob = evaluation(data=b"x" * 3000)
        assert store.load(saved) is None
        assert not store.remove(saved)
        store.save(saved, blob)
        assert list(store.find(key())) == [saved]
        assert self.loaded(store, saved) == blob.data

    def test_a_removed_evaluation_is_gone_and_its_neighbours_stay(self, store: Store) -> None:
        old = evaluation(observed=reading("data.csv", "old"), started=1.0)
        new = evaluation(observed=reading("data.csv", "new"), started=2.0)
        store.save(*old)
        store.save(*new)
        assert store.remove(new[0])
        assert not store.remove(new[0])
        assert list(store.find(key())) == [old[0]]

    def test_entries_are_chosen_by_a_pattern_on_the_symbol(self, store: Store) -> None:
        for symbol in ("pkg.a:f", "pkg.a:g", "pkg.b:f"):
            store.save(*evaluation(symbol=Symbol(symbol)))
        assert self.symbols(store.entries("pkg.a:*")) == ["pkg.a:f", "pkg.a:g"]
        assert self.symbols(store.entries("*:f")) == ["pkg.a:f", "pkg.b:f"]
        assert len(self.symbols(store.entries())) == 3

    def test_marks_are_kept_and_taken_back_and_do_not_hide_a_result(self, store: Store) -> None:
        mark, other = Mark(F, key().fingerprint), Mark(F, key(code="v2").fingerprint)
        store.save(*evaluation())
        store.supersede([mark, other])
        store.supersede([mark])
        assert store.superseded() == {mark, other}
        assert len(list(store.find(key()))) == 1
        store.revive([mark])
        assert store.superseded() == {other}

    def test_records_are_kept_by_kind_and_name(self, store: Store) -> None:
        assert store.get_record("summary", "a") is None
        store.put_record("summary", "a", b"1")
        store.put_record("closure", "a", b"2")
        store.put_record("summary", "ä b", b"\x00" * 200_000)
        store.put_record("summary", "a", b"3")
        assert store.get_record("summary", "a") == b"3"
        assert store.get_record("closure", "a") == b"2"
        assert store.get_record("summary", "ä b") == b"\x00" * 200_000
        assert store.record_names("summary") == ["a", "ä b"]
        assert store.remove_record("summary", "a")
        assert not store.remove_record("summary", "a")
        assert store.record_names("summary") == ["ä b"]

    def test_a_closed_store_opens_again_when_it_is_used(self, store: Store) -> None:
        store.save(*evaluation())
        store.close()
        store.close()
        assert len(list(store.find(key()))) == 1

    def test_statistics_count_what_is_there(self, store: Store) -> None:
        store.save(*evaluation("1"))
        store.save(*evaluation("2", is_experiment=True))
        store.put_record("summary", "a", b"1")
        stats = store.stats()
        assert (stats.entries, stats.experiments, stats.records) == (2, 1, 1)
        assert stats.size_bytes > 0
        assert (stats.refused, stats.troubles) == (0, 0)

    def loaded(self, store: Store, found: Evaluation) -> bytes:
        blob = store.load(found)
        assert blob is not None
        assert (blob.codec, blob.size_bytes) == (found.codec, found.size_bytes)
        return bytes(memoryview(blob.data))

    def symbols(self, evaluations: Iterable[Evaluation]) -> list[str]:
        return sorted(e.key.symbol for e in evaluations)
