"""API keys on this machine: one file, readable by its owner only, one line per server. Never logged, never printed.

`<config_dir>/credentials.json` is refused if others can read it, like an SSH key.
"""

from __future__ import annotations

import json
import os
import re
import stat
import zlib
from typing import Any
from urllib.parse import urlsplit

from hitsave.cloud.client import Client
from hitsave.cloud.signing import PREFIX, import_team_key
from hitsave.cloud.transport import Refused, Transport
from hitsave.errors import CloudError, ConfigError

FILE = "credentials.json"
_KEY = re.compile(r"hs_(read|write|admin)_([A-Za-z0-9]{32})_([0-9a-f]{8})\Z")


def log_in(config_dir: str, url: str, key: str) -> dict[str, Any]:
    """Check `key` with the server and keep it; who it belongs to (`{"user", "scope", "projects", "expires"}`).

    `key` may be an invitation: an API key and a team key, separated by a blank, as `invitation` makes. Raises
    `CloudError` if the server can't be reached or refuses.
    """
    api_key, _, team_line = key.strip().partition(" ")
    if not is_well_formed(api_key):
        raise ConfigError("that is no API key", hint="Paste the whole key, hs_…, as it was shown when it was made.")
    transport = Transport(url, api_key)
    try:
        me = Client(transport, "default").me()
    except Refused as error:
        if error.status == 401:
            raise CloudError(
                f"{url} doesn't know this key", hint="It may be revoked, expired, or of another server."
            ) from None
        raise
    finally:
        transport.close()
    if team_line.strip():
        import_team_key(config_dir, team_line)
    logins = _read(config_dir)
    logins[_name(url)] = {"url": transport.url, "key": api_key, "user": str(me.get("user", ""))}
    _write(config_dir, logins)
    return me


def log_out(config_dir: str, url: str) -> bool:
    """Forget the key for `url`; whether there was one. It stays valid on the server until it is revoked."""
    logins = _read(config_dir)
    found = logins.pop(_name(url), None)
    if found is not None:
        _write(config_dir, logins)
    return found is not None


def find_key(config_dir: str, url: str) -> str:
    """The key for `url`, "" if none is kept. Raises `ConfigError` if the file can be read by others."""
    return str(_read(config_dir).get(_name(url), {}).get("key", ""))


def list_logins(config_dir: str) -> list[tuple[str, str, str]]:
    """`(url, user, start of the key)` of every server that is logged in to."""
    return [(d["url"], d.get("user", ""), d["key"][:12] + "…") for _, d in sorted(_read(config_dir).items())]


def invitation(api_key: str, team_line: str) -> str:
    """One line that lets a colleague log in and trust the team's results. The server only ever sees the first half."""
    return f"{api_key} {team_line}"


def is_well_formed(key: str) -> bool:
    """Whether `key` is an API key without a slip of the pen; asks nobody."""
    match = _KEY.match(key)
    return match is not None and match[3] == f"{zlib.crc32(f'{match[1]}_{match[2]}'.encode()):08x}"


def is_invitation(text: str) -> bool:
    """Whether `text` is what `invitation` makes."""
    api_key, _, team_line = text.strip().partition(" ")
    return is_well_formed(api_key) and team_line.strip().startswith(PREFIX)


def _name(url: str) -> str:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"{parts.scheme}://{(parts.hostname or '').lower()}:{port}"


def _read(config_dir: str) -> dict[str, dict[str, str]]:
    path = os.path.join(config_dir, FILE)
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}") from None
    with os.fdopen(fd, "rb") as file:
        if os.name == "posix" and stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
            raise ConfigError(
                f"{path} can be read by others", hint=f"Revoke the keys in it, then: rm {path}; hitsave login <url>"
            )
        data = file.read()
    try:
        found = json.loads(data)
        return {str(name): {k: str(v) for k, v in entry.items()} for name, entry in found.items()}
    except (ValueError, AttributeError):
        raise ConfigError(f"{path} is damaged", hint=f"rm {path}; hitsave login <url>") from None


def _write(config_dir: str, logins: dict[str, dict[str, str]]) -> None:
    os.makedirs(config_dir, mode=0o700, exist_ok=True)
    path = os.path.join(config_dir, FILE)
    aside = f"{path}.{os.getpid()}.new"
    fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w") as file:
        json.dump(logins, file, indent=1)
    os.replace(aside, path)
