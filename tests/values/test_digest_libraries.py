"""Values of other libraries, where these are installed."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.values.samples import digest


def all_different(values: list[Any]) -> None:
    seen: dict[str, Any] = {}
    for value in values:
        other = seen.setdefault(digest(value), value)
        assert other is value, f"{other!r} and {value!r}"


def test_arrow_arrays_count_by_type_and_values_not_by_chunks_or_slices() -> None:
    pa: Any = pytest.importorskip("pyarrow")
    samples = [
        pa.array([1, None, 3]),
        pa.array([1, None, 3], pa.int8()),
        pa.array([1.5, 2.5, None]),
        pa.array([True, False, None]),
        pa.array(["a", None, "ccc"]),
        pa.array(["a", None, "ccc"], pa.large_string()),
        pa.array([b"a", None, b"ccc"]),
        pa.array([[1], None, [2, 3]]),
        pa.array([[1, 2], None, [2, 3]], pa.list_(pa.int64(), 2)),
        pa.array([{"a": 1}, None, {"a": 3}]),
        pa.array(["a", "b", "a"]).dictionary_encode(),
        pa.array([None, None, None]),
        pa.array([[("k", 1)], None, []], pa.map_(pa.string(), pa.int64())),
        pa.array([1, 2, 3], pa.timestamp("us", tz="UTC")),
        pa.array([1, 2, 3], pa.timestamp("us")),
        pa.array(["a", "b", None], pa.string_view()),
    ]
    all_different([*samples, *[pa.chunked_array([sample]) for sample in samples], *[sample.type for sample in samples]])
    for sample in samples:
        assert digest(sample) == digest(pa.concat_arrays([sample, sample])[3:])
        parts = pa.chunked_array([sample[:1], sample[1:]])
        assert digest(parts) == digest(pa.chunked_array([sample])), sample.type
        assert digest(sample[:2]) != digest(sample)


def test_arrow_tables_count_by_schema_and_columns() -> None:
    pa: Any = pytest.importorskip("pyarrow")
    table = pa.table({"a": [1, 2], "b": ["x", None]})
    all_different(
        [
            table,
            table.to_batches()[0],
            table.select(["b", "a"]),
            table.rename_columns(["a", "c"]),
            table.slice(1),
            table.replace_schema_metadata({"k": "v"}),
            table.schema,
            table.schema.field("a"),
            pa.table([[1], [2]], names=["a", "a"]),
            pa.table([[2], [1]], names=["a", "a"]),
            pa.scalar(1),
            pa.scalar(None, pa.int64()),
            pa.scalar(1, pa.int8()),
        ]
    )
    assert digest(table) == digest(pa.concat_tables([table.slice(0, 1), table.slice(1)]))


def test_text_in_a_frame_counts_the_same_whoever_keeps_it() -> None:
    pytest.importorskip("pyarrow")
    texts = ["a", None, "é" * 50, ""]
    kept = [pd.Series(texts, dtype=pd.StringDtype(storage, na_value=np.nan)) for storage in ("python", "pyarrow")]
    assert digest(kept[0]) == digest(kept[1]) != digest(kept[0].iloc[::-1])


def test_polars_frames_count_by_schema_and_values_not_by_chunks() -> None:
    pl: Any = pytest.importorskip("polars")
    frame = pl.DataFrame(
        {
            "int": [1, 2, None],
            "float": [1.0, float("nan"), None],
            "text": ["a", None, "b"],
            "list": [[1], None, []],
            "struct": [{"a": 1}, {"a": None}, {"a": 2}],
            "bool": [True, None, False],
            "binary": [b"a", b"", None],
        }
    ).with_columns(
        pl.col("text").cast(pl.Categorical).alias("category"),
        pl.col("text").cast(pl.Enum(["a", "b"])).alias("enum"),
        pl.col("int").cast(pl.Datetime("us", "UTC")).alias("time"),
        pl.col("int").cast(pl.Decimal(10, 2)).alias("decimal"),
        pl.col("int").cast(pl.Int128).alias("wide"),
    )
    assert digest(frame) == digest(pl.concat([frame[:1], frame[1:]], rechunk=False)) == digest(frame.clone())
    all_different(
        [frame, frame[::-1], frame.drop("int"), frame.select(sorted(frame.columns)), frame[:0], pl.DataFrame()]
    )
    all_different([*frame.get_columns(), *[c.dtype for c in frame.get_columns()], pl.Series("int", [1, 2, 3])])
    all_different(
        [pl.Series([1]), pl.Series([1], dtype=pl.Int8), pl.Series("a", [1]), pl.Series([1.0]), pl.Series([None])]
    )


def test_sparse_matrices_count_by_format_and_contents() -> None:
    sparse: Any = pytest.importorskip("scipy.sparse")
    matrix = sparse.csr_matrix([[1, 0, 2], [0, 0, 3]])
    formats = ["csr", "csc", "coo", "lil", "dok", "dia", "bsr"]
    all_different(
        [*[matrix.asformat(name) for name in formats], sparse.csr_array(matrix), matrix.astype("f4"), matrix.toarray()]
    )
    for name in formats:
        assert digest(matrix.asformat(name)) == digest(matrix.asformat(name).copy())
    other = matrix.copy()
    other[0, 0] = 5
    assert digest(matrix) != digest(other)


def test_estimators_count_by_parameters_and_what_they_learnt() -> None:
    pytest.importorskip("sklearn")
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    data, target = np.random.default_rng(0).random((20, 3)), [0, 1] * 10
    forest = RandomForestClassifier(3, random_state=0).fit(data, target)
    again = RandomForestClassifier(3, random_state=0).fit(data, target)
    assert digest(forest) == digest(again) == digest(pickle.loads(pickle.dumps(forest)))
    all_different(
        [
            forest,
            RandomForestClassifier(3, random_state=0),
            RandomForestClassifier(3, random_state=1).fit(data, target),
            LogisticRegression(),
            LogisticRegression(C=2),
            make_pipeline(StandardScaler(), LogisticRegression()),
        ]
    )


def test_attrs_and_pydantic_classes_count_by_their_fields() -> None:
    attrs: Any = pytest.importorskip("attrs")
    pydantic: Any = pytest.importorskip("pydantic")

    @attrs.define
    class Box:
        x: int
        y: list[int] = attrs.Factory(list)

    @attrs.frozen
    class FrozenBox:
        x: int

    class Model(pydantic.BaseModel):  # type: ignore[misc]
        x: int
        y: list[int] = []

    box: Any = Box
    frozen: Any = FrozenBox
    assert digest(box(1)) == digest(box(1))
    assert digest(Model(x=1)) == digest(Model(x=1))
    all_different([box(1), box(2), box(1, [1]), frozen(1), Model(x=1), Model(x=2), Model(x=1, y=[1])])


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch", reason="only on machines with PyTorch")


def test_tensors_count_by_dtype_shape_and_values_not_by_strides(torch: Any) -> None:
    tensor = torch.arange(6.0).reshape(2, 3)
    assert digest(tensor) == digest(tensor.t().contiguous().t()) == digest(tensor.clone())
    changed = tensor.clone()
    changed[0, 0] = -0.0
    all_different(
        [
            *(tensor, changed, tensor.double(), tensor.bfloat16(), tensor.half(), tensor.reshape(3, 2), tensor.numpy()),
            *(tensor.clone().requires_grad_(), torch.nn.Parameter(tensor), tensor.to_sparse()),
            *(torch.tensor(1.0), torch.tensor([1.0]), torch.zeros(0), torch.zeros(0, 3), torch.tensor([1 + 2j]).conj()),
            *(torch.float32, torch.float64, torch.device("cpu"), torch.Size([1, 2]), torch.Generator()),
        ]
    )


def test_models_count_by_weights_and_mode(torch: Any) -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Dropout(0.1))
    twin = copy.deepcopy(model)
    assert digest(model) == digest(twin)
    assert digest(model.state_dict()) == digest(twin.state_dict())
    twin.eval()
    assert digest(model) != digest(twin)
    with torch.no_grad():
        twin.train()[0].weight[0, 0] += 1
    assert digest(model) != digest(twin)
    assert digest(model.state_dict()) != digest(twin.state_dict())
    assert digest(torch.optim.Adam(model.parameters(), lr=0.1)) != digest(torch.optim.Adam(model.parameters(), lr=0.2))


def test_tensors_without_data_are_refused(torch: Any) -> None:
    from hitsave.errors import CannotDigest

    with pytest.raises(CannotDigest, match="without data"):
        digest(torch.zeros(3, device="meta"))
