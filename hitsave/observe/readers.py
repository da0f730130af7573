"""Files that other people's libraries read with code of their own: polars, pyarrow, HDF5 …

Python is told of every file that is opened through it; a library written in Rust or C opens files itself. Its functions
for that are mostly written in Python all the same, and have telling names: `read_parquet(path)`, `scan_csv`, `load`,
`File(path)`. When one of these begins, what it was given is looked at: each path of something that exists counts as
read, a folder with all that is in it, a pattern with all that it fits.
"""

from __future__ import annotations

import glob
import os
import re

from hitsave.observe import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType
    from typing import Any

READING = re.compile(r"_?(read|scan|open|load|dataset|imread|from_|memory_map|mmap)", re.IGNORECASE)
# How the name of a function that is worth a closer look begins: that is asked for each call, where calls are profiled.
HEADS = frozenset(("read", "scan", "open", "load", "data", "imre", "from", "memo", "mmap", "__in"))
HEADS |= {f"_{head[:3]}" for head in HEADS}
# Classes whose instances stand for a file.
OPENING = re.compile(r".*(File|Dataset|Store|Reader|Booster|DMatrix|Image|Database|Table)$")
MOST_PATHS = 10_000
MOST_CHARACTERS = 4096
# A function of such a name that was called so often without being given a path isn't one that reads files.
PATIENCE = 100

# By the id of the code object, which stands beside, how often it may yet be called in vain.
_readers: dict[int, tuple[CodeType, list[int]]] = {}


def is_reader(code: CodeType) -> bool:
    """Whether `code` is a function of an installed package that may read files, and hasn't shown not to."""
    name = code.co_name
    if name[:4].lower() not in HEADS:
        return False
    if "site-packages" not in code.co_filename and "dist-packages" not in code.co_filename:
        return False
    if name == "__init__":
        if not OPENING.match(getattr(code, "co_qualname", "").rpartition(".")[0]):
            return False
    elif not READING.match(name):
        return False
    _, left = _readers.setdefault(id(code), (code, [PATIENCE]))
    return left[0] > 0


def note_reader(code: CodeType, frame: Any) -> None:
    """Note what the reader `code`, beginning in `frame`, was given."""
    if frame.f_code is not code:
        return
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 4)]
    given = frame.f_locals
    found = [path for name in names for path in paths_in(given.get(name))]
    if found:
        for path in found:
            files.noted(path)
    else:
        _readers[id(code)][1][0] -= 1


def paths_in(value: Any, depth: int = 2) -> Iterator[str]:
    """The paths of existing files and folders, or what patterns fit, in an argument; lists are looked into."""
    if isinstance(value, (str, bytes, os.PathLike)):
        yield from _existing(value)
    elif depth and isinstance(value, (list, tuple, set, frozenset)):
        for item in list(value)[:MOST_PATHS]:
            yield from paths_in(item, depth - 1)
    elif depth and type(value) is dict:
        yield from paths_in(list(value.values()), depth)


def _existing(value: Any) -> Iterator[str]:
    if isinstance(value, (str, bytes)) and not 0 < len(value) <= MOST_CHARACTERS:
        return
    try:
        text = os.fsdecode(value)
        if "\n" in text or "\0" in text:
            return
        if os.path.isfile(text) or os.path.isdir(text) and text not in (os.curdir, os.sep):
            yield text
        elif any(sign in text for sign in "*?["):
            folder = text
            while any(sign in folder for sign in "*?["):
                folder = os.path.dirname(folder)
            yield from [folder or os.curdir, *glob.glob(text, recursive=True)[:MOST_PATHS]]
    except (TypeError, ValueError, OSError):
        return
