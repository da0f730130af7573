"""Look-up: the exact key first; then the results that an edit has spared.

**Exact.** Evaluations stored under the very key. One is a hit if what it observed still holds.

**Spared.** Evaluations of the same function and arguments under any other fingerprint, newest first. Each remembers
which functions ran and which memoised calls it made. The closure of today's code, cut at all that did not run and at
these calls, must have the fingerprint it had then; the conditions must hold; and each memoised call must still give
the result it gave (it is evaluated if need be: the body would make that call anyway). What holds is stored under
today's key too, so the next look-up is exact.

Candidates that ran the same functions share one closure, so a thousand of them cost one.
"""

from __future__ import annotations

from hitsave.errors import StoreError, StoreWarning
from hitsave.evaluation import Key
from hitsave.record import Record
from hitsave.values import decode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from hitsave.digest import Digest
    from hitsave.evaluation import Child, Evaluation, Observed
    from hitsave.evaluator.conditions import Conditions
    from hitsave.evaluator.evaluator import Asked
    from hitsave.evaluator.memo import Memo
    from hitsave.evaluator.notices import Notices
    from hitsave.evaluator.plan import Plan
    from hitsave.evaluator.planner import Planner
    from hitsave.store.contract import Store
    from hitsave.symbol import Symbol

# Beyond this many groups of candidates a look-up would cost more than it is likely to spare.
MOST_GROUPS = 64


class Hit(Record):
    """A stored evaluation that holds, its decoded result, and whether an edit had changed its fingerprint."""

    evaluation: Evaluation
    value: Any
    spared: bool = False


class LookUp:
    """Finds stored results. `evaluate_child(symbol, call)` gives a memoised child's result digest today, or None."""

    def __init__(
        self,
        store: Store,
        conditions: Conditions,
        planner: Planner,
        evaluate_child: Callable[[Child], Digest | None],
        notices: Notices | None = None,
    ) -> None:
        self.store = store
        self.conditions = conditions
        self.planner = planner
        self._evaluate_child = evaluate_child
        self.notices = notices

    def find(self, asked: Asked) -> Hit | None:
        """The newest stored evaluation that holds for the call, with its result; None if there is none."""
        return self.find_exact(asked) or self._find_spared(asked)

    def find_exact(self, asked: Asked) -> Hit | None:
        """As `find`, among those under the very key only."""
        for evaluation in self.store.find(asked.key):
            if self._holds_exactly(asked, evaluation):
                hit = self._decoded(evaluation, spared=False)
                if hit is not None:
                    return hit
        return None

    def holds(self, asked: Asked) -> Evaluation | None:
        """As `find`, without loading the result and without evaluating anything."""
        for evaluation in self.store.find(asked.key):
            if self._holds_exactly(asked, evaluation):
                return evaluation
        return next(iter(self._spared(asked, self._stored_child)), None)

    @staticmethod
    def is_fresh(evaluation: Evaluation, ttl: float | None) -> bool:
        """Whether the evaluation is young enough for the function's `ttl`."""
        if ttl is None:
            return True
        import time

        return time.time() - evaluation.started < ttl

    def stored_result(self, memo: Memo, plan: Plan, child: Child) -> Digest | None:
        """The result digest of the evaluation of `memo` with the child's arguments that holds today."""
        key = Key(child.symbol, plan.fingerprint, child.arguments)
        for evaluation in self.store.find(key):
            if self.is_fresh(evaluation, memo.options.ttl) and self.conditions.hold(
                evaluation.observed, self.planner.live_digests
            ):
                return evaluation.result
        return None

    # -- private -----------------------------------------------------------------------------------------------------

    def _holds_exactly(self, asked: Asked, evaluation: Evaluation) -> bool:
        """Whether an evaluation under the very key holds.

        The fingerprint says that the code which can be seen to be reached is what it was. What was reached in ways
        that can't be seen is compared on its own.
        """
        observed = evaluation.observed
        return (
            self.is_fresh(evaluation, asked.memo.options.ttl)
            and (not observed.reached or self._is_unchanged(asked, observed))
            and self.conditions.hold(observed, self.planner.live_digests)
        )

    def _decoded(self, evaluation: Evaluation, *, spared: bool) -> Hit | None:
        blob = self.store.load(evaluation)
        if blob is None:
            return None
        try:
            allow_pickle = self.planner.config.allow_pickle != "never"
            return Hit(evaluation, decode(blob, modules=self.planner.book, allow_pickle=allow_pickle), spared)
        except StoreError as error:  # its class has gone, or a library can't read what its last release wrote
            self._say_unreadable(evaluation, error)
            return None

    def _find_spared(self, asked: Asked) -> Hit | None:
        for evaluation in self._spared(asked, self._evaluate_child):
            hit = self._decoded(evaluation, spared=True)
            blob = None if hit is None else self.store.load(evaluation)
            self.planner.keep_code(asked)
            if self.planner.was_swapped(asked):
                return None  # what was compared is the code of this moment, and the key is that of the code before
            if hit is not None and blob is not None:
                renewed = evaluation.replace(key=asked.key)
                self.store.save(renewed, blob)
                return hit.replace(evaluation=renewed)
        return None

    def _say_unreadable(self, evaluation: Evaluation, error: StoreError) -> None:
        if self.notices is not None:
            name = evaluation.key.symbol.partition(":")[2]
            text = f"a stored result of {name}() is computed anew: {error.message}"
            self.notices.say(StoreWarning, text, hint=error.hint)

    def _spared(self, asked: Asked, child_result: Callable[[Child], Digest | None]) -> Iterable[Evaluation]:
        groups: dict[object, bool] = {}
        for evaluation in self.store.candidates(asked.key.symbol, asked.key.arguments):
            observed = evaluation.observed
            if not observed.narrowed or not self.is_fresh(evaluation, asked.memo.options.ttl):
                continue
            if evaluation.key.fingerprint == asked.key.fingerprint and not observed.children:
                continue  # it was tried as an exact one
            group = (
                *(observed.ran, observed.reached, observed.carried, observed.earlier, observed.at_import),
                *(observed.narrowed, _called(observed)),
            )
            unchanged = groups.get(group)
            if unchanged is None:
                if len(groups) >= MOST_GROUPS:
                    return
                unchanged = groups[group] = self._is_unchanged(asked, observed)
            if (
                unchanged
                and self.conditions.hold(observed, self.planner.live_digests, below=False)
                and all(child_result(child) == child.result for child in observed.children)
            ):
                yield evaluation

    def _is_unchanged(self, asked: Asked, observed: Observed) -> bool:
        if not asked.carried <= frozenset(observed.carried):
            return False
        return self.planner.narrowed(asked.memo, asked.plan, observed) == observed.narrowed

    def _stored_child(self, child: Child) -> Digest | None:
        """The child's result if a stored evaluation holds for it today; nothing is evaluated."""
        return self.planner.stored_child(child, self)


def _called(observed: Observed) -> frozenset[Symbol]:
    return frozenset(child.symbol for child in observed.children)
