"""What rules make of values: the pieces that `canonical` knows how to write."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any


class Parts:
    """A name for the kind of thing a value is, and simpler values that say which."""

    __slots__ = ("name", "parts")

    def __init__(self, name: str, *parts: object) -> None:
        self.name = name
        self.parts = parts


class Attributes:
    """A dict of named parts, which messages write as `.name`."""

    __slots__ = ("items",)

    def __init__(self, items: Mapping[str, Any]) -> None:
        self.items = items


class Unordered:
    """Items whose order doesn't count (their number does)."""

    __slots__ = ("items",)

    def __init__(self, items: list[Any]) -> None:
        self.items = items


class Buffer:
    """Contiguous bytes, hashed in place; or the pieces they would consist of, made one at a time; or their hash."""

    __slots__ = ("hash", "pieces", "size_bytes")

    def __init__(
        self, data: Any, pieces: Iterable[Any] | None = None, size_bytes: int = 0, hash_bytes: bytes | None = None
    ) -> None:
        if data is not None:
            view = memoryview(data).cast("B")
            pieces, size_bytes = (view,), view.nbytes
        self.pieces = pieces or ()
        self.size_bytes = size_bytes
        self.hash = hash_bytes


class Ruled:
    """A value with the hasher that stands for it here."""

    __slots__ = ("hasher", "value")

    def __init__(self, value: object, hasher: Any) -> None:
        self.value = value
        self.hasher = hasher
