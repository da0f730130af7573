"""The graph of what a symbol depends on, as pictures and trees show it."""

from __future__ import annotations

import sys
from collections.abc import Collection

from hitsave.analysis import Codebase
from hitsave.explain.graph import Graph
from hitsave.symbol import Symbol


def dependency_graph(codebase: Codebase, start: Symbol, *, ran: Collection[Symbol] | None = None) -> Graph:
    """Everything that `start` depends on, with an edge from each symbol to what it names.

    With `ran`, the functions that ran in one evaluation, what that evaluation did not depend on is pale.
    """
    reach = codebase.reach((start,))
    closure = codebase.closure(start)
    nodes = {*map(Symbol, codebase.depends(start)), start}
    edges: set[tuple[Symbol, Symbol]] = set()
    packages: set[str] = set()
    for found, source, _ in reach.edges:
        if source is None:
            continue
        edges.update((source.symbol, entity.symbol) for entity in found.mentions)
        for dotted in found.outside:
            package = dotted.partition(".")[0]
            if package in closure.packages and package not in sys.stdlib_module_names:
                packages.add(package)
                edges.add((source.symbol, Symbol(package)))
    # Methods that are found by the name of an attribute are led to by whoever brought their class in.
    edges.update((parent.symbol, entity.symbol) for entity, parent in reach.parents.items() if parent is not None)
    pale: frozenset[Symbol] = frozenset()
    if ran is not None:
        pale = frozenset(nodes - codebase.closure(start, ran=ran).symbols() - {start})
    return Graph(
        start,
        (*sorted(nodes), *sorted(map(Symbol, packages))),
        tuple(sorted(edges)),
        values=frozenset((*closure.live, *closure.constants)),
        packages=frozenset(packages),
        pale=pale,
    )
