"""Which values may be shared."""

from __future__ import annotations

import datetime
import decimal
import math
import pathlib
import uuid
from typing import Any

import numpy as np
import pytest

from hitsave.values import is_atomic, is_immutable
from tests.values.samples import Colour, Frozen, Number, Pair, Plain, Word


@pytest.mark.parametrize("value", [1, -1, True, None, "", "a", b"", b"a", 1.5, math.inf, 1 + 2j])
def test_atoms_may_be_keys_of_a_table_beside_their_type(value: object) -> None:
    assert is_atomic(value)
    assert is_immutable(value)


@pytest.mark.parametrize(
    "value",
    [
        0.0,
        -0.0,
        math.nan,
        0j,
        complex(1, 0),
        (),
        (1,),
        [],
        {},
        set(),
        Word("a"),
        Number(1),
        Colour.RED,
        ...,
        np.float64(1),
    ],
)
def test_what_equals_another_value_or_can_be_taken_apart_may_not(value: object) -> None:
    assert not is_atomic(value)


IMMUTABLE: list[Any] = [
    *(0.0, math.nan, ..., NotImplemented, range(3), (), (1, "a"), (1, (2, frozenset({(3, None)}))), frozenset()),
    *(datetime.date(2026, 1, 1), datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc), datetime.timedelta(1)),
    *(
        decimal.Decimal(1),
        uuid.UUID(int=1),
        pathlib.Path("a"),
        Colour.RED,
        np.float64(1),
        np.int8(1),
        np.datetime64("2026"),
    ),
    *((np.float64(1), Colour.RED), tuple(range(1000))),
]
MUTABLE: list[Any] = [
    *([], {}, set(), bytearray(), ([],), (1, ({},)), tuple(range(1001)), Plain(), Frozen([1]), Pair(1, 2), Word("a")),
    *(np.zeros(3), (np.zeros(3),), np.zeros(1, [("a", "i4")])[0], ValueError(), (i for i in [1]), memoryview(b"a")),
]


@pytest.mark.parametrize("value", IMMUTABLE, ids=repr)
def test_what_nobody_can_change_may_be_handed_out_again(value: object) -> None:
    assert is_immutable(value)


@pytest.mark.parametrize("value", MUTABLE, ids=lambda value: type(value).__name__)
def test_what_anybody_can_change_may_not(value: object) -> None:
    assert not is_immutable(value)
