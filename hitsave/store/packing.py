"""Evaluations as rows: what each one has for itself is packed tight, what many share is kept once.

    row key   4 symbol · 8 arguments · 3 fingerprint · 5 rest of the group id                            = 20 bytes
    row       16 tag · 8 rest of arguments · 1 flags · 4 elapsed µs · 1 length of text · text · [extra] · [result]
    group     symbol, fingerprint, codec, observations …: everything but the arguments, kept once under its id
    trace     the long part of a group (functions that ran, files, …), kept once under its digest

All evaluations of one (symbol, arguments) stand side by side in the order of row keys, those of one fingerprint
within them; so both look-ups are one range of the index that diskcache keeps. Text is the call as a person would
write it, without the part that its group shares, and the preview of the result.

The tag of a row covers its key, its time, its content and the digest of its group; a group holds the digest of its
trace. So one tag authenticates all three, and nothing is parsed before that. What is left to chance: two groups
of one fingerprint (40 bits) or two argument digests of one symbol (64 bits) that share a prefix replace one another.
That costs a recomputation, never a wrong result: what is read is compared in full.
"""

from __future__ import annotations

import marshal
from _struct import Struct

from hitsave.digest import Digest, Fingerprint, blake2b
from hitsave.evaluation import Child, Evaluation, FileRead, Key, Observed
from hitsave.record import Record
from hitsave.symbol import Symbol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# 1: the first
VERSION = 1

HEAD = Struct("<8sBIB")
TIME = Struct("<d")
LENGTH = Struct("<I")
TAG_BYTES = 16
GROUP_ID_BYTES = 8
ROW_KEY_BYTES = 20
# A trace larger than this has a row of its own, so that groups which differ only in their code share it.
MAX_TRACE_IN_GROUP = 128

RESULT_IN_ROW = 1  # the encoded result ends the row
DIGEST_IS_PLAIN = 2  # `Evaluation.result` is the plain digest of the encoded result, so it isn't written down
HAS_EXTRA = 4  # a marshalled tuple with what small evaluations don't have

MAX_TEXT = 255
MAX_ELAPSED_US = 0xFFFFFFFF


class Group(Record):
    """What evaluations share: `observed` lacks only their children. `id` names it, `digest` vouches for it."""

    symbol: Symbol
    fingerprint: Fingerprint
    codec: str
    is_experiment: bool
    prefix: str
    observed: Observed
    id: bytes
    digest: bytes


class BlobRef(Record):
    """Where a result lies that is too large for its row: `place` is "row" or "file"."""

    place: str
    algorithm: str
    digest: bytes


def symbol_bytes(symbol: Symbol) -> bytes:
    """The four bytes that begin the row keys of `symbol`; the first is above those of all other kinds of row."""
    digest = blake2b(symbol.encode("utf-8", "surrogatepass"), digest_size=4).digest()
    return bytes((digest[0] | 0x80,)) + digest[1:]


def group_key(symbol: bytes, group_id: bytes) -> bytes:
    """The row key of a group: those of one symbol stand side by side."""
    return b"g" + symbol + group_id


def trace_key(digest: bytes) -> bytes:
    """The row key of a trace."""
    return b"t" + digest


def blob_key(digest: bytes) -> bytes:
    """The row key of a result that is kept in a row of its own."""
    return b"b" + digest


def title_prefix(title: str) -> str:
    """The part of a call's text that calls of one function share: `train(data=` of `train(data=3, lr=0.1)`."""
    opening = title.find("(") + 1
    if not opening:
        return ""
    equals = title.find("=", opening)
    return title[: equals + 1] if equals > 0 and title[opening:equals].isidentifier() else title[:opening]


def pack_group(evaluation: Evaluation, prefix: str) -> tuple[bytes, bytes]:
    """The group of `evaluation` and its trace, as bytes. Equal groups give equal bytes.

    The trace is empty if it is small enough to stand in the group.
    """
    key, observed = evaluation.key, evaluation.observed
    trace: bytes = marshal.dumps(
        (
            _files(observed.files),
            observed.environment,
            observed.live,
            observed.ran,
            observed.reached,
            observed.complete,
            observed.incomplete_because,
            observed.impurities,
            _files(observed.below_files),
            observed.below_environment,
            observed.below_live,
        ),
        2,  # above 2, marshal writes references: bytes would depend on which strings are one object
    )
    own = trace
    if len(trace) > MAX_TRACE_IN_GROUP:
        own = trace_digest(trace)
    group: bytes = marshal.dumps(
        (
            VERSION,
            key.symbol,
            bytes.fromhex(key.fingerprint),
            evaluation.codec,
            evaluation.is_experiment,
            prefix,
            bytes.fromhex(observed.narrowed),
            own,
        ),
        2,
    )
    return group, trace if own is not trace else b""


def group_digest(data: bytes) -> bytes:
    """What vouches for the bytes of a group, given that a tag covers it."""
    return blake2b(data, digest_size=16, person=b"hitsave-group").digest()


def trace_digest(data: bytes) -> bytes:
    """What a group holds instead of a trace that has a row of its own."""
    return blake2b(data, digest_size=16, person=b"hitsave-trace").digest()


def group_id(fingerprint: Fingerprint, digest: bytes) -> bytes:
    """Eight bytes that name a group: they begin with those of its fingerprint."""
    return bytes.fromhex(fingerprint[:6]) + digest[:5]


def peek_trace(data: bytes) -> bytes | None:
    """The digest of the trace that the (verified) group refers to; None if it holds its trace itself."""
    own = marshal.loads(data)[7]
    return own if len(own) == 16 else None


def unpack_group(data: bytes, digest: bytes, trace: bytes) -> Group | None:
    """The group in `data`, which has been verified, as has `trace`. None for another version."""
    version, symbol, fingerprint, codec, is_experiment, prefix, narrowed, own = marshal.loads(data)
    if version != VERSION:
        return None
    fields: tuple[Any, ...] = marshal.loads(trace or own)
    files, environment, live, ran, reached, complete, because, impurities = fields[:8]
    below_files, below_environment, below_live = fields[8:]
    observed = Observed(
        _file_reads(files), environment, live, (), ran, reached, complete, because, narrowed.hex(), impurities,
        _file_reads(below_files), below_environment, below_live,
    )  # fmt: skip
    code = Fingerprint(fingerprint.hex())
    return Group(symbol, code, codec, is_experiment, prefix, observed, group_id(code, digest), digest)


def pack_row(evaluation: Evaluation, prefix: str, ref: BlobRef | None, payload: bytes) -> bytes:
    """The content of the row of `evaluation`, to be preceded by its tag. `payload` is b"" if `ref` says where it is."""
    flags = 0 if ref else RESULT_IN_ROW
    text = evaluation.title[len(prefix) :]
    if evaluation.preview:
        text += "\0" + evaluation.preview
    short = text.encode("utf-8", "surrogatepass")
    elapsed_us = round(evaluation.elapsed_s * 1e6)
    result: bytes = b""
    if not ref and evaluation.result == blake2b(payload, digest_size=16).hexdigest():
        flags |= DIGEST_IS_PLAIN
    else:
        result = bytes.fromhex(evaluation.result)
    children = evaluation.observed.children
    fits = len(short) <= MAX_TEXT and 0 <= elapsed_us <= MAX_ELAPSED_US
    if fits and flags == RESULT_IN_ROW | DIGEST_IS_PLAIN and not (children or evaluation.details):
        return HEAD.pack(bytes.fromhex(evaluation.key.arguments)[8:], flags, elapsed_us, len(short)) + short + payload
    extra = marshal.dumps(
        (
            result,
            tuple([(c.symbol, bytes.fromhex(c.arguments), bytes.fromhex(c.result), c.call) for c in children]),
            evaluation.details,
            evaluation.elapsed_s if not fits else None,
            text if not fits else "",
            (ref.place, ref.algorithm, ref.digest, evaluation.size_bytes) if ref else None,
        ),
        2,
    )
    if not fits:
        elapsed_us, short = 0, b""
    arguments = bytes.fromhex(evaluation.key.arguments)[8:]
    head = HEAD.pack(arguments, flags | HAS_EXTRA, elapsed_us, len(short))
    return b"".join((head, short, LENGTH.pack(len(extra)), extra, payload))


def unpack_row(
    row_key: bytes, started: float, value: bytes, group: Group, key: Key | None
) -> tuple[Evaluation, bytes | BlobRef]:
    """The evaluation in a verified row, and its encoded result or where that is.

    `key` is what it was looked up by, if it was: the evaluation then shares it.
    """
    rest, flags, elapsed_us, length = HEAD.unpack_from(value, TAG_BYTES)
    position = TAG_BYTES + HEAD.size
    text = str(value[position : position + length], "utf-8", "surrogatepass")
    position += length
    if key is None or key.arguments[16:] != rest.hex():
        key = Key(group.symbol, group.fingerprint, Digest((row_key[4:12] + rest).hex()))
    observed = group.observed
    elapsed_s: float = elapsed_us / 1e6
    result, details, place = b"", "", None
    if flags & HAS_EXTRA:
        (size,) = LENGTH.unpack_from(value, position)
        position += LENGTH.size
        extra: tuple[Any, ...] = marshal.loads(value[position : position + size])
        position += size
        result, children, details, long_elapsed_s, long_text, place = extra
        if children:
            observed = observed.replace(children=tuple([_child(*child) for child in children]))
        if long_elapsed_s is not None:
            elapsed_s, text = long_elapsed_s, long_text
    title, _, preview = text.partition("\0")
    where: bytes | BlobRef
    if flags & RESULT_IN_ROW or place is None:
        where = value[position:]
        size_bytes = len(where)
    else:
        where = BlobRef(*place[:3])
        size_bytes = place[3]
    digest = blake2b(value[position:], digest_size=16).hexdigest() if flags & DIGEST_IS_PLAIN else result.hex()
    evaluation = Evaluation(
        key, observed, group.codec, Digest(digest), size_bytes, started, elapsed_s,
        group.prefix + title, preview, group.is_experiment, details,
    )  # fmt: skip
    return evaluation, where


def signed_part(row_key: bytes, started: float, digest: bytes, content: bytes) -> bytes:
    """What the tag of a row is made from."""
    return row_key + TIME.pack(started) + digest + content


def _files(files: tuple[FileRead, ...]) -> tuple[tuple[str, str, str], ...]:
    return tuple([(f.path, f.digest, f.kind) for f in files]) if files else ()


def _file_reads(files: tuple[tuple[str, str, str], ...]) -> tuple[FileRead, ...]:
    return tuple([FileRead(path, Digest(digest), kind) for path, digest, kind in files]) if files else ()


def _child(symbol: str, arguments: bytes, result: bytes, call: bytes) -> Child:
    return Child(Symbol(symbol), Digest(arguments.hex()), Digest(result.hex()), call)
