from __future__ import annotations

import re
import xml.dom.minidom

from hitsave.explain.graph import Graph, to_dot, to_mermaid, to_svg, tree_text
from hitsave.explain.layout import Layout, lay_out
from hitsave.symbol import Symbol


def graph(start: str, *edges: str, extra: tuple[str, ...] = (), **options: frozenset[str]) -> Graph:
    pairs = tuple((Symbol(a), Symbol(b)) for a, _, b in (edge.partition(" > ") for edge in edges))
    nodes = sorted({start, *extra, *(name for pair in pairs for name in pair)})
    chosen = {key: frozenset(map(Symbol, value)) for key, value in options.items()}
    return Graph(Symbol(start), tuple(map(Symbol, nodes)), pairs, **chosen)


def lay_out_of(drawn: Graph) -> Layout:
    return lay_out(drawn.start, drawn.nodes, drawn.reads(), dict.fromkeys(drawn.nodes, 50.0))


DIAMOND = graph("m:top", "m:top > m:left", "m:top > n:right", "m:left > n:K", "n:right > n:K")


def test_the_tree_unfolds_each_symbol_once() -> None:
    assert tree_text(graph("m:a", "m:a > m:b", "m:a > m:c", "m:b > m:d", "m:c > m:b")).splitlines() == [
        "a",
        "├── b",
        "│   └── d",
        "└── c",
        "    └── b …",
    ]


def test_the_tree_ends_with_mutual_recursion() -> None:
    assert tree_text(graph("m:a", "m:a > m:b", "m:b > m:a")).splitlines() == ["a", "└── b", "    └── a …"]


def test_a_chain_of_five_thousand_calls_is_drawn() -> None:
    chain = [f"m:f{i} > m:f{i + 1}" for i in range(5000)]
    assert len(tree_text(graph("m:f0", *chain)).splitlines()) == 5001


def test_symbols_that_no_edge_reaches_stand_below_the_tree() -> None:
    assert tree_text(graph("m:a", extra=("x:<module>",))).splitlines() == ["a", "    top level of x"]


def test_dot_groups_symbols_by_module() -> None:
    dot = to_dot(DIAMOND)
    assert 'label="m"' in dot
    assert '"m:top" -> "n:right";' in dot
    assert dot.count("subgraph") == 2


def test_mermaid_escapes_the_name_of_a_modules_top_level() -> None:
    text = to_mermaid(graph("m:<lambda>", "m:<lambda> > n:<module>"))
    assert "<" not in text
    assert "n0 --> n1" in text


def test_the_svg_is_well_formed_and_shows_every_symbol_and_edge() -> None:
    svg = to_svg(DIAMOND)
    document = xml.dom.minidom.parseString(svg)
    assert len(document.getElementsByTagName("rect")) == 4
    assert svg.count('class="edge"') == 4


def test_boxes_of_the_svg_never_overlap() -> None:
    svg = to_svg(graph("m:a", *(f"m:a > m:b{i}" for i in range(20)), *(f"m:b{i} > n:c{i % 3}" for i in range(20))))
    boxes = [tuple(map(float, found)) for found in re.findall(r'x="([\d.]+)" y="([\d.]+)" width="([\d.]+)"', svg)]
    assert len(boxes) == 24
    for i, (x, y, width) in enumerate(boxes):
        for other_x, other_y, _ in boxes[i + 1 :]:
            assert abs(y - other_y) >= 24 or abs(x - other_x) >= width


def test_a_line_over_several_columns_passes_no_box() -> None:
    layout = lay_out_of(graph("m:a", "m:a > m:b", "m:b > m:c", "m:c > m:d", "m:a > m:d"))
    (_, y1), *between, (_, y2) = layout.lines[Symbol("m:a"), Symbol("m:d")]
    assert len(between) == 4
    for name in ("m:b", "m:c"):
        box = layout.boxes[Symbol(name)]
        for x, y in between:
            assert not (box.x <= x <= box.x + box.width and box.y <= y <= box.y + 24)


def test_what_did_not_run_is_pale() -> None:
    svg = to_svg(graph("m:a", "m:a > m:b", pale=frozenset({"m:b"})))
    assert svg.count('class="pale"') == 2  # the box of b, and the edge to it


def test_edges_lead_to_the_right_unless_they_close_a_cycle() -> None:
    svg = to_svg(graph("m:a", "m:a > m:b", "m:a > m:c", "m:b > m:c", "m:c > m:d", "m:d > m:b"))
    curves = [re.findall(r"[-\d.]+", d) for d in re.findall(r'class="edge"[^>]* d="([^"]+)"', svg)]
    assert sum(float(numbers[0]) >= float(numbers[-2]) for numbers in curves) == 1


def test_the_same_graph_gives_the_same_picture_in_any_order_of_edges() -> None:
    assert to_svg(DIAMOND) == to_svg(DIAMOND.replace(edges=DIAMOND.edges[::-1]))
