"""Cells in the database, and the summary of what columns a function has, kept up to date with every experiment."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hitsave.evaluation import Evaluation
from hitsave.server.cells import read_cells
from hitsave.server.database.engine import insert_ignore
from hitsave.server.database.tables import cells, columns


def write_cells(connection: Connection, function_id: int, entry_id: int, evaluation: Evaluation) -> None:
    """The columns of one experiment, and the summary of what columns its function has."""
    found = read_cells(evaluation)
    if not found:
        return
    place = {"function_id": function_id}
    connection.execute(
        sa.insert(cells),
        [
            {**place, "entry_id": entry_id, "kind": c.kind, "name": c.name, "text": c.text, "number": c.number}
            for c in found
        ],
    )
    known = sa.select(columns.c.kind, columns.c.name).where(columns.c.function_id == function_id)
    there = {(row.kind, row.name) for row in connection.execute(known)}
    for position, cell in enumerate(found):
        if (cell.kind, cell.name) not in there:
            fresh = {**place, "kind": cell.kind, "name": cell.name, "position": position}
            insert_ignore(connection, columns, {**fresh, "seen": 0, "numbers": 0, "low": cell.text, "high": cell.text})
    connection.execute(
        WIDEN_COLUMN,
        [
            {"f": function_id, "k": c.kind, "n": c.name, "t": c.text, "is_number": int(c.number is not None)}
            for c in found
        ],
    )


_text: sa.BindParameter[str] = sa.bindparam("t")
WIDEN_COLUMN = (
    sa.update(columns)
    .where(
        columns.c.function_id == sa.bindparam("f"),
        columns.c.kind == sa.bindparam("k"),
        columns.c.name == sa.bindparam("n"),
    )
    .values(
        seen=columns.c.seen + 1,
        numbers=columns.c.numbers + sa.bindparam("is_number"),
        low=sa.case((columns.c.low > _text, _text), else_=columns.c.low),
        high=sa.case((columns.c.high < _text, _text), else_=columns.c.high),
    )
)
