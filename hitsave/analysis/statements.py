"""Handlers for statements."""

from __future__ import annotations

import ast
from ast import Attribute, Constant, Name
from typing import Any

from hitsave.analysis.expressions import bind_parameters, chain_of, note_return, parameters
from hitsave.analysis.scopes import (
    FRESH,
    INNER,
    LITERAL,
    PARAMETER,
    RECEIVER,
    UNKNOWN,
    BodyFrame,
    Frame,
    Region,
    part_of,
    root_of,
)
from hitsave.analysis.special import MUTATORS, is_globals, note_store
from hitsave.analysis.summary import CALLED, CHECK, MUTATES_ARGUMENT, MUTATES_UNKNOWN, READ, REBINDS_CELL, WEAK
from hitsave.analysis.walker import FILENAME, HANDLERS, Saved, Walker, ends_of_text, handles

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
    text = node.value if isinstance(node, Constant) else None
    if isinstance(text, str):
        try:
            node = ast.parse(text.strip(), FILENAME, mode="eval").body  # a quoted annotation means what it says
        except (SyntaxError, ValueError):
            w.emit(repr(text))
    w.visit(node)
    w.leave(saved)
    w.emit, w.tokens, w.region = emit, tokens, region


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


@handles("FunctionDef", "AsyncFunctionDef")
def _function(w: Walker, node: Any) -> None:
    """A function nested in another: part of that one's definition."""
    if w.module_level is not None and w.module_level(node):
        return
    for decorator in node.decorator_list:
        w.emit("@:")
        callee = w.visit(decorator)
        if callee is not None and decorator.__class__ is not ast.Call:
            w.reads[callee] = w.reads.get(callee, node.lineno << 8) | CALLED
    w.emit(f"{node.__class__.__name__}:")
    w.emit(node.name)
    w.frame.bind(node.name, UNKNOWN if node.decorator_list else INNER)
    parameters(w, node.args)
    saved = w.enter()
    w.inside = None
    level, w.module_level = w.module_level, None
    bind_parameters(w, node.args, receiver=False)
    type_parameters(w, node)
    annotate_parameters(w, node)
    block(w, node.body, has_docstring=True)
    w.leave(saved)
    w.module_level = level


@handles("ClassDef")
def _class(w: Walker, node: ast.ClassDef) -> None:
    """A class in a function: part of the function's definition."""
    if w.module_level is not None and w.module_level(node):
        return
    for decorator in node.decorator_list:
        w.emit("@:")
        w.visit(decorator)
    w.emit("class:")
    w.emit(node.name)
    w.frame.bind(node.name, UNKNOWN)
    for base in node.bases:
        w.visit(base)
    for keyword in node.keywords:
        w.emit(f"{keyword.arg}=")
        w.visit(keyword.value)
    w.emit(")")
    saved = w.enter(is_class=True, is_function=False)
    w.inside = None
    level, w.module_level = w.module_level, None
    type_parameters(w, node)
    w.local_classes += 1
    block(w, node.body, has_docstring=True)
    w.local_classes -= 1
    w.leave(saved)
    w.module_level = level


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
    # Outside functions a method called for its effect is taken to change its object.
    if chain and w.frame.__class__ is BodyFrame and chain[-2:] == "()" and "." in chain:
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
