"""Looks: questions about a file that open nothing and raise no audit event, such as `os.path.exists`.

They are seen where they are asked, in the Python functions of the standard library, whose first parameter is the path.
`os.stat` called directly is out of sight: it is C, and so are the answers of `os.scandir` entries.
"""

from __future__ import annotations

import os

from hitsave.observe.files import is_ours, looked_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any

EXISTENCE = frozenset(("exists", "lexists", "isfile", "isdir", "islink", "is_file", "is_dir", "is_symlink"))
CLOSELY = frozenset(("getsize", "getmtime", "getctime", "stat", "lstat"))
LOOKS = EXISTENCE | CLOSELY
# "<frozen genericpath>": the interpreter has some of its library built in.
LOOKING_FILES = frozenset(
    ("genericpath.py", "posixpath.py", "ntpath.py", "pathlib.py", "_local.py", "_abc.py")
    + ("<frozen genericpath>", "<frozen posixpath>", "<frozen ntpath>")
)

_looks: dict[int, tuple[CodeType, bool]] = {}  # by the id of the code object: equal ones may be of two files


def is_look(code: CodeType) -> bool:
    """Whether `code` is a function of the standard library that looks at a file without opening it."""
    if code.co_name not in LOOKS:
        return False
    known = _looks.get(id(code))
    if known is None:
        known = _looks[id(code)] = code, _looks_at_a_file(code)
    return known[1]


def _looks_at_a_file(code: CodeType) -> bool:
    return os.path.basename(code.co_filename) in LOOKING_FILES and code.co_argcount > 0


def note_look(code: CodeType, frame: Any) -> None:
    """Note the path that the look `code`, beginning in `frame`, is about."""
    if frame.f_code is not code:
        return
    above = frame.f_back
    if above is not None and _looks.get(id(above.f_code), (None, False))[1]:
        return  # `Path.exists` asks `Path.stat`: the question was noted where it was asked
    if is_ours(above):
        return  # the import system, or hitsave's part in it, writing byte code
    looked_at(frame.f_locals.get(code.co_varnames[0]), closely=code.co_name in CLOSELY)
