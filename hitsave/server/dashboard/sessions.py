"""Log-in of a browser: with an API key, or once with the link that `hitsave serve` prints.

The cookie is random, HttpOnly, SameSite=Lax, and kept only as a digest; it ends with its key. A form that changes
something must carry the session's token and come from our own pages.
"""

from __future__ import annotations

import dataclasses
import hmac
import secrets
import time
from urllib.parse import parse_qsl, urlsplit

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from starlette.requests import Request
from starlette.responses import Response

from hitsave.server.database.tables import login_codes, sessions
from hitsave.server.problems import Problem
from hitsave.server.state import State
from hitsave.server.tokens import Principal, digest_key, find_principal_by_id

MAX_FORM = 64 << 10


@dataclasses.dataclass(frozen=True, slots=True)
class Visitor:
    """Who looks at the dashboard: `csrf` goes into forms."""

    principal: Principal
    csrf: str
    address: str


def cookie_name(state: State) -> str:
    """With TLS the name itself makes browsers refuse a cookie set by another host or without Secure."""
    return "__Host-hitsave" if state.settings.https else "hitsave"


async def find_visitor(request: Request, state: State) -> Visitor | None:
    """Who the cookie belongs to, if its key is still good."""
    cookie = request.cookies.get(cookie_name(state), "")
    if not cookie or len(cookie) > 100:
        return None
    sha256 = digest_key(cookie)

    def work(connection: Connection) -> tuple[Principal, str] | None:
        row = connection.execute(
            sa.select(sessions).where(sessions.c.sha256 == sha256, sessions.c.expires > time.time())
        ).first()
        principal = find_principal_by_id(connection, row.token_id) if row is not None else None
        return (principal, row.csrf) if row is not None and principal is not None else None

    found = await state.database.read(work)
    return Visitor(found[0], found[1], _address(request)) if found is not None else None


async def log_in_with_key(request: Request, state: State, key: str) -> str:
    """A new session's cookie, "" if the key is no good. Wrong keys are counted by address."""
    address = _address(request)
    if state.failed_logins.exhausted(address):
        raise Problem("rate-limited", "Too many wrong keys from this address; wait half a minute.")
    principal = await state.principal(key.strip().partition(" ")[0])
    if principal is None:
        state.failed_logins.wait_s(address)
        return ""
    return await _begin(state, principal.token_id)


async def log_in_with_code(state: State, code: str) -> str:
    """A new session's cookie, "" if the code was used before or is too old."""

    def work(connection: Connection) -> int | None:
        row = connection.execute(
            sa.delete(login_codes)
            .where(login_codes.c.sha256 == digest_key(code), login_codes.c.expires > time.time())
            .returning(login_codes.c.token_id)
        ).first()
        return None if row is None else int(row.token_id)

    token_id = await state.database.write(work)
    return "" if token_id is None else await _begin(state, token_id)


async def _begin(state: State, token_id: int) -> str:
    cookie = secrets.token_urlsafe(32)
    now = time.time()
    values = {"sha256": digest_key(cookie), "token_id": token_id, "csrf": secrets.token_urlsafe(24), "created": now}
    values["expires"] = now + state.settings.session_keep_s
    await state.database.write(lambda connection: connection.execute(sa.insert(sessions).values(**values)))
    return cookie


def set_cookie(response: Response, state: State, cookie: str) -> None:
    """Give the browser its cookie."""
    response.set_cookie(
        cookie_name(state),
        cookie,
        max_age=int(state.settings.session_keep_s),
        httponly=True,
        samesite="lax",
        secure=state.settings.https,
        path="/",
    )


async def log_out(request: Request, state: State) -> None:
    """End the session on the server; the cookie is worth nothing afterwards."""
    sha256 = digest_key(request.cookies.get(cookie_name(state), ""))
    await state.database.write(lambda c: c.execute(sa.delete(sessions).where(sessions.c.sha256 == sha256)))


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form, the last value of each."""
    data = b""
    async for piece in request.stream():
        data += piece
        if len(data) > MAX_FORM:
            raise Problem("payload-too-large", "That is more than a form can hold.")
    return dict(parse_qsl(data.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=100))


def check_origin(request: Request) -> None:
    """Raise `Problem` for a form that another site sent here."""
    origin = request.headers.get("origin")
    if origin is not None and origin != "null" and urlsplit(origin).netloc != request.headers.get("host"):
        raise Problem("forbidden", "This form was sent from another site.")
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Problem("forbidden", "This form was sent from another site.")


def check_csrf(form: dict[str, str], visitor: Visitor) -> None:
    """Raise `Problem` unless the form was made for this session."""
    if not hmac.compare_digest(form.get("csrf", "").encode(), visitor.csrf.encode()):
        raise Problem("forbidden", "This form is too old. Go back, reload the page, and try again.")


def _address(request: Request) -> str:
    return request.client.host if request.client else ""
