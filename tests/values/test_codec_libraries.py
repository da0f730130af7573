"""Frames, tables and tensors as bytes and back."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hitsave.evaluation import Blob
from hitsave.values import decode, encode
from tests.values.samples import Point, digest
from tests.values.test_codec import joined, stored
from tests.values.test_digest_frames import sample


def mapped(value: object, path: Path) -> tuple[Any, Any]:
    """(what comes back from a private map of a file, the map)."""
    blob = encode(value)
    path.write_bytes(joined(blob))
    with path.open("rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    return decode(Blob(blob.codec, data, len(data))), data


FRAMES = [
    *(sample().drop(columns=["sparse"]), sample()[["int"]], sample()[[]], sample().iloc[:0], pd.DataFrame()),
    *(sample()[["int", "text", "float"]].set_index(["int", "text"]), sample()[["float"]].rename_axis("i")),
    *(pd.DataFrame(np.arange(12.0).reshape(4, 3)), pd.DataFrame([[1, 2]], columns=["a", "a"])),
    *(sample()[["int", "float"]].groupby("int").float.agg(["mean", "std"]), sample()["int"], sample()["text"]),
    *(pd.Series([1.0], name=("a", 1)), pd.Series([], dtype="f8"), pd.date_range("2026", periods=3), pd.RangeIndex(3)),
    *(pd.date_range("2026", periods=3, freq="h", tz="UTC"), pd.timedelta_range("1s", periods=3), pd.Index(["a", "b"])),
    *(
        pd.period_range("2026", periods=3, freq="D"),
        pd.Index([1.5, 2.5], name="x"),
        pd.MultiIndex.from_product([[1], ["a"]]),
    ),
    *(pd.Timestamp("2026-10-25", tz="UTC"), pd.Timestamp("2026"), pd.Timedelta("1s"), pd.NaT, pd.NA),
    *(pd.Index(["a", 1], dtype=object), pd.CategoricalIndex(["a", "b"]), pd.Series(pd.array([1, None], dtype="Int8"))),
    *([sample()[["int"]], {"f": sample()[["text"]]}], Point(sample()["int"], np.arange(3))),
]


@pytest.mark.parametrize("value", FRAMES, ids=lambda value: type(value).__name__)
def test_frames_come_back_exactly_without_a_pickle(value: Any) -> None:
    blob = stored(value)
    found = decode(blob)
    assert type(found) is type(value)
    assert digest(found) == digest(value)
    if "zoned" not in getattr(value, "columns", ()):  # pandas 2 keeps zones of pytz, which only pickle knows
        assert blob.codec == "tree-1"


@pytest.mark.parametrize(
    "value",
    [
        sample(),
        sample().T,
        pd.DataFrame({"a": [[1], {}]}),
        pd.Series([1, 2], dtype="Sparse[int]"),
        pd.Period("2026", "Y"),
        pd.Interval(0, 1),
        sample().groupby("int"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_a_frame_may_hold_besides_is_left_to_pickle(value: Any) -> None:
    blob = stored(value)
    assert blob.codec == "pickle5-1"
    assert digest(decode(blob)) == digest(value)


def test_attributes_and_flags_of_a_frame_come_back() -> None:
    frame = sample()[["int"]].set_flags(allows_duplicate_labels=False)
    frame.attrs["unit"] = {"m": [1]}
    found = decode(stored(frame))
    assert found.attrs == {"unit": {"m": [1]}}
    assert not found.flags.allows_duplicate_labels


def test_a_subclass_of_a_frame_is_left_to_pickle() -> None:
    blob = stored(Labelled({"a": [1]}))
    assert blob.codec == "pickle5-1"
    assert type(decode(blob)) is Labelled


class Labelled(pd.DataFrame):  # type: ignore[misc]
    """A frame of the user's own."""


@pytest.mark.parametrize("blocks", ["one", "several"])
def test_the_numbers_of_a_frame_lie_in_the_memory_map(blocks: str, tmp_path: Path) -> None:
    frame = pd.DataFrame(np.random.default_rng(0).random((10_000, 3)), columns=list("abc"))
    if blocks == "several":
        frame["n"] = range(10_000)
    found, data = mapped(frame, tmp_path / "blob")
    assert np.shares_memory(found["b"].to_numpy(), np.frombuffer(data, "u1"))
    before = digest(frame)
    assert digest(found) == before
    found.iloc[0, 0] = 7.0
    found["b"] = 1
    assert digest(decode(stored(frame))) == before


def test_a_frame_is_independent_of_the_next_one_read_from_the_same_bytes() -> None:
    blob = stored(pd.DataFrame({"a": np.arange(1000.0)}))
    first, second = decode(blob), decode(blob)
    first.loc[0, "a"] = 99.0
    assert second.loc[0, "a"] == 0.0


def test_a_warning_of_pandas_never_reaches_the_user() -> None:
    """filterwarnings = error makes any of them fail this test."""
    for value in FRAMES:
        decode(stored(value))


def test_arrow_values_come_back_without_a_pickle() -> None:
    pa: Any = pytest.importorskip("pyarrow")
    table = pa.table(
        {
            "x": [1, None, 3],
            "text": ["a", None, "b"],
            "list": [[1], None, []],
            "struct": [{"a": 1}, None, {"a": 2}],
            "dictionary": pa.array(["a", "b", "a"]).dictionary_encode(),
        },
        metadata={"k": "v"},
    )
    for value in (
        *(
            table,
            table.slice(1),
            table.select(["x"]).slice(0, 0),
            table.to_batches()[0],
            table["x"],
            table["x"].chunk(0),
        ),
        *(pa.array([], pa.int8()), pa.chunked_array([], pa.int8()), pa.chunked_array([[1], [2]])),
    ):
        blob = stored(value)
        found = decode(blob)
        assert blob.codec == "arrow-1"
        assert type(found) is type(value)
        assert digest(found) == digest(value)
    nested = [table, {"n": 1}]
    assert stored(nested).codec == "tree-1"
    assert digest(decode(stored(nested))) == digest(nested)


def test_columns_that_arrow_keeps_come_back_in_a_frame() -> None:
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame(
        {"n": pd.array([1, None], dtype="int64[pyarrow]"), "s": pd.array(["a", None], dtype="string[pyarrow]")}
    )
    blob = stored(frame)
    assert blob.codec == "tree-1"
    assert digest(decode(blob)) == digest(frame)
    assert list(decode(blob).dtypes) == list(frame.dtypes)


def test_polars_values_come_back_without_a_pickle() -> None:
    pl: Any = pytest.importorskip("polars")
    frame = pl.DataFrame(
        {"a": [1, None], "b": ["x", None], "c": [[1], None], "d": [{"q": 1}, {"q": None}]}
    ).with_columns(pl.col("b").cast(pl.Categorical).alias("e"), pl.col("b").cast(pl.Enum(["x"])).alias("f"))
    for value in (frame, frame[:0], pl.DataFrame(), frame["a"], pl.Series("", [1.5])):
        blob = stored(value)
        found = decode(blob)
        assert blob.codec == "arrow-1"
        assert digest(found) == digest(value)
        assert getattr(found, "schema", None) == getattr(value, "schema", None)
    objects = pl.Series("o", [Point(1)], dtype=pl.Object)
    assert stored([1, frame]).codec == "tree-1"
    with pytest.raises(Exception, match="o"):
        encode(objects)


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch", reason="only on machines with PyTorch")


def test_tensors_come_back_in_the_format_of_safetensors(torch: Any, tmp_path: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    for value in (
        *(torch.arange(6.0).reshape(2, 3), torch.tensor(1), torch.zeros(0, 3), torch.ones(3).bfloat16()),
        *(model.state_dict(), {"a": torch.zeros(3, dtype=torch.bool), "b": torch.ones(2)}),
    ):
        blob = stored(value)
        found = decode(blob)
        assert blob.codec == "safetensors-1"
        assert type(found) is type(value)
        assert digest(found) == digest(value)
    assert decode(stored(model.state_dict()))._metadata == model.state_dict()._metadata
    safetensors: Any = pytest.importorskip("safetensors.torch", reason="only on machines with safetensors")
    (tmp_path / "a").write_bytes(joined(encode(model.state_dict())))
    read = safetensors.load_file(tmp_path / "a")
    assert all(torch.equal(tensor, read[name]) for name, tensor in model.state_dict().items())


def test_tensors_that_are_more_than_their_numbers_are_left_to_pickle(torch: Any) -> None:
    shared = torch.ones(3)
    for value in (
        *(torch.ones(3, requires_grad=True), torch.nn.Parameter(torch.ones(3)), torch.ones(4).reshape(2, 2).t()),
        *(torch.ones(3).to_sparse(), {"a": shared, "b": shared}, {"a": shared, "b": shared[1:]}, torch.nn.Linear(2, 2)),
    ):
        blob = stored(value)
        assert blob.codec == "pickle5-1"
        assert digest(decode(blob)) == digest(value)


def test_the_weights_of_a_model_lie_in_the_memory_map(torch: Any, tmp_path: Path) -> None:
    model = torch.nn.Linear(100, 100)
    found, data = mapped([model, model.weight], tmp_path / "blob")
    assert digest(found[0]) == digest(model)
    assert found[0].weight is found[1]
    assert np.shares_memory(found[1].detach().numpy(), np.frombuffer(data, "u1"))
    kept = stored(model)
    first, second = decode(kept), decode(kept)
    first.weight.data[0, 0] = 7
    assert digest(second) == digest(model) != digest(first)


def test_a_tensor_is_independent_and_lies_in_the_memory_map(torch: Any, tmp_path: Path) -> None:
    found, data = mapped({"w": torch.ones(1000), "n": 1}, tmp_path / "blob")
    assert np.shares_memory(found["w"].numpy(), np.frombuffer(data, "u1"))
    blob = stored(torch.ones(1000))
    first, second = decode(blob), decode(blob)
    first[0] = 7
    assert second[0] == 1


def test_estimators_come_back(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    from sklearn.linear_model import LinearRegression

    model = LinearRegression().fit(np.arange(2000.0).reshape(-1, 1), np.arange(2000.0))
    found, _ = mapped(model, tmp_path / "blob")
    assert digest(found) == digest(model)
