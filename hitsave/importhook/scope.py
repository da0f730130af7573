"""`Scope`: which modules the hook looks at.

Two questions, of very different price. `may_own(name, path)` is asked for *every* import of the process, so it answers
from names and strings that are at hand (well below 3 µs); a "maybe" costs no more than an ordinary import. `owns(path)`
is asked for files only, and remembers its answer per folder.

A top-level name is worth a look if a folder on `sys.path` that lies in the project, or a source root, holds an entry of
that name. The listing of these folders is kept as long as their modification times stand, as Python's own finder does.
Editable installs may find modules in ways that no listing shows (PEP 660 finders), so where `sys.meta_path` holds a
finder we don't know, every name is worth a look.

Cannot see: a module whose file an unknown *path hook* conjures up outside every folder on `sys.path`.
"""

from __future__ import annotations

import os
import sys
from os import stat

from hitsave.project import find_project  # here, not where it is used: that is in the middle of an import

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from hitsave.project import Project

_monotonic = __import__("time").monotonic

# How long a name that wasn't found stays foreign without another look at the folders.
TRUSTED_S = 0.05

SEPARATOR = os.sep
ABSENT = -1  # the modification time of a folder that isn't there
# A module name that nobody has, to learn what stands before it; and the answer for folders that are no project's.
PROBE = "_probe_"
OUTSIDE = "\0"

# Finders that find nothing of a project beyond what `sys.path` holds, by module and class name. pytest's asks
# PathFinder in turn; asking it for each foreign module would search the path twice.
KNOWN_FINDERS = frozenset(
    (
        ("_frozen_importlib", "BuiltinImporter"),
        ("_frozen_importlib", "FrozenImporter"),
        ("_frozen_importlib_external", "PathFinder"),
        ("_frozen_importlib_external", "WindowsRegistryFinder"),
        ("_pytest.assertion.rewrite", "AssertionRewritingHook"),
        ("_distutils_hack", "DistutilsMetaFinder"),
        ("six", "_SixMetaPathImporter"),
        ("hitsave.importhook.finder", "HitsaveFinder"),
    )
)


class Scope:
    """The projects whose modules are hooked, narrowed to `packages` (and what is below them) if given.

    Without a project the one of the running script is looked up at the first question: when a start-up file installs
    the hook, Python doesn't know its script yet.
    """

    def __init__(self, *projects: Project, packages: Sequence[str] | None = None) -> None:
        self.projects: tuple[Project, ...] = projects
        self.packages = None if packages is None else tuple(packages)
        self._looked_up = bool(projects)
        self._prefixes: dict[str, str] = {}  # folder -> what stands before the names of modules in it
        self._reals: dict[str, str] = {}  # folder -> its path without links
        self.folders: dict[str, bool] = {}  # folder -> whether modules in it are ours, as far as anybody asked
        self._path: list[str] = []  # `sys.path` as of the last listing
        self._listed: list[tuple[str, int]] = []  # folder, mtime_ns
        self._cwd = ""  # the working folder then, if an entry of `sys.path` depends on it
        self._names: frozenset[str] = frozenset()
        self._adopted: frozenset[str] = frozenset()  # packages that an unknown finder found in a project
        self._foreign: dict[str, float] = {}  # top-level name -> when it was last looked for
        self._finders: list[object] = []
        self._finders_known = True
        self._archives: bool = False  # whether an entry of `sys.path` in the project is a file

    def add(self, project: Project) -> bool:
        """Hook `project` too; False if it was already."""
        if project in self.projects:
            return False
        self.projects = (*self.projects, project)
        self._looked_up = True
        self.forget()
        return True

    def remove(self, project: Project) -> None:
        """Hook `project` no longer."""
        self.projects = tuple(p for p in self.projects if p != project)
        self.forget()

    def forget(self) -> None:
        """Look at the disk again at the next question (`importlib.invalidate_caches`)."""
        self.folders = {}
        self._reals = {}
        self._prefixes = {}
        self._path = []
        self._listed = []
        self._names = frozenset()
        self._foreign = {}

    def adopt(self, package: str) -> None:
        """`package` is a project's, wherever its `__path__` points: some editable installs invent that."""
        self._adopted |= {package}

    # -- by name: for every import -----------------------------------------------------------------------------------

    def may_own(self, name: str, path: Sequence[str] | None) -> bool:
        """Whether looking for module `name` is worth while. False is certain, True is not."""
        if path is None:
            found = self.may_own_top(name)
        else:
            found = False
            for entry in path:
                ours = self.folders.get(entry)
                if ours if ours is not None else self._owns_folder(entry):
                    found = True
                    break
            else:
                found = name.rpartition(".")[0] in self._adopted
        return found and (self.packages is None or self._is_selected(name))

    def may_own_top(self, name: str) -> bool:
        """The same for a top-level module, whatever `packages` are selected."""
        if name in self._names and sys.path == self._path:
            return True
        if not (self._finders_known if self._finders == sys.meta_path else self._finders_are_known()):
            return name not in sys.builtin_module_names
        if sys.path == self._path:
            checked = self._foreign.get(name)
            now = _monotonic()
            if checked is not None and now - checked < TRUSTED_S:
                return False
            self._foreign[name] = now
            if name in sys.stdlib_module_names:
                return False
            # Written out: a function for the folders, or for each, would cost as much as half the system call.
            if not self._cwd or self._cwd == _working_folder():
                for folder, mtime_ns in self._listed:
                    try:
                        if stat(folder).st_mtime_ns != mtime_ns:
                            break
                    except OSError:
                        if mtime_ns != ABSENT:
                            break
                else:
                    return False
        self._list()
        return name in self._names or (self._archives and name not in sys.builtin_module_names)

    def _finders_are_known(self) -> bool:
        finders: list[object] = list(sys.meta_path)
        self._finders_known = all(_known(finder) for finder in finders)
        self._finders = finders  # last: whoever sees the new list also sees what is known about it
        return self._finders_known

    def _list(self) -> None:
        """Read the names in every folder that could hold a top-level module of ours."""
        path = list(sys.path)
        self.look_up()
        folders = [entry or _working_folder() for entry in path if self._owns_folder(entry)]
        folders += [root for project in self.projects for root in project.source_roots]
        listed = []
        archives = False
        names: set[str] = set()
        for folder in dict.fromkeys(folders):
            listed.append((folder, _mtime_ns(folder)))
            try:
                names.update([entry.partition(".")[0] for entry in os.listdir(folder)])
            except NotADirectoryError:  # an archive: what it holds is for its own importer to say
                archives = True
            except OSError:
                continue
        self._archives = archives
        self._listed, self._names, self._foreign = listed, frozenset(names), {}
        self._cwd = "" if all(map(_is_absolute, path)) else _working_folder()
        self._path = path  # last: whoever sees the new path also sees the new names

    def _is_selected(self, name: str) -> bool:
        packages = self.packages or ()
        return any(name == package or name.startswith(package + ".") for package in packages)

    # -- by file: for modules that may be ours -----------------------------------------------------------------------

    def owns(self, path: str) -> bool:
        """Whether the source file at `path` is a project's own code."""
        folder = os.path.dirname(path)
        ours = self.folders.get(folder)
        return self._owns_folder(folder) if ours is None else ours

    def module_name(self, path: str) -> str | None:
        """The canonical name of the module in the file at `path`, None if it is no project's."""
        folder, _, file = path.rpartition(os.sep)
        if not file.endswith(".py") or os.path.islink(path):
            return self._module_name(path)
        # Files of one folder differ in their last word only; resolving the links in a path costs 40 us.
        prefix = self._prefixes.get(folder)
        if prefix is None:
            name = self._module_name(os.path.join(folder, PROBE + ".py"))
            prefix = self._prefixes[folder] = OUTSIDE if name is None else name[: -len(PROBE)]
        if prefix == OUTSIDE:
            return None
        stem = file[: -len(".py")]
        return prefix[:-1] if stem == "__init__" and prefix else prefix + stem

    def _module_name(self, path: str) -> str | None:
        self.look_up()
        for project in self.projects:
            name = project.module_name(path)
            if name is not None:
                return name
        return None

    def project_of(self, path: str) -> Project | None:
        """The project that owns the file at `path`."""
        self.look_up()
        return next((project for project in self.projects if project.owns(path)), None)

    def _owns_folder(self, entry: object) -> bool:
        if not isinstance(entry, str):  # importlib takes bytes and path objects on `sys.path`, and ignores the rest
            return False
        self.look_up()
        folder = entry or _working_folder()
        real = self._real(folder)
        ours = any(project.owns_folder(real) for project in self.projects)
        if os.path.isabs(entry):
            self.folders[entry] = ours
        return ours

    def _real(self, folder: str) -> str:
        """The path of `folder` without links. To ask for one whose parent is known takes one system call, not eight."""
        parent, _, name = folder.rpartition(SEPARATOR)
        above = self._reals.get(parent)
        if above is None or name in ("", os.curdir, os.pardir) or os.path.islink(folder):
            real = os.path.realpath(folder)
        else:
            real = f"{above}{SEPARATOR}{name}"
        if os.path.isabs(folder):
            self._reals[folder] = real
        return real

    def look_up(self) -> None:
        """Find the project of the running script, unless a project is known."""
        if not self._looked_up:
            self._looked_up = True
            self.projects = (*self.projects, find_project(start_folder()))


def start_folder() -> str:
    """The folder whose project is meant when none was named: the script's, else the working folder.

    A script in an environment (`pytest`, any console script) says nothing about the project; who starts it stands in
    the project.
    """
    script: str = (getattr(sys, "argv", None) or [""])[0]  # an embedded Python may have none
    if script and script not in ("-c", "-m"):
        path = os.path.realpath(script)
        binaries = os.path.realpath(os.path.join(sys.prefix, "Scripts" if os.name == "nt" else "bin"))
        if os.path.isdir(path):
            return path
        if os.path.isfile(path) and not os.path.dirname(path).startswith(binaries) and not _is_environment(path):
            return os.path.dirname(path)
    return _working_folder()


def _is_environment(path: str) -> bool:
    return f"{os.sep}site-packages{os.sep}" in path or os.path.dirname(path) == os.path.dirname(
        os.path.abspath(sys.executable or "python")
    )


def _working_folder() -> str:
    try:
        return os.getcwd()
    except OSError:  # it was deleted under us
        return os.sep


def _known(finder: object) -> bool:
    kind = finder if isinstance(finder, type) else type(finder)
    return (kind.__module__, kind.__name__) in KNOWN_FINDERS


def _mtime_ns(folder: str) -> int:
    try:
        return stat(folder).st_mtime_ns
    except OSError:
        return ABSENT


def _is_absolute(entry: object) -> bool:
    return isinstance(entry, str) and os.path.isabs(entry)
