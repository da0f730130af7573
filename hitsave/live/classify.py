"""What became of a file: is its text still the one that was loaded, and if not, which definitions differ?

The digest of the bytes decides, never a time stamp: a touched file, or one that a checkout brought back, is no change.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from hitsave.analysis.summary import Class, Definition, Function, Import, ModuleSummary, Value
from hitsave.digest import digest_bytes
from hitsave.record import Record
from hitsave.source import Source
from hitsave.symbol import symbol

if TYPE_CHECKING:
    from hitsave.importhook import Loaded

SAME, CHANGED, HALF, MISSING = "same", "changed", "half", "missing"
# A file that is empty or gone, or grows while it is read, is being written: look again, this often, after so long.
RETRIES = 3
RETRY_S = 0.02


class Found(Record):
    """The state of one loaded module's file: "same", "changed" (then `source` is set), "half" or "missing"."""

    state: str
    module: str
    path: str
    source: Source | None = None
    detail: str = ""


def classify(loaded: Iterable[Loaded], parse: Callable[[Source], str]) -> list[Found]:
    """How the files of loaded modules stand, in their order; `parse` gives the complaint about a text, "" if valid."""
    asked = list(loaded)
    texts = read_settled([each.source.path for each in asked])
    return [_classify(each.source, texts[each.source.path], parse) for each in asked]


def _classify(source: Source, data: bytes | None, parse: Callable[[Source], str]) -> Found:
    if data is None:
        return Found(MISSING, source.module, source.path)
    if digest_bytes(data) == source.digest:
        return Found(SAME, source.module, source.path)
    new = Source(source.module, source.path, data, digest_bytes(data), source.is_package)
    complaint = parse(new)
    if complaint:
        return Found(HALF, source.module, source.path, new, complaint)
    return Found(CHANGED, source.module, source.path, new)


def read_settled(paths: Iterable[str]) -> dict[str, bytes | None]:
    """{path: its bytes}, None where there is no file.

    Those that somebody seems to be writing to are read again, all after one pause: a checkout takes away files by the
    hundred.
    """
    found: dict[str, bytes | None] = {}
    pending = list(paths)
    for attempt in range(RETRIES):
        if attempt and pending:
            time.sleep(RETRY_S)
        restless = []
        for path in pending:
            found[path], settled = _read(path)
            if not settled:
                restless.append(path)
        pending = restless
    return found


def _read(path: str) -> tuple[bytes | None, bool]:
    """The bytes of a file, and whether nobody writes to it at this moment, as far as one can see."""
    try:
        with open(path, "rb") as file:
            before = os.fstat(file.fileno())
            data = file.read()
            after = os.fstat(file.fileno())
    except OSError:
        return None, False
    return data, bool(data) and (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size)


class Difference(Record):
    """Which symbols of a module differ between two texts, all sorted. `statements`: something at its top level does."""

    changed: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    statements: bool

    @property
    def symbols(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(sorted({*self.changed, *self.added, *self.removed}))


def compare(old: ModuleSummary, new: ModuleSummary) -> Difference:
    """What differs in meaning: comments, formatting and moved lines don't."""
    before = {name: _meaning(bindings, old) for name, bindings in old.definitions.items()}
    after = {name: _meaning(bindings, new) for name, bindings in new.definitions.items()}
    statements = [each.digest for each in old.statements] != [each.digest for each in new.statements]
    changed = [name for name in before.keys() & after.keys() if before[name] != after[name]]
    if statements or old.imports != new.imports:
        changed.append("<module>")
    return Difference(
        tuple(sorted(symbol(new.module, name) for name in changed)),
        tuple(sorted(symbol(new.module, name) for name in after.keys() - before.keys())),
        tuple(sorted(symbol(new.module, name) for name in before.keys() - after.keys())),
        statements or old.imports != new.imports,
    )


def _meaning(bindings: tuple[Definition, ...], summary: ModuleSummary) -> list[object]:
    found: list[object] = []
    for one in bindings:
        conditions = [summary.conditions[number].digest for number in one.conditions if number >= 0]
        if isinstance(one, Function):
            parts: tuple[object, ...] = (one.header, one.body, one.annotations)
        elif isinstance(one, Class):
            parts = (one.shape, one.annotations)
        elif isinstance(one, Value):
            parts = (one.digest,)
        elif isinstance(one, Import):
            parts = (one.module, one.attribute)
        else:
            parts = ()
        found.append((type(one).__name__, parts, conditions))
    return found
