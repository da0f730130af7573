"""The trace of a call: what its result is made from, found by running it. Independent of hitsave, and simpler.

    ran     every function of the project that ran, by its normalised definition (no docstrings, annotations, positions)
    read    what these name at module level: constants and what made them (what was called for it and ran at import
            counts whole), classes by shape (bases, decorators, keywords, names and constants in the body; signatures of
            methods, unless the class is only tested for), functions that did not run by signature, defaults and
            decorators; imports by what they lead to

Two commits with the same trace of a call must give the same answer, as far as no state or file is involved.
"""

from __future__ import annotations

import ast
import hashlib
import os
import sys
from functools import cache
from pathlib import Path


def _flat(body: list[ast.stmt]):
    """Statements, those inside compound ones in place of these, and the tests of `if` and `while`."""
    for statement in body:
        if isinstance(statement, (ast.If, ast.Try, ast.With, ast.For, ast.While)):
            if isinstance(statement, (ast.If, ast.While)):
                yield statement.test
            for part in ("body", "orelse", "finalbody"):
                yield from _flat(getattr(statement, part, []))
            for handler in getattr(statement, "handlers", []):
                yield from _flat(handler.body)
        else:
            yield statement


class Text:
    """A module's top-level names and definitions, read from its file."""

    def __init__(self, path: str) -> None:
        self.tree = ast.parse(Path(path).read_bytes())
        self.named: dict[str, list[ast.stmt]] = {}  # qualified name -> statements that bind it
        for statement in self._statements(self.tree.body):
            self._add(statement, "")

    @staticmethod
    def _statements(body: list[ast.stmt]):
        return (one for one in _flat(body) if isinstance(one, ast.stmt))

    def _add(self, statement: ast.stmt, prefix: str) -> None:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            self.named.setdefault(prefix + statement.name, []).append(statement)
        elif isinstance(statement, ast.ClassDef):
            self.named.setdefault(prefix + statement.name, []).append(statement)
            for inner in self._statements(statement.body):
                self._add(inner, f"{prefix}{statement.name}.")
        elif isinstance(statement, (ast.Import, ast.ImportFrom)):
            for alias in statement.names:
                self.named.setdefault(prefix + (alias.asname or alias.name.partition(".")[0]), []).append(statement)
        else:
            for node in ast.walk(statement):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    self.named.setdefault(prefix + node.id, []).append(statement)


class Normalise(ast.NodeTransformer):
    """Takes away docstrings and annotations."""

    def visit_FunctionDef(self, node):
        self.generic_visit(node)
        node.returns = None
        node.body = _without_texts(node.body)
        return node

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_ClassDef(self, node):
        self.generic_visit(node)
        node.body = _without_texts(node.body)
        return node

    def visit_Constant(self, node):
        node.kind = None  # u"" is ""
        return node

    def visit_arg(self, node):
        node.annotation = None
        return node

    def visit_AnnAssign(self, node):
        self.generic_visit(node)
        if node.value is None:
            return None
        return ast.Assign([node.target], node.value, lineno=0)


def _without_texts(body):
    """Without docstrings, those of attributes included: strings that stand alone."""
    kept = [
        one
        for one in body
        if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant) and isinstance(one.value.value, str))
    ]
    return kept or [ast.Pass()]


_TESTS = ("isinstance", "issubclass")
_texts: dict[str, Text | None] = {}


def _text(path: str) -> Text | None:
    if path not in _texts:
        _texts[path] = Text(path) if Path(path).is_file() else None
    return _texts[path]


# The trees come from `_texts`, so they are alive and the same for all calls: what follows from one is worked out once.


@cache
def _normalised(statement: ast.stmt) -> ast.Module:
    return Normalise().visit(ast.parse(ast.unparse(statement)))


@cache
def _digest(node: ast.AST) -> str:
    return hashlib.sha1(ast.dump(node).encode()).hexdigest()[:12]


@cache
def _head(statement: ast.stmt) -> ast.Tuple:
    function = _normalised(statement).body[0]
    return ast.Tuple([function.args, *function.decorator_list], ast.Load())


@cache
def _shape(statement: ast.ClassDef, tested: bool) -> tuple[ast.Module, list[ast.AST]]:
    """What counts of a class, and of that what was executed to make it."""
    clean = _normalised(statement).body[0]
    made = [*clean.bases, *clean.keywords, *clean.decorator_list]
    methods: list[ast.AST] = []
    for one in _flat(clean.body):
        if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef)):
            methods += [ast.Constant(one.name)]
            methods += [] if tested else [one.args, *one.decorator_list]
        else:
            made.append(one)
    return ast.Module([*made, *methods], []), made


@cache
def _nodes(tree: ast.AST) -> list[ast.AST]:
    kinds = (ast.Name, ast.Attribute, ast.ImportFrom)
    return [node for node in ast.walk(tree) if isinstance(node, kinds)]


@cache
def _called(tree: ast.AST) -> set[int]:
    """The nodes of names that are called, or given to something that is."""
    return {id(node) for call in ast.walk(tree) if isinstance(call, ast.Call) for node in ast.walk(call)}


@cache
def _tested(tree: ast.AST) -> set[int]:
    """The nodes of names of classes that are only tested for: in `isinstance` and `except`."""
    found: list[ast.AST] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and node.type is not None:
            found.append(node.type)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _TESTS:
            found += node.args[1:]
    return {id(node) for one in found for node in ast.walk(one)}


class Trace:
    """Collects what functions that ran lead to."""

    def __init__(self, folder: str, at_import: set[tuple[str, str]]) -> None:
        self.folder = folder
        self.at_import = at_import  # (file, qualified name) of functions that ran when modules were imported
        self.items: dict[str, str] = {}
        self._followed: set[tuple[str, str, bool, bool]] = set()

    def ran(self, path: str, qualname: str) -> None:
        """A function of the project ran."""
        text = _text(path)
        outer = qualname.partition(".<locals>")[0]
        for statement in (text.named.get(outer) or []) if text else []:
            self._whole(path, outer, statement)
        owner = outer.rpartition(".")[0]
        if owner:
            self._read(path, owner)

    def _note(self, kind: str, path: str, name: str, node: ast.AST) -> bool:
        key = f"{kind} {os.path.relpath(path, self.folder)}:{name}"
        digest = _digest(node)
        if digest in self.items.get(key, ""):
            return False
        self.items[key] = self.items.get(key, "") + digest
        return True

    def _whole(self, path: str, name: str, statement: ast.stmt) -> None:
        clean = _normalised(statement)
        if self._note("ran", path, name, clean):
            self._names(path, clean)

    def _names(self, path: str, tree: ast.AST, *, called: bool = False) -> None:
        """Everything at module level that a tree names; with `called`, what it calls may have run at import."""
        calls, tests = _called(tree) if called else set(), _tested(tree)
        if called and isinstance(tree, ast.expr):
            calls = calls | {id(tree)}  # a decorator or base
        for node in _nodes(tree):
            how = {"called": id(node) in calls, "tested": id(node) in tests}
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                self._read(path, node.id, **how)
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                target = self._module(path, node.value.id)
                if target:
                    self._read(target, node.attr, **how)
            elif isinstance(node, ast.ImportFrom):
                self._import(path, node, None, called=called)

    def _read(self, path: str, name: str, *, called: bool = False, tested: bool = False) -> None:
        if (path, name, called, tested) in self._followed:
            return
        self._followed.add((path, name, called, tested))
        text = _text(path)
        for statement in (text.named.get(name) or []) if text else []:
            if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
                if called and (path, name) in self.at_import:
                    self._whole(path, name, statement)
                else:
                    self._header(path, name, statement)
            elif isinstance(statement, ast.ClassDef):
                self._shape(path, name, statement, tested=tested)
                for inner in text.named if called else ():
                    if inner.startswith(f"{name}.") and (path, inner) in self.at_import:
                        for method in text.named[inner]:
                            self._whole(path, inner, method)
            elif isinstance(statement, (ast.Import, ast.ImportFrom)):
                if isinstance(statement, ast.ImportFrom):
                    self._import(path, statement, name, called=called, tested=tested)
            else:
                clean = _normalised(statement)
                if self._note("read", path, name, clean):
                    self._names(path, clean, called=True)

    def _header(self, path: str, name: str, function) -> None:
        head = _head(function)
        if self._note("header", path, name, head):
            arguments, *decorators = head.elts
            for decorator in decorators:
                self._names(path, decorator, called=True)
            self._names(path, arguments)

    def _shape(self, path: str, name: str, cls: ast.ClassDef, *, tested: bool = False) -> None:
        shape, made = _shape(cls, tested)
        if self._note("tested" if tested else "shape", path, name, shape):
            for part in made:  # what a default of a method that didn't run was made from can't matter
                self._names(path, part, called=True)

    def _module(self, path: str, name: str) -> str | None:
        """The project file of the module that `name` is in the module at `path`."""
        text = _text(path)
        for statement in (text.named.get(name) or []) if text else []:
            if isinstance(statement, ast.Import):
                for alias in statement.names:
                    if (alias.asname or alias.name.partition(".")[0]) == name:
                        return self._file(path, alias.name if alias.asname else name, 0)
            elif isinstance(statement, ast.ImportFrom):
                for alias in statement.names:
                    if (alias.asname or alias.name) == name:
                        found = self._file(path, f"{statement.module or ''}.{alias.name}".strip("."), statement.level)
                        if found:
                            return found
        return None

    def _import(
        self, path: str, statement: ast.ImportFrom, name: str | None, *, called: bool, tested: bool = False
    ) -> None:
        target = self._file(path, statement.module or "", statement.level)
        for alias in statement.names:
            if target and (name is None or (alias.asname or alias.name) == name):
                self._read(target, alias.name, called=called, tested=tested)

    def _file(self, path: str, module: str, level: int) -> str | None:
        base = Path(self.folder)
        if level:
            base = Path(path).parents[level - 1]
        stem = base.joinpath(*module.split(".")) if module else base
        for candidate in (stem / "__init__.py", stem.with_name(stem.name + ".py")):
            if candidate.is_file():
                return str(candidate)
        return None


class Seen:
    """Context manager: gathers the code objects that start on this thread meanwhile."""

    def __enter__(self) -> set:
        self.codes = set()
        sys.setprofile(self._note)
        return self.codes

    def _note(self, frame, event, _argument):
        if event == "call":
            self.codes.add(frame.f_code)

    def __exit__(self, *_) -> None:
        sys.setprofile(None)


def ran(call, folder: str) -> list[tuple[str, str]]:
    """Runs the call: (file, qualified name) of the functions of the project that ran."""
    with Seen() as seen:
        try:
            repr(call())
        except Exception:  # noqa: BLE001 - not counted anyway
            pass
    return named(seen, folder)


def named(codes: set, folder: str) -> list[tuple[str, str]]:
    """(file, qualified name) of those code objects that are the project's."""
    mine = [code for code in codes if code.co_filename.startswith(folder + os.sep)]
    return sorted({(code.co_filename, _qualname(code, _text(code.co_filename))) for code in mine})


def trace(seen: list[tuple[str, str]], folder: str, imported: list[tuple[str, str]]) -> list[str]:
    """The trace of a call as sorted "what=digest" items. `seen` ran then, `imported` when modules were imported."""
    at_import = {(path, qualname.partition(".<locals>")[0]) for path, qualname in imported}
    found = Trace(folder, at_import)
    for path, qualname in seen:
        found.ran(path, qualname)
    return sorted(f"{key}={digest}" for key, digest in found.items.items())


def _qualname(code, text: Text | None) -> str:
    known = getattr(code, "co_qualname", None)
    if known is not None:
        return known
    for name, statements in text.named.items() if text else ():  # before Python 3.11: by line
        for statement in statements:
            if statement.lineno <= code.co_firstlineno <= (statement.end_lineno or 0) and name.endswith(code.co_name):
                return name
    return code.co_name
