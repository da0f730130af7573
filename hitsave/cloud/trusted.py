"""`Trusted`: which of the entries that a server sent may be used, and what we know of them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable

from hitsave.cloud.signing import Signer
from hitsave.errors import UntrustedEntry
from hitsave.evaluation import Evaluation
from hitsave.record import Record
from hitsave.store.trouble import Trouble
from hitsave.wire import Entry, Manifest, WireError, parse_manifest

ENTRY_PURPOSE = b"hitsave-entry-1"
RECORD_PURPOSE = b"hitsave-recrd-1"
KNOWN_MAX = 2000
INLINE_KEPT_BYTES = 64 << 20


class Known(Record):
    """The name of an evaluation's blob, its bytes if they came along, and whether this machine itself signed it."""

    blob: str
    inline: bytes | None
    is_own: bool


class Trusted:
    """Entries whose signature fits, by evaluation; the least recently used are forgotten."""

    def __init__(self, signer: Signer, project: str, trouble: Trouble) -> None:
        self._signer = signer
        self._project = project
        self._trouble = trouble
        self._known: OrderedDict[Evaluation, Known] = OrderedDict()
        self._inline_bytes = 0
        self.renew_lock()

    def renew_lock(self) -> None:
        """After a fork the lock may be held by a thread that isn't here."""
        self._lock = threading.Lock()

    def accept(self, entries: Iterable[Entry], symbol: str = "", arguments: str = "") -> list[Evaluation]:
        """The evaluations of those entries that are signed by a key we hold, for this project and, if given, this call.

        The others are refused: a warning the first time, an `UntrustedEntry` in strict mode.
        """
        found = []
        for entry in entries:
            manifest = self._verify(entry)
            if manifest is None:
                continue
            evaluation = manifest.evaluation
            if symbol and (evaluation.key.symbol != symbol or evaluation.key.arguments != arguments):
                self._trouble.refuse("an entry for another call than the one asked for")
                continue
            self._remember(evaluation, Known(manifest.blob, entry.inline, self._signer.is_own(entry.tag)))
            found.append(evaluation)
        return found

    def get(self, evaluation: Evaluation) -> Known | None:
        """What is known of an evaluation that was accepted."""
        return self._known.get(evaluation)

    def forget(self, evaluation: Evaluation) -> None:
        """It is no longer on the server."""
        with self._lock:
            dropped = self._known.pop(evaluation, None)
            self._inline_bytes -= len(dropped.inline or b"") if dropped else 0

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._known.clear()
            self._inline_bytes = 0

    def _verify(self, entry: Entry) -> Manifest | None:
        try:
            self._signer.check(ENTRY_PURPOSE, entry.manifest.encode(), entry.tag)
            manifest = parse_manifest(entry.manifest)
            if manifest.project != self._project:
                raise UntrustedEntry("signed for another project")
        except (UntrustedEntry, WireError) as error:
            self._trouble.refuse(f"a result that can't be trusted: {getattr(error, 'message', error)}")
            return None
        return manifest

    def _remember(self, evaluation: Evaluation, known: Known) -> None:
        self.forget(evaluation)
        with self._lock:
            self._known[evaluation] = known
            self._inline_bytes += len(known.inline or b"")
            while len(self._known) > KNOWN_MAX or self._inline_bytes > INLINE_KEPT_BYTES:
                _, dropped = self._known.popitem(last=False)
                self._inline_bytes -= len(dropped.inline or b"")
