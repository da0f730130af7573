"""Records of explanations, and the stored form of the code that a fingerprint stands for.

A fingerprint is a digest: it says *that* code changed, never *what*. So whoever stores an evaluation also keeps, under
the fingerprint, a `CodeState` (record kind "closure") and the sources it names (record kind "source", compressed).
Both are content-addressed, so a thousand evaluations of the same code keep one copy.
"""

from __future__ import annotations

import marshal

from hitsave.digest import Digest
from hitsave.evaluation import Evaluation
from hitsave.record import Record
from hitsave.symbol import Symbol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    class Records(Protocol):
        """Where closures and sources are kept: any store."""

        def get_record(self, kind: str, name: str) -> bytes | None:
            """The bytes kept as `name`, verified; None if there are none."""


# 1: pairs, versions, sources as sorted tuples of pairs
VERSION = 1


class CodeState(Record):
    """The code behind a fingerprint, every tuple sorted.

    `pairs` maps each symbol of the closure to the digest of its definition, `versions` each outside package to its
    version, `sources` each module to the digest of the text it was executed from.
    """

    pairs: tuple[tuple[Symbol, Digest], ...]
    versions: tuple[tuple[str, str], ...] = ()
    sources: tuple[tuple[str, Digest], ...] = ()


def encode_code(state: CodeState) -> bytes:
    """`state` as bytes; equal states give equal bytes."""
    # str() undoes interning differences, which marshal would otherwise write down as references.
    parts = [tuple((str(a), str(b)) for a, b in sorted(part)) for part in (state.pairs, state.versions, state.sources)]
    return marshal.dumps((VERSION, *parts), 2)


def sources_of(closure: bytes) -> list[str]:
    """The digests of the sources that an encoded `CodeState` refers to: the names of their records."""
    code = decode_code(closure)
    return [digest for _, digest in code.sources] if code is not None else []


def decode_code(data: bytes) -> CodeState | None:
    """The state that `encode_code` wrote; None for bytes of another version. The caller has verified `data`."""
    try:
        version, *parts = marshal.loads(data)
        if version != VERSION:
            return None
        pairs, versions, sources = parts
        return CodeState(tuple(pairs), tuple(versions), tuple(sources))
    except (ValueError, TypeError, EOFError):
        return None


class Change(Record):
    """One thing that differs between then and now.

    `kind` is "code", "package", "file", "environment", "argument", "value" (a module-level name that counts by its
    value) or "result" (what a memoised callee returned). `path` leads from the function to the symbol `name`.
    `before` and `after` are texts for people, "" where the thing did not exist. `ran` is False for a body that
    changed without having run in the evaluation: such a change spares the result.
    """

    kind: str
    name: str
    before: str = ""
    after: str = ""
    path: tuple[Symbol, ...] = ()
    diff: str = ""
    where: str = ""
    ran: bool = True


OUTCOMES = {
    "hit": "reused",
    "survived": "reused: what was edited did not run in this call",
    "blessed": "reused: somebody vouched for the edit",
    "new": "first call of this function",
    "arguments": "new arguments",
    "code": "code changed",
    "package": "a package changed",
    "file": "a file changed",
    "environment": "an environment variable changed",
    "value": "a module-level value changed",
    "result": "a memoised callee returned another result",
    "unknown": "the stored evaluation is gone or was refused",
    "uncached": "this call can't be cached",
}


class Explanation(Record):
    """Why a call is a hit or a miss.

    `outcome` is a key of `OUTCOMES`; `title` the call as a person would write it; `changes` what differs from
    `nearest`, the stored evaluation most like this call (None if there is none). `unchanged` counts what stayed the
    same, for instance `(("symbols", 17), ("files", 2))`. `pending` says that the call has not run yet with the new
    code. `notes` are further sentences: impurities, incomplete observation, why a call can't be cached.
    """

    outcome: str
    symbol: Symbol
    title: str
    changes: tuple[Change, ...] = ()
    nearest: Evaluation | None = None
    unchanged: tuple[tuple[str, int], ...] = ()
    pending: bool = False
    notes: tuple[str, ...] = ()

    @property
    def is_hit(self) -> bool:
        """Whether the stored result is used."""
        return self.outcome in ("hit", "survived", "blessed")

    def text(self, *, diff: bool = True) -> str:
        """The explanation for people, several lines, with diffs unless `diff` is False."""
        from hitsave.explain.text import explanation_text

        return explanation_text(self, diff=diff)

    def __str__(self) -> str:
        return self.text()

    def as_dict(self) -> dict[str, Any]:
        """The explanation as plain data, for JSON."""
        nearest = self.nearest
        return {
            "symbol": self.symbol,
            "call": self.title,
            "outcome": self.outcome,
            "hit": self.is_hit,
            "pending": self.pending,
            "changes": [
                {**dict(zip(Change._fields, change._values(), strict=True)), "path": list(change.path)}
                for change in self.changes
            ],
            "unchanged": dict(self.unchanged),
            "nearest": None
            if nearest is None
            else {
                "call": nearest.title,
                "fingerprint": nearest.key.fingerprint,
                "arguments": nearest.key.arguments,
                "started": nearest.started,
                "elapsed_s": nearest.elapsed_s,
            },
            "notes": list(self.notes),
        }
