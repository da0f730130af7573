"""The runs of one function: the table, its plot, its export, its code."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from sqlalchemy.engine import Connection
from starlette.responses import Response

from hitsave.server.dashboard import queries
from hitsave.server.dashboard.code import Code, changes_between, definition, picture, read_code
from hitsave.server.dashboard.page import HEADERS, Page
from hitsave.server.dashboard.rendering import when_text
from hitsave.server.dashboard.run_queries import Run, columns_of, export_rows, find_function, runs_page
from hitsave.server.dashboard.view import Column, parse_view
from hitsave.server.problems import Problem

EXPORT_MAX = 100_000
PLOT_MAX = 5_000


async def _function(page: Page) -> Any:
    symbol = page.request.path_params["symbol"]
    row = await page.read(lambda c: find_function(c, page.project_id, symbol))
    if row is None:
        raise Problem("not-found", "No result of such a function is stored in this project.")
    return row


async def runs(page: Page) -> Response:
    """The table. htmx asks for the table alone when a filter changes."""
    function = await _function(page)
    view = parse_view(page.request.query_params.multi_items())

    def work(connection: Connection) -> dict[str, Any]:
        return {
            "table": runs_page(connection, function, view),
            "versions": queries.list_versions(connection, function.id),
            "live": queries.live_runs(connection, page.project_id, function.symbol, limit=20),
            "all_columns": columns_of(connection, function.id),
        }

    found = await page.read(work)
    template = "_runs_table.html" if page.common()["is_partial"] else "runs.html"
    return page.show(template, function=function, view=view, Column=Column, **found)


async def export(page: Page) -> Response:
    """The view's runs as CSV or JSON, all pages of it."""
    function = await _function(page)
    view = parse_view(page.request.query_params.multi_items())
    names, found = await page.read(lambda c: export_rows(c, function, view, EXPORT_MAX))
    is_json = page.request.query_params.get("format") == "json"
    text = _as_json(names, found) if is_json else _as_csv(names, found)
    name = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in function.symbol)[:100]
    ending = "json" if is_json else "csv"
    headers = {**HEADERS, "Content-Disposition": f'attachment; filename="{name}.{ending}"'}
    return Response(text, headers=headers, media_type="application/json" if is_json else "text/csv; charset=utf-8")


def _as_csv(names: list[str], found: list[Run]) -> str:
    target = io.StringIO()
    writer = csv.writer(target)
    writer.writerow(["id", "version", "started", "elapsed_s", "size_bytes", "user", "call", *names])
    for run in found:
        fixed = [run.id, run.version, when_text(run.started), run.elapsed_s, run.size_bytes, run.who, run.title]
        writer.writerow([_harmless(value) for value in [*fixed, *(run.cells.get(n, ("", None))[0] for n in names)]])
    return target.getvalue()


def _harmless(value: Any) -> Any:
    """Text that a spreadsheet would run as a formula gets a quote in front."""
    if isinstance(value, str) and value[:1] in "=+-@\t\r" and not _is_number(value):
        return "'" + value
    return value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _as_json(names: list[str], found: list[Run]) -> str:
    return json.dumps(
        [
            {
                "id": run.id,
                "version": run.version,
                "started": run.started,
                "elapsed_s": run.elapsed_s,
                "size_bytes": run.size_bytes,
                "user": run.who,
                "call": run.title,
                **{n: run.cells[n][0] if run.cells[n][1] is None else run.cells[n][1] for n in names if n in run.cells},
            }
            for run in found
        ],
        indent=1,
    )


async def plot(page: Page) -> Response:
    """Any number against any other, with a colour per value of a third column."""
    function = await _function(page)
    view = parse_view(page.request.query_params.multi_items())
    known = await page.read(lambda c: columns_of(c, function.id))
    numeric = [Column(c.kind, c.name).id for c in known if c.numbers]
    axes = ["started", *numeric, "elapsed"]
    arguments = [n for n in numeric if n.startswith("arg.")]
    results = [n for n in numeric if n.startswith("res.")]
    differing = [Column(c.kind, c.name).id for c in known if c.kind == "arg" and c.low != c.high]
    x = _choice(page, "x", axes, next((n for n in arguments if n in differing), "started"))
    y = _choice(page, "y", axes, results[0] if results else "elapsed")
    others = [Column(c.kind, c.name).id for c in known]
    colour = _choice(page, "colour", ["", *others], "")
    lines = page.request.query_params.get("lines") == "1"
    _, found = await page.read(lambda c: export_rows(c, function, view, PLOT_MAX))
    points = []
    for run in found:
        across, up = _number(run, x), _number(run, y)
        if across is not None and up is not None:
            points.append([across, up, _text(run, colour), run.id])
    label = _labels([*axes, *others])
    names = [label.get(column, "") for column in (x, y, colour)]
    data = json.dumps({"x": x, "y": y, "names": names, "colour": colour, "lines": lines, "points": points})
    return page.show(
        "plot.html", function=function, view=view, axes=axes, others=others, x=x, y=y, colour=colour, lines=lines,
        data=data, shown=len(points), total=len(found), label=label,
    )  # fmt: skip


def _labels(columns: list[str]) -> dict[str, str]:
    """`{column: how people call it}`: its bare name, with the kind where an argument and a result share it."""
    bare = {column: column.partition(".")[2] or column for column in columns}
    kinds = {"arg": "argument", "res": "result"}
    labels = {
        column: f"{name} ({kinds[column[:3]]})" if "." in column and list(bare.values()).count(name) > 1 else name
        for column, name in bare.items()
    }
    return {**labels, "elapsed": "seconds taken"}


def _choice(page: Page, name: str, allowed: list[str], default: str) -> str:
    wanted = page.request.query_params.get(name, default)
    return wanted if wanted in allowed else default


def _number(run: Run, column: str) -> float | None:
    fixed = {"started": run.started, "elapsed": run.elapsed_s}
    return fixed[column] if column in fixed else run.cells.get(column, ("", None))[1]


def _text(run: Run, column: str) -> str:
    return run.cells.get(column, ("none", None))[0] if column else ""


async def code(page: Page) -> Response:
    """The code of a version, what changed since the one before, and what it uses."""
    function = await _function(page)
    wanted = page.request.query_params.get("v", "")

    def work(connection: Connection) -> dict[str, Any]:
        versions = queries.list_versions(connection, function.id)
        chosen = next(
            (v for v in versions if wanted and v.fingerprint.startswith(wanted)), versions[0] if versions else None
        )
        before = queries.previous_version(connection, function.id, chosen.id) if chosen is not None else None
        return {
            "versions": versions,
            "chosen": chosen,
            "before": before,
            "new": load_code(connection, page.project_id, chosen.fingerprint) if chosen is not None else None,
            "old": load_code(connection, page.project_id, before.fingerprint) if before is not None else None,
        }

    found = await page.read(work)
    old, new = found.pop("old"), found.pop("new")
    changes = changes_between(old, new) if old is not None and new is not None else []
    drawn = picture(new, function.symbol, {c.name for c in changes}) if new is not None and new.pairs else None
    text = definition(new, function.symbol) if new is not None else ""
    return page.show(
        "code.html",
        function=function,
        code=new,
        changes=changes,
        drawn=drawn,
        text=text,
        known_old=old is not None,
        **found,
    )


def load_code(connection: Connection, project_id: int, fingerprint: str) -> Code | None:
    """The code of a version, as far as clients have uploaded it."""
    closure = queries.get_records(connection, project_id, "closure", [fingerprint]).get(fingerprint)
    return read_code(closure, lambda names: queries.get_records(connection, project_id, "source", names))
