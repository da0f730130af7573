"""The code book: what the code loaded in this process says, as symbols, closures and fingerprints.

It joins three stages that don't know each other: the sources that were really executed (`importhook`), what analysis
makes of them, and the records that keep the result from run to run. A warm process neither parses nor analyses: a
closure is kept together with every question that was asked to compute it ("what is module `lib`?" "that source"), and
is used again while the answers are the same.
"""

from __future__ import annotations

import _thread
from os.path import isabs

from hitsave.analysis.closure import RECIPE, fingerprint
from hitsave.digest import Fingerprint, digest_pairs, digest_text
from hitsave.evaluator.keeping import Kept, decode_kept, encode_kept
from hitsave.evaluator.sources import Sources
from hitsave.importhook.cells import is_cell
from hitsave.observe import running
from hitsave.symbol import ANY, MODULE, Symbol, module_of, outermost, qualname_of, symbol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from types import CodeType, FunctionType
    from typing import Any

    from hitsave.analysis import Closure, Codebase, ModuleSummary
    from hitsave.evaluator.packages import Packages
    from hitsave.importhook import LoadedSources
    from hitsave.project import Project
    from hitsave.source import Source
    from hitsave.store.contract import Store

    Names = frozenset[Symbol]
    # starts, ran, earlier, at_import, cut
    Narrowing = tuple[Names, Names | None, Names, Names | None, Names]

OUTSIDE = ""
# Part of the names under which closures are kept: a walk that finds other things makes a new number.
# 2: what was seen not to run at import isn't entered
# 3: who only changes a registry doesn't read it
# 4: nor does what changes nothing that is read, as far as it was seen to run at import
WALK = 4
TYPED_MODULES = frozenset(("__main__", "__mp_main__", "builtins"))


class Codebook(Sources):
    """Closures and fingerprints of loaded code. One thread at a time computes; code may be exchanged meanwhile."""

    def __init__(self, project: Project, loaded: LoadedSources, records: Store, packages: Packages) -> None:
        super().__init__(project, loaded, records)
        self.packages = packages
        self._closures: dict[Narrowing, list[Any]] = {}  # closure, what was asked, revision, is any file not loaded
        self._lock = _thread.RLock()  # over the next four
        self._codebase: Codebase | None = None
        self._answers: dict[str, Source | None] = {}  # what the codebase was told, each module once
        self._computing = False
        self._revision = -1
        # By the id of the code object, which stands beside: equal ones may be functions of two files that read alike.
        self._symbols: dict[int, tuple[CodeType, Symbol | None]] = {}
        self._outlived: dict[int, tuple[CodeType, Symbol]] = {}

    # -- closures ----------------------------------------------------------------------------------------------------

    def closure(
        self,
        starts: Iterable[Symbol],
        *,
        ran: Collection[Symbol] | None = None,
        earlier: Collection[Symbol] = (),
        at_import: Collection[Symbol] | None = None,
        cut: Collection[Symbol] = (),
    ) -> Closure:
        """The closure of those of `starts` that exist, narrowed as in `Codebase.closure`."""
        key = (
            frozenset(starts),
            None if ran is None else frozenset(ran),
            frozenset(earlier),
            None if at_import is None or ran is None else frozenset(at_import),
            frozenset(cut),
        )
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

    def outlive(self, codes: Iterable[CodeType]) -> None:
        """Remember the symbols of `codes`: their lines will soon be those of an earlier text."""
        for one in codes:
            found = self.symbol_of_code(one)
            if found is not None:
                self._outlived[id(one)] = one, found

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

    # -- code objects ------------------------------------------------------------------------------------------------

    def symbol_of_code(self, code: CodeType) -> Symbol | None:
        """The symbol that `code` belongs to; None for code outside the project, or without a symbol (a `<string>`)."""
        if self._outlived and id(code) in self._outlived:
            return self._outlived[id(code)][1]
        try:
            return self._symbols[id(code)][1]
        except KeyError:
            found = self._symbol_of_code(code)
            if found is not None or isabs(code.co_filename):  # not what was made from a text: there may be no end of it
                self._symbols[id(code)] = code, found
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

    def may_have_run_unseen(self, name: Symbol) -> bool:
        """Whether the function `name` may have run before anybody noted what runs."""
        module = self.import_name(module_of(name))
        if module is None or module in running.before:
            source = self.source(module_of(name))
            line = 0 if source is None else running.reached_lines.get(source.path, 0)
            return not line or self._first_line(name, source) <= line
        return False

    def _first_line(self, name: Symbol, source: Source | None) -> int:
        """The line that the first definition of `name` begins in, 0 if there is none."""
        summary = None if source is None else self.summary(source)
        bindings = () if summary is None else summary.definitions.get(qualname_of(name), ())
        return min((one.line for one in bindings), default=0)

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
        starts, ran, earlier, at_import, cut = key
        self._computing = True
        try:
            known = [name for name in sorted(starts) if self._exists(name)]
            closure = self._codebase.closure(known, ran=ran, earlier=earlier, at_import=at_import, cut=cut)
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


def symbol_at_line(summary: ModuleSummary, line: int) -> Symbol:
    """The innermost definition that `line` lies in; the module's body if none."""
    best: tuple[int, str] | None = None
    for qualname, bindings in summary.definitions.items():
        for one in bindings:
            if one.line <= line <= one.end_line and (best is None or one.end_line - one.line < best[0]):
                best = (one.end_line - one.line, qualname)
    return symbol(summary.module, best[1]) if best is not None else symbol(summary.module)


def _answer(source: Source | None) -> str:
    return OUTSIDE if source is None else source.key


def _kept_name(key: Narrowing) -> str:
    starts, ran, earlier, at_import, cut = key
    sets = [sorted(starts), _sorted(ran), sorted(earlier), _sorted(at_import), sorted(cut)]
    parts = [*sets, RECIPE, WALK]
    return digest_text(repr(parts))


def _sorted(names: Collection[Symbol] | None) -> list[Symbol] | None:
    return None if names is None else sorted(names)
