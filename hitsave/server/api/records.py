"""Small records that a colleague's `why` needs: which code a result came from. Signed by clients, opaque to us."""

from __future__ import annotations

import re
import time

import sqlalchemy as sa
from starlette.responses import Response

from hitsave.server.api.call import Call, Problem, answer
from hitsave.server.database.engine import insert_ignore
from hitsave.server.database.tables import records

TAG = "X-Hitsave-Tag"
_KIND = re.compile(r"[a-z]{1,32}\Z")


async def get_record(call: Call) -> Response:
    """The record's bytes, its tag in `X-Hitsave-Tag`."""
    kind, name = _place(call)
    row = await call.state.database.read(
        lambda c: c.execute(
            sa.select(records.c.data, records.c.tag).where(
                records.c.project_id == call.project_id, records.c.kind == kind, records.c.name == name
            )
        ).first()
    )
    if row is None:
        raise Problem("not-found", "There is no such record.")
    headers = {TAG: row.tag, "Cache-Control": "private, no-cache", "Content-Disposition": "attachment"}
    return Response(row.data, headers=headers, media_type="application/octet-stream")


async def put_record(call: Call) -> Response:
    """Keep a record: 201, or 200 if one of that name is there (the first stays)."""
    kind, name = _place(call)
    data = await call.body(call.state.settings.max_record_bytes)
    tag = call.header(TAG.lower().encode())
    if len(tag) > 200 or not tag.isascii():
        raise Problem("bad-request", f"{TAG} is at most 200 ASCII characters.")
    values = {"project_id": call.project_id, "kind": kind, "name": name, "data": data, "tag": tag}
    new = await call.state.database.write(lambda c: insert_ignore(c, records, {**values, "created": time.time()}))
    return answer({"new": new}, 201 if new else 200)


def _place(call: Call) -> tuple[str, str]:
    kind = call.path["kind"]
    if not _KIND.match(kind):
        raise Problem("bad-request", "The kind of a record is 1 to 32 lower-case letters.")
    return kind, call.digest("name")
