"""Digests as they were computed when their format was fixed, on every version of Python and in every process.

If a test here fails, what users have stored can't be found any more. Either repair the change, or raise
`hitsave.values.digest.VERSION` and add the new digests beside a line of history.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hitsave.values import digest_arguments, digest_value
from hitsave.values.digest import VERSION

PROGRAM = """
import array, collections, datetime, decimal, enum, fractions, functools, ipaddress, math, pathlib, re, sys, types, uuid
import zoneinfo
from hitsave.values import digest_arguments, digest_value

class Colour(enum.Enum):
    RED = 1

class Plain:
    def __init__(self, **attributes):
        self.__dict__.update(attributes)

class Group(set):
    pass

def function(a=1):
    pass

def code(thing):
    return thing.__qualname__

def looped():
    value = [1]
    value.append(value)
    return value

values = {
    "int": 1, "bool": True, "float": 1.0, "negative zero": -0.0, "nan": math.nan, "complex": 1 + 2j, "none": None,
    "ellipsis": ..., "big": 2**100, "str": "h\\u00e9\\U0001f600", "surrogate": "\\ud800", "bytes": b"ab",
    "bytearray": bytearray(b"ab"),
    "list": [1, [2]], "tuple": (1, (2,)), "dict": {"a": [1], 2: "b"}, "set": {"a", "b", 3, (1, 2)},
    "frozenset": frozenset(["x", "y"]), "range": range(3), "slice": slice(1, 2), "long list": list(range(100_000)),
    "big bytes": b"ab" * 1_000_000, "decimal": decimal.Decimal("1.10"), "fraction": fractions.Fraction(1, 3),
    "date": datetime.date(2026, 11, 24), "datetime": datetime.datetime(2026, 11, 24, 12, tzinfo=datetime.timezone.utc),
    "zone": datetime.datetime(2026, 11, 24, tzinfo=zoneinfo.ZoneInfo("UTC")), "timedelta": datetime.timedelta(1, 2, 3),
    "uuid": uuid.UUID(int=5), "path": pathlib.Path("a/b"), "pattern": re.compile("a+", re.I),
    "address": ipaddress.ip_address("::1"), "array": array.array("d", [1.5]), "deque": collections.deque([1], 4),
    "ordered": collections.OrderedDict(a=1), "default": collections.defaultdict(list, a=[1]),
    "counter": collections.Counter("aab"), "namespace": types.SimpleNamespace(a=1), "enum": Colour.RED, "class": Plain,
    "instance": Plain(a=1, b=[2, {"x", "y"}]), "set subclass": Group(["a", "b", "c"]), "function": function,
    "builtin": len,
    "method": "a".upper, "partial": functools.partial(len, [1]), "exception": ValueError("a", 1), "cycle": looped(),
    "generic": list[int], "union": int | str, "mapping": types.MappingProxyType({"a": 1}), "view": memoryview(b"abc"),
    "shared": [Plain(a=1)] * 2, "long instance": Plain(a="x" * 10_000), "type": int,
}
for name, value in values.items():
    print(name, digest_value(value, code=code), sep="=")
print("arguments", digest_arguments(("x", "y"), (1, {"a": 2.0}), code=code), sep="=")
print("slow arguments", digest_arguments(("x", "y"), (1, Plain(a=1)), code=code), sep="=")
print("no arguments", digest_arguments((), (), code=code), sep="=")
"""
GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("seed", ["0", "1", "random"])
def test_digests_are_those_of_the_first_release(seed: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(filter(None, sys.path)), "PYTHONUTF8": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == (GOLDEN / f"digests-{VERSION}.txt").read_text(encoding="utf-8")


def test_digests_of_arrays_and_frames_are_those_of_the_first_release() -> None:
    numpy: Any = pytest.importorskip("numpy")
    pandas: Any = pytest.importorskip("pandas")
    frame = pandas.DataFrame({0: numpy.array([1, 2], "<i8"), 1: [0.5, -0.0]})
    frame.columns = pandas.Index([5, 9], dtype="int64")  # texts are another dtype in pandas 3
    values = {
        "array": numpy.arange(6.0).reshape(2, 3),
        "fortran": numpy.asfortranarray(numpy.arange(6.0).reshape(2, 3)),
        "large": numpy.arange(100_000, dtype="<i4"),
        "big-endian": numpy.arange(3, dtype=">i2"),
        "record": numpy.zeros(2, dtype=[("a", "<i4"), ("b", "<U2")]),
        "objects": numpy.array([1, "a", None], dtype=object),
        "scalar": numpy.float32(1.5),
        "dtype": numpy.dtype("<f8"),
        "frame": frame,
        "series": frame[5],
    }
    found = "".join(f"{name}={digest_value(value, code=str)}\n" for name, value in values.items())
    assert found == (GOLDEN / f"arrays-{VERSION}.txt").read_text(encoding="utf-8")


def test_the_digest_of_arguments_does_not_depend_on_which_way_they_were_written() -> None:
    names, values = ("x",), ([1, {"a": (2.0, None)}],)
    plain = digest_arguments(names, values, code=repr)
    assert digest_arguments(names, values, code=repr, hashers={"other": len}) == plain
