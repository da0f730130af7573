"""Definitions of one source: functions, classes and assignments, at module level and in module-level classes."""

from __future__ import annotations

import ast
from ast import AnnAssign, Assign, ClassDef, Constant, Expr, Name
from typing import Any

from hitsave.analysis.annotations import annotate_parameters, annotation, type_parameters
from hitsave.analysis.binding import is_plain
from hitsave.analysis.exports import Exports
from hitsave.analysis.expressions import constant_token
from hitsave.analysis.literals import is_literal, is_written_out, pairwise, texts_in, texts_of_display
from hitsave.analysis.looking import looks_at_names
from hitsave.analysis.nested import bind_parameters, parameters
from hitsave.analysis.scopes import BodyFrame, Frame
from hitsave.analysis.statements import block, docstring
from hitsave.analysis.summary import (
    CALLED,
    COMPUTES,
    COROUTINE,
    GENERATOR,
    LOOKS,
    NO_FACTS,
    Class,
    Definition,
    Facts,
    Function,
    Import,
    Value,
)
from hitsave.analysis.walker import Walker, digest_tokens
from hitsave.digest import digest_text
from hitsave.symbol import is_hitsave

Conditions = tuple[int, ...]
# Options of `memo` and `experiment` that decide neither what is computed nor which call is which.
_NEUTRAL = frozenset({"codec", "impure", "local_only", "max_entries", "metrics", "observe", "ttl"})


class Definitions:
    """Gathers definitions by qualified name, all bindings of a name in order."""

    def __init__(self) -> None:
        self.walker = Walker()
        self.definitions: dict[str, list[Definition]] = {}
        self.exports = Exports()
        self.no_members: dict[str, str] = {}
        self.futures: list[str] = []  # future statements that change what annotations mean

    def define(self, definition: Definition) -> None:
        """Note a binding of a name."""
        found = self.definitions.get(definition.qualname)
        if found is None:
            self.definitions[definition.qualname] = [definition]
        else:
            found.append(definition)

    def assignment(self, node: Any, conditions: Conditions, prefix: str = "", members: Any = None) -> bool:
        """Define what an assignment binds; one that does more becomes a statement (False, in a class: not done)."""
        targets: list[Any] = node.targets if node.__class__ is Assign else [node.target]
        value = node.value
        if value is None:
            return True
        if len(targets) == 1 and targets[0].__class__ is ast.Tuple and pairwise(targets[0], value):
            pairs: list[tuple[Any, Any]] = list(zip(targets[0].elts, value.elts, strict=True))
            for target, element in pairs:
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

    def statement(self, node: ast.stmt, conditions: Conditions) -> None:
        """Take in a module-level statement that is more than a definition."""
        raise TypeError(f"{type(self).__name__} has no statements")

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
            region.texts = texts_of_display(value)
        if region.flags & LOOKS and not looks_at_names([value], region.passed):
            region.flags &= ~LOOKS
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

    def function(self, node: Any, prefix: str, conditions: Conditions, members: dict[str, str]) -> None:
        """Define a function, or a method of the class whose `members` are bound so far (`prefix` is "Class.")."""
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
        if body.flags & LOOKS and not looks_at_names(node.body, body.passed):
            body.flags &= ~LOOKS
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
                w.annotation_facts(),
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
        if not all(map(is_written_out, (*arguments.defaults, *arguments.kw_defaults))):
            region.flags |= COMPUTES
        return tokens, region.facts(), decorators

    def decorators(self, node: Any) -> tuple[tuple[str, bool], ...]:
        """Walk decorators; (chain, is it called with arguments) for each."""
        w = self.walker
        found = []
        for decorator in node.decorator_list:
            is_ours = self._is_ours(decorator)
            emit = w.emit
            if is_ours:  # that it is memoised is no part of what is computed
                w.emit = _nowhere
            w.emit("@:")
            chain = w.visit(decorator)
            w.emit = emit
            if is_ours and isinstance(decorator, ast.Call):
                for keyword in decorator.keywords:
                    if keyword.arg not in _NEUTRAL:
                        w.emit(f"@{keyword.arg}=")
                        w.visit(keyword.value)
            called = decorator.__class__ is ast.Call
            if chain is not None and not called:
                w.reads[chain] = w.reads.get(chain, node.lineno << 8) | CALLED
            name = chain[:-2] if chain and called and chain[-2:] == "()" else chain or "?"
            if "." in name:  # `@registry.add`: what it is a method of may change
                w.frame.write("^" + name.rpartition(".")[0])
            found.append((name, called))
        return tuple(found)

    def _is_ours(self, decorator: ast.expr) -> bool:
        node: Any = decorator.func if isinstance(decorator, ast.Call) else decorator
        while isinstance(node, ast.Attribute):
            node = node.value
        bindings = self.definitions.get(node.id, ()) if isinstance(node, Name) else ()
        return bool(bindings) and all(isinstance(one, Import) and is_hitsave(one.module) for one in bindings)

    def class_(self, node: ClassDef, prefix: str, conditions: Conditions, outer_members: dict[str, str]) -> None:
        """Define a class and its members."""
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
                for name, kinds in body.names.items():
                    members.setdefault(name, f"c?{qualname}")
                    self._define_loose(f"{qualname}.{name}", child, kinds)
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
                w.annotation_facts(),
            )
        )
        w.docs, w.annotations, w.annotation_region, w.module_level = docs, annotations, annotation_region, level

    def _define_loose(self, name: str, node: ast.stmt, kinds: list[str]) -> None:
        """Define a name that a statement of a class body binds; its text is part of the class's shape."""
        where = (node.lineno, node.end_lineno or 0)
        for kind in dict.fromkeys(kinds):
            if kind[0] == "@":
                module, _, attribute = kind[1:].partition("|")
                self.define(Import(name, *where, (), module, attribute))
            else:
                self.define(Value(name, *where, (), digest_text(""), False, "", -1, NO_FACTS))

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
        targets: list[Any] = node.targets if node.__class__ is Assign else [node.target]
        if node.__class__ is AnnAssign and targets[0].__class__ is Name:
            annotation(w, node.annotation, targets[0].id)
            if node.value is None:
                return True
        declared = w.frame.declared or ()
        if not all(target.__class__ is Name and target.id not in declared for target in targets):
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


def _nowhere(_token: str) -> None:
    pass


def _first_line(node: Any) -> int:
    line: int = node.lineno
    decorators = node.decorator_list
    return min([line, *[d.lineno for d in decorators]]) if decorators else line
