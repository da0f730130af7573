"""One run: arguments, result, where it came from; and several runs side by side."""

from __future__ import annotations

import json
import re
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from starlette.responses import Response

from hitsave.server import entries
from hitsave.server.audit import record
from hitsave.server.cells import read_cells, read_details
from hitsave.server.dashboard import queries
from hitsave.server.dashboard.code import changes_between, definition
from hitsave.server.dashboard.page import Page
from hitsave.server.dashboard.run_queries import columns_of, find_function, load_runs
from hitsave.server.dashboard.runs_pages import load_code
from hitsave.server.database.tables import entries as entries_table
from hitsave.server.database.tables import tags
from hitsave.server.problems import Problem
from hitsave.wire import parse_manifest

COMPARE_MAX = 10
SHOWN_KINDS = ("text", "table", "image/png", "image/svg+xml", "text/html", "plotly")
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}\Z")
SANDBOX = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; sandbox; frame-ancestors 'self'"
)


async def run(page: Page) -> Response:
    """Everything about one run."""
    found = await _load(page)
    evaluation = parse_manifest(found.manifest).evaluation
    details = read_details(evaluation)

    def work(connection: Connection) -> dict[str, Any]:
        before = queries.previous_version(connection, found.function_id, found.version_id)
        new = load_code(connection, page.project_id, found.fingerprint)
        old = load_code(connection, page.project_id, before.fingerprint) if before is not None else None
        return {
            "tags": queries.list_tags(connection, found.id),
            "conflicts": queries.list_conflicts(connection, page.project_id, found.id),
            "before": before,
            "text": definition(new, found.symbol) if new is not None else "",
            "changes": changes_between(old, new) if old is not None and new is not None else None,
        }

    cells = read_cells(evaluation)
    return page.show(
        "run.html",
        run=found,
        evaluation=evaluation,
        observed=evaluation.observed,
        arguments=[c for c in cells if c.kind == "arg"],
        results=[c for c in cells if c.kind == "res"],
        previews=_previews(details),
        about={
            name: str(details[name])[:500] for name in ("user", "host", "python", "git", "command") if details.get(name)
        },
        line=_python_line(found.symbol, evaluation.title),
        **await page.read(work),
    )


async def preview(page: Page) -> Response:
    """An HTML preview, for a frame that can run no script and reach nothing."""
    found = await _load(page)
    previews = _previews(read_details(parse_manifest(found.manifest).evaluation))
    index = page.request.path_params["index"]
    chosen = previews[int(index)] if index.isascii() and index.isdigit() and int(index) < len(previews) else None
    if chosen is None or chosen["kind"] != "text/html":
        raise Problem("not-found", "There is no such preview.")
    headers = {
        "Content-Security-Policy": SANDBOX,
        "X-Frame-Options": "SAMEORIGIN",
        "Cache-Control": "private, no-store",
    }
    return Response(chosen["data"], headers=headers, media_type="text/html; charset=utf-8")


async def change(page: Page) -> Response:
    """Pin, note, tag or delete a run."""
    found = await _load(page)
    action = page.form.get("action", "")

    def work(connection: Connection) -> None:
        here = sa.update(entries_table).where(entries_table.c.id == found.id)
        if action == "pin":
            connection.execute(here.values(pinned=page.form.get("pinned") == "1"))
        elif action == "note":
            connection.execute(here.values(note=page.form.get("note", "")[:4000].replace("\x00", "")))
            connection.execute(sa.delete(tags).where(tags.c.entry_id == found.id))
            words = dict.fromkeys(
                t.strip()[:60] for t in page.form.get("tags", "").replace("\x00", "").split(",") if t.strip()
            )
            for word in list(words)[:20]:
                connection.execute(sa.insert(tags).values(entry_id=found.id, tag=word))
        elif action == "delete":
            if not page.principal.may("admin") and found.created_by != page.principal.user:
                raise Problem("forbidden", "Somebody else stored this result; ask them, or an admin.")
            entries.remove(connection, [found.id])
            record(connection, page, "delete-entry", f"{page.project}/{found.symbol} run {found.id}")
        else:
            raise Problem("bad-request", "A run can be pinned, noted or deleted.")

    await page.write(work)
    fallback = page.link("functions", found.symbol) if action == "delete" else page.link("runs", found.id)
    return page.back(fallback)


async def compare(page: Page) -> Response:
    """Two to ten runs side by side: arguments, results, and what differs in their code."""
    texts = [t for value in page.request.query_params.getlist("ids") for t in value.split(",")]
    ids = list(dict.fromkeys(int(t) for t in texts if t.isascii() and t.isdigit() and len(t) < 18))[:COMPARE_MAX]

    def work(connection: Connection) -> dict[str, Any]:
        found = load_runs(connection, page.project_id, ids)
        symbols = [queries.symbol_of(connection, one.id) for one in found]
        order: dict[str, int] = {}
        for symbol in dict.fromkeys(symbols):
            function = find_function(connection, page.project_id, symbol)
            for known in columns_of(connection, function.id) if function is not None else ():
                order.setdefault(f"{known.kind}.{known.name}", len(order))
        codes = {one.version: load_code(connection, page.project_id, one.version) for one in found}
        diffs = []
        first = found[0] if found else None
        for one in found[1:]:
            old, new = codes[first.version] if first else None, codes[one.version]
            if first is not None and one.version != first.version:
                known = old is not None and new is not None
                diffs.append((one, changes_between(old, new) if known else None))  # type: ignore[arg-type]
        return {"runs": found, "symbols": symbols, "diffs": diffs, "order": order}

    found = await page.read(work)
    runs = found["runs"]
    if len(runs) < 2:
        raise Problem("bad-request", "Choose two to ten runs to compare: tick them in the table of a function.")
    names = list(dict.fromkeys(name for one in runs for name in one.cells))
    order = found.pop("order")
    names.sort(key=lambda name: order.get(name, 0))
    rows = [(name, [one.cells.get(name) for one in runs]) for name in names]
    rows = [(name, values, len({v[0] if v else None for v in values}) > 1) for name, values in rows]  # type: ignore[misc]
    show_all = page.request.query_params.get("all") == "1"
    return page.show("compare.html", rows=rows, show_all=show_all, ids=ids, **found)


async def _load(page: Page) -> Any:
    text = page.request.path_params["run"]
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 18 else 0
    found = await page.read(lambda c: queries.find_run(c, page.project_id, number))
    if found is None:
        raise Problem("not-found", "There is no such run in this project.")
    return found


def _previews(details: dict[str, Any]) -> list[dict[str, Any]]:
    """The previews of known kinds and right shape; the client's word is not taken for it."""
    given = details.get("previews")
    found = []
    for one in given[:20] if isinstance(given, list) else []:
        if not isinstance(one, dict) or one.get("kind") not in SHOWN_KINDS:
            continue
        kind, data, title = one["kind"], one.get("data"), str(one.get("title", ""))[:100]
        if kind.startswith("image/"):
            ok = isinstance(data, str) and _BASE64.match(data) is not None
        elif kind == "table":
            ok = isinstance(data, dict) and _is_table(data)
        elif kind == "plotly":
            ok = isinstance(data, dict)
            data = json.dumps(data) if ok else data
        else:
            ok = isinstance(data, str)
        if ok:
            found.append({"kind": kind, "title": title, "data": data})
    return found


def _is_table(data: dict[str, Any]) -> bool:
    columns, rows = data.get("columns"), data.get("rows")
    if not isinstance(columns, list) or not isinstance(rows, list) or len(columns) > 50 or len(rows) > 100:
        return False
    data.setdefault("note", "")
    return all(isinstance(row, list) and len(row) <= 50 for row in rows)


def _python_line(symbol: str, title: str) -> str:
    """Python that fetches this very result: the same call again, which hits."""
    module, _, qualname = symbol.partition(":")
    head = qualname.partition(".")[0]
    call = title if title.partition("(")[0] in (qualname, head, qualname.rpartition(".")[2]) else f"{qualname}(…)"
    if call.partition("(")[0] == qualname.rpartition(".")[2] and "." in qualname:
        call = qualname.rpartition(".")[0] + "." + call
    return f"from {module} import {head}\n{call}"
