"""`Evaluation` as plain JSON values, and back, every field checked.

Fields at their default are left out, so a manifest of a small call stays below a kilobyte, and a field that a later
minor release adds is simply absent from older entries. Unknown fields are ignored on reading.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from hitsave.digest import Digest, Fingerprint
from hitsave.evaluation import Child, Evaluation, FileRead, Key, Observed
from hitsave.symbol import Symbol
from hitsave.wire.reading import Reader, WireError, check_digest, check_symbol, check_text

MAX_PATH = 4096
FILE_KINDS = ("file", "directory", "absent", "stat")


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
    found: dict[str, Any] = {
        "files": [[f.path, f.digest, f.kind] for f in observed.files],
        "environment": [list(pair) for pair in observed.environment],
        "live": [list(pair) for pair in observed.live],
        "children": [[c.symbol, c.arguments, c.result, base64.b64encode(c.call).decode()] for c in observed.children],
        "ran": list(observed.ran),
        "reached": list(observed.reached),
        "complete": observed.complete,
        "incomplete_because": observed.incomplete_because,
        "narrowed": observed.narrowed,
        "impurities": list(observed.impurities),
    }
    return {name: value for name, value in found.items() if value}


def observed_from_json(value: Any, where: str = "observed") -> Observed:
    """What an evaluation observed. Raises `WireError`."""
    read = Reader(value, where)
    return Observed(
        files=read.items("files", _file),
        environment=read.items("environment", _environment),
        live=read.items("live", _live),
        children=read.items("children", _child),
        ran=read.items("ran", _symbol),
        reached=read.items("reached", _symbol),
        complete=read.boolean("complete", False),
        incomplete_because=read.text("incomplete_because", ""),
        narrowed=read.digest("narrowed", ""),
        impurities=read.items("impurities", check_text),
    )


def _symbol(value: Any, where: str) -> Symbol:
    return Symbol(check_symbol(value, where))


def _row(value: Any, where: str, width: int) -> list[Any]:
    if not isinstance(value, list) or len(value) != width:
        raise WireError(f"{where}: expected a list of {width} items")
    return value


def _file(value: Any, where: str) -> FileRead:
    path, digest, kind = _row(value, where, 3)
    if kind not in FILE_KINDS:
        raise WireError(f"{where}: the kind of a file is one of {', '.join(FILE_KINDS)}")
    return FileRead(
        check_text(path, where, MAX_PATH), Digest(check_digest(digest, where, empty_allowed=True)), str(kind)
    )


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
