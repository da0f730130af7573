"""`Call`: one authorised request, with checked ways to read its parts."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from typing import Any

from starlette.datastructures import QueryParams
from starlette.responses import Response
from starlette.types import Message, Receive, Scope

from hitsave.server.problems import Problem
from hitsave.server.state import State
from hitsave.server.tokens import Principal
from hitsave.wire.manifests import is_blob_name
from hitsave.wire.reading import Reader, WireError, check_digest, check_symbol, parse_json


class Call:
    """What a handler gets: the request, who asks, and the project it is about (0 where the route names none)."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.state: State = scope["hitsave.state"]
        self.method: str = scope["method"]
        self.path: dict[str, Any] = scope["path_params"]
        self.principal: Principal  # these two are there once the call is authorised
        self.project = ""
        self.project_id = 0
        self._scope = scope
        self._receive = receive
        self._headers: dict[bytes, bytes] = dict(reversed(scope["headers"]))  # of several the first counts

    @property
    def address(self) -> str:
        """Where the request came from."""
        client = self._scope.get("client")
        return client[0] if client else ""

    @property
    def query(self) -> QueryParams:
        """The query string."""
        return QueryParams(self._scope["query_string"])

    def header(self, name: bytes, default: str = "") -> str:
        """A header; `name` in lower case."""
        found = self._headers.get(name)
        return default if found is None else found.decode("latin-1")

    def symbol(self) -> str:
        """The symbol in the path."""
        return check_symbol(self.path["symbol"], "symbol")

    def digest(self, name: str) -> str:
        """A digest in the path."""
        return check_digest(self.path[name], name)

    def blob(self) -> str:
        """The blob name in the path. Anything else has never been stored, so it isn't found."""
        name = self.path["blob"]
        if not is_blob_name(name):
            raise Problem("not-found", "A blob is named sha256-<64 hexadecimal digits>.")
        return str(name)

    def query_integer(self, name: str, default: int, *, low: int, high: int) -> int:
        """A whole number in the query string."""
        text = self.query.get(name)
        if text is None:
            return default
        if not text.isascii() or not text.isdigit() or len(text) > 12 or not low <= int(text) <= high:
            raise Problem("bad-request", f"{name} must be a whole number from {low} to {high}.")
        return int(text)

    async def json(self) -> Any:
        """The body, which must be JSON below the limit."""
        kind = self.header(b"content-type", "application/json")
        if kind != "application/json" and kind.partition(";")[0].strip().lower() != "application/json":
            raise Problem("unsupported-media-type", "Send application/json.")
        return parse_json(await self.body(self.state.settings.max_json_bytes))

    async def reader(self) -> Reader:
        """The body as a JSON object."""
        return Reader(await self.json(), "body")

    async def body(self, limit: int) -> bytes:
        """The whole body, at most `limit` bytes."""
        declared = self.content_length()
        if declared is not None and declared > limit:
            raise Problem("payload-too-large", f"At most {limit} bytes.", limit=limit)
        pieces: list[bytes] = []
        size = 0
        async for piece in self.pieces():
            size += len(piece)
            if size > limit:
                raise Problem("payload-too-large", f"At most {limit} bytes.", limit=limit)
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def pieces(self) -> Any:
        """The body piece by piece; a sender that falls silent for `idle_s` is let go."""
        receive = self._receive
        more = True
        while more:
            message = await _within(receive, self.state.settings.idle_s)
            if message["type"] == "http.disconnect":
                raise Problem("bad-request", "The connection closed before the body was complete.")
            more = message.get("more_body", False)
            if piece := message.get("body", b""):
                yield piece

    def content_length(self) -> int | None:
        """What Content-Length says."""
        found = self._headers.get(b"content-length")
        if found is None:
            return None
        text = found.decode("latin-1")
        if not text.isascii() or not text.isdigit():
            raise Problem("bad-request", "Content-Length must be a number.")
        return int(text)


async def _within(receive: Receive, seconds: float) -> Message:
    """The next message. `asyncio.wait_for` would do, but makes a task for each piece of a body: ten times the cost."""
    task = asyncio.current_task()
    late = False

    def expire() -> None:
        nonlocal late
        late = True
        if task is not None:
            task.cancel()

    timer = asyncio.get_running_loop().call_later(seconds, expire)
    try:
        return await receive()
    except asyncio.CancelledError:
        if not late:
            raise
        if task is not None and sys.version_info >= (3, 11):
            task.uncancel()
        raise Problem("upload-timeout", "The body stopped arriving.", headers={"Connection": "close"}) from None
    finally:
        timer.cancel()


class Reply(Response):
    """An answer of bytes. What Starlette does to make the headers of one takes longer than a look-up."""

    def __init__(self, body: bytes, status: int, headers: Mapping[str, str] | None, media_type: bytes) -> None:
        self.body = body
        self.status_code = status
        self.background = None
        self.raw_headers = [(b"content-length", b"%d" % len(body)), (b"content-type", media_type)]
        for name, value in (headers or {}).items():
            self.raw_headers.append((name.lower().encode("latin-1"), value.encode("latin-1")))


def answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """JSON to send."""
    return Reply(_ENCODER.encode(value).encode(), status, headers, b"application/json")


# Made once: `json.dumps` with parameters makes one for each value.
_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


def nothing(status: int = 204) -> Response:
    """An empty answer."""
    return Response(status_code=status)


__all__ = ["Call", "Problem", "Reader", "Reply", "WireError", "answer", "nothing"]
