"""Where a cache lies: its directories, their modes, and what kind of file system that is.

<dir>/v1/               one folder per format, so two versions of hitsave work side by side
<dir>/v1/cache.db       rows: evaluations, groups, records, small results (diskcache)
<dir>/v1/blobs/ab/…     large results, one file each, named by content
<dir>/v1/flight.lock    who is computing what (flight.py)
<dir>/v1/damaged/       what `hitsave doctor --repair` put aside
"""

from __future__ import annotations

import os
import sys

# 1: rows as in packing.py VERSION 1. A change that an older hitsave can't live beside gets the next number.
FORMAT = "v1"

# SQLite's write-ahead log needs shared memory between its readers, and mapped files may change under their readers.
NETWORK = frozenset(
    (
        *("nfs", "nfs3", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "lustre", "gpfs", "mmfs", "beegfs", "ceph"),
        *("glusterfs", "panfs", "pvfs2", "orangefs", "afs", "ncpfs", "9p", "virtiofs", "vboxsf", "fuse.sshfs"),
        *("fuse.glusterfs", "fuse.s3fs", "fuse.rclone", "fuse.gcsfuse", "fuse.mount-s3", "fuse.cephfs"),
    )
)


class Places:
    """The paths of one cache directory."""

    def __init__(self, directory: str) -> None:
        self.root = os.path.abspath(directory)
        self.home = os.path.join(self.root, FORMAT)
        self.database = os.path.join(self.home, "cache.db")
        self.blobs = os.path.join(self.home, "blobs")
        self.flight = os.path.join(self.home, "flight.lock")
        self.damaged = os.path.join(self.home, "damaged")
        self._is_network: bool | None = None

    def make(self) -> None:
        """Make the directory, closed to all but its owner. Raises `OSError`."""
        # A directory that somebody made before may hold other things too: only our own folder in it is closed.
        if not os.path.isdir(self.root):
            make_private(self.root)
        make_private(self.home)

    def is_network(self) -> bool:
        """Whether the directory lies on a file system that other machines share."""
        if self._is_network is None:
            self._is_network = file_system(self.home) in NETWORK
        return self._is_network


def make_private(path: str) -> None:
    """Make the directory `path` with mode 0700; one of ours that is open to others is closed. Raises `OSError`."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        os.makedirs(path, 0o700, exist_ok=True)
        os.chmod(path, 0o700)  # the umask may have taken bits away
        return
    if status.st_mode & 0o077 and hasattr(os, "getuid") and status.st_uid == os.getuid():
        os.chmod(path, 0o700)


def file_system(path: str) -> str:
    """The type of the file system that holds `path` as Linux names it; "" if it can't be told."""
    if not sys.platform.startswith("linux"):
        return ""
    try:
        with open("/proc/self/mountinfo", "rb") as file:
            lines = file.read().decode("utf-8", "surrogateescape").splitlines()
    except OSError:
        return ""
    path = os.path.realpath(path)
    best, found = -1, ""
    for line in lines:
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) < 5 or not after:
            continue
        point = _unescape(fields[4])
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= best:  # a later mount on the same point hides the earlier
            best, found = len(point), after.split(" ", 1)[0]
    return found


def _unescape(text: str) -> str:
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, char)
    return text
