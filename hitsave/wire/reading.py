"""Checked reading of JSON values that came from outside: right type, right size, or a `WireError` that says where."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

VERSION = 1

# Names travel in URLs, file names of exports and web pages, so none may hide a control character.
MAX_SYMBOL_BYTES = 512
MAX_TEXT_CHARACTERS = 65_536
MAX_ITEMS = 20_000
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]")
_DIGEST = re.compile(r"[0-9a-zA-Z_.:-]{1,128}\Z")
_SURROGATE = re.compile(r"[\ud800-\udfff]")

T = TypeVar("T")


class WireError(ValueError):
    """A message isn't what version 1 of the wire says; the text names the field."""


def canonical_json(value: Any) -> str:
    """One text per value: sorted keys, no spaces, ASCII only. What gets signed is this text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def parse_json(text: str | bytes) -> Any:
    """The value of `text`; NaN and infinities, which are no JSON, are refused like any other error."""
    try:
        return _DECODER.decode(text if isinstance(text, str) else text.decode())
    except (ValueError, RecursionError) as error:
        raise WireError(f"not JSON: {error}") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


# Made once: `json.loads` with a parameter makes one for each text.
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


class Reader:
    """Reads the fields of one JSON object. `where` is the path to it, for messages."""

    def __init__(self, value: Any, where: str) -> None:
        if not isinstance(value, Mapping):
            raise WireError(f"{where}: expected an object, got {type(value).__name__}")
        self.value = value
        self.where = where

    def text(self, name: str, default: str | None = None, *, limit: int = MAX_TEXT_CHARACTERS) -> str:
        """A string of at most `limit` characters that has a UTF-8 form."""
        return check_text(self._get(name, default), f"{self.where}.{name}", limit)

    def symbol(self, name: str) -> str:
        """A symbol: not empty, at most 512 bytes, no control characters."""
        return check_symbol(self._get(name, None), f"{self.where}.{name}")

    def digest(self, name: str, default: str | None = None) -> str:
        """A digest as our own records write them; "" only where it is the default."""
        found = self.value.get(name)
        if isinstance(found, str) and _DIGEST.match(found):
            return found  # nearly always; to say where it isn't takes longer than to look
        return check_digest(self._get(name, default), f"{self.where}.{name}", empty_allowed=default == "")

    def integer(self, name: str, default: int | None = None, *, low: int = 0, high: int = 1 << 53) -> int:
        """A whole number between `low` and `high`."""
        found = self._get(name, default)
        if not isinstance(found, int) or isinstance(found, bool) or not low <= found <= high:
            raise WireError(f"{self.where}.{name}: expected a whole number from {low} to {high}")
        return found

    def number(self, name: str, default: float | None = None, *, high: float = 1e15) -> float:
        """A finite number from 0 to `high`."""
        found = self._get(name, default)
        if not isinstance(found, int | float) or isinstance(found, bool) or not 0 <= found <= high:
            raise WireError(f"{self.where}.{name}: expected a number from 0 to {high:g}")
        return float(found)

    def boolean(self, name: str, default: bool | None = None) -> bool:
        """True or false, nothing that merely resembles them."""
        found = self._get(name, default)
        if not isinstance(found, bool):
            raise WireError(f"{self.where}.{name}: expected true or false")
        return found

    def items(self, name: str, read: Callable[[Any, str], T], *, limit: int = MAX_ITEMS) -> tuple[T, ...]:
        """Every item of a list, read by `read(item, where)`; a missing list is empty."""
        found = self.value.get(name, [])
        if not isinstance(found, list) or len(found) > limit:
            raise WireError(f"{self.where}.{name}: expected a list of at most {limit} items")
        return tuple(read(item, f"{self.where}.{name}[{i}]") for i, item in enumerate(found))

    def _get(self, name: str, default: Any) -> Any:
        found = self.value.get(name, default)
        if found is None:
            raise WireError(f"{self.where}.{name}: missing")
        return found


def check_text(value: Any, where: str, limit: int = MAX_TEXT_CHARACTERS) -> str:
    """`value`, if it is a string of at most `limit` characters that PostgreSQL and UTF-8 can hold."""
    if not isinstance(value, str) or len(value) > limit:
        raise WireError(f"{where}: expected text of at most {limit} characters")
    if "\x00" in value or _SURROGATE.search(value):
        raise WireError(f"{where}: text holds a character that can't be stored")
    return value


def check_symbol(value: Any, where: str) -> str:
    """`value`, if it can be a symbol."""
    text = check_text(value, where)
    if not text or len(text.encode()) > MAX_SYMBOL_BYTES or _CONTROL.search(text):
        raise WireError(f"{where}: expected a symbol of 1 to {MAX_SYMBOL_BYTES} bytes without control characters")
    return text


def check_digest(value: Any, where: str, *, empty_allowed: bool = False) -> str:
    """`value`, if it can be a digest."""
    if not isinstance(value, str) or not (_DIGEST.match(value) or (empty_allowed and value == "")):
        raise WireError(f"{where}: expected a digest")
    return value
