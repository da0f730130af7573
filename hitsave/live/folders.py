"""Which folders to watch: those that hold loaded code, never a whole repository.

A watch costs a kernel object per folder, and a recursive one takes in whatever lies below, so folders are watched one
by one; where they are many, those with a common parent are folded into one recursive watch, if nothing below it is
foreign (an environment, `node_modules`, `.git`). What is left over is swept (`sweep.py`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from hitsave.record import Record

# Watches beyond these are folded; some versions of watchdog take two threads for each.
MOST_WATCHES = 16
# A tree larger than this isn't worth a recursive watch.
LARGEST_TREE = 2000

NETWORK = frozenset(("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "vboxsf", "fuse.sshfs", "drvfs", "afs", "ceph"))


class Folders(Record):
    """(folder, recursive) to be watched, and folders whose files must be swept instead."""

    watched: tuple[tuple[str, bool], ...]
    swept: tuple[str, ...]


def choose_folders(holding: Iterable[str], root: str, owns: Callable[[str], bool], most: int = MOST_WATCHES) -> Folders:
    """The watches for folders that hold loaded code of the project at `root`; `owns(folder)` says what is its code."""
    wanted = {os.path.realpath(folder) for folder in holding}
    network = {folder for folder in wanted if is_remote(folder)}
    single = wanted - network
    folded: set[str] = set()
    hopeless: set[str] = set()
    while len(single) + len(folded) > most:
        parents: dict[str, list[str]] = {}
        for folder in single:
            parent = os.path.dirname(folder)
            if parent not in hopeless and parent != root and parent.startswith(root + os.sep):
                parents.setdefault(parent, []).append(folder)
        if not parents:
            break
        parent = max(parents, key=lambda name: (len(parents[name]), name))
        if _is_clean(parent, owns):
            folded.add(parent)
            single = {folder for folder in single if not (folder + os.sep).startswith(parent + os.sep)}
            folded = {folder for folder in folded if folder == parent or not folder.startswith(parent + os.sep)}
        else:
            hopeless.add(parent)
    kept = sorted(single)[: max(most - len(folded), 0)]
    watched = [(folder, True) for folder in sorted(folded)] + [(folder, False) for folder in kept]
    return Folders(tuple(watched), tuple(sorted(network | (single - set(kept)))))


def _is_clean(folder: str, owns: Callable[[str], bool]) -> bool:
    """Whether everything below `folder` is the project's own, and not too much."""
    pending, seen = [folder], 0
    while pending:
        current = pending.pop()
        seen += 1
        if seen > LARGEST_TREE or not owns(current):
            return current.endswith("__pycache__")
        try:
            with os.scandir(current) as entries:
                pending += [e.path for e in entries if e.is_dir(follow_symlinks=False) and e.name != "__pycache__"]
        except OSError:
            return False
    return True


def is_remote(folder: str, mounts: str = "/proc/mounts") -> bool:
    """Whether `folder` lies on a file system that tells nobody what others write to it."""
    try:
        with open(mounts, encoding="utf-8", errors="replace") as file:
            table = [line.split()[1:3] for line in file]
    except OSError:
        return False
    best, kind = "", ""
    for point, found in table:
        if (folder + "/").startswith(point.rstrip("/") + "/") and len(point) >= len(best):
            best, kind = point, found
    return kind in NETWORK


def git_is_busy(root: str) -> bool:
    """Whether Git is in the middle of something that rewrites files."""
    git = os.path.join(root, ".git")
    if os.path.isfile(git):  # a work tree, a submodule: the file says where
        try:
            with open(git, encoding="utf-8") as file:
                git = os.path.join(root, file.read().partition("gitdir:")[2].strip())
        except OSError:
            return False
    return any(os.path.exists(os.path.join(git, name)) for name in ("index.lock", "rebase-merge", "MERGE_HEAD"))
