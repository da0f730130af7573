"""Conditions: what an evaluation was seen to depend on, and whether it still holds.

`Conditions` answers for the present: today's digest of a file, of an environment variable. A look-up asks it for each
stored candidate. Files are `stat`ed first and read only if that changed since their digest was last taken, in this
process or an earlier one.
"""

from __future__ import annotations

import os
import sys

from hitsave.digest import Digest, blake2b, digest_text
from hitsave.evaluation import FOLDER, PYTHON, FileRead, Observed
from hitsave.observe import variables
from hitsave.observe.files import stat_signature
from hitsave.observe.watch import Sight

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from hitsave.project import Project
    from hitsave.store.contract import Store
    from hitsave.symbol import Symbol

    # (symbols, modules that the evaluation itself imported) -> today's digests; UNLOADED for a value that isn't there
    # yet, and will be what it was when its module is imported.
    LiveDigests = Callable[[Iterable[Symbol], Iterable[str]], Mapping[Symbol, Digest]]

ABSENT = Digest("")
UNLOADED = Digest("unloaded")
UNSET = ""
CHUNK_BYTES = 1 << 20
# A file written this recently may be written again within the same tick of its clock (git's "racily clean" rule).
RACY_NS = 2_000_000_000
# Small files are read faster than their remembered digest is looked up.
REMEMBERED_BYTES = 1 << 16


class Conditions:
    """Today's digests of files and variables, and the comparison with what an evaluation saw."""

    def __init__(self, project: Project, records: Store) -> None:
        self._project = project
        self._records = records
        self._files: dict[str, tuple[tuple[int, ...], Digest]] = {}

    # -- the present -------------------------------------------------------------------------------------------------

    def file(self, recorded: str, kind: str) -> Digest:
        """Today's digest of the file, folder or `stat` result that a record calls `recorded`."""
        path = self._project.absolute(recorded)
        signature = stat_signature(path)
        if not signature:
            return ABSENT
        if kind == "directory":
            return _digest_names(path)
        if kind == "stat":
            return digest_text(f"{signature[4]:o}:{signature[1]}:{signature[0]}")
        if os.path.isdir(path):
            return Digest("folder")
        return self._content(path, signature)

    def exists(self, recorded: str) -> Digest:
        """Whether there is anything under that name, and of which kind."""
        signature = stat_signature(self._project.absolute(recorded))
        return Digest(f"{signature[4] >> 12:o}") if signature else ABSENT

    def variable(self, name: str) -> str:
        """The digest of an environment variable's value, UNSET if it has none; of what FOLDER and PYTHON stand for."""
        if name == FOLDER:
            return self._folder(os.getcwd())
        if name == PYTHON:
            return digest_text(f"{sys.implementation.name} {tuple(sys.version_info)} {sys.platform} {os.name}")
        value = variables.read(name)
        return UNSET if value is None else digest_text(value)

    # -- comparison --------------------------------------------------------------------------------------------------

    def changed_file(self, files: Iterable[FileRead]) -> FileRead | None:
        """The first of `files` that isn't what it was."""
        for read in files:
            now = self.exists(read.path) if read.kind == "exists" else self.file(read.path, read.kind)
            if now != read.digest:
                return read
        return None

    def changed_variable(self, seen: Iterable[tuple[str, str]]) -> str | None:
        """The name of the first variable that isn't what it was."""
        for name, digest in seen:
            if self.variable(name) != digest:
                return name
        return None

    def hold(self, observed: Observed, live: LiveDigests, *, below: bool = True) -> bool:
        """Whether everything seen (with `below`, by memo children too) is as it was; `live(symbols)` gives today's."""
        if self.changed_variable(observed.environment) or _changed_live(observed, observed.live, live):
            return False
        if below and (
            self.changed_variable(observed.below_environment)
            or _changed_live(observed, observed.below_live, live)
            or self.changed_file(observed.below_files)
        ):
            return False
        return self.changed_file(observed.files) is None

    # -- recording ---------------------------------------------------------------------------------------------------

    def files_seen(self, sight: Sight) -> tuple[FileRead, ...]:
        """What `sight` read, listed or looked at, with today's digests, sorted by path."""
        found: list[FileRead] = []
        for path, signature in sight.files.items():
            recorded = self._project.relative(path)
            kind = "file" if signature else "absent"
            found.append(FileRead(recorded, self.file(recorded, "file") if signature else ABSENT, kind))
        for path in sight.directories:
            recorded = self._project.relative(path)
            found.append(FileRead(recorded, self.file(recorded, "directory"), "directory"))
        for path in sight.stats.keys() - sight.written:
            recorded = self._project.relative(path)
            found.append(FileRead(recorded, self.file(recorded, "stat"), "stat"))
        for path in sight.existence.keys() - sight.files.keys() - sight.stats.keys() - sight.written:
            recorded = self._project.relative(path)
            found.append(FileRead(recorded, self.exists(recorded), "exists"))
        return tuple(sorted(found, key=lambda read: (read.path, read.kind)))

    def variables_seen(self, sight: Sight) -> tuple[tuple[str, str], ...]:
        """The variables that `sight` read, with the digests of their values then, sorted."""
        seen = [(name, UNSET if value is None else digest_text(value)) for name, value in sight.variables.items()]
        if sight.folder:
            seen.append((FOLDER, self._folder(sight.folder)))
        return tuple(sorted(seen))

    # -- private -----------------------------------------------------------------------------------------------------

    def _folder(self, path: str) -> Digest:
        return digest_text(self._project.relative(os.path.join(path, "_")))

    def _content(self, path: str, signature: tuple[int, ...]) -> Digest:
        known = self._files.get(path)
        if known is not None and known[0] == signature:
            return known[1]
        large = signature[1] > REMEMBERED_BYTES
        name = digest_text(f"{path}\n{signature}") if large else ""
        data = self._records.get_record("stat", name) if large else None
        digest = Digest(data.decode()) if data else _digest_file(path)
        if _is_settled(signature):
            self._files[path] = (signature, digest)
            if large and not data:
                self._records.put_record("stat", name, digest.encode())
        return digest


def _changed_live(observed: Observed, seen: tuple[tuple[Symbol, Digest], ...], live: LiveDigests) -> bool:
    if not seen:
        return False
    now = live([name for name, _ in seen], observed.imported)
    return any(now.get(name) != digest for name, digest in seen if now.get(name) != UNLOADED)


def _is_settled(signature: tuple[int, ...]) -> bool:
    import time

    return time.time_ns() - max(signature[0], signature[2]) > RACY_NS


def _digest_file(path: str) -> Digest:
    h = blake2b(digest_size=16)
    try:
        with open(path, "rb", buffering=0) as file:
            while chunk := file.read(CHUNK_BYTES):
                h.update(chunk)
    except OSError:
        return Digest("unreadable")
    return Digest(h.hexdigest())


def _digest_names(path: str) -> Digest:
    try:  # importing from a folder makes its `__pycache__`
        return digest_text("\n".join(sorted(name for name in os.listdir(path) if name != "__pycache__")))
    except OSError:
        return ABSENT
