"""Queries about usage: by day, by function, by user. They read the daily roll-up, never all entries."""

from __future__ import annotations

import time
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hitsave.server.database.tables import functions, usage

NUMBERS = ("hits", "misses", "saved_s", "bytes_up", "bytes_down")


def daily_usage(connection: Connection, project_id: int, days: int) -> dict[str, Any]:
    """`{"total": {...}, "by_day": [...], "by_function": [...], "by_user": [...]}` of the last `days`."""
    first = time.strftime("%Y-%m-%d", time.gmtime(time.time() - (days - 1) * 86_400))
    here = (usage.c.project_id == project_id, usage.c.day >= first)
    sums = [sa.func.coalesce(sa.func.sum(usage.c[name]), 0).label(name) for name in NUMBERS]
    joined = usage.outerjoin(functions, functions.c.id == usage.c.function_id)

    def grouped(column: sa.Column[Any], name: str, *, order: Any, limit: int) -> list[dict[str, Any]]:
        query = sa.select(column.label(name), *sums).select_from(joined).where(*here).group_by(column)
        return [_plain(row._mapping) for row in connection.execute(query.order_by(order).limit(limit))]

    return {
        "total": _plain(connection.execute(sa.select(*sums).where(*here)).one()._mapping),
        "by_day": grouped(usage.c.day, "day", order=usage.c.day, limit=400),
        "by_function": grouped(functions.c.symbol, "symbol", order=sa.text("saved_s desc"), limit=50),
        "by_user": grouped(usage.c.who, "user", order=sa.text("saved_s desc"), limit=50),
    }


def _plain(row: Any) -> dict[str, Any]:
    # PostgreSQL sums whole numbers into decimals.
    return {name: float(v) if name == "saved_s" else int(v) if name in NUMBERS else v for name, v in row.items()}
