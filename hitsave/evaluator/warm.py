"""The warm table: which results the compiled wrapper of a function may answer itself, without anybody looking."""

from __future__ import annotations

from hitsave.values.immutable import is_atomic, is_immutable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hitsave.evaluation import Observed
    from hitsave.evaluator.evaluator import Asked

MOST_ENTRIES = 1 << 15
MOST_CHARACTERS = 1 << 12


def keep_warm(asked: Asked, value: Any, observed: Observed) -> None:
    """Put a result into the wrapper's own table, if that is safe.

    The wrapper's guard watches over what names are bound to and nothing else: a result that depends on a file, a
    variable, or code that was reached out of its sight is looked up each time.
    """
    memo = asked.memo
    if observed.files or observed.environment or observed.below_files or observed.below_environment:
        return
    if observed.reached or not {name for name, _ in observed.live + observed.below_live} <= set(asked.plan.values):
        return
    if memo.plan is not asked.plan or memo.keyed is not None or not is_immutable(value):
        return
    if not all(map(is_atomic, asked.values)) or len(memo.table) >= MOST_ENTRIES:
        return
    if isinstance(value, (str, bytes, tuple, frozenset)) and len(value) > MOST_CHARACTERS:
        return
    row = asked.values + tuple(map(type, asked.values))
    memo.table[row] = value
    if memo.plan is not asked.plan:  # another thread has cleared the table meanwhile, for code that came meanwhile
        memo.table.pop(row, None)
