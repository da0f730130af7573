"""What differs between two states of the code, and between two sets of observations."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Protocol

from hitsave.analysis import Codebase, ModuleSummary, decode_summary, summarise
from hitsave.analysis.closure import RECIPE
from hitsave.digest import Digest
from hitsave.evaluation import Observed
from hitsave.explain.record import Change, CodeState
from hitsave.explain.render import definition_diff
from hitsave.source import Source, source_of
from hitsave.symbol import MODULE, Symbol, module_of, qualname_of

if TYPE_CHECKING:
    from hitsave.explain.record import Records

# How many changed symbols get a diff: the edit of a whole file is read in an editor, not in a terminal.
DIFFS = 12


class Texts(Protocol):
    """Sources and their summaries. `find` makes it the `Modules` of a `Codebase`."""

    def source(self, module: str) -> Source | None:
        """The source of a module by its canonical name."""

    def find(self, name: str) -> ModuleSummary | None:
        """The summary of the module that `import name` reaches."""


class Code(Texts, Protocol):
    """One state of the code, with its texts at hand."""

    @property
    def state(self) -> CodeState:
        """Symbols with digests, and versions of packages."""


class StoredCode:
    """The sources behind a `CodeState`, read from `records` as they are asked for. A `Modules` for a `Codebase`."""

    def __init__(self, state: CodeState, records: Records) -> None:
        self.state: CodeState = state
        self._digests = dict(state.sources)
        self._records = records
        self._summaries: dict[str, ModuleSummary | None] = {}

    def source(self, module: str) -> Source | None:
        """The source of a module by its canonical name; None if it wasn't kept."""
        digest = self._digests.get(module)
        data = self._records.get_record("source", digest) if digest else None
        if data is None:
            return None
        try:
            return source_of(module, "", zlib.decompress(data), is_package=self._is_package(module))
        except zlib.error:
            return None

    def find(self, name: str) -> ModuleSummary | None:
        """The summary of the module that `import name` reached."""
        if name not in self._summaries:
            self._summaries[name] = self._summary(self._canonical(name))
        return self._summaries[name]

    def _summary(self, module: str) -> ModuleSummary | None:
        # Who ran the code has kept its summary; parsing is for sources that came from elsewhere.
        kept = self._records.get_record("summary", f"{RECIPE}:{self._digests.get(module, '')}:{module}")
        known = decode_summary(kept) if kept else None
        if known is not None:
            return known
        source = self.source(module)
        try:
            return summarise(source) if source else None
        except SyntaxError:  # kept by a newer Python than this one
            return None

    def _is_package(self, module: str) -> bool:
        return any(other.startswith(module + ".") for other in self._digests)

    def _canonical(self, name: str) -> str:
        """`helper`, imported by a script in `scripts/`, is kept as `scripts.helper`."""
        if name in self._digests:
            return name
        ends = [known for known in self._digests if known.endswith("." + name)]
        return ends[0] if len(ends) == 1 else name


def text_of(code: Texts, symbol: Symbol) -> str | None:
    """The lines of a definition, of all its bindings where it has several; None if this code has none of that name."""
    source, spans = code.source(module_of(symbol)), spans_of(code, symbol)
    if source is None or not spans:
        return None
    # Lines as the parser counts them: a form feed or a vertical tab ends none.
    lines = source.data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join("\n".join(lines[first - 1 : last]) for first, last in spans) + "\n"


def spans_of(code: Texts, symbol: Symbol) -> list[tuple[int, int]]:
    """The first and last lines of each binding of a symbol; for a module's top level, of each statement."""
    summary = code.find(module_of(symbol))
    if summary is None:
        return []
    qualname = qualname_of(symbol)
    parts = summary.statements if qualname == MODULE else summary.definitions.get(qualname, ())
    return [(part.line, part.end_line) for part in parts]


def code_changes(
    start: Symbol,
    before: Code,
    after: Code,
    *,
    ran: Collection[Symbol] | None = None,
    locate: Callable[[str], str | None] = lambda module: None,
) -> tuple[Change, ...]:
    """Symbols that differ, those nearest to `start` first, then packages.

    With `ran` given, a symbol outside it is marked as not having run. `locate` turns a module into the path of its
    file for people; None names the module itself.
    """
    old, new = dict(before.state.pairs), dict(after.state.pairs)
    changed = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    routes = [(after, Codebase(after)), (before, Codebase(before))]  # what is gone is reached in the old code only
    paths = {name: _path(start, name, routes) for name in changed}
    changed.sort(key=lambda name: (len(paths[name]) or 99, name))
    found = []
    for index, name in enumerate(changed):
        diff = definition_diff(text_of(before, name), text_of(after, name)) if index < DIFFS else ""
        holder = after if name in new else before
        spans = spans_of(holder, name)
        file = locate(module_of(name)) or module_of(name)
        found.append(
            Change(
                kind="code",
                name=name,
                before=old.get(name, Digest("")),
                after=new.get(name, Digest("")),
                path=paths[name],
                diff=diff,
                where=f"{file}:{spans[0][0]}" if spans else file,
                ran=ran is None or name in ran,
            )
        )
    return (*found, *_package_changes(dict(before.state.versions), dict(after.state.versions)))


def _path(start: Symbol, target: Symbol, routes: Iterable[tuple[Code, Codebase]]) -> tuple[Symbol, ...]:
    for code, codebase in routes:
        if any(name == target for name, _ in code.state.pairs):
            path = codebase.path(start, target)
            if path:
                return path
    return ()


def _package_changes(old: dict[str, str], new: dict[str, str]) -> Iterable[Change]:
    for name in sorted(old.keys() | new.keys()):
        # A package that only one side reaches came or went with the code; that is told by the code's own change.
        if name in old and name in new and old[name] != new[name]:
            yield Change(kind="package", name=name, before=old[name], after=new[name])


def observed_changes(before: Observed, after: Observed) -> tuple[Change, ...]:
    """Conditions of `before` that `after` saw differently: files, environment, values, results of callees.

    What `after` did not look at is not a change.
    """
    found: list[Change] = []
    files = {read.path: read for read in (*after.files, *after.below_files)}
    for read in {read.path: read for read in (*before.files, *before.below_files)}.values():
        now = files.get(read.path)
        if now is not None and now.digest != read.digest:
            found.append(Change("file", read.path, _file(read.digest), _file(now.digest)))
    found += _pairs(
        "environment",
        _all(before.environment, before.below_environment),
        _all(after.environment, after.below_environment),
    )
    found += _pairs("value", _all(before.live, before.below_live), _all(after.live, after.below_live))
    children = {(child.symbol, child.arguments): child.result for child in after.children}
    for child in before.children:
        result = children.get((child.symbol, child.arguments))
        if result is not None and result != child.result:
            found.append(Change("result", child.symbol, _short(child.result), _short(result)))
    return tuple(found)


def _all(own: Iterable[tuple[str, str]], below: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {**dict(below), **dict(own)}


def _pairs(kind: str, old: dict[str, str], new: dict[str, str]) -> Iterable[Change]:
    for name, digest in old.items():
        if name in new and new[name] != digest:
            yield Change(kind, name, _short(digest), _short(new[name]))


def _file(digest: str) -> str:
    return f"content {digest[:8]}" if digest else "missing"


def _short(digest: str) -> str:
    return digest[:8] if digest else "unset"
