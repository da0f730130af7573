"""Annotations: walked into tokens and a region of their own, since most mean nothing to a result."""

from __future__ import annotations

import ast
from ast import Constant
from typing import Any

from hitsave.analysis.region import Region
from hitsave.analysis.scopes import INNER, Frame
from hitsave.analysis.summary import READ
from hitsave.analysis.walker import FILENAME, Saved, Walker


def annotation(w: Walker, node: ast.expr | None, name: str) -> None:
    """Walk an annotation into the tokens and the region kept for annotations."""
    if node is None:
        return
    emit, tokens, region = w.emit, w.tokens, w.region
    saved: Saved = (w.frame, w.reads, w.mode, w.inside)
    w.frame = Frame(None, 2)
    w.reads, w.mode, w.inside = w.frame.reads, READ, None
    if w.annotation_region is None:
        w.annotation_region = Region()
    w.tokens, w.region = w.annotations, w.annotation_region
    w.emit = w.tokens.append
    w.emit(name + ":")
    w.visit(meaning(node))
    w.leave(saved)
    w.emit, w.tokens, w.region = emit, tokens, region


def meaning(node: ast.expr) -> ast.expr:
    """An annotation as an expression: a quoted one means what it says."""
    if isinstance(node, Constant) and isinstance(node.value, str):
        try:
            return ast.parse(node.value.strip(), FILENAME, mode="eval").body
        except (SyntaxError, ValueError):
            return node
    return node


def annotate_parameters(w: Walker, node: Any) -> None:
    """Walk the annotations of a signature."""
    arguments = node.args
    for parameter in arguments.posonlyargs + arguments.args + arguments.kwonlyargs:
        if parameter.annotation is not None:
            annotation(w, parameter.annotation, parameter.arg)
    for variable in (arguments.vararg, arguments.kwarg):
        if variable is not None and variable.annotation is not None:
            annotation(w, variable.annotation, variable.arg)
    if node.returns is not None:
        annotation(w, node.returns, "return")


def type_parameters(w: Walker, node: Any) -> None:
    """Bind PEP 695 type parameters as locals of the scope; bounds and defaults count as annotations."""
    for parameter in getattr(node, "type_params", ()):
        w.frame.bind(parameter.name, INNER)
        annotation(w, getattr(parameter, "bound", None), parameter.name)
        annotation(w, getattr(parameter, "default_value", None), parameter.name)
