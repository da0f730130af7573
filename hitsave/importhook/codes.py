"""Code objects compared and digested: what a function is when its text can't be trusted.

Two code objects are *the same* here if they do the same: file name, line numbers and column positions are left out, so
a comment added above a function changes nothing. Constants are compared with their types (`1` is not `True` is not
`1.0`), nested code objects included.

What a code object does not hold: the defaults, decorators and annotations of the function (they belong to the code
that creates it), and the values of the globals it reads.
"""

from __future__ import annotations

import sys

from hitsave.digest import Digest, digest_bytes
from hitsave.importhook.bytecode import OPTIMIZED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import CodeType
    from typing import Any

CodeObject = type((lambda: None).__code__)

# Byte code means nothing without the interpreter that runs it.
VERSION = f"code-1:{sys.implementation.cache_tag or sys.version}"

_FIELDS = (
    ("co_name", "co_argcount", "co_posonlyargcount", "co_kwonlyargcount", "co_flags", "co_code")
    + ("co_names", "co_varnames", "co_freevars", "co_cellvars")
    + (("co_exceptiontable", "co_qualname") if sys.version_info >= (3, 11) else ())
)


def same_code(one: CodeType, other: CodeType) -> bool:
    """Whether both do the same."""
    if one is other:
        return True
    for field in _FIELDS:
        if getattr(one, field) != getattr(other, field):
            return False
    return _same_constants(one.co_consts, other.co_consts)


def _same_constants(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    return len(one) == len(other) and all(map(_same_constant, one, other))


def _same_constant(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, CodeObject):
        return same_code(one, other)
    if type(one) is tuple:
        return _same_constants(one, other)
    if type(one) is frozenset:
        return bool(digest_constant(one) == digest_constant(other))
    return repr(one) == repr(other)  # tells -0.0 from 0.0, and finds nan equal to itself


def digest_code(code: CodeType) -> Digest:
    """The digest of what `code` does; equal for code objects that are the same, in every process of this Python."""
    parts = [VERSION.encode()]
    for field in _FIELDS:
        value = getattr(code, field)
        text = value if isinstance(value, bytes) else repr(value).encode("utf-8", "surrogatepass")
        parts += [b"%d:" % len(text), text]
    parts += [digest_constant(constant).encode() for constant in code.co_consts]
    return digest_bytes(b"".join(parts))


def digest_constant(value: Any) -> Digest:
    """The digest of one constant of a code object, its type included."""
    if isinstance(value, CodeObject):
        return digest_code(value)
    kind = type(value).__name__
    if type(value) is tuple:
        inside = ",".join(map(digest_constant, value))
    elif type(value) is frozenset:
        inside = ",".join(sorted(map(digest_constant, value)))
    else:
        inside = repr(value)
    return digest_bytes(f"{kind}:{inside}".encode("utf-8", "surrogatepass"))


def nested(code: CodeType) -> Iterator[CodeType]:
    """`code` and every code object among its constants, at any depth."""
    yield code
    yield from among(code.co_consts)


def among(constants: Iterable[object]) -> Iterator[CodeType]:
    """Every code object among `constants`, at any depth."""
    pending = list(constants)
    while pending:
        found = pending.pop()
        if isinstance(found, CodeObject):
            yield found
            pending.extend(found.co_consts)


def with_functions(constants: tuple[object, ...], functions: Iterator[CodeType]) -> tuple[object, ...]:
    """`constants`, with `functions` in the places of those that `functions_among` finds."""
    found: list[object] = []
    for constant in constants:
        if not isinstance(constant, CodeObject):
            found.append(constant)
        elif constant.co_flags & OPTIMIZED:
            found.append(next(functions))
        else:
            found.append(constant.replace(co_consts=with_functions(constant.co_consts, functions)))
    return tuple(found)


def find_same(code: CodeType, candidates: Iterable[CodeType]) -> CodeType | None:
    """The first of `candidates` that does the same as `code`."""
    for candidate in candidates:
        if candidate.co_name == code.co_name and same_code(candidate, code):
            return candidate
    return None
