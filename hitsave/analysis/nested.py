"""Scopes inside a function: lambdas, comprehensions, nested functions and classes; signatures and annotations."""

from __future__ import annotations

import ast
from ast import Name
from typing import Any

from hitsave.analysis.annotations import annotate_parameters, type_parameters
from hitsave.analysis.chains import part_of
from hitsave.analysis.scopes import INNER, PARAMETER, RECEIVER, UNKNOWN
from hitsave.analysis.statements import block
from hitsave.analysis.summary import CALLED
from hitsave.analysis.walker import Walker, handles


@handles("Lambda")
def _lambda(w: Walker, node: ast.Lambda) -> None:
    w.emit("lambda:")
    parameters(w, node.args)
    saved = w.enter()
    bind_parameters(w, node.args, receiver=False)
    w.visit(node.body)
    w.leave(saved)


@handles("ListComp", "SetComp", "GeneratorExp")
def _comprehension(w: Walker, node: Any) -> None:
    w.emit(f"{node.__class__.__name__}:")
    saved = _enter_generators(w, node.generators)
    w.visit(node.elt)
    w.leave(saved)


@handles("DictComp")
def _dict_comprehension(w: Walker, node: ast.DictComp) -> None:
    w.emit("{:")
    saved = _enter_generators(w, node.generators)
    w.visit(node.key)
    w.visit(node.value)
    w.leave(saved)


def _enter_generators(w: Walker, generators: list[ast.comprehension]) -> Any:
    chain = w.visit(generators[0].iter)  # the first iterable belongs to the scope around
    saved = w.enter(is_function=False)
    w.frame.is_comprehension = True
    w.inside = saved[3]
    for number, generator in enumerate(generators):
        w.emit("async.for" if generator.is_async else "for.")
        if number:
            chain = w.visit(generator.iter)
        bind_target(w, generator.target, part_of(chain))
        w.visit_all(generator.ifs)
    return saved


def bind_target(w: Walker, target: Any, held: str) -> None:
    """Bind the target of a comprehension."""
    if target.__class__ is Name:
        w.emit(target.id)
        w.frame.bind(target.id, held)
    elif target.__class__ in (ast.Tuple, ast.List):
        w.emit("(,")
        for element in target.elts:
            bind_target(w, element, held)
        w.emit(";")
    elif target.__class__ is ast.Starred:
        w.emit("*:")
        bind_target(w, target.value, held)
    else:
        w.visit(target)


def parameters(w: Walker, node: ast.arguments) -> None:
    """Tokens of a signature; defaults count in the scope around. Annotations go to the walker's annotations."""
    emit = w.emit
    positional = node.posonlyargs + node.args
    first_default = len(positional) - len(node.defaults)
    for number, parameter in enumerate(positional):
        emit(parameter.arg)
        if number >= first_default:
            emit("=")
            w.visit(node.defaults[number - first_default])
        if number == len(node.posonlyargs) - 1:
            emit("/:")
    if node.vararg is not None:
        emit("*" + node.vararg.arg)
    elif node.kwonlyargs:
        emit("*:")
    for parameter, default in zip(node.kwonlyargs, node.kw_defaults):  # noqa: B905 - as above
        emit(parameter.arg)
        if default is not None:
            emit("=")
            w.visit(default)
    if node.kwarg is not None:
        emit("**" + node.kwarg.arg)
    emit(";")


def bind_parameters(w: Walker, node: ast.arguments, *, receiver: bool) -> None:
    """Bind the parameters in the scope just entered; the first is `self` or `cls` if `receiver`."""
    bound = w.frame.bound
    for parameter in node.posonlyargs + node.args + node.kwonlyargs:
        bound[parameter.arg] = PARAMETER
    for variable in (node.vararg, node.kwarg):
        if variable is not None:
            bound[variable.arg] = PARAMETER
    if receiver and (first := (node.posonlyargs + node.args)[:1]):
        bound[first[0].arg] = RECEIVER


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
