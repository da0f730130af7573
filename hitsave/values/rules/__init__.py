"""Rules: how a value that isn't a plain builtin is taken apart.

A rule is a function `(value, canonical) -> Parts`. Which one serves a type is decided here, in this order:

1. `__hitsave_key__()` on the class: the user's word.
2. the exact type, by the name of its module and its own (so that nothing need be imported to know it);
3. a family whose subclasses are told apart by more than their attributes (arrays, frames, tensors, sets, exceptions);
4. whatever pickle would say about it (`rules.instances`).

None of the packages named here is ever imported by us: whoever holds a value of its types has done so.
"""

from __future__ import annotations

import sys

from hitsave.values.naming import package_name
from hitsave.values.rules import standard
from hitsave.values.rules.code import describe_class, function_rules
from hitsave.values.rules.instances import by_key, instance

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from hitsave.values.canonical import Canonical
    from hitsave.values.parts import Parts

    Rule = Callable[[Any, Canonical], Parts]

# Top-level package of a type or of one of its bases: the module here that has a `find(cls) -> Rule | None`.
_FAMILIES = {
    "numpy": "arrays",
    "pandas": "frames",
    "pyarrow": "arrow",
    "polars": "polars",
    "scipy": "sparse",
    "torch": "tensors",
}
_known: dict[type, Rule] = {**standard.by_type(), **function_rules()}


def find_rule(cls: type) -> Rule:
    """The rule for instances of exactly `cls`; every type has one, if only one that says no."""
    rule = _known.get(cls)
    if rule is not None:
        return rule
    if getattr(cls, "__hitsave_key__", None) is not None:
        return by_key
    rule = standard.find(cls)
    if rule is not None:
        _known[cls] = rule  # a class of the standard library, so this keeps no user's class alive
        return rule
    if issubclass(cls, type):
        return describe_class
    for base in cls.__mro__[:-1]:
        family = _FAMILIES.get(package_name(base))
        if family is not None:
            found: Rule | None = _family(family).find(cls)
            if found is not None:
                return found
    return standard.find_for_subclass(cls) or instance


def _family(name: str) -> Any:
    full_name = f"{__name__}.{name}"
    return sys.modules.get(full_name) or __import__(full_name, fromlist=["find"])
