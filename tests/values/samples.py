"""Values for the tests of digests and codecs, and strategies that make more."""

from __future__ import annotations

import array
import collections
import copy
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import ipaddress
import operator
import pathlib
import re
import types
import typing
import uuid
import zoneinfo
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from hitsave.digest import Digest
from hitsave.values import digest_value

# Only what a law says may fail it: the machine may be slow.
law = settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))


def code(thing: Any) -> str:
    """What stands for code here: names only."""
    return (
        f"{thing.__module__ if hasattr(thing, '__module__') else ''}:{getattr(thing, '__qualname__', thing.__name__)}"
    )


def digest(value: object) -> Digest:
    """The digest of a value whose code is known by name."""
    return digest_value(value, code=code)


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Flags(enum.Flag):
    READ = 1
    WRITE = 2


class Word(str):
    """A str of the user's own."""


class Number(int):
    """An int of the user's own."""


class Mapping(dict):  # type: ignore[type-arg]
    """A dict of the user's own."""


class Items(list):  # type: ignore[type-arg]
    """A list of the user's own."""


class Group(set):  # type: ignore[type-arg]
    """A set of the user's own."""


class Plain:
    """An ordinary class."""

    def __init__(self, **attributes: object) -> None:
        self.__dict__.update(attributes)

    def method(self) -> None:
        """For bound methods."""


class Slotted:
    """Its state is in slots."""

    __slots__ = ("a", "b")

    def __init__(self, a: object, b: object) -> None:
        self.a = a
        self.b = b

    def __repr__(self) -> str:
        return f"Slotted({self.a!r}, {self.b!r})"


class Keyed:
    """It says itself what stands for it."""

    def __init__(self, key: object, noise: object) -> None:
        self.key = key
        self.noise = noise

    def __hitsave_key__(self) -> object:
        return self.key


@dataclasses.dataclass
class Point:
    x: Any
    y: Any = None


@dataclasses.dataclass(frozen=True)
class Frozen:
    x: Any
    y: Any = None


@dataclasses.dataclass(slots=True, frozen=True)
class SlottedPoint:
    x: Any
    y: Any = None


class Pair(typing.NamedTuple):
    a: Any
    b: Any


Legacy = collections.namedtuple("Legacy", ["a", "b"])


# No two of these are the same value.
DIFFERENT: list[Any] = [
    *(
        0,
        1,
        -1,
        2**31,
        2**63,
        -(2**70),
        True,
        False,
        0.0,
        -0.0,
        1.0,
        float("inf"),
        float("nan"),
        1 + 0j,
        complex(-0.0, 1),
    ),
    *(None, ..., NotImplemented, "", "1", "a", "é", "\ud800", b"", b"1", b"a", bytearray(b"a"), memoryview(b"a")),
    *([], [1], [True], [1.0], ["1"], [[1]], [[], [1]], [[1], []], (), (1,), ((1,),), [1, 2], [2, 1], (1, 2)),
    *(set(), {1}, {1, 2}, frozenset(), frozenset({1}), {}, {1: 2}, {2: 1}, {1: 2, 2: 1}, {2: 1, 1: 2}, {"a": [1]}),
    *(range(3), range(0, 3, 2), slice(3), slice(0, 3), array.array("i", [1]), array.array("q", [1])),
    *(
        decimal.Decimal("1"),
        decimal.Decimal("1.0"),
        decimal.Decimal("-0"),
        decimal.Decimal("NaN"),
        fractions.Fraction(1),
    ),
    *(datetime.date(2026, 1, 1), datetime.datetime(2026, 1, 1), datetime.time(1), datetime.timedelta(1)),
    datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc),
    datetime.datetime(2026, 1, 1, tzinfo=zoneinfo.ZoneInfo("UTC")),
    datetime.datetime(2026, 1, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")),
    datetime.datetime(2026, 10, 25, 2, 30, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")),
    datetime.datetime(2026, 10, 25, 2, 30, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"), fold=1),
    *(datetime.timezone.utc, datetime.timezone(datetime.timedelta(hours=1)), zoneinfo.ZoneInfo("UTC")),
    datetime.timezone(datetime.timedelta(hours=1), "CET"),
    *(uuid.UUID(int=1), ipaddress.ip_address("10.0.0.1"), ipaddress.ip_network("10.0.0.0/8")),
    *(pathlib.Path("a"), pathlib.Path("a/b"), pathlib.PurePosixPath("a"), pathlib.PureWindowsPath("a")),
    *(re.compile("a"), re.compile(b"a"), re.compile("a", re.IGNORECASE)),
    *(collections.deque([1]), collections.deque([1], 3), collections.OrderedDict({1: 2}), collections.Counter({1: 2})),
    *(collections.defaultdict(int, {1: 2}), collections.defaultdict(bool, {1: 2}), collections.ChainMap({1: 2})),
    *(types.MappingProxyType({1: 2}), types.SimpleNamespace(a=1), {1: 2}.keys(), {1: 2}.values(), {1: 2}.items()),
    *(Colour.RED, Colour.BLUE, Level.LOW, Flags.READ, Flags.READ | Flags.WRITE, Colour, Level),
    *(Word("a"), Number(1), Mapping({1: 2}), Items([1]), Group({1}), Plain(), Plain(a=1), Plain(a=True), Plain(b=1)),
    *(
        Slotted(1, 2),
        Slotted(2, 1),
        Point(1),
        Point(2),
        Point(1, 2),
        Frozen(1),
        SlottedPoint(1),
        Pair(1, 2),
        Legacy(1, 2),
    ),
    *(
        Keyed(1, 2),
        Keyed(2, 2),
        ValueError("a"),
        TypeError("a"),
        ValueError("a", "b"),
        OSError(1, "a"),
        OSError(1, "a", "f"),
    ),
    *(int, bool, float, str, Plain, Point, list[int], list[str], dict[int, str], int | str),
    *(len, print, "a".upper, [1].append, [2].append, str.upper, dict.get, operator.add, operator.itemgetter(1)),
    *(
        functools.partial(print, 1),
        functools.partial(print, a=1),
        functools.partial(abs, 1),
        Plain().method,
        Plain(a=1).method,
    ),
    *(dataclasses.field, typing.List[int], typing.Optional[int], typing.Any),  # noqa: UP006, UP045 - as users write
]

atoms = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=True)
    | st.complex_numbers()
    | st.text(max_size=8)
    | st.binary(max_size=8)
    | st.just(...)
)
hashables = st.recursive(
    atoms, lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3), max_leaves=6
)
plain_values = st.recursive(
    atoms,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(hashables, inner, max_size=4)
        | st.sets(hashables, max_size=4)
        | st.frozensets(hashables, max_size=3)
    ),
    max_leaves=20,
)
others = (
    st.decimals()
    | st.fractions()
    | st.dates()
    | st.datetimes(timezones=st.none() | st.timezones())
    | st.timedeltas()
    | st.uuids()
    | st.builds(range, st.integers(-9, 9), st.integers(-9, 9))
    | st.binary(max_size=5).map(bytearray)
    | st.sampled_from([*Colour, *Level, Flags.READ, pathlib.Path("a"), re.compile("b")])
)
rich_values = st.recursive(
    atoms | others,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(hashables, inner, max_size=4)
        | st.builds(Point, inner, inner)
        | st.builds(Frozen, inner)
        | st.builds(SlottedPoint, inner)
        | st.builds(Pair, inner, inner)
        | st.builds(Slotted, inner, inner)
        | st.lists(inner, max_size=3).map(collections.deque)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3).map(collections.OrderedDict)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3).map(Mapping)
    ),
    max_leaves=20,
)


def rebuilt(value: Any) -> Any:
    """An equal value made of other objects where they can be made twice; its sets are filled in another order."""
    kind = type(value)
    if kind is str:
        return "".join(list(value))
    if kind is bytes:
        return bytes(bytearray(value))
    if kind is float or kind is int:
        return kind.fromhex(value.hex()) if kind is float and value == value else copy.copy(value)
    if kind is tuple or kind is list:
        return kind([rebuilt(item) for item in value])
    if kind is dict:
        return {rebuilt(key): rebuilt(item) for key, item in value.items()}
    if kind is set or kind is frozenset:
        return kind([rebuilt(item) for item in reversed(list(value))])
    return value
