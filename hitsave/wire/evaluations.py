"""`Evaluation` as plain JSON values, and back, every field checked.

Fields at their default are left out, so a manifest of a small call stays below a kilobyte, and a field that a later
minor release adds is simply absent from older entries. Unknown fields are ignored on reading.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any

from hitsave.digest import Digest, Fingerprint
from hitsave.evaluation import Child, Evaluation, FileRead, Key, Observed
from hitsave.symbol import Symbol
from hitsave.wire.reading import Reader, WireError, check_digest, check_symbol, check_text

MAX_PATH = 4096
_FILE_KIND = re.compile(r"[a-z]{1,16}\Z")


def key_to_json(key: Key) -> dict[str, str]:
    """`{"symbol", "fingerprint", "arguments"}`."""
    return {"symbol": key.symbol, "fingerprint": key.fingerprint, "arguments": key.arguments}


def key_from_json(value: Any, where: str = "key") -> Key:
    """The key in `value`. Raises `WireError`."""
    read = Reader(value, where)
    return Key(Symbol(read.symbol("symbol")), Fingerprint(read.digest("fingerprint")), Digest(read.digest("arguments")))


def evaluation_to_json(evaluation: Evaluation) -> dict[str, Any]:
    """Everything of `evaluation`, as values that `json` can write."""
    found: dict[str, Any] = {
        "key": key_to_json(evaluation.key),
        "observed": observed_to_json(evaluation.observed),
        "codec": evaluation.codec,
        "result": evaluation.result,
        "size_bytes": evaluation.size_bytes,
        "started": evaluation.started,
        "elapsed_s": evaluation.elapsed_s,
    }
    for name in ("title", "preview", "is_experiment", "details"):
        value = getattr(evaluation, name)
        if value:
            found[name] = value
    return found


def evaluation_from_json(value: Any, where: str = "evaluation") -> Evaluation:
    """The evaluation in `value`. Raises `WireError`."""
    read = Reader(value, where)
    return Evaluation(
        key=key_from_json(read.value.get("key"), f"{where}.key"),
        observed=observed_from_json(read.value.get("observed", {}), f"{where}.observed"),
        codec=read.text("codec", limit=64),
        result=Digest(read.digest("result", "")),
        size_bytes=read.integer("size_bytes"),
        started=read.number("started"),
        elapsed_s=read.number("elapsed_s"),
        title=read.text("title", ""),
        preview=read.text("preview", ""),
        is_experiment=read.boolean("is_experiment", False),
        details=read.text("details", "", limit=262_144),
    )


def observed_to_json(observed: Observed) -> dict[str, Any]:
    """What an evaluation observed; defaults left out."""
    found = {name: WRITERS[shape](getattr(observed, name)) for name, shape in OBSERVED_SHAPES.items()}
    return {name: value for name, value in found.items() if value}


def observed_from_json(value: Any, where: str = "observed") -> Observed:
    """What an evaluation observed. Raises `WireError`."""
    read = Reader(value, where)
    found: dict[str, Any] = {}
    for name, shape in OBSERVED_SHAPES.items():
        if name in read.value:
            if shape in READERS:
                found[name] = read.items(name, READERS[shape])
            else:
                found[name] = read.boolean(name) if shape == "boolean" else read.text(name)
    return Observed(**found)


# Every field of `Observed` with the shape of its value; a test fails when one is missing here.
OBSERVED_SHAPES = {
    "files": "files",
    "environment": "pairs",
    "live": "named",
    "children": "children",
    "ran": "symbols",
    "reached": "symbols",
    "complete": "boolean",
    "incomplete_because": "text",
    "narrowed": "text",
    "impurities": "texts",
    "below_files": "files",
    "below_environment": "pairs",
    "below_live": "named",
    "carried": "symbols",
    "earlier": "symbols",
    "imported": "texts",
    "at_import": "symbols",
}
# The fields that are conditions: a stored result is used only if they still hold. The others narrow the key or explain.
CONDITIONS = tuple(name for name, shape in OBSERVED_SHAPES.items() if shape in ("files", "pairs", "named", "children"))


def _symbol(value: Any, where: str) -> Symbol:
    return Symbol(check_symbol(value, where))


def _row(value: Any, where: str, width: int) -> list[Any]:
    if not isinstance(value, list) or len(value) != width:
        raise WireError(f"{where}: expected a list of {width} items")
    return value


def _file(value: Any, where: str) -> FileRead:
    path, digest, kind = _row(value, where, 3)
    if not isinstance(kind, str) or not _FILE_KIND.match(kind):
        raise WireError(f"{where}: the kind of a file is a word such as file, directory or absent")
    return FileRead(check_text(path, where, MAX_PATH), Digest(check_digest(digest, where, empty_allowed=True)), kind)


def _environment(value: Any, where: str) -> tuple[str, str]:
    name, digest = _row(value, where, 2)
    return check_text(name, where), check_digest(digest, where, empty_allowed=True)


def _live(value: Any, where: str) -> tuple[Symbol, Digest]:
    name, digest = _row(value, where, 2)
    return _symbol(name, where), Digest(check_digest(digest, where, empty_allowed=True))


def _child(value: Any, where: str) -> Child:
    symbol, arguments, result, call = _row(value, where, 4)
    try:
        encoded = base64.b64decode(check_text(call, where, 1 << 20), validate=True)
    except (binascii.Error, ValueError):
        raise WireError(f"{where}: the call is not base64") from None
    return Child(
        _symbol(symbol, where),
        Digest(check_digest(arguments, where)),
        Digest(check_digest(result, where, empty_allowed=True)),
        encoded,
    )


WRITERS: dict[str, Callable[[Any], Any]] = {
    "files": lambda files: [[f.path, f.digest, f.kind] for f in files],
    "pairs": lambda pairs: [list(pair) for pair in pairs],
    "named": lambda pairs: [list(pair) for pair in pairs],
    "children": lambda children: [
        [c.symbol, c.arguments, c.result, base64.b64encode(c.call).decode()] for c in children
    ],
    "symbols": list,
    "texts": list,
    "text": str,
    "boolean": bool,
}
READERS: dict[str, Callable[[Any, str], Any]] = {
    "files": _file,
    "pairs": _environment,
    "named": _live,
    "children": _child,
    "symbols": _symbol,
    "texts": check_text,
}
