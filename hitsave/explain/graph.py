"""Pictures of what a function depends on: a tree of text, DOT, Mermaid, and SVG laid out here.

The SVG needs no program on the reader's machine; `layout.py` says where its boxes go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from hitsave.explain.layout import BOX_PX, Box, lay_out
from hitsave.explain.text import short
from hitsave.record import Record
from hitsave.symbol import MODULE, Symbol, module_of, qualname_of

CHARACTER_PX = 7.3  # of the 12 px monospace face below
STYLE = """
  svg { font: 12px ui-monospace, Menlo, Consolas, monospace; background: #fff; }
  rect { fill: #eef2ff; stroke: #6366f1; } .start rect { fill: #4f46e5; } .start text { fill: #fff; }
  .value rect { fill: #fef9c3; stroke: #ca8a04; } .package rect { fill: #f1f5f9; stroke: #94a3b8; }
  .pale { opacity: .35; } text { fill: #111827; } path { fill: none; stroke: #94a3b8; }
  @media (prefers-color-scheme: dark) {
    svg { background: #0b1020; } rect { fill: #1e1b4b; } text { fill: #e5e7eb; } .value rect { fill: #3b2f0b; }
    .package rect { fill: #1f2937; }
  }
"""
ARROW_HEAD = (
    '<defs><marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0,1 L8,4 L0,7 z" style="fill:#94a3b8;stroke:none"/></marker></defs>'
)


class Graph(Record):
    """Symbols and edges, from a reader to what it reads.

    `values` are names that stand for data, `packages` outside packages (drawn apart), `pale` what did not run.
    """

    start: Symbol
    nodes: tuple[Symbol, ...]
    edges: tuple[tuple[Symbol, Symbol], ...]
    values: frozenset[Symbol] = frozenset()
    packages: frozenset[str] = frozenset()
    pale: frozenset[Symbol] = frozenset()

    def reads(self) -> dict[Symbol, list[Symbol]]:
        """`{reader: what it reads, sorted}` for every node."""
        found: dict[Symbol, list[Symbol]] = {node: [] for node in self.nodes}
        for reader, read in sorted(set(self.edges)):
            if reader != read and reader in found and read in found:
                found[reader].append(read)
        return found

    def label(self, node: Symbol) -> str:
        """The name a node is drawn with: without its module where that is the start's."""
        return node if node in self.packages else short(node, within=self.start)


def tree_text(graph: Graph) -> str:
    """The graph as an indented tree; what was unfolded above is not unfolded again, and says so with `…`.

    Symbols that no edge leads to stand below the tree.
    """
    reads = graph.reads()
    lines = []
    shown: set[Symbol] = set()
    # A stack of our own: a chain of a thousand calls is ordinary, Python's stack is not that deep.
    stack = [(graph.start, "", "")]
    while stack:
        node, lead, indent = stack.pop()
        below = reads.get(node, [])
        again = node in shown
        lines.append(f"{lead}{graph.label(node)}{' …' if again and below else ''}")
        if again:
            continue
        shown.add(node)
        for child in reversed(below):
            last = child == below[-1]
            stack.append((child, indent + ("└── " if last else "├── "), indent + ("    " if last else "│   ")))
    lines += [f"    {graph.label(node)}" for node in graph.nodes if node not in shown]
    return "\n".join(lines)


def to_dot(graph: Graph) -> str:
    """Graphviz source, one cluster per module."""
    lines = ["digraph dependencies {", "  rankdir=LR;", '  node [shape=box, style=rounded, fontname="monospace"];']
    modules: dict[str, list[Symbol]] = {}
    for node in graph.nodes:
        modules.setdefault("" if node in graph.packages else module_of(node), []).append(node)
    for index, (module, members) in enumerate(sorted(modules.items())):
        lines.append(f"  subgraph cluster_{index} {{ label={_quoted(module or 'packages')};")
        for node in members:
            name = node if node in graph.packages else _inside(node)
            pale = ", color=gray, fontcolor=gray" if node in graph.pale else ""
            bold = ", penwidth=2" if node == graph.start else ""
            lines.append(f"    {_quoted(node)} [label={_quoted(name)}{pale}{bold}];")
        lines.append("  }")
    for reader, read in _edges(graph):
        lines.append(f"  {_quoted(reader)} -> {_quoted(read)};")
    return "\n".join([*lines, "}"])


def to_mermaid(graph: Graph) -> str:
    """Mermaid source, as GitHub and many documentation tools draw it."""
    number = {node: f"n{index}" for index, node in enumerate(graph.nodes)}
    lines = ["flowchart LR"]
    for node in graph.nodes:
        label = graph.label(node).replace('"', "#quot;").replace("<", "#lt;").replace(">", "#gt;")
        lines.append(f'  {number[node]}["{label}"]')
    lines += [f"  {number[reader]} --> {number[read]}" for reader, read in _edges(graph)]
    pale = [number[node] for node in graph.nodes if node in graph.pale]
    if pale:
        lines += ["  classDef pale opacity:0.35", f"  class {','.join(pale)} pale"]
    lines += ["  classDef start stroke-width:3px", f"  class {number[graph.start]} start"]
    return "\n".join(lines)


def to_svg(graph: Graph) -> str:
    """A picture that stands by itself: any browser, editor or page shows it."""
    widths = {node: len(graph.label(node)) * CHARACTER_PX + 16 for node in graph.nodes}
    layout = lay_out(graph.start, graph.nodes, graph.reads(), widths)
    size = f"{layout.width:.0f} {layout.height:.0f}"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{layout.width:.0f}" height="{layout.height:.0f}"'
        f' viewBox="0 0 {size}" role="img">',
        f"<title>What {escape(graph.start)} depends on</title>",
        f"<style>{STYLE}</style>",
        ARROW_HEAD,
    ]
    for (reader, read), points in layout.lines.items():
        kind = "pale" if reader in graph.pale or read in graph.pale else "edge"
        lines.append(f'<path class="{kind}" marker-end="url(#head)" d="{_curve(points)}"/>')
    lines += [_box(graph, node, layout.boxes[node]) for node in graph.nodes]
    return "\n".join([*lines, "</svg>"])


def _edges(graph: Graph) -> Iterable[tuple[Symbol, Symbol]]:
    return ((reader, read) for reader, below in graph.reads().items() for read in below)


def _curve(points: Sequence[tuple[float, float]]) -> str:
    """A smooth line through `points`, level at each; one that leads back bows out to the left."""
    (x1, y1), *rest = points
    path = [f"M{x1:.1f},{y1:.1f}"]
    for x2, y2 in rest:
        bend = (x2 - x1) / 2 if x2 > x1 else -40
        last = x2 - bend if x2 > x1 else x2 - 40
        path.append(f"C{x1 + bend:.1f},{y1:.1f} {last:.1f},{y2:.1f} {x2:.1f},{y2:.1f}")
        x1, y1 = x2, y2
    return " ".join(path)


def _box(graph: Graph, node: Symbol, box: Box) -> str:
    kinds = [
        name
        for name, applies in (
            ("start", node == graph.start),
            ("value", node in graph.values),
            ("package", node in graph.packages),
            ("pale", node in graph.pale),
        )
        if applies
    ]
    return (
        f'<g class="{" ".join(kinds)}"><title>{escape(node)}</title>'
        f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{BOX_PX:.0f}" rx="5"/>'
        f'<text x="{box.x + 8:.1f}" y="{box.y + 16:.1f}">{escape(graph.label(node))}</text></g>'
    )


def _inside(node: Symbol) -> str:
    return "top level" if qualname_of(node) == MODULE else qualname_of(node)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
