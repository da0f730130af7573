"""The front door: every request passes here once.

It refuses foreign Host names (DNS rebinding), gives each request an id, turns errors into problems, and sets the
headers that keep a browser from doing anything clever with our answers. Written as plain ASGI: a stack of Starlette
middleware would cost more than the routes behind it.
"""

from __future__ import annotations

import functools
import itertools
import logging
import secrets
import time
from collections.abc import Mapping
from typing import Any

import sqlalchemy.exc
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hitsave.server.blobs import StorageFull
from hitsave.server.problems import Problem
from hitsave.server.settings import LOOPBACK
from hitsave.server.state import State
from hitsave.wire import WireError

log = logging.getLogger("hitsave.server")

# What keeps a browser that is led to the API from making anything of the answer.
FOR_API = (
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
)
FOR_PAGES = (
    *FOR_API,
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
STATUS_SLUGS = {404: "not-found", 405: "method-not-allowed", 400: "bad-request"}


class FrontDoor:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, state: State) -> None:
        self.app = app
        self.state = state
        self.hosts = {*LOOPBACK, *state.settings.allowed_hosts, state.settings.host}
        self.any_host = "*" in self.hosts
        self._good_hosts: set[bytes] = set()
        self._start = secrets.token_hex(6)
        self._count = itertools.count(0x1000)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        request_id = f"{self._start}{next(self._count):x}"
        scope["hitsave.request_id"] = request_id
        scope["hitsave.state"] = self.state
        status = 0
        is_api = scope["path"].startswith("/api/")

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                elapsed_ms = (time.perf_counter() - began) * 1000
                message["headers"] = [
                    *(headers := message.get("headers", ())),
                    *_lacking(frozenset([name for name, _ in headers]), is_api),
                    (b"x-request-id", request_id.encode()),
                    (b"server-timing", b"app;dur=%.2f" % elapsed_ms),
                ]
            await send(message)

        try:
            if not self.any_host:
                self._check_host(scope)
            await self.app(scope, receive, send_with_headers)
        except Exception as error:
            if status:
                raise  # the answer has begun: all that is left is to break the connection
            await self._answer(error, scope, request_id)(scope, receive, send_with_headers)
        finally:
            elapsed_s = time.perf_counter() - began
            route = scope.get("hitsave.route", "other")
            self.state.metrics.observe(scope["method"], route, status, elapsed_s)
            if self.state.settings.log_requests:
                log.info("%s %s %d %.1f ms", scope["method"], scope["path"], status, elapsed_s * 1000)

    def _check_host(self, scope: Scope) -> None:
        for name, value in scope["headers"]:
            if name == b"host":
                if value in self._good_hosts:
                    return
                host = value.decode("latin-1").lower()
                bare = host if host.endswith("]") else host.rpartition(":")[0] or host
                if bare in self.hosts or host in self.hosts:
                    if len(self._good_hosts) < 100:
                        self._good_hosts.add(value)
                    return
                raise Problem("misdirected", "This server doesn't answer to that Host name (allowed_hosts).")
        raise Problem("misdirected", "A Host header is needed.")

    def _answer(self, error: Exception, scope: Scope, request_id: str) -> Response:
        problem = as_problem(error, request_id)
        page: Mapping[str, Any] = scope.get("hitsave.page", {})
        if page:
            return _page(problem, Request(scope), page)
        return problem.response(request_id)


@functools.lru_cache(maxsize=256)
def _lacking(given: frozenset[bytes], is_api: bool) -> tuple[tuple[bytes, bytes], ...]:
    """The headers that every answer has, without those that an answer gave itself."""
    return tuple(field for field in (FOR_API if is_api else FOR_PAGES) if field[0] not in given)


def as_problem(error: Exception, request_id: str) -> Problem:
    """What to tell the client about `error`; what it must not know stays in the log."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, WireError):
        return Problem("bad-request", str(error))
    if isinstance(error, HTTPException):
        slug = STATUS_SLUGS.get(error.status_code, "bad-request")
        return Problem(slug, error.detail, headers=dict(error.headers or {}))
    if isinstance(error, StorageFull) or (isinstance(error, OSError) and error.errno in (27, 28, 122)):
        return Problem("disk-full", "The server's disk is full; nothing was stored.")
    if isinstance(error, sqlalchemy.exc.OperationalError | sqlalchemy.exc.TimeoutError | ConnectionError):
        log.warning("request %s: %s", request_id, error)
        return Problem("maintenance", "The database can't be reached just now.", headers={"Retry-After": "2"})
    if type(error).__module__.startswith("obstore"):
        log.warning("request %s: %s", request_id, error)
        return Problem("maintenance", "The blob storage can't be reached just now.", headers={"Retry-After": "2"})
    log.error("request %s failed", request_id, exc_info=error)
    return Problem("internal", "Something went wrong here; the log has it under this request id.")


def _page(problem: Problem, request: Request, page: Mapping[str, Any]) -> Response:
    render = page["render"]
    return HTMLResponse(render(request, problem), problem.status, headers=dict(page.get("headers", {})))
