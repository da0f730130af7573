"""The table of API routes, and how a request becomes a `Call`: key, project, scope, rate, then the handler."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hitsave.server.api import account, blobs, entries, leases, records, runs, service, snapshots, uploads
from hitsave.server.api.call import Call
from hitsave.server.problems import Problem
from hitsave.server.state import State

BASE = "/api/v1"
P = "/projects/{project}"
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
    found = [Route(BASE + path, _endpoint(path, methods), methods=list(methods)) for path, methods in by_path.items()]
    return [*found, *(Route(prefix + path, view) for prefix in ("", BASE) for path, view in _open_routes().items())]


def _open_routes() -> dict[str, Callable[[Request], Awaitable[Response]]]:
    from hitsave.server.api.openapi import openapi

    return {
        "/healthz": service.healthz,
        "/readyz": service.readyz,
        "/version": service.version,
        "/openapi.json": openapi,
    }


def _endpoint(path: str, methods: dict[str, ApiRoute]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        route = methods[request.method]
        request.scope["hitsave.route"] = path
        return await route.handler(await authorise(request, route.scope))

    return endpoint


async def authorise(request: Request, scope: str) -> Call:
    """The call behind a request. Raises `Problem` unless its key is good for `scope` and the project in the path."""
    state: State = request.scope["hitsave.state"]
    address = request.client.host if request.client else ""
    kind, _, key = request.headers.get("authorization", "").partition(" ")
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
    slug = request.path_params.get("project")
    project_id = 0
    if slug is not None:
        found = await state.project_id(slug)
        # A project that the key doesn't reach looks the same as one that doesn't exist.
        if found is None or not principal.reaches(found):
            raise Problem("not-found", "There is no such project.")
        project_id = found
    if not principal.may(scope):
        raise Problem("forbidden-scope", f"This needs a key with scope {scope}; yours has {principal.scope}.")
    return Call(request, state, principal, slug or "", project_id)
