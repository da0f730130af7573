"""The columns of an experiment: arguments and result fields, as short text and, where there is one, a number.

`Evaluation.details` is JSON that the client wrote: `{"arguments": {name: value}, "result": {field: value}}` and more.
Nested objects become dotted names. Without details the call's title (`train(lr=0.1, model='cnn')`) is read instead, as
syntax, never run. Whatever doesn't fit is left out: a column is a convenience, the manifest is the record.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator
from typing import Any

from hitsave.evaluation import Evaluation
from hitsave.record import Record
from hitsave.wire.reading import WireError, parse_json

MAX_COLUMNS = 60
MAX_NAME = 100
MAX_TEXT = 300
MAX_DEPTH = 3


class Cell(Record):
    """One value of one run: `kind` is "arg" or "res"."""

    kind: str
    name: str
    text: str
    number: float | None


def read_cells(evaluation: Evaluation) -> list[Cell]:
    """The cells of `evaluation`, arguments first, each name once."""
    details = read_details(evaluation)
    arguments = details.get("arguments")
    if not isinstance(arguments, dict):
        arguments = dict(_read_title(evaluation.title))
    result = details.get("result", details.get("metrics"))
    if not isinstance(result, dict):
        result = {"result": _literal(evaluation.preview)} if evaluation.preview else {}
    metrics = details.get("metrics")
    if isinstance(metrics, dict):
        result = {**result, **metrics}
    found: dict[tuple[str, str], Cell] = {}
    for kind, values in (("arg", arguments), ("res", result)):
        for name, value in list(_flatten("", values, 0))[:MAX_COLUMNS]:
            found.setdefault((kind, name), _cell(kind, name, value))
    return list(found.values())


def read_details(evaluation: Evaluation) -> dict[str, Any]:
    """The details of `evaluation` as a dict, empty if there are none or they aren't a JSON object."""
    if not evaluation.details:
        return {}
    try:
        details = parse_json(evaluation.details)
    except WireError:
        return {}
    return details if isinstance(details, dict) else {}


def _flatten(prefix: str, value: Any, depth: int) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and depth < MAX_DEPTH and value:
        for name, inner in value.items():
            yield from _flatten(f"{prefix}.{name}" if prefix else str(name), inner, depth + 1)
    else:
        yield (prefix or "result")[:MAX_NAME], value


def _cell(kind: str, name: str, value: Any) -> Cell:
    number = float(value) if isinstance(value, int | float) and abs(value) < 1e300 else None
    if number is not None and not math.isfinite(number):
        number = None
    if isinstance(value, str):
        text = value
    elif value is None or isinstance(value, bool):
        text = str(value)
    elif isinstance(value, float):
        text = repr(value)
    elif isinstance(value, int):
        text = str(value) if abs(value) < 1 << 200 else "a large number"
    elif isinstance(value, list):
        text = ", ".join(str(item)[:40] for item in value[:10]) + (", …" if len(value) > 10 else "")
    else:
        text = str(value)
    return Cell(kind, name.replace("\x00", ""), text.replace("\x00", "")[:MAX_TEXT], number)


def _read_title(title: str) -> Iterator[tuple[str, Any]]:
    if len(title) > 4000:
        return
    try:
        call = ast.parse(title, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    if isinstance(call, ast.Call):
        for i, argument in enumerate(call.args):
            yield f"{i}", _node(title, argument)
        for keyword in call.keywords:
            if keyword.arg:
                yield keyword.arg, _node(title, keyword.value)


def _node(text: str, node: ast.expr) -> Any:
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return ast.get_source_segment(text, node) or ""
    return value if isinstance(value, int | float | str) or value is None else ast.get_source_segment(text, node) or ""


def _literal(text: str) -> Any:
    try:
        value = ast.literal_eval(text) if len(text) < 100 else text
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return text
    return value if isinstance(value, int | float | str) or value is None else text
