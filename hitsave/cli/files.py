"""`Files`: the project's code as it stands on disk, for commands that must not run it.

It is the `Modules` that analysis asks, and a `Code` that explanations compare with. Summaries are kept among the
store's records under the digest of their source, as a running process keeps them, so a second look parses nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from hitsave.analysis import Codebase, ModuleSummary, decode_summary, encode_summary, summarise
from hitsave.analysis.closure import RECIPE
from hitsave.analysis.summary import Function, Import, Value
from hitsave.evaluation import Evaluation
from hitsave.explain.record import CodeState
from hitsave.project import Project
from hitsave.source import Source, source_of
from hitsave.store.contract import Store
from hitsave.symbol import MODULE, Symbol, is_hitsave, module_of, outermost, qualname_of, symbol

DECORATORS = frozenset(("memo", "experiment"))
# `from ours import cached`, where ours.py says `cached = memo`: followed this far.
ALIAS_DEPTH = 8


class Files:
    """Sources and summaries of the project's modules. `beside` are further folders that scripts import from."""

    def __init__(self, project: Project, records: Store, *, beside: Iterable[str] = ()) -> None:
        self.project = project
        self.unparsable: dict[str, SyntaxError] = {}
        self._records = records
        self._beside = tuple(beside)
        self._sources: dict[str, Source | None] = {}
        self._summaries: dict[str, ModuleSummary | None] = {}
        self.codebase = Codebase(self)

    # -- what analysis asks ------------------------------------------------------------------------------------------

    def find(self, name: str) -> ModuleSummary | None:
        """The summary of the project module that `import name` means; None if there is none, or it doesn't parse."""
        source = self.source(name)
        if source is None:
            return None
        if source.path not in self._summaries:
            self._summaries[source.path] = self._summary(source)
        return self._summaries[source.path]

    def children(self, package: str) -> tuple[str, ...]:
        """The names of the modules right below a package."""
        source = self.source(package)
        if source is None or not source.is_package:
            return ()
        folder = Path(source.path).parent
        names = {path.stem for path in folder.glob("*.py")} | {
            path.parent.name for path in folder.glob("*/__init__.py")
        }
        return tuple(sorted(f"{package}.{name}" for name in names if name != "__init__"))

    def source(self, module: str) -> Source | None:
        """The source of a module, by its canonical name or as imported."""
        if module not in self._sources:
            self._sources[module] = self._read(module)
        return self._sources[module]

    # -- what commands ask -------------------------------------------------------------------------------------------

    def modules(self) -> Iterator[str]:
        """The canonical names of all modules of the project, sorted by path."""
        for folder, folders, files in os.walk(self.project.root):
            folders[:] = sorted(name for name in folders if self.project.owns(os.path.join(folder, name, "x.py")))
            for name in sorted(files):
                if name.endswith(".py"):
                    module = self.project.module_name(os.path.join(folder, name))
                    if module is not None:
                        yield module

    def symbols(self) -> list[Symbol]:
        """Every symbol that the project defines."""
        found: list[Symbol] = []
        for module in self.modules():
            summary = self.find(module)
            if summary is not None:
                found += [symbol(summary.module), *summary.symbols()]
        return found

    def memoised(self) -> list[Symbol]:
        """Every function that is decorated with `memo` or `experiment`, in any spelling that imports lead to."""
        found: list[Symbol] = []
        for module in self.modules():
            if not self._may_decorate(module):
                continue
            summary = self.find(module)
            if summary is not None:
                found += [symbol(summary.module, name) for name in _decorated(summary, self)]
        return found

    def defines(self, name: Symbol) -> bool:
        """Whether the project's files define `name` (for a nested function: its outermost definition)."""
        summary = self.find(module_of(name))
        qualname = outermost(qualname_of(name))
        return summary is not None and (qualname == MODULE or qualname in summary.definitions)

    def code(self, state: CodeState) -> DiskCode:
        """`state`, with the texts of the files."""
        return DiskCode(self, state)

    def locate(self, module: str) -> str | None:
        """The path of a module's file, relative to the project's root."""
        source = self.source(module)
        return self.project.relative(source.path) if source is not None else None

    # -- private -----------------------------------------------------------------------------------------------------

    def _read(self, module: str) -> Source | None:
        if is_hitsave(module):
            return None  # the decorator doesn't count, wherever hitsave is installed from
        path = next(
            filter(None, (self.project.find_module(module, beside=place) for place in ("", *self._beside))), None
        )
        if path is None:
            return None
        name = self.project.module_name(path)
        try:
            data = Path(path).read_bytes()
        except OSError:
            return None
        return source_of(name or module, path, data, is_package=path.endswith("__init__.py"))

    def _summary(self, source: Source) -> ModuleSummary | None:
        name = f"{RECIPE}:{source.key}"
        data = self._records.get_record("summary", name)
        known = decode_summary(data) if data is not None else None
        if known is not None:
            return known
        try:
            summary = summarise(source)
        except SyntaxError as error:
            self.unparsable[source.path] = error
            return None
        self._records.put_record("summary", name, encode_summary(summary))
        return summary

    def _may_decorate(self, module: str) -> bool:
        """Whether a module could decorate anything: a look at its bytes spares parsing the others."""
        source = self.source(module)
        return source is not None and b"@" in source.data


class DiskCode:
    """A `Code`: symbols and versions as computed now, texts from the files."""

    def __init__(self, files: Files, state: CodeState) -> None:
        self.state = state
        self._files = files

    def source(self, module: str) -> Source | None:
        """The source of a module by its canonical name."""
        return self._files.source(module)

    def find(self, name: str) -> ModuleSummary | None:
        """The summary of the module that `import name` means."""
        return self._files.find(name)


def beside_of(project: Project, entries: Iterable[Evaluation]) -> list[str]:
    """The folders of the scripts that stored functions live in: what `sys.path[0]` was when they ran."""
    folders = set()
    for module in {module_of(entry.key.symbol) for entry in entries}:
        path = project.find_module(module)
        if path is not None:
            folders.add(os.path.dirname(path))
    return sorted(folders)


def _decorated(summary: ModuleSummary, files: Files) -> Iterator[str]:
    for qualname, definitions in summary.definitions.items():
        for definition in definitions:
            if isinstance(definition, Function) and any(
                _is_ours(summary, chain, files, ALIAS_DEPTH) for chain, _ in definition.decorators
            ):
                yield qualname
                break


def _is_ours(summary: ModuleSummary, chain: str, files: Files, depth: int) -> bool:
    """Whether `chain` in a module stands for `hitsave.memo` or `hitsave.experiment`, called or not."""
    head, _, rest = chain.replace("()", "").partition(".")
    if depth == 0:
        return False
    for definition in summary.definitions.get(head, ()):
        if isinstance(definition, Import):
            dotted = ".".join(filter(None, (definition.module, definition.attribute, rest)))
            if is_hitsave(dotted):
                return dotted.rpartition(".")[2] in DECORATORS
            if _leads_to_ours(summary, definition, rest, files, depth):
                return True
        elif isinstance(definition, Value) and definition.alias:
            tail = f".{rest}" if rest else ""
            if _is_ours(summary, definition.alias + tail, files, depth - 1):
                return True
    return False


def _leads_to_ours(summary: ModuleSummary, found: Import, rest: str, files: Files, depth: int) -> bool:
    module = _absolute(summary, found.module)
    if found.attribute:
        target = files.find(module)
        chain = ".".join(filter(None, (found.attribute, rest)))
        if target is not None and found.attribute in target.definitions:
            return _is_ours(target, chain, files, depth - 1)
        module = f"{module}.{found.attribute}"
    target = files.find(module)
    return target is not None and bool(rest) and _is_ours(target, rest, files, depth - 1)


def _absolute(summary: ModuleSummary, name: str) -> str:
    dots = len(name) - len(name.lstrip("."))
    if not dots:
        return name
    parts = summary.module.split(".")
    base = parts[: len(parts) - dots + (1 if summary.is_package else 0)]
    return ".".join(filter(None, [*base, name[dots:]]))
