"""Blobs: read whole or in part, written under the digest of their bytes, listed by what is missing."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator

from sqlalchemy.engine import Connection
from starlette.responses import Response, StreamingResponse

from hitsave.server.api.call import Call, Problem, Reply, answer
from hitsave.server.intake import Spool, admit, find_visible, is_visible, publish
from hitsave.wire.manifests import is_blob_name
from hitsave.wire.messages import INLINE_MAX_BYTES
from hitsave.wire.reading import check_text

# Below this an answer is sent whole: one read of the page cache costs less than a streamed answer.
WHOLE_MAX = 256 << 10
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})\Z", re.ASCII)


async def get_blob(call: Call) -> Response:
    """The bytes, or the part that `Range` asks for. `HEAD` gives the headers alone."""
    name = call.blob()
    row = await call.state.database.read(lambda connection: find_visible(connection, call.project_id, name))
    if row is None:
        raise Problem("not-found", "There is no such blob in this project.")
    etag = f'"{name}"'
    headers = {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, max-age=31536000, immutable",
        "Repr-Digest": f"sha-256=:{base64.b64encode(bytes.fromhex(name[7:])).decode()}:",
        "Content-Disposition": "attachment",
    }
    if call.header(b"if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    start, stop, status = _range(call, row.size_bytes, etag)
    if status == 206:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{row.size_bytes}"
    length = stop - start
    call.state.usage.blob_used(name)
    call.state.metrics.count("bytes_down", 0 if call.method == "HEAD" else length)
    if call.method == "HEAD":
        headers["Content-Length"] = str(length)
        return Response(status_code=status, headers=headers, media_type="application/octet-stream")
    if row.data is not None or length <= WHOLE_MAX:
        data = row.data[start:stop] if row.data is not None else await call.state.blobs.read(name, start, length)
        if data is None or len(data) != length:
            raise Problem("not-found", "The blob's bytes are gone; `hitsave-server fsck` tells more.")
        return Reply(data, status, headers, b"application/octet-stream")
    # Ask before the answer begins, while a missing file can still be a 404.
    if await call.state.blobs.size(name) != row.size_bytes:
        raise Problem("not-found", "The blob's bytes are gone; `hitsave-server fsck` tells more.")
    headers["Content-Length"] = str(length)
    stream: AsyncIterator[bytes] = call.state.blobs.stream(name, start, length)
    return StreamingResponse(stream, status, headers, media_type="application/octet-stream")


def _range(call: Call, size: int, etag: str) -> tuple[int, int, int]:
    """Start, stop and status for the Range header; a range we don't know is answered in full, as RFC 9110 says."""
    text = call.header(b"range")
    if not text:
        return 0, size, 200
    match = _RANGE.match(text)
    condition = call.header(b"if-range", etag)
    if match is None or condition != etag or (not match[1] and not match[2]):
        return 0, size, 200
    if not match[1]:
        start, stop = max(0, size - int(match[2])), size
    else:
        start = int(match[1])
        stop = min(size, int(match[2]) + 1) if match[2] else size
        if match[2] and int(match[2]) < start:
            return 0, size, 200
    if start >= size or start >= stop:
        raise Problem("range-not-satisfiable", "", headers={"Content-Range": f"bytes */{size}"})
    return start, stop, 206


async def put_blob(call: Call) -> Response:
    """Store the body under its digest: 201 new, 200 there already, 400 if it is something else."""
    name = call.blob()
    length = call.content_length()
    if length is None:
        raise Problem("length-required", "Send Content-Length.", headers={"Connection": "close"})
    limit = call.state.settings.max_blob_bytes
    if length > limit:
        raise Problem("payload-too-large", f"At most {limit} bytes.", headers={"Connection": "close"}, limit=limit)
    if await admit(call.state, call.project_id, name, length):
        # Known here already, so the body isn't needed; with `Expect: 100-continue` it is never sent.
        return answer({"blob": name, "new": False}, headers={"ETag": f'"{name}"', "Connection": "close"})
    with Spool(call.state.blobs.spool) as spool:
        small: list[bytes] | None = [] if length <= INLINE_MAX_BYTES else None
        async for piece in call.pieces():
            spool.write(piece)
            if small is not None:
                small.append(piece)
            if spool.size > length:
                raise Problem("size-mismatch", "More bytes than Content-Length said.")
        if spool.size != length:
            raise Problem("size-mismatch", f"{spool.size} bytes arrived of {length}.")
        if spool.name != name:
            raise Problem("digest-mismatch", f"The bytes are {spool.name}.")
        data = b"".join(small) if small is not None else None
        new = await publish(call.state, call.project_id, name, length, spool.path, data)
    return answer({"blob": name, "new": new}, 201, {"ETag": f'"{name}"'})


async def missing(call: Call) -> Response:
    """Which of up to 1000 blobs the project doesn't have."""
    read = await call.reader()
    names = read.items("blobs", check_text, limit=1000)
    if not all(is_blob_name(name) for name in names):
        raise Problem("bad-request", "A blob is named sha256-<64 hexadecimal digits>.")

    def work(connection: Connection) -> list[str]:
        return [name for name in dict.fromkeys(names) if not is_visible(connection, call.project_id, name)]

    return answer({"missing": await call.state.database.report(work)})


async def presign(call: Call) -> Response:
    """A URL that reads the blob straight from the object storage; 501 where blobs are files."""
    name = call.blob()
    expires_s = call.query_integer("expires_s", 600, low=10, high=3600)
    row = await call.state.database.read(lambda connection: find_visible(connection, call.project_id, name))
    if row is None:
        raise Problem("not-found", "There is no such blob in this project.")
    url = None if row.data is not None else call.state.blobs.presign(name, expires_s)
    if url is None:
        raise Problem("not-supported", "This blob is not in an object storage; read it here.")
    return answer({"url": url, "expires_in_s": expires_s})
