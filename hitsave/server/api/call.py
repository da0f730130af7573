"""`Call`: one authorised request, with checked ways to read its parts."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive

from hitsave.server.problems import Problem
from hitsave.server.state import State
from hitsave.server.tokens import Principal
from hitsave.wire.manifests import is_blob_name
from hitsave.wire.reading import Reader, WireError, check_digest, check_symbol, parse_json


class Call:
    """What a handler gets: the request, who asks, and the project it is about (0 where the route names none)."""

    def __init__(self, request: Request, state: State, principal: Principal, project: str, project_id: int) -> None:
        self.request = request
        self.state = state
        self.principal = principal
        self.project = project
        self.project_id = project_id

    @property
    def address(self) -> str:
        """Where the request came from."""
        client = self.request.client
        return client.host if client else ""

    def symbol(self) -> str:
        """The symbol in the path."""
        return check_symbol(self.request.path_params["symbol"], "symbol")

    def digest(self, name: str) -> str:
        """A digest in the path."""
        return check_digest(self.request.path_params[name], name)

    def blob(self) -> str:
        """The blob name in the path. Anything else has never been stored, so it isn't found."""
        name = self.request.path_params["blob"]
        if not is_blob_name(name):
            raise Problem("not-found", "A blob is named sha256-<64 hexadecimal digits>.")
        return str(name)

    def query_integer(self, name: str, default: int, *, low: int, high: int) -> int:
        """A whole number in the query string."""
        text = self.request.query_params.get(name)
        if text is None:
            return default
        if not text.isascii() or not text.isdigit() or len(text) > 12 or not low <= int(text) <= high:
            raise Problem("bad-request", f"{name} must be a whole number from {low} to {high}.")
        return int(text)

    async def json(self) -> Any:
        """The body, which must be JSON below the limit."""
        kind = self.request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
        if kind != "application/json":
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
        receive = self.request.receive
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
        text = self.request.headers.get("content-length")
        if text is None:
            return None
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


def answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """JSON to send."""
    return Response(
        json.dumps(value, separators=(",", ":"), allow_nan=False), status, headers, media_type="application/json"
    )


def nothing(status: int = 204) -> Response:
    """An empty answer."""
    return Response(status_code=status)


__all__ = ["Call", "Problem", "Reader", "WireError", "answer", "nothing"]
