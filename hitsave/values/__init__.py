"""Values: what arguments are keyed by, and how results become bytes.

    digest_value, digest_arguments    a value ─► Digest: type-aware, the same in every process
    encode, decode                    a result ─► Blob ─► a fresh, equal result
    is_atomic, is_immutable           which results may be shared instead of decoded again
    register_hasher, register_codec   rules for the user's own types

Only `digest` is loaded at once: it is on the path of a first hit. The rest comes when first asked for.
"""

from __future__ import annotations

from hitsave.values.digest import digest_arguments, digest_value, register_hasher

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hitsave.values.codec import decode, encode, register_codec
    from hitsave.values.immutable import is_atomic, is_immutable

__all__ = [
    "decode",
    "digest_arguments",
    "digest_value",
    "encode",
    "is_atomic",
    "is_immutable",
    "register_codec",
    "register_hasher",
]

_LATER = {
    "decode": "codec",
    "encode": "codec",
    "register_codec": "codec",
    "is_atomic": "immutable",
    "is_immutable": "immutable",
}


def __getattr__(name: str) -> object:
    module = _LATER.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # `__import__`, because importlib would cost a first hit half a millisecond.
    found = getattr(__import__(f"{__name__}.{module}", fromlist=[name]), name)
    globals()[name] = found
    return found
