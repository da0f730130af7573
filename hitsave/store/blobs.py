"""Large results: one file each, named by the digest of its content, written and read without a copy.

Writing: the buffers go from where they are to a temporary file in the same directory, mode 0600, which is then
renamed: a name that exists has its whole content, whoever was killed. Reading: the file is mapped copy-on-write
(changes stay private, pages come as they are touched), so a map outlives the removal of its file.

What vouches for the bytes is a digest in the signed row. Which one depends on what could happen if it were forged:

    sha256    codecs that can run code (pickle, those of users): collision resistant. The file is read into memory and
              checked there, each time: a mapped file could still be changed between check and use.
    xxh3      codecs whose decoders only yield data: 27 GB/s, seeded with a secret. It finds every accident; to forge
              it takes write access to a directory of mode 0700, and wins wrong numbers, never code.

*Stamps.* Even xxh3 takes 3 ms for 80 MB, and mapping 0.02. So the signed row also holds the inode, change time and
modification time of the file when we had just written or checked it; a data file that still has all three has not been
written to since (the change time can't be set; the modification time, with random nanoseconds, would have been lost in
the same tick of the clock). Any other file is digested in full. `verify = "strict"` always digests: a stamp can't see
decay of the medium below the file system. See docs/decisions/store-integrity.md.
"""

from __future__ import annotations

import os
import sys
from time import time

from hitsave.digest import blake2b
from hitsave.store.packing import BlobRef
from hitsave.store.places import make_private

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from typing_extensions import Buffer

    from hitsave.store.authenticity import KeyRing

SUFFIX = ".blob"
TEMPORARY = ".new"
CHUNK_BYTES = 1 << 30  # Linux writes at most 2 GiB at once
_BINARY = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


class Digester:
    """Digests of large contents, by algorithm. The keys of `ring` seed the fast one."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    def digest(self, algorithm: str, parts: Sequence[Buffer]) -> bytes | None:
        """The digest of `parts` joined; None if this machine doesn't have `algorithm`."""
        return _digest(algorithm, parts, self._ring.signing)

    def is_right(self, data: Buffer, ref: BlobRef) -> bool | None:
        """Whether `data` is what `ref` names; None if that can't be told here."""
        digest = self.digest(ref.algorithm, (data,))
        if digest is None or digest == ref.digest or ref.algorithm != "xxh3":
            return None if digest is None else digest == ref.digest
        # Written before the keys were rotated.
        return any(_digest(ref.algorithm, (data,), key) == ref.digest for key in self._ring.reading[1:])


def _digest(algorithm: str, parts: Sequence[Buffer], key: bytes) -> bytes | None:
    state: Any
    if algorithm == "xxh3":
        try:
            import xxhash
        except ImportError:
            return None
        seed = blake2b(key, digest_size=8, person=b"hitsave-xxh3").digest()
        state = xxhash.xxh3_128(seed=int.from_bytes(seed, "little"))
    elif algorithm == "sha256":
        from hashlib import sha256

        state = sha256()
    else:
        return None
    for part in parts:
        state.update(part)
    digest: bytes = state.digest()
    return digest


class BlobFolder:
    """The directory of large results. Raises `OSError` where the disk does; a missing file is `FileNotFoundError`.

    `mapped`: files are mapped, and stamps trusted; not so on network file systems. `strict`: stamps are never trusted.
    """

    def __init__(self, path: str, digester: Digester, *, mapped: bool, strict: bool) -> None:
        self.path = path
        self._digester = digester
        self._mapped = mapped
        # What Windows calls change time is that of creation.
        self._stamped = mapped and not strict and sys.platform != "win32"
        self._made: set[str] = set()

    # Writing

    def write(self, parts: Sequence[Buffer], size_bytes: int, *, executable: bool, durable: bool) -> BlobRef:
        """Where `parts` lie from now on. `durable`: even after a power cut."""
        algorithm = "sha256"
        digest = None if executable else self._digester.digest("xxh3", parts)
        if digest is not None:
            algorithm = "xxh3"
        else:
            digest = self._digester.digest(algorithm, parts)
        ref = BlobRef("file", algorithm, digest or b"")
        existing = self._existing(ref, size_bytes)
        if existing is not None:
            return existing
        target = os.path.join(self.path, file_name(ref))
        folder = os.path.dirname(target)
        if folder not in self._made:
            make_private(self.path)
            make_private(folder)
            self._made.add(folder)
        temporary = os.path.join(folder, f"{os.getpid()}-{os.urandom(6).hex()}{TEMPORARY}")
        try:
            descriptor = _create(temporary)
            try:
                _write_all(descriptor, parts, size_bytes if self._mapped else 0)
                if durable:
                    os.fsync(descriptor)
                if self._stamped:
                    # Whole seconds as they are; a write in the very tick of our rename would reset the nanoseconds.
                    moment = int(time()) * 10**9 + int.from_bytes(os.urandom(4), "little") % 10**9
                    os.utime(descriptor, ns=(moment, moment))
                os.replace(temporary, target)
                ref = ref.replace(stamp=self._stamp(descriptor))
            finally:
                os.close(descriptor)
        except BaseException:
            _unlink(temporary)
            raise
        if durable:
            _sync_directory(folder)
        return ref

    def _existing(self, ref: BlobRef, size_bytes: int) -> BlobRef | None:
        """The reference to a file that already holds this content, checked; None if there is none."""
        path = os.path.join(self.path, file_name(ref))
        try:
            if os.stat(path).st_size != size_bytes:
                return None
            descriptor = os.open(path, os.O_RDONLY | _BINARY)
        except FileNotFoundError:
            return None
        try:
            stamp = self._stamp(descriptor)
            data = self._get(descriptor, ref, size_bytes)
            if data is None or not self._digester.is_right(data, ref):
                return None  # damaged: the new file takes its place
            return ref.replace(stamp=stamp if stamp == self._stamp(descriptor) else ())
        finally:
            os.close(descriptor)

    def _stamp(self, descriptor: int) -> tuple[int, ...]:
        if not self._stamped:
            return ()
        status = os.fstat(descriptor)
        return status.st_ino, status.st_ctime_ns, status.st_mtime_ns

    # Reading

    def read(self, ref: BlobRef, size_bytes: int, *, verify: bool) -> Buffer | None:
        """The content under `ref`, verified; None if it isn't what the digest says.

        Raises `OSError`, also where the digest is of a kind that this machine can't make.
        """
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | _BINARY
        descriptor = os.open(os.path.join(self.path, file_name(ref)), flags)
        try:
            if os.fstat(descriptor).st_size != size_bytes:
                return None
            unchanged = ref.algorithm == "xxh3" and ref.stamp != () and ref.stamp == self._stamp(descriptor)
            data = self._get(descriptor, ref, size_bytes)
        finally:
            os.close(descriptor)
        if data is None or unchanged or not verify:
            return data
        is_right = self._digester.is_right(data, ref)
        if is_right is None:
            raise OSError(f"no {ref.algorithm} on this machine")
        return data if is_right else None

    def _get(self, descriptor: int, ref: BlobRef, size_bytes: int) -> Buffer | None:
        if ref.algorithm != "xxh3" or not self._mapped:
            return _read_all(descriptor, size_bytes)
        import mmap

        return mmap.mmap(descriptor, size_bytes, access=mmap.ACCESS_COPY)

    # Removing

    def remove(self, ref: BlobRef) -> None:
        """Remove the file of `ref`, if it is there. Raises `OSError`."""
        try:
            os.unlink(os.path.join(self.path, file_name(ref)))
        except FileNotFoundError:
            pass


def blob_files(path: str) -> Iterator[os.DirEntry[str]]:
    """Every file in the folder at `path`, half-written ones included."""
    try:
        folders = sorted(entry.path for entry in os.scandir(path) if entry.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return
    for folder in folders:
        with os.scandir(folder) as entries:
            yield from entries


def file_name(ref: BlobRef) -> str:
    """The name of the file of `ref` below the folder."""
    name = ref.digest.hex()
    return f"{name[:2]}{os.sep}{name}.{ref.algorithm}{SUFFIX}"


def _create(path: str) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY
    try:
        return os.open(path, flags, 0o600)
    except FileNotFoundError:  # somebody removed the folder since we made it
        make_private(os.path.dirname(os.path.dirname(path)))
        make_private(os.path.dirname(path))
        return os.open(path, flags, 0o600)


def _write_all(descriptor: int, parts: Sequence[Buffer], reserve_bytes: int) -> None:
    if reserve_bytes and hasattr(os, "posix_fallocate"):
        # Twice as fast as letting the file grow, and a full disk is known before anything is written. Not on network
        # file systems: where it is missing, glibc writes to each block instead.
        os.posix_fallocate(descriptor, 0, reserve_bytes)
    for part in parts:
        view = memoryview(part)
        if view.format != "B" or view.ndim != 1:
            view = view.cast("B")
        position = 0
        while position < len(view):
            position += os.write(descriptor, view[position : position + CHUNK_BYTES])


def _read_all(descriptor: int, size_bytes: int) -> Buffer | None:
    view = memoryview(bytearray(size_bytes))  # writable, so arrays that are made on it are
    position = 0
    with open(descriptor, "rb", buffering=0, closefd=False) as file:
        while position < size_bytes:
            count = file.readinto(view[position : position + CHUNK_BYTES])
            if not count:
                return None
            position += count
    return view


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
