"""Running a stored call again: its function imported, its arguments read back from how the call was written down.

A call can be repeated if its arguments are literals that were not shortened; that they are the very ones is checked by
their digest. Unlike the static commands this imports the user's module, and runs it.
"""

from __future__ import annotations

import ast
import importlib
import os
import sys
from typing import Any

from hitsave.cli.place import Place
from hitsave.evaluation import Evaluation
from hitsave.record import Record
from hitsave.symbol import module_of, qualname_of


class Repeated(Record):
    """How a repeated call compares: `outcome` is "same", "different" or "skipped", with what there is to say."""

    evaluation: Evaluation
    outcome: str
    reason: str = ""


def repeat(entry: Evaluation, place: Place) -> Repeated:
    """Run the body of a stored call with the code as it is now, and compare the results. Stores nothing."""
    from hitsave.evaluator.recording import digest_blob
    from hitsave.session import current
    from hitsave.values import decode, encode

    if "<locals>" in entry.key.symbol:
        return Repeated(entry, "skipped", "it is defined inside another function")
    values = _arguments(entry.title)
    if values is None:
        return Repeated(entry, "skipped", "its arguments can't be read back from the title of the call")
    try:
        memo = _memo(entry, place)
    except Exception as error:  # noqa: BLE001 - importing runs the user's code, which may raise anything
        return Repeated(entry, "skipped", f"its module can't be imported: {error!r}")
    if memo is None:
        return Repeated(entry, "skipped", "its function is gone, or isn't memoised any more")
    session = current()
    bound = tuple(values.get(name) for name in memo.parameters.names)
    asked = session.adopt(memo).ask(memo, bound)
    if asked is None or asked.key.arguments != entry.key.arguments:
        return Repeated(entry, "skipped", "its arguments can't be read back exactly")
    args, kwargs = memo.invoke(bound)
    try:
        result = memo.function(*args, **kwargs)
    except Exception as error:  # noqa: BLE001 - the user's function; a stored call that raises now is a finding
        return Repeated(entry, "different", f"it raises {error!r} now")
    blob = encode(result, codec=memo.options.codec)
    if digest_blob(blob) == entry.result:
        return Repeated(entry, "same")
    stored = place.store.load(entry)
    if stored is None:
        return Repeated(entry, "skipped", "its stored result is damaged")
    if _digest(decode(stored)) == _digest(result):  # encoded otherwise, the same value
        return Repeated(entry, "same")
    return Repeated(entry, "different", f"stored {entry.preview or '(no preview)'}, now {_short(result)}")


def _arguments(title: str) -> dict[str, Any] | None:
    """`{parameter: value}` of a call written out with literals."""
    try:
        call = ast.parse(title, mode="eval").body
        if not isinstance(call, ast.Call) or call.args:
            return None
        return {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
    except (SyntaxError, ValueError):
        return None


def _memo(entry: Evaluation, place: Place) -> Any:
    from hitsave.importhook import install_import_hook

    install_import_hook(place.project.root)
    path = place.project.find_module(module_of(entry.key.symbol))
    folders = [*place.project.source_roots, *([os.path.dirname(path)] if path else [])]
    sys.path[:0] = [folder for folder in folders if folder not in sys.path]
    found: Any = importlib.import_module(module_of(entry.key.symbol))
    for name in qualname_of(entry.key.symbol).split("."):
        found = getattr(found, name, None)
    return getattr(found, "__dict__", {}).get("__hitsave_memo__")


def _digest(value: object) -> object:
    from hitsave.errors import CannotDigest
    from hitsave.evaluator.carrier import Carrier
    from hitsave.session import current
    from hitsave.values import digest_value

    try:
        return digest_value(value, code=Carrier(current().book))
    except CannotDigest:
        return object()  # equal to nothing


def _short(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else text[:79] + "…"
