"""Snapshots: named trees of files whose contents are blobs."""

from __future__ import annotations

import hashlib
import re
import time

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from starlette.responses import Response

from hitsave.server.api.call import Call, Problem, answer, nothing
from hitsave.server.audit import record
from hitsave.server.database.engine import insert_ignore
from hitsave.server.database.tables import blob_refs, snapshots
from hitsave.server.intake import is_visible
from hitsave.wire import WireError
from hitsave.wire.trees import parse_tree

_DIGEST = re.compile(r"sha256-[0-9a-f]{64}\Z")


async def list_snapshots(call: Call) -> Response:
    """The project's snapshots, newest first."""

    def work(connection: Connection) -> list[dict[str, object]]:
        wanted = [c for c in snapshots.c if c.name not in ("tree", "project_id")]
        rows = connection.execute(
            sa.select(*wanted)
            .where(snapshots.c.project_id == call.project_id)
            .order_by(snapshots.c.created.desc())
            .limit(500)
        )
        return [dict(row._mapping) for row in rows]

    return answer({"snapshots": await call.state.database.report(work)})


async def get_snapshot(call: Call) -> Response:
    """The tree's text, exactly as it was stored; its digest is the snapshot's."""
    digest = _digest(call)
    text = await call.state.database.read(
        lambda c: c.execute(
            sa.select(snapshots.c.tree).where(snapshots.c.project_id == call.project_id, snapshots.c.digest == digest)
        ).scalar_one_or_none()
    )
    if text is None:
        raise Problem("not-found", "There is no such snapshot in this project.")
    headers = {"ETag": f'"{digest}"', "Cache-Control": "private, max-age=31536000, immutable"}
    return Response(text, headers=headers, media_type="application/json")


async def put_snapshot(call: Call) -> Response:
    """Store a tree under its digest; every file of it must be a blob of the project."""
    digest = _digest(call)
    data = await call.body(call.state.settings.max_json_bytes * 16)
    if "sha256-" + hashlib.sha256(data).hexdigest() != digest:
        raise Problem("digest-mismatch", "The tree's text has another digest.")
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError:
        raise WireError("tree: expected ASCII JSON") from None
    tree = parse_tree(text)
    name = call.query.get("name", "")[:200].replace("\x00", "")

    def work(connection: Connection) -> bool:
        now = time.time()
        gone = [f.blob for f in tree.files if not is_visible(connection, call.project_id, f.blob)]
        if gone:
            raise Problem("blob-missing", f"{len(gone)} files aren't uploaded yet.", blobs=gone[:1000])
        values = {"project_id": call.project_id, "digest": digest, "name": name, "files": len(tree.files)}
        values |= {"size_bytes": sum(f.size_bytes for f in tree.files), "tree": text, "created": now}
        new = insert_ignore(connection, snapshots, {**values, "created_by": call.principal.user})
        if new:
            for blob in {f.blob for f in tree.files}:
                ref = {"blob": blob, "project_id": call.project_id, "kind": "snapshot", "ref": digest, "created": now}
                insert_ignore(connection, blob_refs, ref)
        return new

    new = await call.state.database.maintain(work)
    return answer({"digest": digest, "new": new}, 201 if new else 200)


async def delete_snapshot(call: Call) -> Response:
    """Forget a snapshot; its blobs go when nothing else needs them."""
    digest = _digest(call)

    def work(connection: Connection) -> bool:
        here = (snapshots.c.project_id == call.project_id, snapshots.c.digest == digest)
        if connection.execute(sa.delete(snapshots).where(*here)).rowcount == 0:
            return False
        connection.execute(
            sa.delete(blob_refs).where(
                blob_refs.c.kind == "snapshot",
                blob_refs.c.ref == digest,
                blob_refs.c.project_id == call.project_id,
            )
        )
        record(connection, call, "delete-snapshot", f"{call.project}/{digest}")
        return True

    if not await call.state.database.write(work):
        raise Problem("not-found", "There is no such snapshot in this project.")
    return nothing()


def _digest(call: Call) -> str:
    digest = call.path["digest"]
    if not _DIGEST.match(digest):
        raise Problem("not-found", "A snapshot is named sha256-<64 hexadecimal digits>.")
    return str(digest)
