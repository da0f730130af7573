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
from ast import AnnAssign, Assign, ClassDef, Constant, Expr, Name
from typing import Any

from hitsave.analysis import matching  # noqa: F401 - registers its handlers
from hitsave.analysis.annotations import annotate_parameters, annotation, type_parameters
from hitsave.analysis.binding import is_plain
from hitsave.analysis.exports import Exports
from hitsave.analysis.expressions import constant_token
from hitsave.analysis.nested import bind_parameters, parameters
from hitsave.analysis.scopes import BodyFrame, Frame
from hitsave.analysis.statements import block, docstring, type_checking_branch
from hitsave.analysis.summary import (
    CALLED,
    COROUTINE,
    GENERATOR,
    NO_FACTS,
    Class,
    Condition,
    Definition,
    Facts,
    Function,
    Import,
    ModuleSummary,
    Statement,
    Value,
)
from hitsave.analysis.walker import FILENAME, Walker, digest_tokens
from hitsave.digest import digest_text
from hitsave.source import Source

Conditions = tuple[int, ...]
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


class _Summariser:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.walker = Walker()
        self.definitions: dict[str, list[Definition]] = {}
        self.statements: list[Statement | None] = []
        self.conditions: list[Condition] = []
        self.imports: dict[tuple[str, str], None] = {}
        self.stars: list[str] = []
        self.futures: list[str] = []
        self.exports = Exports()
        self.no_members: dict[str, str] = {}

    def run(self) -> ModuleSummary:
        source = self.source
        tree = ast.parse(source.data, FILENAME)
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
        for found in list(self.definitions.values()):
            for definition in found:
                if isinstance(definition, Function):
                    for write in definition.body_facts.writes:
                        if write[0] == "=" and write[1:] not in self.definitions:
                            where = (definition.line, definition.line)
                            value = Value(write[1:], *where, (), digest_text(""), False, "", -1, NO_FACTS)
                            self.definitions[write[1:]] = [value]

    def define(self, definition: Definition) -> None:
        found = self.definitions.get(definition.qualname)
        if found is None:
            self.definitions[definition.qualname] = [definition]
        else:
            found.append(definition)

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

    def assignment(self, node: Any, conditions: Conditions, prefix: str = "", members: Any = None) -> bool:
        """Define what an assignment binds; one that does more becomes a statement (False, in a class: not done)."""
        targets = node.targets if node.__class__ is Assign else [node.target]
        value = node.value
        if value is None:
            return True
        if len(targets) == 1 and targets[0].__class__ is ast.Tuple and _pairwise(targets[0], value):
            for target, element in zip(targets[0].elts, value.elts, strict=True):
                self._assign_names([target.id], node, element, conditions, prefix, members)
            return True
        names = [target.id for target in targets if target.__class__ is Name]
        if len(names) == len(targets):
            self._assign_names(names, node, value, conditions, prefix, members)
            return True
        if prefix:
            return False
        self.statement(node, conditions)
        return True

    def _assign_names(
        self, names: list[str], node: Any, value: ast.expr, conditions: Conditions, prefix: str, members: Any
    ) -> None:
        w = self.walker
        frame = BodyFrame(members or self.no_members)
        saved = w.begin(frame)
        chain = w.visit(value)
        tokens, region = w.finish(saved)
        literal = is_literal(value)
        if not prefix:
            if "__all__" in names:
                self.exports.assign(value)
            if names == ["TYPE_CHECKING"] and not (literal and value.value is False):  # type: ignore[attr-defined]
                w.skips_type_checking = False
        alias = chain or ("[" if is_plain(value) else "")
        if prefix and alias and alias.partition(".")[0].rstrip("()[]") in (members or ()):
            alias = prefix + alias
        if value.__class__ in (ast.List, ast.Tuple, ast.Dict, ast.Set):
            region.texts = _texts_of_display(value)
        facts = region.facts()
        for name in [*names, *frame.names]:
            self._define_value(prefix + name, node, conditions, tokens, facts, alias, is_literal=literal)

    def _define_value(
        self,
        name: str,
        node: Any,
        conditions: Conditions,
        tokens: list[str],
        facts: Facts,
        alias: str,
        *,
        is_literal: bool,
    ) -> None:
        where = (node.lineno, node.end_lineno)
        self.define(Value(name, *where, conditions, digest_tokens(tokens), is_literal, alias, -1, facts))

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

    # Definitions

    def function(self, node: Any, prefix: str, conditions: Conditions, members: dict[str, str]) -> None:
        w = self.walker
        docs, annotations, annotation_region, level = w.docs, w.annotations, w.annotation_region, w.module_level
        w.docs, w.annotations, w.annotation_region, w.module_level = [], [], None, None

        header_tokens, header_facts, decorators = self._header(node, members)
        saved = w.begin(Frame(None, 1))
        is_method = bool(prefix) and ("staticmethod", False) not in decorators
        bind_parameters(w, node.args, receiver=is_method)
        if getattr(node, "type_params", None):
            type_parameters(w, node)
        annotate_parameters(w, node)
        block(w, node.body, has_docstring=True)
        body_tokens, body = w.finish(saved)
        if node.__class__ is ast.AsyncFunctionDef:
            body.flags |= COROUTINE
        if any(pattern[0] == "@import" for pattern in body.patterns):
            body.texts = texts_in(node)
        if body.flags & GENERATOR:
            header_tokens.append("generator:")

        self.define(
            Function(
                prefix + node.name,
                _first_line(node),
                node.end_lineno,
                conditions,
                digest_tokens(header_tokens),
                digest_tokens(body_tokens),
                digest_tokens(w.docs) if w.docs else "",
                digest_tokens(w.annotations + self.futures) if w.annotations else "",
                decorators,
                header_facts,
                body.facts(),
                NO_FACTS if w.annotation_region is None else w.annotation_region.facts(),
            )
        )
        w.docs, w.annotations, w.annotation_region, w.module_level = docs, annotations, annotation_region, level

    def _header(self, node: Any, members: dict[str, str]) -> tuple[list[str], Facts, tuple[tuple[str, bool], ...]]:
        """What runs when the `def` statement does: its tokens, its facts, the decorators."""
        w = self.walker
        arguments = node.args
        if not (node.decorator_list or arguments.defaults or any(arguments.kw_defaults)):
            emit = w.emit  # nothing runs: the signature alone
            tokens = [node.__class__.__name__, node.name]
            w.emit = tokens.append
            parameters(w, arguments)
            w.emit = emit
            return tokens, NO_FACTS, ()
        saved = w.begin(BodyFrame(members))
        decorators = self.decorators(node)
        w.emit(node.__class__.__name__)
        w.emit(node.name)
        parameters(w, arguments)
        tokens, region = w.finish(saved)
        return tokens, region.facts(), decorators

    def decorators(self, node: Any) -> tuple[tuple[str, bool], ...]:
        w = self.walker
        found = []
        for decorator in node.decorator_list:
            w.emit("@:")
            chain = w.visit(decorator)
            called = decorator.__class__ is ast.Call
            if chain is not None and not called:
                w.reads[chain] = w.reads.get(chain, node.lineno << 8) | CALLED
            name = chain[:-2] if chain and called and chain[-2:] == "()" else chain or "?"
            if "." in name:  # `@registry.add`: what it is a method of may change
                w.frame.write("^" + name.rpartition(".")[0])
            found.append((name, called))
        return tuple(found)

    def class_(self, node: ClassDef, prefix: str, conditions: Conditions, outer_members: dict[str, str]) -> None:
        w = self.walker
        qualname = prefix + node.name
        docs, annotations, annotation_region, level = w.docs, w.annotations, w.annotation_region, w.module_level
        w.docs, w.annotations, w.annotation_region = [], [], None
        members: dict[str, str] = {}
        methods: list[str] = []
        text = docstring(node.body)

        frame = BodyFrame(outer_members)
        saved = w.begin(frame)
        decorators = self.decorators(node)
        w.emit(node.name)
        bases = tuple([w.visit(base) or "?" for base in node.bases])
        keywords = []
        for keyword in node.keywords:
            w.emit(f"{keyword.arg}=")
            keywords.append((keyword.arg or "**", w.visit(keyword.value) or "?"))
        w.emit(")")
        type_parameters(w, node)
        frame.names.clear()
        # From here on names are those of the class body; what the header read stays in this region.
        header_reads = frame.reads
        body = BodyFrame(members)
        body.reads.update(header_reads)
        w.frame, w.reads = body, body.reads

        def define_inside(inner: Any) -> bool:
            w.emit(f"def:{inner.name}")
            self._member(inner, qualname, members, methods, certain=False)
            return True

        for child in node.body:
            kind = child.__class__
            if kind in (ast.FunctionDef, ast.AsyncFunctionDef, ClassDef):
                self._member(child, qualname, members, methods, certain=True)
            elif kind is ast.Pass or (kind is Expr and child.value.__class__ is Constant):  # type: ignore[attr-defined]
                continue
            elif not (kind in (Assign, AnnAssign) and self._attribute(child, qualname, members)):
                w.module_level = define_inside
                w.visit(child)
                w.module_level = None
                for name in body.names:
                    members.setdefault(name, f"c?{qualname}")
                    self.define(
                        Value(
                            f"{qualname}.{name}",
                            child.lineno,
                            child.end_lineno or 0,
                            (),
                            digest_text(""),
                            False,
                            "",
                            -1,
                            NO_FACTS,
                        )
                    )
                body.names.clear()
        w.emit("methods:")
        for name in sorted(set(methods)):
            w.emit(name)
        tokens, region = w.finish(saved)
        if text is not None:
            w.docs.append(text)
        self.define(
            Class(
                qualname,
                _first_line(node),
                node.end_lineno or 0,
                conditions,
                digest_tokens(tokens),
                digest_tokens(w.docs) if w.docs else "",
                digest_tokens(w.annotations + self.futures) if w.annotations else "",
                bases,
                tuple(keywords),
                decorators,
                tuple(members),
                region.facts(),
                NO_FACTS if w.annotation_region is None else w.annotation_region.facts(),
                bool(bases or keywords or decorators),
            )
        )
        w.docs, w.annotations, w.annotation_region, w.module_level = docs, annotations, annotation_region, level

    def _member(self, node: Any, qualname: str, members: dict[str, str], methods: list[str], *, certain: bool) -> None:
        methods.append(node.name)
        if node.__class__ is ClassDef:
            self.class_(node, qualname + ".", (), members)
        else:
            self.function(node, qualname + ".", (), members)
        if certain or node.name not in members:
            members[node.name] = f"c{'' if certain else '?'}{qualname}"

    def _attribute(self, node: Any, qualname: str, members: dict[str, str]) -> bool:
        """A class attribute: its name and a literal value are part of the shape, any other value a symbol beside it."""
        w = self.walker
        targets = node.targets if node.__class__ is Assign else [node.target]
        if node.__class__ is AnnAssign and targets[0].__class__ is Name:
            annotation(w, node.annotation, targets[0].id)
            if node.value is None:
                return True
        if not all(target.__class__ is Name for target in targets):
            return False
        frame, reads = w.frame, w.reads
        self.assignment(node, (), qualname + ".", members)
        w.frame, w.reads = frame, reads
        for target in targets:
            w.emit(f"{target.id}=")
            if isinstance(node.value, Constant):
                w.emit(constant_token(node.value.value))
            members[target.id] = f"c{qualname}"
        return True


def _first_line(node: Any) -> int:
    line: int = node.lineno
    decorators = node.decorator_list
    return min([line, *[d.lineno for d in decorators]]) if decorators else line


def _pairwise(target: ast.Tuple, value: ast.expr) -> bool:
    return (
        value.__class__ in (ast.Tuple, ast.List)
        and len(value.elts) == len(target.elts)
        and all(element.__class__ is Name for element in target.elts)
        and not any(element.__class__ is ast.Starred for element in value.elts)
    )


def texts_in(node: ast.AST) -> tuple[str, ...]:
    """The literals in a piece of code that are names, dotted or not."""
    found = (n.value for n in ast.walk(node) if isinstance(n, Constant))
    return tuple(sorted({text for text in found if isinstance(text, str) and is_name(text)}))


def _texts_of_display(node: Any) -> tuple[str, ...]:
    """The same for the elements of a container display, and the keys of a dict."""
    elements = [*node.keys, *node.values] if node.__class__ is ast.Dict else node.elts
    found = [e.value for e in elements if e.__class__ is Constant]
    return tuple([text for text in found if isinstance(text, str) and is_name(text)])


def is_name(text: str) -> bool:
    """Is this a dotted name?"""
    return text.isidentifier() or ("." in text and text.replace(".", "").isidentifier())


def is_literal(node: ast.expr) -> bool:
    """Is this an immutable value written out: numbers, texts, None, tuples of such, arithmetic on such?"""
    kind = node.__class__
    if kind is Constant:
        return True
    if kind is ast.Tuple:
        return all(is_literal(element) for element in node.elts)  # type: ignore[attr-defined]
    if kind is ast.UnaryOp:
        return is_literal(node.operand)  # type: ignore[attr-defined]
    if kind is ast.BinOp:
        return is_literal(node.left) and is_literal(node.right)  # type: ignore[attr-defined]
    return False
