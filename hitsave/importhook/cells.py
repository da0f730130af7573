"""Code that was typed in: notebook cells, the interactive prompt, `-c`, standard input.

Its text is where Python's own tracebacks look for it, in `linecache`: IPython puts each cell there before it runs, the
prompt does from 3.13 on. Where there is no text, the code object is all there is (kind "code").
"""

from __future__ import annotations

import sys

from hitsave.digest import digest_bytes
from hitsave.importhook.codes import find_same, nested
from hitsave.importhook.entry import CELL, Entry, Loaded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hitsave.importhook.record import LoadedSources

PREFIXES = ("<ipython-input-", "<python-input-", "<stdin>", "<string>", "<marimo")


def is_cell(path: str) -> bool:
    """Whether a code object's file name is that of a cell."""
    return path.startswith(PREFIXES) or "ipykernel_" in path


def attest_cell(thing: Any, loaded: LoadedSources) -> Loaded | None:
    """What the function `thing` was typed in as; None if its text isn't known."""
    code = getattr(thing, "__code__", None)
    if code is None:
        return None
    text = cell_text(code.co_filename)
    if text is None:
        return None
    data = text.encode("utf-8", "surrogatepass")
    try:
        compiled = compile(data, code.co_filename, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return None
    if find_same(code, nested(compiled)) is None:
        return None
    entry = Entry("__main__", "", data, kind=CELL, module_name="__main__", digest=digest_bytes(data))
    return entry.loaded(loaded.name_of)


def cell_text(filename: str) -> str | None:
    """The text of a cell as `linecache` holds it, without a look at the disk."""
    linecache = sys.modules.get("linecache")
    cached = getattr(linecache, "cache", {}).get(filename)
    if not cached or len(cached) < 3:
        return None
    return "".join(cached[2])
