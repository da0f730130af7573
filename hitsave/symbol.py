"""Symbols: the names under which code is known, the same in every process, folder and machine.

A symbol is written `package.module:Class.method`. The module part is the *canonical* name of the file: its path below
the source root, dotted (`project.Project.module_name`), never `__main__` for code that lives in a file, so a script
run directly, run with `-m`, and imported is one module. `package.module:<module>` stands for a module's top-level
statements. A function nested in another has no symbol of its own: it belongs to its outermost definition.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NewType

    Symbol = NewType("Symbol", str)
else:
    Symbol = str

MODULE = "<module>"
ANY = "*"  # `pkg.mod:*`: a module as a value, of which any name may be read


def symbol(module: str, qualname: str = MODULE) -> Symbol:
    """The symbol for `qualname` in `module`."""
    return Symbol(f"{module}:{qualname}")


def module_of(name: Symbol) -> str:
    """`pkg.mod` of `pkg.mod:Class.method`."""
    return name.partition(":")[0]


def qualname_of(name: Symbol) -> str:
    """`Class.method` of `pkg.mod:Class.method`."""
    return name.partition(":")[2]


def outermost(qualname: str) -> str:
    """The part of a code object's qualified name that has a symbol: all before the first `.<locals>`."""
    return qualname.partition(".<locals>")[0]


def is_hitsave(module: str) -> bool:
    """Whether `module` is our own: its code counts for no result, wherever it is imported from."""
    return module == "hitsave" or module.startswith("hitsave.")
