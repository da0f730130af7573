"""`Batches`: the files that differ from what runs, in the groups in which they were saved, and what becomes of each.

    take      a file was classified: it waits for the exchange, is stuck (half written, gone), or is what runs again
    merge     what was saved together is exchanged together; a batch that still waits takes in what touches it
    prepare   prove each batch safe, or find the reasons why it isn't
    apply     exchange what is proven; on the thread of whoever is about to call something

Not safe for threads: the live session's lock is held around each of these.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from hitsave.live import events
from hitsave.live.classify import HALF, MISSING, SAME, Found, compare
from hitsave.live.events import LiveEvent, Refusal
from hitsave.live.swap import Refused, Swap, prepare
from hitsave.live.telling import Telling
from hitsave.session import Session
from hitsave.source import Source


class Batches:
    """What one live session has seen on disk and not taken over."""

    def __init__(self, session: Session, telling: Telling) -> None:
        self._session = session
        self._telling = telling
        self._pending: dict[str, Source] = {}  # module -> its text on disk, where that isn't what runs
        self._stuck: dict[str, str] = {}  # module -> digest of a text that can't be parsed, or "" for no file
        self._batches: list[frozenset[str]] = []  # modules that were saved together
        self._prepared: list[Swap] = []
        self._refused: list[tuple[Refusal, ...]] = []  # still to be said on a caller's thread

    @property
    def differ(self) -> bool:
        """Whether any file isn't what runs."""
        return bool(self._pending or self._stuck)

    @property
    def wait(self) -> bool:
        """Whether there is something for the next caller to do, or to hear."""
        return bool(self._prepared or self._refused)

    def drop(self) -> None:
        """Exchange nothing more, and say nothing."""
        self._prepared, self._refused = [], []

    def take(self, found: Found) -> bool:
        """Take in how a file stands; whether that is new."""
        module = found.module
        if found.state == SAME:
            was = module in self._pending or module in self._stuck
            self._pending.pop(module, None)
            self._stuck.pop(module, None)
            return was
        if found.state in (HALF, MISSING):
            stuck = str(found.source.digest) if found.source is not None else ""
            self._pending.pop(module, None)
            if self._stuck.get(module) == stuck:
                return False
            self._stuck[module] = stuck
            return True
        assert found.source is not None
        self._stuck.pop(module, None)
        known = self._pending.get(module)
        self._pending[module] = found.source
        return known is None or known.digest != found.source.digest

    def merge(self, modules: Iterable[str]) -> None:
        """What was saved together is taken over together; a batch that still waits takes in what touches it."""
        batch = set(modules)
        for old in [old for old in self._batches if not old.isdisjoint(batch)]:
            self._batches.remove(old)
            batch |= old
        self._batches.append(frozenset(batch))

    def prepare(self, mode: str) -> None:
        """Find out for each batch whether it can be exchanged."""
        self._prepared, self._refused = [], []
        kept = []
        for batch in self._batches:
            modules = frozenset(name for name in batch if name in self._pending or name in self._stuck)
            if not modules:
                continue
            kept.append(modules)
            if any(name in self._stuck for name in modules):
                continue  # half written, or gone: not before all of it is there
            if mode != "safe":
                if self._is_meant(modules):
                    self._refuse(modules, _only_told(modules))
                continue
            try:
                self._prepared.append(prepare(self._session, [self._pending[name] for name in sorted(modules)]))
            except Refused as refused:
                if self._is_meant(modules):
                    self._refuse(modules, refused.refusals)
        self._batches = kept

    def apply(self, mode: str) -> None:
        """Exchange what is prepared."""
        prepared, self._prepared = self._prepared, []
        for swap in prepared:
            began = time.perf_counter()
            modules = swap.modules
            try:
                applied = swap.apply()
            except Exception as error:  # noqa: BLE001 - a decorator of a new function raised; all is as it was
                reason = f"running the new definitions failed: {error!r}"
                self._refuse(frozenset(modules), (Refusal(modules[0], 0, reason, "mend it, or restart"),))
                continue
            if not applied:
                self.prepare(mode)  # something else changed the process meanwhile
                return
            for name in modules:
                source = self._pending.pop(name)
                symbols, elapsed_s = tuple(sorted(swap.changed)), time.perf_counter() - began
                self._telling.note(LiveEvent(events.SWAPPED, name, source.path, symbols, elapsed_s=elapsed_s))
            self._batches = [batch for batch in self._batches if batch.isdisjoint(modules)]

    def refused(self) -> list[tuple[Refusal, ...]]:
        """What is still to be said to a caller; asked once."""
        refused, self._refused = self._refused, []
        return refused

    def changed_symbols(self, new: Source) -> tuple[str, ...]:
        """The definitions in which a text differs from what runs; "?" if one of them can't be analysed."""
        book = self._session.book
        running = book.source(new.module)
        before = None if running is None else book.summary(running)
        after = book.summary(new)
        return ("?",) if before is None or after is None else compare(before, after).symbols

    # -- private -----------------------------------------------------------------------------------------------------

    def _is_meant(self, modules: frozenset[str]) -> bool:
        """Whether the texts say something else than what runs: not only other comments, or other lines."""
        sources = [self._pending[name] for name in modules]
        return any(self.changed_symbols(new) or self._has_other_futures(new) for new in sources)

    def _has_other_futures(self, new: Source) -> bool:
        """Whether `from __future__` imports differ: they change what every function is compiled to."""
        running = self._session.book.source(new.module)
        texts = [b"" if running is None else running.data, new.data]
        before, after = [[line for line in text.splitlines() if b"__future__" in line] for text in texts]
        return before != after

    def _refuse(self, modules: frozenset[str], refusals: tuple[Refusal, ...]) -> None:
        self._refused.append(refusals)
        for name in sorted(modules):
            source = self._pending[name]
            own = tuple(each for each in refusals if each.symbol.partition(":")[0] == name)
            self._telling.note(LiveEvent(events.REFUSED, name, source.path, reasons=own or refusals))


def _only_told(modules: Iterable[str]) -> tuple[Refusal, ...]:
    reason = 'live is "notify": edits are only reported'
    return tuple(Refusal(name, 0, reason, 'restart; or set live = "safe"') for name in sorted(modules))
