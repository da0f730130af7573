"""Pieces of the canonical form, as `hitsave.values.canonical` describes it."""

from __future__ import annotations

from hitsave.values.digest import FLAT_BYTES, hash_long, hash_pieces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hitsave.values.frame import Frame
    from hitsave.values.parts import Buffer

INLINE_BYTES = 4096  # a longer form is replaced by its hash
_RAW_BYTES = 64  # a buffer up to this length is written out


def long_part(frame: Frame, form: bytes) -> bytes:
    """What `frame` keeps of a long form: all of it while it may yet be a moderate number of builtins, else its hash."""
    if frame.plain:
        frame.long_bytes += len(form)
        if frame.long_bytes <= FLAT_BYTES:
            return form
        frame.plain = False
        frame.out[:] = all_short(frame.out)
    return short(form)


def all_short(forms: list[bytes]) -> list[bytes]:
    """`forms` with the long ones hashed; one that occurs often is hashed once."""
    hashed: dict[int, bytes] = {}
    for form in forms:
        if len(form) > INLINE_BYTES and id(form) not in hashed:
            hashed[id(form)] = short(form)
    return [hashed.get(id(form), form) for form in forms] if hashed else forms


def short(form: bytes) -> bytes:
    """`form`, or its hash if it is long."""
    return form if len(form) <= INLINE_BYTES else b"H" + hash_long(form)


def size(number: int) -> bytes:
    """A number of items, as marshal writes it."""
    return number.to_bytes(4, "little")


def buffer_form(buffer: Buffer) -> bytes:
    """The form of a buffer: its length, and its bytes or their hash."""
    length = buffer.size_bytes.to_bytes(8, "little")
    if buffer.hash is not None:
        return b"B" + length + buffer.hash
    if buffer.size_bytes <= _RAW_BYTES:
        return b"b" + length + b"".join(buffer.pieces)
    return b"B" + length + hash_pieces(buffer.pieces, buffer.size_bytes)
