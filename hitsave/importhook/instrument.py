"""`Patterns`: functions to memoise that carry no decorator, named in the settings.

    [tool.hitsave.instrument]
    memo = ["mypkg.etl:load_*", "mypkg.models:Model.predict"]
    experiment = ["mypkg.train:*"]

A pattern is `module:qualified name`; `*` stands for any text and `?` for one character. Left as they are: functions
that one of our decorators stands on already, nested functions, generators, dunder methods, setters, overloads. Each
pattern remembers what it matched, so that one without effect can be reported.

The decorator goes next to the `def`, below any other, at the `def`'s own line (where the function starts, for Python,
is the line of its first decorator). It must not need a name in the module, hence `__import__("hitsave").memo`.
"""

from __future__ import annotations

import _ast

from hitsave.importhook.patterns import matches
from hitsave.importhook.sites import DECORATORS, bindings, constant, functions
from hitsave.parsing import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ast
    from collections.abc import Iterator
    from typing import Any

    Function = ast.FunctionDef | ast.AsyncFunctionDef


def instrument(tree: ast.Module, module: str, digest: str, patterns: tuple[tuple[str, str], ...]) -> bool:
    """Decorate the functions of `tree` that a (kind, pattern) means and that carry none of ours; whether any."""
    if not patterns:
        return False
    ours = {name for name, meaning in bindings(tree) if meaning in DECORATORS}
    changed = False
    for function, qualname in functions(tree):
        kind = kind_for(module, qualname, patterns)
        if kind and may_decorate(function, qualname, ours):
            function.decorator_list.append(decorator(kind, (f"{module}:{qualname}", digest), function))
            changed = True
    return changed


def meant(pattern: str, module: str, data: bytes) -> bool:
    """Whether `pattern` means a function in this module's text; one with a decorator of ours already counts."""
    module_pattern, _, name_pattern = pattern.partition(":")
    if not matches(module_pattern, module):
        return False
    tree = parse(data, "<pattern>")
    return any(matches(name_pattern, qualname) and "<locals>" not in qualname for _, qualname in functions(tree))


def kind_for(module: str, qualname: str, patterns: tuple[tuple[str, str], ...]) -> str:
    """What `qualname` is to be decorated with: the kind of the first pattern that means it, or ""."""
    for kind, pattern in patterns:
        module_pattern, _, name_pattern = pattern.partition(":")
        if matches(module_pattern, module) and matches(name_pattern, qualname):
            return kind
    return ""


def decorator(kind: str, site: tuple[str, str], function: Function) -> ast.expr:
    """The expression `__import__("hitsave").<kind>.at_site(site)`, located at the first word of `function`."""
    where: dict[str, Any] = {
        "lineno": function.lineno,
        "col_offset": function.col_offset,
        "end_lineno": function.lineno,
        "end_col_offset": function.col_offset + len("def"),
    }
    load = _ast.Load()
    package = _ast.Call(_ast.Name("__import__", load, **where), [constant("hitsave", where)], [], **where)
    method = _ast.Attribute(_ast.Attribute(package, kind, load, **where), "at_site", load, **where)
    return _ast.Call(method, [constant(site, where)], [], **where)


def may_decorate(function: Function, qualname: str, ours: set[str]) -> bool:
    """Whether `function` can be memoised without a word from its author; `ours` are further names of our decorators."""
    name = function.name
    if "<locals>" in qualname or (name.startswith("__") and name.endswith("__")):
        return False
    if any(_last_name(decorator) in ours.union(_KEEP_OFF) for decorator in function.decorator_list):
        return False
    return not any(isinstance(node, (_ast.Yield, _ast.YieldFrom)) for node in _own_nodes(function))


# The last word of a decorator beside which ours has no place: ours are there already, and what stands below the others
# is no function that anybody calls for its result.
_KEEP_OFF = ("memo", "experiment", "setter", "deleter", "overload", "abstractmethod", "contextmanager", "fixture")


def _last_name(expression: ast.expr) -> str:
    if isinstance(expression, _ast.Call):
        expression = expression.func
    if isinstance(expression, _ast.Attribute):
        return expression.attr
    return expression.id if isinstance(expression, _ast.Name) else ""


def _own_nodes(function: Function) -> Iterator[ast.AST]:
    """The nodes of the body that run as part of `function`, not of a function or class inside it."""
    pending: list[ast.AST] = [*function.body]
    while pending:
        node = pending.pop()
        yield node
        if isinstance(node, (_ast.FunctionDef, _ast.AsyncFunctionDef, _ast.ClassDef, _ast.Lambda)):
            continue
        for field in node._fields:
            value = getattr(node, field, None)
            if isinstance(value, list):
                pending.extend([item for item in value if isinstance(item, _ast.AST)])
            elif isinstance(value, _ast.AST):
                pending.append(value)
