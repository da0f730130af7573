"""What assignments bind: the kinds of locals (see `scopes.py`), and the targets they may have."""

from __future__ import annotations

import ast
from ast import Attribute, Constant, Name
from typing import Any

from hitsave.analysis.expressions import chain_of
from hitsave.analysis.scopes import FRESH, INNER, LITERAL, RECEIVER, UNKNOWN, BodyFrame
from hitsave.analysis.special import is_globals, note_store
from hitsave.analysis.summary import MUTATES_UNKNOWN, WEAK
from hitsave.analysis.walker import Walker, ends_of_text

_LITERALS = (
    ast.List,
    ast.Dict,
    ast.Set,
    ast.Tuple,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.Constant,
    ast.JoinedStr,
)


def bind(w: Walker, name: str, value: ast.expr, chain: str | None) -> None:
    """Bind a local to what is known of its value."""
    for kind in kinds_of(value, chain):
        w.frame.bind(name, kind)


def kinds_of(value: ast.expr, chain: str | None) -> list[str]:
    """The kinds of a local that is bound to an expression; `chain` is what walking it returned."""
    if chain is not None:
        if chain.endswith(".__new__()"):
            return [RECEIVER]  # `object.__new__(cls)`: what `self` is elsewhere
        return [chain if chain[0] == "@" and chain[-1] not in ")]" else "~" + chain]
    if ends := ends_of_text(value):
        is_simple = "|" not in ends[0] + ends[1]
        return [f"${ends[0]}|{ends[1]}" if is_simple else LITERAL]
    if is_plain(value):
        return [LITERAL]
    kind = value.__class__
    if kind is ast.IfExp:
        return _kinds_of_all([value.body, value.orelse])  # type: ignore[attr-defined]
    if kind is ast.BoolOp:
        return _kinds_of_all(value.values)  # type: ignore[attr-defined]
    if kind is ast.NamedExpr:
        return _kinds_of_all([value.value])  # type: ignore[attr-defined]
    if kind is ast.Lambda:
        return [INNER]
    return [FRESH if kind in (ast.BinOp, ast.UnaryOp, ast.Compare, ast.GeneratorExp) else UNKNOWN]


def _kinds_of_all(values: list[ast.expr]) -> list[str]:
    return [kind for value in values for kind in kinds_of(value, chain_of(value))]


def is_plain(value: ast.expr) -> bool:
    """Is this a literal or a display of a builtin container, so that its methods are Python's own?"""
    return isinstance(value, _LITERALS) and not (isinstance(value, Constant) and value.value is None)


def store(w: Walker, target: Any, held: str = UNKNOWN) -> None:
    """Walk the target of an assignment, a deletion, a loop, a `with`; names in it are bound to `held`."""
    kind = target.__class__
    if kind is Name:
        w.emit(target.id)
        w.frame.bind(target.id, held)
    elif kind is Attribute:
        w.emit(".=")
        mode, w.mode = w.mode, WEAK
        base = w.visit(target.value)
        w.mode = mode
        w.emit(target.attr)
        note_store(w, base, target.attr)
    elif kind is ast.Subscript:
        w.emit("[=")
        if w.frame.__class__ is BodyFrame and is_globals(target.value, w):
            _store_global(w, target.slice)
            return
        mode, w.mode = w.mode, WEAK
        base = w.visit(target.value)
        w.mode = mode
        if base is not None:
            w.frame.write("~" + base)
        else:
            w.region.flags |= MUTATES_UNKNOWN
        w.visit(target.slice)
    elif kind is ast.Starred:
        w.emit("*:")
        store(w, target.value, held)
    else:
        w.emit("(,")
        for element in target.elts:
            store(w, element, held)
        w.emit(";")


def _store_global(w: Walker, key: ast.expr) -> None:
    """`globals()[key] = …` at module level: a binding like any other if the key is a literal."""
    w.emit("globals:")
    w.visit(key)
    if isinstance(key, Constant) and isinstance(key.value, str):
        w.frame.bind(key.value, UNKNOWN)
    else:
        w.frame.write("~globals()[]")


def store_name(w: Walker, name: str) -> None:
    """Bind a name to something unknown."""
    w.emit(name)
    w.frame.bind(name, UNKNOWN)
