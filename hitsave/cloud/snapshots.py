"""Files and directories as values: named by what is in them, kept once, restored exactly, shared with the team.

    data = DirectorySnapshot.of("data")          # copied into the cache; the digest covers names, modes and contents
    data.push()                                  # … to the team's server
    DirectorySnapshot.from_digest("sha256-…").restore("data")

A snapshot may be an argument or a result of a memoised function: it counts by its digest, not by where it lay, and it
pickles as its digest. Symbolic links are not followed out of a directory and not kept. Restoring never writes outside
the place you name, not even through a link that lies there, and never changes a file that has other bytes unless
`restore` (rather than `restore_safe`) is asked to.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any

from hitsave.cloud.client import Client
from hitsave.cloud.contents import SLOWEST_BYTES_PER_S, Contents
from hitsave.cloud.credentials import find_key
from hitsave.cloud.transport import Transport
from hitsave.config import load_config
from hitsave.errors import CloudError, StoreError, UsageError
from hitsave.project import find_project
from hitsave.wire import WireError, blob_name
from hitsave.wire.trees import Tree, TreeFile, check_path, check_paths, parse_tree, render_tree

if TYPE_CHECKING:
    from typing_extensions import Self

Progress = Callable[[int, int], None]  # bytes done, bytes in all


def _quiet(done: int, total: int) -> None:
    """Shows nothing."""


class Snapshot:
    """What files and directories have in common. Immutable; equal if the contents are."""

    digest: str
    name: str

    def __init__(self, digest: str, name: str = "") -> None:
        self.digest = digest
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and isinstance(self, type(other)) and other.digest == self.digest

    def __hash__(self) -> int:
        return hash((type(self), self.digest))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.digest[:15]}…, {self.name!r})"

    def __hitsave_key__(self) -> str:
        """What the snapshot counts by as an argument: its contents, wherever they lay."""
        return self.digest

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.digest, self.name)

    @classmethod
    def from_digest(cls, digest: str, name: str = "") -> Self:
        """The snapshot with this digest; fetched from the server when it is first restored."""
        if not digest.startswith("sha256-") or len(digest) != 71:
            raise UsageError(f"{digest[:80]!r} is no digest of a snapshot", hint="It looks like sha256-<64 digits>.")
        return cls(digest, name)


class FileSnapshot(Snapshot):
    """One file. Its digest is that of its bytes; the executable bit is not kept."""

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> FileSnapshot:
        """Take a copy of the file at `path`."""
        text = os.fspath(path)
        name, _ = contents().add_file(text)
        return cls(name, os.path.basename(text))

    def restore(self, path: str | os.PathLike[str], on_progress: Progress = _quiet) -> str:
        """Write the file to `path`, over what is there; the path."""
        target = os.path.abspath(os.fspath(path))
        self.fetch(on_progress)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if os.path.islink(target):
            os.unlink(target)  # the link is replaced, what it points to is not touched
        contents().copy_to(self.digest, target, executable=False)
        return target

    def restore_safe(self, path: str | os.PathLike[str], on_progress: Progress = _quiet) -> str:
        """As `restore`, but a file with other bytes at `path` is a `StoreError`."""
        target = os.path.abspath(os.fspath(path))
        if os.path.lexists(target) and not _same_file(target, self.digest):
            raise StoreError(f"{target} is there already, with other contents", hint="Use restore() to replace it.")
        return self.restore(target, on_progress)

    def open(self) -> IO[bytes]:
        """The bytes, for reading; no copy is made."""
        self.fetch()
        return open(contents().path(self.digest), "rb")

    def read_bytes(self) -> bytes:
        """The bytes, verified."""
        self.fetch()
        return contents().read(self.digest)

    def fetch(self, on_progress: Progress = _quiet) -> None:
        """See that the bytes are on this machine."""
        here = contents()
        if not here.has(self.digest):
            client = connect()
            size = _size_on_server(client, self.digest)
            here.fetch(client, self.digest, size, _meter(on_progress, size))

    def push(self, on_progress: Progress = _quiet) -> None:
        """Upload, for colleagues."""
        here = contents()
        size = os.path.getsize(here.path(self.digest))
        tree = Tree((TreeFile("file", False, self.digest, size),))
        _push(connect(), here, tree, self.name, on_progress)


class DirectorySnapshot(Snapshot):
    """A directory: every regular file below it, and empty directories. Its digest is that of its tree's text."""

    @classmethod
    def of(cls, path: str | os.PathLike[str], ignore: Callable[[str], bool] = lambda path: False) -> DirectorySnapshot:
        """Take a copy of the directory at `path`; `ignore` is asked about each relative path.

        Raises `UsageError` if a name in it can't exist on every system, or two names differ only in case.
        """
        root = os.path.abspath(os.fspath(path))
        if not os.path.isdir(root):
            raise UsageError(f"{root} is no directory")
        here = contents()
        files: list[TreeFile] = []
        empty: list[str] = []
        for relative, full, is_empty_directory in _walk(root, ignore):
            try:
                check_path(relative)
            except WireError as error:
                raise UsageError(f"{full}: {error}") from None
            if is_empty_directory:
                empty.append(relative)
            else:
                name, size = here.add_file(full)
                files.append(TreeFile(relative, bool(os.stat(full).st_mode & 0o100), name, size))
        files.sort(key=lambda file: file.path)
        try:
            check_paths([file.path for file in files], empty)
        except WireError as error:
            raise UsageError(f"{root}: {error}") from None
        text = render_tree(Tree(tuple(files), tuple(sorted(empty)))).encode()
        return cls(here.add_bytes(text), os.path.basename(root))

    def tree(self) -> Tree:
        """The files, fetched from the server if they aren't known here."""
        here = contents()
        tree = read_tree(None, here, self.digest) or read_tree(connect(), here, self.digest)
        if tree is None:
            raise CloudError(f"the server has no snapshot {self.digest}", hint="Whoever made it must push it.")
        return tree

    def restore(self, path: str | os.PathLike[str], on_progress: Progress = _quiet) -> str:
        """Make `path` hold these files, over files of the same name; others stay. The path."""
        return self._restore(path, on_progress, replace=True)

    def restore_safe(self, path: str | os.PathLike[str], on_progress: Progress = _quiet) -> str:
        """As `restore`, but if any file there has other bytes, nothing is written and it is a `StoreError`."""
        return self._restore(path, on_progress, replace=False)

    def _restore(self, path: str | os.PathLike[str], on_progress: Progress, *, replace: bool) -> str:
        root = os.path.abspath(os.fspath(path))
        tree = self.fetch(on_progress)
        os.makedirs(root, exist_ok=True)
        if not replace:
            for file in tree.files:
                target = os.path.join(root, *file.path.split("/"))
                if os.path.lexists(target) and not _same_file(target, file.blob):
                    raise StoreError(f"{target} is there already, with other contents", hint="Use restore() instead.")
        for directory in tree.empty_directories:
            _make_directories(root, directory.split("/"))
        for file in tree.files:
            parts = file.path.split("/")
            _make_directories(root, parts[:-1])
            target = os.path.join(root, *parts)
            if os.path.isdir(target) and not os.path.islink(target):
                raise StoreError(f"{target} is a directory, and the snapshot has a file there")
            contents().copy_to(file.blob, target, executable=file.executable)
        return root

    def fetch(self, on_progress: Progress = _quiet) -> Tree:
        """See that every file's bytes are on this machine; the tree."""
        tree = self.tree()
        here = contents()
        wanted = {file.blob: file.size_bytes for file in tree.files if not here.has(file.blob)}
        if wanted:
            client, meter = connect(), _meter(on_progress, sum(wanted.values()))
            for name, size in wanted.items():
                here.fetch(client, name, size, meter)
        return tree

    def push(self, on_progress: Progress = _quiet) -> None:
        """Upload what the server lacks, for colleagues."""
        here = contents()
        tree = read_tree(None, here, self.digest)
        if tree is None:
            raise StoreError(f"{self!r} isn't on this machine")
        _push(connect(), here, tree, self.name, on_progress)


def contents() -> Contents:
    """Where this machine keeps the bytes of snapshots: in the cache directory that is configured."""
    return Contents(os.path.join(load_config(find_project(os.getcwd()).root).dir, "snapshots"))


def connect() -> Client:
    """The project on the configured server. Raises `CloudError` if there is none or we are offline."""
    config = load_config(find_project(os.getcwd()).root)
    if not config.remote or config.offline:
        raise CloudError("no server is configured, or we are offline", hint="Set HITSAVE_REMOTE, then `hitsave login`.")
    key = config.api_key or find_key(config.config_dir, config.remote)
    return Client(Transport(config.remote, key), config.project)


def read_tree(client: Client | None, here: Contents, digest: str) -> Tree | None:
    """The tree with this digest, from here or from the server; verified before it is parsed, its paths checked."""
    if not here.has(digest):
        data = client.get_tree(digest) if client is not None else None
        if data is None:
            return None
        if blob_name(data) != digest:
            raise StoreError("the server sent another tree than the one asked for", hint="Nothing of it was used.")
        here.add_bytes(data)
    try:
        return parse_tree(here.read(digest).decode("ascii"))
    except (WireError, UnicodeDecodeError) as error:
        raise StoreError(f"{digest} is no directory snapshot: {error}") from None


def _push(client: Client, here: Contents, tree: Tree, name: str, on_progress: Progress) -> None:
    sizes = {file.blob: file.size_bytes for file in tree.files}
    names = list(sizes)
    missing: set[str] = set()
    for start in range(0, len(names), 1000):
        missing |= client.missing_blobs(names[start : start + 1000])
    meter = _meter(on_progress, sum(sizes[blob] for blob in missing))
    for blob in sorted(missing):
        path = here.path(blob)
        client.put_blob(blob, lambda path=path: open(path, "rb"), 60 + sizes[blob] / SLOWEST_BYTES_PER_S)  # type: ignore[misc]  # noqa: SIM115
        meter(sizes[blob])
    text = render_tree(tree).encode()
    client.put_tree(blob_name(text), text, name)


def _meter(on_progress: Progress, total: int) -> Callable[[int], None]:
    done = 0

    def add(count: int) -> None:
        nonlocal done
        done += count
        on_progress(done, total)

    return add


def _size_on_server(client: Client, name: str) -> int:
    size = client.blob_size(name)
    if size is None:
        raise CloudError(f"the server doesn't have {name}", hint="Whoever made the snapshot must push it.")
    return size


def _walk(root: str, ignore: Callable[[str], bool]) -> list[tuple[str, str, bool]]:
    found: list[tuple[str, str, bool]] = []
    for directory, names, files in os.walk(root, followlinks=False):
        relative = os.path.relpath(directory, root).replace(os.sep, "/")
        prefix = "" if relative == "." else relative + "/"
        names[:] = sorted(n for n in names if not os.path.islink(os.path.join(directory, n)) and not ignore(prefix + n))
        kept = 0
        for name in sorted(files):
            full = os.path.join(directory, name)
            if not ignore(prefix + name) and os.path.isfile(full) and not os.path.islink(full):
                found.append((prefix + name, full, False))
                kept += 1
        if not kept and not names and prefix:
            found.append((relative, directory, True))
    return found


def _make_directories(root: str, parts: list[str]) -> None:
    """Create directories below `root`, refusing to go through a link that lies there."""
    path = root
    for part in parts:
        path = os.path.join(path, part)
        if os.path.islink(path):
            raise StoreError(f"{path} is a symbolic link: restoring through it could write anywhere")
        if not os.path.isdir(path):
            os.mkdir(path)


def _same_file(path: str, name: str) -> bool:
    if os.path.islink(path) or not os.path.isfile(path):
        return False
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return "sha256-" + digest.hexdigest() == name
