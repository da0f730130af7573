"""Laws of digests, for any values."""

from __future__ import annotations

import copy
import marshal
import pickle
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import hitsave.values.canonical
from hitsave.values.canonical import Canonical
from tests.values.samples import Plain, code, digest, hashables, law, plain_values, rebuilt, rich_values


@law
@given(rich_values)
def test_a_digest_depends_on_nothing_but_the_value(value: Any) -> None:
    assert digest(value) == digest(rebuilt(value))
    assert digest([value, value]) == digest([value, rebuilt(value)])


@law
@given(plain_values)
def test_marshal_and_the_piecewise_writer_agree(value: Any) -> None:
    """So it doesn't matter which of them writes what part of a value."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hitsave.values.canonical, "is_plain", lambda *_: False)
        piecewise = Canonical(code)
        form = piecewise.form(value)
    assert piecewise.plain
    if sys.version_info >= (3, 11):
        assert form == marshal.dumps(value, 2)
    assert marshal.loads(form) == value or value != value or "nan" in repr(value)


@law
@given(rich_values)
def test_shortcuts_change_nothing(value: Any) -> None:
    expected = Canonical(code).form([value, value])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hitsave.values.canonical, "is_plain", lambda *_: False)
        patch.setattr(Canonical, "_at_once", lambda *_: b"")
        assert Canonical(code).form([value, value]) == expected


@law
@given(st.lists(plain_values, max_size=6))
def test_forms_tell_values_apart(values: list[Any]) -> None:
    """A form is an encoding: from it the very value could be read again, so two values can't share one."""
    for value in values:
        form = Canonical(code).form(value)
        assert same(marshal.loads(form), value)


def same(one: Any, other: Any) -> bool:
    """Equality that knows types, the sign of zero, and nan; order counts except in sets."""
    if type(one) is not type(other):
        return False
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return same(list(one.items()), list(other.items()))
    if isinstance(one, (set, frozenset)):
        return len(one) == len(other) and all(any(same(a, b) for b in other) for a in one)
    return repr(one) == repr(other)


@law
@given(rich_values, rich_values)
def test_different_values_have_different_digests(one: Any, other: Any) -> None:
    # `repr` shows all that counts in these values but the order of sets.
    if digest(one) == digest(other):
        assert sorted(repr(one)) == sorted(repr(other))


@law
@given(st.sets(hashables, max_size=8), st.randoms(use_true_random=False))
def test_the_order_of_a_set_never_counts(value: set[Any], random: Any) -> None:
    items = list(value)
    random.shuffle(items)
    assert digest({1: [value]}) == digest({1: [set(items)]})


@law
@given(st.dictionaries(hashables, plain_values, min_size=2, max_size=5))
def test_the_order_of_a_dict_always_counts(value: dict[Any, Any]) -> None:
    assert digest(value) != digest(dict(reversed(value.items())))


@st.composite
def graphs(draw: st.DrawFn) -> list[Any]:
    """Objects that refer to each other through attributes, lists and sets."""
    count = draw(st.integers(1, 5))
    some = st.lists(st.integers(0, count - 1), max_size=3)
    nodes = [Plain(name=draw(st.integers(0, 1))) for _ in range(count)]
    for node in nodes:
        node.next = [nodes[at] for at in draw(some)]  # type: ignore[attr-defined]
        node.peers = {nodes[at] for at in draw(some)}  # type: ignore[attr-defined]
    roots = [nodes[at] for at in draw(some)]
    return [roots, {nodes[at] for at in draw(some)}, *[{"n": node} for node in roots]]


@settings(law, max_examples=150)
@given(graphs())
def test_a_copy_of_a_graph_has_its_digest(value: list[Any]) -> None:
    """Sets of objects are ordered by address, so the copies are walked in other orders."""
    kept = [copy.deepcopy(value) for _ in range(3)]
    assert {digest(each) for each in kept} == {digest(value)}
    assert digest(pickle.loads(pickle.dumps(value))) == digest(value)


arrays = hnp.arrays(
    dtype=hnp.scalar_dtypes() | hnp.array_dtypes(max_size=3) | hnp.unicode_string_dtypes(max_len=4),
    shape=hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)


@law
@given(arrays)
def test_how_an_array_lies_in_memory_never_counts(array: Any) -> None:
    expected = digest(array)
    assert digest(array.copy(order="F")) == expected
    if array.ndim:
        wider = np.zeros((*array.shape, 2), dtype=array.dtype)
        wider[..., 0] = array
        assert digest(wider[..., 0]) == expected
        assert digest(array[::-1].copy()[::-1]) == expected
    if not array.dtype.hasobject and array.nbytes:
        assert digest(np.frombuffer(array.tobytes(), dtype=array.dtype).reshape(array.shape)) == expected


@law
@given(arrays, arrays)
def test_arrays_of_one_digest_have_one_dtype_shape_and_content(one: Any, other: Any) -> None:
    if digest(one) == digest(other):
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        assert one.tobytes() == other.tobytes()


@law
@given(arrays)
def test_a_reshaped_or_converted_array_is_another(array: Any) -> None:
    assert digest(array) != digest(array[None])
    assert digest(array) != digest(array.reshape(-1).tolist())
    if array.dtype.kind in "iuf" and array.dtype.itemsize > 1:
        assert digest(array) != digest(array.astype(array.dtype.newbyteorder()))
