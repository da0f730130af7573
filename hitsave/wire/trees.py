"""Trees: what a snapshot of a directory consists of. The digest of a tree's text covers names, modes and contents.

A path in a tree is relative, in POSIX form, and can't leave the directory it is restored to: no `..`, no drive, no
backslash, nothing that Windows reserves, and no two paths that a case-insensitive file system would merge. Symbolic
links are never part of a tree. Both sides check this, so neither a hostile server nor a hostile client gets further.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from hitsave.record import Record
from hitsave.wire.manifests import is_blob_name
from hitsave.wire.reading import VERSION, Reader, WireError, canonical_json, check_text, parse_json

MAX_FILES = 200_000
MAX_PATH_BYTES = 1024
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(\..*)?\Z", re.IGNORECASE)
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|]')


class TreeFile(Record):
    """One file: where it goes, whether it is executable, its bytes by name."""

    path: str
    executable: bool
    blob: str
    size_bytes: int


class Tree(Record):
    """Files sorted by path, and the directories that hold none."""

    files: tuple[TreeFile, ...]
    empty_directories: tuple[str, ...] = ()


def render_tree(tree: Tree) -> str:
    """The text whose digest names the tree."""
    return canonical_json(
        {
            "v": VERSION,
            "files": [[f.path, f.executable, f.blob, f.size_bytes] for f in tree.files],
            "empty": list(tree.empty_directories),
        }
    )


def parse_tree(text: str) -> Tree:
    """The tree in `text`, with every path known to be safe. Raises `WireError`."""
    read = Reader(parse_json(text), "tree")
    if read.integer("v") != VERSION:
        raise WireError(f"tree.v: this is version {VERSION}")
    files = read.items("files", _file, limit=MAX_FILES)
    empty = read.items("empty", _path, limit=MAX_FILES)
    check_paths([f.path for f in files], list(empty))
    return Tree(files, empty)


def check_paths(files: list[str], empty: list[str]) -> None:
    """Raise `WireError` if two paths would meet, or one is a directory of another and a file too."""
    seen: dict[str, str] = {}
    for path in [*files, *empty]:
        folded = fold(path)
        if folded in seen:
            raise WireError(f"tree: {path!r} and {seen[folded]!r} are one file on some systems")
        seen[folded] = path
    for path in [*files, *empty]:
        parts = fold(path).split("/")
        for i in range(1, len(parts)):
            above = "/".join(parts[:i])
            if above in seen:
                raise WireError(f"tree: {seen[above]!r} is a file and a directory")


def check_path(path: str) -> str:
    """`path` if it is safe to create below any directory. Raises `WireError`."""
    if not path or len(path.encode()) > MAX_PATH_BYTES or _FORBIDDEN.search(path):
        raise WireError(f"tree: {path[:80]!r} can't be a file name everywhere")
    for part in path.split("/"):
        if part in ("", ".", "..") or part[-1] in ". " or _RESERVED.match(part):
            raise WireError(f"tree: {path[:80]!r} can't be a file name everywhere")
    return path


def fold(path: str) -> str:
    """`path` as a file system that ignores case and Unicode form would compare it."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold())


def _path(value: Any, where: str) -> str:
    return check_path(check_text(value, where))


def _file(value: Any, where: str) -> TreeFile:
    if not isinstance(value, list) or len(value) != 4:
        raise WireError(f"{where}: expected [path, executable, blob, size]")
    path, executable, blob, size = value
    ok = isinstance(executable, bool) and isinstance(blob, str) and is_blob_name(blob)
    if not ok or not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < 1 << 53:
        raise WireError(f"{where}: expected [path, executable, blob, size]")
    return TreeFile(_path(path, where), executable, blob, size)
