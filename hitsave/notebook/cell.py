"""A notebook's cell as a function, so that it can be memoised like any other.

What the cell reads from the notebook before it binds it are the function's arguments, if they are data; functions,
classes and modules stay names, and count as the code they are. What it binds at its top level is its result, a
dictionary, together with the value of a last line that is an expression. Its imports, functions and classes are made in
the notebook each time: that computes nothing, and they couldn't be stored.

Cannot see: an object that the cell changes without assigning it (`frame.drop(..., inplace=True)`, `items.append(1)`).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

SHOWN = "_hitsave_shown"
DEFINITIONS = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


class CannotMemoise(Exception):
    """The cell can't be made a function; says why."""


class CellFunction:
    """A cell as the function of the notebook's variables `inputs`."""

    def __init__(self, function: FunctionType, inputs: tuple[str, ...]) -> None:
        self.function = function
        self.inputs = inputs


def make_function(source: str, kept: list[str], namespace: dict[str, Any], filename: str) -> CellFunction:
    """The cell with this text, as a function that returns {name: value} for `kept`, or for all it binds.

    `namespace` is that of the notebook. Raises `CannotMemoise`, and `SyntaxError` for a cell that isn't Python.
    """
    tree = ast.parse(source, filename)
    _check(tree)
    made: list[ast.stmt] = [statement for statement in tree.body if isinstance(statement, DEFINITIONS)]
    body = [statement for statement in tree.body if not isinstance(statement, DEFINITIONS)]
    bound = list(dict.fromkeys(names_bound(body)))
    for statement in made:
        early = set(bound).intersection(names_read([statement]))
        if early and isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            raise CannotMemoise(f"{statement.name} needs {min(early)!r} to be defined; define it in a cell of its own")
    exec(compile(ast.Module(made, []), filename, "exec"), namespace)
    for name in kept:
        if name not in bound:
            raise CannotMemoise(f"the cell doesn't assign {name!r}")
    result = kept or [name for name in bound if not name.startswith("_")]
    # In a function, a name that is bound anywhere is local: what it held before has to come in as an argument.
    read = dict.fromkeys(names_read(body))
    inputs = tuple(n for n in read if n in namespace and (n in bound or is_data(namespace[n])))
    name = "cell_" + "_".join(result or ["result"])
    function = _function(name, inputs, body, result, shows=not source.rstrip().endswith(";"))
    module = ast.fix_missing_locations(ast.Module([function], []))
    scope: dict[str, Any] = {}
    exec(compile(module, filename, "exec"), namespace, scope)
    return CellFunction(scope[name], inputs)


def is_data(value: object) -> bool:
    """Whether a variable counts by its value. Functions, classes and modules count as the code they are."""
    return not isinstance(value, (FunctionType, BuiltinFunctionType, type, ModuleType))


def names_bound(body: list[ast.stmt]) -> Iterator[str]:
    """The names that running `body` may bind, in the order of the text, repeated as they are."""
    for node in _own_nodes(body):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, (ast.MatchAs, ast.MatchStar)) and node.name:
            yield node.name


def names_read(body: list[ast.stmt]) -> Iterator[str]:
    """The names that `body` may read before it has certainly bound them, repeated as they are.

    What a function reads when it is called doesn't count if `body` binds it: it is bound by then.
    """
    yield from _read(body, set(), set(names_bound(body)))


def _read(body: list[ast.stmt], bound: set[str], everything: set[str]) -> Iterator[str]:
    for statement in body:
        blocks = [block for field in ("body", "orelse", "finalbody") if (block := getattr(statement, field, None))]
        blocks += [handler.body for handler in getattr(statement, "handlers", ())]
        blocks += [case.body for case in getattr(statement, "cases", ())]
        if isinstance(statement, (*FUNCTIONS, ast.ClassDef)) or not blocks:
            yield from _names_in(statement, bound, everything)
            bound.update(names_bound([statement]))
            continue
        header = [child for child in ast.iter_child_nodes(statement) if not isinstance(child, ast.stmt)]
        inside = set(bound)
        for node in header:
            yield from _names_in(node, bound, everything)
            inside.update(n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
        for block in blocks:
            yield from _read(block, set(inside), everything)
        if isinstance(statement, (ast.With, ast.AsyncWith)):  # the one compound statement whose body certainly runs
            bound.update(names_bound([statement]))


def _names_in(node: ast.AST, bound: set[str], everything: set[str]) -> Iterator[str]:
    """The names that running `node` reads and that aren't in `bound`."""
    inner = isinstance(node, FUNCTIONS)
    local = set()
    if inner or isinstance(node, ast.ClassDef):
        local = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        local |= {n.arg for n in ast.walk(node) if isinstance(n, ast.arg)}
    if isinstance(node, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
        local = {n.id for c in node.generators for n in ast.walk(c.target) if isinstance(n, ast.Name)}
    known = bound | local | (everything if inner else set())
    if isinstance(node, ast.Name):
        reads = isinstance(node.ctx, ast.Load)
        if reads and node.id not in known:
            yield node.id
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name) and node.target.id not in known:
        yield node.target.id
    for child in ast.iter_child_nodes(node):
        yield from _names_in(child, known, everything)


def _own_nodes(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """The nodes that run in the scope of `body`: functions and classes are seen, what is inside them isn't."""
    pending: list[ast.AST] = list(reversed(body))
    while pending:
        node = pending.pop()
        yield node
        if isinstance(node, (*FUNCTIONS, ast.ClassDef, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
            continue
        pending.extend(reversed(list(ast.iter_child_nodes(node))))


def _function(
    name: str, inputs: tuple[str, ...], body: list[ast.stmt], result: list[str], *, shows: bool
) -> ast.FunctionDef:
    frame = ast.parse(f"def {name}({', '.join(inputs)}): pass").body[0]
    if not isinstance(frame, ast.FunctionDef):
        raise CannotMemoise(f"{name} is no name for a function")
    body = [*body]
    if shows and body and isinstance(body[-1], ast.Expr):
        last = body[-1]
        body[-1] = ast.copy_location(ast.Assign([ast.Name(SHOWN, ast.Store())], last.value), last)
        result = [*result, SHOWN]
    # A name that was not bound on the way taken is left out, as it would be by the cell itself.
    body += ast.parse(f"return {{k: v for k, v in locals().items() if k in {tuple(result)!r}}}").body
    frame.body = body
    return frame


def _check(tree: ast.Module) -> None:
    for node in _own_nodes(tree.body):
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            raise CannotMemoise("a star import can't be part of a memoised cell; move it to a cell of its own")
        if isinstance(node, (ast.Await, ast.AsyncFor, ast.AsyncWith, ast.Yield, ast.YieldFrom, ast.Return)):
            raise CannotMemoise("a memoised cell can't await, yield or return at its top level")
