"""`parse`: the syntax tree of a text, also while other threads parse."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _ast

PARSE_ONLY = 0x400  # ast.PyCF_ONLY_AST; importing ast would cost every program its start
_ATTEMPTS = 100


def parse(data: bytes | str, filename: str) -> _ast.Module:
    """The syntax tree of a module's text; raises what `compile` raises for a text that Python doesn't take.

    CPython counts the depth of the trees being made in one counter for all threads of an interpreter. A thread that
    takes over in the middle (a garbage collection that runs Python code is enough) makes the other one's parse
    fail with a SystemError that says nothing about the text (python/cpython#106905), so that is tried again.
    """
    for _ in range(_ATTEMPTS):
        try:
            tree: _ast.Module = compile(data, filename, "exec", PARSE_ONLY, dont_inherit=True)
            return tree
        except SystemError as error:
            failure = error
    raise failure
