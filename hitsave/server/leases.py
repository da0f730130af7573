"""Leases: who computes a key just now, so that others wait instead of computing it too. Advice, never correctness.

A lease ends when its entry arrives, when its holder gives it back, or when its time runs out because the holder's
heart stopped. `fence` grows with each holder; a late commit under an old fence is refused unless it brings what is
already there. Times are the server's alone: clients only ever hear durations.
"""

from __future__ import annotations

import secrets
import time
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hitsave.server.database.engine import fetch, insert_ignore
from hitsave.server.database.tables import leases
from hitsave.wire import Held, Lease


def acquire(connection: Connection, project_id: int, name: str, holder: str, ttl_s: float) -> Lease | Held:
    """The lease, or who holds it."""
    now = time.time()
    # Look before the upsert: one that is refused would still pay for a write.
    row = _find(connection, project_id, name)
    if row is not None and row.expires > now:
        if holder and row.holder == holder:
            # The same process asks again: the answer that granted it was lost on the way.
            connection.execute(
                sa.update(leases)
                .where(leases.c.project_id == project_id, leases.c.name == name, leases.c.token == row.token)
                .values(expires=now + ttl_s)
            )
            return Lease(name, row.token, row.fence, ttl_s)
        return Held(name, row.holder, row.expires - now)
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
    token = secrets.token_hex(16)
    expires = now + ttl_s
    if row is not None:
        # Only one of those who meet here finds the row still expired.
        place = {"p": project_id, "n": name, "now": now}
        taken = connection.execute(
            TAKE_OVER, {**place, "token_": token, "holder_": holder, "expires_": expires}
        ).first()
        if taken is not None:
            return Lease(name, token, taken.fence, ttl_s)
    else:
        values = {"project_id": project_id, "name": name, "token": token, "holder": holder, "fence": 1}
        if insert_ignore(connection, leases, {**values, "expires": expires}):
            return Lease(name, token, 1, ttl_s)
    found = find_holder(connection, project_id, name)
    return found or Held(name, "", 0.0)


TAKE_OVER = (
    sa.update(leases)
    .where(
        leases.c.project_id == sa.bindparam("p"),
        leases.c.name == sa.bindparam("n"),
        leases.c.expires <= sa.bindparam("now"),
    )
    .values(
        token=sa.bindparam("token_"),
        holder=sa.bindparam("holder_"),
        fence=leases.c.fence + 1,
        expires=sa.bindparam("expires_"),
    )
    .returning(leases.c.fence)
)


def renew(connection: Connection, project_id: int, name: str, token: str, ttl_s: float) -> int | None:
    """The fence, if `token` still holds the lease (also after its time ran out, if nobody took it), else None."""
    changed = connection.execute(
        sa.update(leases)
        .where(leases.c.project_id == project_id, leases.c.name == name, leases.c.token == token)
        .values(expires=time.time() + ttl_s)
        .returning(leases.c.fence)
    ).first()
    return None if changed is None else int(changed.fence)


def release(connection: Connection, project_id: int, name: str, token: str) -> bool:
    """Give the lease back; whether `token` held it. The row stays, so that the next fence is larger."""
    changed = connection.execute(
        sa.update(leases)
        .where(leases.c.project_id == project_id, leases.c.name == name, leases.c.token == token)
        .values(expires=0.0, token="")
    )
    return changed.rowcount == 1


def find_holder(connection: Connection, project_id: int, name: str) -> Held | None:
    """Who holds the lease now."""
    now = time.time()
    row = _find(connection, project_id, name)
    return Held(name, row.holder, row.expires - now) if row is not None and row.expires > now else None


def is_fenced_off(connection: Connection, project_id: int, name: str, fence: int) -> bool:
    """Whether somebody took the lease over from the holder of `fence`, and holds it now."""
    row = _find(connection, project_id, name)
    return row is not None and row.fence > fence and row.expires > time.time()


def finish(connection: Connection, project_id: int, name: str) -> None:
    """The entry is there: nobody needs the lease any more."""
    connection.execute(sa.delete(leases).where(leases.c.project_id == project_id, leases.c.name == name))


def forget_expired(connection: Connection, older_than_s: float = 3600.0) -> None:
    """Remove rows nobody can still refer to."""
    connection.execute(sa.delete(leases).where(leases.c.expires < time.time() - older_than_s))


def _find(connection: Connection, project_id: int, name: str) -> Any | None:
    rows = fetch(connection, ROW, {"p": project_id, "n": name})
    return rows[0] if rows else None


ROW = sa.select(leases.c.token, leases.c.holder, leases.c.fence, leases.c.expires).where(
    leases.c.project_id == sa.bindparam("p"), leases.c.name == sa.bindparam("n")
)
