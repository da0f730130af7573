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
from typing import TYPE_CHECKING

from hitsave.analysis import Closure, Codebase, Modules
from hitsave.digest import Digest
from hitsave.evaluation import Child, Evaluation
from hitsave.explain.compare import StoredCode
from hitsave.explain.reasons import stored_code
from hitsave.explain.record import CodeState
from hitsave.record import Record
from hitsave.symbol import MODULE, Symbol, module_of, outermost, qualname_of

if TYPE_CHECKING:
    from hitsave.explain.record import Records

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

    `files` answers for the modules as they are on disk; `versions(names)` gives today's versions of outside packages;
    `changed(evaluation, below)` names the first file or variable that isn't what the evaluation saw ("" if none);
    `candidates` are the stored evaluations of a function and its arguments.
    """

    def __init__(
        self,
        files: Modules,
        records: Records,
        *,
        versions: Callable[[Iterable[str]], Mapping[str, str]],
        changed: Callable[[Evaluation, bool], str],
        candidates: Callable[[Symbol, Digest], Iterable[Evaluation]],
    ) -> None:
        self._files = files
        self._codebase = Codebase(files)
        self._records = records
        self._versions = versions
        self._changed = changed
        self._candidates = candidates
        self._closures: dict[frozenset[Symbol], Closure] = {}
        self._stored: dict[str, tuple[StoredCode, Codebase] | None] = {}
        self._unchanged: dict[object, bool] = {}
        self._judged: dict[Evaluation, Standing] = {}

    def judge(self, evaluations: Iterable[Evaluation]) -> None:
        """Judge many: callees first, so that a chain of a thousand calls needs no stack of a thousand."""
        for evaluation in sorted(evaluations, key=lambda each: each.started + each.elapsed_s):
            self.of(evaluation)

    def of(self, evaluation: Evaluation) -> Standing:
        """How `evaluation` stands."""
        if evaluation not in self._judged:
            self._judged[evaluation] = Standing(STALE)  # a call that reaches itself doesn't vouch for itself
            self._judged[evaluation] = self._judge(evaluation)
        return self._judged[evaluation]

    def _judge(self, evaluation: Evaluation) -> Standing:
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

    def is_same_code(self, evaluation: Evaluation) -> bool:
        """Whether everything that the evaluation's code could reach is what it was."""
        stored = self._stored_code(evaluation)
        if stored is None:
            return False
        group = ("same", evaluation.key.fingerprint, evaluation.observed.carried)
        if group not in self._unchanged:
            now = self.state({evaluation.key.symbol, *evaluation.observed.carried})
            self._unchanged[group] = _same(now, stored[0].state)
        return self._unchanged[group]

    # -- private -----------------------------------------------------------------------------------------------------

    def _closure(self, starts: Iterable[Symbol]) -> Closure:
        key = frozenset(starts)
        if key not in self._closures:
            self._closures[key] = self._codebase.closure([name for name in sorted(key) if _exists(self._files, name)])
        return self._closures[key]

    def _stored_code(self, evaluation: Evaluation) -> tuple[StoredCode, Codebase] | None:
        """The code that `evaluation` was stored for; None if it wasn't kept."""
        name = evaluation.key.fingerprint
        if name not in self._stored:
            code = stored_code(name, self._records)
            self._stored[name] = (code, Codebase(code)) if code is not None else None
        return self._stored[name]

    def _is_spared(self, evaluation: Evaluation) -> bool:
        seen = evaluation.observed
        stored = self._stored_code(evaluation)
        if stored is None or not seen.narrowed or not _exists(self._files, evaluation.key.symbol):
            return False
        cut = frozenset(child.symbol for child in seen.children)
        group = (
            *(evaluation.key.fingerprint, seen.ran, seen.reached, seen.carried, seen.earlier, seen.at_import),
            *(seen.complete, cut),
        )
        if group not in self._unchanged:
            now = narrowed_closure(self._files, self._codebase, evaluation)
            then = narrowed_closure(*stored, evaluation)
            old = dict(stored[0].state.versions)
            versions = self._versions(now.packages).items()
            same_versions = all(old.get(name, version) == version for name, version in versions)
            self._unchanged[group] = now.pairs == then.pairs and same_versions
        return self._unchanged[group]

    def _child_stands(self, child: Child) -> bool:
        return any(
            candidate.result == child.result and self.of(candidate).holds
            for candidate in self._candidates(child.symbol, child.arguments)
        )


def narrowed_closure(modules: Modules, codebase: Codebase, evaluation: Evaluation) -> Closure:
    """The closure of what ran in `evaluation`, as the evaluator takes it, without the memoised calls it made."""
    seen = evaluation.observed
    starts = {evaluation.key.symbol, *seen.carried, *seen.reached}
    return codebase.closure(
        [name for name in sorted(starts) if _exists(modules, name)],
        ran=frozenset(seen.ran) if seen.complete else None,
        earlier=seen.earlier,
        at_import=seen.at_import,
        cut=[child.symbol for child in seen.children],
    )


def _exists(modules: Modules, name: Symbol) -> bool:
    summary = modules.find(module_of(name))
    qualname = outermost(qualname_of(name))
    return summary is not None and (qualname == MODULE or qualname in summary.definitions)


def newest_that_holds(candidates: Sequence[Evaluation], standings: Standings) -> Evaluation | None:
    """The evaluation that the next call would reuse; None if it would compute."""
    for evaluation in sorted(candidates, key=lambda each: -each.started):
        if standings.of(evaluation).holds:
            return evaluation
    return None


def _same(now: CodeState, then: CodeState) -> bool:
    return now.pairs == then.pairs and dict(now.versions) == dict(then.versions)
