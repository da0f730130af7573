"""Look-ups and their answers: one round trip for a miss or a small hit.

A look-up asks for exact keys; where a key has no entry the answer holds the candidates of (symbol, arguments) under
other code, because a result stays valid when only functions that did not run have changed (design §5). Of each group
of candidates that ran the same functions with the same narrowed fingerprint, only the newest per set of observations
is sent.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from hitsave.digest import digest_pairs
from hitsave.evaluation import Key
from hitsave.record import Record
from hitsave.wire.evaluations import key_from_json, key_to_json
from hitsave.wire.manifests import MAX_MANIFEST_BYTES
from hitsave.wire.reading import Reader, WireError

INLINE_MAX_BYTES = 65_536
MAX_KEYS = 1000
MAX_CANDIDATES = 1000
MAX_LEASE_S = 600
STATUSES = ("hit", "candidates", "miss")


class Lookup(Record):
    """A request: keys, whether candidates under other code are wanted, and the lease to grant on a miss.

    `lease_s` of 0 asks for none. `inline_max` bounds each value sent along; 0 sends none.
    """

    keys: tuple[Key, ...]
    candidates: bool = True
    inline_max: int = INLINE_MAX_BYTES
    lease_s: int = 0
    holder: str = ""

    def to_json(self) -> dict[str, Any]:
        """As sent."""
        return {
            "keys": [key_to_json(key) for key in self.keys],
            "candidates": self.candidates,
            "inline_max": self.inline_max,
            "lease_s": self.lease_s,
            "holder": self.holder,
        }

    @classmethod
    def from_json(cls, value: Any) -> Lookup:
        """As received, checked."""
        read = Reader(value, "lookup")
        keys = read.items("keys", key_from_json, limit=MAX_KEYS)
        if not keys:
            raise WireError("lookup.keys: at least one key")
        return cls(
            keys,
            read.boolean("candidates", True),
            read.integer("inline_max", INLINE_MAX_BYTES, high=INLINE_MAX_BYTES),
            read.integer("lease_s", 0, high=MAX_LEASE_S),
            read.text("holder", "", limit=200),
        )


class Entry(Record):
    """One stored result: its signed text, the tag, and the value if it is small."""

    manifest: str
    tag: str
    inline: bytes | None = None

    def to_json(self) -> dict[str, Any]:
        """As sent."""
        found: dict[str, Any] = {"manifest": self.manifest, "tag": self.tag}
        if self.inline is not None:
            found["inline"] = base64.b64encode(self.inline).decode()
        return found

    @classmethod
    def from_json(cls, value: Any, where: str = "entry") -> Entry:
        """As received, checked."""
        read = Reader(value, where)
        inline = read.value.get("inline")
        return cls(
            read.text("manifest", limit=MAX_MANIFEST_BYTES),
            read.text("tag", limit=200),
            None if inline is None else from_base64(read.text("inline", limit=4 * INLINE_MAX_BYTES), where),
        )


class Lease(Record):
    """The right to compute one key, for `expires_in_s` from now; `fence` grows with each holder."""

    name: str
    token: str
    fence: int
    expires_in_s: float

    def to_json(self) -> dict[str, Any]:
        """As sent."""
        return {f: getattr(self, f) for f in self._fields}

    @classmethod
    def from_json(cls, value: Any, where: str = "lease") -> Lease:
        """As received, checked."""
        read = Reader(value, where)
        return cls(
            read.digest("name"), read.digest("token"), read.integer("fence"), read.number("expires_in_s", high=86_400)
        )


class Held(Record):
    """Someone else is computing the key: who says so, and until when at least."""

    name: str
    holder: str
    expires_in_s: float

    def to_json(self) -> dict[str, Any]:
        """As sent."""
        return {f: getattr(self, f) for f in self._fields}

    @classmethod
    def from_json(cls, value: Any, where: str = "held") -> Held:
        """As received, checked."""
        read = Reader(value, where)
        return cls(read.digest("name"), read.text("holder", "", limit=200), read.number("expires_in_s", high=86_400))


class Answer(Record):
    """For one key: exact entries ("hit"), entries under other code ("candidates"), or neither ("miss")."""

    status: str
    entries: tuple[Entry, ...] = ()
    lease: Lease | None = None
    held: Held | None = None

    def to_json(self) -> dict[str, Any]:
        """As sent."""
        found: dict[str, Any] = {"status": self.status, "entries": [entry.to_json() for entry in self.entries]}
        if self.lease is not None:
            found["lease"] = self.lease.to_json()
        if self.held is not None:
            found["held"] = self.held.to_json()
        return found

    @classmethod
    def from_json(cls, value: Any, where: str = "answer") -> Answer:
        """As received, checked."""
        read = Reader(value, where)
        status = read.text("status", limit=20)
        if status not in STATUSES:
            raise WireError(f"{where}.status: one of {', '.join(STATUSES)}")
        lease, held = read.value.get("lease"), read.value.get("held")
        return cls(
            status,
            read.items("entries", Entry.from_json, limit=MAX_CANDIDATES),
            None if lease is None else Lease.from_json(lease, f"{where}.lease"),
            None if held is None else Held.from_json(held, f"{where}.held"),
        )


def answers_from_json(value: Any) -> tuple[Answer, ...]:
    """The answers to a look-up, in the order of its keys."""
    return Reader(value, "lookup").items("answers", Answer.from_json, limit=MAX_KEYS)


def from_base64(text: str, where: str) -> bytes:
    """The bytes in `text`. Raises `WireError`."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise WireError(f"{where}: not base64") from None


def lease_name(key: Key) -> str:
    """The name of the lease on computing `key`."""
    return digest_pairs("lease-v1", [("s", key.symbol), ("f", key.fingerprint), ("a", key.arguments)])
