"""Digests of values: what a call's arguments are keyed by.

Two values share a digest when no program could tell them apart except by identity: same types, same contents, same
order where order can be seen. `1`, `True` and `1.0` differ, so do a list and a tuple; `0.0` and `-0.0` differ, nan is
nan; the order of a dict counts, that of a set doesn't; whether two equal strings or lists are one object doesn't.

A value is turned into its *canonical form*, a byte string, which is hashed. For what Python is built of (`ATOMS` in
`CONTAINERS`) that form **is** `marshal` format 2, which has no notion of identity or interning and is the same from
Python 2.5 on; it is written by C at 100 MB/s and more. Everything else is written by `hitsave.values.canonical` in
an extension of the same grammar, so a value has one form no matter who wrote it.

marshal alone would be wrong: it takes any buffer for `bytes` (so `[zeros(4)]` equals `[bytes(32)]`), and would follow
shared lists into exponentially many copies. So the value is walked first, by `gc.get_referents`, also in C. And
before Python 3.11 marshal writes sets in iteration order, so there they are left to `canonical`.

What it can't see: state that an object hides from pickle, and differences that only `is` shows.
"""

from __future__ import annotations

import sys
from gc import get_referents
from marshal import dumps

from hitsave.digest import Digest, blake2b
from hitsave.errors import CannotDigest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    CodeDigest = Callable[[Any], str]
    Hasher = Callable[[Any], object]
    Hashers = Mapping[str, Hasher] | Mapping[type, Hasher] | Mapping[str | type, Hasher]

VERSION = 1
# History of the canonical form. A change of form makes every stored key unreachable, so it is never silent.
#   1  2026-11  marshal 2 for builtins, "@" compositions for the rest

ATOMS: frozenset[type] = frozenset({int, str, bytes, bool, type(None), float, complex, type(...)})
CONTAINERS = frozenset({list, tuple, dict, set, frozenset})
# The containers that marshal writes as we need them.
_FAST = CONTAINERS if sys.version_info >= (3, 11) else frozenset({list, tuple, dict})
_FAST_OR_ATOM = ATOMS | _FAST

FLAT_BYTES = 1 << 26  # a container whose marshalled form is longer is composed of the digests of its parts
BIG_BYTES = 1 << 20  # an argument of type bytes that is longer is hashed in place
TEXTS = frozenset({str, bytes})
_SAMPLED = 64
_MAX_NODES = 1 << 22
_MAX_DEPTH = 100
_LONG_BYTES = 1 << 16
_PERSON = b"hitsave-value-%d" % VERSION

hashers_by_type: dict[type, Hasher] = {}


class TooLarge(CannotDigest):
    """A value whose digest would take more than its caller is ready to spend."""


def digest_value(
    value: object,
    *,
    code: CodeDigest,
    path: str = "",
    hashers: Hashers | None = None,
    budget: int | None = None,
) -> Digest:
    """The digest of `value`.

    `code(x)` gives the fingerprint text of a function, class or module `x` that the value holds or is an instance of.
    `path` is how the user would write the value, for messages. A `budget` bounds the work, in bytes of canonical form
    (buffers count too): beyond it `TooLarge` is raised, a kind of the `CannotDigest` that is raised for a value without
    a stable digest.
    """
    if not hashers and is_plain((value,), budget) and not is_big(value):
        form = dumps_or_nothing(value)
        if form and len(form) <= (FLAT_BYTES if budget is None else min(budget, FLAT_BYTES)):
            return finish(form)
    from hitsave.values.by_parts import digest_by_parts

    return digest_by_parts(value, code=code, path=path, hashers=hashers, budget=budget)


def digest_arguments(
    names: tuple[str, ...],
    values: tuple[object, ...],
    *,
    code: CodeDigest,
    hashers: Hashers | None = None,
) -> Digest:
    """The digest of bound arguments, defaults applied; a variadic parameter's value is its tuple or dict.

    `hashers` maps a parameter's name, or a type, to a function whose result stands for the value.
    """
    if not hashers and is_plain(values):
        form = dumps_or_nothing((names, values))
        # Bytes of this size are worth hashing without the copy that marshal makes.
        if form and (len(form) <= BIG_BYTES or (len(form) <= FLAT_BYTES and not any(map(is_big, values)))):
            return finish(form)
    from hitsave.values.by_parts import digest_arguments_by_parts

    return digest_arguments_by_parts(names, values, code=code, hashers=hashers)


def register_hasher(kind: type, hasher: Hasher) -> None:
    """Let `hasher(value)` stand for every instance of `kind` and its subclasses.

    What it returns is digested in turn, beside the value's type. Builtin atoms and containers can't be overridden:
    give a rule for one parameter (`hashers={"name": rule}`) instead.
    """
    check_hashers({kind: hasher})
    hashers_by_type[kind] = hasher


def check_hashers(hashers: Hashers) -> None:
    """Raise `UsageError` if one of `hashers` could never be asked, or can't be called."""
    given: Mapping[Any, Any] = hashers
    for kind, hasher in given.items():
        problem = ""
        if isinstance(kind, type) and (kind in ATOMS or kind in CONTAINERS or kind is object):
            problem = f"the digest of the builtin type {kind.__name__} can't be changed"
        elif not callable(hasher):
            problem = f"the hasher for {kind!r} can't be called"
        if problem:
            from hitsave.errors import UsageError

            raise UsageError(problem, hint='give a rule for one parameter: @memo(hashers={"name": rule})')


def is_plain(values: tuple[object, ...], budget: int | None = None) -> bool:
    """Whether `values` are builtins all the way down and few enough, so that marshal may write them.

    False for what merely might not be: deeper than 100 levels, cyclic, millions of items, more than `budget`. And for
    what holds so much text, some of it perhaps in many places, that it had better be written piece by piece.
    """
    level: tuple[object, ...] | list[object] = values
    nodes_left = _MAX_NODES if budget is None else min(budget, _MAX_NODES)
    for _ in range(_MAX_DEPTH):
        try:
            kinds = set(map(type, level))
        except TypeError:  # a class without a hash, by grace of its metaclass
            return False
        if len(level) > _SAMPLED and not kinds.isdisjoint(TEXTS) and estimated_bytes(level) > FLAT_BYTES:
            return False
        if kinds <= ATOMS:
            return True
        if not kinds <= _FAST_OR_ATOM:
            return False
        # Of a dict whose keys are all str it gives only the values, and of an atom nothing.
        level = get_referents(*level)
        nodes_left -= len(level)
        if nodes_left < 0:
            return False
    return False


def estimated_bytes(values: tuple[object, ...] | list[object]) -> int:
    """About how much text and bytes `values` hold, from every n-th of them: one long text may be in many places."""
    step = max(1, len(values) // _SAMPLED)
    return step * sum([len(value) for value in values[::step] if isinstance(value, (str, bytes))])


def is_big(value: object) -> bool:
    """Whether `value` is bytes that are hashed in place where they are an argument of their own."""
    return type(value) is bytes and len(value) > BIG_BYTES


def finish(form: bytes) -> Digest:
    """The digest of a canonical form."""
    if len(form) > _LONG_BYTES:
        form = b"X" + hash_long(form)
    return Digest(blake2b(form, digest_size=16, person=_PERSON).hexdigest())


def hash_long(data: bytes | memoryview) -> bytes:
    """16 bytes that stand for `data`, which is read in place.

    XXH3 above 64 KiB: 27 GB/s where BLAKE2b does 0.9. It resists accident, not an adversary: who can choose the
    arguments of your functions needs no collision to make them wrong.
    """
    if len(data) <= _LONG_BYTES:
        return blake2b(data, digest_size=16, person=_PERSON).digest()
    from xxhash import xxh3_128_digest

    return xxh3_128_digest(data)


def dumps_or_nothing(value: Any) -> bytes:
    """The marshalled form, or b"" for what marshal refuses.

    That is a string or container beyond 2 GiB, and a set of several complex nans: it can't sort those, and takes the
    exception for a want of memory.
    """
    try:
        return dumps(value, 2)
    except (ValueError, MemoryError):
        return b""


def hash_pieces(pieces: Iterable[Any], size_bytes: int) -> bytes:
    """`hash_long` of the `size_bytes` bytes that `pieces` hold together, one after the other."""
    if size_bytes <= _LONG_BYTES:
        return hash_long(b"".join(pieces))
    from xxhash import xxh3_128

    hasher = xxh3_128()
    for piece in pieces:
        hasher.update(piece)
    return hasher.digest()


def has_sorted_sets(value: object) -> bool:
    """Whether marshal writes the sets in `value`, which is builtins all the way down, in an order that is their own."""
    if _FAST == CONTAINERS:
        return True
    level: tuple[object, ...] | list[object] = (value,)
    while level:
        if not {set, frozenset}.isdisjoint(map(type, level)):
            return False
        level = get_referents(*level)
    return True
