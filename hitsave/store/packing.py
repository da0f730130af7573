"""Evaluations as rows: what each one has for itself is packed tight, what many share is kept once.

    row key   4 symbol · 8 arguments · 3 fingerprint · 5 rest of the group's id                          = 20 bytes
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
from _operator import attrgetter
from _struct import Struct

from hitsave.digest import Digest, Fingerprint, blake2b
from hitsave.evaluation import Child, Evaluation, FileRead, Key, Observed
from hitsave.record import Record
from hitsave.symbol import Symbol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# 1: the first
VERSION = 1

HEAD = Struct("<8sBIB")
TIME = Struct("<d")
LENGTH = Struct("<I")
TAG_BYTES = 16
ROW_KEY_BYTES = 20
LEAST_BYTES = TAG_BYTES + HEAD.size
# A trace larger than this has a row of its own, so that groups which differ only in their code share it.
MAX_TRACE_IN_GROUP = 128
DIGEST_BYTES = 16

RESULT_IN_ROW = 1  # the encoded result ends the row
DIGEST_IS_PLAIN = 2  # `Evaluation.result` is the plain digest of the encoded result, so it isn't written down
HAS_EXTRA = 4  # a marshalled tuple with what small evaluations don't have
SMALL = RESULT_IN_ROW | DIGEST_IS_PLAIN

MAX_TEXT = 255
MAX_ELAPSED_US = 0xFFFFFFFF


# States to copy: that takes half the time of making a new one.
_PLAIN = blake2b(digest_size=DIGEST_BYTES)
_GROUP = blake2b(digest_size=DIGEST_BYTES, person=b"hitsave-group")

# Of what was observed, `children` stand in the row, `narrowed` in the group, and all else in the trace.
_TRACED = tuple([name for name in Observed._fields if name not in ("children", "narrowed")])
_FILES = (_TRACED.index("files"), _TRACED.index("below_files"))
_NARROWED = Observed._fields.index("narrowed")
_CHILDREN = Observed._fields.index("children")
_traced = attrgetter(*_TRACED)


class Trace:
    """What all groups of one trace share: `observed`, without children and `narrowed`."""

    __slots__ = ("_after", "_before", "observed")

    def __init__(self, traced: list[Any]) -> None:
        values = list(traced)
        values.insert(_CHILDREN, ())
        values.insert(_NARROWED, "")
        self.observed = Observed(*values)
        self._before, self._after = tuple(values[:_NARROWED]), tuple(values[_NARROWED + 1 :])

    def narrowed(self, narrowed: str) -> Observed:
        """What was observed, with `narrowed`."""
        return Observed(*(*self._before, narrowed, *self._after))


class Group:
    """What evaluations share, first as bytes. `digest` vouches for these: a row's tag covers it. The rest once opened.

    `observed`, made when it is asked for, lacks only the children of an evaluation.
    """

    __slots__ = (
        *("codec", "data", "digest", "fingerprint", "is_experiment", "narrowed", "opened", "prefix", "symbol"),
        *("trace", "_observed"),
    )

    symbol: Symbol
    fingerprint: Fingerprint
    codec: str
    is_experiment: bool
    prefix: str
    narrowed: str
    trace: Trace

    def __init__(self, data: bytes) -> None:
        self.data = data
        state = _GROUP.copy()
        state.update(data)
        self.digest = state.digest()
        self.opened = False
        self._observed: Observed | None = None

    @property
    def observed(self) -> Observed:
        """What the evaluations observed, but for their children."""
        if self._observed is None:
            self._observed = self.trace.narrowed(self.narrowed)
        return self._observed


class BlobRef(Record):
    """Where a result lies that is too large for its row: `place` is "row" or "file".

    `stamp` is that of the file when its content was last known to be right (blobs.py), () if that can't be told.
    """

    place: str
    algorithm: str
    digest: bytes
    stamp: tuple[int, ...] = ()


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


# Groups


def pack_group(evaluation: Evaluation, prefix: str) -> tuple[bytes, bytes]:
    """The group of `evaluation` and its trace, as bytes. Equal groups give equal bytes.

    The trace is empty if it is small enough to stand in the group.
    """
    key, observed = evaluation.key, evaluation.observed
    traced = list(_traced(observed))
    for place in _FILES:
        if traced[place]:
            traced[place] = tuple([(f.path, f.digest, f.kind) for f in traced[place]])
    # Above version 2, marshal writes references: bytes would depend on which strings are one object.
    trace: bytes = marshal.dumps(tuple(traced), 2)
    is_long = len(trace) > MAX_TRACE_IN_GROUP
    group: bytes = marshal.dumps(
        (
            VERSION,
            key.symbol,
            bytes.fromhex(key.fingerprint),
            evaluation.codec,
            evaluation.is_experiment,
            prefix,
            bytes.fromhex(observed.narrowed),
            trace_digest(trace) if is_long else trace,
        ),
        2,
    )
    return group, trace if is_long else b""


def trace_digest(data: bytes) -> bytes:
    """What a group holds instead of a trace that has a row of its own."""
    return blake2b(data, digest_size=DIGEST_BYTES, person=b"hitsave-trace").digest()


def group_id(fingerprint: Fingerprint, digest: bytes) -> bytes:
    """Eight bytes that name a group: they begin with those of its fingerprint."""
    return bytes.fromhex(fingerprint[:6]) + digest[:5]


def open_group(group: Group, traces: dict[bytes, Trace], fetch: Callable[[bytes], bytes]) -> bool:
    """Fill in `group`, whose data has been verified; False for one of another version, or without its trace.

    `fetch` gets the trace with a digest, an empty one if there is none. `traces` keeps what was read, by digest or
    bytes.
    """
    fields = marshal.loads(group.data)
    if fields[0] != VERSION:
        return False
    _, group.symbol, fingerprint, group.codec, group.is_experiment, group.prefix, narrowed, own = fields
    trace = traces.get(own)
    if trace is None:
        traced = list(marshal.loads(fetch(own) if len(own) == DIGEST_BYTES else own))
        if len(traced) != len(_TRACED):
            return False
        for place in _FILES:
            traced[place] = tuple([FileRead(path, digest, kind) for path, digest, kind in traced[place]])
        trace = traces[own] = Trace(traced)
    group.trace = trace
    group.narrowed = narrowed.hex()
    group.fingerprint = Fingerprint(fingerprint.hex())
    group.opened = True
    return True


# Rows


def signed_part(row_key: bytes, started: float, digest: bytes, content: bytes) -> bytes:
    """What the tag of a row is made from; `digest` is that of its group."""
    return row_key + TIME.pack(started) + digest + content


def pack_row(evaluation: Evaluation, prefix: str, ref: BlobRef | None, payload: bytes) -> bytes:
    """The content of the row of `evaluation`, to be preceded by its tag. `payload` is b"" if `ref` says where it is."""
    arguments = bytes.fromhex(evaluation.key.arguments)[8:]
    flags = 0 if ref else RESULT_IN_ROW
    if not ref and evaluation.result == blake2b(payload, digest_size=DIGEST_BYTES).hexdigest():
        flags |= DIGEST_IS_PLAIN
    text = evaluation.title[len(prefix) :]
    if evaluation.preview:
        text += "\0" + evaluation.preview
    short = _encode(text)
    elapsed_us = round(evaluation.elapsed_s * 1e6)
    children = evaluation.observed.children
    fits = short is not None and len(short) <= MAX_TEXT and 0 <= elapsed_us <= MAX_ELAPSED_US
    if fits and short is not None and flags == SMALL and not (children or evaluation.details):
        return HEAD.pack(arguments, flags, elapsed_us, len(short)) + short + payload
    extra = marshal.dumps(
        (
            b"" if flags & DIGEST_IS_PLAIN else bytes.fromhex(evaluation.result),
            tuple([(c.symbol, bytes.fromhex(c.arguments), bytes.fromhex(c.result), c.call) for c in children]),
            evaluation.details,
            None if fits else (evaluation.elapsed_s, text),
            (ref.place, ref.algorithm, ref.digest, ref.stamp, evaluation.size_bytes) if ref else None,
        ),
        2,
    )
    if not fits or short is None:
        elapsed_us, short = 0, b""
    head = HEAD.pack(arguments, flags | HAS_EXTRA, elapsed_us, len(short))
    return b"".join((head, short, LENGTH.pack(len(extra)), extra, payload))


def _encode(text: str) -> bytes | None:
    try:
        return text.encode()
    except UnicodeEncodeError:  # a lone surrogate, from a file name that isn't text
        return None


def unpack_row(
    row_key: bytes, started: float, value: bytes, group: Group, key: Key | None
) -> tuple[Evaluation, bytes | BlobRef]:
    """The evaluation in a verified row, and its encoded result or where that is.

    `key` is what it was looked up by, if it was: the evaluation then shares it.
    """
    rest, flags, elapsed_us, length = HEAD.unpack_from(value, TAG_BYTES)
    end = LEAST_BYTES + length
    title, _, preview = value[LEAST_BYTES:end].decode().partition("\0")
    arguments = (row_key[4:12] + rest).hex()
    if key is None or key.arguments != arguments or key.fingerprint != group.fingerprint or key.symbol != group.symbol:
        key = Key(group.symbol, group.fingerprint, Digest(arguments))
    if flags == SMALL:
        payload = value[end:]
        state = _PLAIN.copy()
        state.update(payload)
        evaluation = Evaluation(
            key, group.observed, group.codec, Digest(state.hexdigest()), len(payload), started, elapsed_us / 1e6,
            group.prefix + title, preview, group.is_experiment,
        )  # fmt: skip
        return evaluation, payload
    return _unpack_large(key, started, value, group, (flags, end, elapsed_us / 1e6, title, preview))


def _unpack_large(
    key: Key, started: float, value: bytes, group: Group, head: tuple[int, int, float, str, str]
) -> tuple[Evaluation, bytes | BlobRef]:
    flags, end, elapsed_s, title, preview = head
    (size,) = LENGTH.unpack_from(value, end)
    end += LENGTH.size
    result, children, details, long, place = marshal.loads(value[end : end + size])
    payload = value[end + size :]
    if long is not None:
        elapsed_s, text = long
        title, _, preview = text.partition("\0")
    observed = group.observed
    if children:
        observed = observed.replace(children=tuple([_child(*child) for child in children]))
    if flags & DIGEST_IS_PLAIN:
        digest = blake2b(payload, digest_size=DIGEST_BYTES).hexdigest()
    else:
        digest = result.hex()
    size_bytes = len(payload) if place is None else place[4]
    evaluation = Evaluation(
        key, observed, group.codec, Digest(digest), size_bytes, started, elapsed_s,
        group.prefix + title, preview, group.is_experiment, details,
    )  # fmt: skip
    return evaluation, payload if place is None else BlobRef(*place[:4])


def _child(symbol: str, arguments: bytes, result: bytes, call: bytes) -> Child:
    return Child(Symbol(symbol), Digest(arguments.hex()), Digest(result.hex()), call)
