"""Digests of bytes: 128-bit BLAKE2b, written as 32 hexadecimal digits.

128 bits keep an accidental collision out of reach (2^64 digests) and keys short. What an adversary could choose, and
what we would decode on the strength of a digest, is covered by the keyed MAC of the store instead. Why BLAKE2b: it is
in every Python, importing `_blake2` costs 0.3 ms where `hashlib` costs 2.5 ms, and it is as fast as anything on the
short inputs that keys are made of. See docs/decisions/digests.md.
"""

from __future__ import annotations

try:  # The C module behind hashlib: the same function without loading OpenSSL, on the path of a first hit.
    from _blake2 import blake2b as blake2b
except ImportError:  # a Python built without it, or one that renamed it
    from hashlib import blake2b as blake2b

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import NewType

    Digest = NewType("Digest", str)
    Fingerprint = NewType("Fingerprint", str)
else:
    Digest = Fingerprint = str

SIZE_BYTES = 16


def digest_bytes(data: bytes | bytearray | memoryview) -> Digest:
    """The digest of `data`."""
    return Digest(blake2b(data, digest_size=SIZE_BYTES).hexdigest())


def digest_text(text: str) -> Digest:
    """The digest of `text` in UTF-8 (lone surrogates kept, so every str has one)."""
    return digest_bytes(text.encode("utf-8", "surrogatepass"))


def digest_pairs(recipe: str, pairs: Iterable[tuple[str, str]]) -> Digest:
    """The digest of `pairs`, sorted, under the name and version of the recipe that made them.

    Fields are length-prefixed, so no two different sets of pairs share a digest by where their texts join.
    """
    h = blake2b(recipe.encode(), digest_size=SIZE_BYTES)
    for name, value in sorted(pairs):
        h.update(f"\n{len(name)}:{name}={len(value)}:{value}".encode("utf-8", "surrogatepass"))
    return Digest(h.hexdigest())
