"""Values that contain themselves, share their parts, or are very deep."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from hitsave.errors import CannotDigest
from tests.values.samples import Plain, Point, digest


def chain(length: int) -> Any:
    last = None
    for number in range(length):
        last = Point(number, last)
    return last


def ring(size: int) -> list[Plain]:
    nodes = [Plain(name=number) for number in range(size)]
    for node, following in zip(nodes, nodes[1:] + nodes[:1], strict=True):
        node.next = following  # type: ignore[attr-defined]
    return nodes


def test_a_list_that_holds_itself_has_a_digest() -> None:
    def looped(extra: object) -> list[object]:
        value: list[object] = [1, extra]
        value.append(value)
        return value

    assert digest(looped(2)) == digest(looped(2)) != digest(looped(3))
    assert digest(looped(2)) != digest([1, 2, [1, 2]])


def test_cycles_through_dicts_tuples_and_instances_have_a_digest() -> None:
    def looped() -> dict[str, Any]:
        value: dict[str, Any] = {"self": None}
        value["self"] = (Plain(owner=value), [value])
        return value

    assert digest(looped()) == digest(looped())


def test_a_cycle_counts_the_same_wherever_it_stands() -> None:
    nodes = ring(3)
    assert digest([nodes[0]]) == digest([ring(3)[0]])
    assert digest([[], nodes[0], nodes[0]]) == digest([[], ring(3)[0], ring(3)[0]])


def test_rings_of_different_lengths_or_names_differ() -> None:
    renamed = ring(3)
    renamed[1].name = "x"  # type: ignore[attr-defined]
    assert len({digest(ring(2)[0]), digest(ring(3)[0]), digest(renamed[0]), digest(ring(3)[1])}) == 4


def test_parents_and_children_that_refer_to_each_other_are_equal_when_built_equally() -> None:
    def tree(name: str) -> Plain:
        root = Plain(name=name, parent=None)
        root.children = [Plain(name=n, parent=root, tags=["a", [n]]) for n in range(3)]  # type: ignore[attr-defined]
        return root

    assert digest(tree("a")) == digest(tree("a")) != digest(tree("b"))


def test_children_in_a_set_may_refer_to_their_parent() -> None:
    def tree(order: list[int]) -> Plain:
        root = Plain(name="root")
        children = {number: Plain(name=number, parent=root) for number in order}
        root.children = {children[number] for number in order}  # type: ignore[attr-defined]
        return root

    assert digest(tree([1, 2, 3, 4])) == digest(tree([4, 3, 2, 1])) != digest(tree([1, 2, 3, 5]))


def test_members_of_a_set_that_refer_to_each_other_do_not_count_by_the_order_of_the_set() -> None:
    def pair(first: str, second: str) -> set[Plain]:
        one, other = Plain(name=first), Plain(name=second)
        one.peer, other.peer = other, one  # type: ignore[attr-defined]
        return {one, other}

    # Sets of such objects are ordered by their addresses, so a few are tried.
    assert len({digest([pair("a", "b"), pair("b", "a")]) for _ in range(20)}) == 1


def test_what_was_met_in_a_set_does_not_change_what_comes_after_it() -> None:
    def value() -> list[Any]:
        nodes = ring(4)
        return [{nodes[2], nodes[0]}, nodes[0], nodes]

    assert len({digest(value()) for _ in range(20)}) == 1


def test_what_holds_a_member_of_a_cycle_counts_the_same_wherever_the_cycle_was_entered() -> None:
    def value() -> set[Plain]:
        one, other = ring(2)
        holder = Plain(holds=other)
        return {Plain(name="e", first=one, then=holder), Plain(name="f", only=holder), Plain(name="g", tuple=(other,))}

    kept = [value() for _ in range(30)]
    assert len({digest(each) for each in kept}) == 1


def test_objects_in_sets_that_refer_to_each_other_in_too_many_ways_are_refused_in_time() -> None:
    nodes = [Plain(name=number) for number in range(60)]
    for node in nodes:
        node.peers = set(nodes)  # type: ignore[attr-defined]
    with pytest.raises(CannotDigest, match="in so many ways"):
        digest(nodes[0])


def test_a_long_chain_has_a_digest() -> None:
    assert digest(chain(5_000)) == digest(chain(5_000)) != digest(chain(5_001))


def test_a_deep_list_has_a_digest_beyond_what_marshal_takes() -> None:
    def deep(depth: int) -> list[Any]:
        value: list[Any] = []
        for _ in range(depth):
            value = [value]
        return value

    assert len({digest(deep(depth)) for depth in (50, 99, 101, 1999, 2001, 5000)}) == 6


@pytest.mark.parametrize("leaf", [1, Point(1)], ids=["plain", "instance"])
def test_shared_parts_cost_their_size_once(leaf: object) -> None:
    value = [leaf]
    for _ in range(200):
        value = [value, value]
    started = time.process_time()
    digest(value)
    assert time.process_time() - started < 30  # written out it would be 2**200 items


@pytest.mark.parametrize(
    "wrap", [lambda text: {"text": text}, lambda text: Plain(text=text)], ids=["plain", "instance"]
)
def test_a_long_text_in_many_places_is_written_once(wrap: Callable[[str], object]) -> None:
    text = "a" * 3_000_000
    tracemalloc.start()
    try:
        digest([wrap(text) for _ in range(2000)])  # written out it would be 6 GB
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100_000_000
    assert digest([wrap(text)] * 3) == digest([wrap("".join([text])), wrap(text + ""), wrap(text[:])])


def test_a_graph_of_many_nodes_costs_its_edges_once() -> None:
    nodes = ring(300)
    for node in nodes:
        node.all = nodes  # type: ignore[attr-defined]
    started = time.process_time()
    assert digest(nodes) == digest(nodes)
    assert time.process_time() - started < 10
