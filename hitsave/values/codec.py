"""Results as bytes and back: `encode` and `decode`.

A *codec* knows one kind of value. The first that takes a value writes it; the blob names the codec and the version of
its format, so a reader of another age knows whether it understands it. Those that can't run foreign code while reading
come before pickle:

    plain         builtins all the way down
    npy           one NumPy array or scalar
    arrow         pyarrow's and polars's tables and arrays
    safetensors   a PyTorch tensor or state dict
    tree          all these, frames, dates, enums, dataclasses … nested in each other
    pickle5       the rest, with large buffers beside the pickle

A user's own codec is asked before all of them.

Every decoded value is fresh: nobody else holds any part of it. Where the blob lies in writable memory (a private,
copy-on-write map of a file) arrays are made in that memory without a copy, so a blob is decoded once, and given away;
where it is read-only (bytes) they are copied.
"""

from __future__ import annotations

import sys

from hitsave.errors import CannotEncode, StoreError, UsageError
from hitsave.evaluation import Blob
from hitsave.values.digest import ATOMS, CONTAINERS
from hitsave.values.naming import package_name, type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Protocol

    class ModuleNames(Protocol):
        """Which module of this process a stored class is in. A script is `__main__` here and `pkg.script` there."""

        def canonical(self, import_name: str, /) -> str:
            """The name under which classes of the module `import_name` are stored; itself if it isn't the project's."""

        def import_name(self, canonical: str, /) -> str | None:
            """The key in `sys.modules` of the module stored as `canonical`; None if it isn't loaded."""

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


# Name: module.
_BUILTIN = {
    "plain": "plain",
    "npy": "arrays",
    "arrow": "arrow",
    "safetensors": "tensors",
    "tree": "tree",
    "pickle5": "pickled",
}
_BUILTIN_KINDS = (*ATOMS, *CONTAINERS)
_SAFE = frozenset(_BUILTIN) - {"pickle5"}
_PACKAGES = {"npy": {"numpy"}, "arrow": {"pyarrow", "polars"}, "safetensors": {"torch"}}
_users: list[Codec] = []


def encode(
    value: object, *, codec: str | None = None, modules: ModuleNames | None = None, allow_pickle: bool = True
) -> Blob:
    """`value` as a blob, in several parts if that saves copying.

    `codec` names the one to use. Raises `CannotEncode` if it doesn't take the value, or if none does that may be used.
    """
    names = _candidates(value) if codec is None else [codec]
    if not allow_pickle and "pickle5" in names:
        names.remove("pickle5")
    for user in _users if codec is None else (user for user in _users if user.name == codec):
        parts = _guarded(user.name, value, _dump_by_user, user)
        if parts is not None:
            return _blob(f"{user.name}-{user.version}", parts)
    for name in names:
        if name in _BUILTIN:
            module = _module(name)
            parts = _guarded(name, value, module.dump, modules)
            if parts is not None:
                return _blob(f"{name}-{module.version}", parts)
        elif all(user.name != name for user in _users):
            raise UsageError(f"no codec is called {name!r}", hint=f"these are there: {', '.join(_BUILTIN)}")
    kind = type_name(type(value))
    if not allow_pickle and codec in (None, "pickle5"):
        raise CannotEncode(
            f"a value of type {kind} can't be stored without a pickle",
            hint="return plain data, arrays, frames or dataclasses; or register_codec() one that takes it",
        )
    raise CannotEncode(f"the codec {codec} doesn't take this value of type {kind}")


def decode(blob: Blob, *, modules: ModuleNames | None = None, allow_pickle: bool = True) -> Any:
    """The value that `blob`, whose bytes were verified, was made from.

    Raises `StoreError` for bytes that the codec can't read, and for a codec or version that isn't known here.
    """
    data = memoryview(b"".join(blob.parts) if blob.parts else blob.data).cast("B")
    name, _, version = blob.codec.partition("-")
    if name == "pickle5" and not allow_pickle:
        raise StoreError("a stored result needs pickle, which isn't allowed", hint='allow_pickle = "local" reads it')
    try:
        module = _module(name) if name in _BUILTIN else None
        if module is not None and str(module.version) == version:
            return module.load(data, modules)
        for user in _users:
            if (user.name, str(user.version)) == (name, version):
                return user.load(data)
    except StoreError:
        raise
    # Unpickling runs the user's constructors, and a damaged pickle can name anything at all.
    except Exception as error:
        raise StoreError(f"a stored result can't be read by the codec {blob.codec}: {error!r}") from error
    raise StoreError(
        f"a stored result was written by {blob.codec!r}, which isn't known here",
        hint="another version of hitsave wrote it, or a codec that this program doesn't register",
    )


def is_safe(codec: str) -> bool:
    """Whether decoding a blob of `codec` can run no code but what is installed here, whoever wrote it."""
    return codec.partition("-")[0] in _SAFE


def register_codec(codec: Codec) -> None:
    """Ask `codec` before the others. One of the same name and version is replaced."""
    name, version = getattr(codec, "name", None), getattr(codec, "version", None)
    if (
        not isinstance(name, str)
        or not name.replace("_", "").isalnum()
        or name != name.lower()
        or type(version) is not int
    ):
        raise UsageError(
            f"register_codec({codec!r}): a codec needs a lower-case `name` and an integer `version`",
            hint="name = 'graph'; version = 1",
        )
    if name in _BUILTIN:
        raise UsageError(f"register_codec({codec!r}): {name!r} is the name of a codec of hitsave")
    _users[:] = [codec, *(other for other in _users if (other.name, other.version) != (name, version))]


def _candidates(value: object) -> list[str]:
    """The names of the codecs worth asking, in order."""
    kind = type(value)
    if _is_builtin(kind):
        first = ["plain"]
    else:
        packages = {package_name(base) for base in kind.__mro__}
        first = [name for name, its_packages in _PACKAGES.items() if not packages.isdisjoint(its_packages)]
    if isinstance(value, dict) and "torch" in sys.modules:
        first.append("safetensors")
    return [*first, "tree", "pickle5"]


def _is_builtin(kind: type) -> bool:
    return any(kind is builtin for builtin in _BUILTIN_KINDS)  # a metaclass may define equality and hash as it likes


def _guarded(name: str, value: object, dump: Any, argument: object) -> Any:
    """What `dump` makes of `value`; whatever it raises is a `CannotEncode`."""
    try:
        return dump(value, argument)
    except CannotEncode:
        raise
    # The user's own code may run here (a codec, __reduce__, __getstate__), so anything may come.
    except Exception as error:
        problem = f"a value of type {type_name(type(value))} can't be stored by the codec {name}: {error!r}"
        raise CannotEncode(problem, hint="return something simpler, or register_codec() one that takes it") from error


def _dump_by_user(value: object, codec: Any) -> Any:
    if not codec.match(value):
        return None
    dumped = codec.dump(value)
    return [dumped] if isinstance(dumped, (bytes, bytearray, memoryview)) else list(dumped)


def _blob(codec: str, parts: list[Any]) -> Blob:
    if len(parts) == 1:
        return Blob(codec, parts[0], memoryview(parts[0]).nbytes)
    return Blob(codec, b"", sum(memoryview(part).nbytes for part in parts), tuple(parts))


def _module(name: str) -> Any:
    full_name = f"hitsave.values.codecs.{_BUILTIN[name]}"
    return sys.modules.get(full_name) or __import__(full_name, fromlist=["dump"])
