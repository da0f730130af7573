"""Every page's route."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from hitsave.server.dashboard import keys_pages, login_pages, run_pages, runs_pages, team_pages
from hitsave.server.dashboard.assets import static_file
from hitsave.server.dashboard.page import page_route

ROUTES = (
    page_route("/experiments", team_pages.experiments),
    page_route("/functions", team_pages.functions),
    page_route("/functions/{symbol:path}/plot", runs_pages.plot),
    page_route("/functions/{symbol:path}/export", runs_pages.export),
    page_route("/functions/{symbol:path}/code", runs_pages.code),
    page_route("/functions/{symbol:path}", runs_pages.runs),
    page_route("/runs/{run}", run_pages.run),
    page_route("/runs/{run}/preview/{index}", run_pages.preview),
    page_route("/runs/{run}/change", run_pages.change, method="POST", scope="write"),
    page_route("/compare", run_pages.compare),
    page_route("/live", team_pages.live),
    page_route("/live/{run}", team_pages.live_run),
    page_route("/usage", team_pages.usage),
    page_route("/usage/delete", team_pages.delete_results, method="POST", scope="write"),
    page_route("/conflicts", team_pages.conflicts),
    page_route("/snapshots", team_pages.snapshots),
    page_route("/snapshots/{digest}", team_pages.snapshot),
    page_route("/keys", keys_pages.keys, scope="admin"),
    page_route("/keys/create", keys_pages.create, method="POST", scope="admin"),
    page_route("/keys/revoke", keys_pages.revoke, method="POST", scope="admin"),
)


def dashboard_routes() -> list[Route]:
    """The dashboard, log-in and static files."""
    return [
        Route("/", _home),
        Route("/dashboard", _home),
        Route("/dashboard/", _home),
        *ROUTES,
        Route("/login", login_pages.login, methods=["GET", "POST"]),
        Route("/logout", login_pages.logout, methods=["POST"]),
        Route("/static/{name}", static_file),
    ]


async def _home(_request: Request) -> Response:
    return RedirectResponse("/dashboard/experiments", 303)
