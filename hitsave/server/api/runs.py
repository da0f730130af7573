"""Runs that are under way or failed, so that the dashboard can show them. A run that finished is an entry."""

from __future__ import annotations

import secrets
import time

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from starlette.responses import Response

from hitsave.server.api.call import Call, Problem, answer, nothing
from hitsave.server.database.engine import insert_ignore
from hitsave.server.database.tables import functions, runs
from hitsave.wire import key_from_json

MAX_ERROR = 64 << 10
STATUSES = ("running", "ok", "failed")


async def start(call: Call) -> Response:
    """Announce a run: 201 with its id."""
    read = await call.reader()
    key = key_from_json(read.value.get("key"), "body.key")
    run_id = read.digest("id", "") or secrets.token_hex(16)
    if len(run_id) > 32:
        raise Problem("bad-request", "The id of a run has at most 32 characters.")
    now = time.time()
    values = {
        "id": run_id,
        "project_id": call.project_id,
        "symbol": key.symbol,
        "fingerprint": key.fingerprint,
        "arguments": key.arguments,
        "title": read.text("title", "", limit=4000),
        "status": "running",
        "started": now,
        "seen": now,
        "who": call.principal.user,
        "host": read.text("host", "", limit=100),
        "error": "",
    }
    if not await call.state.database.write(lambda c: insert_ignore(c, runs, values)):
        raise Problem("already-exists", "There is a run with this id.")
    return answer({"id": run_id}, 201)


async def change(call: Call) -> Response:
    """A heartbeat, or the end: "ok", or "failed" with the traceback as text."""
    read = await call.reader()
    run_id, status = call.digest("run"), read.text("status", limit=10)
    if status not in STATUSES:
        raise Problem("bad-request", f"status is one of {', '.join(STATUSES)}.")
    error = read.text("error", "", limit=MAX_ERROR)

    def work(connection: Connection) -> bool:
        now = time.time()
        changed = connection.execute(
            sa.update(runs)
            .where(runs.c.id == run_id, runs.c.project_id == call.project_id, runs.c.status.in_(("running", "lost")))
            .values(status=status, seen=now, error=error, finished=None if status == "running" else now)
            .returning(runs.c.symbol)
        ).first()
        if changed is not None and status == "failed":
            connection.execute(
                sa.update(functions)
                .where(functions.c.project_id == call.project_id, functions.c.symbol == changed.symbol)
                .values(failed=functions.c.failed + 1)
            )
        return changed is not None

    if not await call.state.database.write(work):
        raise Problem("not-found", "There is no such run, or it has ended.")
    return nothing()


async def list_runs(call: Call) -> Response:
    """Runs under way or failed, newest first."""
    limit = call.query_integer("limit", 50, low=1, high=200)

    def work(connection: Connection) -> list[dict[str, object]]:
        rows = connection.execute(
            sa.select(runs)
            .where(runs.c.project_id == call.project_id, runs.c.status != "ok")
            .order_by(runs.c.started.desc())
            .limit(limit)
        )
        return [{k: v for k, v in row._mapping.items() if k != "project_id"} for row in rows]

    return answer({"runs": await call.state.database.report(work)})
