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
import os
import sys

from hitsave.digest import Digest, digest_bytes
from hitsave.importhook.exchanges import Exchanges
from hitsave.record import Record
from hitsave.source import Source

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from types import CodeType

# How many earlier texts of one module are kept, for functions that outlive a reload of their module.
EARLIER_TEXTS = 8

HOOK = "hook"  # our loader compiled these bytes
ATTESTED = "attested"  # loaded by someone else; the bytes were compared with what was loaded
CELL = "cell"  # typed in: REPL, notebook, `-c`, standard input
CODE = "code"  # no text is known for what was loaded: only its code objects describe it
OPAQUE = "opaque"  # no Python source at all: an extension module, a .pyc without source


class Loaded(Record):
    """What is known about one loaded module.

    `source` is what it was executed from; `module_name` its canonical name, `import_name` its key in `sys.modules`
    (`__main__` for a script). `kind` says how we know: "hook", "attested", "cell", "code" or "opaque"; under the last
    two `source.data` is empty and `source.digest` is that of the code objects, or of the file.
    """

    source: Source
    module_name: str
    import_name: str
    kind: str
    revision: int = 0

    @property
    def has_text(self) -> bool:
        """Whether the text that was executed is known."""
        return self.kind not in (CODE, OPAQUE)


class Entry:
    """One execution of one module, as noted while importing: nothing is computed before somebody asks."""

    __slots__ = (
        "_digest",
        "code",
        "data",
        "import_name",
        "kind",
        "module_name",
        "path",
        "revision",
        "seen",
        "since",
        "stamp",
        "tail",
        "unverified",
    )

    def __init__(
        self,
        import_name: str,
        path: str,
        data: bytes | None,
        module_name: str | None = None,
        tail: bytes = b"",
        *,
        kind: str = HOOK,
        digest: str = "",
        stamp: Stamp | None = None,
        unverified: CodeType | bool = False,
    ) -> None:
        self.import_name = import_name
        self.path = path
        # None: the file wasn't read, since its compiled code is known to come from the text that it held at the times
        # in `tail`, and nothing in this process has needed a text yet. See `LoadedSources.keep_texts`.
        self.data = data
        self.tail = tail  # of the compiled file (`bytecode`): times, hash and digest of the source
        self.kind = kind
        self.module_name = module_name  # None: not computed yet
        self.stamp = stamp  # the file as it was when `data` was read, for modules loaded by others
        # The code object that ran, or True when only the module itself can be asked, while `data` is not yet known
        # to be what it came from.
        self.unverified = unverified
        self.revision = 0
        self.since = 0  # the revision when the module was executed; code exchanged in place since doesn't count
        # The module's whole code object, None if it isn't known: what its functions had to begin with.
        self.code: CodeType | None = None
        # Of a module that others loaded: the code that its functions had when they were first asked for.
        self.seen: tuple[CodeType, ...] | None = None
        self._digest = digest

    def note_functions(self) -> None:
        """Remember the code that the module's functions have now, when they are first asked for."""
        from hitsave.importhook.attestation import functions_of

        module = sys.modules.get(self.import_name)
        names = getattr(module, "__dict__", {})
        self.seen = tuple([function.__code__ for function in functions_of(names, self.path)])

    def is_part(self, code: CodeType) -> bool:
        """Whether `code` is one of the very objects that were executed; False if these aren't known."""
        from hitsave.importhook.codes import nested

        known = () if self.code is None else nested(self.code)
        return any(code is one for one in (*known, *(self.seen or ())))

    def holds(self, code: CodeType) -> bool:
        """Whether one of the code objects that were executed does the same as `code`."""
        from hitsave.importhook.codes import find_same

        self._compile(code.co_filename)
        return self.code is not None and find_same(code, self.code) is not None

    def whole(self, codes: Iterable[CodeType]) -> CodeType | None:
        """The module's code object, if it is known or all of `codes` certainly came from the text as it is compiled."""
        if self.code is None and self.kind == ATTESTED:
            if not all(self.holds(code) for code in codes):
                self.code = None  # a loader that transforms what it loads was at work
            else:
                self._compile(self.path)
        return self.code

    def _compile(self, path: str) -> None:
        if self.code is None and self.data is not None:
            try:
                self.code = compile(self.data, path, "exec", dont_inherit=True)
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                self.code = None

    @property
    def digest(self) -> Digest:
        """The digest of the bytes; computed once."""
        if not self._digest:
            self._digest = self.tail[24:40].hex() or digest_bytes(self.data or b"")
        return Digest(self._digest)

    def loaded(self, name_of: Callable[[str], str | None]) -> Loaded:
        """This execution as a frozen record. `name_of` gives the canonical name of a file."""
        name = self.named(name_of)
        package = os.path.basename(self.path).startswith("__init__.")
        return Loaded(
            Source(name, self.path, self.data or b"", self.digest, package),
            name,
            self.import_name,
            self.kind,
            self.revision,
        )

    def under(self, import_name: str) -> Entry:
        """The same text, executed under another name."""
        same = Entry(
            import_name,
            self.path,
            self.data,
            kind=self.kind,
            module_name=self.module_name,
            digest=self._digest,
            tail=self.tail,
            unverified=self.unverified,
        )
        same.code, same.seen = self.code, self.seen
        return same

    def named(self, name_of: Callable[[str], str | None]) -> str:
        """The canonical module name; computed once."""
        if self.module_name is None:
            self.module_name = (name_of(self.path) if self.path else None) or self.import_name
        return self.module_name


class Stamp(Record):
    """A file at one moment: equal stamps before and after mean that nobody wrote to it in between."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


def stamp_of(stat: os.stat_result) -> Stamp:
    """The `Stamp` in a `stat` result."""
    return Stamp(stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


def times_of(stat: os.stat_result) -> bytes:
    """The modification and change time of a file (nanoseconds, 16 bytes). A program can set the one, not the other."""
    mask = 0xFFFFFFFFFFFFFFFF
    return (stat.st_mtime_ns & mask).to_bytes(8, "little") + (stat.st_ctime_ns & mask).to_bytes(8, "little")


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
            self._put(entry)

    def commit(self, entry: Entry) -> None:
        """The module ran to its end."""
        with self._lock:
            before = self._before.pop(entry.import_name, None)
            if before is not None:
                self._keep(before)
            self._change(entry)
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
        try:
            self.notice_change()  # plans made from here on are known to be doubtful
            work()
            for entry in entries:
                self.put(entry)
        finally:
            self.exchanges.end(symbols, self.revision)

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

        Called when the first module with a decorator of ours is imported, or the first question asked. Until then a
        process that has the hook, but no use for it, doesn't read the sources of what is compiled already: half the
        time that the hook takes.
        """
        if not self.keeps_texts:
            self.keeps_texts = True
            for entry in tuple(self._entries.values()):
                _fetch(entry)

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
                entry = self._unnamed.pop(0)
            except IndexError:  # another thread took the last
                return
            if self._entries.get(entry.import_name) is entry:
                self._names[entry.named(self.name_of)] = entry.import_name

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
        verified = self._verify(entry, self.asked.get(entry.import_name, 0.0))
        if verified.kind == entry.kind and verified.digest == entry.digest:  # no news
            entry.data, entry.unverified = verified.data, False
            return entry
        with self._lock:
            if self._entries.get(entry.import_name) is entry:
                self._put(verified)
        return verified


def _fetch(entry: Entry) -> None:
    """Read the text of a module that was loaded from compiled code, if it still is what it was then."""
    if entry.data is not None:
        return
    try:
        with open(entry.path, "rb") as file:
            data = file.read()
            stat = os.fstat(file.fileno())
    except OSError:
        return
    if times_of(stat) == entry.tail[:16]:
        entry.data = data


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


def stamp_at(path: str) -> Stamp | None:
    """The `Stamp` of the file at `path`; None if there is none."""
    try:
        return stamp_of(os.stat(path))
    except OSError:
        return None
