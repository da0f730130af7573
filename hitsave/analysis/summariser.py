"""`summarise`: a `Source` to its `ModuleSummary`, in one pass.

Module level and the bodies of module-level classes are taken apart into definitions here; what is inside a function
belongs to that function and is walked by the handlers of `expressions.py` and `statements.py`. A statement that is
neither a definition nor a plain assignment becomes a `Statement` with a digest of its own, and names it binds refer to
it: a loop that fills five names is one thing.

What it cannot see: names bound through `globals()[computed]` or `exec` of computed text (noted in `Facts.opaque`).
"""

from __future__ import annotations

import ast
import gc
import sys
import threading
import warnings
from ast import AnnAssign, Assign, ClassDef, Constant, Expr
from typing import Any

from hitsave.analysis import matching  # noqa: F401 - registers its handlers
from hitsave.analysis.definitions import Conditions, Definitions
from hitsave.analysis.literals import texts_in
from hitsave.analysis.scopes import BodyFrame
from hitsave.analysis.statements import docstring, type_checking_branch
from hitsave.analysis.summary import (
    NO_FACTS,
    Class,
    Condition,
    Facts,
    Function,
    Import,
    ModuleSummary,
    Statement,
    Value,
)
from hitsave.analysis.walker import FILENAME, digest_tokens
from hitsave.digest import digest_text
from hitsave.parsing import parse
from hitsave.source import Source

_DEEP = 200_000  # recursion limit for sources nested deeper than the usual one
_STACK_BYTES = 512 * 2**20


def summarise(source: Source) -> ModuleSummary:
    """The summary of a source. Raises `SyntaxError` where Python would, and nothing else.

    About the cost of parsing, twice. The collector is paused meanwhile: a syntax tree is many objects and no garbage.
    Warnings of the parser were given when the source was compiled, so a filter for our file name alone stands in the
    list for as long. Not `warnings.catch_warnings`: that makes Python forget which warnings it has shown.
    """
    quiet = ("ignore", None, Warning, FILENAME, 0)
    warnings.filters.insert(0, quiet)  # type: ignore[attr-defined]
    enabled = gc.isenabled()
    gc.disable()
    try:
        return _Summariser(source).run()
    except RecursionError:
        return _summarise_deep(source)
    except SyntaxError as error:
        error.filename = source.path or f"<{source.module}>"
        raise
    finally:
        if enabled:
            gc.enable()
        warnings.filters.remove(quiet)  # type: ignore[attr-defined]


def _summarise_deep(source: Source) -> ModuleSummary:
    """The same on a thread with a large stack, for expressions nested thousands deep."""
    result: list[ModuleSummary] = []

    def run() -> None:
        try:
            result.append(_Summariser(source).run())
        except (RecursionError, MemoryError):
            result.append(_opaque(source))

    limit, size = sys.getrecursionlimit(), threading.stack_size(_STACK_BYTES)
    sys.setrecursionlimit(_DEEP)
    try:
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    finally:
        sys.setrecursionlimit(limit)
        threading.stack_size(size)
    return result[0]


def _opaque(source: Source) -> ModuleSummary:
    """A summary of which only the digest is known: every name may be in it, any edit changes it."""
    facts = NO_FACTS.replace(writes=("*",), opaque=(("unparsed", 1),))
    whole = Statement(1, 1, (), source.digest, (), facts)
    return ModuleSummary(
        source.module, source.path, source.digest, source.is_package, "", {}, (whole,), (), (), (), ("*",)
    )


class _Summariser(Definitions):
    def __init__(self, source: Source) -> None:
        super().__init__()
        self.source = source
        self.statements: list[Statement | None] = []
        self.conditions: list[Condition] = []
        self.imports: dict[tuple[str, str], None] = {}
        self.stars: list[str] = []

    def run(self) -> ModuleSummary:
        source = self.source
        tree = parse(source.data, FILENAME)
        text = docstring(tree.body)
        self.block(tree.body, ())
        for statement in self.statements:
            if statement is not None:
                self._import_what_it_imports(statement.facts)
        self._add_undeclared_globals()
        return ModuleSummary(
            source.module,
            source.path,
            source.digest,
            source.is_package,
            digest_text(text) if text else "",
            {name: tuple(found) for name, found in self.definitions.items()},
            tuple([s for s in self.statements if s is not None]),
            tuple(self.conditions),
            tuple(self.imports),
            tuple(self.stars),
            self.exports.names(),
        )

    def _import_what_it_imports(self, facts: Facts) -> None:
        for chain, _ in facts.reads:
            if chain[0] == "@":
                module, _, name = chain[1:].partition("|")
                self.imports[module, name.partition(".")[0]] = None

    def _add_undeclared_globals(self) -> None:
        """A name bound only by `global NAME` in functions has no statement; give it a definition to refer to."""
        for definition in [d for found in list(self.definitions.values()) for d in found]:
            if isinstance(definition, (Function, Class)):
                facts = definition.body_facts if isinstance(definition, Function) else definition.facts
                for write in facts.writes:
                    if write[0] == "=" and write[1:] not in self.definitions:
                        where = (definition.line, definition.line)
                        value = Value(write[1:], *where, (), digest_text(""), False, "", -1, NO_FACTS)
                        self.definitions[write[1:]] = [value]

    # Module level

    def block(self, body: list[ast.stmt], conditions: Conditions) -> None:
        for node in body:
            kind = node.__class__
            if kind in (ast.FunctionDef, ast.AsyncFunctionDef):
                self.function(node, "", conditions, self.no_members)
            elif kind is ClassDef:
                self.class_(node, "", conditions, self.no_members)  # type: ignore[arg-type]
            elif kind in (Assign, AnnAssign):
                self.assignment(node, conditions)
            elif kind is ast.Import:
                self.import_(node, conditions)  # type: ignore[arg-type]
            elif kind is ast.ImportFrom:
                self.import_from(node, conditions)  # type: ignore[arg-type]
            elif kind is ast.If:
                self.if_(node, conditions)  # type: ignore[arg-type]
            elif kind is ast.Pass or (kind is Expr and node.value.__class__ is Constant):  # type: ignore[attr-defined]
                continue
            else:
                self.statement(node, conditions)

    def import_(self, node: ast.Import, conditions: Conditions) -> None:
        for alias in node.names:
            name, bound = alias.name, alias.asname
            self.imports[name, ""] = None
            target = name if bound else name.partition(".")[0]
            self.define(Import(bound or target, node.lineno, node.end_lineno or 0, conditions, target, ""))

    def import_from(self, node: ast.ImportFrom, conditions: Conditions) -> None:
        module = "." * node.level + (node.module or "")
        if module == "__future__":
            # Under `annotations`, annotations are text; whoever reads them sees the difference.
            self.futures += [f"future {alias.name}" for alias in node.names if alias.name == "annotations"]
            return
        for alias in node.names:
            self.imports[module, alias.name] = None
            if alias.name == "*":
                self.stars.append(module)
                continue
            bound = alias.asname or alias.name
            self.define(Import(bound, node.lineno, node.end_lineno or 0, conditions, module, alias.name))

    def if_(self, node: ast.If, conditions: Conditions) -> None:
        w = self.walker
        branch = type_checking_branch(w, node.test)
        if branch is not None:
            self.block(node.orelse if branch else node.body, conditions)
            return
        frame = BodyFrame(self.no_members)
        saved = w.begin(frame)
        w.visit(node.test)
        tokens, region = w.finish(saved)
        facts = region.facts()
        number = len(self.conditions)
        self.conditions.append(Condition(digest_tokens(tokens), facts))
        for name in frame.names:
            self._define_value(name, node.test, conditions, tokens, facts, "", is_literal=False)
        self.block(node.body, (*conditions, number))
        if node.orelse:
            self.conditions.append(Condition(digest_tokens([*tokens, "else:"]), facts))
            self.block(node.orelse, (*conditions, number + 1))

    def statement(self, node: ast.stmt, conditions: Conditions) -> None:
        """A statement that is more than a definition; definitions inside it still get symbols."""
        w = self.walker
        number = len(self.statements)
        self.statements.append(None)
        governed = (*conditions, -number - 1)

        def define_inside(inner: Any) -> bool:
            w.emit(f"def:{inner.name}")
            if inner.__class__ is ClassDef:
                self.class_(inner, "", governed, self.no_members)
            else:
                self.function(inner, "", governed, self.no_members)
            return True

        frame = BodyFrame(self.no_members)
        saved = w.begin(frame)
        w.module_level = define_inside
        w.visit(node)
        w.module_level = None
        tokens, region = w.finish(saved)
        if any(pattern[0] == "@import" for pattern in region.patterns):
            region.texts = texts_in(node)
        if "~globals()[]" in region.writes:  # it may bind any name that it spells out
            for text in texts_in(node):
                if "." not in text:
                    frame.names.setdefault(text, ["?"])
        where = (node.lineno, node.end_lineno or node.lineno)
        digest, facts = digest_tokens(tokens), region.facts()
        for name, kinds in frame.names.items():
            for kind in dict.fromkeys(kinds):
                if kind[0] == "@":
                    for reference in kind.split(" "):
                        module, _, attribute = reference[1:].partition("|")
                        if attribute == "*":
                            self.stars.append(module)
                        else:
                            self.define(Import(name, *where, conditions, module, attribute))
                elif name != "__all__":
                    self.define(Value(name, *where, conditions, digest, False, "", number, facts))
        self.statements[number] = Statement(*where, conditions, digest, tuple(frame.names), facts)
        self.exports.statement(node)
