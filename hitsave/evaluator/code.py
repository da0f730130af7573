"""The code book: what the code loaded in this process says, as symbols, closures and fingerprints.

It joins three stages that don't know each other: the sources that were really executed (`importhook`), what analysis
makes of them, and the records that keep the result from run to run. A warm process neither parses nor analyses: a
closure is kept together with every question that was asked to compute it ("what is module `lib`?" "that source"), and
is used again while the answers are the same (`Asked`).

Modules that the code imports but that aren't loaded yet are read from disk, so a lazy import gives the same closure
before and after it happened.
"""

from __future__ import annotations

import _thread
import os
import sys

from hitsave.analysis.closure import RECIPE, fingerprint
from hitsave.digest import Fingerprint, digest_pairs, digest_text
from hitsave.errors import CannotDigest
from hitsave.evaluator.keeping import Kept, decode_kept, encode_kept
from hitsave.evaluator.nested import Lifted, decode_lifted, encode_lifted, lift, name_of
from hitsave.importhook import attest
from hitsave.importhook.cells import is_cell
from hitsave.observe import running
from hitsave.source import Source, source_of
from hitsave.symbol import ANY, MODULE, Symbol, is_hitsave, module_of, outermost, qualname_of, symbol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from types import CodeType, FunctionType, ModuleType
    from typing import Any

    from hitsave.analysis import Closure, Codebase, ModuleSummary
    from hitsave.evaluator.packages import Packages
    from hitsave.importhook import LoadedSources
    from hitsave.project import Project
    from hitsave.store.contract import Store

    # starts, ran, earlier, cut
    Narrowing = tuple[frozenset[Symbol], frozenset[Symbol] | None, frozenset[Symbol], frozenset[Symbol]]

OUTSIDE = ""
OUR_DECORATORS = frozenset(("memo", "experiment", "staticmethod", "classmethod", "property"))
TYPED_MODULES = frozenset(("__main__", "__mp_main__", "builtins"))


class Codebook:
    """Closures and fingerprints of loaded code. One thread at a time computes; code may be exchanged meanwhile."""

    def __init__(self, project: Project, loaded: LoadedSources, records: Store, packages: Packages) -> None:
        self.project = project
        self.loaded = loaded
        self.packages = packages
        self._records = records
        self._summaries: dict[str, ModuleSummary] = {}  # source digest + module -> summary
        self._disk: dict[str, tuple[tuple[int, ...], Source]] = {}  # path -> stat, source
        self._closures: dict[Narrowing, list[Any]] = {}  # closure, what was asked, revision, is any file not loaded
        self._lock = _thread.RLock()  # over the next four
        self._codebase: Codebase | None = None
        self._answers: dict[str, Source | None] = {}  # what the codebase was told, each module once
        self._computing = False
        self._revision = -1
        self._file_modules: dict[str, str | None] = {}
        self._lifted: dict[str, Lifted | None] = {}
        self._lifted_sources: dict[str, Source] = {}
        self._opaque: dict[str, str] = {}  # module without text -> digest of its file
        self._by_file: dict[str, ModuleType] = {}
        self._modules_seen = 0
        self._symbols: dict[CodeType, Symbol | None] = {}
        self._outlived: dict[CodeType, Symbol] = {}
        self.parsed = 0  # sources analysed by this process, for benchmarks and `doctor`

    # -- closures ----------------------------------------------------------------------------------------------------

    def closure(
        self,
        starts: Iterable[Symbol],
        *,
        ran: Collection[Symbol] | None = None,
        earlier: Collection[Symbol] = (),
        cut: Collection[Symbol] = (),
    ) -> Closure:
        """The closure of those of `starts` that exist, narrowed as in `Codebase.closure`."""
        key = (frozenset(starts), None if ran is None else frozenset(ran), frozenset(earlier), frozenset(cut))
        with self._lock:
            revision = self._follow()
            known = self._closures.get(key)
            if known is not None:
                # While nothing was loaded, only a file that isn't loaded yet can change an answer.
                if (known[2] == revision and not known[3]) or self._still(known[1]):
                    known[2] = revision
                    closure: Closure = known[0]
                    return closure
                self._codebase = None
            kept = self._kept(key)
            if kept is None:
                kept = self._compute(key)
            # Under the revision that it began with: if code was exchanged meanwhile, it is looked at again.
            self._closures[key] = [*kept, revision, bool(self.unloaded(kept[0]))]
            return kept[0]

    def renew_lock(self) -> None:
        """In a forked child: the thread that computes, if there was one, doesn't exist there."""
        self._lock = _thread.RLock()
        self._codebase, self._computing = None, False

    def fingerprint(
        self, closure: Closure, extra: Iterable[tuple[str, str]] = (), policy: str | None = None
    ) -> Fingerprint:
        """The fingerprint of `closure` with the versions of the packages it reaches; `extra` pairs are mixed in."""
        found = fingerprint(closure, self.packages.versions(closure.packages, policy))
        options = [*extra, *self._opaque_pairs(closure)]
        return Fingerprint(digest_pairs(found, options)) if options else found

    def _opaque_pairs(self, closure: Closure) -> list[tuple[str, str]]:
        """Modules of the project that have no text (extension modules), by the digest of their files."""
        return [
            (f"opaque {name}", digest)
            for name, digest in sorted(self._opaque.items())
            if name in closure.modules or name.partition(".")[0] in closure.packages
        ]

    def unloaded(self, closure: Closure) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """(path, stat) of the files of the closure that this process hasn't loaded: they may change unnoticed."""
        found = []
        for module in closure.modules:
            if module not in self._lifted_sources and self.loaded.get(module) is None:
                path = self._find_file(module)
                known = None if path is None else self._disk.get(path)
                if path is not None and known is not None:
                    found.append((path, known[0]))
        return tuple(found)

    def sources(self, closure: Closure) -> dict[str, Source]:
        """{module: source} of every module that `closure` has a symbol in."""
        found = {}
        for module in sorted({module_of(name) for name, _ in closure.pairs}):
            source = self.source(module)
            if source is not None:
                found[module] = source
        return found

    # -- modules: what analysis asks ---------------------------------------------------------------------------------

    def find(self, name: str) -> ModuleSummary | None:
        """The summary of the project module that `import name` means, or None. (The `Modules` protocol of analysis.)"""
        with self._lock:
            if not self._computing:
                source = self.source(name)
            else:
                # Each module is looked at once, so that what is kept belongs together, whatever others exchange.
                if name not in self._answers:
                    self._answers[name] = self.source(name)
                source = self._answers[name]
        return None if source is None else self.summary(source)

    def summary(self, source: Source) -> ModuleSummary | None:
        """The summary of `source`, from this process, the records, or analysis; None if it doesn't parse."""
        key = f"{source.digest}:{source.module}"
        known = self._summaries.get(key)
        if known is None:
            known = self._recorded(key) or self._summarise(source, key)
            if known is not None:
                self._summaries[key] = known
        return known

    def source(self, name: str) -> Source | None:
        """The source of the module known as `name` (canonical, or as imported): as executed, else as on disk."""
        if is_hitsave(name):
            return None  # the decorator doesn't count, wherever hitsave is installed from
        lifted = self._lifted_sources.get(name)
        if lifted is not None:
            return lifted
        loaded = self.loaded.get(name)
        if loaded is None:
            module = sys.modules.get(name)
            path = self._find_file(name) if module is None else _file_of(module)
            if path is None or self.module_of_file(path) is None:
                return None
            module = module or self._loaded_from(path)
            if module is None:
                return self._read(path)
            # Somebody else loaded it: what the file holds now may not be what is running.
            loaded = attest(module)
        if loaded.has_text:
            return loaded.source
        if loaded.kind == "code":
            raise CannotDigest(
                f"{loaded.module_name} was changed on disk after it was loaded, so its running code isn't known",
                hint=f"hitsave.reload({loaded.module_name!r}), or restart.",
                path=loaded.module_name,
            )
        self._opaque[name] = loaded.source.digest
        return None

    def _loaded_from(self, path: str) -> ModuleType | None:
        """The module that was loaded from the file at `path`, under whatever name."""
        if self._modules_seen != len(sys.modules):
            self._modules_seen = len(sys.modules)
            files = {file: module for module in list(sys.modules.values()) if (file := _file_of(module))}
            self._by_file = files
        return self._by_file.get(path)

    def module_of_file(self, path: str) -> str | None:
        """The canonical name of the module in the file at `path`, None if it isn't the project's; remembered."""
        try:
            return self._file_modules[path]
        except KeyError:
            name = self.project.module_name(path)
            if name is not None and (is_hitsave(name)):
                name = None
            self._file_modules[path] = name
            return name

    def canonical(self, import_name: str) -> str:
        """The name under which classes of the module `import_name` are stored: the same in every process."""
        loaded = self.loaded.by_import_name(import_name)
        return import_name if loaded is None else loaded.module_name

    def import_name(self, module: str) -> str | None:
        """The key in `sys.modules` of the loaded module with the canonical name `module`."""
        loaded = self.loaded.get(module)
        if loaded is not None:
            return loaded.import_name
        return module if module in sys.modules else None

    def has_file(self, module: str) -> bool:
        """Whether `module` was executed from a file whose text is known."""
        source = self.source(module)
        return source is not None and bool(source.path)

    def is_as_loaded(self, module: str, function: FunctionType) -> bool:
        """Whether `function` has the code and defaults that its module was executed with; True if nobody can tell."""
        entry = self.loaded.entry(module)
        if entry is None:
            return True
        if entry.code is None and entry.seen is None:
            entry.note_functions()
        if entry.is_part(function.__code__):
            return True
        # Somebody gave it other code; perhaps only the same once more, as reloaders do for what an edit has moved.
        from hitsave.importhook.literals import defaults_agree

        loaded = self.loaded.get(module)
        if loaded is None or not entry.holds(function.__code__):
            return False
        return defaults_agree(loaded.source.data, loaded.source.path, function)

    def is_under_foreign_decorator(self, name: Symbol) -> bool:
        """Whether something other than our decorator may have exchanged the code of the function `name`."""
        source = self.source(module_of(name))
        summary = None if source is None else self.summary(source)
        bindings = () if summary is None else summary.definitions.get(qualname_of(name), ())
        chains = [chain for one in bindings for chain, _ in getattr(one, "decorators", (("?", False),))]
        return any(chain.rpartition(".")[2] not in OUR_DECORATORS for chain in chains)

    def outlive(self, code: CodeType) -> None:
        """Remember the symbols of `code` and all inside it: its lines will soon be those of an earlier text."""
        from hitsave.importhook.codes import nested

        for one in nested(code):
            found = self.symbol_of_code(one)
            if found is not None:
                self._outlived[one] = found

    def is_decorated(self, name: Symbol) -> bool:
        """Whether any binding of the function `name` has a decorator, or `name` isn't simply a function."""
        source = self.source(module_of(name))
        summary = None if source is None else self.summary(source)
        if summary is None:
            return True
        bindings = summary.definitions.get(qualname_of(name), ())
        return not bindings or any(getattr(one, "decorators", True) for one in bindings)

    def reads_files(self, name: Symbol) -> bool:
        """Whether the initialiser of a module-level name calls `open`."""
        source = self.source(module_of(name))
        summary = None if source is None else self.summary(source)
        bindings = () if summary is None else summary.definitions.get(qualname_of(name), ())
        return any(chain.startswith("open") for one in bindings for chain, _ in getattr(one, "facts", NOTHING).reads)

    def definition_digests(self, source: Source, qualname: str) -> object:
        """What tells one text of a definition from another; None if `source` doesn't have it."""
        summary = self.summary(source)
        bindings = () if summary is None else summary.definitions.get(qualname, ())
        fields = ("header", "body", "shape", "digest")
        return [tuple(getattr(one, field, "") for field in fields) for one in bindings] or None

    def definition_number(self, name: Symbol, line: int) -> int:
        """Which of the definitions of `name` the line lies in; -1 for none."""
        source = self.source(module_of(name))
        summary = None if source is None else self.summary(source)
        bindings = () if summary is None else summary.definitions.get(qualname_of(name), ())
        return next((n for n, one in enumerate(bindings) if one.line <= line <= one.end_line), -1)

    def is_typed_in(self, thing: FunctionType | type) -> bool:
        """Whether no file holds the code of `thing`, although it is the user's own."""
        code = getattr(thing, "__code__", None)
        if code is None:
            module = str(thing.__module__)
            return module in TYPED_MODULES and not self.has_file(module)
        module = str(getattr(thing, "__globals__", {}).get("__name__", thing.__module__))
        loaded = self.loaded.get(module) or self.loaded.by_import_name(module)
        if loaded is not None and not loaded.has_text:
            return loaded.kind == "code"
        if self.symbol_of_code(code) is not None:
            return False
        return module in TYPED_MODULES or self.source(module) is not None

    def lifted(self, function: FunctionType) -> Lifted | None:
        """`function`, made inside another, as a module of its own; None if its source doesn't tell."""
        module = self.module_of_code(function.__code__)
        source = None if module is None else self.source(module)
        if source is None:
            return None
        name = name_of(function, source.digest)
        if name not in self._lifted:
            data = self._records.get_record("lifted", name)
            found = decode_lifted(data) if data else lift(function, source)
            if found is not None and not data:
                self._records.put_record("lifted", name, encode_lifted(found))
            self._lifted[name] = found
        found = self._lifted[name]
        if found is not None:
            self._lifted_sources[found.source.module] = found.source
        return found

    # -- code objects ------------------------------------------------------------------------------------------------

    def module_of_code(self, code: CodeType) -> str | None:
        """The canonical name of the project module that `code` was compiled from, None if there is none."""
        return None if code.co_filename[:1] == "<" else self.module_of_file(code.co_filename)

    def symbol_of_code(self, code: CodeType) -> Symbol | None:
        """The symbol that `code` belongs to; None for code outside the project, or without a symbol (a `<string>`)."""
        if self._outlived and code in self._outlived:
            return self._outlived[code]
        try:
            return self._symbols[code]
        except KeyError:
            found = self._symbols[code] = self._symbol_of_code(code)
            return found

    def _symbol_of_code(self, code: CodeType) -> Symbol | None:
        module = self.module_of_code(code)
        if module is None:
            return None
        # Python 3.10 doesn't know qualified names; the line tells the definition.
        qualname = getattr(code, "co_qualname", "<unknown>" if code.co_name != MODULE else MODULE)
        return self.symbol_at(module, outermost(qualname), code.co_firstlineno)

    def is_typed_code(self, code: CodeType) -> bool:
        """Whether `code` was typed into this process, so that it has no symbol."""
        return code.co_filename != "<string>" and is_cell(code.co_filename)

    def loaded_before_observation(self, module: str) -> bool:
        """Whether functions of `module` may have run before anybody noted what runs."""
        entry = self.loaded.entry(module)
        # One that others loaded was put on record when it was attested, which is later than it ran.
        return entry is None or entry.kind != "hook" or entry.since <= running.observed_from

    def symbol_at(self, module: str, qualname: str, line: int) -> Symbol:
        """The symbol of `qualname`, or, for a lambda or comprehension of a module or class, that of the line."""
        if "<" not in qualname or qualname == MODULE:
            return symbol(module, qualname)
        source = self.source(module)
        summary = None if source is None else self.summary(source)
        return symbol(module) if summary is None else symbol_at_line(summary, line)

    # -- private -----------------------------------------------------------------------------------------------------

    def _follow(self) -> int:
        """Notice that code was loaded, reloaded or swapped since the last question; the revision."""
        revision = self.loaded.revision
        if self._revision != revision:
            self._revision = revision
            self._codebase = None
        return revision

    def _still(self, asked: dict[str, str]) -> bool:
        return all(_answer(self.source(name)) == answer for name, answer in asked.items())

    def _compute(self, key: Narrowing) -> tuple[Closure, dict[str, str]]:
        from hitsave.analysis import Codebase

        if self._codebase is None:
            self._codebase = Codebase(self)
            self._answers = {}
        starts, ran, earlier, cut = key
        self._computing = True
        try:
            known = [name for name in sorted(starts) if self._exists(name)]
            closure = self._codebase.closure(known, ran=ran, earlier=earlier, cut=cut)
        finally:
            self._computing = False
        asked = {name: _answer(source) for name, source in self._answers.items()}
        self._records.put_record("closures", _kept_name(key), encode_kept(Kept(closure, tuple(sorted(asked.items())))))
        return closure, asked

    def _exists(self, name: Symbol) -> bool:
        summary = self.find(module_of(name))
        qualname = outermost(qualname_of(name))
        return summary is not None and (qualname in (MODULE, ANY) or qualname in summary.definitions)

    def _kept(self, key: Narrowing) -> tuple[Closure, dict[str, str]] | None:
        data = self._records.get_record("closures", _kept_name(key))
        kept = None if data is None else decode_kept(data)
        if kept is None or not self._still(dict(kept.asked)):
            return None
        return kept.closure, dict(kept.asked)

    def _recorded(self, key: str) -> ModuleSummary | None:
        data = self._records.get_record("summary", f"{RECIPE}:{key}")
        if data is None:
            return None
        from hitsave.analysis import decode_summary

        return decode_summary(data)

    def _summarise(self, source: Source, key: str) -> ModuleSummary | None:
        from hitsave.analysis import encode_summary, summarise

        self.parsed += 1
        try:
            summary = summarise(source)
        except SyntaxError:
            return None
        self._records.put_record("summary", f"{RECIPE}:{key}", encode_summary(summary))
        return summary

    def _find_file(self, name: str) -> str | None:
        """The project's file for a module that isn't loaded, searched as `import` would, but without importing."""
        tail = name.replace(".", os.sep)
        for entry in sys.path:
            stem = os.path.join(str(entry) or os.getcwd(), tail)
            for candidate in (os.path.join(stem, "__init__.py"), stem + ".py"):
                if os.path.isfile(candidate):
                    return candidate if self.module_of_file(candidate) is not None else None
        return self.project.find_module(name)

    def _read(self, path: str) -> Source | None:
        try:
            found = os.stat(path)
            signature = (found.st_mtime_ns, found.st_size, found.st_ctime_ns, found.st_ino)
            known = self._disk.get(path)
            if known is not None and known[0] == signature:
                return known[1]
            with open(path, "rb") as file:
                data = file.read()
        except OSError:
            return None
        package = os.path.basename(path) == "__init__.py"
        source = source_of(self.module_of_file(path) or "", path, data, is_package=package)
        self._disk[path] = (signature, source)
        return source


class _NoFacts:
    reads: tuple[tuple[str, int], ...] = ()


NOTHING = _NoFacts()


def symbol_at_line(summary: ModuleSummary, line: int) -> Symbol:
    """The innermost definition that `line` lies in; the module's body if none."""
    best: tuple[int, str] | None = None
    for qualname, bindings in summary.definitions.items():
        for one in bindings:
            if one.line <= line <= one.end_line and (best is None or one.end_line - one.line < best[0]):
                best = (one.end_line - one.line, qualname)
    return symbol(summary.module, best[1]) if best is not None else symbol(summary.module)


def _answer(source: Source | None) -> str:
    return OUTSIDE if source is None else f"{source.module}@{source.digest}"


def _kept_name(key: Narrowing) -> str:
    starts, ran, earlier, cut = key
    parts = [sorted(starts), None if ran is None else sorted(ran), sorted(earlier), sorted(cut), RECIPE]
    return digest_text(repr(parts))


def _file_of(module: object) -> str | None:
    file = getattr(module, "__dict__", {}).get("__file__")
    return file if isinstance(file, str) else None
