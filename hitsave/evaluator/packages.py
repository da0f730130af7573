"""Versions of what lies outside the project: the leaves of every closure.

An import name is looked up once per process. `importlib.metadata` costs 25 ms to import, so the version is read from
the name of the distribution's `*.dist-info` folder beside the package wherever that tells it; the slow way is the
fall-back. A module that belongs to no distribution is known by the digest of its file. The standard library and what
is built into the interpreter have no version here: the Python version isn't part of a key.
"""

from __future__ import annotations

import os
import sys

from hitsave.digest import digest_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hitsave.store.contract import Store

POLICIES = ("version", "minor", "ignore")
MISSING = "missing"


class Packages:
    """Versions by import name, under a policy ("version", "minor", "ignore"), overridden per package."""

    def __init__(
        self,
        policy: str = "version",
        overrides: Mapping[str, str] | None = None,
        *,
        records: Store | None = None,
    ) -> None:
        self._policy = policy
        self._records = records
        self._overrides = dict(overrides or {})
        self._known: dict[str, str] = {}

    def versions(self, names: Iterable[str], policy: str | None = None) -> dict[str, str]:
        """{import name: version as the policy sees it} of those `names` that have one."""
        found: dict[str, str] = {}
        for name in names:
            kind = self._overrides.get(name, policy or self._policy)
            if kind != "ignore" and name != "hitsave":
                version = self.version(name)
                if version:
                    found[name] = minor_of(version) if kind == "minor" else version
        return found

    def version(self, name: str) -> str:
        """The version of the package imported as `name`; "" if it comes with Python, MISSING if it isn't there."""
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = self._look_up(name)
        return known

    def _look_up(self, name: str) -> str:
        if name in sys.stdlib_module_names or name in sys.builtin_module_names:
            return ""
        place = _find(name)
        if place is None:
            return MISSING
        folder = os.path.dirname(place)
        if os.path.basename(place).startswith("__init__."):
            folder = os.path.dirname(folder)
        return _beside(name, folder) or self._from_metadata(name, folder) or _digest_of_file(place)

    def _from_metadata(self, name: str, folder: str) -> str:
        """What the distribution's metadata says, or what it said when `folder` was as it is now."""
        try:
            key = f"{name} {folder} {os.stat(folder).st_mtime_ns}"
        except OSError:
            return ""
        data = self._records.get_record("package", key) if self._records is not None else None
        if data is not None:
            return data.decode()
        version = _from_metadata(name)
        if version and self._records is not None:
            self._records.put_record("package", key, version.encode())
        return version


def minor_of(version: str) -> str:
    """`2.1` of `2.1.3`."""
    return ".".join(version.split(".")[:2])


def _find(name: str) -> str | None:
    module = sys.modules.get(name)
    spec = getattr(module, "__spec__", None) if module is not None else None
    if spec is None and module is None:
        from importlib.util import find_spec

        try:
            spec = find_spec(name)
        except (ImportError, ValueError, AttributeError):
            return None
    if spec is None:
        file = getattr(module, "__file__", None)
        return file if isinstance(file, str) else None
    if spec.origin and os.path.isabs(spec.origin):
        return str(spec.origin)
    for location in spec.submodule_search_locations or ():
        return os.path.join(location, "__init__.")
    return None


def _beside(name: str, folder: str) -> str:
    """The version in the name of the one `*.dist-info` folder that is called like the package."""
    wanted = name.lower().replace("-", "_").replace(".", "_")
    found = set()
    for entry in _listing(folder):
        stem, dot, _ = entry.rpartition(".dist-info")
        project, dash, version = stem.partition("-")
        if dot and dash and project.lower().replace("-", "_").replace(".", "_") == wanted:
            found.add(version)
    return found.pop() if len(found) == 1 else ""


_listings: dict[str, list[str]] = {}


def _listing(folder: str) -> list[str]:
    known = _listings.get(folder)
    if known is None:
        try:
            known = [entry for entry in os.listdir(folder) if entry.endswith(".dist-info")]
        except OSError:
            known = []
        _listings[folder] = known
    return known


def _from_metadata(name: str) -> str:
    from importlib import metadata

    distributions = metadata.packages_distributions().get(name, [])
    versions = sorted({f"{one}={metadata.version(one)}" for one in distributions})
    return ",".join(versions)


def _digest_of_file(place: str) -> str:
    try:
        with open(place, "rb") as file:
            return "file:" + digest_bytes(file.read())
    except OSError:
        return "unknown"
