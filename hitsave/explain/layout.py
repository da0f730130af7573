"""Where the boxes and lines of a dependency picture go: Sugiyama's layered drawing, the simple way.

    columns   each symbol by its longest way from the start, so that lines lead right; cycles cut where they close
    bends     a line over several columns gets an invisible place in each between, so that it passes no box
    order     within a column, by the mean place of neighbours (the barycentre rule), a few sweeps to and fro

Minimising crossings exactly is NP-hard, and sweeps are what dot starts with too. O(edges × columns) per sweep.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hitsave.record import Record
from hitsave.symbol import Symbol

SWEEPS = 4
ROW_PX, BEND_PX, BOX_PX, GAP_PX, MARGIN_PX = 34.0, 14.0, 24.0, 60.0, 20.0


class Box(Record):
    """A place: its left and top edge, and its width."""

    x: float
    y: float
    width: float

    @property
    def left(self) -> tuple[float, float]:
        """Where lines arrive."""
        return self.x, self.y + BOX_PX / 2

    @property
    def right(self) -> tuple[float, float]:
        """Where lines leave."""
        return self.x + self.width, self.y + BOX_PX / 2


class Layout(Record):
    """Boxes by symbol, the points of each line (reader, read) from start to end, and the size of it all."""

    boxes: dict[Symbol, Box]
    lines: dict[tuple[Symbol, Symbol], tuple[tuple[float, float], ...]]
    width: float
    height: float


class _Bend(Record):
    """The place of a line in a column that it only passes."""

    reader: Symbol
    read: Symbol
    column: int


Place = Symbol | _Bend


def lay_out(
    start: Symbol, nodes: Sequence[Symbol], reads: Mapping[Symbol, Sequence[Symbol]], widths: Mapping[Symbol, float]
) -> Layout:
    """The layout of a graph; `reads` maps each node to what it reads, `widths` to the width of its box."""
    depth, closing = _depths(start, reads)
    last = max(depth.values()) + 1
    columns: list[list[Place]] = [[] for _ in range(last + 1)]
    for node in nodes:
        columns[depth.get(node, last)].append(node)
    routes: dict[tuple[Symbol, Symbol], list[Place]] = {}
    for reader in nodes:
        for read in reads[reader]:
            between: list[Place] = []
            if (reader, read) not in closing and reader in depth:
                between = [_Bend(reader, read, column) for column in range(depth[reader] + 1, depth[read])]
            for bend in between:
                columns[bend.column].append(bend)  # type: ignore[union-attr]
            routes[reader, read] = [reader, *between, read]
    columns = [column for column in columns if column]
    _order(columns, routes, closing)
    return _place(columns, routes, widths)


def _depths(
    start: Symbol, reads: Mapping[Symbol, Sequence[Symbol]]
) -> tuple[dict[Symbol, int], frozenset[tuple[Symbol, Symbol]]]:
    """Each reached node's longest way from the start, and the edges that close a cycle."""
    finished: list[Symbol] = []
    closing: set[tuple[Symbol, Symbol]] = set()
    is_open = {start: True}
    stack = [(start, iter(reads[start]))]
    while stack:
        node, below = stack[-1]
        read = next(below, None)
        if read is None:
            stack.pop()
            is_open[node] = False
            finished.append(node)
        elif read not in is_open:
            is_open[read] = True
            stack.append((read, iter(reads[read])))
        elif is_open[read]:
            closing.add((node, read))
    depth = {start: 0}
    for node in reversed(finished):
        for read in reads[node]:
            if (node, read) not in closing:
                depth[read] = max(depth.get(read, 0), depth[node] + 1)
    return depth, frozenset(closing)


def _order(
    columns: list[list[Place]],
    routes: Mapping[tuple[Symbol, Symbol], Sequence[Place]],
    closing: frozenset[tuple[Symbol, Symbol]],
) -> None:
    before: dict[Place, list[Place]] = {place: [] for column in columns for place in column}
    after: dict[Place, list[Place]] = {place: [] for column in columns for place in column}
    for edge, route in routes.items():
        if edge not in closing:
            for left, right in zip(route, route[1:], strict=False):
                after[left].append(right)
                before[right].append(left)
    for _ in range(SWEEPS):
        _sweep(columns, before)
        _sweep(columns[::-1], after)


def _sweep(columns: Sequence[list[Place]], neighbours: Mapping[Place, Sequence[Place]]) -> None:
    rank = {place: (row + 0.5) / len(column) for column in columns for row, place in enumerate(column)}
    for column in columns:
        wanted = {}
        for place in column:
            ranks = [rank[other] for other in neighbours[place]] or [rank[place]]
            wanted[place] = sum(ranks) / len(ranks)
        column.sort(key=wanted.__getitem__)
        rank.update({place: (row + 0.5) / len(column) for row, place in enumerate(column)})


def _place(
    columns: Sequence[Sequence[Place]],
    routes: Mapping[tuple[Symbol, Symbol], Sequence[Place]],
    widths: Mapping[Symbol, float],
) -> Layout:
    heights = [sum(BEND_PX if isinstance(place, _Bend) else ROW_PX for place in column) for column in columns]
    height = max(heights)
    boxes: dict[Place, Box] = {}
    left = MARGIN_PX
    for column, own in zip(columns, heights, strict=True):
        width = max([0.0, *(widths[place] for place in column if not isinstance(place, _Bend))])
        top = MARGIN_PX + (height - own) / 2
        for place in column:
            if isinstance(place, _Bend):
                boxes[place] = Box(left, top + BEND_PX / 2 - BOX_PX / 2, width)
                top += BEND_PX
            else:
                boxes[place] = Box(left, top + (ROW_PX - BOX_PX) / 2, width)
                top += ROW_PX
        left += width + GAP_PX
    lines = {}
    for edge, (reader, *between, read) in routes.items():
        bends = [point for bend in between for point in (boxes[bend].left, boxes[bend].right)]
        leaves = boxes[reader].left if boxes[read].x <= boxes[reader].x else boxes[reader].right
        lines[edge] = (leaves, *bends, boxes[read].left)
    drawn = {place: box for place, box in boxes.items() if not isinstance(place, _Bend)}
    return Layout(drawn, lines, left - GAP_PX + MARGIN_PX, height + 2 * MARGIN_PX)
