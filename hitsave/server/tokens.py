"""API keys: made here, shown once, kept as a SHA-256, checked on every request.

A key reads `hs_<scope>_<random>_<check>`. The check lets a client say "mistyped" without asking, and secret scanners
recognise a leaked key. 192 random bits need no slow hash: there is nothing to guess.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import secrets
import time
import zlib

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hitsave.server.database.engine import insert_ignore
from hitsave.server.database.tables import projects, tokens, users

SCOPES = ("read", "write", "admin")
RANK = {scope: rank for rank, scope in enumerate(SCOPES)}
_KEY = re.compile(r"hs_(read|write|admin)_([A-Za-z0-9]{32})_([0-9a-f]{8})\Z")
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


@dataclasses.dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: the user behind a key, what the key may do, and where (`project_id` None: everywhere)."""

    token_id: int
    user: str
    scope: str
    project_id: int | None
    expires: float | None = None

    def may(self, scope: str) -> bool:
        """Whether the key's scope includes `scope`."""
        return RANK[self.scope] >= RANK[scope]

    def reaches(self, project_id: int) -> bool:
        """Whether the key is good for this project."""
        return self.project_id is None or self.project_id == project_id


def new_key(scope: str) -> str:
    """A fresh key, never seen before."""
    body = "".join(secrets.choice(_ALPHABET) for _ in range(32))
    return f"hs_{scope}_{body}_{_check(scope, body)}"


def is_well_formed(key: str) -> bool:
    """Whether `key` can be a key at all."""
    match = _KEY.match(key)
    return match is not None and match[3] == _check(match[1], match[2])


def digest_key(key: str) -> str:
    """What is kept of a key, a cookie or a login code."""
    return hashlib.sha256(key.encode()).hexdigest()


def create_token(
    connection: Connection,
    *,
    user: str,
    scope: str,
    label: str = "",
    project_id: int | None = None,
    expires: float | None = None,
) -> tuple[int, str]:
    """Make a key for `user` (made too if unknown): its id, and the key itself, which can't be read again."""
    now = time.time()
    insert_ignore(connection, users, {"name": user, "created": now})
    user_id = connection.execute(sa.select(users.c.id).where(users.c.name == user)).scalar_one()
    key = new_key(scope)
    token_id = connection.execute(
        sa.insert(tokens)
        .values(
            user_id=user_id,
            project_id=project_id,
            sha256=digest_key(key),
            start=key[: len(f"hs_{scope}_") + 4],
            scope=scope,
            label=label,
            created=now,
            expires=expires,
        )
        .returning(tokens.c.id)
    ).scalar_one()
    return int(token_id), key


def find_principal(connection: Connection, sha256: str) -> Principal | None:
    """Who holds the key with this digest, if it is neither revoked nor expired nor its user disabled."""
    return _principal(connection, tokens.c.sha256 == sha256)


def find_principal_by_id(connection: Connection, token_id: int) -> Principal | None:
    """As `find_principal`, for a browser session that remembers the id of its key."""
    return _principal(connection, tokens.c.id == token_id)


def _principal(connection: Connection, condition: sa.ColumnElement[bool]) -> Principal | None:
    row = connection.execute(
        sa.select(tokens.c.id, users.c.name, tokens.c.scope, tokens.c.project_id, tokens.c.expires)
        .join(users, users.c.id == tokens.c.user_id)
        .where(condition, tokens.c.revoked.is_(None), users.c.disabled.is_(None))
    ).first()
    if row is None or (row.expires is not None and row.expires <= time.time()):
        return None
    return Principal(row.id, row.name, row.scope, row.project_id, row.expires)


def revoke_token(connection: Connection, token_id: int) -> bool:
    """Revoke for good; whether there was such an active key."""
    changed = connection.execute(
        sa.update(tokens).where(tokens.c.id == token_id, tokens.c.revoked.is_(None)).values(revoked=time.time())
    )
    return changed.rowcount == 1


def count_active(connection: Connection) -> int:
    """How many keys could log in now."""
    now = time.time()
    return int(
        connection.execute(
            sa.select(sa.func.count())
            .select_from(tokens)
            .where(tokens.c.revoked.is_(None), sa.or_(tokens.c.expires.is_(None), tokens.c.expires > now))
        ).scalar_one()
    )


def ensure_project(connection: Connection, slug: str) -> int:
    """The id of project `slug`, made if it is new."""
    found = connection.execute(sa.select(projects.c.id).where(projects.c.slug == slug)).scalar_one_or_none()
    if found is None:
        insert_ignore(connection, projects, {"slug": slug, "created": time.time()})
        found = connection.execute(sa.select(projects.c.id).where(projects.c.slug == slug)).scalar_one()
    return int(found)


def _check(scope: str, body: str) -> str:
    return f"{zlib.crc32(f'{scope}_{body}'.encode()):08x}"
