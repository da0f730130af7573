"""The one walk over a syntax tree that yields both the normalised form of a definition and its facts.

The normalised form is a list of tokens in prefix order: a tag for the kind of node, then its parts. Tags contain
punctuation or end in it, so no identifier or literal can be mistaken for one; lists are closed by a mark. Positions,
comments, the way literals and parentheses are written, docstrings, `pass` and annotations leave no token, so a digest
of the tokens stays the same when only these change.

Handlers are plain functions `(walker, node)` found by node type (`expressions.py`, `statements.py`); those of
expressions return the chain that the expression is, or None. A walk costs about as much as parsing did.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from hitsave.analysis.region import Region
from hitsave.analysis.scopes import BodyFrame, Frame
from hitsave.analysis.summary import NO_FACTS, READ, Facts
from hitsave.digest import Digest, digest_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

HANDLERS: dict[type[ast.AST], Callable[[Walker, Any], str | None]] = {}
# Calls that mean more than a call, by the last part of the callee's chain. A handler gets (walker, call, chain) after
# the callee was walked. It returns None to go on as usual, or walks the arguments itself and returns the chain that
# the result is ("" for none).
SPECIAL: dict[str, Callable[[Walker, ast.Call, str], str | None]] = {}

# The file name under which text is parsed: warnings of the parser under it are silenced.
FILENAME = "<hitsave analysis>"

Saved = tuple[Frame, dict[str, int], int, "str | None"]


class Walker:
    """State of a walk: where tokens go (`emit`), whose scope it is (`frame`), what is gathered (`region`).

    `reads` and `mode` say how a name met now counts (see `summary`), `inside` is the call whose arguments are walked.
    """

    __slots__ = (
        "annotation_region",
        "annotations",
        "docs",
        "emit",
        "frame",
        "inside",
        "local_classes",
        "mode",
        "module_level",
        "reads",
        "region",
        "skips_type_checking",
        "tokens",
    )

    def __init__(self) -> None:
        self.tokens: list[str] = []
        self.emit = self.tokens.append
        self.region = Region()
        self.frame = Frame(None, 0)
        self.reads = self.frame.reads
        self.mode = READ
        self.inside: str | None = None
        self.docs: list[str] = []
        self.annotations: list[str] = []
        self.annotation_region: Region | None = None  # made when the first annotation is met
        self.skips_type_checking = True
        self.local_classes = 0  # how many classes inside functions surround the node
        # Called for definitions met inside a compound statement at module or class level; see `summarise`.
        self.module_level: Callable[[ast.stmt], bool] | None = None

    def visit(self, node: Any) -> str | None:
        """Walk one node."""
        return HANDLERS[node.__class__](self, node)

    def visit_all(self, nodes: Iterable[Any]) -> None:
        """Walk a list of nodes and close it."""
        for node in nodes:
            HANDLERS[node.__class__](self, node)
        self.emit(";")

    def enter(self, *, is_class: bool = False, is_function: bool = True) -> Saved:
        """Open a scope; give what it returns to `leave`."""
        frame = self.frame
        saved: Saved = (frame, self.reads, self.mode, self.inside)
        outer = frame.outer if frame.is_class or frame.__class__ is BodyFrame else frame
        depth = frame.depth + 1 if is_function else frame.depth
        self.frame = Frame(outer, depth, is_class=is_class)
        self.frame.enclosing = frame
        self.reads = self.frame.reads
        self.mode = READ
        return saved

    def leave(self, saved: Saved) -> None:
        """Close the scope that `enter` opened."""
        self.frame.close(self.region)
        self.frame, self.reads, self.mode, self.inside = saved

    def annotation_facts(self) -> Facts:
        """The facts of the annotations walked."""
        return NO_FACTS if self.annotation_region is None else self.annotation_region.facts()

    def begin(self, frame: Frame) -> tuple[object, ...]:
        """Start a region of its own in `frame`; give what it returns to `finish`."""
        saved = (self.tokens, self.emit, self.region, self.frame, self.reads, self.mode, self.inside)
        self.tokens = []
        self.emit = self.tokens.append
        self.region = Region()
        self.frame = frame
        self.reads = frame.reads
        self.mode = READ
        self.inside = None
        return saved

    def finish(self, saved: tuple[object, ...]) -> tuple[list[str], Region]:
        """End the region that `begin` started: its tokens and what was gathered."""
        tokens, region = self.tokens, self.region
        self.frame.close(region)
        self.tokens, self.emit, self.region, self.frame, self.reads, self.mode, self.inside = saved  # type: ignore[assignment]
        return tokens, region


def digest_tokens(tokens: list[str]) -> Digest:
    """The digest of tokens."""
    return digest_text("\n".join(tokens))


def handles(*kinds: str) -> Callable[[Any], Any]:
    """Register a handler for node classes by name (some exist in newer Pythons only)."""

    def register(handler: Any) -> Any:
        for kind in kinds:
            if node_type := getattr(ast, kind, None):
                HANDLERS[node_type] = handler
        return handler

    return register


def ends_of_text(node: ast.expr) -> tuple[str, str] | None:
    """(constant start, constant end) of an expression that builds a text, None if neither is known."""
    start = end = ""
    if isinstance(node, ast.JoinedStr):
        parts: list[ast.expr] = node.values
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = ends_of_text(node.left), ends_of_text(node.right)
        if isinstance(node.left, ast.Constant):
            left = (str(node.left.value), "")
        if isinstance(node.right, ast.Constant):
            right = ("", str(node.right.value))
        start, end = left[0] if left else "", right[1] if right else ""
        return (start, end) if start or end else None
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod) and isinstance(node.left, ast.Constant):
        start, end = str(node.left.value).partition("%")[0], ""
        return (start, end) if start else None
    elif (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "format"
        and isinstance(node.func.value, ast.Constant)
    ):
        text = str(node.func.value.value)
        start, end = text.partition("{")[0], text.rpartition("}")[2] if "}" in text else ""
        return (start, end) if start or end else None
    else:
        return None
    if parts and isinstance(parts[0], ast.Constant):
        start = str(parts[0].value)
    if len(parts) > 1 and isinstance(parts[-1], ast.Constant):
        end = str(parts[-1].value)
    return (start, end) if start or end else None
