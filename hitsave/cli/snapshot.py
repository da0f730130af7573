"""`hitsave snapshot`: files and directories kept by content, shared, and restored exactly."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from hitsave.cli.output import Output, size_text
from hitsave.errors import CloudError, StoreError, UsageError

if TYPE_CHECKING:
    from hitsave.cloud.snapshots import DirectorySnapshot, FileSnapshot


def add_snapshot(parser: argparse.ArgumentParser) -> None:
    """Options of `hitsave snapshot`."""
    parser.add_argument("path", help="a file or directory to keep; with --restore, where to restore it")
    parser.add_argument("--push", action="store_true", help="upload it for colleagues")
    parser.add_argument("--restore", metavar="DIGEST", help="restore the snapshot that was printed as sha256-…")
    parser.add_argument("--force", action="store_true", help="with --restore: replace files that have other contents")


def snapshot(options: argparse.Namespace, output: Output) -> int:
    """Take a snapshot and print its digest, or restore one."""
    if options.restore:
        return _restore(options, output)
    if not os.path.exists(options.path):
        raise UsageError(f"there is no file or directory {options.path!r}")
    from hitsave.cloud.snapshots import DirectorySnapshot, FileSnapshot

    taken: FileSnapshot | DirectorySnapshot
    if os.path.isdir(options.path):
        taken = DirectorySnapshot.of(options.path)
        files = [file.size_bytes for file in taken.tree().files]
    else:
        taken = FileSnapshot.of(options.path)
        files = [os.path.getsize(options.path)]
    if options.push:
        with output.progress("uploading") as step:
            taken.push(lambda done, total: step(done, total - done))
    output.emit({"digest": taken.digest, "files": len(files), "size_bytes": sum(files), "pushed": options.push})
    output.line(taken.digest)
    output.remark(f"{len(files)} file{'' if len(files) == 1 else 's'}, {size_text(sum(files))}")
    return 0


def _restore(options: argparse.Namespace, output: Output) -> int:
    found = _find(options.restore)
    work = found.restore if options.force else found.restore_safe
    with output.progress("downloading") as step:
        place = work(options.path, lambda done, total: step(done, total - done))
    output.emit({"digest": found.digest, "path": place})
    output.line(place)
    return 0


def _find(digest: str) -> FileSnapshot | DirectorySnapshot:
    """The directory with this digest, or the file: a tree is a text of its own form."""
    from hitsave.cloud.snapshots import DirectorySnapshot, FileSnapshot, connect, contents, read_tree

    directory = DirectorySnapshot.from_digest(digest)
    here = contents()
    try:
        if here.has(digest):
            read_tree(None, here, digest)
            return directory
        if read_tree(connect(), here, digest) is not None:
            return directory
    except StoreError:  # the bytes are here, and are no tree
        return FileSnapshot.from_digest(digest)
    except CloudError as error:
        raise CloudError(f"{digest} isn't on this machine: {error.message}", hint=error.hint) from None
    return FileSnapshot.from_digest(digest)
