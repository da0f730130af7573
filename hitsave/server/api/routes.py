"""The table of API routes, and how a request becomes a `Call`: key, project, scope, rate, then the handler."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from hitsave.server.api import account, blobs, entries, leases, records, runs, service, snapshots, uploads
from hitsave.server.api.call import Call
from hitsave.server.problems import Problem
from hitsave.wire.manifests import is_blob_name

BASE = "/api/v1"
P = "/projects/{project}"
PROJECTS = f"{BASE}/projects/"
Handler = Callable[[Call], Awaitable[Response]]


@dataclasses.dataclass(frozen=True, slots=True)
class ApiRoute:
    """One operation: `scope` is the least that a key must have."""

    method: str
    path: str
    handler: Handler
    scope: str
    body: str = ""  # name of the schema in openapi.py, or "bytes"
    answers: tuple[int, ...] = (200,)


ROUTES = (
    ApiRoute("POST", f"{P}/entries:lookup", entries.lookup, "read", "Lookup"),
    ApiRoute("GET", f"{P}/blobs/{{blob}}", blobs.get_blob, "read", answers=(200, 206, 304)),
    ApiRoute("PUT", f"{P}/blobs/{{blob}}", blobs.put_blob, "write", "bytes", (200, 201)),
    ApiRoute("POST", f"{P}/blobs:missing", blobs.missing, "read", "Missing"),
    ApiRoute("POST", f"{P}/blobs/{{blob}}:presign", blobs.presign, "read"),
    ApiRoute(
        "GET",
        f"{P}/entries/{{symbol:path}}/{{fingerprint}}/{{arguments}}",
        entries.get_entries,
        "read",
        answers=(200, 304),
    ),
    ApiRoute(
        "PUT",
        f"{P}/entries/{{symbol:path}}/{{fingerprint}}/{{arguments}}",
        entries.put_entry,
        "write",
        "PutEntry",
        (200, 201),
    ),
    ApiRoute(
        "DELETE",
        f"{P}/entries/{{symbol:path}}/{{fingerprint}}/{{arguments}}",
        entries.delete_entry,
        "write",
        answers=(204,),
    ),
    ApiRoute("GET", f"{P}/entries", entries.list_entries, "read"),
    ApiRoute("GET", f"{P}/leases/{{lease}}", leases.wait, "read"),
    ApiRoute("POST", f"{P}/leases/{{lease}}", leases.acquire, "write", "AcquireLease", (201,)),
    ApiRoute("PUT", f"{P}/leases/{{lease}}", leases.renew, "write", "RenewLease"),
    ApiRoute("DELETE", f"{P}/leases/{{lease}}", leases.release, "write", answers=(204,)),
    ApiRoute("GET", f"{P}/records/{{kind}}/{{name}}", records.get_record, "read"),
    ApiRoute("PUT", f"{P}/records/{{kind}}/{{name}}", records.put_record, "write", "bytes", (200, 201)),
    ApiRoute("POST", f"{P}/uploads", uploads.begin, "write", "BeginUpload", (200, 201)),
    ApiRoute("HEAD", f"{P}/uploads/{{upload}}", uploads.offset, "write", answers=(204,)),
    ApiRoute("PATCH", f"{P}/uploads/{{upload}}", uploads.append, "write", "bytes", (204,)),
    ApiRoute("PUT", f"{P}/uploads/{{upload}}/complete", uploads.complete, "write", answers=(201,)),
    ApiRoute("DELETE", f"{P}/uploads/{{upload}}", uploads.abandon, "write", answers=(204,)),
    ApiRoute("GET", f"{P}/runs", runs.list_runs, "read"),
    ApiRoute("POST", f"{P}/runs", runs.start, "write", "StartRun", (201,)),
    ApiRoute("PATCH", f"{P}/runs/{{run}}", runs.change, "write", "ChangeRun", (204,)),
    ApiRoute("GET", f"{P}/snapshots", snapshots.list_snapshots, "read"),
    ApiRoute("GET", f"{P}/snapshots/{{digest}}", snapshots.get_snapshot, "read"),
    ApiRoute("PUT", f"{P}/snapshots/{{digest}}", snapshots.put_snapshot, "write", "bytes", (200, 201)),
    ApiRoute("DELETE", f"{P}/snapshots/{{digest}}", snapshots.delete_snapshot, "admin", answers=(204,)),
    ApiRoute("GET", f"{P}/stats", service.stats, "read"),
    ApiRoute("GET", "/projects", account.list_projects, "read"),
    ApiRoute("PUT", "/projects/{name}", account.put_project, "admin", "PutProject", (200, 201)),
    ApiRoute("GET", "/me", account.me, "read"),
    ApiRoute("GET", "/tokens", account.list_tokens, "admin"),
    ApiRoute("POST", "/tokens", account.post_token, "admin", "PostToken", (201,)),
    ApiRoute("DELETE", "/tokens/{token}", account.delete_token, "admin", answers=(204,)),
    ApiRoute("GET", "/audit", account.list_audit, "admin"),
    ApiRoute("GET", "/metrics", service.metrics, "read"),
)


def starlette_routes() -> list[Route]:
    """The routes of the API, the hottest first. One Route per path, so a wrong method is a 405."""
    by_path: dict[str, dict[str, ApiRoute]] = {}
    for route in ROUTES:
        methods = by_path.setdefault(route.path, {})
        methods[route.method] = route
        if route.method == "GET":
            methods.setdefault("HEAD", route)
    found = [Route(BASE + path, Endpoint(path, methods), methods=list(methods)) for path, methods in by_path.items()]
    return [*found, *(Route(prefix + path, view) for prefix in ("", BASE) for path, view in _open_routes().items())]


def _open_routes() -> dict[str, Callable[[Request], Awaitable[Response]]]:
    from hitsave.server.api.openapi import openapi

    return {
        "/healthz": service.healthz,
        "/readyz": service.readyz,
        "/version": service.version,
        "/openapi.json": openapi,
    }


class Shortcuts:
    """The two addresses that nearly all requests go to, without trying patterns in turn; `rest` gets the others."""

    def __init__(self, rest: ASGIApp) -> None:
        self._rest = rest
        endpoints = {route.path: route.app for route in starlette_routes()}
        self._lookup = endpoints[f"{BASE}{P}/entries:lookup"]
        self._blob = endpoints[f"{BASE}{P}/blobs/{{blob}}"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["path"].startswith(PROJECTS):
            project, _, place = scope["path"][len(PROJECTS) :].partition("/")
            if place == "entries:lookup" and project and scope["method"] == "POST":
                scope["path_params"] = {"project": project}
                await self._lookup(scope, receive, send)
                return
            if place.startswith("blobs/") and is_blob_name(place[6:]) and project and scope["method"] == "GET":
                scope["path_params"] = {"project": project, "blob": place[6:]}
                await self._blob(scope, receive, send)
                return
        await self._rest(scope, receive, send)


class Endpoint:
    """The operations of one path, as an ASGI application: around a function Starlette would wrap two more."""

    def __init__(self, path: str, methods: dict[str, ApiRoute]) -> None:
        self.path = path
        self.methods = methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        route = self.methods[scope["method"]]
        scope["hitsave.route"] = self.path
        call = Call(scope, receive)
        await authorise(call, route.scope)
        reply = await route.handler(call)
        await reply(scope, receive, send)


async def authorise(call: Call, scope: str) -> None:
    """Fill in who asks. Raises `Problem` unless the key is good for `scope` and the project in the path."""
    state, address = call.state, call.address
    kind, _, key = call.header(b"authorization").partition(" ")
    if state.failed_logins.exhausted(address):
        raise Problem("rate-limited", "Too many bad keys from this address.", headers={"Retry-After": "30"})
    principal = await state.principal(key.strip()) if kind.lower() == "bearer" else None
    if principal is None:
        if key:
            state.failed_logins.wait_s(address)
        raise Problem("unauthorized", "Send `Authorization: Bearer <key>` with a key of this server.")
    wait_s = state.rate.wait_s(str(principal.token_id))
    if wait_s:
        raise Problem("rate-limited", "Too many requests with this key.", headers={"Retry-After": str(int(wait_s) + 1)})
    slug = call.path.get("project")
    if slug is not None:
        found = await state.project_id(slug)
        # A project that the key doesn't reach looks the same as one that doesn't exist.
        if found is None or not principal.reaches(found):
            raise Problem("not-found", "There is no such project.")
        call.project, call.project_id = slug, found
    if not principal.may(scope):
        raise Problem("forbidden-scope", f"This needs a key with scope {scope}; yours has {principal.scope}.")
    call.principal = principal
