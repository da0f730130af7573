"""Team keys, and the tags made with them: what makes a colleague's result trustworthy. The server never has one.

    <config_dir>/keys/machine.key      this machine's own (store.authenticity); signs where no team key is
    <config_dir>/keys/team-<id>.key    given to each member out of band; the newest signs, all of them verify

Rotation is: a new team key, handed to everybody; the old one stays until its results are no longer wanted. Whoever
holds a team key can make your program decode what they wrote, so it is for people whose code you would run.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os

from hitsave.errors import ConfigError, StoreError, UntrustedEntry
from hitsave.record import Record
from hitsave.store.authenticity import KEY_BYTES, KeyRing, Seal, create_key, key_id, read_key

PREFIX = "hsteam1-"


class TeamKey(Record):
    """A key by its public id. `file` is its name in the key directory."""

    id: str
    secret: bytes
    file: str


class Signer:
    """Signs and checks what travels. Keys are read once; `reload` after they changed."""

    def __init__(self, config_dir: str, namespace: str = "") -> None:
        self.directory = os.path.join(config_dir, "keys")
        self._namespace = namespace
        self._keys: dict[str, TeamKey] | None = None
        self._seals: dict[tuple[str, bytes], Seal] = {}

    def signing_id(self) -> str:
        """The id of the key that signs: the newest team key, else the machine's (made now if there is none)."""
        return self._signing().id

    def sign(self, purpose: bytes, data: bytes) -> str:
        """The tag of `data` under the signing key, as `<key id>:<hex>`."""
        key = self._signing()
        return f"{key.id}:{self._seal(key, purpose).tag(data).hex()}"

    def check(self, purpose: bytes, data: bytes, tag: str) -> None:
        """Raise `UntrustedEntry` unless `tag` is what a key on this machine makes of `data`."""
        signer, _, digits = tag.partition(":")
        key = self.keys().get(signer)
        if key is None:
            raise UntrustedEntry(
                f"signed with a key that isn't on this machine ({signer[:16] or 'none'})",
                hint="Ask a colleague for `hitsave keys export`, then run `hitsave keys import`.",
            )
        try:
            given = bytes.fromhex(digits)
        except ValueError:
            given = b""
        if not self._seal(key, purpose).verify(given, data):
            raise UntrustedEntry("the signature doesn't fit: changed on the way, or by the server")

    def is_own(self, tag: str) -> bool:
        """Whether the key that made `tag` is this machine's alone, no team's."""
        key = self.keys().get(tag.partition(":")[0])
        return key is not None and not key.file.startswith("team-")

    def keys(self) -> dict[str, TeamKey]:
        """Every usable key by id, the one that signs last."""
        if self._keys is None:
            self._keys = {key.id: key for key in sorted(self._read(), key=self._age)}
        return self._keys

    def reload(self) -> None:
        """Read the key directory again when next needed."""
        self._keys = None
        self._seals.clear()

    def _signing(self) -> TeamKey:
        keys = self.keys()
        if not keys:
            secret = create_key(os.path.join(self.directory, "machine.key"))
            keys[key_id(secret)] = TeamKey(key_id(secret), secret, "machine.key")
        return list(keys.values())[-1]

    def _seal(self, key: TeamKey, purpose: bytes) -> Seal:
        found = self._seals.get((key.id, purpose))
        if found is None:
            found = self._seals[key.id, purpose] = Seal(KeyRing(key.secret), purpose, self._namespace)
        return found

    def _read(self) -> list[TeamKey]:
        try:
            names = sorted(os.listdir(self.directory))
        except OSError:
            return []
        found = []
        for name in names:
            if name.endswith(".key") and name.startswith(("team-", "machine", "retired-")):
                try:
                    secret = read_key(os.path.join(self.directory, name))
                except (StoreError, OSError):
                    continue  # a key that others could read is worth nothing; what it signed is a miss
                found.append(TeamKey(key_id(secret), secret, name))
        return found

    def _age(self, key: TeamKey) -> tuple[int, float]:
        """Sorts the key that signs last: retired ones first, then the machine's, then team keys by age."""
        rank = 2 if key.file.startswith("team-") else 1 if key.file == "machine.key" else 0
        try:
            return rank, os.stat(os.path.join(self.directory, key.file)).st_mtime_ns
        except OSError:
            return rank, 0.0


def create_team_key(config_dir: str) -> str:
    """A new team key on this machine; its id. It signs from now on, older ones still verify."""
    return _keep(config_dir, os.urandom(KEY_BYTES))


def export_team_key(config_dir: str, wanted: str = "") -> str:
    """A team key (the newest, or the one with the id `wanted`) as one line, to hand to a colleague you trust."""
    keys = [k for k in Signer(config_dir).keys().values() if k.file.startswith("team-") and wanted in ("", k.id)]
    if not keys:
        raise ConfigError(
            f"there is no team key {wanted}".rstrip(),
            hint="Make one with `hitsave keys create`, or import a colleague's with `hitsave keys import`.",
        )
    secret = keys[-1].secret
    return PREFIX + base64.urlsafe_b64encode(secret + _check(secret)).decode().rstrip("=")


def import_team_key(config_dir: str, line: str) -> str:
    """Take in the line that `export_team_key` made; the key's id. Raises `ConfigError` if it is mistyped."""
    text = line.strip().removeprefix(PREFIX)
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        data = b""
    secret, check = data[:KEY_BYTES], data[KEY_BYTES:]
    if len(secret) != KEY_BYTES or check != _check(secret):
        raise ConfigError("that is no team key", hint="Paste the whole line that `hitsave keys export` printed.")
    return _keep(config_dir, secret)


def forget_team_key(config_dir: str, wanted: str) -> bool:
    """Remove a team key: what it signed is no longer trusted here. Whether it was there."""
    signer = Signer(config_dir)
    key = signer.keys().get(wanted)
    if key is None or not key.file.startswith("team-"):
        return False
    os.unlink(os.path.join(signer.directory, key.file))
    return True


def list_keys(config_dir: str) -> list[tuple[str, str]]:
    """`(id, kind)` of every key here, the one that signs last. kind: team | machine | retired."""
    return [(key.id, key.file.partition("-")[0].partition(".")[0]) for key in Signer(config_dir).keys().values()]


def _keep(config_dir: str, secret: bytes) -> str:
    folder = os.path.join(config_dir, "keys")
    path = os.path.join(folder, f"team-{key_id(secret)}.key")
    os.makedirs(folder, 0o700, exist_ok=True)
    aside = f"{path}.{os.getpid()}.new"
    fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    try:
        os.write(fd, secret)
        os.fsync(fd)
    finally:
        os.close(fd)
    # Replacing also renews the time of a key that was here already, so the one imported last signs.
    os.replace(aside, path)
    return key_id(secret)


def _check(secret: bytes) -> bytes:
    return hashlib.sha256(b"hitsave-team\0" + secret).digest()[:4]
