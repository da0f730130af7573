"""`Stamp`: a file at one moment, to tell later whether anybody has written to it since."""

from __future__ import annotations

import os

from hitsave.record import Record


class Stamp(Record):
    """A file at one moment: equal stamps before and after mean that nobody wrote to it in between."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


def stamp_of(stat: os.stat_result) -> Stamp:
    """The `Stamp` in a `stat` result."""
    return Stamp(stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


def times_of(stat: os.stat_result) -> bytes:
    """The modification and change time of a file (nanoseconds, 16 bytes). A program can set the one, not the other."""
    mask = 0xFFFFFFFFFFFFFFFF
    return (stat.st_mtime_ns & mask).to_bytes(8, "little") + (stat.st_ctime_ns & mask).to_bytes(8, "little")


def stamp_at(path: str) -> Stamp | None:
    """The `Stamp` of the file at `path`; None if there is none."""
    try:
        return stamp_of(os.stat(path))
    except OSError:
        return None
