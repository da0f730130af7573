"""First start and log-in: the first key, the first project, one-time links for a browser on this machine."""

from __future__ import annotations

import os
import secrets
import time

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hitsave.server.database.tables import login_codes, tokens
from hitsave.server.settings import Settings
from hitsave.server.state import State
from hitsave.server.tokens import (
    count_active,
    create_token,
    digest_key,
    ensure_project,
    find_principal,
    is_well_formed,
)

LOGIN_CODE_S = 900.0


class MustHaveKeys(Exception):
    """A public address was asked for, and nobody could log in: keys first."""


def prepare(state: State) -> str:
    """See that there is a project and somebody who can log in; the key of this machine's owner, "" if it is unknown.

    On first start the owner's key is made and kept in `data_dir/owner.key` (0600), so that later starts can print a
    log-in link. A server on a public address never makes it by itself.
    """
    with state.database.transaction() as connection:
        ensure_project(connection, "default")
        active = count_active(connection)
        if state.settings.is_public and not active:
            raise MustHaveKeys
        key = _read_owner_key(state.settings)
        if key and find_principal(connection, digest_key(key)) is not None:
            return key
        if active:
            return ""
        _, key = create_token(connection, user=_login_name(), scope="admin", label="owner of this server")
    _write_owner_key(state.settings, key)
    return key


def login_link(state: State, key: str) -> str:
    """A link that logs a browser in once, within a quarter of an hour."""
    code = secrets.token_urlsafe(24)
    with state.database.transaction() as connection:
        token_id = connection.execute(sa.select(tokens.c.id).where(tokens.c.sha256 == digest_key(key))).scalar_one()
        add_login_code(connection, code, token_id)
    return f"{state.settings.url}/login?code={code}"


def add_login_code(connection: Connection, code: str, token_id: int) -> None:
    """Let `code` log in as the holder of a key, once."""
    connection.execute(
        sa.insert(login_codes).values(sha256=digest_key(code), token_id=token_id, expires=time.time() + LOGIN_CODE_S)
    )


def _read_owner_key(settings: Settings) -> str:
    try:
        key = (settings.data_dir / "owner.key").read_text().strip()
    except OSError:
        return ""
    return key if is_well_formed(key) else ""


def _write_owner_key(settings: Settings, key: str) -> None:
    path = settings.data_dir / "owner.key"
    path.unlink(missing_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w") as file:
        file.write(key + "\n")


def _login_name() -> str:
    import getpass

    try:
        return getpass.getuser()[:100] or "owner"
    except (OSError, KeyError):
        return "owner"
