"""Locks on byte ranges of a file, which the kernel frees when their holder dies, however it dies.

On Linux these are open-file-description locks (`F_OFD_SETLK`): they belong to the open file, so closing another
descriptor of the same file doesn't drop them, as it does with POSIX locks. Elsewhere POSIX locks, on Windows
`msvcrt.locking`. All are taken without blocking: whoever waits must be able to notice that waiting is hopeless.

They are advice between processes that use them; on network file systems they may be missing (`OSError`).
"""

from __future__ import annotations

import os
import sys
from time import monotonic, sleep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

if sys.platform == "win32":
    import msvcrt

    def try_lock(descriptor: int, offset: int) -> bool:
        """Lock the byte at `offset`; False if somebody else holds it. Raises `OSError` where locks don't work."""
        os.lseek(descriptor, offset & 0x7FFFFFFF, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

    def unlock(descriptor: int, offset: int) -> None:
        """Free the byte at `offset`."""
        os.lseek(descriptor, offset & 0x7FFFFFFF, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

elif sys.platform == "linux":
    import fcntl
    from _struct import Struct

    _FLOCK = Struct("hhqqi4x")  # struct flock of 64-bit Linux: type, whence, start, length, pid
    _SET: int = getattr(fcntl, "F_OFD_SETLK", 37)

    def try_lock(descriptor: int, offset: int) -> bool:
        """Lock the byte at `offset`; False if somebody else holds it. Raises `OSError` where locks don't work."""
        try:
            fcntl.fcntl(descriptor, _SET, _FLOCK.pack(fcntl.F_WRLCK, 0, offset, 1, 0))
        except BlockingIOError:
            return False
        except PermissionError:  # EACCES also means "held by another"
            return False
        return True

    def unlock(descriptor: int, offset: int) -> None:
        """Free the byte at `offset`."""
        fcntl.fcntl(descriptor, _SET, _FLOCK.pack(fcntl.F_UNLCK, 0, offset, 1, 0))

else:
    import fcntl

    def try_lock(descriptor: int, offset: int) -> bool:
        """Lock the byte at `offset`; False if somebody else holds it. Raises `OSError` where locks don't work."""
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, offset)
        except (BlockingIOError, PermissionError):
            return False
        return True

    def unlock(descriptor: int, offset: int) -> None:
        """Free the byte at `offset`."""
        fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, offset)


def open_lock_file(path: str) -> int:
    """A descriptor of the lock file at `path`, made if it is missing. Raises `OSError`."""
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
    return os.open(path, flags, 0o600)


# Bytes of the lock file that guard work on the cache as a whole; those of flights begin above (flight.py).
OPENING = 0
COLLECTING = 1
REPAIRING = 2
FIRST_FLIGHT = 1 << 12


class FileLock:
    """One byte of a lock file, held for the length of a `with`. Waits up to `timeout_s`, then goes on without.

    `held` says whether it is really ours. Not for re-entry.
    """

    def __init__(self, path: str, offset: int, *, timeout_s: float) -> None:
        self._path = path
        self._offset = offset
        self._timeout_s = timeout_s
        self._descriptor = -1
        self.held = False

    def __enter__(self) -> FileLock:
        try:
            self._descriptor = open_lock_file(self._path)
            deadline = monotonic() + self._timeout_s
            pause_s = 0.0005
            while not (held := try_lock(self._descriptor, self._offset)) and monotonic() < deadline:
                sleep(pause_s)
                pause_s = min(pause_s * 2, 0.02)
            self.held = held
        except OSError:
            pass  # no locks on this file system: what it guards is safe without, only slower or less sure
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        descriptor, self._descriptor, self.held = self._descriptor, -1, False
        if descriptor >= 0:
            os.close(descriptor)  # frees the lock: no other descriptor shares this open file
