"""Explanations: a call, or a finished evaluation, against the stored evaluation most like it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from hitsave.evaluation import Evaluation, Key, Observed
from hitsave.explain.compare import Code, StoredCode, code_changes, observed_changes
from hitsave.explain.record import Change, Explanation, decode_code
from hitsave.symbol import Symbol

if TYPE_CHECKING:
    from hitsave.explain.record import Records

Locate = Callable[[str], "str | None"]


def explain_evaluation(
    evaluation: Evaluation, earlier: Sequence[Evaluation], records: Records, *, locate: Locate = lambda module: None
) -> Explanation:
    """Why `evaluation` was computed though the evaluations `earlier` (of the same function, any order) were there.

    An evaluation that was taken over from another one under older code, because what was edited did not run, is
    explained as "survived".
    """
    code = stored_code(evaluation.key.fingerprint, records)
    origin = _taken_over_from(evaluation, earlier)
    if origin is not None and code is not None:
        return survived(origin, code, records, locate=locate)
    return explain_call(evaluation.key, evaluation.title, code, evaluation.observed, earlier, records, locate=locate)


def explain_call(
    key: Key,
    title: str,
    code: Code | None,
    now: Observed | Callable[[Evaluation], Observed],
    stored: Sequence[Evaluation],
    records: Records,
    *,
    locate: Locate = lambda module: None,
    pending: bool = False,
) -> Explanation:
    """Why the call `key` is not answered by any of `stored`.

    `code` is the code behind `key.fingerprint`, None if it isn't known. `now` tells what the conditions of an
    evaluation look like today (or, for a finished call, what it observed itself).
    """
    nearest = find_nearest(key, stored)
    if nearest is None:
        return Explanation("new", key.symbol, title, pending=pending)
    changes: tuple[Change, ...] = ()
    same_arguments = nearest.key.arguments == key.arguments
    if nearest.key.fingerprint != key.fingerprint:
        then = stored_code(nearest.key.fingerprint, records)
        changes += _code_changes(nearest, then, code, locate=locate)
    if not same_arguments:
        changes += argument_changes(nearest.title, title)
    else:
        changes += observed_changes(nearest.observed, now(nearest) if callable(now) else now)
    outcome = _outcome(changes, nearest, key)
    return Explanation(
        outcome,
        key.symbol,
        title,
        changes,
        nearest,
        _unchanged(code, nearest, changes, same_arguments=same_arguments),
        pending,
        nearest.observed.impurities if outcome == "unknown" else (),
    )


def find_nearest(key: Key, stored: Iterable[Evaluation]) -> Evaluation | None:
    """The evaluation most like the call: same arguments before same code before newest."""

    def likeness(evaluation: Evaluation) -> tuple[bool, bool, float]:
        same_arguments = evaluation.key.arguments == key.arguments
        return same_arguments, evaluation.key.fingerprint == key.fingerprint, evaluation.started

    ours = [evaluation for evaluation in stored if evaluation.key.symbol == key.symbol]
    return max(ours, key=likeness, default=None)


def argument_changes(before: str, after: str) -> tuple[Change, ...]:
    """Arguments that differ between two calls as people write them: `train(lr=0.1)` and `train(lr=0.2)`."""
    old, new = _arguments(before), _arguments(after)
    return tuple(
        Change("argument", name, old.get(name, ""), new.get(name, ""))
        for name in {**old, **new}
        if old.get(name) != new.get(name)
    )


def _arguments(title: str) -> dict[str, str]:
    """`{parameter: text}` of a call written out; empty where it was shortened so that it doesn't parse."""
    try:
        call = ast.parse(title.replace("…", "..."), mode="eval").body
    except (SyntaxError, ValueError):
        return {}
    if not isinstance(call, ast.Call):
        return {}
    found: dict[str, str] = {}
    for index, argument in enumerate(call.args):
        found[f"argument {index + 1}"] = ast.unparse(argument)
    for keyword in call.keywords:
        found.update(_leaves(keyword.arg or "**", keyword.value))
    return found


def _leaves(path: str, node: ast.expr) -> dict[str, str]:
    """`{path: text}` for the leaves of a literal or of a call of a class with keywords: `cfg.lr`, `grid[0]`."""
    found: dict[str, str] = {}
    if isinstance(node, ast.Call) and node.keywords and not node.args:
        for keyword in node.keywords:
            found.update(_leaves(f"{path}.{keyword.arg}", keyword.value))
    elif isinstance(node, ast.Dict) and all(isinstance(key, ast.Constant) for key in node.keys):
        for key, value in zip(node.keys, node.values, strict=True):
            found.update(_leaves(f"{path}[{ast.unparse(key) if key else '**'}]", value))
    elif isinstance(node, (ast.List, ast.Tuple)):
        for index, item in enumerate(node.elts):
            found.update(_leaves(f"{path}[{index}]", item))
    return found or {path: ast.unparse(node)}


def stored_code(fingerprint: str, records: Records) -> StoredCode | None:
    """The code that was kept under a fingerprint; None if none was."""
    data = records.get_record("closure", fingerprint)
    state = decode_code(data) if data is not None else None
    return StoredCode(state, records) if state is not None else None


def survived(
    evaluation: Evaluation, code: Code, records: Records, *, locate: Locate = lambda module: None
) -> Explanation:
    """Why `evaluation` is reused though `code` is newer than what it was computed with: what changed did not run."""
    then = stored_code(evaluation.key.fingerprint, records)
    changes = _code_changes(evaluation, then, code, locate=locate, ran=evaluation.observed.ran)
    return Explanation("survived", evaluation.key.symbol, evaluation.title, changes, evaluation)


def _code_changes(
    nearest: Evaluation, then: Code | None, now: Code | None, *, locate: Locate, ran: Sequence[Symbol] | None = None
) -> tuple[Change, ...]:
    symbol = nearest.key.symbol
    if then is None or now is None:
        return (Change("code", symbol, where="the code of that evaluation was not kept"),)
    return code_changes(symbol, then, now, ran=None if ran is None else set(ran), locate=locate)


def _taken_over_from(evaluation: Evaluation, earlier: Iterable[Evaluation]) -> Evaluation | None:
    """The evaluation whose body really ran, if `evaluation` is its copy under newer code."""
    for other in earlier:
        same = other.key.arguments == evaluation.key.arguments and other.started == evaluation.started
        if same and other.result == evaluation.result and other.key.fingerprint != evaluation.key.fingerprint:
            return other
    return None


def _outcome(changes: Sequence[Change], nearest: Evaluation, key: Key) -> str:
    kinds = [change.kind for change in changes]
    for kind in ("code", "package", "file", "environment", "value", "result"):
        if kind in kinds:
            return kind
    return "arguments" if nearest.key.arguments != key.arguments else "unknown"


def _unchanged(
    code: Code | None, nearest: Evaluation, changes: Sequence[Change], *, same_arguments: bool
) -> tuple[tuple[str, int], ...]:
    changed = [change.kind for change in changes]
    counts = []
    if same_arguments:
        counts.append(("arguments", 0))
    if code is not None:
        counts.append(("symbols", len(code.state.pairs) - changed.count("code")))
        counts.append(("packages", len(code.state.versions) - changed.count("package")))
    if same_arguments:
        counts.append(("files", len(nearest.observed.files) - changed.count("file")))
        counts.append(("environment variables", len(nearest.observed.environment) - changed.count("environment")))
    return tuple((name, count) for name, count in counts if count > 0 or name == "arguments")
