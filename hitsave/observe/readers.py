"""Files that other people's libraries read with code of their own: polars, pyarrow, HDF5 …

Python is told of every file that is opened through it; a library written in Rust or C opens files itself. Its functions
for that are mostly written in Python all the same, and have telling names: `read_parquet(path)`, `scan_csv`, `load`,
`File(path)`. When one of these begins, what it was given is looked at: each path of something that exists counts as
read, a folder with all that is in it, a pattern with all that it fits.
"""

from __future__ import annotations

import os
from itertools import islice

from hitsave.observe import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType
    from typing import Any

READING = ("read", "scan", "open", "load", "dataset", "imread", "memory_map", "mmap") + (
    "from_file", "from_path", "from_pretrained", "from_disk", "from_dir", "from_folder", "from_csv", "from_json",
    "from_parquet",
)  # fmt: skip
# How the name of a function that is worth a closer look begins: that is asked for each call, where calls are profiled.
HEADS = frozenset(name[:4] for name in READING) | frozenset(f"_{name[:3]}" for name in READING)
# Classes whose instances stand for a file.
OPENING = ("File", "Dataset", "HDFStore", "DeltaTable", "Booster", "DMatrix")
MOST_PATHS = 10_000
MOST_CHARACTERS = 4096
VARARGS, VARKEYWORDS = 4, 8  # of co_flags
RECEIVERS = ("self", "cls")
SIGNS = (os.curdir, os.pardir, os.sep)

_readers: dict[int, tuple[CodeType, bool]] = {}  # by the id of the code object, which stands beside


def is_reader(code: CodeType) -> bool:
    """Whether `code` is a function of an installed package that may read files, by its name."""
    name = code.co_name
    if name != "__init__" and name[:4].lower() not in HEADS:
        return False
    known = _readers.get(id(code))
    if known is None:
        known = _readers[id(code)] = code, _may_read(code)
    return known[1]


def _may_read(code: CodeType) -> bool:
    if "site-packages" not in code.co_filename and "dist-packages" not in code.co_filename:
        return False
    if code.co_name != "__init__":
        return code.co_name.lower().removeprefix("_").startswith(READING)
    # Python 3.10 knows no qualified names: there the object tells, when it is made.
    return str(getattr(code, "co_qualname", OPENING[0])).removesuffix(".__init__").endswith(OPENING)


def note_reader(code: CodeType, frame: Any) -> None:
    """Note what the reader `code`, beginning in `frame`, was given."""
    if frame.f_code is not code:
        return
    named = code.co_argcount + code.co_kwonlyargcount
    further = bool(code.co_flags & VARARGS) + bool(code.co_flags & VARKEYWORDS)
    given = [frame.f_locals.get(name) for name in code.co_varnames[: named + further]]
    if code.co_name == "__init__" and not any(kind.__name__.endswith(OPENING) for kind in type(given[0]).__mro__):
        return
    for number, value in enumerate(given):
        # A point or a slash is a path where it is the first thing that is given; later, it is what separates numbers.
        is_first = number <= (code.co_varnames[0] in RECEIVERS)
        found = list(islice(paths_in(value, is_first=is_first), MOST_PATHS + 1))
        for path in found[:MOST_PATHS]:
            files.noted(path)
        if len(found) > MOST_PATHS:
            files.note_unseen()


def paths_in(value: Any, *, is_first: bool = False) -> Iterator[str]:
    """The paths of existing files and folders, or what patterns fit, in an argument; of a list or dict, the files.

    A folder that is but a sign (".") counts only in the first argument.
    """
    if isinstance(value, (str, bytes, os.PathLike)):
        yield from _existing(value, is_first)
    else:
        yield from _files_in(value, 2)


def _files_in(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, (str, bytes, os.PathLike)):
        yield from (path for path in _existing(value, False) if not os.path.isdir(path))
    elif depth and isinstance(value, (list, tuple, set, frozenset)):
        for item in list(value):
            yield from _files_in(item, depth - 1)
    elif depth and type(value) is dict:
        yield from _files_in(list(value.values()), depth)


def _existing(value: Any, is_first: bool) -> Iterator[str]:
    if isinstance(value, (str, bytes)) and not 0 < len(value) <= MOST_CHARACTERS:
        return
    try:
        text = os.fsdecode(value)
        if "\n" in text or "\0" in text:
            return
        if os.path.isfile(text) or os.path.isdir(text) and (is_first or text not in SIGNS):
            yield text
        elif any(sign in text for sign in "*?["):
            from glob import iglob

            folder = text
            while any(sign in folder for sign in "*?["):
                folder = os.path.dirname(folder)
            yield folder or os.curdir
            yield from iglob(text, recursive=True)
    except (TypeError, ValueError, OSError):
        return
