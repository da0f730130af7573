"""Whether the literals in a module's text are the values that are loaded: what function code can't tell.

    RATE = 0.1                    compared with the module's RATE
    def f(x, n=3): ...            compared with f.__defaults__
    class A: size = 4             compared with A.size

Only names that the text binds once are compared, since any other may have got another value in the meantime.
"""

from __future__ import annotations

import ast

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

Function = type(lambda: None)


def literals_agree(data: bytes, path: str, namespace: dict[str, Any]) -> bool:
    """Whether each literal in the text `data` that has a name is what `namespace` holds under that name."""
    try:
        tree: Any = compile(data, path, "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return _agree(tree.body, namespace)


def _agree(body: list[ast.stmt], names: dict[str, Any]) -> bool:
    bound = [name for name, _ in _bindings(body)]
    for name, node in _bindings(body):
        if bound.count(name) > 1:
            continue
        if name not in names:
            return False
        value = names[name]
        if isinstance(node, ast.ClassDef):
            if isinstance(value, type) and not _agree(node.body, dict(vars(value))):
                return False
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if isinstance(value, Function) and not node.decorator_list and not _same_defaults(node, value):
                return False
        elif _is_literal(node) and repr(ast.literal_eval(node)) != repr(value):
            return False
    return True


def _bindings(body: list[ast.stmt]) -> Iterator[tuple[str, ast.AST]]:
    for statement in body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield statement.name, statement
        elif isinstance(statement, ast.Assign):
            for target in statement.targets:
                if isinstance(target, ast.Name):
                    yield target.id, statement.value
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value:
            yield statement.target.id, statement.value


def _same_defaults(node: ast.FunctionDef | ast.AsyncFunctionDef, function: Any) -> bool:
    defaults = node.args.defaults
    if len(defaults) != len(function.__defaults__ or ()):
        return False
    return all(
        not _is_literal(default) or repr(ast.literal_eval(default)) == repr(value)
        for default, value in zip(defaults, function.__defaults__ or (), strict=True)
    )


def _is_literal(node: ast.AST) -> bool:
    """Whether the expression is an immutable literal: a constant, a negative number, a tuple of such."""
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, (ast.USub, ast.UAdd)) and isinstance(node.operand, ast.Constant)
    if isinstance(node, ast.Tuple):
        return all(map(_is_literal, node.elts))
    return isinstance(node, ast.Constant)
