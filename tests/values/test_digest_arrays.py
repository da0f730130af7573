"""NumPy values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.values.samples import Plain, digest

masked: Any = np.ma.array
DIFFERENT: list[Any] = [
    *(
        np.zeros(3),
        np.zeros(3, "f4"),
        np.zeros(3, ">f8"),
        np.zeros(3, "i8"),
        np.zeros(3, "u8"),
        np.zeros((3, 1)),
        np.zeros((1, 3)),
    ),
    *(
        np.array([0.0, 0.0, -0.0]),
        np.zeros(3, bool),
        np.zeros(3, "c16"),
        np.zeros(3, "U1"),
        np.zeros(3, "S1"),
        np.zeros(3, "S8"),
    ),
    *(
        np.zeros(0),
        np.zeros((0, 3)),
        np.zeros((3, 0)),
        np.zeros((), "f8"),
        np.float64(0),
        np.float32(0),
        np.int8(0),
        0.0,
    ),
    *(np.zeros(3, "M8[s]"), np.zeros(3, "M8[ms]"), np.zeros(3, "m8[s]"), np.zeros(3, "V8"), np.zeros(3, "O")),
    *(
        np.zeros(3, [("a", "f8")]),
        np.zeros(3, [("b", "f8")]),
        np.zeros(3, [("a", "i8")]),
        np.zeros(3, [("a", "f4", 2)]),
    ),
    *(np.zeros(2, [("a", "i4"), ("b", "f8")]), np.zeros(2, np.dtype([("a", "i4"), ("b", "f8")], align=True))),
    *(np.array([None, 1], dtype=object), np.array([None, True], dtype=object), np.array([[1], None], dtype=object)),
    *(
        np.longdouble(0),
        np.clongdouble(0),
        np.str_("a"),
        np.bytes_(b"a"),
        np.datetime64("2026"),
        np.datetime64("2026-01-01"),
    ),
    *(np.dtype("f8"), np.dtype("f4"), np.dtype([("a", "f8")]), np.float64, np.float32, np.add, np.subtract),
    *(
        masked([1, 2]),
        masked([1, 2], mask=[False, True]),
        masked([1, 2], mask=[False, True], fill_value=7),
    ),
    *(np.array([0.0] * 3).view(np.recarray), np.zeros(3).view(np.recarray).reshape(3, 1)),
    *(
        np.random.default_rng(1),
        np.random.default_rng(2),
        np.random.RandomState(1),
        np.random.PCG64(1),
        np.random.MT19937(1),
    ),
    *([0.0] * 3, bytes(24), bytearray(24), [np.zeros(3)], [bytes(24)]),
]


def test_no_two_different_values_share_a_digest() -> None:
    seen: dict[str, Any] = {}
    for value in DIFFERENT:
        other = seen.setdefault(digest(value), value)
        assert other is value, f"{other!r} and {value!r}"


def test_a_large_array_counts_the_same_however_it_lies_in_memory() -> None:
    array = np.random.default_rng(0).random((301, 4001))
    expected = digest(array)
    wide = np.zeros((301, 5000))
    wide[:, :4001] = array
    for other in (np.asfortranarray(array), wide[:, :4001], array[::-1].copy()[::-1], array.T.copy().T):
        assert digest(other) == expected
    array[150, 2000] += 1
    assert digest(array) != expected
    assert digest(np.moveaxis(np.zeros((3, 200, 3000)), 0, -1)) == digest(np.zeros((200, 3000, 3)))


def test_a_memory_map_is_an_array(tmp_path: Path) -> None:
    array = np.arange(10.0)
    array.tofile(tmp_path / "a")
    assert digest(np.memmap(tmp_path / "a", dtype="f8", mode="r")) == digest(array)


def test_bytes_between_fields_do_not_count() -> None:
    dtype = np.dtype([("a", "i1"), ("b", "f8")], align=True)
    one = np.frombuffer(b"\1" * 32, dtype=dtype).copy()
    other = np.frombuffer((b"\1" + b"\2" * 7 + b"\1" * 8) * 2, dtype=dtype).copy()
    assert digest(one) == digest(other)
    other["b"][1] = 0
    assert digest(one) != digest(other)


@pytest.mark.skipif(np.finfo("g").nmant != 63, reason="only on processors with 80-bit numbers")
def test_bytes_beside_a_long_double_do_not_count() -> None:
    raw = np.array([1.5, 2.5], dtype="g").view("u1").reshape(2, 16).copy()
    raw[:, 10:] = 7
    assert digest(raw.reshape(-1).view("g")) == digest(np.array([1.5, 2.5], dtype="g"))


def test_objects_in_an_array_count_by_value() -> None:
    assert digest(np.array([Plain(a=1), "x"], dtype=object)) == digest(np.array([Plain(a=1), "x"], dtype=object))
    assert digest(np.array([Plain(a=1)], dtype=object)) != digest(np.array([Plain(a=2)], dtype=object))


def test_variable_width_strings_count_by_value() -> None:
    if not hasattr(np.dtypes, "StringDType"):
        return
    kind = np.dtypes.StringDType()
    long = "a" * 100
    assert digest(np.array(["a", long], dtype=kind)) == digest(np.array(["a", long], dtype=kind))
    assert digest(np.array(["a", long], dtype=kind)) != digest(np.array(["a", long + "b"], dtype=kind))


def test_a_generator_that_was_used_differs() -> None:
    used = np.random.default_rng(1)
    used.random()
    assert digest(np.random.default_rng(1)) == digest(np.random.default_rng(1)) != digest(used)


def test_a_subclass_counts_by_its_class_and_attributes() -> None:
    class Labelled(np.ndarray[Any, Any]):
        label = ""

    def labelled(label: str) -> Any:
        made = np.zeros(3).view(Labelled)
        made.label = label
        return made

    assert digest(labelled("a")) == digest(labelled("a")) != digest(labelled("b"))
    assert digest(labelled("")) != digest(np.zeros(3))


def test_a_read_only_array_is_the_same_value() -> None:
    array = np.zeros(3)
    array.flags.writeable = False
    assert digest(array) == digest(np.zeros(3))


def test_views_of_zero_stride_count_as_what_they_show() -> None:
    assert digest(np.broadcast_to(np.float64(1), (3, 2))) == digest(np.ones((3, 2)))


def test_digesting_does_not_copy() -> None:
    import tracemalloc

    array = np.zeros(5_000_000)
    strided = np.zeros((2_000_000, 4))[:, 1]
    tracemalloc.start()
    try:
        digest(array)
        digest(strided)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000
