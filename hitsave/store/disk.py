"""`DiskStore`: evaluations on this machine, shared by all its processes.

Rows lie in diskcache's table (database.py reads, hardened.py writes), packed as packing.py says; results above
128 KiB are files beside it (blobs.py). Nothing is parsed, let alone decoded, before its tag has been verified
(authenticity.py). What opens when: keys at the first look-up that finds something, diskcache at the first write.
"""

from __future__ import annotations

import os
from time import time

from hitsave.errors import StoreError
from hitsave.evaluation import Blob
from hitsave.store import packing
from hitsave.store.authenticity import TAG_BYTES, KeyRing, Seal, open_machine_keys
from hitsave.store.blobs import blob_files
from hitsave.store.contract import MAX_CANDIDATES, Mark, Stats, matches
from hitsave.store.database import Database
from hitsave.store.flight import Flights
from hitsave.store.groups import Groups, Membership
from hitsave.store.packing import BlobRef
from hitsave.store.places import Places
from hitsave.store.preload import FIND, NEWEST, Preload
from hitsave.store.results import Results
from hitsave.store.trouble import Trouble

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from hitsave.digest import Digest
    from hitsave.evaluation import Evaluation, Key
    from hitsave.store.contract import Wanted
    from hitsave.store.database import NewRow, Row
    from hitsave.symbol import Symbol

    Found = tuple[Evaluation, bytes | BlobRef]

# A result up to here stands in the row of its evaluation; larger ones: results.py.
IN_ROW_BYTES = 1 << 10

ONE = "SELECT key, store_time, value FROM Cache WHERE key = ? AND raw = 1"
PAGE = "SELECT key, store_time, value FROM Cache WHERE key > ? AND key < ? AND raw = 1 ORDER BY key LIMIT 1000"
KEYS = "SELECT key FROM Cache WHERE key >= ? AND key < ? AND raw = 1 ORDER BY key"
KEYS_BEFORE = KEYS.replace(" ORDER", " AND store_time < ? ORDER")
AFTER_ROWS = b"\xff" * (packing.ROW_KEY_BYTES + 1)
SUPERSEDED = "superseded"


class Trust:
    """The seals of one store, and the keys behind them."""

    def __init__(self, ring: KeyRing, namespace: str) -> None:
        self.entries = Seal(ring, b"hitsave-entry-v1", namespace)
        self.records = Seal(ring, b"hitsave-record-1", namespace)
        self.ring = ring


class DiskStore:
    """Evaluations below `directory`; keys below `config_dir`, which must not lie inside it.

    `verify` is "on", "strict" or "off". `accepted` are further keys whose tags count. `data_codecs` names the codecs
    whose decoders only ever yield data: results of any other are taken for programs. `namespace` separates caches
    that share keys.
    """

    def __init__(
        self,
        directory: str,
        config_dir: str,
        *,
        verify: str = "on",
        namespace: str = "",
        accepted: Iterable[bytes] = (),
        data_codecs: Iterable[str] = (),
    ) -> None:
        self.places = Places(directory)
        self.trouble = Trouble(self.places.root, strict=verify == "strict")
        self.database = Database(self.places, self.trouble)
        self.groups = Groups(self.database)
        self.flights = Flights(self.places.flight, self.places.is_network)
        self.preload = Preload(self.database, self.flights)
        self.config_dir = config_dir
        self._verify = verify != "off"
        self._namespace = namespace
        self._accepted = tuple(accepted)
        self.results = Results(self.places, self.database, self.trouble, data_codecs)
        self._trust: Trust | None = None
        self._untrusted = False
        # What the last look-ups found: `load` usually follows, and then needs no second look at the database.
        self._last: Found | None = None
        self._recent: dict[int, Found] = {}

    def _open_keys(self) -> Trust | None:
        """The seals; None (said once) if there is no key that can be trusted."""
        if self._trust is None and not self._untrusted:
            try:
                self._trust = Trust(self.keys(), self._namespace)
            except (StoreError, OSError) as error:
                self._untrusted = True
                hint = getattr(error, "hint", "") or "Run `hitsave doctor`."
                self.trouble.report(f"can't be used: {getattr(error, 'message', error)}", hint)
        return self._trust

    # Look-up

    def find(self, key: Key) -> list[Evaluation]:
        """Every evaluation under the exact key, newest first."""
        first = self.groups.symbol(key.symbol) + bytes.fromhex(key.arguments[:16] + key.fingerprint[:6])
        rows = self.preload.find(first)
        if not rows:
            return []
        found = self.verified(rows, key)
        if len(found) == 1 and found[0][0].key is key:
            self._last = found[0]
            return [found[0][0]]
        return self._newest_first([item for item in found if item[0].key is key])

    def candidates(self, symbol: Symbol, arguments: Digest, wanted: Wanted | None = None) -> list[Evaluation]:
        """Evaluations of `symbol` with `arguments` under any code, newest first, at most `MAX_CANDIDATES`."""
        first = self.groups.symbol(symbol) + bytes.fromhex(arguments[:16])
        rows = self.preload.others(first)
        if rows is None:
            rows = self.database.rows(FIND, (first, first + b"\xff" * 9))
            if len(rows) > MAX_CANDIDATES:
                rows = self.database.rows(NEWEST, (first, first + b"\xff" * 9))
        if not rows:
            return []
        found = self.verified(rows, wanted=wanted)
        return self._newest_first([i for i in found if i[0].key.arguments == arguments and i[0].key.symbol == symbol])

    def _newest_first(self, found: list[Found]) -> list[Evaluation]:
        if len(found) > 1:
            found.sort(key=_started, reverse=True)
        self._recent = {id(item[0]): item for item in found}
        return [item[0] for item in found]

    def verified(self, rows: Sequence[Row], key: Key | None = None, wanted: Wanted | None = None) -> list[Found]:
        """The evaluations in `rows` that are authentic, each with its encoded result or where that is.

        `key` is what was looked for, if it was an exact key: the evaluations under it share it. What isn't authentic
        is refused: counted, said once.
        """
        trust = (self._trust or self._open_keys()) if rows else None
        if trust is None:
            return []
        groups = self.groups.table
        if len(rows) > 1:
            self.groups.fetch([row[0][:4] + row[0][12:] for row in rows])
        found = []
        for row_key, started, value in rows:
            name = row_key[:4] + row_key[12:]
            group = groups.get(name) or self.groups.fetch([name]).get(name)
            if group is None:
                continue  # collected since
            if type(started) is not float or type(value) is not bytes or len(value) < packing.LEAST_BYTES:
                self.trouble.refuse("a row that is not one of ours")
                continue
            signed = packing.signed_part(row_key, started, group.digest, value[TAG_BYTES:])
            if self._verify and not trust.entries.verify(value[:TAG_BYTES], signed):
                self.groups.drop(name)  # if it is the group that is damaged, the next such evaluation writes it anew
                self.trouble.refuse("an entry that was not signed by this machine, or was changed since")
                continue
            if not group.opened and not self.groups.open(group):
                continue
            if wanted is None or wanted(group.trace.observed, group.narrowed):
                found.append(packing.unpack_row(row_key, started, value, group, key))
        return found

    # Results

    def load(self, evaluation: Evaluation) -> Blob | None:
        """The encoded result, verified; None if it is gone or damaged."""
        item = self._last
        if item is None or item[0] is not evaluation:
            item = self._recent.get(id(evaluation))
        where = item[1] if item is not None and item[0] is evaluation else self._locate(evaluation)
        if type(where) is bytes:
            return Blob(evaluation.codec, where, evaluation.size_bytes)
        trust = self._trust
        if not isinstance(where, BlobRef) or trust is None:
            return None
        data = self.results.read(where, evaluation.size_bytes, trust.ring, verify=self._verify)
        if data is None:
            return None
        blob = Blob(evaluation.codec, data, evaluation.size_bytes)
        self.results.loaded(blob, where)
        return blob

    def _locate(self, evaluation: Evaluation) -> bytes | BlobRef | None:
        row_key = self._row_key(evaluation, self._membership(evaluation))
        for found, where in self.verified(self.database.rows(ONE, (row_key,)), evaluation.key):
            if found == evaluation:
                return where
        return None

    # Writing

    def save(self, evaluation: Evaluation, blob: Blob) -> None:
        """Keep `evaluation` and its result, replacing an entry with equal key and observations."""
        trust = self._trust or self._open_keys()
        if trust is None:
            return
        generation = self.database.generation
        self._save(trust, evaluation, blob)
        if self.database.generation != generation:
            self._save(trust, evaluation, blob)  # into another file than we thought, where the shared parts are missing

    def _save(self, trust: Trust, evaluation: Evaluation, blob: Blob) -> None:
        prefix = packing.title_prefix(evaluation.title)
        membership = self.groups.of(evaluation, prefix)
        row_key = self._row_key(evaluation, membership)
        rows = list(membership.rows)
        ref: BlobRef | None = None
        payload, tag = b"", None
        if blob.size_bytes <= IN_ROW_BYTES:
            payload = b"".join(blob.buffers())
        else:
            ref = self.results.keep(blob, trust.ring, rows, durable=evaluation.is_experiment)
            if ref is None:
                return
            tag = packing.blob_key(ref.digest)
        content = packing.pack_row(evaluation, prefix, ref, payload)
        started = float(evaluation.started)
        seal = trust.entries.tag(packing.signed_part(row_key, started, membership.digest, content))
        rows.append((row_key, started, tag, seal + content))
        if self.database.write(rows, durable=evaluation.is_experiment):
            self.groups.written(membership)
            if ref is not None and not self.results.exists(ref):
                # A collection took the file before it could see that we need it.
                self.results.keep(blob, trust.ring, [], durable=evaluation.is_experiment)
        self.preload.stored(row_key)
        self.flights.tell()

    def _membership(self, evaluation: Evaluation) -> Membership:
        return self.groups.of(evaluation, packing.title_prefix(evaluation.title))

    def _row_key(self, evaluation: Evaluation, membership: Membership) -> bytes:
        key = evaluation.key
        return self.groups.symbol(key.symbol) + bytes.fromhex(key.arguments[:16]) + membership.id

    def remove(self, evaluation: Evaluation) -> bool:
        """Forget `evaluation`; whether it was there. Its file goes at the next collection, if nothing else needs it."""
        row_key = self._row_key(evaluation, self._membership(evaluation))
        self._last, self._recent = None, {}
        self.preload.forget(row_key)
        return self.database.delete([row_key]) > 0

    # Everything

    def entries(self, pattern: str = "*") -> Iterator[Evaluation]:
        """Every evaluation whose symbol matches the glob `pattern`."""
        for evaluation, _, _ in self.located_entries():
            if pattern == "*" or matches(evaluation.key.symbol, pattern):
                yield evaluation

    def located_entries(self) -> Iterator[tuple[Evaluation, bytes | BlobRef, bytes]]:
        """Every authentic evaluation, with its encoded result or where that is, and its row key."""
        last = b"\x80"
        while rows := self.database.rows(PAGE, (last, AFTER_ROWS)):
            last = rows[-1][0]
            self.groups.fetch([row[0][:4] + row[0][12:] for row in rows])
            for row in rows:
                for evaluation, where in self.verified((row,)):
                    yield evaluation, where, row[0]

    def row_keys(self) -> list[bytes]:
        """The row key of every entry, authentic or not."""
        return [key for (key,) in self.database.rows(KEYS, (b"\x80", AFTER_ROWS))]

    def keys(self) -> KeyRing:
        """The keys of this machine. Raises `StoreError` if they can't be trusted, read or made."""
        return open_machine_keys(self.config_dir, self._accepted)

    def supersede(self, marks: Iterable[Mark]) -> None:
        """Mark code as replaced by newer code."""
        trust = self._open_keys()
        if trust is None:
            return
        rows: list[NewRow] = []
        for mark in marks:
            key = _record_key(SUPERSEDED, _mark_name(mark))
            rows.append((key, time(), None, trust.records.tag(key)))
        if rows:
            self.database.write(rows)

    def revive(self, marks: Iterable[Mark]) -> None:
        """Take such marks back."""
        self.database.delete([_record_key(SUPERSEDED, _mark_name(mark)) for mark in marks])

    def superseded(self) -> frozenset[Mark]:
        """All marks. Not verified: a forged one could at most change the order of a collection."""
        marks = []
        for name in self.record_names(SUPERSEDED):
            symbol, _, fingerprint = name.rpartition("@")
            marks.append(Mark(symbol, fingerprint))  # type: ignore[arg-type]  # what _mark_name wrote
        return frozenset(marks)

    # Records

    def get_record(self, kind: str, name: str) -> bytes | None:
        """The bytes kept as `name` among the records of `kind`, verified; None if there are none."""
        key = _record_key(kind, name)
        rows = self.database.rows(ONE, (key,))
        if not rows:
            return None
        trust = self._open_keys()
        value = rows[0][2]
        if trust is None:
            return None
        if type(value) is bytes and (
            not self._verify or trust.records.verify(value[:TAG_BYTES], key + value[TAG_BYTES:])
        ):
            return value[TAG_BYTES:]
        self.trouble.refuse("a record that was not signed by this machine, or was changed since")
        return None

    def put_record(self, kind: str, name: str, data: bytes) -> None:
        """Keep `data` as `name`, replacing what was there."""
        trust = self._open_keys()
        if trust is not None:
            key = _record_key(kind, name)
            self.database.write([(key, time(), None, trust.records.tag(key + data) + data)])

    def remove_record(self, kind: str, name: str) -> bool:
        """Forget a record; whether it was there."""
        return self.database.delete([_record_key(kind, name)]) > 0

    def record_names(self, kind: str, before: float = float("inf")) -> list[str]:
        """The names of all records of `kind` that were last written `before` that time, sorted."""
        first = _record_key(kind, "")
        rows = self.database.rows(KEYS_BEFORE, (first, first[:-1] + b"\x01", before))
        return sorted(str(key[len(first) :], "utf-8", "surrogateescape") for (key,) in rows)

    # The whole

    def stats(self) -> Stats:
        """Counts and sizes."""
        entries = experiments = 0
        for evaluation in self.entries():
            entries += 1
            experiments += evaluation.is_experiment
        counted = self.database.rows("SELECT count(*) FROM Cache WHERE key >= ? AND key < ? AND raw = 1", (b"r", b"s"))
        files = sum(1 for _ in blob_files(self.places.blobs))
        return Stats(
            entries=entries,
            experiments=experiments,
            records=counted[0][0] if counted else 0,
            blobs=files,
            size_bytes=disk_usage(self.places.home),
            refused=self.trouble.refused,
            troubles=self.trouble.count,
        )

    def close(self) -> None:
        """Close the database; the next call opens it again."""
        self._last, self._recent = None, {}
        self.results.close()
        self.database.close()
        self.flights.close()


def disk_usage(path: str) -> int:
    """Bytes that the files below `path` occupy on the disk."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                status = os.lstat(os.path.join(folder, name))
            except OSError:
                continue  # removed meanwhile
            total += getattr(status, "st_blocks", -(-status.st_size // 512)) * 512
    return total


def _started(item: Found) -> float:
    return item[0].started


def _mark_name(mark: Mark) -> str:
    return f"{mark.symbol}@{mark.fingerprint}"


def _record_key(kind: str, name: str) -> bytes:
    return f"r{kind}\0{name}".encode("utf-8", "surrogateescape")
