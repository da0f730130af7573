"""`CloudStore`: a store that happens to be far away.

One round trip answers a miss or a small hit. What comes back is used only if its signature was made with a key on
this machine, names exactly the call asked for, and its bytes have the digest that was signed. Saving only adds to the
outbox. Whatever the server does (dead, slow, lying), a call waits at most its budget and never gets a wrong value.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator

from hitsave.cloud import records
from hitsave.cloud.asking import Asking
from hitsave.cloud.client import Client
from hitsave.cloud.downloads import download
from hitsave.cloud.leases import HeldLeases
from hitsave.cloud.misses import Misses
from hitsave.cloud.outbox import Outbox, OutboxFull
from hitsave.cloud.patience import Patience
from hitsave.cloud.runs import RunReporter
from hitsave.cloud.settings import CloudSettings
from hitsave.cloud.signing import Signer
from hitsave.cloud.transport import Transport
from hitsave.cloud.trusted import RECORD_PURPOSE, Known, Trusted
from hitsave.cloud.uploader import Uploader, record_message
from hitsave.digest import Digest, Fingerprint, digest_text
from hitsave.errors import UntrustedEntry
from hitsave.evaluation import Blob, Evaluation, Key
from hitsave.observe.watch import unseen
from hitsave.store.authenticity import Seal, open_machine_keys
from hitsave.store.contract import Mark, Stats, Store
from hitsave.store.fetching import Later, fetched
from hitsave.store.trouble import Trouble
from hitsave.symbol import Symbol
from hitsave.values.codec import is_safe
from hitsave.wire import (
    Answer,
    Lookup,
    canonical_json,
    evaluation_to_json,
)
from hitsave.wire.messages import lease_name

ANY_CODE = Fingerprint("-")


TYPE_CHECKING = False
if TYPE_CHECKING:
    from hitsave.store.contract import Wanted


class CloudStore:
    """Implements `hitsave.store.contract.Store`. `local` is the store that keeps large results while they wait."""

    def __init__(
        self, settings: CloudSettings, *, config_dir: str, outbox_dir: str, local: Store | None = None
    ) -> None:
        self.settings = settings
        self.trouble = Trouble(settings.url, strict=settings.strict)
        self.asking = Asking(self.trouble)
        self.signer = Signer(config_dir, settings.project)
        self.client = Client(Transport(settings.url, settings.api_key), settings.project)
        self.leases = HeldLeases(self.client, settings.lease_s)
        place = f"{self.client.transport.url} {settings.project}"
        self.outbox = Outbox(outbox_dir, place, Seal(open_machine_keys(config_dir), b"hitsave-outbox"))
        self.uploader = Uploader(
            self.client, self.outbox, self.signer, self._find_local, self.asking.report, on_done=self._uploaded
        )
        self.runs = RunReporter(self.client)
        self._local = local
        self._holder = f"{socket.gethostname()[:60]}:{os.getpid()}:{secrets.token_hex(6)}"
        self.no_waiting_until = 0.0
        self.stays_here: Callable[[Symbol], bool] = lambda _: False  # functions that are nobody else's business
        self._handed: set[Key] = set()  # keys that results were found under, which perhaps don't hold
        self._withheld: set[Key] = set()  # and those whose result is there, but not for us to decode
        self.trusted = Trusted(self.signer, settings.project, self.trouble)
        self._misses = Misses()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._after_fork)

    # ---- look-up

    def find(self, key: Key) -> list[Evaluation]:
        """Every evaluation under the exact key, newest first. May wait for a colleague who computes it just now."""
        if not self._may_pull() or self._misses.has(key) or self.stays_here(key.symbol):
            return []
        return fetched(("find", key), self._asking(key), undo=lambda: self.abandon(key))

    def _asking(self, key: Key) -> Callable[[], list[Evaluation]]:
        patience = Patience(self, key)

        def ask() -> list[Evaluation]:
            with unseen():
                answer = self._look_up(key, lease=True)
                if answer is None:
                    return []
                if answer.held is not None and patience.lasts():
                    raise Later(patience.wait)
                return self._take(key, answer)

        return ask

    def _take(self, key: Key, answer: Answer) -> list[Evaluation]:
        if answer.lease is not None:
            self.leases.add(answer.lease)
        found = self.trusted.accept(answer.entries, key.symbol, key.arguments)
        exact = [evaluation for evaluation in found if evaluation.key == key]
        if len(self._handed) > 1000:
            self._handed.clear()
        if exact:
            self._handed.add(key)
        else:
            self._misses.note(key, found)
        return exact

    def look_again(self, key: Key) -> bool:
        """The body is about to run. Gets the lease if only results were found that don't hold, which grants none.

        True if there was a colleague to wait for, who computed it too: then it's worth looking again.
        """
        if key not in self._handed or self.settings.mode != "both" or not self.settings.lease_s:
            return False
        self._handed.discard(key)
        patience, lease_s = Patience(self, key), self.settings.lease_s

        def take_lease() -> bool:
            with unseen():
                lease = self.asking.ask(lambda: self.client.acquire_lease(patience.name, lease_s, self._holder))
                if lease is not None:
                    self.leases.add(lease)
                elif patience.lasts():
                    raise Later(patience.wait)
                return patience.waited

        return fetched(("lease", key), take_lease, undo=lambda: self.abandon(key))

    def candidates(self, symbol: Symbol, arguments: Digest, wanted: Wanted | None = None) -> list[Evaluation]:
        """Evaluations under other code that an edit may have left valid, newest first."""
        if not self._may_pull() or self.stays_here(symbol):
            return []
        found = self._misses.candidates(symbol, arguments)
        if found is None:
            found = fetched(("candidates", symbol, arguments), lambda: self._ask_candidates(symbol, arguments))
        return [e for e in found if wanted is None or wanted(e.observed.replace(children=()), e.observed.narrowed)]

    def _ask_candidates(self, symbol: Symbol, arguments: Digest) -> list[Evaluation]:
        with unseen():
            answer = self._look_up(Key(symbol, ANY_CODE, arguments), lease=False)
            return self.trusted.accept(answer.entries, symbol, arguments) if answer is not None else []

    def _look_up(self, key: Key, *, lease: bool) -> Answer | None:
        wanted = lease and self.settings.mode == "both" and self.settings.lease_s
        lookup = Lookup((key,), lease_s=self.settings.lease_s if wanted else 0, holder=self._holder)
        answers = self.asking.ask(lambda: self.client.look_up(lookup, self.settings.budget_s))
        return answers[0] if answers else None

    # ---- results

    def load(self, evaluation: Evaluation) -> Blob | None:
        """The encoded result, its digest checked against the signed one; None if it is gone, late or not the same."""
        evaluation = _rounded(evaluation)
        known = self.trusted.get(evaluation)
        if known is not None and known.inline is not None:
            return self._loaded(evaluation)
        return fetched(("load", evaluation), lambda: self._loaded(evaluation))

    def _loaded(self, evaluation: Evaluation) -> Blob | None:
        with unseen():
            blob = self._download(evaluation)
        if blob is not None:
            self._handed.discard(evaluation.key)
        return blob

    def _download(self, evaluation: Evaluation) -> Blob | None:
        known = self.trusted.get(evaluation) or self._find_again(evaluation)
        if known is None or not self._may_decode(evaluation, known):
            return None
        data: bytes | bytearray | None = known.inline
        if data is None:
            data = download(self.client, evaluation, known.blob, self.settings.budget_s)
        if data is None:
            self.asking.report("didn't deliver a result in time")
            return None
        if len(data) != evaluation.size_bytes or "sha256-" + hashlib.sha256(data).hexdigest() != known.blob:
            self.trouble.refuse("bytes that are not what was signed")
            return None
        return Blob(evaluation.codec, data, evaluation.size_bytes)

    def _may_decode(self, evaluation: Evaluation, known: Known) -> bool:
        allowed = self.settings.allow_pickle
        if is_safe(evaluation.codec) or allowed == "signed" or (allowed == "local" and known.is_own):
            return True
        self._withheld.add(evaluation.key)
        self.asking.report(
            f'has a result that only code can read ({evaluation.codec}); allow_pickle = "{allowed}" leaves it unread',
            'Say allow_pickle = "signed" in your own settings if you would run the code of all who hold the team key.',
        )
        return False

    def _find_again(self, evaluation: Evaluation) -> Known | None:
        if not self._may_pull():
            return None
        answer = self._look_up(evaluation.key, lease=False)
        if answer is not None:
            self.trusted.accept(answer.entries, evaluation.key.symbol, evaluation.key.arguments)
        return self.trusted.get(evaluation)

    # ---- saving

    def save(self, evaluation: Evaluation, blob: Blob) -> None:
        """Put the result into the outbox; a thread uploads it. Returns at once."""
        if self.settings.mode == "pull" or self.stays_here(evaluation.key.symbol):
            return
        evaluation = _rounded(evaluation)
        name = lease_name(evaluation.key)
        lease = self.leases.find(name)
        if evaluation.key in self._withheld:
            self.abandon(evaluation.key)  # the team has it; two pickles of one value would look like a conflict
            return
        body = {"evaluation": evaluation_to_json(evaluation), "fence": lease.fence if lease else 0}
        try:
            entry = "entry " + digest_text(canonical_json(body["evaluation"]))
            self.outbox.add("entry", entry, body, blob, keep_bytes=self._local is None)
        except (OutboxFull, OSError, sqlite3.Error, ValueError) as error:
            self.asking.report(f"can't be sent results: {error}")
            self.leases.release(name)
            return
        self.leases.promise(name)
        self._misses.forget(evaluation.key)
        self.uploader.poke()

    def abandon(self, key: Key) -> None:
        """Nothing will be saved under `key` (the body raised, or its result can't be stored): let others compute it."""
        name = lease_name(key)
        if self.leases.find(name) is not None and not self.leases.is_promised(name):
            # In a thread of its own: an exception of the user must not wait for our network.
            threading.Thread(target=self._release, args=(name,), daemon=True).start()

    def _release(self, name: str) -> None:
        with unseen():
            self.leases.release(name)

    def remove(self, evaluation: Evaluation) -> bool:
        """Remove this result from the server; whether it was there. Only who stored it, or an admin, may."""
        if self.settings.mode == "pull":
            return False
        evaluation = _rounded(evaluation)
        known = self.trusted.get(evaluation) or self._find_again(evaluation)
        self.trusted.forget(evaluation)
        return known is not None and bool(self.asking.ask(lambda: self.client.delete_entry(evaluation.key, known.blob)))

    def entries(self, pattern: str = "*") -> Iterator[Evaluation]:
        """Every evaluation on the server that can be trusted here, page by page."""
        cursor = ""
        while self._may_pull():
            page = self.asking.ask(lambda cursor=cursor: self.client.list_entries(pattern, cursor))  # type: ignore[misc]
            if page is None:
                return
            yield from self.trusted.accept(page[0])
            cursor = page[1]
            if not cursor:
                return

    # ---- records

    def get_record(self, kind: str, name: str) -> bytes | None:
        """A record that a colleague's results refer to, verified."""
        if kind not in records.SHARED or not self._may_pull():
            return None
        found = self.asking.ask(lambda: self.client.get_record(kind, name, self.settings.budget_s))
        if not found:
            return None
        data, tag = found
        try:
            self.signer.check(RECORD_PURPOSE, record_message(kind, name, data), tag)
        except UntrustedEntry as error:
            self.trouble.refuse(f"a record that can't be trusted: {error.message}")
            return None
        return records.from_wire(kind, data)

    def put_record(self, kind: str, name: str, data: bytes) -> None:
        """Have a record uploaded, once."""
        if kind not in records.SHARED or self.settings.mode == "pull":
            return
        if kind == "source" and not self.settings.share_sources:
            return
        sent = records.to_wire(kind, data)
        if sent is None or len(sent) > records.MAX_BYTES:
            return
        try:
            blob = Blob("", sent, len(sent))
            self.outbox.add("record", f"record {kind} {name}", {"kind": kind, "name": name}, blob)
        except (OutboxFull, OSError, sqlite3.Error) as error:
            self.asking.report(f"can't be sent records: {error}")
            return
        self.uploader.poke()

    def remove_record(self, kind: str, name: str) -> bool:
        """Records on the server are shared and stay."""
        return False

    def record_names(self, kind: str) -> list[str]:
        """The server doesn't list records."""
        return []

    # ---- the rest of the contract

    def supersede(self, marks: Iterable[Mark]) -> None:
        """Other people's code may be older than ours: nothing on the server is superseded by an edit here."""

    def revive(self, marks: Iterable[Mark]) -> None:
        """Nothing to take back."""

    def superseded(self) -> frozenset[Mark]:
        """None."""
        return frozenset()

    def stats(self) -> Stats:
        """What went wrong here; the server's own counts are on its dashboard."""
        return Stats(refused=self.trouble.refused, troubles=self.trouble.count)

    def waiting(self) -> int:
        """How many uploads wait in the outbox."""
        return self.outbox.count()

    def flush(self, timeout_s: float | None = None) -> bool:
        """Wait until everything is uploaded, at most `timeout_s`; whether it is."""
        return self.uploader.flush(self.settings.exit_wait_s if timeout_s is None else timeout_s)

    def close(self) -> None:
        """Flush for a moment, give leases back, end threads. What is still waiting goes out with a later process."""
        try:
            if self.outbox.count():
                self.uploader.poke()
                self.flush()
        except sqlite3.Error:
            pass
        self.runs.flush(0.5)
        self.leases.release_all()
        self.uploader.close()
        self.client.transport.close()
        self.outbox.close()

    # ---- what the evaluator tells

    def begun(self, key: Key, title: Callable[[], str], *, is_experiment: bool) -> str:
        """A body is about to run; what to give to `ended`."""
        return self.announce(key, title()[:4000]) if is_experiment else ""

    def ended(self, key: Key, run_id: str, error: str) -> None:
        """It has run: its result was saved, or couldn't be, or it raised (`error` is the traceback)."""
        self.conclude(run_id, error)
        self.abandon(key)

    def announce(self, key: Key, title: str) -> str:
        """Tell the dashboard that an experiment has begun; the id for `conclude`. Returns at once."""
        if self.settings.mode == "pull" or self.stays_here(key.symbol):
            return ""
        return self.runs.announce(key, title)

    def conclude(self, run_id: str, error: str = "") -> None:
        """Tell the dashboard that it ended: well, or with a traceback. Returns at once."""
        self.runs.conclude(run_id, error)

    # ---- below

    def _may_pull(self) -> bool:
        return self.settings.mode != "push" and not self.asking.refused_for_good

    def _find_local(self, evaluation: Evaluation) -> Blob | None:
        return self._local.load(evaluation) if self._local is not None else None

    def _uploaded(self, evaluation: Evaluation) -> None:
        self.leases.drop(lease_name(evaluation.key))

    def _after_fork(self) -> None:
        self.trusted.renew_lock()
        self._holder = f"{socket.gethostname()[:60]}:{os.getpid()}:{secrets.token_hex(6)}"


def _rounded(evaluation: Evaluation) -> Evaluation:
    """As the local store gives it back: times kept to the microsecond, so both tell of the same evaluation."""
    return evaluation.replace(elapsed_s=round(evaluation.elapsed_s, 6))


__all__ = ["CloudSettings", "CloudStore"]
