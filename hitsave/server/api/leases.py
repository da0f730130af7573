"""Leases over HTTP: keep one alive, give it back, wait for one to end. They are granted by look-ups."""

from __future__ import annotations

import time

from starlette.responses import Response

from hitsave.server import leases
from hitsave.server.api.call import Call, Problem, answer, nothing
from hitsave.wire import Held, Lease
from hitsave.wire.messages import MAX_LEASE_S

MAX_WAIT_S = 25


async def acquire(call: Call) -> Response:
    """Take the lease on a name: 201 with token and fence, 409 with its holder."""
    read = await call.reader()
    name, ttl_s = call.digest("lease"), read.integer("ttl_s", low=1, high=MAX_LEASE_S)
    holder = f"{call.principal.user} {read.text('holder', '', limit=100)}".strip()
    found = await call.state.database.write(lambda c: leases.acquire(c, call.project_id, name, holder, ttl_s))
    if isinstance(found, Held):
        raise Problem("lease-held", f"{found.holder} holds it.", held=found.to_json())
    return answer(found.to_json(), 201)


async def renew(call: Call) -> Response:
    """The holder's heartbeat: 200, or 410 if somebody took over."""
    read = await call.reader()
    name, token = call.digest("lease"), read.digest("token")
    ttl_s = read.integer("ttl_s", low=1, high=MAX_LEASE_S)
    fence = await call.state.database.write(lambda c: leases.renew(c, call.project_id, name, token, ttl_s))
    if fence is None:
        raise Problem("lease-lost", "Somebody else holds this lease, or it has ended.")
    return answer(Lease(name, token, fence, ttl_s).to_json())


async def release(call: Call) -> Response:
    """Give the lease back; who waits may take it at once."""
    name, token = call.digest("lease"), call.query.get("token", "")
    if not token or not await call.state.database.write(lambda c: leases.release(c, call.project_id, name, token)):
        raise Problem("lease-lost", "Somebody else holds this lease, or it has ended.")
    call.state.waiting.notify(call.project_id, name)
    return nothing()


async def wait(call: Call) -> Response:
    """Come back when the lease is free, or after `wait` seconds (at most 25), with whoever holds it then."""
    name = call.digest("lease")
    until = time.monotonic() + call.query_integer("wait", 0, low=0, high=MAX_WAIT_S)
    while True:
        held = await call.state.database.read(lambda c: leases.find_holder(c, call.project_id, name))
        left = until - time.monotonic()
        if held is None or left <= 0:
            return answer({"held": None if held is None else held.to_json()})
        await call.state.waiting.wait(call.project_id, name, min(left, held.expires_in_s + 0.01))
