"""Results as bytes and back: `encode` and `decode`.

A *codec* knows one kind of value. The first that takes a value writes it; the blob names the codec and the version of
its format, so a reader of another age knows whether it understands it. Codecs that can't run code while reading come
before pickle: `plain` for builtins, `npy` for arrays; `pickle5` takes the rest, with large buffers beside the pickle.
A user's own codec is asked before all of them.

Every decoded value is fresh: nobody else holds any part of it. Where the blob lies in writable memory (a private,
copy-on-write map of a file) arrays are made in that memory without a copy, so a blob is decoded once, and given away;
where it is read-only (bytes) they are copied.
"""

from __future__ import annotations

from hitsave.errors import CannotEncode, StoreError, UsageError
from hitsave.evaluation import Blob

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Protocol

    class Codec(Protocol):
        """What a codec offers. `name` is lower-case text; raise `version` when `load` can't read older bytes."""

        name: str
        version: int

        def match(self, value: Any, /) -> bool:
            """Whether `dump` takes `value`, and `load` gives back an equal value of the same type."""

        def dump(self, value: Any, /) -> bytes | Sequence[Any]:
            """The bytes of `value`: one buffer, or several to be joined."""

        def load(self, data: memoryview, /) -> Any:
            """The value; `data` may be kept, and written to unless it is read-only."""


_BUILTIN = ("plain", "arrays", "pickled")
_SAFE = frozenset({"plain", "npy"})
_users: list[Codec] = []


def encode(value: object, *, codec: str | None = None) -> Blob:
    """`value` as a blob, in several parts if that saves copying.

    `codec` names the one to use. Raises `CannotEncode` if no codec takes the value.
    """
    chosen = _choose(value, codec)
    try:
        dumped = chosen.dump(value)
    except CannotEncode:
        raise
    # The user's own code may run here (a codec, __reduce__, __getstate__), so anything may come.
    except Exception as error:
        problem = f"a value of type {type(value).__qualname__} can't be stored by the codec {chosen.name}: {error}"
        raise CannotEncode(problem, hint="return something simpler, or register_codec() one that takes it") from error
    name = f"{chosen.name}-{chosen.version}"
    if isinstance(dumped, (bytes, bytearray, memoryview)):
        return Blob(name, dumped, len(dumped))
    parts = tuple(dumped)
    if len(parts) == 1:
        return Blob(name, parts[0], _length(parts[0]))
    return Blob(name, b"", sum(map(_length, parts)), parts)


def decode(blob: Blob) -> Any:
    """The value that `blob`, whose bytes were verified, was made from.

    Raises `StoreError` for bytes that the codec can't read, and for a codec or version that isn't known here.
    """
    chosen = _named(blob.codec)
    data = memoryview(b"".join(blob.parts) if blob.parts else blob.data).cast("B")
    try:
        return chosen.load(data)
    except StoreError:
        raise
    # Unpickling runs the user's constructors, and a damaged pickle can name anything at all.
    except Exception as error:
        raise StoreError(f"a stored result can't be read by the codec {blob.codec}: {error!r}") from error


def is_safe(codec: str) -> bool:
    """Whether decoding a blob of `codec` can run no code but ours, whoever wrote it."""
    return codec.partition("-")[0] in _SAFE


def register_codec(codec: Codec) -> None:
    """Ask `codec` before the others. One of the same name and version is replaced."""
    name, version = getattr(codec, "name", None), getattr(codec, "version", None)
    if not (
        isinstance(name, str) and name.replace("_", "").isalnum() and name == name.lower() and type(version) is int
    ):
        raise UsageError(
            f"register_codec({codec!r}): a codec needs a lower-case `name` and an integer `version`",
            hint="name = 'graph'; version = 1",
        )
    if name in {module.name for module in map(_module, _BUILTIN)}:
        raise UsageError(f"register_codec({codec!r}): {name!r} is the name of a codec of hitsave")
    _users[:] = [codec, *(other for other in _users if (other.name, other.version) != (name, version))]


def _choose(value: object, name: str | None) -> Codec:
    if name is not None:
        return _named(name)
    for codec in _users:
        if codec.match(value):
            return codec
    kind = type(value)
    for module in _BUILTIN:
        codec = _module(module)
        if codec.match(value):
            return codec
    raise CannotEncode(f"no codec takes a value of type {kind.__qualname__}")


def _named(name: str) -> Codec:
    """The codec for `name-version`, or for `name` in its newest version."""
    wanted, _, version = name.partition("-")
    for codec in (*_users, *map(_module, _BUILTIN)):
        if codec.name == wanted and version in ("", str(codec.version)):
            return codec
    raise StoreError(
        f"no codec {name!r} is known here",
        hint="it was written by another version of hitsave, or by a codec that this program doesn't register",
    )


def _module(name: str) -> Any:
    return __import__(f"hitsave.values.codecs.{name}", fromlist=["name"])


def _length(buffer: Any) -> int:
    return memoryview(buffer).nbytes
