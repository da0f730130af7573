"""Whether the literals in a module's text are the values that are loaded: what function code can't tell.

    RATE = 0.1                    compared with the module's RATE
    def f(x, n=3): ...            compared with f.__defaults__
    class A: size = 4             compared with A.size

Only names that the text binds once are compared, since any other may have got another value in the meantime, as may
those that a function declares `global`. The tree's classes come from the `_ast` extension: a project may have an
`ast.py` of its own in Python's way.
"""

from __future__ import annotations

import _ast

from hitsave.parsing import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

Function = type(lambda: None)


def literals_agree(data: bytes, path: str, namespace: dict[str, Any], *, running: bool = False) -> bool:
    """Whether each literal in the text `data` that has a name is what `namespace` holds under that name.

    A module that is still `running` needn't have got to all of them.
    """
    try:
        tree: Any = parse(data, path)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return _agree(tree.body, namespace, running=running, rebound=frozenset(_globals(tree)))


def _agree(
    body: list[_ast.stmt], names: dict[str, Any], *, running: bool = False, rebound: frozenset[str] = frozenset()
) -> bool:
    found = list(_bindings(body))
    bound = [name for name, _ in found]
    for name, node in found:
        if bound.count(name) > 1 or name in rebound:
            continue
        if name not in names:
            if running:
                continue
            return False
        value = names[name]
        if isinstance(node, _ast.ClassDef):
            if isinstance(value, type) and not _agree(node.body, dict(vars(value))):
                return False
        elif isinstance(node, (_ast.FunctionDef, _ast.AsyncFunctionDef)):
            if isinstance(value, Function) and not node.decorator_list and not _same_defaults(node, value):
                return False
        elif _is_literal(node) and repr(_value(node)) != repr(value):
            return False
    return True


def _globals(tree: Any) -> Iterator[str]:
    """The names that functions in `tree` declare `global`."""
    pending = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, _ast.Global):
            yield from node.names
        for field in getattr(node, "_fields", ()):  # what isn't a node has none
            value = getattr(node, field, None)
            pending += value if isinstance(value, list) else [value]


def _bindings(body: list[_ast.stmt]) -> Iterator[tuple[str, Any]]:
    for statement in body:
        if isinstance(statement, (_ast.FunctionDef, _ast.AsyncFunctionDef, _ast.ClassDef)):
            yield statement.name, statement
        elif isinstance(statement, _ast.Assign):
            for target in statement.targets:
                if isinstance(target, _ast.Name):
                    yield target.id, statement.value
        elif isinstance(statement, _ast.AnnAssign) and isinstance(statement.target, _ast.Name) and statement.value:
            yield statement.target.id, statement.value


def _same_defaults(node: _ast.FunctionDef | _ast.AsyncFunctionDef, function: Any) -> bool:
    defaults = node.args.defaults
    if len(defaults) != len(function.__defaults__ or ()):
        return False
    return all(
        not _is_literal(default) or repr(_value(default)) == repr(value)
        for default, value in zip(defaults, function.__defaults__ or (), strict=True)
    )


def _is_literal(node: Any) -> bool:
    """Whether the expression is an immutable literal: a constant, a negative number, a tuple of such."""
    if isinstance(node, _ast.UnaryOp):
        number = isinstance(node.operand, _ast.Constant) and type(node.operand.value) in (int, float, complex)
        return isinstance(node.op, _ast.USub) and number
    if isinstance(node, _ast.Tuple):
        return all(map(_is_literal, node.elts))
    return isinstance(node, _ast.Constant)


def _value(node: Any) -> Any:
    if isinstance(node, _ast.UnaryOp):
        return -_value(node.operand)
    if isinstance(node, _ast.Tuple):
        return tuple(map(_value, node.elts))
    return node.value


def defaults_agree(data: bytes, path: str, function: Any) -> bool:
    """Whether `function` certainly has the defaults that the text `data` gives it: the same literals, or none."""
    try:
        tree: Any = parse(data, path)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    node = _find_function(tree.body, function.__qualname__)
    if node is None:
        return False
    written = {arg.arg: default for arg, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)}
    keyword = function.__kwdefaults__ or {}
    pairs = [(written.get(name), value) for name, value in keyword.items()]
    if len(pairs) != sum(default is not None for default in written.values()):
        return False
    if len(node.args.defaults) != len(function.__defaults__ or ()):
        return False
    pairs += zip(node.args.defaults, function.__defaults__ or (), strict=True)
    return all(_is_literal(default) and repr(_value(default)) == repr(value) for default, value in pairs)


def _find_function(body: list[_ast.stmt], qualname: str) -> Any:
    """The one definition of a function or method by that name; None if there are several, or none in plain sight."""
    first, _, rest = qualname.partition(".")
    kinds = (_ast.ClassDef,) if rest else (_ast.FunctionDef, _ast.AsyncFunctionDef)
    found = [node for name, node in _bindings(body) if name == first]
    if len(found) != 1 or not isinstance(found[0], kinds):
        return None
    return _find_function(found[0].body, rest) if rest else found[0]
