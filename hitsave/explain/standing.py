"""Whether a stored evaluation stands for the code in the files now, judged without loading or running any of it.

    fresh    its whole closure is what it was
    spared   the closure changed, but nothing in it that ran, or that what ran can reach, did
    stale    it would be computed again

A spared evaluation also needs each memoised call that it made to give the same result; that is known without running
where an evaluation of that call with that result stands itself. Where it isn't, the callee would run first, and the
edit may stop there: `via` names it.

What this can't see are live values (a global that is computed at import): for those the definition speaks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from hitsave.analysis import Closure, Codebase
from hitsave.digest import Digest
from hitsave.evaluation import Child, Evaluation
from hitsave.explain.compare import StoredCode
from hitsave.explain.reasons import stored_code
from hitsave.explain.record import CodeState, Records
from hitsave.record import Record
from hitsave.symbol import Symbol

FRESH, SPARED, STALE = "fresh", "spared", "stale"


class Standing(Record):
    """How an evaluation stands: "fresh", "spared" or "stale", and for a stale one why.

    `via` is the memoised callee whose result is not known; `condition` the file or variable that isn't what it was.
    """

    state: str
    via: Symbol | None = None
    condition: str = ""

    @property
    def holds(self) -> bool:
        """Whether the next call would reuse the result."""
        return self.state != STALE


class Standings:
    """Judges evaluations against the code in the files.

    `codebase` answers for the files; `versions(names)` gives today's versions of outside packages; `changed(evaluation,
    below)` names the first file or variable that isn't what the evaluation saw ("" if none); `candidates` are the
    stored evaluations of a function and its arguments.
    """

    def __init__(
        self,
        codebase: Codebase,
        records: Records,
        *,
        versions: Callable[[Iterable[str]], Mapping[str, str]],
        changed: Callable[[Evaluation, bool], str],
        candidates: Callable[[Symbol, Digest], Iterable[Evaluation]],
    ) -> None:
        self.codebase = codebase
        self._records = records
        self._versions = versions
        self._changed = changed
        self._candidates = candidates
        self._closures: dict[frozenset[Symbol], Closure] = {}
        self._stored: dict[str, StoredCode | None] = {}
        self._unchanged: dict[object, bool] = {}
        self._children: dict[Child, bool] = {}

    def of(self, evaluation: Evaluation) -> Standing:
        """How `evaluation` stands."""
        if self.is_same_code(evaluation):
            changed = self._changed(evaluation, True)
            return Standing(STALE, condition=changed) if changed else Standing(FRESH)
        if not self._is_spared(evaluation):
            return Standing(STALE)
        changed = self._changed(evaluation, False)
        if changed:
            return Standing(STALE, condition=changed)
        for child in evaluation.observed.children:
            if not self._child_stands(child):
                return Standing(STALE, via=child.symbol)
        return Standing(SPARED)

    def state(self, starts: Iterable[Symbol]) -> CodeState:
        """The code in the files that `starts` depend on now."""
        closure = self._closure(starts)
        return CodeState(closure.pairs, tuple(sorted(self._versions(closure.packages).items())))

    def stored_code(self, evaluation: Evaluation) -> StoredCode | None:
        """The code that `evaluation` was stored for; None if it wasn't kept."""
        name = evaluation.key.fingerprint
        if name not in self._stored:
            self._stored[name] = stored_code(name, self._records)
        return self._stored[name]

    def is_same_code(self, evaluation: Evaluation) -> bool:
        """Whether everything that the evaluation's code could reach is what it was."""
        stored = self.stored_code(evaluation)
        if stored is None:
            return False
        group = ("same", evaluation.key.fingerprint, evaluation.observed.carried)
        if group not in self._unchanged:
            now = self.state({evaluation.key.symbol, *evaluation.observed.carried})
            self._unchanged[group] = _same(now, stored.state)
        return self._unchanged[group]

    # -- private -----------------------------------------------------------------------------------------------------

    def _closure(self, starts: Iterable[Symbol]) -> Closure:
        key = frozenset(starts)
        if key not in self._closures:
            self._closures[key] = self.codebase.closure(sorted(key))
        return self._closures[key]

    def _is_spared(self, evaluation: Evaluation) -> bool:
        seen = evaluation.observed
        stored = self.stored_code(evaluation)
        if stored is None or not seen.narrowed:
            return False
        cut = frozenset(child.symbol for child in seen.children)
        group = (evaluation.key.fingerprint, seen.ran, seen.reached, seen.carried, seen.complete, cut)
        if group not in self._unchanged:
            starts = sorted({evaluation.key.symbol, *seen.carried, *seen.reached})
            ran = frozenset(seen.ran) if seen.complete else None
            now = self.codebase.closure(starts, ran=ran, cut=cut)
            then = Codebase(stored).closure(starts, ran=ran, cut=cut)
            versions = self._versions(now.packages)
            old = dict(stored.state.versions)
            same_versions = all(old.get(name, version) == version for name, version in versions.items())
            self._unchanged[group] = now.pairs == then.pairs and same_versions
        return self._unchanged[group]

    def _child_stands(self, child: Child) -> bool:
        if child not in self._children:
            self._children[child] = False  # a call that reaches itself doesn't vouch for itself
            self._children[child] = any(
                candidate.result == child.result and self.of(candidate).holds
                for candidate in self._candidates(child.symbol, child.arguments)
            )
        return self._children[child]


def newest_that_holds(candidates: Sequence[Evaluation], standings: Standings) -> Evaluation | None:
    """The evaluation that the next call would reuse; None if it would compute."""
    for evaluation in sorted(candidates, key=lambda each: -each.started):
        if standings.of(evaluation).holds:
            return evaluation
    return None


def _same(now: CodeState, then: CodeState) -> bool:
    return now.pairs == then.pairs and dict(now.versions) == dict(then.versions)
