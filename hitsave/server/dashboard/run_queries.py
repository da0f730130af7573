"""The runs of one function: filtered, sorted, a page at a time, with the columns worth showing.

Paging is by key (where the last page ended), never by offset, so page 1000 costs what page 1 does.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hitsave.server.dashboard.view import Column, Filter, RunsView, decode_cursor, encode_cursor
from hitsave.server.database.tables import cells, columns, entries, functions, versions

# Which columns differ among filtered runs is told from this many of them.
SAMPLE = 2000
COUNT_MAX = 10_000
FIXED_SORTS = {"started": entries.c.started, "elapsed": entries.c.elapsed_s, "size": entries.c.size_bytes}


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """One finished run in a table."""

    id: int
    title: str
    preview: str
    started: float
    elapsed_s: float
    size_bytes: int
    who: str
    version: str
    pinned: bool
    hits: int
    cells: dict[str, tuple[str, float | None]]


@dataclasses.dataclass(frozen=True, slots=True)
class ShownColumn:
    """A column with what its header needs."""

    column: Column
    is_number: bool
    differs: bool


@dataclasses.dataclass(frozen=True, slots=True)
class RunsPage:
    """What the page shows. `matching` is None if the view has no filter; `more` if it counts beyond `COUNT_MAX`."""

    runs: list[Run]
    columns: list[ShownColumn]
    hidden_same: int
    total: int
    matching: int | None
    next: str


def runs_page(connection: Connection, function: Any, view: RunsView) -> RunsPage:
    """A page of the runs of `function` (a row of `functions`)."""
    filters = [_condition(f) for f in view.parsed_filters()] + _version_filter(view) + _search(view)
    base = [entries.c.function_id == function.id, *filters]
    ids, cursor = _page_ids(connection, function, view, base, bool(filters))
    runs = _load(connection, ids)
    matching = None
    if filters:
        # A page walks the runs in order and looks at each one's cell; counting goes through the index on cells.
        found = [_condition(f, function.id) for f in view.parsed_filters()] + _version_filter(view) + _search(view)
        base = [entries.c.function_id == function.id, *found]
        few = sa.select(sa.literal(1)).select_from(_joined()).where(*base).limit(COUNT_MAX + 1).subquery()
        matching = int(connection.execute(sa.select(sa.func.count()).select_from(few)).scalar_one())
    known = columns_of(connection, function.id)
    shown = _differing(connection, known, base) if filters else [_summary(c, function.results) for c in known]
    visible = [c for c in shown if c.column.id not in view.hidden]
    wanted = [c for c in visible if view.show_all or c.differs or view.filter_text(c.column) or c.column == view.sort]
    return RunsPage(runs, wanted, len(visible) - len(wanted), function.results, matching, cursor)


def export_rows(connection: Connection, function: Any, view: RunsView, limit: int) -> tuple[list[str], list[Run]]:
    """Up to `limit` runs of the view and the ids of all columns, for CSV and JSON."""
    filters = [_condition(f) for f in view.parsed_filters()] + _version_filter(view) + _search(view)
    base = [entries.c.function_id == function.id, *filters]
    chosen = dataclasses.replace(view, size=limit, after="")
    ids, _ = _page_ids(connection, function, chosen, base, bool(filters))
    names = [Column(c.kind, c.name).id for c in columns_of(connection, function.id)]
    return names, _load(connection, ids)


def load_runs(connection: Connection, project_id: int, ids: list[int]) -> list[Run]:
    """Some runs by id, in that order; those of other projects are left out."""
    own = sa.select(entries.c.id).where(entries.c.project_id == project_id, entries.c.id.in_(ids))
    allowed = set(connection.execute(own).scalars())
    return _load(connection, [i for i in ids if i in allowed])


def columns_of(connection: Connection, function_id: int) -> list[Any]:
    """The rows of `columns` of a function, arguments first."""
    return list(
        connection.execute(
            sa.select(columns)
            .where(columns.c.function_id == function_id)
            .order_by(columns.c.kind, columns.c.position, columns.c.name)
            .limit(200)
        ).all()
    )


def _page_ids(
    connection: Connection, function: Any, view: RunsView, base: list[Any], is_filtered: bool
) -> tuple[list[int], str]:
    """The ids of a page, and the cursor of the next one."""
    if view.sort.kind:
        if not is_filtered and _is_all_numbers(connection, function, view.sort):
            return _by_number_index(connection, function, view)
        return _by_cell(connection, view, base)
    key = FIXED_SORTS[view.sort.name]
    query = sa.select(entries.c.id, key.label("key")).select_from(_joined()).where(*base)
    if view.after:
        value, last = decode_cursor(view.after, 2)
        place = sa.tuple_(key, entries.c.id)
        query = query.where(place < (value, last) if view.descending else place > (value, last))
    order = (key.desc(), entries.c.id.desc()) if view.descending else (key.asc(), entries.c.id.asc())
    rows = connection.execute(query.order_by(*order).limit(view.size + 1)).all()
    cursor = encode_cursor([rows[view.size - 1].key, rows[view.size - 1].id]) if len(rows) > view.size else ""
    return [row.id for row in rows[: view.size]], cursor


def _is_all_numbers(connection: Connection, function: Any, column: Column) -> bool:
    row = connection.execute(
        sa.select(columns.c.numbers).where(
            columns.c.function_id == function.id, columns.c.kind == column.kind, columns.c.name == column.name
        )
    ).first()
    return row is not None and row.numbers >= function.results


def _by_number_index(connection: Connection, function: Any, view: RunsView) -> tuple[list[int], str]:
    """Straight from the index on numbers: every run has one in this column."""
    query = sa.select(cells.c.entry_id, cells.c.number).where(
        cells.c.function_id == function.id, cells.c.kind == view.sort.kind, cells.c.name == view.sort.name
    )
    place = sa.tuple_(cells.c.number, cells.c.entry_id)
    if view.after:
        value, last = decode_cursor(view.after, 2)
        query = query.where(place < (value, last) if view.descending else place > (value, last))
    order = [c.desc() if view.descending else c.asc() for c in (cells.c.number, cells.c.entry_id)]
    rows = connection.execute(query.order_by(*order).limit(view.size + 1)).all()
    cursor = ""
    if len(rows) > view.size:
        cursor = encode_cursor([rows[view.size - 1].number, rows[view.size - 1].entry_id])
    return [row.entry_id for row in rows[: view.size]], cursor


def _by_cell(connection: Connection, view: RunsView, base: list[Any]) -> tuple[list[int], str]:
    """Numbers first, then text, then runs without a value: missing ones are never at the top."""
    cell = cells.alias()
    rank = sa.case((cell.c.number.isnot(None), 0), (cell.c.text.isnot(None), 1), else_=2)
    number, text = sa.func.coalesce(cell.c.number, 0.0), sa.func.coalesce(cell.c.text, "")
    on = sa.and_(cell.c.entry_id == entries.c.id, cell.c.kind == view.sort.kind, cell.c.name == view.sort.name)
    query = (
        sa.select(entries.c.id, rank.label("rank"), number.label("number"), text.label("text"))
        .select_from(_joined().outerjoin(cell, on))
        .where(*base)
    )
    if view.after:
        last_rank, last_number, last_text, last_id = decode_cursor(view.after, 4)

        def beyond(column: Any, value: object) -> Any:
            return column < value if view.descending else column > value

        query = query.where(
            sa.or_(
                rank > last_rank,
                sa.and_(rank == last_rank, beyond(number, last_number)),
                sa.and_(rank == last_rank, number == last_number, beyond(text, last_text)),
                sa.and_(rank == last_rank, number == last_number, text == last_text, beyond(entries.c.id, last_id)),
            )
        )
    order = [c.desc() if view.descending else c.asc() for c in (number, text, entries.c.id)]
    rows = connection.execute(query.order_by(rank, *order).limit(view.size + 1)).all()
    cursor = ""
    if len(rows) > view.size:
        last = rows[view.size - 1]
        cursor = encode_cursor([last.rank, last.number, last.text, last.id])
    return [row.id for row in rows[: view.size]], cursor


def _load(connection: Connection, ids: list[int]) -> list[Run]:
    found: dict[int, Run] = {}
    for start in range(0, len(ids), 1000):
        part = ids[start : start + 1000]
        values: dict[int, dict[str, tuple[str, float | None]]] = {i: {} for i in part}
        for cell in connection.execute(
            sa.select(cells.c.entry_id, cells.c.kind, cells.c.name, cells.c.text, cells.c.number).where(
                cells.c.entry_id.in_(part)
            )
        ):
            values[cell.entry_id][f"{cell.kind}.{cell.name}"] = (cell.text, cell.number)
        for row in connection.execute(sa.select(*_RUN).select_from(_joined()).where(entries.c.id.in_(part))):
            found[row.id] = Run(**row._mapping, cells=values[row.id])
    return [found[i] for i in ids if i in found]


_RUN = (
    entries.c.id,
    entries.c.title,
    entries.c.preview,
    entries.c.started,
    entries.c.elapsed_s,
    entries.c.size_bytes,
    entries.c.created_by.label("who"),
    versions.c.fingerprint.label("version"),
    entries.c.pinned,
    entries.c.hits,
)


def _joined() -> sa.Join:
    return entries.join(versions, versions.c.id == entries.c.version_id)


def _condition(chosen: Filter, by_index_of: int = 0) -> Any:
    """The condition in SQL: a look at each run's cell, or, with the id of the function, through the index on cells."""
    if not chosen.column.kind:
        return _compare(chosen, FIXED_SORTS[chosen.column.name], None)
    cell = cells.alias()
    here = sa.select(cell.c.entry_id).where(
        cell.c.entry_id == entries.c.id, cell.c.kind == chosen.column.kind, cell.c.name == chosen.column.name
    )
    if chosen.op == "missing":
        return sa.or_(~here.exists(), here.where(cell.c.text == "None").exists())
    if chosen.op == "present":
        return here.where(cell.c.text != "None").exists()
    compared = _compare(chosen, cell.c.number, cell.c.text)
    if by_index_of:
        place = (
            cell.c.function_id == by_index_of,
            cell.c.kind == chosen.column.kind,
            cell.c.name == chosen.column.name,
        )
        return entries.c.id.in_(sa.select(cell.c.entry_id).where(*place, compared))
    return here.where(compared).exists()


def _compare(chosen: Filter, number: Any, text: Any) -> Any:
    op, value = chosen.op, chosen.number
    if op == "between":
        return number.between(chosen.number, chosen.upper)
    if value is not None and op != "contains":
        compared = {"=": number == value, "!=": number != value, "<": number < value, "<=": number <= value}
        return {**compared, ">": number > value, ">=": number >= value}[op]
    if text is None:
        return sa.false()
    if op == "contains":
        return sa.func.lower(text).contains(chosen.text.lower(), autoescape=True)
    return {"=": text == chosen.text, "!=": text != chosen.text, "<": text < chosen.text, "<=": text <= chosen.text,
            ">": text > chosen.text, ">=": text >= chosen.text}[op]  # fmt: skip


def _version_filter(view: RunsView) -> list[Any]:
    if not view.versions:
        return []
    return [sa.or_(*(versions.c.fingerprint.startswith(v, autoescape=True) for v in view.versions))]


def _search(view: RunsView) -> list[Any]:
    if not view.search:
        return []
    return [sa.func.lower(entries.c.title).contains(view.search.lower(), autoescape=True)]


def _summary(row: Any, results: int) -> ShownColumn:
    differs = row.low != row.high or row.seen < results
    return ShownColumn(Column(row.kind, row.name), row.numbers == row.seen, differs or results < 2)


def _differing(connection: Connection, known: list[Any], base: list[Any]) -> list[ShownColumn]:
    chosen = sa.select(entries.c.id).select_from(_joined()).where(*base).limit(SAMPLE).subquery()
    total = int(connection.execute(sa.select(sa.func.count()).select_from(chosen)).scalar_one())
    text = cells.c.text
    rows = connection.execute(
        sa.select(
            cells.c.kind,
            cells.c.name,
            sa.func.min(text).label("low"),
            sa.func.max(text).label("high"),
            sa.func.count().label("seen"),
        )  # fmt: skip
        .where(cells.c.entry_id.in_(sa.select(chosen.c.id)))
        .group_by(cells.c.kind, cells.c.name)
    )
    found = {(row.kind, row.name): row for row in rows}
    shown = []
    for row in known:
        seen = found.get((row.kind, row.name))
        if seen is not None:
            differs = seen.low != seen.high or seen.seen < total or total < 2
            shown.append(ShownColumn(Column(row.kind, row.name), row.numbers == row.seen, differs))
    return shown


def find_function(connection: Connection, project_id: int, symbol: str) -> Any | None:
    """The row of a function."""
    return connection.execute(
        sa.select(functions).where(functions.c.project_id == project_id, functions.c.symbol == symbol)
    ).first()
