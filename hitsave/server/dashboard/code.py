"""The code behind a version, as text: definitions, what changed since the version before, a picture of what it uses.

Read from records that clients uploaded: `closure` (JSON: symbols with digests) and `source` (zlib: a module's text).
Nothing of it is run. The syntax tree is only used to find where a definition begins and ends and which names it
mentions, on texts of bounded size; what doesn't parse is shown whole.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import json
import warnings
import zlib
from collections.abc import Callable

MAX_SOURCE = 2 << 20
MAX_NODES = 60
MAX_DIFF_LINES = 600


@dataclasses.dataclass(frozen=True, slots=True)
class Code:
    """One version: symbols with the digests of their definitions, package versions, and the modules' texts."""

    pairs: dict[str, str]
    packages: dict[str, str]
    sources: dict[str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """One symbol or package that differs between two versions; `diff` holds (sign, line) pairs."""

    name: str
    kind: str  # changed | added | removed | package
    diff: list[tuple[str, str]]


def read_code(closure: bytes | None, get_sources: Callable[[list[str]], dict[str, bytes]]) -> Code | None:
    """The code in a closure record; None if there is none or it can't be read."""
    if closure is None:
        return None
    try:
        value = json.loads(closure)
        pairs = {str(a): str(b) for a, b in value["pairs"]}
        packages = {str(a): str(b) for a, b in value["versions"]}
        digests = {str(a): str(b) for a, b in value["sources"][:500]}
    except (ValueError, KeyError, TypeError):
        return None
    found = get_sources(list(digests.values()))
    texts = {module: _text(found[digest]) for module, digest in digests.items() if digest in found}
    return Code(pairs, packages, texts)


def _text(data: bytes) -> str:
    try:
        return zlib.decompressobj().decompress(data, MAX_SOURCE).decode("utf-8", "replace")
    except zlib.error:
        return ""


def definition(code: Code, symbol: str) -> str:
    """The source lines that define `symbol`, "" if they aren't known."""
    module, _, qualname = symbol.partition(":")
    text = code.sources.get(module, "")
    if not text or qualname == "<module>":
        return text if qualname == "<module>" else ""
    lines = text.splitlines(keepends=True)
    node = _find(text, qualname)
    if node is None:
        return ""
    decorators = getattr(node, "decorator_list", [])
    start = min([node.lineno, *(d.lineno for d in decorators)])
    return "".join(lines[start - 1 : node.end_lineno])


def _find(text: str, qualname: str) -> ast.stmt | None:
    body = _parse(text)
    found: ast.stmt | None = None
    for part in qualname.split("."):
        found = next((node for node in _statements(body) if _defines(node, part)), None)
        if found is None:
            return None
        body = getattr(found, "body", [])
    return found


def _parse(text: str) -> list[ast.stmt]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []


def _statements(body: list[ast.stmt]) -> list[ast.stmt]:
    """The statements of a body, those under if and try included; later ones first, since they win."""
    found: list[ast.stmt] = []
    for node in body:
        found.append(node)
        if isinstance(node, ast.If | ast.Try | ast.With):
            for part in ("body", "orelse", "finalbody"):
                found += _statements(getattr(node, part, []))
    return found[::-1]


def _defines(node: ast.stmt, name: str) -> bool:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return node.name == name
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return any(isinstance(t, ast.Name) and t.id == name for t in targets)


def changes_between(old: Code, new: Code) -> list[Change]:
    """What differs, packages last. Symbols that only a changed module text could tell apart are left out."""
    found = []
    for name in sorted(old.pairs.keys() | new.pairs.keys()):
        before, after = old.pairs.get(name), new.pairs.get(name)
        if before != after:
            kind = "added" if before is None else "removed" if after is None else "changed"
            found.append(Change(name, kind, diff_lines(definition(old, name), definition(new, name))))
    for name in sorted(old.packages.keys() | new.packages.keys()):
        was, now = old.packages.get(name, ""), new.packages.get(name, "")
        if was != now:
            lines = [("-", f"{name} {was}")] if was else []
            found.append(Change(name, "package", [*lines, ("+", f"{name} {now}")] if now else lines))
    return found


def diff_lines(old: str, new: str) -> list[tuple[str, str]]:
    """A unified diff without headers: pairs of "+", "-", " " or "@" and the line."""
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=3)
    found = [(line[0], line[1:]) for line in lines if not line.startswith(("---", "+++"))]
    if len(found) > MAX_DIFF_LINES:
        found = [*found[:MAX_DIFF_LINES], ("@", f"… {len(found) - MAX_DIFF_LINES} more lines")]
    return [(sign if sign in "+- @" else " ", text) for sign, text in found]


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """A symbol in the picture."""

    symbol: str
    x: int
    y: int
    width: int
    changed: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Picture:
    """Where symbols and edges go in an SVG of `width` × `height`."""

    nodes: list[Node]
    edges: list[tuple[int, int, int, int]]
    width: int
    height: int
    left_out: int


def picture(code: Code, start: str, changed: set[str]) -> Picture:
    """What `start` uses, in columns by distance. An edge means that a definition mentions the other's name."""
    edges = {symbol: _mentions(code, symbol) for symbol in list(code.pairs)[:400]}
    levels: dict[str, int] = {start: 0}
    queue = [start]
    while queue:
        symbol = queue.pop(0)
        for target in edges.get(symbol, []):
            if target not in levels:
                levels[target] = levels[symbol] + 1
                queue.append(target)
    for symbol in code.pairs:
        levels.setdefault(symbol, max(levels.values()) if len(levels) > 1 else 1)
    shown = sorted(levels, key=lambda s: (s not in changed and s != start, levels[s], s))[:MAX_NODES]
    columns: dict[int, list[str]] = {}
    for symbol in sorted(shown):
        columns.setdefault(min(levels[symbol], 6), []).append(symbol)
    nodes: dict[str, Node] = {}
    x = 8
    for level in sorted(columns):
        width = max(len(_label(s)) for s in columns[level]) * 8 + 24
        for row, symbol in enumerate(columns[level]):
            nodes[symbol] = Node(symbol, x, 8 + row * 38, width, symbol in changed)
        x += width + 56
    lines = [
        (nodes[a].x + nodes[a].width, nodes[a].y + 14, nodes[b].x, nodes[b].y + 14)
        for a in nodes
        for b in edges.get(a, [])
        if b in nodes and nodes[a].x < nodes[b].x
    ]
    height = 8 + max(len(column) for column in columns.values()) * 38
    return Picture(list(nodes.values()), lines, x - 40, height, len(levels) - len(shown))


def _label(symbol: str) -> str:
    return symbol.partition(":")[2].replace("<module>", symbol.partition(":")[0])


def _mentions(code: Code, symbol: str) -> list[str]:
    module = symbol.partition(":")[0]
    node = _find(code.sources.get(module, ""), symbol.partition(":")[2])
    if node is None:
        return []
    names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    names |= {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)}
    return [other for other in code.pairs if other != symbol and other.rpartition(":")[2].rpartition(".")[2] in names]
