"""Keys, projects, members and the audit log: what an administrator does, and what anyone may ask about themselves."""

from __future__ import annotations

import time

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from starlette.responses import Response

from hitsave.server.api.call import Call, Problem, answer, nothing
from hitsave.server.audit import record
from hitsave.server.database.tables import audit, projects, tokens, users
from hitsave.server.quota import used_bytes
from hitsave.server.tokens import SCOPES, create_token, revoke_token
from hitsave.wire.manifests import is_project_name


async def me(call: Call) -> Response:
    """Whose key this is, and what it may do."""
    who = call.principal

    def work(connection: Connection) -> list[str]:
        chosen = sa.select(projects.c.slug).order_by(projects.c.slug)
        if who.project_id is not None:
            chosen = chosen.where(projects.c.id == who.project_id)
        return list(connection.execute(chosen).scalars())

    found = await call.state.database.report(work)
    return answer({"user": who.user, "scope": who.scope, "projects": found, "expires": who.expires})


async def list_tokens(call: Call) -> Response:
    """Every key that an administrator of this reach may see; never the keys themselves."""

    def work(connection: Connection) -> list[dict[str, object]]:
        chosen = [c for c in tokens.c if c.name not in ("sha256", "user_id", "project_id")]
        wanted = (
            sa.select(*chosen, users.c.name.label("user"), projects.c.slug.label("project"))
            .join(users, users.c.id == tokens.c.user_id)
            .outerjoin(projects, projects.c.id == tokens.c.project_id)
            .order_by(tokens.c.id.desc())
            .limit(1000)
        )
        if call.principal.project_id is not None:
            wanted = wanted.where(tokens.c.project_id == call.principal.project_id)
        return [dict(row._mapping) for row in connection.execute(wanted)]

    return answer({"tokens": await call.state.database.report(work)})


async def post_token(call: Call) -> Response:
    """Make a key. The answer is the only time it is shown."""
    read = await call.reader()
    scope = read.text("scope", limit=10)
    if scope not in SCOPES:
        raise Problem("bad-request", f"scope is one of {', '.join(SCOPES)}.")
    user = read.text("user", call.principal.user, limit=100).strip()
    if not user or not user.isprintable():
        raise Problem("bad-request", "user is a printable name.")
    label = read.text("label", "", limit=100)
    days = read.number("expires_days", 0, high=36_500)
    slug = read.text("project", "", limit=63)
    project_id = await call.state.project_id(slug) if slug else call.principal.project_id
    if slug and (project_id is None or not call.principal.reaches(project_id)):
        raise Problem("not-found", "There is no such project.")

    def work(connection: Connection) -> tuple[int, str]:
        expires = time.time() + days * 86_400 if days else None
        made = create_token(connection, user=user, scope=scope, label=label, project_id=project_id, expires=expires)
        record(connection, call, "create-key", f"#{made[0]} {scope} for {user} {label}".strip())
        return made

    token_id, key = await call.state.database.write(work)
    return answer({"id": token_id, "key": key, "scope": scope, "user": user, "label": label}, 201)


async def delete_token(call: Call) -> Response:
    """Revoke a key: refused from now on here, within seconds on other servers of the team."""
    text = call.path["token"]
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise Problem("not-found", "There is no such key.")

    def work(connection: Connection) -> bool:
        return revoke_for(connection, call, int(text))

    if not await call.state.database.write(work):
        raise Problem("not-found", "There is no such active key.")
    call.state.forget_principals()
    return nothing()


def revoke_for(connection: Connection, call: Call, token_id: int) -> bool:
    """Revoke a key that the caller's own key reaches."""
    row = connection.execute(sa.select(tokens.c.project_id).where(tokens.c.id == token_id)).first()
    mine = call.principal.project_id
    if row is None or (mine is not None and row.project_id != mine):
        return False
    done = revoke_token(connection, token_id)
    if done:
        record(connection, call, "revoke-key", f"#{token_id}")
    return done


async def list_projects(call: Call) -> Response:
    """Projects that the key reaches, with what they use."""

    def work(connection: Connection) -> list[dict[str, object]]:
        wanted = sa.select(projects).order_by(projects.c.slug)
        if call.principal.project_id is not None:
            wanted = wanted.where(projects.c.id == call.principal.project_id)
        rows = connection.execute(wanted).all()
        return [
            {"project": r.slug, "quota_bytes": r.quota_bytes, "used_bytes": used_bytes(connection, r.id)} for r in rows
        ]

    return answer({"projects": await call.state.database.report(work)})


async def put_project(call: Call) -> Response:
    """Make a project, or change its quota. Needs an admin key that is not bound to one project."""
    slug = call.path["name"]
    if not is_project_name(slug):
        raise Problem("bad-request", "A project's name is lower-case letters, digits and _.-, at most 63.")
    if call.principal.project_id is not None:
        raise Problem("forbidden", "This key is bound to one project.")
    read = await call.reader()
    quota = read.integer("quota_bytes", 0)

    def work(connection: Connection) -> bool:
        changed = connection.execute(
            sa.update(projects).where(projects.c.slug == slug).values(quota_bytes=quota)
        ).rowcount
        if not changed:
            connection.execute(sa.insert(projects).values(slug=slug, quota_bytes=quota, created=time.time()))
        record(connection, call, "put-project", f"{slug} quota {quota}")
        return not changed

    new = await call.state.database.write(work)
    return answer({"project": slug, "quota_bytes": quota}, 201 if new else 200)


async def list_audit(call: Call) -> Response:
    """The last actions of administrators and writers."""
    if call.principal.project_id is not None:
        raise Problem("forbidden", "This key is bound to one project.")
    limit = call.query_integer("limit", 100, low=1, high=1000)

    def work(connection: Connection) -> list[dict[str, object]]:
        rows = connection.execute(sa.select(audit).order_by(audit.c.id.desc()).limit(limit))
        return [dict(row._mapping) for row in rows]

    return answer({"audit": await call.state.database.report(work)})
