"""Functions made inside other functions: what they depend on, without the function around them.

To the analysis a nested function is part of its outermost definition, which is right for whoever calls that. A nested
function that is memoised, or passed as an argument, is called on its own, and depends on less. So it is lifted out of
its source into a small module of its own, which imports the globals it reads from the module it stands in, and that
module is analysed like any other.

What it reads of the functions around it, its free variables, counts by value, like an argument; so do its defaults.
A free variable that it only writes (`calls.append(x)`, `n += 1`) can't change what it returns and doesn't count.
"""

from __future__ import annotations

from hitsave.importhook.codes import nested
from hitsave.parsing import parse
from hitsave.record import Record
from hitsave.source import Source, source_of
from hitsave.symbol import Symbol, symbol

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ast
    from types import CodeType, FunctionType
    from typing import Any

LIFTED = "function"
WRITERS = frozenset(
    ("append", "appendleft", "extend", "insert", "add", "update", "clear", "remove", "discard", "write", "put", "set")
)


class Lifted(Record):
    """A nested function as a module of its own; `only_written` are its free variables that it doesn't read."""

    source: Source
    only_written: tuple[str, ...]

    @property
    def symbol(self) -> Symbol:
        """The function's symbol in that module."""
        return symbol(self.source.module, LIFTED)


def encode_lifted(lifted: Lifted) -> bytes:
    """`lifted` as bytes, to be kept by the digest of the source it was lifted out of."""
    from marshal import dumps

    return dumps((lifted.source.module, lifted.source.data, lifted.only_written), 2)


def decode_lifted(data: bytes) -> Lifted:
    """What `encode_lifted` was given."""
    from marshal import loads

    module, text, only_written = loads(data)
    return Lifted(source_of(module, "", text), only_written)


def lift(function: FunctionType, source: Source) -> Lifted | None:
    """`function` lifted out of `source`; None if it can't be told there, or rebinds globals of its module."""
    import ast

    node = _find(parse(source.data, source.path), function.__code__)
    if node is None or any(isinstance(inner, ast.Global) for inner in ast.walk(node)):
        return None
    free = function.__code__.co_freevars
    only_written = tuple(sorted(name for name in free if _is_only_written(node, name)))
    names = {name for code in nested(function.__code__) for name in code.co_names}
    names = {name for name in names if name in function.__globals__ and name.isidentifier()}
    imports = f"from {source.module} import {', '.join(sorted(names))}\n" if names else ""
    text = imports + ast.unparse(ast.fix_missing_locations(_as_definition(node)))
    return Lifted(source_of(f"{source.module}.{function.__qualname__}", "", text.encode()), only_written)


def name_of(function: FunctionType, source: Source) -> str:
    """What the lifted form of `function`, which `source` defines, is kept as: two modules may have the same text."""
    return f"{source.key}:{function.__qualname__}:{function.__code__.co_firstlineno}"


def counted_cells(function: FunctionType, lifted: Lifted | None) -> tuple[tuple[str, Any], ...]:
    """(name, cell) of the free variables whose values count."""
    cells = function.__closure__
    if not cells:
        return ()
    left_out = lifted.only_written if lifted is not None else ()
    return tuple(
        (name, cell) for name, cell in zip(function.__code__.co_freevars, cells, strict=True) if name not in left_out
    )


def _find(tree: ast.Module, code: CodeType) -> Any:
    import ast

    kinds = (ast.Lambda,) if code.co_name == "<lambda>" else (ast.FunctionDef, ast.AsyncFunctionDef)
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, kinds):
            continue
        first = min([node.lineno, *[one.lineno for one in getattr(node, "decorator_list", ())]])
        if first == code.co_firstlineno and getattr(node, "name", "<lambda>") == code.co_name:
            found.append(node)
    return found[0] if len(found) == 1 else None


def _as_definition(node: Any) -> ast.stmt:
    """The node as a function called `LIFTED`, without decorators, defaults and annotations."""
    import ast
    import copy

    made: Any
    if isinstance(node, ast.Lambda):
        made = ast.FunctionDef(LIFTED, copy.deepcopy(node.args), [ast.Return(copy.deepcopy(node.body))], [])
    else:
        made = copy.deepcopy(node)
        made.name, made.decorator_list, made.returns = LIFTED, [], None
    if "type_params" in type(made)._fields and not hasattr(made, "type_params"):
        made.type_params = []
    made.args.defaults = [ast.Constant(None)] * len(made.args.defaults)
    made.args.kw_defaults = [default and ast.Constant(None) for default in made.args.kw_defaults]
    # Without its surroundings, `nonlocal` means nothing.
    for inner in ast.walk(made):
        for field in ("body", "orelse", "finalbody"):
            block = getattr(inner, field, None)
            if isinstance(block, list):
                block[:] = [ast.Pass() if isinstance(one, ast.Nonlocal) else one for one in block]
    definition: ast.stmt = made
    return definition


def _is_only_written(node: Any, name: str) -> bool:
    """Whether every use of `name` in `node` only changes what it holds, and nothing looks at it."""
    import ast

    harmless: set[int] = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.AugAssign):
            harmless.update(_target_names(inner.target))
        elif isinstance(inner, ast.Expr) and isinstance(inner.value, ast.Call):
            called = inner.value.func
            if isinstance(called, ast.Attribute) and called.attr in WRITERS and isinstance(called.value, ast.Name):
                harmless.add(id(called.value))
        elif isinstance(inner, ast.Assign) and len(inner.targets) == 1:
            harmless.update(_target_names(inner.targets[0]))
    uses = [inner for inner in ast.walk(node) if isinstance(inner, ast.Name) and inner.id == name]
    return bool(uses) and all(id(use) in harmless for use in uses)


def _target_names(target: Any) -> set[int]:
    import ast

    while isinstance(target, (ast.Subscript, ast.Attribute)):
        target = target.value
    return {id(target)} if isinstance(target, ast.Name) else set()
