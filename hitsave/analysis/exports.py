"""`__all__`, as far as it can be read off the source."""

from __future__ import annotations

import ast


class Exports:
    """Gathers what is assigned or added to `__all__`."""

    def __init__(self) -> None:
        self._names: list[str] | None = None
        self._is_known = True

    def names(self) -> tuple[str, ...] | None:
        """The names, None without `__all__`, ("*",) if it can't be read and any name may be in it.

        `other.__all__` inside it is kept as `other.*`.
        """
        if self._names is None:
            return None
        return tuple(dict.fromkeys(self._names)) if self._is_known else ("*",)

    def assign(self, value: ast.expr) -> None:
        """`__all__ = value`."""
        self._names = []
        self._add(value)

    def statement(self, node: ast.stmt) -> None:
        """`__all__ += value`, `__all__.extend(value)`, `__all__.append(name)`; anything else done to it hides it."""
        if isinstance(node, ast.AugAssign) and _is_all(node.target):
            self._names = self._names or []
            self._add(node.value)
            return
        call = node.value if isinstance(node, ast.Expr) else None
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and _is_all(call.func.value):
            self._names = self._names or []
            if call.func.attr == "extend" and len(call.args) == 1:
                self._add(call.args[0])
            elif call.func.attr == "append" and len(call.args) == 1:
                self._add(ast.List([call.args[0]], ast.Load()))
            elif call.func.attr != "sort":
                self._is_known = False
        elif any(_is_all(inner) for inner in ast.walk(node) if inner.__class__ is ast.Name):
            self._names = self._names or []
            self._is_known = False

    def _add(self, value: ast.expr) -> None:
        names = self._names if self._names is not None else []
        if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add):
            self._add(value.left)
            self._add(value.right)
        elif isinstance(value, (ast.List, ast.Tuple, ast.Set)):
            for element in value.elts:
                if isinstance(element, ast.Constant) and isinstance(element.value, str):
                    names.append(element.value)
                elif (
                    isinstance(element, ast.Attribute)
                    and element.attr == "__name__"
                    and isinstance(element.value, ast.Name)
                ):
                    names.append(element.value.id)
                elif isinstance(element, ast.Starred):
                    self._add(element.value)
                else:
                    self._is_known = False
        elif isinstance(value, ast.Attribute) and value.attr == "__all__":
            names.append(ast.unparse(value.value) + ".*")
        elif isinstance(value, ast.Call) and len(value.args) == 1 and not value.keywords:
            self._add(value.args[0])  # list(...), tuple(...), sorted(...)
        elif not _is_all(value):
            self._is_known = False


def _is_all(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == "__all__"
