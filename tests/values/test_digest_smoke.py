from __future__ import annotations

from hitsave.values import digest_value


def _code(thing: object) -> str:
    return f"{getattr(thing, '__module__', '')}:{getattr(thing, '__qualname__', '')}"


def test_values_that_python_calls_equal_differ_by_type() -> None:
    values: list[object] = [1, True, 1.0, 1 + 0j, [1], (1,), {1}, frozenset({1}), {1: 1}, "1", b"1", bytearray(b"1")]
    assert len({digest_value(value, code=_code) for value in values}) == len(values)
