"""Explaining a call of this process: what is stored, against the code that is loaded."""

from __future__ import annotations

from hitsave.evaluation import Evaluation, Observed
from hitsave.explain.reasons import explain_call, survived
from hitsave.explain.record import Explanation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hitsave.analysis import ModuleSummary
    from hitsave.digest import Digest
    from hitsave.evaluation import FileRead
    from hitsave.evaluator.evaluator import Asked
    from hitsave.evaluator.memo import Memo
    from hitsave.explain.record import CodeState
    from hitsave.session import Session
    from hitsave.source import Source


def explain_asked(session: Session, memo: Memo, asked: Asked | None) -> Explanation:
    """Why the call is a hit (and of what), or why it is a miss. Runs nothing."""
    from hitsave.evaluator.recording import title_of

    if asked is None:
        return Explanation("uncached", memo.symbol, memo.function.__qualname__ + "()")
    title = title_of(asked)
    code = LoadedCode(session, session.code_state(asked.plan.closure))
    held = session.look.holds(asked)

    def locate(module: str) -> str | None:
        source = session.book.source(module)
        return session.project.relative(source.path) if source is not None and source.path else None

    if held is not None:
        if held.key.fingerprint == asked.key.fingerprint:
            return Explanation("hit", memo.symbol, title, nearest=held)
        return survived(held, code, session.disk, locate=locate)
    stored = list(session.disk.entries(memo.symbol))
    return explain_call(
        asked.key,
        title,
        code,
        lambda evaluation: observed_today(session, evaluation),
        stored,
        session.disk,
        locate=locate,
    )


def observed_today(session: Session, evaluation: Evaluation) -> Observed:
    """What the conditions of `evaluation` look like now."""
    seen, conditions = evaluation.observed, session.conditions
    live = session.planner.live_digests([name for name, _ in (*seen.live, *seen.below_live)])

    def digest(one: FileRead) -> Digest:
        return conditions.exists(one.path) if one.kind == "exists" else conditions.file(one.path, one.kind)

    def read(files: tuple[FileRead, ...]) -> tuple[FileRead, ...]:
        return tuple(one.replace(digest=digest(one)) for one in files)

    return seen.replace(
        files=read(seen.files),
        below_files=read(seen.below_files),
        environment=tuple((name, conditions.variable(name)) for name, _ in seen.environment),
        below_environment=tuple((name, conditions.variable(name)) for name, _ in seen.below_environment),
        live=tuple((name, live.get(name, digest)) for name, digest in seen.live),
        below_live=tuple((name, live.get(name, digest)) for name, digest in seen.below_live),
    )


class LoadedCode:
    """The code of this process, as explanations compare it."""

    def __init__(self, session: Session, state: CodeState) -> None:
        self.state = state
        self._book = session.book

    def source(self, module: str) -> Source | None:
        """The source of a module by its canonical name."""
        return self._book.source(module)

    def find(self, name: str) -> ModuleSummary | None:
        """The summary of the module that `import name` means."""
        return self._book.find(name)
