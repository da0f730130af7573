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

from hitsave.server.database.engine import upsert
from hitsave.server.database.tables import leases
from hitsave.wire import Held, Lease


def acquire(connection: Connection, project_id: int, name: str, holder: str, ttl_s: float) -> Lease | Held:
    """The lease, or who holds it."""
    now = time.time()
    # Look before the upsert: one that is refused would still pay for a write.
    row = connection.execute(_row(project_id, name)).first()
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
    values = {"project_id": project_id, "name": name, "token": token, "holder": holder, "fence": 1}
    values["expires"] = now + ttl_s
    fresh = {"token": token, "holder": holder, "fence": leases.c.fence + 1, "expires": now + ttl_s}
    # Two may meet here on PostgreSQL: the second waits for the first, then must see that it came too late.
    taken = sa.case((leases.c.expires <= now, True), else_=False)
    changes = {column: sa.case((taken, value), else_=leases.c[column]) for column, value in fresh.items()}
    upsert(connection, leases, ("project_id", "name"), values, changes)
    row = connection.execute(_row(project_id, name)).one()
    if row.token != token:
        return Held(name, row.holder, max(0.0, row.expires - now))
    return Lease(name, token, row.fence, ttl_s)


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
    row = connection.execute(_row(project_id, name)).first()
    return Held(name, row.holder, row.expires - now) if row is not None and row.expires > now else None


def is_fenced_off(connection: Connection, project_id: int, name: str, fence: int) -> bool:
    """Whether somebody took the lease over from the holder of `fence`, and holds it now."""
    row = connection.execute(_row(project_id, name)).first()
    return row is not None and row.fence > fence and row.expires > time.time()


def finish(connection: Connection, project_id: int, name: str) -> None:
    """The entry is there: nobody needs the lease any more."""
    connection.execute(sa.delete(leases).where(leases.c.project_id == project_id, leases.c.name == name))


def forget_expired(connection: Connection, older_than_s: float = 3600.0) -> None:
    """Remove rows nobody can still refer to."""
    connection.execute(sa.delete(leases).where(leases.c.expires < time.time() - older_than_s))


def _row(project_id: int, name: str) -> sa.Select[Any]:
    return sa.select(leases.c.token, leases.c.holder, leases.c.fence, leases.c.expires).where(
        leases.c.project_id == project_id, leases.c.name == name
    )
