"""Static files: a fixed list, read once, sent compressed, cached for ever under their digest."""

from __future__ import annotations

import gzip
import hashlib
from functools import cache

from starlette.requests import Request
from starlette.responses import Response

from hitsave.server.dashboard.rendering import STATIC
from hitsave.server.problems import Problem

KINDS = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


@cache
def files() -> dict[str, tuple[bytes, bytes, str, str]]:
    """`{name: (bytes, compressed, media type, etag)}`. A name in a request is looked up here, never on disk."""
    found = {}
    for path in sorted(STATIC.iterdir()):
        if path.suffix in KINDS:
            data = path.read_bytes()
            etag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
            found[path.name] = data, gzip.compress(data, 9, mtime=0), KINDS[path.suffix], etag
    return found


async def static_file(request: Request) -> Response:
    """One file."""
    entry = files().get(request.path_params["name"])
    if entry is None:
        raise Problem("not-found", "There is no such file.")
    data, compressed, kind, etag = entry
    headers = {"ETag": etag, "Vary": "Accept-Encoding"}
    headers["Cache-Control"] = "public, max-age=31536000, immutable" if request.query_params.get("v") else "no-cache"
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(compressed, headers={**headers, "Content-Encoding": "gzip"}, media_type=kind)
    return Response(data, headers=headers, media_type=kind)
