"""HTTP to one server: a warm connection, a budget for everything, retries with jitter, a circuit breaker.

The only module that imports `requests`. Redirects are never followed (the key would travel along), answers are never
decompressed (no bomb), and a body that isn't exactly as long as announced is an outage, not data.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import IO, Any
from urllib.parse import urlsplit

import requests
import requests.adapters
import urllib3

from hitsave.cloud.breaker import Breaker
from hitsave.cloud.workers import Busy, Late, Workers
from hitsave.errors import CloudError
from hitsave.record import Record
from hitsave.version import __version__

CONNECT_NEAR_S = 0.5
CONNECT_FAR_S = 2.0
IDLE_S = 30.0
RETRY_STATUS = frozenset((408, 425, 429, 500, 502, 503, 504))
OUTAGE_STATUS = frozenset((500, 502, 503, 504))
PIECE = 1 << 20


class Unreachable(CloudError):
    """No answer: no connection, too late, broken off, or a server that says it can't."""


class Refused(CloudError):
    """The server answered, and the answer is no. `slug` is the problem's."""

    def __init__(self, status: int, slug: str, detail: str) -> None:
        super().__init__(f"the server refused ({status} {slug}): {detail}")
        self.status = status
        self.slug = slug

    def __reduce__(self) -> tuple[object, ...]:
        return Refused, (self.status, self.slug, self.message)


class Reply(Record):
    """An answer: `headers` in lower case, `body` unless it went to a file."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport:
    """Sends requests to `url` with `key`. Safe for threads and after fork."""

    def __init__(self, url: str, key: str, *, breaker: Breaker | None = None) -> None:
        self.url = url.rstrip("/")
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise CloudError(f"{url!r} is no server address", hint="Write it like https://hitsave.example.org")
        self._key = key
        near = parts.hostname in ("localhost", "127.0.0.1", "::1") or parts.hostname.endswith(".local")
        self.connect_s = CONNECT_NEAR_S if near else CONNECT_FAR_S
        self._given_breaker = breaker
        self._pid = -1
        self._renew()

    def _renew(self) -> None:
        # Sockets, locks and threads don't survive a fork.
        self._pid = os.getpid()
        self.breaker = self._given_breaker or Breaker()
        self._workers = Workers()
        self._local = threading.local()
        self._environment: dict[str, Any] | None = None

    def request(
        self,
        method: str,
        path: str,
        *,
        budget_s: float,
        body: bytes | IO[bytes] | Callable[[], IO[bytes]] | None = None,
        headers: Mapping[str, str] | None = None,
        limit: int = 64 << 20,
        sink: Callable[[memoryview], None] | None = None,
        attempts: int = 2,
    ) -> Reply:
        """The answer, 2xx, 304 or 404 as it is. Raises `Refused` for another 4xx, `Unreachable` for an outage.

        Takes at most `budget_s`, retries included. `body` may be a function that opens a file anew for each attempt.
        `sink` receives the body of a 2xx answer piece by piece instead of it being collected (and is called from
        another thread); with a sink nothing is retried, since half of it may have been delivered.
        """
        if os.getpid() != self._pid:
            self._renew()
        if not self.breaker.allows():
            raise Unreachable(f"{self.url} didn't answer lately; trying again soon")
        deadline = time.monotonic() + budget_s
        # A body that came in part proves a living server on a slow or broken line: no outage.
        delivered = False
        deliver = sink
        if sink is not None:
            attempts = 1

            def deliver(piece: memoryview) -> None:
                nonlocal delivered
                delivered = True
                sink(piece)

        for attempt in range(1, attempts + 1):
            wait_s: float | None = None
            try:
                left = deadline - time.monotonic()
                reply = self._workers.run(
                    lambda: self._send(method, path, deadline, body, headers, limit, deliver), max(left, 0.05)
                )
            except Late as error:
                self._outage(str(error), counts=not (delivered or isinstance(error, Busy)))
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                if attempt == attempts or not self._pause(attempt, None, deadline):
                    self._outage(_plain(error), counts=not delivered)
                continue
            if reply.status in RETRY_STATUS and attempt < attempts:
                wait_s = _retry_after(reply)
                if self._pause(attempt, wait_s, deadline):
                    continue
            if reply.status in OUTAGE_STATUS:
                self._outage(f"the server answered {reply.status}")
            self.breaker.succeeded()
            if reply.status < 300 or reply.status in (304, 404):
                return reply
            raise _refusal(reply)
        raise AssertionError("every attempt returns or raises")  # pragma: no cover

    def _outage(self, reason: str, *, counts: bool = True) -> None:
        if counts:
            self.breaker.failed()
        raise Unreachable(f"{self.url}: {reason}") from None

    def _pause(self, attempt: int, wait_s: float | None, deadline: float) -> bool:
        pause = wait_s if wait_s is not None else random.uniform(0.02, min(2.0, 0.1 * 2**attempt))
        if time.monotonic() + pause + 0.05 > deadline:
            return False
        time.sleep(pause)
        return True

    def _send(
        self,
        method: str,
        path: str,
        deadline: float,
        body: Any,
        headers: Mapping[str, str] | None,
        limit: int,
        sink: Callable[[memoryview], None] | None,
    ) -> Reply:
        session = self._session()
        left = max(0.05, deadline - time.monotonic())
        opened = body() if callable(body) else None
        try:
            with session.request(
                method,
                self.url + path,
                data=opened if opened is not None else body,
                headers=headers,
                timeout=(min(self.connect_s, left), min(IDLE_S, left)),
                allow_redirects=False,
                stream=True,
            ) as response:
                wanted = sink if response.status_code < 300 else None
                found = _read(response, deadline, limit, wanted, head=method == "HEAD")
                lower = {name.lower(): value for name, value in response.headers.items()}
                return Reply(response.status_code, lower, found)
        finally:
            if opened is not None:
                opened.close()

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = requests.Session()
            if self._environment is None:
                # Once: looking at the environment for each request costs 180 µs (measured).
                found = session.merge_environment_settings(self.url, {}, None, None, None)
                self._environment = {"proxies": found["proxies"], "verify": found["verify"], "cert": found["cert"]}
            session.trust_env = False
            session.proxies = self._environment["proxies"]
            session.verify = self._environment["verify"]
            session.cert = self._environment["cert"]
            session.headers.clear()
            session.headers.update(
                {
                    "Authorization": f"Bearer {self._key}",
                    "User-Agent": f"hitsave/{__version__}",
                    "Accept-Encoding": "identity",
                    "Connection": "keep-alive",
                }
            )
            self._local.session = session
        return session

    def close(self) -> None:
        """End idle threads; their connections go with them."""
        if os.getpid() == self._pid:
            self._workers.close()


def _read(
    response: requests.Response, deadline: float, limit: int, sink: Callable[[memoryview], None] | None, *, head: bool
) -> bytes:
    if head:
        return b""
    if response.headers.get("content-encoding", "identity") != "identity":
        raise OSError("an answer was compressed although we asked for none")
    announced = response.headers.get("content-length")
    if announced is None and response.status_code not in (204, 304):
        # Python's HTTP takes headers that broke off for the whole of them, and what follows for an empty body.
        raise OSError("an answer without its length")
    if announced is not None and not (announced.isascii() and announced.isdigit()):
        raise OSError("an answer whose length is no number")
    if announced is not None and int(announced) > limit:
        raise OSError(f"an answer of {announced} bytes where at most {limit} can be")
    pieces: list[bytes] = []
    size = 0
    while True:
        piece = response.raw.read(PIECE, decode_content=False)
        if not piece:
            break
        size += len(piece)
        if size > limit:
            raise OSError(f"an answer of more than {limit} bytes")
        if time.monotonic() > deadline:
            raise OSError("the answer came too slowly")
        if sink is not None:
            sink(memoryview(piece))
        else:
            pieces.append(piece)
    if announced is not None and size != int(announced):
        raise OSError(f"the answer broke off after {size} of {announced} bytes")
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _retry_after(reply: Reply) -> float | None:
    text = reply.headers.get("retry-after", "")
    return min(float(text), 30.0) if text.isascii() and text.isdigit() else None


def _refusal(reply: Reply) -> Refused:
    import json

    slug, detail = "", ""
    try:
        problem = json.loads(reply.body[:100_000])
        slug, detail = str(problem.get("type", "")).rpartition("/")[2], str(problem.get("detail", ""))
    except (ValueError, AttributeError):
        detail = "(it didn't say why)"
    return Refused(reply.status, slug[:40], detail[:500])


def _plain(error: BaseException) -> str:
    inner = error.args[0] if error.args else error
    reason = getattr(inner, "reason", inner)
    return str(reason)[:300]
