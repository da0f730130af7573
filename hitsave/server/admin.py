"""`hitsave-server`: keys, projects, checks and backups, on the machine that holds the data."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa

from hitsave.errors import HitSaveError
from hitsave.server.app import open_state
from hitsave.server.backup import back_up, restore
from hitsave.server.database.tables import projects, tokens, users
from hitsave.server.fsck import Findings, check
from hitsave.server.main import default_data_dir, serve
from hitsave.server.maintenance import maintain
from hitsave.server.settings import Settings
from hitsave.server.state import State
from hitsave.server.tokens import SCOPES, create_token, ensure_project, revoke_token
from hitsave.wire.manifests import is_project_name


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code: 0 done, 1 something is wrong, 2 wrong use."""
    options = _parser().parse_args(arguments)
    data_dir = Path(options.data_dir) if options.data_dir else default_data_dir()
    settings = Settings(data_dir=data_dir, database_url=options.database_url, blobs_url=options.blobs_url)
    try:
        if options.command == "serve":
            hosts = tuple(options.allow_host)
            serve(
                options.host,
                options.port,
                data_dir,
                options.database_url,
                options.blobs_url,
                allowed_hosts=hosts,
                https=options.https,
                max_total_bytes=options.max_total_bytes,
                log_requests=options.log_requests,
                say=_say,
            )
            return 0
        state = open_state(settings)
        try:
            return int(options.run(state, options))
        finally:
            state.close()
    except HitSaveError as error:
        print(f"hitsave-server: {error}", file=sys.stderr)  # noqa: T201
        return 1


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


def _create_key(state: State, options: argparse.Namespace) -> int:
    with state.database.transaction() as connection:
        project_id = ensure_project(connection, options.project) if options.project else None
        ensure_project(connection, "default")
        expires = time.time() + options.days * 86_400 if options.days else None
        _, key = create_token(
            connection,
            user=options.user,
            scope=options.scope,
            label=options.label,
            project_id=project_id,
            expires=expires,
        )
    _say(key)
    return 0


def _list_keys(state: State, _options: argparse.Namespace) -> int:
    query = (
        sa.select(tokens.c.id, tokens.c.start, tokens.c.scope, users.c.name, projects.c.slug, tokens.c.label)
        .add_columns(tokens.c.expires, tokens.c.last_used, tokens.c.revoked)
        .join(users, users.c.id == tokens.c.user_id)
        .outerjoin(projects, projects.c.id == tokens.c.project_id)
        .order_by(tokens.c.id)
    )
    for row in state.database.read_now(lambda c: c.execute(query).all()):
        status = "revoked" if row.revoked else "expired" if row.expires and row.expires < time.time() else "active"
        last = time.strftime("%Y-%m-%d", time.gmtime(row.last_used)) if row.last_used else "never used"
        _say(
            f"{row.id:>4}  {row.start}…  {row.scope:5}  {row.name}  {row.slug or 'every project'}  {status}  {last}"
            f"  {row.label}"
        )
    return 0


def _revoke_key(state: State, options: argparse.Namespace) -> int:
    with state.database.transaction() as connection:
        done = revoke_token(connection, options.id)
    _say(f"key {options.id} is revoked" if done else f"there is no active key {options.id}")
    return 0 if done else 1


def _put_project(state: State, options: argparse.Namespace) -> int:
    if not is_project_name(options.name):
        _say("a project's name is lower-case letters, digits and _.-")
        return 2
    with state.database.transaction() as connection:
        project_id = ensure_project(connection, options.name)
        connection.execute(
            sa.update(projects).where(projects.c.id == project_id).values(quota_bytes=options.quota_bytes)
        )
    _say(f"project {options.name}: quota {options.quota_bytes or 'none'}")
    return 0


def _fsck(state: State, options: argparse.Namespace) -> int:
    findings = check(state, repair=options.repair)
    for kind in Findings._fields[:-1]:
        for name in getattr(findings, kind):
            _say(f"{kind}: {name}")
    end = "clean" if findings.is_clean else "repaired" if options.repair else "not clean: run again with --repair"
    _say(f"{findings.checked} blobs checked: {end}")
    return 0 if findings.is_clean or options.repair else 1


def _collect(state: State, _options: argparse.Namespace) -> int:
    asyncio.run(maintain(state))
    _say(f"{state.metrics.counts['blobs_collected']} blobs collected")
    return 0


def _back_up(state: State, options: argparse.Namespace) -> int:
    _say(f"{options.file}: every row and {back_up(state, Path(options.file))} blobs")
    return 0


def _restore(state: State, options: argparse.Namespace) -> int:
    _say(f"restored every row and {restore(state, Path(options.file))} blobs")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hitsave-server", description="Run and look after a hitsave server.")
    parser.add_argument("--data-dir", default="", help="where the server keeps its data")
    parser.add_argument("--database-url", default="", help="postgresql://… instead of SQLite")
    parser.add_argument("--blobs-url", default="", help="s3://bucket/prefix?endpoint=… instead of files")
    commands = parser.add_subparsers(dest="command", required=True)

    run = commands.add_parser("serve", help="start the server")
    run.add_argument("--host", default="127.0.0.1")
    run.add_argument("--port", type=int, default=8840)
    run.add_argument("--allow-host", action="append", default=[], help="a Host name to answer to, beside loop-back")
    run.add_argument("--https", action="store_true", help="a proxy in front speaks TLS")
    run.add_argument("--max-total-bytes", type=int, default=0, help="collect the least used memo results above this")
    run.add_argument("--log-requests", action="store_true")

    keys = commands.add_parser("keys", help="API keys").add_subparsers(dest="action", required=True)
    create = keys.add_parser("create", help="make a key; it is shown once")
    create.add_argument("--user", required=True)
    create.add_argument("--scope", choices=SCOPES, default="write")
    create.add_argument("--project", default="", help="bind the key to one project")
    create.add_argument("--days", type=float, default=0, help="let it expire")
    create.add_argument("--label", default="")
    create.set_defaults(run=_create_key)
    keys.add_parser("list", help="all keys, without the keys themselves").set_defaults(run=_list_keys)
    revoke = keys.add_parser("revoke", help="refuse a key from now on")
    revoke.add_argument("id", type=int)
    revoke.set_defaults(run=_revoke_key)

    project = commands.add_parser("project", help="make a project, or set its quota")
    project.add_argument("name")
    project.add_argument("--quota-bytes", type=int, default=0)
    project.set_defaults(run=_put_project)

    fsck = commands.add_parser("fsck", help="re-read every blob, compare with the database")
    fsck.add_argument("--repair", action="store_true")
    fsck.set_defaults(run=_fsck)
    commands.add_parser("gc", help="collect what nobody needs, now").set_defaults(run=_collect)
    for name, function, text in (
        ("backup", _back_up, "write everything to one file"),
        ("restore", _restore, "fill an empty server from a backup"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("file")
        command.set_defaults(run=function)
    return parser


if __name__ == "__main__":
    sys.exit(main())
