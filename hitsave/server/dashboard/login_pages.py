"""Log-in with an API key or a one-time link, and log-out."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from hitsave.server.dashboard.page import HEADERS, show_problem
from hitsave.server.dashboard.rendering import render
from hitsave.server.dashboard.sessions import (
    check_csrf,
    check_origin,
    find_visitor,
    log_in_with_code,
    log_in_with_key,
    log_out,
    read_form,
    set_cookie,
)
from hitsave.server.state import State


async def login(request: Request) -> Response:
    """The form; a good key or a fresh `code` leads on to `next`."""
    state: State = request.scope["hitsave.state"]
    request.scope["hitsave.route"] = "/login"
    request.scope["hitsave.page"] = {"render": show_problem, "headers": HEADERS}
    target = _safe(request.query_params.get("next", ""))
    message = ""
    if request.method == "POST":
        check_origin(request)
        form = await read_form(request)
        target = _safe(form.get("next", ""))
        cookie = await log_in_with_key(request, state, form.get("key", ""))
        if cookie:
            return _welcome(state, cookie, target)
        message = "That key isn't known here. It may be mistyped, expired or revoked."
    elif code := request.query_params.get("code", ""):
        cookie = await log_in_with_code(state, code[:200])
        if cookie:
            return _welcome(state, cookie, target)
        message = "That link has been used already, or is too old. Log in with your API key instead."
    elif await find_visitor(request, state) is not None:
        return RedirectResponse(target, 303)
    html = render("login.html", message=message, next=target)
    return HTMLResponse(html, 403 if message else 200, headers=HEADERS)


async def logout(request: Request) -> Response:
    """End the session."""
    state: State = request.scope["hitsave.state"]
    request.scope["hitsave.route"] = "/logout"
    request.scope["hitsave.page"] = {"render": show_problem, "headers": HEADERS}
    visitor = await find_visitor(request, state)
    if visitor is not None:
        check_origin(request)
        check_csrf(await read_form(request), visitor)
        await log_out(request, state)
    return RedirectResponse("/login", 303)


def _welcome(state: State, cookie: str, target: str) -> Response:
    response = RedirectResponse(target, 303)
    set_cookie(response, state, cookie)
    return response


def _safe(target: str) -> str:
    """`target` if it is a page of ours; anything else could lead the visitor away."""
    ours = target.startswith("/dashboard/") and not any(c in target for c in "\\\r\n") and "//" not in target[:12]
    return target if ours else "/dashboard/experiments"
