"""Quotas: how much a project may keep. Counted per entry, so what two entries share counts twice: simple, and known
at once from the summaries."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hitsave.server.database.tables import blobs, functions, projects
from hitsave.server.problems import Problem
from hitsave.server.settings import Settings


def used_bytes(connection: Connection, project_id: int) -> int:
    """What the entries of a project take."""
    total = sa.select(sa.func.coalesce(sa.func.sum(functions.c.size_bytes), 0))
    return int(connection.execute(total.where(functions.c.project_id == project_id)).scalar_one())


def total_bytes(connection: Connection) -> int:
    """What all blobs take."""
    return int(connection.execute(sa.select(sa.func.coalesce(sa.func.sum(blobs.c.size_bytes), 0))).scalar_one())


def check_quota(settings: Settings, connection: Connection, project_id: int, more_bytes: int) -> None:
    """Raise `Problem` if `more_bytes` would exceed the project's quota or the server's limit."""
    quota = connection.execute(sa.select(projects.c.quota_bytes).where(projects.c.id == project_id)).scalar_one()
    if quota and used_bytes(connection, project_id) + more_bytes > quota:
        raise Problem("quota-exceeded", f"The project's quota is {quota} bytes.", quota_bytes=quota)
    limit = settings.max_total_bytes
    if limit and total_bytes(connection) + more_bytes > limit:
        raise Problem("quota-exceeded", f"This server keeps at most {limit} bytes.", quota_bytes=limit)
