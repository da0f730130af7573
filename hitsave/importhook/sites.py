"""Sites: the one thing the hook changes in a module. Gives each decorator of ours its *site*.

    @memo(codec="json")                @memo(codec="json").at_site(("pkg.mod:train", "4f2a…"))
    def train(data): ...        ->     def train(data): ...

A site is (symbol, digest of the source), so a warm process knows what was decorated without reading or parsing
anything. The call is written into the decorator expression, at the decorator's own position: no statement, no name and
no line is added, so tracebacks, debuggers, coverage and doctest see the module as it was written. Every other function
keeps the byte code that plain Python gives it.

An expression is touched only if its name certainly means our decorator: bound exactly once in the whole module, in
whatever scope, by `from hitsave import memo [as m]` or `import hitsave [as h]`, and no star import that could bind it
again. Anything less certain (`try: from hitsave import memo` / `except ImportError: memo = ...`) stays as it is; such a
function finds its source by its code object instead.

The syntax tree comes from the `_ast` extension: importing `ast` costs 5 ms, and nothing here needs it.

Cannot see: a name rebound from outside the module (`mod.memo = ...` before `mod` has run its `def`s), `exec`.
"""

from __future__ import annotations

import _ast

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ast
    from collections.abc import Iterator
    from typing import Any

    Function = ast.FunctionDef | ast.AsyncFunctionDef

DECORATORS = ("memo", "experiment")
PACKAGE = "hitsave"


def write_sites(tree: ast.Module, module: str, digest: str, text: bytes | str = "") -> bool:
    """Write a site into each decorator of ours in `tree`, in place; whether there was one.

    `text` is what the tree was made from: it tells faster than the tree that a name occurs nowhere else.
    """
    decorated: list[tuple[Function, str]] = []
    imports: list[tuple[str, str]] = []
    for node, qualname in statements(tree):
        kind = type(node)
        if kind is _ast.FunctionDef or kind is _ast.AsyncFunctionDef:
            if node.decorator_list:
                decorated.append((node, qualname))
        elif kind is _ast.Import or kind is _ast.ImportFrom:
            imports += imported(node)
    names = _certain_names(imports, decorated, text)
    if names is None:
        names = decorator_names(tree)
    changed = False
    for function, qualname in decorated if names else ():
        for position, decorator in enumerate(function.decorator_list):
            if is_decorator(decorator, names):
                function.decorator_list[position] = at_site(decorator, (f"{module}:{qualname}", digest))
                changed = True
    return changed


def _certain_names(
    imports: list[tuple[str, str]], decorated: list[tuple[Function, str]], text: bytes | str
) -> dict[str, str] | None:
    """What `decorator_names` gives, from the statements alone; None if that takes a look at every expression.

    A name can't be bound elsewhere if the text holds it no more often than there are an import and decorators of that
    name. To look at every expression takes as long as to compile the module.
    """
    names = {name: meaning for name, meaning in imports if meaning}
    bound = [name for name, _ in imports]
    if "*" in bound:
        return {}
    # Python folds compatibility characters in names; and some encodings write a letter in more than one way.
    if not text or not text.isascii() or (b"coding" in text if isinstance(text, bytes) else "coding" in text):
        return None
    uses = dict.fromkeys(names, 1)
    for function, _ in decorated:
        for decorator in function.decorator_list:
            if is_decorator(decorator, names):
                uses[_root(decorator)] += 1
    for name, expected in uses.items():
        found = text.count(name.encode()) if isinstance(text, bytes) else text.count(name)
        if found != expected or bound.count(name) != 1:
            return None
    return names


def _root(expression: ast.expr) -> str:
    """`h` of `h.memo(x)`."""
    while not isinstance(expression, _ast.Name):
        expression = expression.func if isinstance(expression, _ast.Call) else expression.value  # type: ignore[attr-defined]
    return expression.id


def at_site(decorator: ast.expr, site: tuple[str, str]) -> ast.expr:
    """The expression `decorator.at_site(site)`, located where `decorator` is."""
    where: dict[str, Any] = {name: getattr(decorator, name) for name in ("lineno", "col_offset", "end_lineno")}
    where["end_col_offset"] = decorator.end_col_offset
    if where["end_lineno"] != where["lineno"]:
        # Of a method call over several lines, Python takes the *last* one for the line of the method, and a debugger
        # would stop at the closing bracket.
        where["end_lineno"], where["end_col_offset"] = where["lineno"], where["col_offset"] + 1
    method = _ast.Attribute(decorator, "at_site", _ast.Load(), **where)
    return _ast.Call(method, [constant(site, where)], [], **where)


def constant(value: object, where: dict[str, Any]) -> ast.expr:
    """A constant expression; a tuple is one for the compiler, though no source text makes it."""
    return _ast.Constant(value, **where)  # type: ignore[arg-type]


def is_decorator(expression: ast.expr, names: dict[str, str]) -> bool:
    """Whether the expression is one of our decorators, plain or called; `names` as from `decorator_names`."""
    if isinstance(expression, _ast.Call):
        expression = expression.func
    if isinstance(expression, _ast.Name):
        return names.get(expression.id) in DECORATORS
    return (
        isinstance(expression, _ast.Attribute)
        and expression.attr in DECORATORS
        and isinstance(expression.value, _ast.Name)
        and names.get(expression.value.id) == PACKAGE
    )


def decorator_names(tree: ast.Module) -> dict[str, str]:
    """{name: "hitsave", "memo" or "experiment"} for each name that means it wherever it is bound in the module."""
    names: dict[str, str] = {}
    bound: dict[str, int] = {}
    for name, meaning in bindings(tree):
        if name == "*":
            return {}
        bound[name] = bound.get(name, 0) + 1
        if meaning:
            names[name] = meaning
    return {name: meaning for name, meaning in names.items() if bound[name] == 1}


def bindings(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """(name, meaning) for each place in `tree` that binds, deletes or declares a name, in any scope.

    The meaning is "hitsave", "memo" or "experiment" for an import of it, "" for everything else. A star import gives
    the name "*".
    """
    for node in walk(tree):
        if isinstance(node, _ast.Name):
            if not isinstance(node.ctx, _ast.Load):
                yield node.id, ""
        elif isinstance(node, (_ast.Import, _ast.ImportFrom)):
            yield from imported(node)
        elif isinstance(node, _ast.arg):
            yield node.arg, ""
        elif isinstance(node, (_ast.FunctionDef, _ast.AsyncFunctionDef, _ast.ClassDef)):
            yield node.name, ""
        elif isinstance(node, (_ast.Global, _ast.Nonlocal)):
            yield from ((name, "") for name in node.names)
        elif not isinstance(node, _ast.alias):
            # `except E as name`, captures of `match`, type parameters: all keep a plain string in `name` or `rest`.
            for field in ("name", "rest"):
                name = getattr(node, field, None)
                if isinstance(name, str):
                    yield name, ""


def imported(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
    """(name, meaning) of each name that an import statement binds, as `bindings` gives them."""
    for alias in node.names:
        if isinstance(node, _ast.ImportFrom):
            ours = node.module == PACKAGE and not node.level and alias.name in DECORATORS
            yield alias.asname or alias.name, alias.name if ours else ""
        else:
            top = alias.name.partition(".")[0]
            ours = top == PACKAGE and (alias.name == top or not alias.asname)
            yield alias.asname or top, PACKAGE if ours else ""


def walk(tree: ast.AST) -> Iterator[ast.AST]:
    """`tree` and every node below it, in no particular order."""
    pending = [tree]
    while pending:
        node = pending.pop()
        yield node
        for field in node._fields:
            value = getattr(node, field, None)
            if isinstance(value, list):
                pending.extend([item for item in value if isinstance(item, _ast.AST)])
            elif isinstance(value, _ast.AST):
                pending.append(value)


# Where statements stand in a statement, an `except` clause or a `case`.
_BLOCKS = ("body", "orelse", "handlers", "finalbody", "cases")


def statements(tree: ast.Module) -> Iterator[tuple[Any, str]]:
    """Each statement in `tree`, in no particular order, with its qualified name if it is a function or class.

    The name is what Python's `__qualname__` has; of another statement it means nothing.
    """
    pending: list[tuple[Any, str]] = [(node, "") for node in tree.body]
    while pending:
        node, prefix = pending.pop()
        kind = type(node)
        inside = prefix
        if kind is _ast.FunctionDef or kind is _ast.AsyncFunctionDef:
            prefix += node.name
            inside = f"{prefix}.<locals>."
        elif kind is _ast.ClassDef:
            prefix += node.name
            inside = f"{prefix}."
        yield node, prefix
        for field in _BLOCKS:
            below = getattr(node, field, None)
            if below:
                pending += [(each, inside) for each in below]


def functions(tree: ast.Module) -> Iterator[tuple[Function, str]]:
    """Each function definition in `tree` with its qualified name."""
    return ((node, name) for node, name in statements(tree) if isinstance(node, _FUNCTIONS))


_FUNCTIONS = (_ast.FunctionDef, _ast.AsyncFunctionDef)
