"""Handlers for statements."""

from __future__ import annotations

import ast
from ast import Attribute, Constant, Name
from typing import Any

from hitsave.analysis.annotations import annotation, meaning, type_parameters
from hitsave.analysis.binding import bind, store, store_name
from hitsave.analysis.chains import part_of, root_of
from hitsave.analysis.expressions import note_return
from hitsave.analysis.scopes import PARAMETER, UNKNOWN, BodyFrame
from hitsave.analysis.special import MUTATORS
from hitsave.analysis.summary import CHECK, MUTATES_ARGUMENT, READ, REBINDS_CELL, WEAK
from hitsave.analysis.walker import HANDLERS, Walker, handles


def block(w: Walker, statements: list[ast.stmt], *, has_docstring: bool = False) -> None:
    """Walk statements; `pass` and constants leave no trace."""
    if has_docstring and (text := docstring(statements)) is not None:
        w.docs.append(text)
    for statement in statements:
        kind = statement.__class__
        if kind is ast.Pass or (kind is ast.Expr and statement.value.__class__ is Constant):  # type: ignore[attr-defined]
            continue
        HANDLERS[kind](w, statement)
    w.emit("}")


def docstring(body: list[ast.stmt]) -> str | None:
    """The docstring of a body."""
    first = body[0] if body else None
    if first.__class__ is ast.Expr and first.value.__class__ is Constant and isinstance(first.value.value, str):
        return first.value.value
    return None


@handles("Return")
def _return(w: Walker, node: ast.Return) -> None:
    w.emit("return:")
    value = node.value
    if value is not None:
        note_return(w, value, HANDLERS[value.__class__](w, value))
    else:
        w.emit("-:")


@handles("Expr")
def _expression(w: Walker, node: ast.Expr) -> None:
    w.emit("!:")
    value = node.value
    if value.__class__ is ast.Call and value.func.__class__ is Attribute and value.func.attr in MUTATORS:
        mode, w.mode = w.mode, WEAK
        w.visit(value)
        w.mode = mode
        return
    chain = HANDLERS[value.__class__](w, value)
    if w.frame.__class__ is not BodyFrame:
        return
    # Outside functions a method called for its effect is taken to change its object, or the package it belongs to.
    if value.__class__ is not ast.Call or not chain or chain[-2:] != "()":
        w.frame.write("!*")
        return
    w.frame.write("!" + chain[:-2])
    if "." in chain:
        w.frame.write("^" + chain[:-2].rpartition(".")[0])


@handles("Assign")
def _assign(w: Walker, node: ast.Assign) -> None:
    w.emit("=")
    value = node.value
    if len(node.targets) == 1 and (updated := _updated_global(w, node.targets[0])):
        chain = _visit_update(w, value, updated)
    else:
        chain = HANDLERS[value.__class__](w, value)
    for target in node.targets:
        if target.__class__ is Name:
            w.emit(target.id)
            bind(w, target.id, value, chain)
        else:
            store(w, target, part_of(chain))
    w.emit(";")


def _updated_global(w: Walker, target: ast.expr) -> str:
    """The name that the target of an assignment in a function starts with, if it is no local; else ""."""
    if w.frame.__class__ is BodyFrame:
        return ""
    kind = target.__class__
    if kind is Name:
        declared = w.frame.declared
        return target.id if declared is not None and target.id in declared else ""  # type: ignore[attr-defined]
    while kind is Attribute or kind is ast.Subscript:
        target = target.value  # type: ignore[attr-defined]
        kind = target.__class__
    return target.id if kind is Name and target.id not in w.frame.bound else ""  # type: ignore[attr-defined]


def _visit_update(w: Walker, value: ast.expr, name: str) -> str | None:
    """Walk a value; what is read of the global `name`, only to set that very global anew (`n = n + 1`), counts as
    changing it. A counter or a log that is written by the code it watches, and read by nothing else, can't change a
    result.
    """
    reads = w.reads
    w.reads = {}
    chain = w.visit(value)
    found, w.reads = w.reads, reads
    for read, info in found.items():
        if root_of(read) == name and info & READ:
            info = info & ~READ | WEAK
        known = reads.get(read)
        reads[read] = info if known is None else known | info & 255
    return chain


@handles("AugAssign")
def _augmented(w: Walker, node: ast.AugAssign) -> None:
    w.emit(f"{node.op.__class__.__name__}=")
    w.visit(node.value)
    target = node.target
    mode = WEAK if w.frame.depth else w.mode
    if isinstance(target, Name):
        w.reads[target.id] = w.reads.get(target.id, node.lineno << 8) | mode
        if w.frame.bound.get(target.id) == PARAMETER and not isinstance(node.value, Constant):
            w.region.flags |= MUTATES_ARGUMENT  # `items += more` extends the caller's list
    else:
        w.mode, before = mode, w.mode
        base = w.visit(target.value)
        w.mode = before
        if isinstance(target, Attribute):
            if base is None:
                w.region.attributes.add(target.attr)
            else:
                chain = f"{base}.{target.attr}"
                w.reads[chain] = w.reads.get(chain, node.lineno << 8) | mode
    store(w, target)


@handles("AnnAssign")
def _annotated(w: Walker, node: ast.AnnAssign) -> None:
    if node.value is not None:
        w.emit("=")
        chain = w.visit(node.value)
        if isinstance(node.target, Name):
            w.emit(node.target.id)
            bind(w, node.target.id, node.value, chain)
        else:
            store(w, node.target)
        w.emit(";")
    elif isinstance(node.target, Name):
        w.emit("local:")
        w.emit(node.target.id)
        w.frame.bind(node.target.id, UNKNOWN)
    if w.frame.is_class and w.local_classes:
        w.emit(":")
        w.visit(meaning(node.annotation))  # a class that is made by each call: its annotations are part of what it does
    else:
        annotation(w, node.annotation, getattr(node.target, "id", ":"))


@handles("Delete")
def _delete(w: Walker, node: ast.Delete) -> None:
    w.emit("del:")
    for target in node.targets:
        store(w, target)
    w.emit(";")


@handles("TypeAlias")
def _type_alias(w: Walker, node: Any) -> None:
    w.emit("type:")
    w.emit(node.name.id)
    w.frame.bind(node.name.id, UNKNOWN)
    saved = w.enter()
    type_parameters(w, node)
    w.visit(node.value)
    w.leave(saved)


@handles("For", "AsyncFor")
def _for(w: Walker, node: Any) -> None:
    w.emit(f"{node.__class__.__name__}:")
    chain = w.visit(node.iter)
    store(w, node.target, part_of(chain))
    block(w, node.body)
    block(w, node.orelse)


@handles("While")
def _while(w: Walker, node: ast.While) -> None:
    w.emit("while:")
    w.visit(node.test)
    block(w, node.body)
    block(w, node.orelse)


@handles("If")
def _if(w: Walker, node: ast.If) -> None:
    test, body, otherwise = node.test, node.body, node.orelse
    branch = type_checking_branch(w, test)
    if branch is not None:
        for statement in otherwise if branch else body:
            w.visit(statement)
        return
    w.emit("if:")
    if not otherwise and body[-1].__class__ is ast.Raise and all(s.__class__ is ast.Assign for s in body[:-1]):
        guard(w, test)
    else:
        w.visit(test)
    block(w, body)
    block(w, otherwise)


def guard(w: Walker, test: ast.expr) -> None:
    """Walk a test that can only make the code fail. In `if name not in REGISTRY: raise` the registry counts by its
    definition, and not by all that others put into it: an exception is never stored.
    """
    is_membership = test.__class__ is ast.Compare and test.ops[0].__class__ in (ast.In, ast.NotIn)
    mode = w.mode
    if is_membership:
        w.mode = WEAK
    w.visit(test)
    w.mode = mode


def type_checking_branch(w: Walker, test: ast.expr) -> bool | None:
    """True for `if TYPE_CHECKING`, False for `if not TYPE_CHECKING`, None for any other test."""
    kind = test.__class__
    if kind is Name:
        return True if test.id == "TYPE_CHECKING" and w.skips_type_checking else None  # type: ignore[attr-defined]
    if kind is Attribute:
        return True if test.attr == "TYPE_CHECKING" and w.skips_type_checking else None  # type: ignore[attr-defined]
    if kind is ast.UnaryOp and test.op.__class__ is ast.Not:  # type: ignore[attr-defined]
        return None if type_checking_branch(w, test.operand) is None else False  # type: ignore[attr-defined]
    return None


@handles("With", "AsyncWith")
def _with(w: Walker, node: Any) -> None:
    w.emit(f"{node.__class__.__name__}:")
    for item in node.items:
        chain = w.visit(item.context_expr)
        variable = item.optional_vars
        if variable is None:
            w.emit("-:")
        else:
            store(w, variable, part_of(chain))
    block(w, node.body)


@handles("Raise")
def _raise(w: Walker, node: ast.Raise) -> None:
    w.emit("raise:")
    for part in (node.exc, node.cause):
        if part is None:
            w.emit("-:")
        else:
            w.visit(part)


@handles("Try", "TryStar")
def _try(w: Walker, node: Any) -> None:
    w.emit(f"{node.__class__.__name__}:")
    block(w, node.body)
    for handler in node.handlers:
        w.emit("except:")
        if handler.type is not None:
            mode, w.mode = w.mode, CHECK
            w.visit(handler.type)
            w.mode = mode
        if handler.name is not None:
            w.emit("as:")
            store_name(w, handler.name)
        block(w, handler.body)
    block(w, node.orelse)
    block(w, node.finalbody)


@handles("Assert")
def _assert(w: Walker, node: ast.Assert) -> None:
    w.emit("assert:")
    guard(w, node.test)
    if node.msg is None:
        w.emit("-:")
    else:
        w.visit(node.msg)


@handles("Import")
def _import(w: Walker, node: ast.Import) -> None:
    for alias in node.names:
        w.emit(f"import:{alias.name}:{alias.asname}")
        loaded = f"@{alias.name}|"
        if alias.asname is not None:
            w.frame.bind(alias.asname, loaded)
        else:
            top = alias.name.partition(".")[0]
            w.frame.bind(top, f"@{top}|")
        w.reads[loaded] = w.reads.get(loaded, node.lineno << 8) | WEAK


@handles("ImportFrom")
def _import_from(w: Walker, node: ast.ImportFrom) -> None:
    module = "." * node.level + (node.module or "")
    for alias in node.names:
        w.emit(f"from:{module}:{alias.name}:{alias.asname}")
        w.frame.bind(alias.asname or alias.name, f"@{module}|{alias.name}")
        loaded = f"@{module}|{alias.name}"
        w.reads[loaded] = w.reads.get(loaded, node.lineno << 8) | WEAK


@handles("Global")
def _global(w: Walker, node: ast.Global) -> None:
    w.emit("global:" + ",".join(node.names))
    w.frame.declare_global(node.names)


@handles("Nonlocal")
def _nonlocal(w: Walker, node: ast.Nonlocal) -> None:
    w.emit("nonlocal:" + ",".join(node.names))
    w.region.flags |= REBINDS_CELL
    w.frame.declare_nonlocal(node.names)


@handles("Pass", "Break", "Continue")
def _bare(w: Walker, node: ast.stmt) -> None:
    w.emit(f"{node.__class__.__name__}:")
