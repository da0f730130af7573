"""pandas values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.values.samples import digest

PERIOD = "M"


def sample() -> pd.DataFrame:
    """A frame with columns of every kind."""
    return pd.DataFrame(
        {
            "int": [1, 2, 3],
            "float": [1.0, float("nan"), -0.0],
            "bool": [True, False, True],
            "text": ["x", None, "é"],
            "object": pd.Series(["a", 1, None], dtype=object),
            "category": pd.Categorical(["u", "v", "u"]),
            "ordered": pd.Categorical(["u", "v", "u"], ordered=True),
            "time": pd.date_range("2026", periods=3),
            "zoned": pd.date_range("2026", periods=3, tz="Europe/Berlin"),
            "delta": pd.to_timedelta([1, 2, 3], unit="s"),
            "period": pd.period_range("2026", periods=3, freq=PERIOD),
            "interval": pd.arrays.IntervalArray.from_breaks([0, 1, 2, 3]),
            "nullable": pd.array([1, None, 3], dtype="Int64"),
            "nullable float": pd.array([1.5, None, 3], dtype="Float32"),
            "nullable bool": pd.array([True, None, False], dtype="boolean"),
            "string": pd.array(["a", "b", None], dtype="string"),
            "sparse": pd.arrays.SparseArray([0, 0, 1]),
        }
    )


DIFFERENT: list[Any] = [
    *(sample(), sample()[["int"]], sample()["int"], sample().columns, sample()["int"].to_numpy()),
    *(sample().set_index("int"), sample().rename(columns={"int": "Int"}), sample()[list(reversed(sample().columns))]),
    *(sample()[[]], sample().iloc[:0], sample().iloc[::-1], sample().reset_index(), sample().astype({"int": "i4"})),
    *(sample().assign(int=[1, 2, 4]), sample().assign(int=[1.0, 2.0, 3.0]), sample().rename_axis("i")),
    *(
        pd.Series([1]),
        pd.Series([1.0]),
        pd.Series([True]),
        pd.Series([1], dtype="Int64"),
        pd.Series([1], name="a"),
        [1],
    ),
    *(
        pd.Series([1], index=[1]),
        pd.Series([1], index=["a"]),
        pd.Series(["a"], dtype="string"),
        pd.Series(["a"], dtype=object),
    ),
    *(pd.Series(["a"], dtype="category"), pd.Series(["a"], dtype=pd.CategoricalDtype(["a", "b"]))),
    *(
        pd.Series(["a"], dtype=pd.CategoricalDtype(["b", "a"])),
        pd.Series(["a"], dtype=pd.CategoricalDtype(["a"], ordered=True)),
    ),
    *(pd.RangeIndex(3), pd.RangeIndex(3, name="a"), pd.Index([0, 1, 2]), pd.Index([0.0, 1.0, 2.0]), pd.Index(["a"])),
    *(pd.date_range("2026", periods=3), pd.date_range("2026", periods=3, tz="UTC"), pd.DatetimeIndex(["2026-01-01"])),
    *(pd.MultiIndex.from_product([[1, 2], ["a"]]), pd.MultiIndex.from_product([[1, 2], ["a"]], names=["x", "y"])),
    *(
        pd.Timestamp("2026"),
        pd.Timestamp("2026", tz="UTC"),
        pd.Timedelta("1s"),
        pd.Period("2026", "Y"),
        pd.Interval(0, 1),
    ),
    *(pd.Interval(0, 1, closed="left"), pd.NaT, pd.NA, None, float("nan"), pd.CategoricalDtype(["a"]), pd.Int64Dtype()),
    *(pd.Categorical(["a"]), pd.array([1, None], dtype="Int64"), pd.array([1, 0], dtype="Int64")),
]


def test_no_two_different_values_share_a_digest() -> None:
    seen: dict[str, Any] = {}
    for value in DIFFERENT:
        other = seen.setdefault(digest(value), value)
        assert other is value, f"{other!r} and {value!r}"


@pytest.mark.parametrize("name", list(sample()))
def test_each_kind_of_column_counts_by_its_values(name: str) -> None:
    column = sample()[name]
    assert digest(column) == digest(sample()[name]) == digest(column.copy())
    assert digest(column) == digest(pd.concat([column, column]).iloc[:3].set_axis(column.index))
    assert digest(column) != digest(column.iloc[[2, 1, 1]].set_axis(column.index))


def test_how_columns_are_gathered_in_blocks_does_not_count() -> None:
    frame = sample()
    apart = pd.concat([frame[[name]].copy() for name in frame], axis=1)
    assert digest(frame) == digest(apart)
    values = np.random.default_rng(0).random((50_000, 4))
    rows = pd.DataFrame(values, columns=list("abcd"), copy=False)
    columns = pd.DataFrame({name: values[:, at].copy() for at, name in enumerate("abcd")})
    assert digest(rows) == digest(columns)
    columns.iloc[40_000, 2] = 0
    assert digest(rows) != digest(columns)


def test_what_lies_under_a_missing_value_does_not_count() -> None:
    one = pd.arrays.IntegerArray(np.array([1, 7]), np.array([False, True]))
    other = pd.arrays.IntegerArray(np.array([1, 8]), np.array([False, True]))
    assert digest(one) == digest(other)


def test_duplicate_labels_do_not_hide_columns() -> None:
    one = pd.DataFrame([[1, 2]], columns=["a", "a"])
    other = pd.DataFrame([[2, 2]], columns=["a", "a"])
    assert digest(one) != digest(other)


def test_attributes_and_flags_count_if_there_are_any() -> None:
    frame = sample()
    frame.attrs["unit"] = "m"
    assert digest(frame) != digest(sample())
    assert digest(sample().set_flags(allows_duplicate_labels=False)) != digest(sample())


def test_a_culprit_in_a_frame_is_named_by_its_column() -> None:
    from hitsave.errors import CannotDigest

    frame = pd.DataFrame({"a": [1], "b": [(x for x in [1])]})
    with pytest.raises(CannotDigest, match=r"^value\.b\[0\]: "):
        digest(frame)


def test_a_subclass_counts_by_its_class_and_what_it_keeps() -> None:
    class Labelled(pd.DataFrame):  # type: ignore[misc]
        _metadata = ["label"]

    def labelled(label: str) -> Any:
        made = Labelled({"a": [1]})
        made.label = label
        return made

    assert digest(labelled("a")) == digest(labelled("a")) != digest(labelled("b"))


def test_digesting_a_frame_changes_nothing_in_it() -> None:
    frame = sample()
    before = frame.copy(deep=True)
    digest(frame)
    pd.testing.assert_frame_equal(frame, before)
