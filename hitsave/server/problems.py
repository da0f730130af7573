"""Errors as `application/problem+json` (RFC 9457): a slug that programs can test, a sentence that people can read."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response

TYPE_PREFIX = "https://hitsave.invalid/problems/"
STATUS = {
    "bad-request": 400,
    "digest-mismatch": 400,
    "size-mismatch": 400,
    "bad-cursor": 400,
    "unauthorized": 401,
    "forbidden-scope": 403,
    "forbidden": 403,
    "not-found": 404,
    "method-not-allowed": 405,
    "upload-timeout": 408,
    "entry-conflict": 409,
    "lease-held": 409,
    "offset-mismatch": 409,
    "already-exists": 409,
    "lease-lost": 410,
    "upload-gone": 410,
    "length-required": 411,
    "precondition-failed": 412,
    "fenced-off": 412,
    "payload-too-large": 413,
    "unsupported-media-type": 415,
    "range-not-satisfiable": 416,
    "misdirected": 421,
    "blob-missing": 422,
    "bad-manifest": 422,
    "rate-limited": 429,
    "not-supported": 501,
    "internal": 500,
    "maintenance": 503,
    "quota-exceeded": 507,
    "disk-full": 507,
}


class Problem(Exception):
    """Raised anywhere in a request; the front door turns it into the answer."""

    def __init__(self, slug: str, detail: str, *, headers: dict[str, str] | None = None, **extra: Any) -> None:
        super().__init__(detail)
        self.slug = slug
        self.status = STATUS[slug]
        self.detail = detail
        self.headers = headers or {}
        self.extra = extra

    def response(self, instance: str) -> Response:
        """The answer to send; `instance` is the id of the request."""
        body = {
            "type": TYPE_PREFIX + self.slug,
            "title": self.slug.replace("-", " "),
            "status": self.status,
            "detail": self.detail,
            "instance": instance,
            **self.extra,
        }
        headers = dict(self.headers)
        if self.status == 401:
            headers.setdefault("WWW-Authenticate", 'Bearer realm="hitsave"')
        return Response(json.dumps(body), self.status, headers, media_type="application/problem+json")
