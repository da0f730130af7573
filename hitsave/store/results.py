"""`Results`: encoded results that are too large for the row of their evaluation.

Up to 128 KiB in a row of their own, above in a file (blobs.py); either way named by their digest, so equal results are
kept once. What needs a result names it in its tag column, for collection (collect.py).
"""

from __future__ import annotations

import os
from time import time

from hitsave.digest import blake2b
from hitsave.store import packing
from hitsave.store.blobs import BlobFolder, Digester, file_name
from hitsave.store.packing import BlobRef

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import Buffer

    from hitsave.evaluation import Blob
    from hitsave.store.authenticity import KeyRing
    from hitsave.store.database import Database, NewRow
    from hitsave.store.places import Places
    from hitsave.store.trouble import Trouble

IN_DATABASE_BYTES = 128 << 10

GET = "SELECT value FROM Cache WHERE key = ? AND raw = 1"


class Results:
    """The larger results of one store. `data_codecs`: those whose decoders only yield data."""

    def __init__(self, places: Places, database: Database, trouble: Trouble, data_codecs: Iterable[str]) -> None:
        self._places = places
        self._database = database
        self._trouble = trouble
        self._data_codecs = frozenset(data_codecs)
        self._folder: BlobFolder | None = None
        self._loaded: tuple[Blob, BlobRef] | None = None

    def folder(self, ring: KeyRing) -> BlobFolder:
        """The folder of files; the keys of `ring` seed the fast digest."""
        if self._folder is None:
            local = not self._places.is_network()  # there, a mapped file may change or vanish under its reader
            digester = Digester(ring)
            self._folder = BlobFolder(self._places.blobs, digester, mapped=local, strict=self._trouble.strict)
        return self._folder

    def keep(self, blob: Blob, ring: KeyRing, rows: list[NewRow], *, durable: bool) -> BlobRef | None:
        """Where `blob` will lie once `rows`, to which this may add, are written; None (said once) if nowhere."""
        if blob.size_bytes <= IN_DATABASE_BYTES:
            data = b"".join(blob.buffers())
            ref = BlobRef("row", "blake2b", blake2b(data, digest_size=32).digest())
            rows.append((packing.blob_key(ref.digest), time(), None, data))
            return ref
        known = self._loaded
        if known is not None and known[0] is blob and self.exists(known[1]):
            return known[1]  # a result that an edit has spared is kept under a new key
        try:
            self._places.make()
            executable = blob.codec not in self._data_codecs
            return self.folder(ring).write(blob.buffers(), blob.size_bytes, executable=executable, durable=durable)
        except OSError as error:
            self._trouble.report(f"can't be written ({error})")
            return None

    def exists(self, ref: BlobRef) -> bool:
        """Whether the file of `ref` is there; True for what lies in a row."""
        return ref.place == "row" or os.path.exists(os.path.join(self._places.blobs, file_name(ref)))

    def read(self, ref: BlobRef, size_bytes: int, ring: KeyRing, *, verify: bool) -> Buffer | None:
        """The bytes at `ref`, verified; None if they are gone, or damaged (said once, and removed)."""
        return self._read_row(ref) if ref.place == "row" else self._read_file(ref, size_bytes, ring, verify=verify)

    def is_right(self, ref: BlobRef, size_bytes: int, folder: BlobFolder) -> bool | None:
        """Whether what lies at `ref` is what it should be; None if nothing does. `folder` decides how thoroughly."""
        if ref.place == "row":
            rows = self._database.rows(GET, (packing.blob_key(ref.digest),))
            return blake2b(rows[0][0], digest_size=32).digest() == ref.digest if rows else None
        try:
            return folder.read(ref, size_bytes, verify=True) is not None
        except OSError:
            return None

    def _read_row(self, ref: BlobRef) -> bytes | None:
        key = packing.blob_key(ref.digest)
        for (data,) in self._database.rows(GET, (key,)):
            if type(data) is bytes and blake2b(data, digest_size=32).digest() == ref.digest:
                return data
            self._database.delete([key])
            self._trouble.refuse("a result that is not the one its entry was signed for")
        return None

    def _read_file(self, ref: BlobRef, size_bytes: int, ring: KeyRing, *, verify: bool) -> Buffer | None:
        folder = self.folder(ring)
        try:
            data = folder.read(ref, size_bytes, verify=verify)
            if data is None:
                folder.remove(ref)
                self._trouble.refuse("a result that is not the one its entry was signed for")
        except FileNotFoundError:
            return None
        except OSError as error:
            self._trouble.report(f"can't be read ({error})")
            return None
        return data

    def loaded(self, blob: Blob, ref: BlobRef) -> None:
        """Remember where `blob` came from: should it be kept again, it need not be written again."""
        self._loaded = blob, ref

    def close(self) -> None:
        """Let go of the last result."""
        self._loaded = None
