"""Which parts of a module an edit touches, and whether each is of a kind that can be exchanged in place.

Both texts are taken apart into *items*: functions, classes, values and other statements. What is between the functions
must be equal, statement by statement and in order; functions are matched by their qualified name. What is on the safe
list becomes part of an `Edit`; anything else is a `Refusal`, and then nothing of the module is exchanged.

Cannot see: whether somebody used what is about to change. `reliance.py` looks at that.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from typing import TypeAlias

from hitsave.importhook.sites import decorator_names, is_decorator
from hitsave.live.events import Refusal
from hitsave.parsing import parse
from hitsave.record import Record
from hitsave.source import Source
from hitsave.symbol import symbol

FunctionNode: TypeAlias = "ast.FunctionDef | ast.AsyncFunctionDef"
RESTART = "restart, or hitsave.reload({module!r}) if nothing holds on to what it made before"
# Methods that shape what exists already, or that Python looks up in ways of its own.
SAFE_DUNDERS = frozenset(("__call__", "__repr__", "__str__", "__len__", "__iter__", "__next__", "__getitem__"))


class Edit(Record):
    """What to exchange in one module.

    `functions` are the qualified names of functions whose code or defaults differ, `documented` of those where only the
    documentation does; all others have at most moved. `defaults` are those with other defaults. `added` are new
    functions, `constants` (name, value before, value now).
    """

    functions: tuple[str, ...]
    documented: tuple[str, ...]
    defaults: frozenset[str]
    added: tuple[str, ...]
    constants: tuple[tuple[str, object, object], ...]


class Comparison:
    """Compares two texts of one module; `edit` and `refusals` are the outcome."""

    def __init__(self, old: Source, new: Source) -> None:
        self.module = new.module
        self.old = parse(old.data, old.path)
        self.new = parse(new.data, new.path)
        self.refusals: list[Refusal] = []
        self._ours = decorator_names(self.new)
        self._ours_before = decorator_names(self.old)
        self._functions: list[str] = []
        self._documented: list[str] = []
        self._defaults: set[str] = set()
        self._added: list[str] = []
        self._constants: list[tuple[str, object, object]] = []
        self._compare_modules()

    @property
    def edit(self) -> Edit:
        """What can be exchanged; only meant if there are no refusals."""
        return Edit(
            tuple(self._functions),
            tuple(self._documented),
            frozenset(self._defaults),
            tuple(self._added),
            tuple(self._constants),
        )

    # -- modules -----------------------------------------------------------------------------------------------------

    def _compare_modules(self) -> None:
        old, new = self._plain(self.old, self._ours_before), self._plain(self.new, self._ours)
        gone = [name for name in old if name not in new]
        for name in gone:
            self._refuse(name, 0, self._why_gone(name))
        self._compare_rest(list(self._rest(self.old, old)), list(self._rest(self.new, new)))
        for name, node in new.items():
            if name in old:
                self._compare_functions(name, old[name], node)
            elif self._is_new(name):
                self._added.append(name)
                if self._is_noticed(name):
                    self._refuse(name, node.lineno, "it is new, and statements at the top level may look for its name")
                elif not _all_literal(node) or _has_annotations(node):
                    self._refuse(name, node.lineno, "it is new, and its defaults or annotations have to be computed")
            elif not any(each.symbol == symbol(self.module, name) for each in self.refusals):
                self._refuse(name, node.lineno, "it was something else before")

    def _why_gone(self, name: str) -> str:
        still = [n for n in ast.walk(self.new) if isinstance(n, FUNCTIONS + (ast.ClassDef,)) and n.name == name]
        if not still:
            return "it was removed or renamed; other code may still hold or name it"
        if isinstance(still[0], FUNCTIONS) and still[0].decorator_list:
            return "a decorator was added, which would have to run"
        return "it is defined more than once, or under a condition"

    def _is_noticed(self, name: str) -> bool:
        """Whether what runs at import may notice that there is a function of that name now."""
        for node in self._import_time():
            if isinstance(node, ast.Name) and node.id in (name, "dir", "globals", "locals", "vars", "eval", "exec"):
                return True
            if isinstance(node, ast.Constant) and node.value == name:
                return True
        return False

    def _import_time(self) -> Iterator[ast.AST]:
        pending: list[ast.AST] = list(self.new.body)
        while pending:
            node = pending.pop()
            yield node
            if isinstance(node, FUNCTIONS):
                pending += [*node.decorator_list, *_defaults(node).values()]
            else:
                pending.extend(ast.iter_child_nodes(node))

    def _is_new(self, name: str) -> bool:
        return not any(found == name for found in _bound_names(self.old))

    def _plain(self, tree: ast.Module, ours: dict[str, str]) -> dict[str, FunctionNode]:
        """The top-level functions that are defined once and have no decorator but ours."""
        counts = Counter(_bound_names(tree))
        return {
            node.name: node
            for node in tree.body
            if isinstance(node, FUNCTIONS)
            and counts[node.name] == 1
            and all(is_decorator(decorator, ours) for decorator in node.decorator_list)
        }

    def _rest(self, tree: ast.Module, plain: dict[str, FunctionNode]) -> Iterator[ast.stmt]:
        for position, node in enumerate(tree.body):
            is_doc = position == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            if not is_doc and not (isinstance(node, FUNCTIONS) and plain.get(node.name) is node):
                yield node

    def _compare_rest(self, old: list[ast.stmt], new: list[ast.stmt]) -> None:
        if [_label(node) for node in old] != [_label(node) for node in new]:
            for node in _odd_ones(old, new):
                self._refuse(_name_of(node), node.lineno, _what_changed(node))
            if not self.refusals:
                self._refuse("<module>", 1, "its top-level statements have another order")
            return
        for before, after in zip(old, new, strict=True):
            if isinstance(after, ast.ClassDef) and isinstance(before, ast.ClassDef):
                self._compare_classes(before, after)
            elif _dump(before) != _dump(after):
                self._compare_values(before, after)

    def _compare_values(self, old: ast.stmt, new: ast.stmt) -> None:
        before, after = _literal_assignment(old), _literal_assignment(new)
        if before is None or after is None:
            self._refuse(_name_of(new), new.lineno, _what_changed(new))
            return
        name, value = after
        if Counter(_bound_names(self.new))[name] != 1 or name.startswith("__"):
            self._refuse(name, new.lineno, "it is bound in several places, or has a meaning for Python")
        else:
            self._constants.append((name, before[1], value))

    # -- classes -----------------------------------------------------------------------------------------------------

    def _compare_classes(self, old: ast.ClassDef, new: ast.ClassDef) -> None:
        if _dump(old) == _dump(new):
            return
        if _dump(_header(old)) != _dump(_header(new)):
            self._refuse(new.name, new.lineno, "the bases, keywords or decorators of the class changed")
            return
        if new.decorator_list or new.keywords:
            self._refuse(new.name, new.lineno, "the class is made by a decorator or metaclass")
            return
        before, after = _methods(old), _methods(new)
        if list(map(_member, _members(old))) != list(map(_member, _members(new))):
            self._refuse(new.name, new.lineno, "an attribute, or the set of methods, of the class changed")
            return
        for name, node in after.items():
            if _dump(before[name]) == _dump(node):
                continue
            qualname = f"{new.name}.{name}"
            if name.startswith("__") and name.endswith("__") and name not in SAFE_DUNDERS:
                self._refuse(qualname, node.lineno, "it has shaped objects that exist already")
            else:
                self._compare_functions(qualname, before[name], node)

    # -- functions ---------------------------------------------------------------------------------------------------

    def _compare_functions(self, qualname: str, old: FunctionNode, new: FunctionNode) -> None:
        if _dump(old) == _dump(new):
            return
        decorators = list(map(_dump, new.decorator_list))
        if decorators != list(map(_dump, old.decorator_list)):
            self._refuse(qualname, new.lineno, "its decorators changed, which would have to run again")
        elif not all(is_decorator(decorator, self._ours) for decorator in new.decorator_list):
            self._refuse(qualname, new.lineno, "a decorator that isn't ours made something of it")
        elif type(old) is not type(new) or _type_parameters(old) != _type_parameters(new):
            self._refuse(qualname, new.lineno, "it is another kind of function now")
        elif _signature(old) != _signature(new):
            self._refuse(qualname, new.lineno, "its parameters changed")
        elif _annotations(old) != _annotations(new):
            self._refuse(qualname, new.lineno, "its annotations changed, which others may have read")
        else:
            self._compare_defaults(qualname, old, new)
            same = _without_doc(old) == _without_doc(new) and qualname not in self._defaults
            (self._documented if same else self._functions).append(qualname)

    def _compare_defaults(self, qualname: str, old: FunctionNode, new: FunctionNode) -> None:
        before, after = _defaults(old), _defaults(new)
        if before.keys() != after.keys():
            self._refuse(qualname, new.lineno, "a parameter gained or lost its default")
            return
        for name, default in after.items():
            if _dump(before[name]) != _dump(default):
                self._defaults.add(qualname)
                if not (_is_literal(default) and _is_literal(before[name])):
                    self._refuse(qualname, default.lineno, f"the default of {name!r} has to be computed")

    def _refuse(self, qualname: str, line: int, reason: str) -> None:
        remedy = RESTART.format(module=self.module)
        self.refusals.append(Refusal(symbol(self.module, qualname), line, reason, remedy))


# -- nodes -----------------------------------------------------------------------------------------------------------

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def _dump(node: ast.AST) -> str:
    return ast.dump(node)


def _bound_names(tree: ast.Module) -> Iterator[str]:
    """Every name that the module's own statements bind, once per binding; and those that functions rebind."""
    pending: list[ast.AST] = list(tree.body)
    while pending:
        node = pending.pop()
        if isinstance(node, FUNCTIONS + (ast.ClassDef,)):
            yield node.name
            for inner in ast.walk(node):
                if isinstance(inner, ast.Global):
                    yield from inner.names
            continue
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        if not isinstance(node, ast.Lambda):
            pending.extend(ast.iter_child_nodes(node))


def _label(node: ast.stmt) -> str:
    """What identifies a statement among others, leaving out what may be exchanged in it."""
    if isinstance(node, ast.ClassDef):
        return f"class {node.name}"
    literal = _literal_assignment(node)
    return f"constant {literal[0]}" if literal is not None else _dump(node)


def _odd_ones(old: list[ast.stmt], new: list[ast.stmt]) -> list[ast.stmt]:
    """Statements of one text that the other doesn't have; of the old one only where the new has nothing to show."""
    before, after = Counter(map(_label, old)), Counter(map(_label, new))
    odd = [node for node in new if after[_label(node)] > before[_label(node)]]
    return odd or [node for node in old if before[_label(node)] > after[_label(node)]]


def _name_of(node: ast.stmt) -> str:
    if isinstance(node, FUNCTIONS + (ast.ClassDef,)):
        return node.name
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return targets[0].id if isinstance(targets[0], ast.Name) else "<module>"


def _what_changed(node: ast.stmt) -> str:
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return "an import changed"
    if isinstance(node, ast.ClassDef):
        return "a class was added, removed or moved"
    if isinstance(node, FUNCTIONS):
        if node.decorator_list:
            return "its decorator would have to run again"
        return "it is defined more than once, or under a condition"
    if isinstance(node, (ast.Assign, ast.AnnAssign)):
        return "its value has to be computed again"
    return "a statement at the top level changed, which would have to run again"


def _literal_assignment(node: ast.stmt) -> tuple[str, object] | None:
    """(name, value) of `NAME = <immutable literal>`; None for any other statement."""
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target: ast.expr = node.targets[0]
    elif isinstance(node, ast.AnnAssign) and node.value is not None:
        target = node.target
    else:
        return None
    if not isinstance(target, ast.Name) or node.value is None or not _is_literal(node.value):
        return None
    return target.id, ast.literal_eval(node.value)


def _is_literal(node: ast.expr) -> bool:
    """Whether the expression is an immutable literal."""
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant)
    if isinstance(node, ast.Tuple):
        return all(map(_is_literal, node.elts))
    return isinstance(node, ast.Constant)


def _header(node: ast.ClassDef) -> ast.ClassDef:
    parts = {field: getattr(node, field) for field in node._fields}
    return ast.ClassDef(**{**parts, "body": []})


def _members(node: ast.ClassDef) -> list[ast.stmt]:
    doc = ast.get_docstring(node, clean=False) is not None
    return node.body[1:] if doc else node.body


def _methods(node: ast.ClassDef) -> dict[str, FunctionNode]:
    """The undecorated or memoised methods that stand in plain sight; the last of a name, as Python has it."""
    return {each.name: each for each in node.body if isinstance(each, FUNCTIONS)}


def _member(node: ast.stmt) -> str:
    return f"def {node.name}" if isinstance(node, FUNCTIONS) else _dump(node)


def _without_doc(node: FunctionNode) -> list[str]:
    return list(map(_dump, node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body))


def _signature(node: FunctionNode) -> list[object]:
    arguments = node.args
    return [
        [each.arg for each in arguments.posonlyargs],
        [each.arg for each in arguments.args],
        [each.arg for each in arguments.kwonlyargs],
        getattr(arguments.vararg, "arg", None),
        getattr(arguments.kwarg, "arg", None),
    ]


def _annotations(node: FunctionNode) -> list[str]:
    found = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
    parts = [each.annotation for each in found if each is not None]
    return [_dump(part) if part is not None else "" for part in (*parts, node.returns)]


def _has_annotations(node: FunctionNode) -> bool:
    return any(_annotations(node))


def _type_parameters(node: FunctionNode) -> list[str]:
    return [_dump(each) for each in getattr(node, "type_params", [])]


def _defaults(node: FunctionNode) -> dict[str, ast.expr]:
    """{parameter: its default}."""
    positional = [*node.args.posonlyargs, *node.args.args]
    with_default = positional[len(positional) - len(node.args.defaults) :]
    found = {each.arg: default for each, default in zip(with_default, node.args.defaults, strict=True)}
    for each, keyword_default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
        if keyword_default is not None:
            found[each.arg] = keyword_default
    return found


def _all_literal(node: FunctionNode) -> bool:
    return all(map(_is_literal, _defaults(node).values()))


def literal_defaults(tree: ast.Module, qualname: str) -> dict[str, object]:
    """{parameter: value} of the defaults of a function that are literals."""
    first, _, rest = qualname.partition(".")
    body: list[ast.stmt] = tree.body
    if rest:
        body = next(node.body for node in body if isinstance(node, ast.ClassDef) and node.name == first)
    found = [node for node in body if isinstance(node, FUNCTIONS) and node.name == (rest or first)]
    return {name: ast.literal_eval(node) for name, node in _defaults(found[-1]).items() if _is_literal(node)}
