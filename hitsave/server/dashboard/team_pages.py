"""Experiments and functions, live runs, usage and storage, conflicts, snapshots."""

from __future__ import annotations

import time
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from starlette.responses import Response

from hitsave.server import entries
from hitsave.server.audit import record
from hitsave.server.dashboard import queries
from hitsave.server.dashboard.page import Page
from hitsave.server.dashboard.usage_queries import daily_usage
from hitsave.server.database.tables import entries as entries_table
from hitsave.server.problems import Problem
from hitsave.wire.trees import parse_tree

TREE_SHOWN = 500


async def experiments(page: Page) -> Response:
    """Functions decorated with @experiment."""
    return await _functions(page, experiments=True)


async def functions(page: Page) -> Response:
    """Functions decorated with @memo."""
    return await _functions(page, experiments=False)


async def _functions(page: Page, *, experiments: bool) -> Response:
    search = page.request.query_params.get("q", "")[:200].replace("\x00", "")
    sort = page.request.query_params.get("sort", "last")

    def work(connection: Connection) -> dict[str, Any]:
        return {
            "functions": queries.list_functions(
                connection, page.project_id, experiments=experiments, search=search, sort=sort
            ),
            "totals": queries.totals(connection, page.project_id),
            "live": queries.live_runs(connection, page.project_id, limit=5),
        }

    found = await page.read(work)
    return page.show("functions.html", experiments=experiments, search=search, sort=sort, **found)


async def live(page: Page) -> Response:
    """Runs under way, failed or lost; the table asks again every two seconds."""
    rows = await page.read(lambda c: queries.live_runs(c, page.project_id))
    template = "_live_table.html" if page.common()["is_partial"] else "live.html"
    return page.show(template, runs=rows, now=time.time())


async def live_run(page: Page) -> Response:
    """One announced run with its traceback."""
    run_id = page.request.path_params["run"][:32]
    row = await page.read(lambda c: queries.find_live_run(c, page.project_id, run_id))
    if row is None:
        raise Problem("not-found", "There is no such run.")
    return page.show("live_run.html", run=row, now=time.time())


async def usage(page: Page) -> Response:
    """Time saved and storage."""
    text = page.request.query_params.get("days", "30")
    days = int(text) if text in ("7", "30", "90", "365") else 30

    def work(connection: Connection) -> dict[str, Any]:
        return {
            "usage": daily_usage(connection, page.project_id, days),
            "totals": queries.totals(connection, page.project_id),
            "largest": queries.largest_results(connection, page.project_id),
            "storage": queries.storage_by_function(connection, page.project_id),
        }

    return page.show("usage.html", days=days, **await page.read(work))


async def delete_results(page: Page) -> Response:
    """Remove chosen results. A writer may remove its own, an admin any."""
    ids = [int(i) for i in page.form.get("ids", "").split(",") if i.isascii() and i.isdigit()][:1000]
    ids += [int(name[3:]) for name in page.form if name.startswith("id.") and name[3:].isdigit()]

    def work(connection: Connection) -> int:
        chosen = sa.select(entries_table.c.id).where(
            entries_table.c.project_id == page.project_id, entries_table.c.id.in_(ids)
        )
        if not page.principal.may("admin"):
            chosen = chosen.where(entries_table.c.created_by == page.principal.user)
        allowed = list(connection.execute(chosen).scalars())
        removed = entries.remove(connection, allowed)
        if removed:
            record(connection, page, "delete-entry", f"{removed} results from the dashboard")
        return removed

    if not await page.write(work):
        raise Problem("forbidden", "Nothing was removed: these results are gone, or others stored them.")
    return page.back(page.link("usage"))


async def conflicts(page: Page) -> Response:
    """Calls that gave different results."""
    return page.show("conflicts.html", conflicts=await page.read(lambda c: queries.list_conflicts(c, page.project_id)))


async def snapshots(page: Page) -> Response:
    """Shared files and directories."""
    return page.show("snapshots.html", snapshots=await page.read(lambda c: queries.list_snapshots(c, page.project_id)))


async def snapshot(page: Page) -> Response:
    """What is in a snapshot."""
    digest = page.request.path_params["digest"][:80]
    row = await page.read(lambda c: queries.find_snapshot(c, page.project_id, digest))
    if row is None:
        raise Problem("not-found", "There is no such snapshot in this project.")
    tree = parse_tree(row.tree)
    return page.show("snapshot.html", snapshot=row, files=tree.files[:TREE_SHOWN], more=len(tree.files) - TREE_SHOWN)
