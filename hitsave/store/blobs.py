"""Large results: one file each, named by the digest of its content, written and read without a copy.

Writing: the buffers go from where they are to a temporary file in the same directory, mode 0600, which is then
renamed: a name that exists has its whole content, whoever was killed. Reading: the file is mapped copy-on-write
(changes stay private, pages come as they are touched), so a map outlives the removal of its file.

What vouches for the bytes is a digest in the signed row. Which one depends on what could happen if it were forged:

    sha256    codecs that can run code (pickle): collision resistant. The file is read into memory and checked there,
              because a mapped file could still be changed between check and use.
    xxh3      raw buffers of codecs that only yield data: 27 GB/s, seeded with a secret. Finds every accident; to forge
              it takes write access to a directory of mode 0700, and wins wrong numbers, never code.

See docs/decisions/store-integrity.md.
"""

from __future__ import annotations

import os

from hitsave.digest import blake2b
from hitsave.store.packing import BlobRef

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from typing_extensions import Buffer

SUFFIX = ".blob"
TEMPORARY = ".new"
CHUNK_BYTES = 1 << 30  # Linux writes at most 2 GiB at once


class Digester:
    """Digests of large contents, by algorithm. `secret` seeds the fast one."""

    def __init__(self, secret: bytes) -> None:
        self._seed = int.from_bytes(blake2b(secret, digest_size=8, person=b"hitsave-xxh3").digest(), "little")

    def start(self, algorithm: str) -> Any:
        """A hash object for `algorithm`; None if this machine doesn't have it."""
        if algorithm == "xxh3":
            try:
                import xxhash
            except ImportError:
                return None
            return xxhash.xxh3_128(seed=self._seed)
        if algorithm == "sha256":
            from hashlib import sha256

            return sha256()
        return None

    def digest(self, algorithm: str, parts: Sequence[Buffer]) -> bytes | None:
        """The digest of `parts` joined; None if this machine doesn't have `algorithm`."""
        state = self.start(algorithm)
        if state is None:
            return None
        for part in parts:
            state.update(part)
        digest: bytes = state.digest()
        return digest


class BlobFolder:
    """The directory of large results. Raises `OSError` where the disk does; a missing file is `FileNotFoundError`."""

    def __init__(self, path: str, digester: Digester, *, mapped: bool) -> None:
        self.path = path
        self._digester = digester
        self._mapped = mapped
        self._made: set[str] = set()

    def ref(self, parts: Sequence[Buffer], *, executable: bool) -> BlobRef:
        """The reference under which `parts` are kept."""
        digest = None if executable else self._digester.digest("xxh3", parts)
        if digest is not None:
            return BlobRef("file", "xxh3", digest)
        digest = self._digester.digest("sha256", parts)
        assert digest is not None  # every Python has it
        return BlobRef("file", "sha256", digest)

    def write(self, ref: BlobRef, parts: Sequence[Buffer], size_bytes: int, *, durable: bool) -> None:
        """Write `parts` under `ref`, unless they are there. `durable`: it must survive a power cut from now on."""
        target = self.file(ref)
        try:
            if os.stat(target).st_size == size_bytes:
                os.utime(target)  # young again, so that a collection running just now leaves it alone
                return
        except FileNotFoundError:
            pass
        folder = os.path.dirname(target)
        if folder not in self._made:
            os.makedirs(folder, 0o700, exist_ok=True)
            self._made.add(folder)
        temporary = os.path.join(folder, f"{os.getpid()}-{os.urandom(6).hex()}{TEMPORARY}")
        try:
            descriptor = self._create(temporary, folder)
            try:
                _write_all(descriptor, parts)
                if durable:
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.replace(temporary, target)
        except BaseException:
            _unlink(temporary)
            raise
        if durable:
            _sync_directory(folder)

    def _create(self, path: str, folder: str) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        try:
            return os.open(path, flags, 0o600)
        except FileNotFoundError:  # somebody removed the folder since we made it
            os.makedirs(folder, 0o700, exist_ok=True)
            return os.open(path, flags, 0o600)

    def read(self, ref: BlobRef, size_bytes: int, *, verify: bool) -> Buffer | None:
        """The content under `ref`, verified; None if it isn't what the digest says. Raises `OSError`."""
        flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
        descriptor = os.open(self.file(ref), flags)
        try:
            if os.fstat(descriptor).st_size != size_bytes:
                return None
            data = self._map(descriptor, size_bytes) if ref.algorithm == "xxh3" else _read_all(descriptor, size_bytes)
        finally:
            os.close(descriptor)
        if data is None or (verify and self._digester.digest(ref.algorithm, (data,)) != ref.digest):
            return None
        return data

    def _map(self, descriptor: int, size_bytes: int) -> Buffer | None:
        if not self._mapped:
            return _read_all(descriptor, size_bytes)
        import mmap

        return mmap.mmap(descriptor, size_bytes, access=mmap.ACCESS_COPY)

    def remove(self, ref: BlobRef) -> None:
        """Remove the file of `ref`, if it is there. Raises `OSError`."""
        try:
            os.unlink(self.file(ref))
        except FileNotFoundError:
            pass

    def file(self, ref: BlobRef) -> str:
        """The path of the file of `ref`."""
        name = ref.digest.hex()
        return os.path.join(self.path, name[:2], f"{name}.{ref.algorithm}{SUFFIX}")

    def files(self) -> Iterator[os.DirEntry[str]]:
        """Every file in the folder, half-written ones included."""
        try:
            folders = sorted(entry.path for entry in os.scandir(self.path) if entry.is_dir(follow_symlinks=False))
        except FileNotFoundError:
            return
        for folder in folders:
            with os.scandir(folder) as entries:
                yield from entries


def _write_all(descriptor: int, parts: Sequence[Buffer]) -> None:
    for part in parts:
        view = memoryview(part).cast("B") if not isinstance(part, bytes) else memoryview(part)
        position = 0
        while position < len(view):
            position += os.write(descriptor, view[position : position + CHUNK_BYTES])


def _read_all(descriptor: int, size_bytes: int) -> Buffer | None:
    data = bytearray(size_bytes)
    view = memoryview(data)
    position = 0
    while position < size_bytes:
        count = os.readv(descriptor, [view[position : position + CHUNK_BYTES]])
        if not count:
            return None
        position += count
    return view  # writable, so arrays that are made on it are


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass


def _sync_directory(path: str) -> None:
    # A rename is on the disk only once its directory is.
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)
