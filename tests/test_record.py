"""Records: what every stage hands to the next."""

from __future__ import annotations

import copy
import inspect
import pickle

import pytest

from hitsave.record import Record, RecordType


class Point(Record):
    x: int
    y: int = 0


class Named(Point):
    name: str = "origin"


def test_a_record_is_its_values() -> None:
    assert Point(1) == Point(x=1, y=0) != Point(1, 1)
    assert hash(Point(1)) == hash(Point(1, 0))
    assert repr(Named(1, name="a")) == "Named(x=1, y=0, name='a')"
    assert Point(1) != Named(1)
    assert Point(1).replace(y=5) == Point(1, 5)
    assert copy.deepcopy(Point(1, 2)) == pickle.loads(pickle.dumps(Point(1, 2))) == Point(1, 2)


def test_its_init_is_called_like_any_other() -> None:
    assert str(inspect.signature(Named)) == "(x, y=0, name='origin')"
    with pytest.raises(TypeError, match=r"Point.__init__\(\) missing 1 required positional argument: 'x'"):
        Point()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected keyword argument 'z'"):
        Point(1, z=2)  # type: ignore[call-arg]


def test_nothing_in_it_changes() -> None:
    point = Point(1)
    with pytest.raises(AttributeError, match="frozen"):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(AttributeError):
        del point.x
    assert point == Point(1)


def test_fields_that_no_call_could_give_are_refused() -> None:
    with pytest.raises(TypeError, match="without a default stands after one with a default"):
        RecordType("Odd", (Named,), {"__annotations__": {"z": int}, "__module__": __name__})
    names = {f"field{number}": int for number in range(27)}
    with pytest.raises(TypeError, match="more than 26 fields"):
        RecordType("Wide", (Record,), {"__annotations__": names, "__module__": __name__})


@pytest.mark.parametrize("count", range(1, 27))
def test_each_field_goes_into_its_own_slot(count: int) -> None:
    names = [f"field{number}" for number in range(count)]
    made = RecordType("Made", (Record,), {"__annotations__": dict.fromkeys(names, int), "__module__": __name__})
    record = made(*range(count))
    assert [getattr(record, name) for name in names] == list(range(count))
