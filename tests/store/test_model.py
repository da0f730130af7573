"""Any sequence of operations leaves each store as a dict would be (Hypothesis, stateful)."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hitsave.digest import digest_bytes
from hitsave.evaluation import Blob, Evaluation, Observed
from hitsave.store.collect import Limits, collect
from hitsave.store.contract import Mark, Store
from hitsave.store.disk import DiskStore
from hitsave.store.memory import MemoryStore
from hitsave.store.tiers import Tiers
from hitsave.symbol import Symbol
from tests.store.contract import RICH, evaluation, key, reading

SYMBOLS = [Symbol("pkg.mod:f"), Symbol("pkg.mod:g"), Symbol("other:<module>")]
symbols = st.sampled_from(SYMBOLS)
arguments = st.sampled_from(["1", "2", "x"])
codes = st.sampled_from(["v1", "v2", "v3"])
observations = st.sampled_from([Observed(), RICH, reading("a.csv", "1"), reading("a.csv", "2")])
results = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"x" * 1024, b"y" * 1025, b"z" * 4000, bytes(131_072), b"w" * 131_073, b"v" * 200_000]),
)
texts = st.one_of(st.just("f(x=1)"), st.text(max_size=20).map(lambda t: f"f(a={t})"), st.text(max_size=300))
names = st.text(min_size=1, max_size=6)
kinds = st.sampled_from(["source", "closure"])


class StoreMachine(RuleBasedStateMachine):
    """One store beside a dict. `collects`: collection without limits may run at any time."""

    def make(self) -> Store:
        raise NotImplementedError

    def __init__(self) -> None:
        super().__init__()
        self.store = self.make()
        self.entries: dict[tuple[Any, Observed], tuple[Evaluation, bytes]] = {}
        self.records: dict[tuple[str, str], bytes] = {}
        self.marks: set[Mark] = set()
        self.clock = 0.0

    @rule(
        symbol=symbols, arguments=arguments, code=codes, observed=observations, data=results, title=texts,
        preview=st.sampled_from(["", "3"]), codec=st.sampled_from(["data", "pickle5"]), experiment=st.booleans(),
    )  # fmt: skip
    def save(
        self, symbol: Symbol, arguments: str, code: str, observed: Observed, data: bytes, title: str, preview: str,
        codec: str, experiment: bool,
    ) -> None:  # fmt: skip
        self.clock += 1.0
        saved, blob = evaluation(
            arguments, code, symbol=symbol, data=data, started=self.clock, codec=codec, observed=observed,
            title=title.replace("\0", ""), preview=preview, is_experiment=experiment,
        )  # fmt: skip
        cut = len(data) // 3
        if cut:
            blob = Blob(codec, b"", len(data), (data[:cut], memoryview(data)[cut:]))
        self.store.save(saved, blob)
        # Another codec or kind makes another entry on disk; that two such differ by nothing else isn't asked for.
        self.entries = {k: v for k, v in self.entries.items() if k != (saved.key, observed)}
        self.entries[saved.key, observed] = saved, data
        for stale in [e for e in self.store.find(saved.key) if e.observed == observed and e != saved]:
            self.store.remove(stale)

    @rule(symbol=symbols, arguments=arguments, code=codes)
    def find(self, symbol: Symbol, arguments: str, code: str) -> None:
        wanted = key(arguments, code, symbol)
        expected = [item for (k, _), item in self.entries.items() if k == wanted]
        expected.sort(key=lambda item: -item[0].started)
        found = list(self.store.find(wanted))
        assert found == [item[0] for item in expected]
        for evaluation_, (_, data) in zip(found, expected, strict=True):
            self.check_result(evaluation_, data)

    @rule(symbol=symbols, arguments=arguments)
    def candidates(self, symbol: Symbol, arguments: str) -> None:
        digest = key(arguments).arguments
        expected = [e for e, _ in self.entries.values() if (e.key.symbol, e.key.arguments) == (symbol, digest)]
        found = list(self.store.candidates(symbol, digest))
        assert sorted(e.started for e in found) == sorted(e.started for e in expected)
        assert all(e in expected for e in found)

    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        if self.entries:
            chosen = data.draw(st.sampled_from(sorted(self.entries, key=repr)))
            assert self.store.remove(self.entries.pop(chosen)[0])

    @rule(kind=kinds, name=names, data=st.binary(max_size=50))
    def put_record(self, kind: str, name: str, data: bytes) -> None:
        self.store.put_record(kind, name, data)
        self.records[kind, name] = data

    @rule(kind=kinds, name=names)
    def record(self, kind: str, name: str) -> None:
        assert self.store.get_record(kind, name) == self.records.get((kind, name))
        assert self.store.remove_record(kind, name) == (self.records.pop((kind, name), None) is not None)

    @rule(kind=kinds)
    def record_names(self, kind: str) -> None:
        assert self.store.record_names(kind) == sorted(name for k, name in self.records if k == kind)

    @rule(symbol=symbols, code=codes, current=st.booleans())
    def mark(self, symbol: Symbol, code: str, current: bool) -> None:
        mark = Mark(symbol, key(code=code).fingerprint)
        (self.store.revive if current else self.store.supersede)([mark])
        (self.marks.discard if current else self.marks.add)(mark)
        assert self.store.superseded() == self.marks

    @rule()
    def reopen(self) -> None:
        self.store.close()

    @invariant()
    def holds_what_was_saved(self) -> None:
        assert sorted(e.started for e in self.store.entries()) == sorted(e.started for e, _ in self.entries.values())

    def check_result(self, found: Evaluation, data: bytes) -> None:
        blob = self.store.load(found)
        assert blob is not None
        assert bytes(memoryview(blob.data)) == data
        assert digest_bytes(memoryview(blob.data)) == found.result

    def teardown(self) -> None:
        self.store.close()


class DiskMachine(StoreMachine):
    def make(self) -> Store:
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name)
        self.disk = DiskStore(str(path / "cache"), str(path / "config"), data_codecs=("data",))
        return self.disk

    @rule()
    def collect(self) -> None:
        """Without limits a collection removes only what nothing needs."""
        report = collect(self.disk, Limits())
        assert report.removed == 0
        assert not report.busy

    @rule()
    def another_process_takes_over(self) -> None:
        path = Path(self.folder.name)
        self.disk.close()
        self.store = self.disk = DiskStore(str(path / "cache"), str(path / "config"), data_codecs=("data",))

    def teardown(self) -> None:
        assert self.disk.trouble.count == self.disk.trouble.refused == 0
        super().teardown()
        self.folder.cleanup()


class TierMachine(DiskMachine):
    def make(self) -> Store:
        return Tiers(MemoryStore(max_entries=3, max_bytes=20_000), super().make())

    @rule()
    def another_process_takes_over(self) -> None:
        super().another_process_takes_over()
        self.store = Tiers(MemoryStore(max_entries=3, max_bytes=20_000), self.disk)

    @rule()
    def memory_forgets(self) -> None:
        assert isinstance(self.store, Tiers)
        memory = self.store.stores[0]
        assert isinstance(memory, MemoryStore)
        memory.clear()


class MemoryMachine(StoreMachine):
    def make(self) -> Store:
        return MemoryStore(max_bytes=1 << 30)


few = settings(
    max_examples=15, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True
)
TestDiskModel = DiskMachine.TestCase
TestDiskModel.settings = few
TestTierModel = TierMachine.TestCase
TestTierModel.settings = few
TestMemoryModel = MemoryMachine.TestCase
TestMemoryModel.settings = few
