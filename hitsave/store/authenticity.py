"""Keys and tags: how a store knows that it wrote what it reads.

Whoever can write a cache directory could otherwise choose what its reader decodes, and a pickle is a program. So
every entry carries a *tag*: keyed BLAKE2b (a MAC) over all that identifies it (row key, code, arguments, codec, size,
digest of the result). The key is 32 random bytes that live outside the cache directory, readable by their owner only.

    <config_dir>/keys/machine.key      signs and verifies
    <config_dir>/keys/retired-*.key    verify only: keys before a rotation

What a tag cannot do: protect from someone who can read the key file, or from the machine's administrator.
"""

from __future__ import annotations

import os
from _operator import _compare_digest

from hitsave.digest import blake2b
from hitsave.errors import StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

KEY_BYTES = 32
TAG_BYTES = 16


class KeyRing:
    """One key that signs, and further ones that are accepted. `retired` is read when a tag first fails."""

    def __init__(self, signing: bytes, accepted: Iterable[bytes] = (), *, folder: str = "") -> None:
        self.signing = signing
        self._accepted = tuple(accepted)
        self._folder = folder
        self._retired: tuple[bytes, ...] | None = None

    @property
    def reading(self) -> tuple[bytes, ...]:
        """Every key whose tags are accepted, the signing key first."""
        if self._retired is None:
            self._retired = tuple(_read_retired(self._folder)) if self._folder else ()
        return (self.signing, *self._accepted, *self._retired)


class Seal:
    """Makes and checks tags for one purpose, so a tag made for an entry can't pass for that of a record."""

    def __init__(self, ring: KeyRing, purpose: bytes, namespace: str = "") -> None:
        self._ring = ring
        self._person = purpose[:16]
        self._salt = blake2b(namespace.encode(), digest_size=16).digest()
        self._signing = self._keyed(ring.signing)
        self._others: tuple[blake2b, ...] | None = None

    def _keyed(self, key: bytes) -> blake2b:
        return blake2b(key=key, digest_size=TAG_BYTES, person=self._person, salt=self._salt)

    def tag(self, data: bytes) -> bytes:
        """The tag of `data` under the signing key."""
        state = self._signing.copy()
        state.update(data)
        return state.digest()

    def verify(self, tag: bytes, data: bytes) -> bool:
        """Whether `tag` was made from `data` with one of our keys."""
        state = self._signing.copy()
        state.update(data)
        return _compare_digest(state.digest(), tag) or self._verify_with_others(tag, data)

    def _verify_with_others(self, tag: bytes, data: bytes) -> bool:
        if self._others is None:
            self._others = tuple(self._keyed(key) for key in self._ring.reading[1:])
        for keyed in self._others:
            state = keyed.copy()
            state.update(data)
            if _compare_digest(state.digest(), tag):
                return True
        return False


def open_machine_keys(config_dir: str, accepted: Iterable[bytes] = ()) -> KeyRing:
    """This machine's keys, made on first use. Raises `StoreError` if the key file can't be trusted, read or made."""
    folder = os.path.join(config_dir, "keys")
    path = os.path.join(folder, "machine.key")
    try:
        signing = read_key(path)
    except FileNotFoundError:
        signing = create_key(path)
    return KeyRing(signing, accepted, folder=folder)


def rotate_machine_key(config_dir: str) -> KeyRing:
    """A new signing key; the old one is kept as a retired key, so what it signed still verifies."""
    folder = os.path.join(config_dir, "keys")
    path = os.path.join(folder, "machine.key")
    old = read_key(path)
    os.replace(path, os.path.join(folder, f"retired-{key_id(old)}.key"))
    return open_machine_keys(config_dir)


def key_id(key: bytes) -> str:
    """Sixteen hexadecimal digits that name `key` without telling it."""
    return blake2b(key, digest_size=8, person=b"hitsave-key-id").hexdigest()


def read_key(path: str) -> bytes:
    """The key in the file at `path`.

    Raises `FileNotFoundError` if there is none, and `StoreError` if others could have read or replaced it: it is a
    link, belongs to somebody else, or is open to group or world.
    """
    # Checked on the open file, not on its name: the name could be exchanged in between.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        raise
    except OSError as error:
        if os.path.islink(path):
            raise _refused(path, "it is a symbolic link") from None
        raise StoreError(f"The key {path} can't be read: {error.strerror}") from None
    try:
        status = os.fstat(descriptor)
        if hasattr(os, "getuid"):
            if status.st_uid != os.getuid():
                raise _refused(path, "it belongs to another user")
            if status.st_mode & 0o077:
                raise _refused(path, "group or others may read it")
        data = os.read(descriptor, KEY_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(data) != KEY_BYTES:
        raise _refused(path, f"it doesn't hold {KEY_BYTES} bytes")
    return data


def create_key(path: str) -> bytes:
    """A new random key at `path`, or the one that another process made there meanwhile."""
    folder = os.path.dirname(path)
    temporary = os.path.join(folder, f".{os.getpid()}-{os.urandom(4).hex()}.new")
    key = os.urandom(KEY_BYTES)
    try:
        os.makedirs(folder, 0o700, exist_ok=True)
        os.chmod(folder, 0o700)
        _write_new(temporary, key)
        try:
            # A link appears whole or not at all, and never replaces: a half-written key is never seen, whoever dies.
            os.link(temporary, path)
        except FileExistsError:
            return read_key(path)
        except OSError:  # a file system without hard links
            _write_new(path, key)
        finally:
            os.unlink(temporary)
    except FileExistsError:
        return read_key(path)
    except OSError as error:
        raise StoreError(
            f"The key {path} can't be made: {error.strerror}",
            hint="Set HITSAVE_CONFIG_DIR to a directory that you can write, outside the cache directory.",
        ) from None
    return key


def _write_new(path: str, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    try:
        os.write(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_retired(folder: str) -> Iterable[bytes]:
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return
    for name in names:
        if name.startswith("retired-") and name.endswith(".key"):
            try:
                yield read_key(os.path.join(folder, name))
            except (StoreError, OSError):
                continue  # a key that others could read is worth nothing; what it signed is a miss


def _refused(path: str, why: str) -> StoreError:
    return StoreError(
        f"The key {path} is refused: {why}.",
        hint=f"If you put it there, `chmod 600 {path}`; otherwise remove it, and a new one is made (old entries miss).",
    )
