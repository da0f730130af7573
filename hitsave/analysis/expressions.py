"""Handlers for expressions."""

from __future__ import annotations

import ast
from ast import Attribute, Constant, Load, Name
from typing import Any

from hitsave.analysis.chains import part_of
from hitsave.analysis.scopes import PLAIN_LOCALS, UNKNOWN
from hitsave.analysis.summary import CALLED, CALLS_UNKNOWN, CALLS_UNKNOWN_NESTED, CHECK, GENERATOR, LOOKED, READ
from hitsave.analysis.walker import HANDLERS, SPECIAL, Walker, ends_of_text, handles

# `sys.modules[__name__]`, as a chain.
OWN_MODULE = "@:self|"

_OPERATORS = {
    getattr(ast, name): text
    for name, text in {
        "Add": "+", "Sub": "-", "Mult": "*", "MatMult": "@", "Div": "/", "Mod": "%", "Pow": "**", "LShift": "<<",
        "RShift": ">>", "BitOr": "|", "BitXor": "^", "BitAnd": "&", "FloorDiv": "//", "Invert": "~", "Not": "!",
        "UAdd": "u+", "USub": "u-", "Eq": "==", "NotEq": "!=", "Lt": "<", "LtE": "<=", "Gt": ">", "GtE": ">=",
        "Is": "===", "IsNot": "!==", "In": "in.", "NotIn": "!in", "And": "&&", "Or": "||",
    }.items()
}  # fmt: skip


@handles("Name")
def _name(w: Walker, node: Name) -> str | None:
    name = node.id
    w.emit(name)
    if node.ctx.__class__ is Load:
        reads = w.reads
        known = reads.get(name)
        if known is None:
            reads[name] = node.lineno << 8 | w.mode
        elif not known & w.mode:
            reads[name] = known | w.mode
        if w.inside is not None and w.frame.bound.get(name) not in PLAIN_LOCALS:
            _pass(w, name)
        return name
    w.frame.bind(name, UNKNOWN)
    return None


def _pass(w: Walker, chain: str) -> None:
    frame = w.frame
    if frame.passed is None:
        frame.passed = set()
    frame.passed.add((w.inside or "?", chain))


@handles("Attribute")
def _attribute(w: Walker, node: Attribute) -> str | None:
    value = node.value
    if value.__class__ is Name:
        chain = f"{value.id}.{node.attr}"
        w.emit(chain)
    else:
        names = [node.attr]
        while value.__class__ is Attribute:
            names.append(value.attr)
            value = value.value
        names.reverse()
        if value.__class__ is Name:
            chain = f"{value.id}.{'.'.join(names)}"
            w.emit(chain)
        else:
            w.emit(".:")
            base = HANDLERS[value.__class__](w, value)
            w.emit(".".join(names))
            if base is None:
                w.region.attributes.update(names)
                return None
            if base == "super()":
                (w.region.attributes if w.local_classes else w.region.parent).add(names[0])
                w.region.attributes.update(names[1:])
                return base + "." + names[0]
            chain = base + ("" if base[-1] == "|" else ".") + ".".join(names)
    reads = w.reads
    known = reads.get(chain)
    if known is None:
        reads[chain] = node.lineno << 8 | w.mode
    elif not known & w.mode:
        reads[chain] = known | w.mode
    if w.inside is not None:
        _pass(w, chain)
    return chain


@handles("Constant")
def _constant(w: Walker, node: Constant) -> None:
    value = node.value
    # A text goes in as it is, behind its length: cheaper than `repr` for the long ones.
    w.emit(f"s{len(value)}:{value}" if value.__class__ is str else constant_token(value))


def constant_token(value: object) -> str:
    """The token of a literal; distinct for distinct values and types."""
    kind = value.__class__
    if kind is str:
        return f"s{len(value)}:{value}"  # type: ignore[arg-type]
    if kind is bytes or value is None:
        return repr(value)
    if kind is int:
        return repr(value) if -(10**9) < value < 10**9 else hex(value)  # type: ignore[operator, arg-type]
    if value is ...:
        return "..."
    return f"#{value!r}"


@handles("Call")
def _call(w: Walker, node: ast.Call) -> str | None:
    w.emit("(")
    func = node.func
    callee = HANDLERS[func.__class__](w, func)
    if callee is not None:
        reads = w.reads
        known = reads.get(callee)
        reads[callee] = CALLED | (node.lineno << 8 if known is None else known)
        special = SPECIAL.get(callee[callee.rfind(".") + 1 :])
        if special is not None:
            result = special(w, node, callee)
            if result is not None:
                return result or None
    if callee is None or callee[-1] in ")]":
        w.region.flags |= CALLS_UNKNOWN if w.frame.depth <= 1 else CALLS_UNKNOWN_NESTED
    arguments(w, node, callee)
    if callee is None or "(" in callee or "[" in callee:
        return None
    return callee + "()"


def arguments(w: Walker, node: ast.Call, callee: str | None, *, looked: bool = False, checked: int = -1) -> None:
    """Walk the arguments of a call; the first is only `looked` at, the one numbered `checked` is a check only."""
    if not node.args and not node.keywords:
        w.emit(")")
        return
    inside, mode = w.inside, w.mode
    w.inside = None if callee in _TAKES_NOTHING else callee or "?"
    if mode != CHECK:
        w.mode = READ
    for number, argument in enumerate(node.args):
        if number == checked:
            w.mode = CHECK
        elif looked:
            w.mode = READ if number else LOOKED
        HANDLERS[argument.__class__](w, argument)
    for keyword in node.keywords:
        w.emit(f"{keyword.arg}=" if keyword.arg else "**")
        HANDLERS[keyword.value.__class__](w, keyword.value)
    w.inside, w.mode = inside, mode
    w.emit(")")


# Builtins that do with what they are given what Python itself would: nothing to note about it. `type` stands out, since
# `type(self)(…)` makes another.
_TAKES_NOTHING = frozenset({
    "isinstance", "issubclass", "len", "str", "int", "float", "bool", "repr", "ascii", "print", "id", "hash", "abs",
    "round", "ord", "chr", "callable", "hasattr", "getattr", "setattr", "delattr", "range", "bytes", "complex",
    "divmod", "ValueError", "TypeError", "KeyError", "RuntimeError", "AttributeError", "IndexError", "ImportError",
    "OSError", "Exception", "NotImplementedError", "AssertionError", "super",
})  # fmt: skip


@handles("Starred")
def _starred(w: Walker, node: ast.Starred) -> None:
    w.emit("*:")
    w.visit(node.value)


@handles("Subscript")
def _subscript(w: Walker, node: ast.Subscript) -> str | None:
    w.emit("[")
    value, index = node.value, node.slice
    if value.__class__ is ast.Call and value.func.__class__ is Name and value.func.id == "globals":
        return _global_item(w, index)
    if (module := _module_item(node)) is not None:
        w.emit(module)
        w.reads[module] = w.reads.get(module, node.lineno << 8) | w.mode
        return module
    if index.__class__ is Constant and value.__class__ in (Attribute, Name):
        chain = _constant_item(w, value, index.value)
        if chain is not None:
            return chain or None
    base = HANDLERS[value.__class__](w, value)
    inside, w.inside = w.inside, None
    HANDLERS[index.__class__](w, index)
    w.inside = inside
    return base + "[]" if base is not None and "(" not in base and "[" not in base else None


def _global_item(w: Walker, key: ast.expr) -> str | None:
    """`globals()[key]`: a name like any other if the key is a literal."""
    w.emit("globals()")
    w.visit(key)
    if isinstance(key, Constant) and isinstance(key.value, str) and key.value.isidentifier():
        w.region.reads[key.value] = w.region.reads.get(key.value, key.lineno << 8) | w.mode
        return None
    if w.frame.patterns is None:
        w.frame.patterns = set()
    w.frame.patterns.add(("@globals", *text_ends(w, key), key.lineno))
    return None


def _constant_item(w: Walker, value: Any, key: object) -> str | None:
    """`os.environ["K"]`: "", as it is no chain; None for anything else."""
    chain = chain_of(value) if isinstance(key, str) else None
    if chain is not None and chain.rpartition(".")[2] == "environ":
        w.emit(chain)
        w.emit(repr(key))
        w.region.keys.add((chain, str(key)))
        return ""
    return None


def _module_item(node: ast.Subscript) -> str | None:
    """The module that `sys.modules["name"]` or `sys.modules[__name__]` is, as a chain."""
    if node.value.__class__ is not Attribute or chain_of(node.value) != "sys.modules":
        return None
    key = node.slice
    if isinstance(key, Constant) and isinstance(key.value, str):
        return f"@{key.value}|"
    return OWN_MODULE if isinstance(key, Name) and key.id == "__name__" else None


def chain_of(node: ast.expr) -> str | None:
    """The chain of a dotted name, or of a call or an item of one, without walking it."""
    kind = node.__class__
    if kind is Name:
        return node.id  # type: ignore[attr-defined, no-any-return]
    if kind is Attribute:
        base = chain_of(node.value)  # type: ignore[attr-defined]
        if base is None:
            return None
        return f"{base}{'' if base[-1] == '|' else '.'}{node.attr}"  # type: ignore[attr-defined]
    if kind is ast.Subscript and (module := _module_item(node)) is not None:  # type: ignore[arg-type]
        return module
    if kind is ast.Call or kind is ast.Subscript:
        base = chain_of(node.func if kind is ast.Call else node.value)  # type: ignore[attr-defined]
        if base is not None and "(" not in base and "[" not in base:
            return base + ("()" if kind is ast.Call else "[]")
    return None


@handles("Slice")
def _slice(w: Walker, node: ast.Slice) -> None:
    w.emit("[:")
    for part in (node.lower, node.upper, node.step):
        if part is None:
            w.emit("-:")
        else:
            w.visit(part)


@handles("BoolOp")
def _bool_op(w: Walker, node: ast.BoolOp) -> None:
    w.emit(_OPERATORS[node.op.__class__])
    w.visit_all(node.values)


@handles("BinOp")
def _bin_op(w: Walker, node: ast.BinOp) -> None:
    w.emit(_OPERATORS[node.op.__class__])
    left, right = node.left, node.right
    HANDLERS[left.__class__](w, left)
    HANDLERS[right.__class__](w, right)


@handles("UnaryOp")
def _unary_op(w: Walker, node: ast.UnaryOp) -> None:
    w.emit(_OPERATORS[node.op.__class__] + "1")
    w.visit(node.operand)


@handles("Compare")
def _compare(w: Walker, node: ast.Compare) -> None:
    w.emit("<>")
    left = node.left
    HANDLERS[left.__class__](w, left)
    for operator, right in zip(node.ops, node.comparators):  # noqa: B905 - always of one length, and this is hot
        w.emit(_OPERATORS[operator.__class__])
        HANDLERS[right.__class__](w, right)
    w.emit(";")


@handles("List", "Tuple", "Set")
def _sequence(w: Walker, node: Any) -> None:
    w.emit(f"{node.__class__.__name__}:")
    w.visit_all(node.elts)


@handles("Dict")
def _dict(w: Walker, node: ast.Dict) -> None:
    w.emit("{")
    for key, value in zip(node.keys, node.values):  # noqa: B905 - as above
        if key is None:
            w.emit("**")
        else:
            HANDLERS[key.__class__](w, key)
        HANDLERS[value.__class__](w, value)
    w.emit("}")


@handles("IfExp")
def _if_expression(w: Walker, node: ast.IfExp) -> None:
    w.emit("?:")
    w.visit(node.test)
    w.visit(node.body)
    w.visit(node.orelse)


@handles("JoinedStr", "TemplateStr")
def _joined(w: Walker, node: Any) -> None:
    w.emit(f"{node.__class__.__name__}:")
    w.visit_all(node.values)


@handles("FormattedValue", "Interpolation")
def _formatted(w: Walker, node: Any) -> None:
    w.emit(f"f{node.conversion}:")
    w.visit(node.value)
    if node.format_spec is None:
        w.emit("-:")
    else:
        w.visit(node.format_spec)


@handles("NamedExpr")
def _walrus(w: Walker, node: ast.NamedExpr) -> None:
    w.emit(":=")
    w.emit(node.target.id)
    w.visit(node.value)
    w.frame.owner().bind(node.target.id, UNKNOWN)


@handles("Await", "Yield", "YieldFrom")
def _suspending(w: Walker, node: Any) -> str | None:
    w.emit(f"{node.__class__.__name__}:")
    if w.frame.depth <= 1 and node.__class__ is not ast.Await:
        w.region.flags |= GENERATOR
    if node.value is None:
        w.emit("-:")
    else:
        chain = w.visit(node.value)
        if node.__class__ is ast.Await:
            return chain
        note_return(w, node.value, None if chain is None else part_of(chain)[1:] or None)
    return None


def note_return(w: Walker, value: ast.expr, chain: str | None) -> None:
    """Note what a function gives back: a chain, or something unknown unless it is a literal."""
    frame = w.frame
    if frame.depth > 1 or (chain is None and value.__class__ in (Constant, ast.JoinedStr, ast.Compare, ast.BinOp)):
        return
    if frame.returns is None:
        frame.returns = set()
    frame.returns.add(chain or "?")


def text_ends(w: Walker, node: ast.expr) -> tuple[str, str]:
    """(prefix, suffix) of a computed name; ("$local", "") defers to what a local turns out to hold."""
    if node.__class__ is Name:
        return "$" + node.id, ""
    return ends_of_text(node) or ("", "")
