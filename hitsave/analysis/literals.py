"""Literals: which values are written out, and which names are spelt out in a piece of code."""

from __future__ import annotations

import ast
from ast import Constant, Name
from typing import Any


def pairwise(target: ast.Tuple, value: ast.expr) -> bool:
    """Does `a, b = x, y` assign element by element?"""
    return (
        value.__class__ in (ast.Tuple, ast.List)
        and len(value.elts) == len(target.elts)
        and all(element.__class__ is Name for element in target.elts)
        and not any(element.__class__ is ast.Starred for element in value.elts)
    )


def texts_in(node: ast.AST) -> tuple[str, ...]:
    """The literals in a piece of code that are names, dotted or not."""
    found = (n.value for n in ast.walk(node) if isinstance(n, Constant))
    return tuple(sorted({text for text in found if isinstance(text, str) and is_name(text)}))


def texts_of_display(node: Any) -> tuple[str, ...]:
    """The same for the elements of a container display, and the keys of a dict."""
    elements = [*node.keys, *node.values] if node.__class__ is ast.Dict else node.elts
    found = [e.value for e in elements if e.__class__ is Constant]
    return tuple([text for text in found if isinstance(text, str) and is_name(text)])


def is_name(text: str) -> bool:
    """Is this a dotted name?"""
    return text.isidentifier() or ("." in text and text.replace(".", "").isidentifier())


def is_literal(node: ast.expr) -> bool:
    """Is this an immutable value written out: numbers, texts, None, tuples of such, arithmetic on such?"""
    kind = node.__class__
    if kind is Constant:
        return True
    if kind is ast.Tuple:
        return all(is_literal(element) for element in node.elts)  # type: ignore[attr-defined]
    if kind is ast.UnaryOp:
        return is_literal(node.operand)  # type: ignore[attr-defined]
    if kind is ast.BinOp:
        return is_literal(node.left) and is_literal(node.right)  # type: ignore[attr-defined]
    return False


def is_written_out(node: ast.expr | None) -> bool:
    """Does the text tell what this default is: a literal, a name, a display of such? No call, no item."""
    kind = node.__class__
    if kind in (Constant, Name, ast.Lambda, type(None)):
        return True
    if kind in (ast.Tuple, ast.List, ast.Set):
        return all(map(is_written_out, node.elts))  # type: ignore[union-attr]
    if kind is ast.Dict:
        return all(map(is_written_out, (*node.keys, *node.values)))  # type: ignore[union-attr]
    if kind in (ast.Attribute, ast.Starred):
        return is_written_out(node.value)  # type: ignore[union-attr]
    if kind is ast.UnaryOp:
        return is_written_out(node.operand)  # type: ignore[union-attr]
    return kind is ast.BinOp and is_written_out(node.left) and is_written_out(node.right)  # type: ignore[union-attr]
