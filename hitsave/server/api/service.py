"""Health, readiness, version, metrics: what a load balancer and a scraper ask. The rest of the API needs a key."""

from __future__ import annotations

import time
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from hitsave.server.api.call import Call, answer
from hitsave.server.database.tables import blobs, entries, runs
from hitsave.server.state import State
from hitsave.version import __version__
from hitsave.wire import VERSION
from hitsave.wire.messages import INLINE_MAX_BYTES, MAX_KEYS


async def healthz(_request: Request) -> Response:
    """The process is alive."""
    return PlainTextResponse("ok\n")


async def readyz(request: Request) -> Response:
    """The database answers."""
    state: State = request.scope["hitsave.state"]
    await state.database.report(lambda connection: connection.execute(sa.select(1)).scalar_one())
    return PlainTextResponse("ok\n")


async def version(request: Request) -> Response:
    """What this server can do, and its limits."""
    state: State = request.scope["hitsave.state"]
    return answer(
        {
            "server": "hitsave",
            "version": __version__,
            "wire": VERSION,
            "digests": ["sha256"],
            "inline_max_bytes": INLINE_MAX_BYTES,
            "blob_max_bytes": state.settings.max_blob_bytes,
            "keys_per_lookup": MAX_KEYS,
            "time": time.time(),
        }
    )


async def metrics(call: Call) -> Response:
    """Counters and gauges in the Prometheus text format."""

    def work(connection: Connection) -> dict[str, float]:
        def count(query: sa.Select[Any]) -> float:
            return float(connection.execute(query).scalar_one() or 0)

        return {
            "entries": count(sa.select(sa.func.count()).select_from(entries)),
            "blobs": count(sa.select(sa.func.count()).select_from(blobs)),
            "blob_bytes": count(sa.select(sa.func.sum(blobs.c.size_bytes))),
            "runs_running": count(sa.select(sa.func.count()).select_from(runs).where(runs.c.status == "running")),
            "uptime_seconds": time.time() - call.state.started,
        }

    gauges = await call.state.database.report(work)
    return PlainTextResponse(call.state.metrics.render(gauges), media_type="text/plain; version=0.0.4")


async def stats(call: Call) -> Response:
    """Hits, misses, seconds saved and bytes, by day, function and user."""
    from hitsave.server.dashboard.usage_queries import daily_usage

    days = call.query_integer("days", 30, low=1, high=366)
    return answer(await call.state.database.report(lambda c: daily_usage(c, call.project_id, days)))
