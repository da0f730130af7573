"""`hitsave doctor`: can hitsave do its work here, and what to mend if not."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator

from hitsave.cli.output import Output, size_text
from hitsave.config import Config, load_config
from hitsave.errors import ConfigError, StoreError
from hitsave.project import find_project
from hitsave.record import Record
from hitsave.version import __version__

LOW_SPACE_BYTES = 1 << 30
# Locks on these don't keep what SQLite needs, so processes on several machines can corrupt one index.
NETWORK_FILE_SYSTEMS = frozenset(
    ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "lustre", "fuse.sshfs", "afs", "beegfs")
)


class Finding(Record):
    """One thing looked at: `status` is "ok", "warning" or "failure"; `hint` says what to do."""

    name: str
    status: str
    message: str
    hint: str = ""


def add_doctor(parser: argparse.ArgumentParser) -> None:
    """Options of `hitsave doctor`."""
    parser.add_argument("--deep", action="store_true", help="read every stored result and check its digest")
    parser.add_argument("--repair", action="store_true", help="mend what can be mended in the cache")


def doctor(options: argparse.Namespace, output: Output) -> int:
    """Look at everything, print what was found; 1 if something can't work."""
    findings = list(_look(options))
    output.emit([dict(zip(Finding._fields, each._values(), strict=True)) for each in findings])
    marks = {"ok": ("ok      ", ""), "warning": ("warning ", "yellow"), "failure": ("FAILURE ", "bold red")}
    for each in findings:
        mark, style = marks[each.status]
        output.line(f"{mark} {each.name}: {each.message}", style=style)
        if each.hint:
            output.line(f"         hint: {each.hint}")
    return 1 if any(each.status == "failure" for each in findings) else 0


def _look(options: argparse.Namespace) -> Iterator[Finding]:
    yield Finding("hitsave", "ok", f"{__version__} in {os.path.dirname(os.path.dirname(os.path.abspath(__file__)))}")
    yield Finding("python", "ok", f"{sys.version.split()[0]} ({sys.executable})")
    yield from _packages()
    project = find_project(options.root or os.getcwd())
    if project.origin == "folder":
        hint = "Without a Git repository or pyproject.toml the folder is taken: `git init` makes it explicit."
        yield Finding("project", "warning", f"{project.root} (nothing marks it as a project)", hint)
    else:
        yield Finding("project", "ok", f"{project.root} ({project.origin})")
    try:
        config = load_config(project.root)
    except ConfigError as error:
        yield Finding("settings", "failure", error.message, error.hint)
        return
    yield Finding("settings", "ok", f"mode {config.mode}, verify {config.verify}, user's file in {config.config_dir}")
    directory = list(_directory(config))
    yield from directory
    yield from _secrets(config)
    if all(each.status != "failure" for each in directory):
        yield from _cache(config, deep=options.deep, repair=options.repair)


def _packages() -> Iterator[Finding]:
    for name in ("diskcache", "requests", "watchdog", "astor", "rich"):
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            yield Finding(name, "failure", "not installed", f"pip install {name}")
        else:
            yield Finding(name, "ok", version)
    try:
        importlib.metadata.version("urllib3-future")
    except importlib.metadata.PackageNotFoundError:
        return
    hint = "pip uninstall niquests urllib3-future && pip install --force-reinstall urllib3"
    yield Finding("urllib3", "warning", "overwritten by urllib3-future, which requests was not written for", hint)


def _directory(config: Config) -> Iterator[Finding]:
    folder = config.dir
    existing = folder
    while not os.path.lexists(existing) and os.path.dirname(existing) != existing:
        existing = os.path.dirname(existing)
    said = folder if existing == folder else f"{folder} (made when needed)"
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        yield Finding("cache directory", "failure", f"{folder}: {error.strerror}", "Choose another: HITSAVE_DIR=PATH")
        return
    if existing == folder and stat.S_IMODE(os.stat(folder).st_mode) & 0o077:
        hint = f"chmod 700 {folder}"
        yield Finding("cache directory", "warning", f"{folder} is open to other users of this machine", hint)
    else:
        yield Finding("cache directory", "ok", said)
    kind = _file_system(existing)
    if kind in NETWORK_FILE_SYSTEMS:
        hint = "Keep the cache on a local disk (HITSAVE_DIR) and share results through a server (`hitsave serve`)."
        yield Finding("file system", "warning", f"{kind}: file locks may not work across machines", hint)
    elif kind:
        yield Finding("file system", "ok", kind)
    free = shutil.disk_usage(existing).free
    low = free < LOW_SPACE_BYTES
    hint = "Remove results (`hitsave rm --older 30d`), or choose another directory (HITSAVE_DIR)." if low else ""
    yield Finding("free space", "warning" if low else "ok", size_text(free), hint)


def _cache(config: Config, *, deep: bool, repair: bool) -> Iterator[Finding]:
    from hitsave.session import open_disk
    from hitsave.store import repair as mending

    store = open_disk(config)
    try:
        if repair:
            done = mending.repair(store, deep=True)
            for found in done.findings:
                yield Finding("cache", "ok" if found.mends else "failure", f"{found.what} ({found.count}): mended")
            said = f"{done.removed} damaged entries removed"
            if done.aside:
                said += f", {done.salvaged} rows salvaged from a broken database, which is now in {done.aside}"
            yield Finding("repair", "ok", said)
            return
        troubles = mending.check(store, deep=deep)
        for found in troubles:
            hint = "hitsave doctor --repair" if found.mends else "hitsave keys rotate, or put the key file back"
            yield Finding("cache", "warning" if found.mends else "failure", f"{found.what} ({found.count})", hint)
        if not troubles:
            held = store.stats()
            yield Finding("cache", "ok", f"{held.entries} results, {size_text(held.size_bytes)}")
    except StoreError as error:
        yield Finding("cache", "failure", error.message, error.hint)
    finally:
        store.close()


def _secrets(config: Config) -> Iterator[Finding]:
    keys = os.path.join(config.config_dir, "keys")
    if not os.path.isdir(keys):
        yield Finding("signing key", "ok", f"made at the first store, in {keys}")
        return
    for name in sorted(os.listdir(keys)):
        path = os.path.join(keys, name)
        if os.path.isfile(path) and stat.S_IMODE(os.stat(path).st_mode) & 0o077:
            yield Finding("signing key", "failure", f"{path} can be read by others", f"chmod 600 {path}")
        else:
            yield Finding("signing key", "ok", path)


def _file_system(folder: str) -> str:
    """The type of the file system that holds `folder`; "" where the system doesn't say."""
    try:
        with open("/proc/self/mounts", encoding="utf-8") as file:
            mounts = [line.split()[1:3] for line in file]
    except OSError:
        return ""
    real = os.path.realpath(folder)
    holding = [(point, kind) for point, kind in mounts if (real + "/").startswith(point.rstrip("/") + "/")]
    return max(holding, key=lambda mount: len(mount[0]), default=("", ""))[1]
