"""`Project`: which files are the user's own code, and what their modules are called.

The root is the Git work tree (`.git` may be a file: worktrees, submodules), else the folder of the nearest
`pyproject.toml`, else the starting folder. The search never climbs to the home directory or the file system's root,
so a stray `~/.git` doesn't make a whole home one project.

A file's *canonical* module name is its path below the source root, dotted. It doesn't depend on how the file came to
be run or imported, so `python hello.py`, `python -m hello` and `import hello` name one module.

Environments inside the root (a folder with `pyvenv.cfg`, `site-packages`, `node_modules`, `.tox` …) are not the
project. Editable installs and path dependencies outside the root are: `with_roots` adds them.
"""

from __future__ import annotations

import os
import sys

from hitsave.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

SEPARATOR = os.sep
# Directory names that are never part of a project's own code, wherever they stand below the root.
NEVER_OURS = frozenset(
    ("site-packages", "dist-packages", "node_modules", "__pycache__", "__pypackages__", ".git", ".hg", ".svn")
    + (".tox", ".nox", ".eggs", ".venv", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".hitsave")
)
# Build output: not ours unless it is a package, since a project may well have a package of that name.
BUILD_OUTPUT = frozenset(("build", "dist"))


class Project(Record):
    """The root folder, and the folders that modules are imported from (longest path first).

    `origin` is "git", "pyproject" or "folder" (nothing marked a project; the starting folder is taken).
    """

    root: str
    source_roots: tuple[str, ...]
    origin: str

    def owns(self, path: str) -> bool:
        """Whether the file at `path` is the project's own code. Touches the disk once per folder, then remembers."""
        return self.owns_folder(os.path.dirname(os.path.realpath(path)))

    def owns_folder(self, real: str) -> bool:
        """Whether modules in this folder are the project's own code; its path holds no links."""
        root = self.source_root(os.path.join(real, ""))
        return root is not None and _folder_is_ours(root, real)

    def source_root(self, path: str) -> str | None:
        """The source root that holds `path`, the innermost if several do."""
        for root in self.source_roots:
            if path.startswith(root) and (path[len(root) : len(root) + 1] == SEPARATOR or root.endswith(SEPARATOR)):
                return root
        return None

    def module_name(self, path: str) -> str | None:
        """The canonical module name of the file at `path`; None if it isn't the project's."""
        real = os.path.realpath(path)
        root = self.source_root(real)
        if root is None or not _folder_is_ours(root, os.path.dirname(real)):
            return None
        return module_name_below(root, real)

    def relative(self, path: str) -> str:
        """`path` as it is written in records: POSIX and relative below the root, else absolute."""
        real = os.path.realpath(path)
        if real.startswith(self.root.rstrip(SEPARATOR) + SEPARATOR):
            return real[len(self.root.rstrip(SEPARATOR)) + 1 :].replace(SEPARATOR, "/")
        return real.replace(SEPARATOR, "/")

    def absolute(self, recorded: str) -> str:
        """The path that `relative` wrote as `recorded`."""
        return recorded if os.path.isabs(recorded) else os.path.join(self.root, *recorded.split("/"))

    def find_module(self, name: str, *, beside: str = "") -> str | None:
        """The file that `import name` would load from the project, or None.

        Source roots are searched in order, the root last; then the folder `beside` (that of the importing script,
        which is `sys.path[0]` when it runs). A package is named by its `__init__.py`; a namespace package has none,
        so it has no file.
        """
        tail = name.replace(".", SEPARATOR)
        for root in (*self.source_roots, beside):
            if not root:
                continue
            stem = os.path.join(root, tail)
            for candidate in (os.path.join(stem, "__init__.py"), stem + ".py"):
                if os.path.isfile(candidate) and self.owns(candidate):
                    return candidate
        return None

    def with_roots(self, *folders: str) -> Project:
        """The project with further folders whose modules are its own code: an editable install, a path dependency."""
        return self.replace(source_roots=_ordered({*self.source_roots, *map(os.path.realpath, folders)}))


def find_project(start: str) -> Project:
    """The project that the file or folder `start` belongs to."""
    folder = os.path.realpath(start)
    if not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    for marker, origin in ((".git", "git"), ("pyproject.toml", "pyproject")):
        root = _climb(folder, marker)
        if root is not None:
            return project_at(root, origin)
    return project_at(folder, "folder")


def project_at(root: str, origin: str = "folder") -> Project:
    """The project whose root is `root`, with a `src` folder as a second source root if there is one."""
    root = os.path.realpath(root)
    roots = {root}
    src = os.path.join(root, "src")
    if os.path.isdir(src) and not os.path.exists(os.path.join(src, "__init__.py")):
        roots.add(os.path.realpath(src))
    return Project(root, _ordered(roots), origin)


def with_import_path(project: Project, path: Iterable[object]) -> Project:
    """The project with every folder of `path` (`sys.path`) that is neither Python's own nor an environment's.

    A path dependency or an editable install is the user's own code: it is edited, so it is tracked. What was installed
    into a folder (`pip install --target`) counts by version, as in an environment.
    """
    python = tuple(os.path.realpath(place) for place in (sys.prefix, sys.base_prefix, os.path.dirname(os.__file__)))
    extra = []
    for entry in [entry for entry in path if isinstance(entry, str)]:  # Python ignores what else is there
        folder = os.path.realpath(entry or os.getcwd())
        if folder.startswith(python) or project.source_root(folder) is not None or not os.path.isdir(folder):
            continue
        if not _is_installed_into(folder) and _folder_is_ours(folder, folder):
            extra.append(folder)
    return project.with_roots(*extra) if extra else project


def _is_installed_into(folder: str) -> bool:
    if os.path.basename(folder) in NEVER_OURS:
        return True
    try:
        return any(entry.endswith(".dist-info") for entry in os.listdir(folder))
    except OSError:
        return False


def module_name_below(root: str, path: str) -> str:
    """The dotted name of the file at `path` below `root`: `pkg/a.py` is `pkg.a`, `pkg/__init__.py` is `pkg`."""
    tail = path[len(root.rstrip(SEPARATOR)) + 1 :]
    stem = tail[: -len(".py")] if tail.endswith(".py") else os.path.splitext(tail)[0]
    parts = stem.split(SEPARATOR)
    if parts[-1] == "__init__" and len(parts) > 1:
        parts.pop()
    return ".".join(parts)


def _ordered(roots: set[str]) -> tuple[str, ...]:
    return tuple(sorted(roots, key=lambda root: (-len(root), root)))


def _climb(folder: str, marker: str) -> str | None:
    home = os.path.realpath(os.path.expanduser("~"))
    while True:
        parent = os.path.dirname(folder)
        if parent == folder or folder == home:
            return None
        if os.path.exists(os.path.join(folder, marker)):
            return folder
        folder = parent


# One dictionary per process: whether the code in a folder is the project's. Folders don't change sides while a
# program runs, and asking costs two `stat` calls per level.
_ours: dict[tuple[str, str], bool] = {}


def _folder_is_ours(root: str, folder: str) -> bool:
    known = _ours.get((root, folder))
    if known is None:
        known = _ours[root, folder] = _look(root, folder)
    return known


def _look(root: str, folder: str) -> bool:
    if folder == root:
        return not _is_environment(folder)
    name = os.path.basename(folder)
    if name in NEVER_OURS or _is_environment(folder):
        return False
    if name in BUILD_OUTPUT and not os.path.exists(os.path.join(folder, "__init__.py")):
        return False
    parent = os.path.dirname(folder)
    return parent != folder and _folder_is_ours(root, parent)


# The interpreter's own library, should someone keep a project around their interpreter.
_INTERPRETER = (os.path.dirname(os.path.realpath(os.__file__)), os.path.realpath(sys.prefix + "/lib"))


def _is_environment(folder: str) -> bool:
    if os.path.exists(os.path.join(folder, "pyvenv.cfg")):
        return True
    return folder in _INTERPRETER


def forget_folders() -> None:
    """Look at every folder again at the next question; for tests and after an environment was created."""
    _ours.clear()
