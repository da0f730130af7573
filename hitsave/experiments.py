"""What an experiment records besides its result: arguments, metrics, where and by whom it was computed.

JSON text for the dashboard and `hitsave ls --json`, at most 200 KB: arguments and results as scalars or short text,
metrics as numbers, previews of tables and pictures.
"""

from __future__ import annotations

import getpass
import json
import os
import platform
import sys
from typing import Any

from hitsave.evaluator.evaluator import Asked
from hitsave.evaluator.recording import shortened
from hitsave.project import Project

MOST_CHARACTERS = 200_000
FIELD_CHARACTERS = 200
MOST_FIELDS = 100


def details(asked: Asked, result: Any, project: Project) -> str:
    """JSON text about the evaluation `asked` with its `result`."""
    names, values = asked.memo.parameters.names, asked.values
    found: dict[str, Any] = {
        "arguments": {name: field(value) for name, value in zip(names, values, strict=True)},
        "result": field(result),
        "metrics": _metrics(asked, result),
        "host": platform.node(),
        "user": _user(),
        "git": git_commit(project.root),
        "command": " ".join(sys.argv)[:500],
        "python": platform.python_version(),
    }
    from hitsave.wire.previews import preview_of

    found["previews"] = preview_of(result)
    text = json.dumps(found, default=str)
    if len(text) > MOST_CHARACTERS:
        found["previews"] = []
        text = json.dumps(found, default=str)
    return text if len(text) <= MOST_CHARACTERS else json.dumps({"host": found["host"], "git": found["git"]})


def field(value: Any) -> Any:
    """A value as JSON shows it: a scalar, short text, or one level of named fields."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value if not isinstance(value, str) else value[:FIELD_CHARACTERS]
    named = _named(value)
    if named is not None:
        return {str(name): _flat(item) for name, item in list(named.items())[:MOST_FIELDS]}
    return shortened(value, FIELD_CHARACTERS)


def _named(value: Any) -> dict[Any, Any] | None:
    if isinstance(value, dict):
        return value
    fields = getattr(type(value), "__dataclass_fields__", None) or getattr(type(value), "_fields", None)
    if fields:
        return {name: getattr(value, name, None) for name in fields}
    return None


def _flat(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return shortened(value, FIELD_CHARACTERS) if not isinstance(value, str) else value[:FIELD_CHARACTERS]


def _metrics(asked: Asked, result: Any) -> dict[str, float]:
    metrics = asked.memo.options.metrics
    if metrics is None:
        return {}
    return {str(name): float(number) for name, number in dict(metrics(result)).items()}


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""


def git_commit(root: str) -> str:
    """The commit that is checked out at `root`, read from Git's files without starting a process; "" if none."""
    try:
        folder = os.path.join(root, ".git")
        if os.path.isfile(folder):
            with open(folder, encoding="utf-8") as file:
                folder = os.path.join(root, file.read().partition("gitdir:")[2].strip())
        with open(os.path.join(folder, "HEAD"), encoding="utf-8") as file:
            head = file.read().strip()
        if not head.startswith("ref: "):
            return head
        name = head[len("ref: ") :]
        for place in (folder, os.path.dirname(os.path.dirname(folder))):
            path = os.path.join(place, *name.split("/"))
            if os.path.exists(path):
                with open(path, encoding="utf-8") as file:
                    return file.read().strip()
    except OSError:
        pass
    return ""
