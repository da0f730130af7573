"""`Source`: the exact text a module was executed from."""

from __future__ import annotations

from hitsave.digest import Digest, digest_bytes
from hitsave.record import Record


class Source(Record):
    """One module's source.

    `module` is the canonical module name; `path` the file ("" for a cell or `-c`); `data` the bytes as compiled
    (encoding cookie and BOM included); `digest` is of those bytes. `is_package` tells `__init__.py` from a module,
    which is what relative imports need.
    """

    module: str
    path: str
    data: bytes
    digest: Digest
    is_package: bool = False

    @property
    def key(self) -> str:
        """What tells it from every other: a package may have the text that its module had, and import other things."""
        return f"{self.module}{'/' if self.is_package else ''}@{self.digest}"


def source_of(module: str, path: str, data: bytes, *, is_package: bool = False) -> Source:
    """A `Source` with its digest computed."""
    return Source(module, path, data, digest_bytes(data), is_package)
