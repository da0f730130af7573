"""The audit log: who changed keys, members, or removed what others had stored."""

from __future__ import annotations

import time
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hitsave.server.database.tables import audit
from hitsave.server.tokens import Principal


class Actor(Protocol):
    """Whoever acts: an API call or a dashboard page."""

    @property
    def principal(self) -> Principal:
        """Behind which key."""

    @property
    def address(self) -> str:
        """From where."""


def record(connection: Connection, actor: Actor, action: str, what: str) -> None:
    """Note one action. Never holds a secret: keys appear by their id."""
    values = {"at": time.time(), "who": actor.principal.user, "action": action, "what": what, "ip": actor.address}
    connection.execute(sa.insert(audit).values(**values))
