"""Pictures of what a function depends on: a tree of text, DOT, Mermaid, and SVG laid out here.

The SVG needs no program on the reader's machine: symbols stand in columns by their distance from the start, each
column ordered so that readers stand beside what they read (the barycentre rule of Sugiyama's layered drawing, two
sweeps). Exact minimisation of crossings is NP-hard, and two sweeps are what dot starts with too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from hitsave.explain.text import short
from hitsave.record import Record
from hitsave.symbol import MODULE, Symbol, module_of, qualname_of

SWEEPS = 2
CHARACTER_PX = 7.3  # of the 12 px monospace face below
ROW_PX, NODE_PX, GAP_PX, MARGIN_PX = 34, 24, 70, 20
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
    columns = _columns(graph)
    widths = [max(len(graph.label(node)) for node in column) * CHARACTER_PX + 16 for column in columns]
    height = max(len(column) for column in columns) * ROW_PX
    place: dict[Symbol, tuple[float, float, float]] = {}
    left = float(MARGIN_PX)
    for column, width in zip(columns, widths, strict=True):
        top = MARGIN_PX + (height - len(column) * ROW_PX) / 2
        for row, node in enumerate(column):
            place[node] = (left, top + row * ROW_PX, width)
        left += width + GAP_PX
    whole = left - GAP_PX + MARGIN_PX
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{whole:.0f}" height="{height + 2 * MARGIN_PX}"'
        f' viewBox="0 0 {whole:.0f} {height + 2 * MARGIN_PX}" role="img">',
        f"<title>What {escape(graph.start)} depends on</title>",
        f"<style>{STYLE}</style>",
    ]
    lines += [_curve(place[reader], place[read], pale=_is_pale(graph, reader, read)) for reader, read in _edges(graph)]
    lines += [_box(graph, node, place[node]) for node in graph.nodes]
    return "\n".join([*lines, "</svg>"])


def _columns(graph: Graph) -> list[list[Symbol]]:
    """Nodes by distance from the start; those it doesn't reach stand in the last column."""
    reads = graph.reads()
    distance = {graph.start: 0}
    frontier = [graph.start]
    for node in frontier:  # grows while it is walked: breadth first
        for read in reads.get(node, ()):
            if read not in distance:
                distance[read] = distance[node] + 1
                frontier.append(read)
    last = max(distance.values()) + 1
    columns: list[list[Symbol]] = [[] for _ in range(last + 1)]
    for node in graph.nodes:
        columns[distance.get(node, last)].append(node)
    columns = [column for column in columns if column]
    readers: dict[Symbol, list[Symbol]] = {node: [] for node in graph.nodes}
    for reader, below in reads.items():
        for read in below:
            readers[read].append(reader)
    for _ in range(SWEEPS):
        for neighbours, order in ((readers, columns), (reads, columns[::-1])):
            _sweep(neighbours, order)
    return columns


def _sweep(neighbours: dict[Symbol, list[Symbol]], columns: Sequence[list[Symbol]]) -> None:
    position = {node: row / len(column) for column in columns for row, node in enumerate(column)}
    for column in columns:
        beside = {node: [position[other] for other in neighbours[node]] or [position[node]] for node in column}
        column.sort(key=lambda node: sum(beside[node]) / len(beside[node]))
        position.update({node: row / len(column) for row, node in enumerate(column)})


def _edges(graph: Graph) -> Iterable[tuple[Symbol, Symbol]]:
    return ((reader, read) for reader, below in graph.reads().items() for read in below)


def _is_pale(graph: Graph, reader: Symbol, read: Symbol) -> bool:
    return reader in graph.pale or read in graph.pale


def _curve(start: tuple[float, float, float], end: tuple[float, float, float], *, pale: bool) -> str:
    x1, y1 = start[0] + start[2], start[1] + NODE_PX / 2
    x2, y2 = end[0], end[1] + NODE_PX / 2
    if x2 <= start[0]:  # backwards or within a column: leave and arrive on the left, in a bow
        x1 = start[0]
        path = f"M{x1:.1f},{y1:.1f} C{x1 - 40:.1f},{y1:.1f} {x2 - 40:.1f},{y2:.1f} {x2:.1f},{y2:.1f}"
    else:
        bend = (x2 - x1) / 2
        path = f"M{x1:.1f},{y1:.1f} C{x1 + bend:.1f},{y1:.1f} {x2 - bend:.1f},{y2:.1f} {x2:.1f},{y2:.1f}"
    return f'<path{" class=" + chr(34) + "pale" + chr(34) if pale else ""} d="{path}"/>'


def _box(graph: Graph, node: Symbol, place: tuple[float, float, float]) -> str:
    x, y, width = place
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
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{NODE_PX}" rx="5"/>'
        f'<text x="{x + 8:.1f}" y="{y + 16:.1f}">{escape(graph.label(node))}</text></g>'
    )


def _inside(node: Symbol) -> str:
    return "top level" if qualname_of(node) == MODULE else qualname_of(node)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
