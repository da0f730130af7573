"""Which values are the same, and which aren't."""

from __future__ import annotations

import collections
import contextvars
import datetime
import decimal
import fractions
import functools
import math
import pathlib
import threading
import types
import weakref
from typing import Any, Generic, TypeVar

import pytest

from hitsave.errors import CannotDigest, UsageError
from hitsave.values import digest_arguments, digest_value, register_hasher
from hitsave.values.digest import hashers_by_type
from tests.values.samples import DIFFERENT, Colour, Frozen, Keyed, Mapping, Pair, Plain, Point, Slotted, code, digest


def test_no_two_different_values_share_a_digest() -> None:
    seen: dict[str, Any] = {}
    for value in DIFFERENT:
        other = seen.setdefault(digest(value), value)
        assert other is value, f"{other!r} and {value!r}"


def test_no_two_different_values_share_a_digest_inside_a_list() -> None:
    assert len({digest([value]) for value in DIFFERENT}) == len(DIFFERENT)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ab" * 3, "".join(["ab"] * 3)),
        (float("nan"), math.nan),
        ([1, [2]], [1, [2]]),
        ({3, 1, 2}, {1, 2, 3}),
        ({"b", "a"}, {"a", "b"}),
        (frozenset([(1, "a"), (2, "b")]), frozenset([(2, "b"), (1, "a")])),
        (Plain(a={"x", "y"}), Plain(a={"y", "x"})),
        (Point([1], {"a": 2}), Point([1], {"a": 2})),
        (Slotted([1], 2), Slotted([1], 2)),
        (Keyed([1], "one"), Keyed([1], "other")),
        (collections.deque([1, 2]), collections.deque([1, 2])),
        (fractions.Fraction(2, 4), fractions.Fraction(1, 2)),
        (int | str, str | int),
        (pathlib.Path("a/./b"), pathlib.Path("a//b")),
        (ValueError("a"), ValueError("a")),
        (datetime.timezone(datetime.timedelta(hours=1)), datetime.timezone(datetime.timedelta(minutes=60))),
        (memoryview(b"abcd")[::2], memoryview(b"ac")),
        (types.MappingProxyType({"a": 1}), types.MappingProxyType({"a": 1})),
    ],
)
def test_equal_values_share_a_digest(one: object, other: object) -> None:
    assert digest(one) == digest(other)
    assert digest([one]) == digest([other])


def test_where_a_value_stands_does_not_change_what_its_parts_count_by() -> None:
    inner = Plain(a=[1, 2])
    assert digest([inner, inner]) == digest([Plain(a=[1, 2]), Plain(a=[1, 2])])
    assert digest([[1], [1]]) == digest([[1]] * 2)
    assert digest((Point(1), [Point(1)])) == digest((*[Point(1)], [Point(1)]))


def test_the_class_counts_through_its_code() -> None:
    by_other_code = digest_value(Point(1), code=lambda thing: f"other {thing.__qualname__}")
    assert digest(Point(1)) != by_other_code
    assert digest(1) == digest_value(1, code=lambda thing: "other")


def test_attributes_of_subclasses_count_beside_their_contents() -> None:
    one, other = Mapping({"a": 1}), Mapping({"a": 1})
    assert digest(one) == digest(other)
    other.extra = 1  # type: ignore[attr-defined]
    assert digest(one) != digest(other)
    assert digest(Mapping({"a": 1})) != digest(Mapping({"a": 2}))


def test_the_order_of_attributes_counts_as_that_of_a_dict() -> None:
    assert digest(Plain(a=1, b=2)) != digest(Plain(b=2, a=1))


def test_a_missing_slot_differs_from_one_that_holds_none() -> None:
    value = Slotted(1, None)
    before = digest(value)
    del value.b
    assert digest(value) != before


def test_a_class_may_say_what_is_pickled() -> None:
    class Session:
        def __init__(self, url: str) -> None:
            self.url = url
            self.socket = object()

        def __getstate__(self) -> dict[str, str]:
            return {"url": self.url}

    assert digest(Session("a")) == digest(Session("a")) != digest(Session("b"))


def test_weak_references_count_by_what_they_refer_to() -> None:
    one, other = Plain(a=1), Plain(a=2)
    assert digest(weakref.ref(one)) != digest(weakref.ref(other))


def test_weak_collections_count_by_what_they_hold_now() -> None:
    one, other = Plain(a=1), Plain(a=2)
    assert digest(weakref.WeakValueDictionary({1: one})) != digest(weakref.WeakValueDictionary({1: other}))
    assert digest(weakref.WeakKeyDictionary({one: 1})) != digest(weakref.WeakKeyDictionary({other: 1}))
    assert (
        digest(weakref.WeakSet([one, other])) == digest(weakref.WeakSet([other, one])) != digest(weakref.WeakSet([one]))
    )


def test_context_variables_and_thread_locals_count_by_what_they_hold_here() -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable")
    local = threading.local()
    before = digest(variable), digest(local)
    token = variable.set(1)
    local.x = 1
    assert digest(variable) != before[0]
    assert digest(local) != before[1]
    variable.reset(token)
    assert digest(variable) == before[0]


def test_exceptions_count_by_arguments_attributes_and_cause_but_not_by_traceback() -> None:
    def raised(cause: Exception | None) -> ValueError:
        try:
            raise ValueError("a") from cause
        except ValueError as error:
            return error

    assert digest(raised(None)) == digest(raised(None))
    assert digest(raised(KeyError("k"))) != digest(raised(None))


SENTINEL, OTHER_SENTINEL = object(), object()


ALIAS = SENTINEL


def test_many_bare_objects_are_looked_up_at_once() -> None:
    import time

    started = time.process_time()
    digest([object() for _ in range(2000)])
    assert time.process_time() - started < 5


def test_the_context_of_a_decimal_does_not_count() -> None:
    value = decimal.Decimal("1E+50")
    before = digest(value)
    with decimal.localcontext() as context:
        context.capitals = 0
        context.prec = 2
        assert digest(value) == before


def test_attributes_of_ordered_dicts_and_counters_count() -> None:
    for kind in (collections.OrderedDict, collections.Counter):
        one: Any = kind(a=1)
        before = digest(one)
        one.extra = 1
        assert digest(one) != before


def test_sets_that_marshal_cannot_sort_have_a_digest() -> None:
    one, other = complex(math.nan, 0), complex(math.nan, 0.0)
    assert digest({one, other}) == digest({other, one}) != digest({one})


def test_a_class_without_a_hash_is_refused() -> None:
    class Strange(type):
        def __eq__(cls, other: object) -> bool:
            return cls is other

    strange = Strange("strange", (), {})()
    for value in (strange, [strange], {"a": [1, strange]}, Plain(a=strange)):
        with pytest.raises(CannotDigest, match="class that has no hash"):
            digest(value)


def test_cached_properties_and_generic_bases_of_local_classes_have_a_digest() -> None:
    def make(factor: int) -> type:
        class Local(Generic[T]):
            @functools.cached_property
            def scaled(self) -> int:
                return factor

        return Local

    assert digest(make(1)) == digest(make(1)) != digest(make(2))


T = TypeVar("T")


def test_bare_objects_are_known_by_the_global_name_they_go_by() -> None:
    assert digest(SENTINEL) == digest(SENTINEL) != digest(OTHER_SENTINEL)


def test_arguments_count_by_name_and_by_value() -> None:
    def of(names: tuple[str, ...], *values: object) -> str:
        return digest_arguments(names, values, code=code)

    assert of(("a", "b"), 1, 2) == of(("a", "b"), 1, 2)
    assert len({of(("a", "b"), 1, 2), of(("b", "a"), 1, 2), of(("a", "b"), 2, 1), of(("a",), (1, 2))}) == 4
    assert of(("a",), Point(1)) != of(("a",), Point(True))


def test_a_hasher_for_a_parameter_stands_for_its_value_only() -> None:
    hashers = {"path": str.lower}

    def of(path: str, other: str) -> str:
        return digest_arguments(("path", "other"), (path, other), code=code, hashers=hashers)

    assert of("A", "x") == of("a", "x") != of("a", "X")


def test_a_hasher_for_a_type_stands_for_its_instances_and_those_of_subclasses() -> None:
    class Derived(Plain):
        pass

    hashers: dict[str | type, Any] = {Plain: lambda value: value.a}

    def of(value: object) -> str:
        return digest_arguments(("x",), ([value],), code=code, hashers=hashers)

    assert of(Plain(a=1, b=2)) == of(Plain(a=1, b=3)) != of(Plain(a=2, b=3))
    assert of(Derived(a=1, b=2)) == of(Derived(a=1, b=3)) != of(Plain(a=1, b=2))


def test_a_registered_hasher_is_used_everywhere_until_replaced() -> None:
    class Client:
        def __init__(self, url: str) -> None:
            self.url = url
            self.connection = iter(lambda: 1, 2)

    register_hasher(Client, lambda client: client.url)
    try:
        assert digest({"c": Client("a")}) == digest({"c": Client("a")}) != digest({"c": Client("b")})
    finally:
        del hashers_by_type[Client]


@pytest.mark.parametrize("kind", [int, str, dict, list, tuple, object, type(None)])
def test_builtin_types_have_no_other_hasher(kind: type) -> None:
    with pytest.raises(UsageError, match="can't be changed"):
        register_hasher(kind, repr)
    with pytest.raises(UsageError, match="can't be changed"):
        digest_arguments(("a",), (1,), code=code, hashers={kind: repr})


def test_a_hasher_must_be_callable() -> None:
    with pytest.raises(UsageError, match="can't be called"):
        register_hasher(Plain, "a")  # type: ignore[arg-type]


def test_enum_members_count_by_class_and_name() -> None:
    assert digest(Colour.RED) == digest(Colour(1))


def test_what_a_value_returns_for_itself_may_be_any_value() -> None:
    assert digest(Keyed({"a": [Point(1)]}, 0)) == digest(Keyed({"a": [Point(1)]}, 1))
    assert digest(Keyed([1], 0)) != digest([1])


def test_nested_tuples_of_the_user_keep_their_class() -> None:
    assert digest(Pair(1, (2, 3))) != digest((1, (2, 3)))
    assert digest(Frozen(Pair(1, 2))) != digest(Frozen((1, 2)))
