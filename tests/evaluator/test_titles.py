"""How a call and its result are written where people read them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hitsave.evaluator.recording import shortened


class Loud:
    def __repr__(self) -> str:
        return "two\nlines"


class Broken:
    def __len__(self) -> int:
        raise OSError("no length today")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"),
        ("x" * 100, repr("x" * 20) + "…"),
        ([1] * 100, "<list of 100>"),
        (np.zeros((2, 3)), "<ndarray (2, 3) float64>"),
        (pd.DataFrame({"a": [1, 2]}), "<DataFrame (2, 1)>"),
        (pd.Series([1, 2]), "<Series (2,) int64>"),
        (Loud(), "two lines"),
        (Broken(), "<Broken>"),
        ([1, 2, 3], "[1, 2, 3]"),
    ],
)
def test_a_value_is_one_short_line(value: object, text: str) -> None:
    assert shortened(value, 20) == text
