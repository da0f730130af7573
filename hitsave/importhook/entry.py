"""`Entry`: one execution of one module, and `Loaded`, what is said about it.

An entry is made for every module of the project in every process, so it computes nothing before somebody asks; a
`Loaded` is the frozen answer.
"""

from __future__ import annotations

import os
import sys

from hitsave.digest import Digest, digest_bytes
from hitsave.importhook.stamps import times_of
from hitsave.record import Record
from hitsave.source import Source

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import CodeType

    from hitsave.importhook.stamps import Stamp

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
        "_constants",
        "_digest",
        "_parts",
        "data",
        "functions",
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
        # The code objects of its functions and methods (`functions_among`), None if they aren't known. The rest of what
        # was executed goes when the module has run, as in plain Python: to keep it costs more than all else here.
        self.functions: list[CodeType] | None = None
        self._constants: tuple[object, ...] | None = None
        # Of a module that others loaded: the code that its functions had when they were first asked for.
        self.seen: tuple[CodeType, ...] | None = None
        self._parts: tuple[list[CodeType] | None, tuple[CodeType, ...] | None, frozenset[int]] | None = None
        self._digest = digest

    def fetch(self) -> None:
        """Read the text of a module that was loaded from compiled code, if the file still is what it was then."""
        if self.data is not None:
            return
        try:
            with open(self.path, "rb") as file:
                data = file.read()
                stat = os.fstat(file.fileno())
        except OSError:
            return
        if times_of(stat) == self.tail[:16]:
            self.data = data

    def note_functions(self) -> None:
        """Remember the code that the module's functions have now, when they are first asked for."""
        from hitsave.importhook.attestation import functions_of

        module = sys.modules.get(self.import_name)
        names = getattr(module, "__dict__", {})
        self.seen = tuple([function.__code__ for function in functions_of(names, self.path)])

    @property
    def constants(self) -> tuple[object, ...] | None:
        """The constants of the module's code object, with the very `functions` in it; None if they can't be known."""
        if self._constants is None and self.functions is not None and self.data is not None:
            from hitsave.importhook.bytecode import functions_among
            from hitsave.importhook.codes import with_functions

            compiled = self._compiled(self.path)
            if compiled is not None and _names(functions_among(compiled)) == _names(self.functions):
                self._constants = with_functions(compiled, iter(self.functions))
        return self._constants

    @constants.setter
    def constants(self, constants: tuple[object, ...] | None) -> None:
        from hitsave.importhook.bytecode import functions_among

        self._constants = constants
        self.functions = None if constants is None else functions_among(constants)

    def is_part(self, code: CodeType) -> bool:
        """Whether `code` is one of the very objects that were executed; False if these aren't known."""
        if self._parts is None or self._parts[0] is not self.functions or self._parts[1] is not self.seen:
            from hitsave.importhook.codes import among

            known = among(self.functions or ())
            # The ids stay theirs: `functions` and `seen` keep all of them alive.
            self._parts = self.functions, self.seen, frozenset(map(id, (*known, *(self.seen or ()))))
        return id(code) in self._parts[2]

    def holds(self, code: CodeType) -> bool:
        """Whether one of the code objects that were executed does the same as `code`."""
        from hitsave.importhook.codes import among, find_same

        if self.functions is None:
            self.constants = self._compiled(code.co_filename)
        return find_same(code, among(self.functions or ())) is not None

    def began_with(self, codes: Iterable[CodeType]) -> tuple[object, ...] | None:
        """`constants`, if they are known or all of `codes` certainly came from the text as it is compiled."""
        if self.functions is None and self.kind == ATTESTED:
            if not all(self.holds(code) for code in codes):
                self.constants = None  # a loader that transforms what it loads was at work
            elif self.functions is None:
                self.constants = self._compiled(self.path)
        return self.constants

    def _compiled(self, path: str) -> tuple[object, ...] | None:
        if self.data is None:
            return None
        try:
            return compile(self.data, path, "exec", dont_inherit=True).co_consts
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None

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
        same.functions, same._constants, same.seen = self.functions, self._constants, self.seen
        return same

    def named(self, name_of: Callable[[str], str | None]) -> str:
        """The canonical module name; computed once."""
        if self.module_name is None:
            self.module_name = (name_of(self.path) if self.path else None) or self.import_name
        return self.module_name


def _names(functions: list[CodeType]) -> list[str]:
    return [code.co_name for code in functions]
