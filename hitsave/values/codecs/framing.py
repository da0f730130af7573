"""A head and large buffers in one blob, each buffer where a processor likes it.

    4 bytes     b"HSB1"
    4 bytes     CRC-32 of what follows, up to the end of the head
    4 bytes     length of the head
    4 bytes     number of buffers
    16 bytes    offset and length of each buffer, from the start of the blob
    head        as the codec likes
    padding     zeros, to a multiple of 64
    buffers     each padded to a multiple of 64

All numbers are little-endian. A store that keeps the blob in a file of its own can map it, and every buffer is aligned.
"""

from __future__ import annotations

from binascii import crc32
from struct import error as StructError
from struct import pack, unpack_from

from hitsave.errors import StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

_MAGIC = b"HSB1"
_ALIGNMENT = 64
_PREFIX_BYTES = 16


def frame(head: bytes, buffers: Sequence[Any]) -> list[Any]:
    """The parts of a blob: `head` with its prefix, then each of `buffers` (contiguous bytes) and its padding."""
    views = [memoryview(buffer).cast("B") for buffer in buffers]
    offset = _aligned(_PREFIX_BYTES + 16 * len(views) + len(head))
    table = b""
    for view in views:
        table += pack("<QQ", offset, view.nbytes)
        offset = _aligned(offset + view.nbytes)
    rest = pack("<II", len(head), len(views)) + table + head
    first = _MAGIC + pack("<I", crc32(rest)) + rest
    parts: list[Any] = [first + _padding(len(first))] if views else [first]
    for view in views:
        parts += (view, _padding(view.nbytes))
    return [part for part in parts if len(part)]


def unframe(data: memoryview, *, copy: bool = True) -> tuple[memoryview, list[Any]]:
    """The head, and each buffer as writable memory that is nobody else's: in `data` if that is writable.

    Without `copy` buffers stay in `data` even if it is read-only, for values that can't be changed.
    """
    try:
        magic, checksum, head_bytes, count = unpack_from("<4sIII", data)
        if magic != _MAGIC or _PREFIX_BYTES + 16 * count + head_bytes > data.nbytes:
            raise StoreError("a stored result is damaged: it has no head")
        start = _PREFIX_BYTES + 16 * count
        if crc32(data[8 : start + head_bytes]) != checksum:
            raise StoreError("a stored result is damaged: the checksum of its head is wrong")
        table = unpack_from(f"<{2 * count}Q", data, _PREFIX_BYTES)
    except StructError as error:
        raise StoreError(f"a stored result is damaged: {error}") from error
    buffers: list[Any] = []
    for offset, length in zip(table[::2], table[1::2], strict=True):
        if offset + length > data.nbytes:
            raise StoreError("a stored result is damaged: it ends too early")
        part = data[offset : offset + length]
        buffers.append(bytearray(part) if copy and part.readonly else part)
    return data[start : start + head_bytes], buffers


def _aligned(offset: int) -> int:
    return -(-offset // _ALIGNMENT) * _ALIGNMENT


def _padding(length: int) -> bytes:
    return b"\0" * (-length % _ALIGNMENT)
