"""The wire: what goes in comes out, and nothing malformed gets in."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitsave.digest import Digest, Fingerprint
from hitsave.evaluation import Child, Evaluation, FileRead, Key, Observed
from hitsave.symbol import Symbol
from hitsave.wire import (
    Answer,
    Entry,
    Held,
    Lease,
    Lookup,
    Manifest,
    WireError,
    blob_name,
    evaluation_from_json,
    evaluation_to_json,
    parse_manifest,
    render_manifest,
)
from hitsave.wire.evaluations import CONDITIONS, OBSERVED_SHAPES
from hitsave.wire.messages import answers_from_json
from hitsave.wire.previews import MAX_BYTES, preview_of
from hitsave.wire.reading import parse_json

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
symbols = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=20).map(Symbol)
digests = st.text("0123456789abcdef", min_size=32, max_size=32).map(Digest)
maybe = st.one_of(st.just(Digest("")), digests)
files = st.lists(st.builds(FileRead, text, maybe, st.sampled_from(["file", "directory", "absent", "exists"]))).map(
    tuple
)
pairs = st.lists(st.tuples(text, maybe), max_size=5).map(tuple)
named = st.lists(st.tuples(symbols, maybe), max_size=5).map(tuple)
several = st.lists(symbols, max_size=5).map(tuple)
observations = st.builds(
    Observed,
    files=files,
    environment=pairs,
    live=named,
    children=st.lists(st.builds(Child, symbols, digests, maybe, st.binary(max_size=30))).map(tuple),
    ran=several,
    reached=several,
    complete=st.booleans(),
    incomplete_because=text,
    narrowed=maybe,
    impurities=st.lists(text).map(tuple),
    below_files=files,
    below_environment=pairs,
    below_live=named,
    carried=several,
    earlier=several,
    imported=st.lists(text, max_size=3).map(tuple),
)
evaluations = st.builds(
    Evaluation,
    key=st.builds(Key, symbols, digests.map(Fingerprint), digests),
    observed=observations,
    codec=st.sampled_from(["plain-1", "pickle5-1"]),
    result=maybe,
    size_bytes=st.integers(0, 1 << 40),
    started=st.floats(0, 4e9),
    elapsed_s=st.floats(0, 1e9),
    title=text,
    preview=text,
    is_experiment=st.booleans(),
    details=text,
)


@given(evaluations)
def test_an_evaluation_survives_the_wire(evaluation: Evaluation) -> None:
    assert evaluation_from_json(json.loads(json.dumps(evaluation_to_json(evaluation)))) == evaluation


@given(evaluations, digests)
def test_a_manifest_is_one_ascii_text_and_comes_back(evaluation: Evaluation, signer: Digest) -> None:
    manifest = Manifest("team", signer, blob_name(b"x"), evaluation)
    rendered = render_manifest(manifest)
    assert rendered.isascii()
    assert "\n" not in rendered
    assert parse_manifest(rendered) == manifest
    assert render_manifest(parse_manifest(rendered)) == rendered


def test_every_field_of_the_records_travels() -> None:
    """Fails when a field is added to a record and forgotten here."""
    assert set(OBSERVED_SHAPES) == set(Observed._fields)
    key = Key(Symbol("m:f"), Fingerprint("0"), Digest("1"))
    full = evaluation_to_json(
        Evaluation(key, Observed(), "c", Digest("2"), 1, 2.0, 3.0, "t", "p", is_experiment=True, details="d")
    )
    assert set(full) == set(Evaluation._fields)
    assert {"files", "environment", "live", "children"} <= set(CONDITIONS)
    assert "ran" not in CONDITIONS


scalars = st.none() | st.booleans() | st.integers() | st.floats() | text


@given(st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(text, inner), max_leaves=10))
def test_nonsense_is_a_wire_error_and_nothing_else(value: Any) -> None:
    readers = (evaluation_from_json, Lookup.from_json, Answer.from_json, Entry.from_json, Lease.from_json)
    for read in (*readers, Held.from_json):
        with pytest.raises(WireError):
            read(value)


@given(evaluations, st.data())
def test_one_wrong_field_is_refused_by_name(evaluation: Evaluation, data: st.DataObject) -> None:
    value = evaluation_to_json(evaluation)
    field = data.draw(st.sampled_from(["codec", "size_bytes", "started", "elapsed_s", "key"]))
    value[field] = data.draw(st.sampled_from([None, [], {}, -1, True, "x" * 100_000]))
    with pytest.raises(WireError, match=field):
        evaluation_from_json(value)


@pytest.mark.parametrize("bad", ["", "{", "NaN", '{"a": Infinity}', "[" * 100_000, b"\xff"])
def test_what_is_no_json_is_refused(bad: str | bytes) -> None:
    with pytest.raises(WireError):
        parse_json(bad)


@pytest.mark.parametrize("symbol", ["", "a\nb", "a\x00b", "a\u2028b", "\ud800", "x" * 600])
def test_symbols_hide_nothing(symbol: str) -> None:
    with pytest.raises(WireError):
        Lookup.from_json({"keys": [{"symbol": symbol, "fingerprint": "0", "arguments": "1"}]})


def test_messages_survive_the_wire() -> None:
    key = Key(Symbol("m:f"), Fingerprint("0"), Digest("1"))
    lookup = Lookup((key,), candidates=False, inline_max=5, lease_s=60, holder="h")
    assert Lookup.from_json(json.loads(json.dumps(lookup.to_json()))) == lookup
    answer = Answer("hit", (Entry("m", "t", b"x"), Entry("m", "t")), Lease("n", "t", 3, 60.0), Held("n", "h", 1.5))
    assert answers_from_json({"answers": [json.loads(json.dumps(answer.to_json()))]}) == (answer,)


class Rude:
    def _repr_html_(self) -> str:
        raise RuntimeError("no")


class Html:
    def _repr_html_(self) -> str:
        return "<b>hello</b>"


def test_previews_show_what_they_can_and_never_raise() -> None:
    assert preview_of(3) == []
    assert preview_of("short") == []
    assert preview_of(Rude()) == []
    assert preview_of(Html()) == [{"kind": "text/html", "title": "", "data": "<b>hello</b>"}]
    assert preview_of({"page": Html(), "n": 1})[0]["title"] == "page"
    assert len(json.dumps(preview_of([["x" * 10_000] * 1000] * 1000))) < MAX_BYTES


def test_previews_of_arrays_and_frames() -> None:
    numpy = pytest.importorskip("numpy", reason="numpy is not installed")
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    [table] = preview_of(numpy.arange(6.0).reshape(2, 3))
    assert (table["kind"], table["data"]["rows"]) == ("table", [["0", "1", "2"], ["3", "4", "5"]])
    [picture] = preview_of(numpy.zeros((64, 64, 3), "uint8"))
    assert picture["kind"] == "image/png"
    [frame] = preview_of(pandas.DataFrame({"a": range(1000), "b": "x"}))
    assert frame["data"]["columns"] == ["", "a", "b"]
    assert frame["data"]["note"] == "1,000 rows × 2 columns"
    [noise] = preview_of(numpy.random.default_rng(0).integers(0, 255, (900, 900, 3)).astype("uint8"))
    assert noise["kind"] == "image/png"
    assert len(noise["data"]) < MAX_BYTES
    assert preview_of(numpy.array([]))[0]["kind"] == "text"
    assert preview_of(pandas.Series([1.5, 2.5], name="s"))[0]["data"]["note"] == "2 values"
