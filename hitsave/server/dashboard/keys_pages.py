"""API keys: see, make (shown once), revoke; and the audit log."""

from __future__ import annotations

import time

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from starlette.responses import Response

from hitsave.server.audit import record
from hitsave.server.dashboard import queries
from hitsave.server.dashboard.page import Page
from hitsave.server.database.tables import audit, tokens
from hitsave.server.problems import Problem
from hitsave.server.tokens import SCOPES, create_token, revoke_token

EXPIRES_DAYS = (0, 7, 30, 90, 365)


async def keys(page: Page) -> Response:
    """The list."""
    return await _show(page)


async def create(page: Page) -> Response:
    """Make a key and show it, this once."""
    scope, user = page.form.get("scope", ""), page.form.get("user", "").strip()[:100]
    days = page.form.get("days", "0")
    if scope not in SCOPES or not user.isprintable() or not user or days not in map(str, EXPIRES_DAYS):
        raise Problem("bad-request", "A key needs a name, a scope and a time.")
    label = page.form.get("label", "").strip()[:100].replace("\x00", "")
    bound = page.principal.project_id is not None or page.form.get("only") == "1"
    expires = time.time() + int(days) * 86_400 if int(days) else None

    def work(connection: Connection) -> str:
        project_id = page.project_id if bound else None
        token_id, key = create_token(
            connection, user=user, scope=scope, label=label, project_id=project_id, expires=expires
        )
        record(connection, page, "create-key", f"#{token_id} {scope} for {user} {label}".strip())
        return key

    return await _show(page, new_key=await page.write(work), new_user=user)


async def revoke(page: Page) -> Response:
    """Revoke a key."""
    text = page.form.get("id", "")
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise Problem("not-found", "There is no such key.")

    def work(connection: Connection) -> bool:
        found = connection.execute(sa.select(tokens.c.project_id).where(tokens.c.id == int(text))).first()
        mine = page.principal.project_id
        if found is None or (mine is not None and found.project_id != mine):
            return False
        done = revoke_token(connection, int(text))
        if done:
            record(connection, page, "revoke-key", f"#{text}")
        return done

    if not await page.write(work):
        raise Problem("not-found", "There is no such active key.")
    page.state.forget_principals()
    return page.back(page.link("keys"))


async def _show(page: Page, new_key: str = "", new_user: str = "") -> Response:
    def work(connection: Connection) -> dict[str, object]:
        found: dict[str, object] = {"keys": queries.list_keys(connection, page.principal.project_id), "log": []}
        if page.principal.project_id is None:
            found["log"] = connection.execute(sa.select(audit).order_by(audit.c.id.desc()).limit(30)).all()
        return found

    found = await page.read(work)
    return page.show(
        "keys.html", new_key=new_key, new_user=new_user, now=time.time(), expires_days=EXPIRES_DAYS, **found
    )
