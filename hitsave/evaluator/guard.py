"""Guards: is every name of a closure still bound to the object that it was bound to?

A guard is compiled into attribute look-ups, which the interpreter specialises to about 5 ns each. A rebound global, a
monkeypatched function or method and a reloaded module all make it say no.
"""

from __future__ import annotations

from hitsave.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# One compiled expression of more terms than this would reach the compiler's own limits.
CHUNK = 500


class Check(Record):
    """`holder.path is value`, where the first name of `path` is looked up in the module or class `holder` itself."""

    holder: Any
    path: str
    value: Any


def always() -> bool:
    """A guard that has nothing to check."""
    return True


def never() -> bool:
    """A guard for what can't be recognised again: everything is looked at anew."""
    return False


def compile_guard(checks: tuple[Check, ...]) -> Callable[[], bool]:
    """A function that says whether all `checks` hold."""
    if not checks:
        return always
    if len(checks) > CHUNK:
        parts = [compile_guard(checks[at : at + CHUNK]) for at in range(0, len(checks), CHUNK)]
        return lambda: all(part() for part in parts)
    holders = unique_holders(checks)
    names = {id(holder): f"h{index}" for index, holder in enumerate(holders)}
    tests = [f"{reference(check, names[id(check.holder)])} is e[{index}]" for index, check in enumerate(checks)]
    parameters = ", ".join([*names.values(), "e"])
    text = (
        f"def outer({parameters}):\n def guard():\n  try: return {' and '.join(tests)}\n"
        "  except (AttributeError, KeyError): return False\n return guard"
    )
    scope: dict[str, Any] = {}
    exec(compile(text, __file__, "exec"), scope)
    guard: Callable[[], bool] = scope["outer"](*holders, tuple(check.value for check in checks))
    return guard


def unique_holders(checks: tuple[Check, ...]) -> list[Any]:
    """Every holder once, in order of appearance."""
    seen: dict[int, Any] = {}
    for check in checks:
        seen.setdefault(id(check.holder), check.holder)
    return list(seen.values())


def reference(check: Check, holder: str) -> str:
    """The expression that looks `check` up, where `holder` is a variable that holds its holder."""
    head, dot, rest = check.path.partition(".")
    if isinstance(check.holder, type) or not head.isidentifier():
        # `Class.name` would bind descriptors, and find inherited members.
        return f"{holder}.__dict__[{head!r}]{dot}{rest}"
    return f"{holder}.{head}{dot}{rest}"
