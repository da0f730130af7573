"""`Page`: what every dashboard handler gets, and how a handler becomes a route."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote, urlencode

from sqlalchemy.engine import Connection
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from hitsave.server.dashboard import queries
from hitsave.server.dashboard.rendering import render
from hitsave.server.dashboard.sessions import Visitor, check_csrf, check_origin, find_visitor, read_form
from hitsave.server.problems import Problem
from hitsave.server.state import State
from hitsave.server.tokens import Principal

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {"Content-Security-Policy": POLICY, "Cache-Control": "private, no-store"}


class Page:
    """One request of somebody who is logged in."""

    def __init__(self, request: Request, state: State, visitor: Visitor, form: dict[str, str]) -> None:
        self.request = request
        self.state = state
        self.visitor = visitor
        self.form = form
        self.project = ""
        self.project_id = 0
        self.projects: list[str] = []

    @property
    def principal(self) -> Principal:
        """Behind which key the visitor came."""
        return self.visitor.principal

    @property
    def address(self) -> str:
        """From where."""
        return self.visitor.address

    async def choose_project(self) -> None:
        """The project in the URL, else "default", else the first that the key reaches."""
        reach = self.principal.project_id
        self.projects = await self.state.database.report(lambda c: queries.list_projects(c, reach))
        wanted = self.request.query_params.get("project") or self.form.get("project") or ""
        if not self.projects or (wanted and wanted not in self.projects):
            raise Problem("not-found", "There is no such project, or your key doesn't reach it.")
        self.project = wanted or ("default" if "default" in self.projects else self.projects[0])
        self.project_id = await self.state.project_id(self.project) or 0

    async def read(self, work: Callable[[Connection], Any]) -> Any:
        """The result of a query, off the event loop."""
        return await self.state.database.report(work)

    async def write(self, work: Callable[[Connection], Any]) -> Any:
        """The result of a change."""
        return await self.state.database.maintain(work)

    def need(self, scope: str) -> None:
        """Raise `Problem` unless the visitor's key allows `scope`."""
        if not self.principal.may(scope):
            raise Problem("forbidden-scope", f"Your key allows to {self.principal.scope}; this needs {scope}.")

    def link(self, *path: object, query: str = "", **pairs: object) -> str:
        """The URL of a page below /dashboard, in this project."""
        text = "/dashboard/" + "/".join(quote(str(part), safe="") for part in path)
        parts = [query] if query else []
        if self.project != ("default" if "default" in self.projects else self.projects[0]):
            pairs = {**pairs, "project": self.project}
        if pairs:
            parts.append(urlencode(pairs))
        return f"{text}?{'&'.join(parts)}" if parts else text

    def back(self, fallback: str) -> Response:
        """After a form: to the page it was on."""
        wanted = self.form.get("back", "")
        ours = wanted.startswith("/dashboard/") and "\\" not in wanted and "\n" not in wanted and "\r" not in wanted
        return RedirectResponse(wanted if ours else fallback, 303)

    def show(
        self, template: str, *, status: int = 200, headers: dict[str, str] | None = None, **values: Any
    ) -> Response:
        """The page."""
        return HTMLResponse(render(template, **self.common(), **values), status, headers={**HEADERS, **(headers or {})})

    def common(self) -> dict[str, Any]:
        """What every template may use."""
        return {
            "page": self,
            "visitor": self.visitor,
            "link": self.link,
            "here": self.request.url.path + (f"?{self.request.url.query}" if self.request.url.query else ""),
            "is_partial": self.request.headers.get("hx-request") == "true",
        }


Handler = Callable[[Page], Awaitable[Response]]


def page_route(path: str, handler: Handler, *, method: str = "GET", scope: str = "read") -> Route:
    """A route for logged-in visitors; others are sent to the log-in page, forms are checked."""

    async def endpoint(request: Request) -> Response:
        state: State = request.scope["hitsave.state"]
        request.scope["hitsave.route"] = f"/dashboard{path}"
        request.scope["hitsave.page"] = {"render": show_problem, "headers": HEADERS}
        visitor = await find_visitor(request, state)
        if visitor is None:
            target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            where = "/login?" + urlencode({"next": target}) if method == "GET" else "/login"
            if request.headers.get("hx-request"):
                return Response(status_code=204, headers={"HX-Redirect": "/login"})
            return RedirectResponse(where, 303)
        form: dict[str, str] = {}
        if method == "POST":
            check_origin(request)
            form = await read_form(request)
            check_csrf(form, visitor)
        page = Page(request, state, visitor, form)
        await page.choose_project()
        page.need(scope)
        return await handler(page)

    return Route(f"/dashboard{path}", endpoint, methods=[method])


def show_problem(request: Request, problem: Problem) -> str:
    """A page that says what was wrong."""
    return render("problem.html", problem=problem, request_id=request.scope.get("hitsave.request_id", ""))
