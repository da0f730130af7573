"""Handlers for `match` statements."""

from __future__ import annotations

import ast
from typing import Any

from hitsave.analysis.binding import store_name
from hitsave.analysis.statements import block
from hitsave.analysis.summary import CHECK
from hitsave.analysis.walker import Walker, handles


@handles("Match")
def _match(w: Walker, node: Any) -> None:
    w.emit("match:")
    w.visit(node.subject)
    for case in node.cases:
        w.emit("case:")
        w.visit(case.pattern)
        if case.guard is not None:
            w.emit("if:")
            w.visit(case.guard)
        block(w, case.body)
    w.emit(";")


@handles("MatchValue", "MatchSingleton")
def _match_value(w: Walker, node: Any) -> None:
    w.emit("mv:")
    if isinstance(node, ast.MatchSingleton):
        w.emit(repr(node.value))
    else:
        w.visit(node.value)


@handles("MatchSequence", "MatchOr")
def _match_sequence(w: Walker, node: Any) -> None:
    w.emit(f"{node.__class__.__name__}:")
    w.visit_all(node.patterns)


@handles("MatchStar", "MatchAs")
def _match_name(w: Walker, node: Any) -> None:
    w.emit(f"{node.__class__.__name__}:")
    if getattr(node, "pattern", None) is not None:
        w.visit(node.pattern)
    if node.name is None:
        w.emit("-:")
    else:
        store_name(w, node.name)


@handles("MatchMapping")
def _match_mapping(w: Walker, node: ast.MatchMapping) -> None:
    w.emit("mm:")
    w.visit_all(node.keys)
    w.visit_all(node.patterns)
    if node.rest is not None:
        store_name(w, node.rest)


@handles("MatchClass")
def _match_class(w: Walker, node: ast.MatchClass) -> None:
    w.emit("mc:")
    mode, w.mode = w.mode, CHECK
    w.visit(node.cls)
    w.mode = mode
    w.visit_all(node.patterns)
    w.emit(",".join(node.kwd_attrs))
    w.region.attributes.update(node.kwd_attrs)
    w.visit_all(node.kwd_patterns)
