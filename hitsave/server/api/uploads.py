"""Resumable uploads: begin, append at an offset, ask for the offset, complete. In the manner of the IETF draft.

The bytes wait in the spool of the server that began the upload, so servers that share one database need the requests
of one upload to reach one of them.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import time
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row
from starlette.responses import Response

from hitsave.server.api.call import Call, Problem, answer, nothing
from hitsave.server.database.tables import uploads
from hitsave.server.intake import admit, publish, write_all
from hitsave.wire.manifests import is_blob_name

CHUNK_MAX = 64 << 20
CHUNK_ADVISED = 8 << 20


async def begin(call: Call) -> Response:
    """Start an upload: 201 with its id, or 200 if the project has the blob already."""
    read = await call.reader()
    name = read.text("blob", limit=80)
    if not is_blob_name(name):
        raise Problem("bad-request", "A blob is named sha256-<64 hexadecimal digits>.")
    size = read.integer("size_bytes", high=call.state.settings.max_blob_bytes)
    if await admit(call.state, call.project_id, name, size):
        return answer({"blob": name, "new": False})
    upload_id = secrets.token_hex(16)
    now = time.time()
    values = {"id": upload_id, "project_id": call.project_id, "blob": name, "size_bytes": size, "created": now}
    values["expires"] = now + call.state.settings.upload_keep_s
    await call.state.database.write(lambda connection: connection.execute(sa.insert(uploads).values(**values)))
    path = _path(call, upload_id)
    path.touch(mode=0o600)
    body = {"id": upload_id, "offset": 0, "chunk_bytes": CHUNK_ADVISED}
    return answer(body, 201, {"Location": f"/api/v1/projects/{call.project}/uploads/{upload_id}"})


async def offset(call: Call) -> Response:
    """How much has arrived, in `Upload-Offset`."""
    row = await _find(call)
    return Response(status_code=204, headers=_headers(row, _size(call, row.id)))


async def append(call: Call) -> Response:
    """Append the body at `Upload-Offset`. What arrived of a broken request is kept: ask for the offset, go on there."""
    row = await _find(call)
    path = _path(call, row.id)
    have = _size(call, row.id)
    said = call.header(b"upload-offset")
    if not said.isascii() or not said.isdigit() or len(said) > 18:
        raise Problem("bad-request", "Upload-Offset must be a number.")
    if int(said) != have:
        raise Problem("offset-mismatch", f"The next byte wanted is {have}.", headers=_headers(row, have), offset=have)
    length = call.content_length()
    if length is not None and length > CHUNK_MAX:
        raise Problem("payload-too-large", f"At most {CHUNK_MAX} bytes at once.", limit=CHUNK_MAX)
    fd = os.open(path, os.O_WRONLY)
    try:
        os.lseek(fd, have, os.SEEK_SET)
        async for piece in call.pieces():
            if os.fstat(fd).st_size != have:
                raise Problem("offset-mismatch", "Another request appends to this upload.")
            if have + len(piece) > row.size_bytes:
                raise Problem("size-mismatch", f"The upload has {row.size_bytes} bytes, no more.")
            write_all(fd, piece)
            have += len(piece)
    finally:
        os.close(fd)
    return Response(status_code=204, headers=_headers(row, have))


async def complete(call: Call) -> Response:
    """Check the digest and make the blob visible."""
    row = await _find(call)
    path = _path(call, row.id)
    have = _size(call, row.id)
    if have != row.size_bytes:
        raise Problem("offset-mismatch", f"{have} bytes arrived of {row.size_bytes}.", offset=have)
    name, data = await asyncio.to_thread(_digest, path)
    if name != row.blob:
        await _forget(call, row.id)
        raise Problem("digest-mismatch", f"The bytes are {name}.")
    new = await publish(call.state, call.project_id, name, have, path, data)
    await _forget(call, row.id)
    return answer({"blob": name, "new": new}, 201, {"ETag": f'"{name}"'})


async def abandon(call: Call) -> Response:
    """Drop an upload and its bytes."""
    row = await _find(call)
    await _forget(call, row.id)
    return nothing()


def _digest(path: Path) -> tuple[str, bytes | None]:
    found = hashlib.sha256()
    small = path.stat().st_size <= 64 << 10
    with path.open("rb") as file:
        if small:
            data = file.read()
            return "sha256-" + hashlib.sha256(data).hexdigest(), data
        while piece := file.read(1 << 20):
            found.update(piece)
    return "sha256-" + found.hexdigest(), None


async def _find(call: Call) -> Row[tuple[object, ...]]:
    upload_id = call.digest("upload")

    def work(connection: Connection) -> Row[tuple[object, ...]] | None:
        return connection.execute(
            sa.select(uploads).where(uploads.c.id == upload_id, uploads.c.project_id == call.project_id)
        ).first()

    row = await call.state.database.read(work)
    if row is None:
        raise Problem("not-found", "There is no such upload.")
    if row.expires < time.time():
        raise Problem("upload-gone", "The upload was left alone for too long; begin anew.")
    return row


async def _forget(call: Call, upload_id: str) -> None:
    _path(call, upload_id).unlink(missing_ok=True)
    await call.state.database.write(lambda c: c.execute(sa.delete(uploads).where(uploads.c.id == upload_id)))


def _size(call: Call, upload_id: str) -> int:
    try:
        return _path(call, upload_id).stat().st_size
    except FileNotFoundError:
        raise Problem("upload-gone", "This server doesn't have the upload's bytes; begin anew.") from None


def _path(call: Call, upload_id: str) -> Path:
    return call.state.blobs.spool / f"upload-{upload_id}"


def _headers(row: Row[tuple[object, ...]], have: int) -> dict[str, str]:
    return {"Upload-Offset": str(have), "Upload-Length": str(row.size_bytes)}
