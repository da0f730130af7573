"""After an edit: how much of what was worked out still holds.

Most edits change what functions do and nothing that other code could tell: no name, base, import or initialiser. Then
the graph stands, edges of the edited definitions aside, and if not even those changed (a constant, a condition), every
closure stands but for the digests of what was edited. Only an edit that changes what names mean starts anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hitsave.analysis.summary import Class, Definition, Facts, Function, Import, ModuleSummary, Value

if TYPE_CHECKING:
    from collections.abc import Iterable

# What other code can tell of a definition without running it, beside its name.
_OUTLINES: dict[type[Definition], tuple[str, ...]] = {
    Function: ("decorators",),
    Class: ("bases", "keywords", "decorators", "members"),
    Value: ("is_literal", "alias", "statement"),
    Import: ("module", "attribute"),
}
# How far an edit of one module reaches.
NOTHING, DIGESTS, EDGES, NAMES = range(4)


def reach_of_edit(old: ModuleSummary, new: ModuleSummary) -> int:
    """How far the edit from `old` to `new` reaches."""
    if old is new or (old.source == new.source and old.is_package == new.is_package):
        return NOTHING
    if not _same_names(old, new):
        return NAMES
    reach = DIGESTS
    for name, before in old.definitions.items():
        for one, other in zip(before, new.definitions[name], strict=True):
            if not _same_outline(one, other):
                return NAMES
            if not all(map(same_facts, _facts(one), _facts(other))):
                reach = EDGES
    for before_, after in zip(old.statements, new.statements, strict=True):
        if not same_facts(before_.facts, after.facts):
            reach = EDGES
    for condition, changed in zip(old.conditions, new.conditions, strict=True):
        if not same_facts(condition.facts, changed.facts):
            reach = EDGES
    return reach


def _same_names(old: ModuleSummary, new: ModuleSummary) -> bool:
    return (
        old.module == new.module
        and old.is_package == new.is_package
        and old.imports == new.imports
        and old.stars == new.stars
        and old.exports == new.exports
        and len(old.conditions) == len(new.conditions)
        and [s.names for s in old.statements] == [s.names for s in new.statements]
        and list(old.definitions) == list(new.definitions)
        and all(len(found) == len(new.definitions[name]) for name, found in old.definitions.items())
    )


def _same_outline(old: Definition, new: Definition) -> bool:
    """Do two definitions look the same to all but those who run them?"""
    if old.__class__ is not new.__class__ or old.conditions != new.conditions:
        return False
    fields = _OUTLINES.get(old.__class__, ())
    return all(getattr(old, field) == getattr(new, field) for field in fields)


def _facts(definition: Definition) -> Iterable[Facts]:
    if isinstance(definition, Function):
        return definition.header_facts, definition.body_facts, definition.annotation_facts
    if isinstance(definition, Class):
        return definition.facts, definition.annotation_facts
    return (definition.facts,) if isinstance(definition, Value) else ()


def same_facts(old: Facts, new: Facts) -> bool:
    """Are two facts equal but for line numbers?"""
    if old is new:
        return True
    return (
        len(old.reads) == len(new.reads)
        and all(a[0] == b[0] and a[1] & 255 == b[1] & 255 for a, b in zip(old.reads, new.reads, strict=True))
        and [pattern[:3] for pattern in old.patterns] == [pattern[:3] for pattern in new.patterns]
        and [name for name, _ in old.opaque] == [name for name, _ in new.opaque]
        and all(getattr(old, field) == getattr(new, field) for field in _PLAIN)
    )


_PLAIN = tuple(field for field in Facts._fields if field not in ("reads", "patterns", "opaque"))
