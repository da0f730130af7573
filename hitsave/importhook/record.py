"""`LoadedSources`: which source each module of this process was really executed from.

A fingerprint that is computed from what is on disk *now* describes code that may never have run here (the file was
edited after it was imported). So the loader hands over the very bytes it compiled, before they run, and everything
that is later said about a module is said about these bytes.

    begin(entry)      the module is about to be executed from these bytes
    commit(entry)     it was
    roll_back(entry)  it raised: the record that was there before is in force again

A failed `importlib.reload` leaves a module half new and half old; its old record comes back marked unverified, so
that the next question compares it with the code objects in the module (`attest`).

`revision` grows with every change, so whoever computes something from loaded code can keep it until then.

Thread safety: every method may be called from any thread. The lock is held for a few dictionary operations only,
never while user code, an import or a file operation runs.
"""

from __future__ import annotations

import _thread
import sys

from hitsave.digest import digest_bytes
from hitsave.importhook.entry import ATTESTED
from hitsave.importhook.exchanges import Exchanges
from hitsave.importhook.stamps import stamp_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from hitsave.digest import Digest
    from hitsave.importhook.entry import Entry, Loaded

# How many earlier texts of one module are kept, for functions that outlive a reload of their module.
EARLIER_TEXTS = 8


class LoadedSources:
    """{module: what it was executed from}, for every project module of this process.

    `name_of` gives the canonical module name of a file, or None; `verify` compares an unverified entry with the code
    in the process and returns a verified one.
    """

    def __init__(self, name_of: Callable[[str], str | None], verify: Callable[[Entry, float], Entry]) -> None:
        self.revision = 0
        self.name_of = name_of
        self._verify = verify
        self.asked: dict[str, float] = {}  # import name -> when our finder was last asked for it, s since the epoch
        self.keeps_texts = False
        # The text with a digest, if it was kept anywhere: the session asks its store.
        self.recall: Callable[[Digest], bytes | None] = lambda _: None
        self.exchanges = Exchanges()
        self._lock = _thread.allocate_lock()
        self._entries: dict[str, Entry] = {}  # import name -> the entry in force
        self._before: dict[str, Entry | None] = {}  # import name -> what a running execution would replace
        self._names: dict[str, str] = {}  # canonical name -> import name, of the entries named so far
        self._unnamed: list[Entry] = []
        self._notes: list[Entry] = []  # of modules that somebody else is loading
        self._handed: dict[str, tuple[Entry, object]] = {}  # import name -> what somebody else may be running, loader
        self._earlier: dict[str, list[Entry]] = {}  # import name -> texts no longer in force

    # -- written by the loader ---------------------------------------------------------------------------------------

    def begin(self, entry: Entry) -> None:
        """`entry` is about to run: it is in force at once, since decorators ask while the module still runs."""
        name = entry.import_name
        with self._lock:
            if name in self._entries:
                self._before[name] = self._entries[name]
            # `_put`, written out: every import of every process comes here.
            self._entries[name] = entry
            self._unnamed.append(entry)
            self.revision = entry.revision = entry.since = self.revision + 1

    def commit(self, entry: Entry) -> None:
        """The module ran to its end."""
        before = None
        with self._lock:
            if self._before:
                before = self._before.pop(entry.import_name, None)
                if before is not None:
                    self._keep(before)
            self.revision = entry.revision = self.revision + 1
        if before is not None:
            self.exchanges.begin((entry.import_name,))
            self.exchanges.end((entry.import_name,), self.revision)

    def roll_back(self, entry: Entry) -> None:
        """The module raised. A failed first import leaves no record; a failed reload brings the old one back."""
        name = entry.import_name
        with self._lock:
            before = self._before.pop(name, None)
            if self._entries.get(name) is not entry:
                return  # the module imported itself anew meanwhile; that record stands
            self._keep(entry)
            if before is None:
                del self._entries[name]
                self.revision += 1
            else:
                before.unverified = before.unverified or True
                self._put(before)

    def hand_out(self, entry: Entry, loader: object) -> None:
        """Code was given to somebody who runs it on their own (`runpy`), or only looks at it.

        It isn't in force for its import name: the module under that name, if any, ran from something else. Functions
        made by running it are found by the digest in their site.
        """
        with self._lock:
            # The first that a loader handed out is what `runpy` runs; whoever asks it again only wants to look.
            if self._handed.get(entry.import_name, (None, None))[1] is not loader:
                self._handed[entry.import_name] = entry, loader
            self._keep(entry)
            self.revision += 1

    def put(self, entry: Entry) -> None:
        """`entry` describes a module that is loaded already: attested, or typed in."""
        with self._lock:
            before = self._entries.get(entry.import_name)
            if before is not None and before is not entry:
                self._keep(before)
            self._put(entry)
            if entry.unverified is True and entry.stamp is not None and entry.kind == ATTESTED:
                self._notes.append(entry)

    def exchange(self, entries: Sequence[Entry], symbols: Collection[str], work: Callable[[], None]) -> None:
        """Put `entries` in force; `work` exchanges the code of the functions called `symbols` in place meanwhile.

        What `work` raises comes through, and then the records stay as they were.
        """
        self.exchanges.begin(symbols)
        self.exchanges.in_place += 1
        try:
            self.notice_change()  # plans made from here on are known to be doubtful
            work()
            for entry in entries:
                self.put(entry)
        finally:
            self.exchanges.end(symbols, self.revision)

    def renew_lock(self) -> None:
        """In a forked child: the thread that held it, if one did, doesn't exist there."""
        self._lock = _thread.allocate_lock()

    def notice_change(self) -> None:
        """Something that isn't loaded, but would be when code runs, is no longer what it was: look again."""
        with self._lock:
            self.revision += 1

    def entry(self, module_name: str) -> Entry | None:
        """The entry in force for a canonical module name, as noted."""
        self._name_all()
        return self._entries.get(self._names.get(module_name, module_name))

    def keep_texts(self) -> None:
        """From now on, keep the text of every module that is imported, and fetch those of the modules that are.

        Called at the first question, and at a prompt at the first module with a decorator of ours. Until then the
        sources of what is compiled already aren't read: that would be half the time that the hook takes. A file that
        is written to before the first question is still known by its digest; see `recall`.
        """
        if not self.keeps_texts:
            self.keeps_texts = True
            for entry in tuple(self._entries.values()):
                entry.fetch()

    # -- read by everybody -------------------------------------------------------------------------------------------

    def get(self, module_name: str) -> Loaded | None:
        """What the module was executed from; None if it isn't loaded, or was loaded by others and not looked at yet.

        `module_name` is the canonical name or the one in `sys.modules`; the canonical one is tried first. If a file
        was executed under several names (`__main__` and its real one), the latest execution counts.
        """
        self._name_all()
        entry = self._entries.get(self._names.get(module_name, module_name))
        return None if entry is None else self._settled(entry).loaded(self.name_of)

    def find(self, module_name: str, digest: Digest) -> Loaded | None:
        """The text of `module_name` with this digest, if it was executed in this process, even if others came since."""
        self._name_all()
        earlier = [entry for texts in self._earlier.values() for entry in reversed(texts)]
        for entry in [*self._entries.values(), *earlier]:
            if not entry.unverified and entry.named(self.name_of) == module_name and entry.digest == digest:
                found = self._settled(entry).loaded(self.name_of)
                if found.source.digest == digest and found.has_text:
                    return found
        return None

    def by_import_name(self, name: str) -> Loaded | None:
        """What `sys.modules[name]` was executed from; None if unknown."""
        self._name_all()
        entry = self._entries.get(name)
        return None if entry is None else self._settled(entry).loaded(self.name_of)

    def names(self) -> tuple[str, ...]:
        """The canonical names of all modules on record."""
        self._name_all()
        return tuple(self._names)

    def knows(self, import_name: str) -> bool:
        """Whether there is a record for `sys.modules[import_name]`, verified or not."""
        return import_name in self._entries

    def is_certain(self, import_name: str) -> bool:
        """Whether the record for `sys.modules[import_name]` needs no verifying."""
        return import_name in self._entries and not self._entries[import_name].unverified

    def settle_notes(self) -> None:
        """Verify what others have loaded by now, while their files still are what they were."""
        for entry in [entry for entry in self._notes if not _is_running(entry.import_name)]:
            self._notes.remove(entry)
            if entry.unverified and entry.stamp is not None and entry.stamp == stamp_at(entry.path):
                entry.unverified = False

    def entries(self) -> tuple[Entry, ...]:
        """Every entry in force, as noted."""
        return tuple(self._entries.values())

    # -- private: the lock is held by the caller of the first three --------------------------------------------------

    def _put(self, entry: Entry) -> None:
        self._entries[entry.import_name] = entry
        self._unnamed.append(entry)
        self._change(entry)

    def _change(self, entry: Entry) -> None:
        self.revision += 1
        entry.revision = self.revision
        entry.since = entry.since or self.revision

    def _keep(self, entry: Entry) -> None:
        texts = self._earlier.setdefault(entry.import_name, [])
        if entry in texts:
            texts.remove(entry)
        texts.append(entry)
        del texts[:-EARLIER_TEXTS]

    def _name_all(self) -> None:
        """Give every new entry its canonical name. Not while importing: it costs system calls."""
        self.keep_texts()
        if self._handed:
            self._adopt_main()
        while self._unnamed:
            try:
                entry = self._unnamed[0]
                if self._entries.get(entry.import_name) is entry:
                    self._names[entry.named(self.name_of)] = entry.import_name
                # Last: whoever finds the list empty finds the names as well. Two threads may name the same.
                self._unnamed.remove(entry)
            except (IndexError, ValueError):
                continue

    def _adopt_main(self) -> None:
        """Put in force what `runpy` runs as `__main__` (`python -m`) or, in a spawned child, as `__mp_main__`."""
        for name in ("__main__", "__mp_main__"):
            spec = getattr(sys.modules.get(name), "__spec__", None)
            handed, loader = self._handed.get(getattr(spec, "name", ""), (None, None))
            if handed is not None and loader is getattr(spec, "loader", None):
                del self._handed[handed.import_name]
                self.put(handed.under(name))

    def _settled(self, entry: Entry) -> Entry:
        if not entry.unverified and entry.data is not None:
            return entry
        if entry.data is None:
            text = self.recall(entry.digest)
            if text is not None and digest_bytes(text) == entry.digest:
                entry.data = text
                if not entry.unverified:
                    return entry
        verified = self._verify(entry, self.asked.get(entry.import_name, 0.0))
        if verified.kind == entry.kind and verified.digest == entry.digest:  # no news
            entry.data, entry.unverified = verified.data, False
            return entry
        with self._lock:
            if self._entries.get(entry.import_name) is entry:
                self._put(verified)
        return verified


def _is_running(import_name: str) -> bool:
    """Whether the module isn't there, or still being imported."""
    module = sys.modules.get(import_name)
    if module is None:
        return True
    try:
        spec = object.__getattribute__(module, "__dict__").get("__spec__")
    except AttributeError:
        return False
    return bool(getattr(spec, "_initializing", False))
