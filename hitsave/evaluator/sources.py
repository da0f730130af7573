"""Sources and summaries of the project's modules: what was executed; for what isn't loaded yet, what the disk holds.

So a lazy import gives the same closure before and after it happened.
"""

from __future__ import annotations

import os
import sys

from hitsave.analysis.closure import RECIPE
from hitsave.errors import CannotDigest
from hitsave.evaluator.nested import Lifted, decode_lifted, encode_lifted, lift, name_of
from hitsave.importhook import attest
from hitsave.source import Source, source_of
from hitsave.symbol import Symbol, is_hitsave, module_of, qualname_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FunctionType, ModuleType

    from hitsave.analysis import ModuleSummary
    from hitsave.importhook import LoadedSources
    from hitsave.project import Project
    from hitsave.store.contract import Store

OUR_DECORATORS = frozenset(("memo", "experiment", "staticmethod", "classmethod", "property"))


class Sources:
    """Sources and summaries by module, each found once."""

    def __init__(self, project: Project, loaded: LoadedSources, records: Store) -> None:
        self.project = project
        self.loaded = loaded
        self._records = records
        self._summaries: dict[str, ModuleSummary] = {}  # source digest + module -> summary
        self._disk: dict[str, tuple[tuple[int, ...], Source]] = {}  # path -> stat, source
        self._file_modules: dict[str, str | None] = {}
        self._lifted: dict[str, Lifted | None] = {}
        self._lifted_sources: dict[str, Source] = {}
        self._opaque: dict[str, str] = {}  # module without text -> digest of its file
        self._by_file: dict[str, ModuleType] = {}
        self._modules_seen = 0
        self.parsed = 0  # sources analysed by this process, for benchmarks and `doctor`

    def summary(self, source: Source) -> ModuleSummary | None:
        """The summary of `source`, from this process, the records, or analysis; None if it doesn't parse."""
        key = source.key
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
        entry = self.loaded.entry(module)
        if entry is not None:
            return entry.import_name
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
        if entry.functions is None and entry.seen is None:
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

    def lifted(self, function: FunctionType) -> Lifted | None:
        """`function`, made inside another, as a module of its own; None if its source doesn't tell."""
        module = self.module_of_code(function.__code__)
        source = None if module is None else self.source(module)
        if source is None:
            return None
        name = name_of(function, source)
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

    def module_of_code(self, code: CodeType) -> str | None:
        """The canonical name of the project module that `code` was compiled from, None if there is none."""
        return None if code.co_filename[:1] == "<" else self.module_of_file(code.co_filename)

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
        entries: list[object] = list(sys.path)
        for entry in entries:
            if not isinstance(entry, str):  # Python ignores it, too
                continue
            stem = os.path.join(entry or os.getcwd(), tail)
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


def _file_of(module: object) -> str | None:
    file = getattr(module, "__dict__", {}).get("__file__")
    return file if isinstance(file, str) else None
