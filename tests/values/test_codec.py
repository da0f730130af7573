"""Results as bytes and back."""

from __future__ import annotations

import collections
import copy
import dataclasses
import datetime
import math
import mmap
import pickle
import random
import re
import sys
import types
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given

from hitsave.errors import CannotEncode, StoreError, UsageError
from hitsave.evaluation import Blob
from hitsave.values import decode, encode, register_codec
from hitsave.values.codec import _users, is_safe
from tests.values.samples import (
    DIFFERENT,
    Colour,
    Flags,
    Frozen,
    Legacy,
    Pair,
    Plain,
    Point,
    SlottedPoint,
    Word,
    code,
    digest,
    law,
    plain_values,
    rich_values,
)


def joined(blob: Blob) -> bytes:
    """The bytes of a blob, as a store would write them."""
    return b"".join(bytes(memoryview(buffer).cast("B")) for buffer in blob.buffers())


def stored(value: object, **options: Any) -> Blob:
    """A blob as a store gives it back."""
    blob = encode(value, **options)
    data = joined(blob)
    assert len(data) == blob.size_bytes
    return Blob(blob.codec, data, blob.size_bytes)


def again(value: Any) -> Any:
    """`value` after a trip through bytes."""
    return decode(stored(value))


@law
@given(plain_values)
def test_builtins_come_back_as_they_were(value: Any) -> None:
    blob = stored(value)
    found = decode(blob)
    assert digest(found) == digest(value)
    if blob.codec == "plain-1":  # not if hypothesis put one empty list in two places
        assert joined(encode(found)) == blob.data


@law
@given(rich_values)
def test_values_come_back_with_their_type_and_digest(value: Any) -> None:
    found = again(value)
    assert type(found) is type(value)
    assert digest(found) == digest(value)


@pytest.mark.parametrize("value", DIFFERENT, ids=lambda value: f"{type(value).__name__}")
def test_whatever_pickle_takes_comes_back(value: Any) -> None:
    try:
        pickle.dumps(value)
    except (TypeError, pickle.PicklingError):
        with pytest.raises(CannotEncode):
            encode(value)
        return
    assert digest(again(value)) == digest(value)


SHARED = [1]


@pytest.mark.parametrize(
    ("value", "codec"),
    [
        (1, "plain"),
        (-0.0, "plain"),
        ([1, (2, {"a": {3}})], "plain"),
        ((), "plain"),
        ([(), ()], "plain"),
        (["a", "a"], "plain"),
        ([SHARED, SHARED], "pickle5"),
        ({"a": SHARED, "b": (SHARED,)}, "pickle5"),
        (np.arange(3), "npy"),
        (np.float64(1), "npy"),
        (np.array([None]), "pickle5"),
        ({"x": np.arange(3), "when": datetime.date(2026, 1, 1)}, "tree"),
        (Point(1, [2]), "tree"),
        (Point(SHARED, SHARED), "pickle5"),
        ([Colour.RED, Colour.RED], "tree"),
        (Flags.READ | Flags.WRITE, "pickle5"),
        (Pair(1, [2]), "tree"),
        (Legacy(1, 2), "tree"),
        (SlottedPoint(1), "tree"),
        (Plain(a=1), "pickle5"),
        (Word("a"), "pickle5"),
        (collections.OrderedDict(a=[1]), "tree"),
        (collections.defaultdict(list, a=[1]), "tree"),
        (collections.defaultdict(partial(list), a=[1]), "pickle5"),
        (bytearray(b"a"), "tree"),
        (ValueError("a"), "pickle5"),
        (len, "pickle5"),
    ],
    ids=lambda value: re.sub(r" at 0x\w+", "", str(value)),  # the same in every worker
)
def test_each_value_goes_to_the_first_codec_that_is_exact_for_it(value: Any, codec: str) -> None:
    blob = stored(value)
    assert blob.codec == f"{codec}-1"
    assert is_safe(blob.codec) == (codec != "pickle5")
    assert digest(decode(blob)) == digest(value)


def test_one_list_in_two_places_is_one_list_after_it() -> None:
    part = [1]
    for value in ([part, part], {"a": part, "b": [part]}, (part, Point(part)), Point(part, part)):
        found = again(value)
        first, second = (
            list(found.values())
            if isinstance(found, dict)
            else found
            if not isinstance(found, Point)
            else (found.x, found.y)
        )
        second = second[0] if isinstance(second, list) and second and isinstance(second[0], list) else second
        second = second.x if isinstance(second, Point) else second
        assert first is second


def test_a_long_text_in_many_places_is_stored_once() -> None:
    text = "a" * 100_000
    for value in ([{"text": text, "n": n} for n in range(500)], [Point(text, n) for n in range(500)], [text] * 500):
        blob = stored(value)
        assert blob.size_bytes < 200_000
        assert digest(decode(blob)) == digest(value)
    assert encode([{"text": text + str(n)} for n in range(500)]).codec == "plain-1"


def test_a_list_that_holds_itself_comes_back() -> None:
    value: list[Any] = [1]
    value.append(value)
    found = again(value)
    assert found[1] is found


def test_one_array_in_two_places_is_one_array_after_it() -> None:
    array = np.arange(1000.0)
    found = again({"a": array, "b": [array]})
    assert found["a"] is found["b"][0]


@pytest.mark.parametrize(
    "value",
    [
        [1],
        {"a": [1]},
        np.arange(1000.0),
        {"x": np.arange(1000.0)},
        [np.arange(1000.0)] * 2,
        Point([1]),
        bytearray(b"a" * 2000),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_decoded_value_is_independent(value: Any) -> None:
    kept = stored(value)
    first, second = decode(kept), decode(kept)
    before = digest(second)
    _change(first)
    assert digest(first) != before
    assert digest(second) == digest(decode(kept)) == digest(value) == before


def _change(value: Any) -> None:
    if isinstance(value, (np.ndarray, bytearray)):
        value[0] = 99
    elif isinstance(value, list):
        if isinstance(value[0], np.ndarray):
            _change(value[0])
        else:
            value[0] = 99
    elif isinstance(value, dict):
        _change(next(iter(value.values())))
    else:
        _change(value.x)


def test_a_result_changed_after_it_was_encoded_does_not_change_what_was_stored() -> None:
    value = [1, [2]]
    blob = encode(value)
    value.append(3)
    assert decode(blob) == [1, [2]]


@pytest.mark.parametrize(
    "value", [np.arange(1_000_000.0), {"x": np.arange(1_000_000.0)}, Plain(a=np.arange(1_000_000.0))]
)
def test_a_large_array_is_not_copied_on_its_way_out(value: Any) -> None:
    array = value if isinstance(value, np.ndarray) else value["x"] if isinstance(value, dict) else value.a
    blob = encode(value)
    views = [np.asarray(memoryview(part).cast("B")) for part in blob.buffers()]
    assert any(np.shares_memory(view, array) for view in views)
    assert blob.size_bytes < array.nbytes + 1000


@pytest.mark.parametrize(
    "value", [np.arange(1_000_000.0), {"x": np.arange(1_000_000.0)}, Plain(a=np.arange(1_000_000.0))]
)
def test_a_large_array_lies_in_the_private_memory_map_it_is_read_from(value: Any, tmp_path: Path) -> None:
    blob = encode(value)
    path = tmp_path / "blob"
    path.write_bytes(joined(blob))
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    found = decode(Blob(blob.codec, mapped, len(mapped)))
    array = found if isinstance(found, np.ndarray) else found["x"] if isinstance(found, dict) else found.a
    assert np.shares_memory(array, np.frombuffer(mapped, "u1"))
    assert array.flags.writeable
    assert array.flags.aligned
    array[:] = 7
    assert path.read_bytes() == joined(blob)


def test_arrays_keep_their_order_and_dtype() -> None:
    for array in (
        np.asfortranarray(np.arange(600.0).reshape(20, 30)),
        np.arange(600.0).reshape(20, 30)[:, ::2],
        np.zeros(3, np.dtype([("a", "i1"), ("b", "f8")], align=True)),
        np.zeros(2, [("a", "f4", (2, 2)), ("b", "U3")]),
        np.zeros(300, "M8[ns]"),
        np.zeros(3, ">i2"),
        np.zeros((0, 3)),
        np.array(5),
        np.zeros(3, "S0"),
        np.array([1.5], dtype="g"),
    ):
        found = again(array)
        assert found.dtype == array.dtype
        assert found.shape == array.shape
        assert found.flags.f_contiguous == (array.flags.f_contiguous or array.ndim < 2 or array.size == 0)
        assert digest(found) == digest(array)


def test_a_misaligned_blob_is_read_all_the_same() -> None:
    data = joined(encode(np.arange(1000.0)))
    moved = bytearray(b"x" + data)
    found = decode(Blob("npy-1", memoryview(moved)[1:], len(data)))
    assert found.flags.aligned
    assert found.sum() == 999 * 500


GOLDEN: list[Any] = [
    1,
    {"a": [1.5, (None, True)]},
    {"b", "a", 1},
    np.array([1, 2], "<i4"),
    np.arange(40, dtype="<i8"),
    [datetime.date(2026, 1, 2), Point(1, [2]), Colour.RED],
    {"x": np.arange(20, dtype="<f8"), "n": 3},
    [SHARED, SHARED],
]


def test_bytes_are_those_of_the_first_release() -> None:
    """If this fails, older versions can't read what this one writes: raise the codec's `version`, keep reading both."""
    golden = Path(__file__).parent / "golden" / "blobs-1.txt"
    lines = golden.read_text().splitlines()
    for value, line in zip(GOLDEN, lines, strict=True):
        codec, _, data = line.partition(" ")
        blob = encode(value)
        assert digest(decode(Blob(codec, bytes.fromhex(data), len(data) // 2))) == digest(value)
        assert f"{blob.codec} {joined(blob).hex()}" == line


@pytest.mark.parametrize(
    "value", [[1, {"a": "b"}], np.arange(100.0), {"x": np.arange(100.0), "p": Point(1)}], ids=["plain", "npy", "tree"]
)
def test_damaged_bytes_are_an_error_or_the_damage_of_a_number(value: Any) -> None:
    """A head is checked; the memory of an array is the store's affair, and any bytes are some numbers."""
    blob = stored(value)
    draw = random.Random(0)
    data = bytes(memoryview(blob.data))
    for _ in range(1500):
        broken = bytearray(data)
        for _ in range(draw.choice([1, 1, 3])):
            broken[draw.randrange(len(broken))] ^= 1 << draw.randrange(8)
        if draw.random() < 0.3:
            del broken[draw.randrange(len(broken)) :]
        try:
            found = decode(Blob(blob.codec, bytes(broken), len(broken)))
        except StoreError:
            continue
        assert type(found) is type(value)


@pytest.mark.parametrize("codec", ["plain-1", "npy-1", "tree-1", "pickle5-1", "arrow-1", "safetensors-1"])
@pytest.mark.parametrize("data", [b"", b"x", b"\0" * 200, b"HSB1" + b"\xff" * 60])
def test_bytes_that_were_never_a_blob_are_an_error(codec: str, data: bytes) -> None:
    if codec == "safetensors-1":
        pytest.importorskip("torch", reason="only on machines with PyTorch")
    with pytest.raises(StoreError):
        decode(Blob(codec, data, len(data)))


@pytest.mark.parametrize("codec", ["plain-2", "npy-0", "unheard-1", "", "plain"])
def test_an_unknown_codec_or_version_is_an_error_that_says_so(codec: str) -> None:
    with pytest.raises(StoreError, match="isn't known here"):
        decode(Blob(codec, b"", 0))


def test_a_value_that_no_codec_takes_is_an_error_that_names_its_type() -> None:
    for value in ((x for x in [1]), lambda: 1, [lambda: 1]):
        with pytest.raises(CannotEncode, match=type(value).__name__):
            encode(value)


def test_what_pickling_raises_is_kept_as_the_cause() -> None:
    class Failing:
        def __reduce__(self) -> Any:
            raise ZeroDivisionError("mine")

    with pytest.raises(CannotEncode, match="mine") as caught:
        encode(Failing())
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_codec_can_be_asked_for_by_name() -> None:
    assert encode([1], codec="pickle5").codec == "pickle5-1"
    assert encode([1], codec="tree").codec == "tree-1"
    with pytest.raises(CannotEncode, match="plain"):
        encode(Plain(a=1), codec="plain")
    with pytest.raises(CannotEncode, match="npy"):
        encode([1], codec="npy")
    with pytest.raises(UsageError, match="no codec is called 'zip'"):
        encode(1, codec="zip")


def test_pickles_can_be_ruled_out() -> None:
    assert encode(Point(1), allow_pickle=False).codec == "tree-1"
    for value, codec in ((Plain(a=1), None), ([SHARED, SHARED], None), (1, "pickle5")):
        with pytest.raises(CannotEncode, match="can't be stored without a pickle"):
            encode(value, codec=codec, allow_pickle=False)


class TextCodec:
    """Keeps words as UTF-8."""

    name = "words"
    version = 2

    def match(self, value: object) -> bool:
        return type(value) is Word

    def dump(self, value: Any) -> bytes:
        return str(value).encode()

    def load(self, data: memoryview) -> Any:
        return Word(bytes(data).decode())


def test_a_users_codec_is_asked_first() -> None:
    register_codec(TextCodec())
    try:
        blob = stored(Word("hé"))
        assert (blob.codec, blob.data) == ("words-2", "hé".encode())
        assert not is_safe(blob.codec)
        found = decode(blob)
        assert type(found) is Word
        assert found == "hé"
        assert encode("hé").codec == "plain-1"
        with pytest.raises(CannotEncode, match="words"):
            encode("hé", codec="words")
    finally:
        _users.clear()
    with pytest.raises(StoreError, match="isn't known here"):
        decode(blob)


def test_a_codec_that_fails_is_an_error_of_ours() -> None:
    class Failing(TextCodec):
        def dump(self, value: Any) -> bytes:
            raise KeyError("mine")

    register_codec(Failing())
    try:
        with pytest.raises(CannotEncode, match="mine"):
            encode(Word("a"))
    finally:
        _users.clear()


@pytest.mark.parametrize(
    ("name", "version"), [("plain", 1), ("Words", 1), ("", 1), ("a-b", 1), ("words", "1"), (None, 1)]
)
def test_a_codec_needs_a_name_and_a_version_of_its_own(name: Any, version: Any) -> None:
    codec: Any = types.SimpleNamespace(name=name, version=version)
    with pytest.raises(UsageError):
        register_codec(codec)


class Renamed:
    """Module names as a session gives them: this module is `pkg.tests` wherever it is loaded."""

    def __init__(self, here: str) -> None:
        self.here = here

    def canonical(self, import_name: str) -> str:
        return "pkg.tests" if import_name == self.here else import_name

    def import_name(self, canonical: str) -> str:
        return self.here if canonical == "pkg.tests" else canonical


@pytest.mark.parametrize("name", ["Plain", "Point", "Pair", "Colour"])
def test_classes_are_found_whatever_their_module_is_called_here(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = sys.modules["tests.values.samples"]
    script = types.ModuleType("__script__")
    cls = copy.copy(getattr(source, name))
    value = cls(a=1) if name == "Plain" else cls(1) if name != "Pair" else cls(1, 2)
    blob = stored({"v": value}, modules=Renamed("tests.values.samples"))
    assert b"samples" not in bytes(memoryview(blob.data))
    with pytest.raises(StoreError):
        decode(blob)
    setattr(script, name, cls)
    monkeypatch.setitem(sys.modules, "__script__", script)
    assert type(decode(blob, modules=Renamed("__script__"))["v"]) is cls


def test_a_function_is_stored_by_its_canonical_name() -> None:
    blob = stored([code], modules=Renamed("tests.values.samples"))
    assert decode(blob, modules=Renamed("tests.values.samples")) == [code]


@dataclasses.dataclass
class Counted:
    """Knows how often it was constructed."""

    x: int
    made: ClassVar[int] = 0

    def __post_init__(self) -> None:
        Counted.made += 1


def test_no_constructor_runs_on_reading_a_dataclass() -> None:
    assert again(Counted(1)).x == 1
    assert Counted.made == 1


class Sentinel:
    """Unpickling it would be noticed."""

    ran = False

    def __reduce__(self) -> Any:
        return Sentinel.run, ()

    @staticmethod
    def run() -> None:
        Sentinel.ran = True


def test_safe_codecs_never_unpickle() -> None:
    payload = pickle.dumps(Sentinel())
    for codec in ("plain-1", "npy-1", "tree-1", "arrow-1"):
        for data in (payload, joined(encode(payload)), joined(encode(Sentinel(), codec="pickle5"))):
            try:
                decode(Blob(codec, data, len(data)))
            except StoreError:
                pass
    assert not Sentinel.ran


def test_a_class_that_changed_its_fields_is_an_error() -> None:
    blob = stored(Frozen(1))
    fields = Frozen.__dataclass_fields__
    removed = fields.pop("y")
    try:
        with pytest.raises(StoreError, match="no longer the dataclass"):
            decode(blob)
    finally:
        fields["y"] = removed


def test_special_numbers_come_back() -> None:
    found = again([math.nan, -0.0, math.inf, -(2**100), 1e-320])
    assert repr(found) == repr([math.nan, -0.0, math.inf, -(2**100), 1e-320])
