"""Explanations as lines for a terminal, a log or a notebook."""

from __future__ import annotations

import time

from hitsave.analysis.closure import MADE, WHICH
from hitsave.evaluation import SURROUNDINGS, Evaluation
from hitsave.explain.record import OUTCOMES, Change, Explanation
from hitsave.symbol import MODULE, Symbol, module_of, qualname_of

ARROW = " → "


def explanation_text(explanation: Explanation, *, diff: bool = True) -> str:
    """Head line, each change with its path and diff, then what stayed the same."""
    lines = [f"{explanation.title or short(explanation.symbol)}   {_headline(explanation)}"]
    for change in explanation.changes:
        lines += ["  " + line for line in _change_lines(change, explanation, diff=diff)]
    unchanged = ", ".join(_count(name, count) for name, count in explanation.unchanged)
    if unchanged:
        lines.append(f"  unchanged: {unchanged}")
    lines += [f"  note: {note}" for note in explanation.notes]
    return "\n".join(lines)


def _headline(explanation: Explanation) -> str:
    said = OUTCOMES[explanation.outcome]
    if explanation.is_hit or explanation.outcome == "uncached":
        return said
    if explanation.pending:
        return f"will be computed: {said}"
    return f"computed: {said}"


def _change_lines(change: Change, explanation: Explanation, *, diff: bool) -> list[str]:
    if change.kind != "code":
        return [f"{_subject(change)}: {change.before or '(none)'} → {change.after or '(none)'}"]
    lines = [path_text(change.path) or short(Symbol(change.name), within=explanation.symbol)]
    if not change.ran:
        lines[0] += "   (did not run in this call)"
    if diff and change.diff:
        lines.append(f"--- {change.where}{_age(explanation.nearest)}")
        lines += change.diff.splitlines()
    elif change.where:
        lines[0] += f"   ({change.where})"
    return lines


def change_text(change: Change, explanation: Explanation) -> str:
    """One change in one line, without its diff."""
    return _change_lines(change, explanation, diff=False)[0]


def _subject(change: Change) -> str:
    """What has changed, in plain words."""
    if change.kind == "value":
        base, _, end = change.name.rpartition(".")
        words = {
            MADE: f"what decorators, defaults or bases made of {base} at import",
            WHICH: f"which definition of {base} was taken at import",
            "__subclasses__": f"the subclasses of {base}",
            "*": f"what was set on {base}",
        }
        return words.get(end, f"value of {change.name}")
    if change.kind == "environment" and change.name in SURROUNDINGS:
        return SURROUNDINGS[change.name]
    return f"{_kind(change)}{change.name}"


def _kind(change: Change) -> str:
    words = {
        "argument": "",
        "file": "file ",
        "environment": "environment ",
        "package": "package ",
    }
    return words.get(change.kind, "result of ")


def path_text(path: tuple[Symbol, ...]) -> str:
    """`train → features.scale → cfg.EPS`: names as their reader would write them, seen from the first one's module."""
    if not path:
        return ""
    home = path[0]
    return ARROW.join([qualname_of(home), *(short(step, within=home) for step in path[1:])])


def short(symbol: Symbol, *, within: Symbol | None = None) -> str:
    """`scale` in its own module, else `features.scale`; `top level of features` for a module's statements."""
    module, qualname = module_of(symbol), qualname_of(symbol)
    if qualname == MODULE:
        return f"top level of {module}"
    return qualname if within is not None and module == module_of(within) else f"{module}.{qualname}"


def _age(nearest: Evaluation | None) -> str:
    if nearest is None:
        return ""
    return time.strftime("  (evaluation of %Y-%m-%d %H:%M)", time.localtime(nearest.started))


def _count(name: str, count: int) -> str:
    if name == "arguments":
        return name
    return f"{count} {name[:-1] if count == 1 else name}"
