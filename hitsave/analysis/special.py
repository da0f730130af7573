"""Calls that mean more than a call: getattr and its kin, dynamic imports, exec, isinstance, methods that mutate."""

from __future__ import annotations

import ast
from ast import Constant
from typing import TYPE_CHECKING

from hitsave.analysis.expressions import arguments, chain_of, text_ends
from hitsave.analysis.impurity import UNSEEDED
from hitsave.analysis.literals import is_name
from hitsave.analysis.scopes import BodyFrame
from hitsave.analysis.summary import CHECK, LOOKS, MUTATES_UNKNOWN
from hitsave.analysis.walker import FILENAME, SPECIAL, Walker

if TYPE_CHECKING:
    from collections.abc import Callable

# Methods of the builtin containers (and of most registries) that change their object.
MUTATORS = frozenset({
    "add", "append", "appendleft", "clear", "difference_update", "discard", "extend", "extendleft", "insert",
    "intersection_update", "move_to_end", "pop", "popitem", "popleft", "register", "remove", "reverse", "rotate",
    "setdefault", "sort", "subtract", "symmetric_difference_update", "update", "__setitem__", "__delitem__", "put",
    "put_nowait",
})  # fmt: skip


def _special(*names: str) -> Callable[[Callable[[Walker, ast.Call, str], str | None]], object]:
    def register(handler: Callable[[Walker, ast.Call, str], str | None]) -> object:
        SPECIAL.update(dict.fromkeys(names, handler))
        return handler

    return register


def _builtin(callee: str) -> bool:
    return "." not in callee or callee.startswith("builtins.")


def is_globals(node: ast.expr, w: Walker) -> bool:
    """Is this `globals()`, or what is the same at module level, `vars()` or `locals()`?"""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.args):
        return False
    name = node.func.id
    return name == "globals" or (name in ("vars", "locals") and w.frame.__class__ is BodyFrame)


@_special("update_wrapper")
def _update_wrapper(w: Walker, node: ast.Call, callee: str) -> str | None:
    wrapper = chain_of(node.args[0]) if node.args else None
    if wrapper is not None:
        w.frame.write("~" + wrapper)
    return None


@_special("signature", "getfullargspec", "get_type_hints", "get_annotations", "dataclass")
def _signature(w: Walker, node: ast.Call, callee: str) -> str | None:
    w.region.flags |= LOOKS  # until the whole region has been seen: `looking.looks_at_names`
    return None


@_special("default_rng", "RandomState", "Random")
def _generator(w: Walker, node: ast.Call, callee: str) -> str | None:
    if not node.args and not node.keywords:
        w.reads[f"{callee}.{UNSEEDED}"] = node.lineno << 8 | w.mode
    return None


@_special("super")
def _super(w: Walker, node: ast.Call, callee: str) -> str | None:
    if callee != "super":
        return None
    arguments(w, node, callee, checked=0)
    return "super()"


@_special("isinstance", "issubclass")
def _isinstance(w: Walker, node: ast.Call, callee: str) -> str | None:
    if not _builtin(callee):
        return None
    arguments(w, node, callee, looked=True, checked=1)
    return ""


@_special("type", "id", "callable")
def _type(w: Walker, node: ast.Call, callee: str) -> str | None:
    if not _builtin(callee) or len(node.args) != 1:
        return None
    arguments(w, node, callee, looked=True)
    return callee + "()"


@_special("getattr", "hasattr", "delattr", "setattr")
def _getattr(w: Walker, node: ast.Call, callee: str) -> str | None:
    if not _builtin(callee) or len(node.args) < 2:
        return None
    arguments(w, node, callee, looked=True)
    function = callee.rpartition(".")[2]
    key = node.args[1]
    base = chain_of(node.args[0])
    if isinstance(key, Constant) and isinstance(key.value, str):
        name = key.value
        if function in ("setattr", "delattr"):
            note_store(w, base, name)
            return ""
        if base is None:
            w.region.attributes.add(name)
            return ""
        chain = base + ("" if base[-1] == "|" else ".") + name
        w.reads[chain] = w.reads.get(chain, node.lineno << 8) | w.mode
        return chain if function == "getattr" else ""
    if function in ("setattr", "delattr"):
        note_store(w, base, "*")
        return ""
    _note_pattern(w, base or "", *text_ends(w, key), node.lineno)
    return f"{base}[]" if base is not None else ""


def note_store(w: Walker, base: str | None, name: str) -> None:
    """Note that attribute `name` ("*": a computed one) of `base` (None: something unknown) is set."""
    if base is None:
        w.region.writes.add("." + name)
        w.region.flags |= MUTATES_UNKNOWN
    else:
        w.frame.write(f"~{base}.{name}")


def _note_pattern(w: Walker, receiver: str, prefix: str, suffix: str, line: int) -> None:
    if w.frame.patterns is None:
        w.frame.patterns = set()
    w.frame.patterns.add((receiver, prefix, suffix, line))


@_special("vars", "dir", "locals")
def _vars(w: Walker, node: ast.Call, callee: str) -> str | None:
    if not _builtin(callee):
        return None
    arguments(w, node, callee)
    if is_globals(node, w):
        w.region.opaque.add(("globals", node.lineno))
        return "globals()"
    if not node.args:
        w.region.opaque.add(("locals", node.lineno))
    else:
        # A negative line: the names come in the order of the text (`dir` sorts them).
        line = -node.lineno if callee.endswith("vars") else node.lineno
        _note_pattern(w, chain_of(node.args[0]) or "", "", "", line)
    return ""


@_special("globals")
def _globals(w: Walker, node: ast.Call, callee: str) -> str | None:
    if not _builtin(callee):
        return None
    arguments(w, node, callee)
    w.region.opaque.add(("globals", node.lineno))
    return "globals()"


@_special("exec", "eval")
def _exec(w: Walker, node: ast.Call, callee: str) -> str | None:
    if not _builtin(callee) or not node.args:
        return None
    arguments(w, node, callee)
    code = node.args[0]
    if isinstance(code, Constant) and isinstance(code.value, str):
        try:
            tree = ast.parse(code.value, FILENAME)
        except (SyntaxError, ValueError):
            return ""
        for statement in tree.body:
            w.visit(statement)
    elif len(node.args) > 1 and not is_globals(node.args[1], w):
        w.region.opaque.add(("exec in a namespace", node.lineno))  # sees what it is given, not the module
    else:
        w.region.opaque.add((callee.rpartition(".")[2], node.lineno))
    return ""


@_special("import_module", "__import__")
def _import_module(w: Walker, node: ast.Call, callee: str) -> str | None:
    arguments(w, node, callee)
    if not node.args:
        return ""
    name = node.args[0]
    if isinstance(name, Constant) and isinstance(name.value, str):
        names_given = len(node.args) > 3 or any(keyword.arg == "fromlist" for keyword in node.keywords)
        if callee.endswith("__import__") and not names_given:
            chain = f"@{name.value.partition('.')[0]}|"
            w.reads[f"@{name.value}|"] = node.lineno << 8 | w.mode
        else:
            chain = f"@{name.value}|"
        w.reads[chain] = w.reads.get(chain, node.lineno << 8) | w.mode
        return chain
    _note_pattern(w, "@import", *text_ends(w, name), node.lineno)
    return ""


@_special("find_spec", "find_loader", "version", "distribution")
def _find_spec(w: Walker, node: ast.Call, callee: str) -> str | None:
    """Whether there is such a module or package, and which: it is looked at, not run."""
    name = node.args[0] if node.args else None
    looks = callee.rpartition(".")[2] in ("find_spec", "find_loader") or "metadata." in callee
    if looks and isinstance(name, Constant) and isinstance(name.value, str) and is_name(name.value.lstrip(".")):
        chain = f"@{name.value}|"
        w.reads[chain] = w.reads.get(chain, node.lineno << 8) | CHECK
    return None


@_special("getmembers", "getmembers_static", "classify_class_attrs")
def _getmembers(w: Walker, node: ast.Call, callee: str) -> str | None:
    if node.args:
        _note_pattern(w, chain_of(node.args[0]) or "", "", "", node.lineno)
    return None


@_special("attrgetter", "methodcaller")
def _attrgetter(w: Walker, node: ast.Call, callee: str) -> str | None:
    for number, argument in enumerate(node.args):
        if isinstance(argument, Constant) and isinstance(argument.value, str):
            w.region.attributes.update(argument.value.split("."))
        elif number == 0 or callee.endswith("attrgetter"):
            _note_pattern(w, "", *text_ends(w, argument), node.lineno)
        if callee.endswith("methodcaller"):
            break
    return None


@_special("getenv")
def _getenv(w: Walker, node: ast.Call, callee: str) -> str | None:
    _note_key(w, callee, node)
    return None


def _note_key(w: Walker, callee: str, node: ast.Call) -> None:
    key = node.args[0] if node.args else None
    constant = isinstance(key, Constant) and isinstance(key.value, str)
    w.region.keys.add((callee, key.value if constant else ""))  # type: ignore[union-attr]


@_special("get", "__getitem__", "__contains__")
def _get(w: Walker, node: ast.Call, callee: str) -> str | None:
    if callee.rpartition(".")[0].endswith("environ"):
        _note_key(w, callee.rpartition(".")[0], node)
    return None


@_special(*MUTATORS)
def _mutator(w: Walker, node: ast.Call, callee: str) -> str | None:
    base, _, _ = callee.rpartition(".")
    if base.endswith("environ"):
        _note_key(w, base, node)
    if base and base != "super()":
        w.frame.write("~" + base)
    return None
