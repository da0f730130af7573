"""The OpenAPI 3.1 description, made from the route table and the schemas below."""

from __future__ import annotations

import re
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from hitsave.server.api.call import answer
from hitsave.version import __version__

_DIGEST = {"type": "string", "pattern": "^[0-9a-zA-Z_.:-]{1,128}$"}
_BLOB = {"type": "string", "pattern": "^sha256-[0-9a-f]{64}$"}
_SYMBOL = {
    "type": "string",
    "minLength": 1,
    "maxLength": 128,
    "pattern": r"^[^\u0000-\u001f\u007f\u2028\u2029\ud800-\udfff]+$",
}
_TEXT = r"^[^\u0000\ud800-\udfff]*$"


def _text(limit: int) -> dict[str, Any]:
    return {"type": "string", "maxLength": limit, "pattern": _TEXT}


def _integer(low: int, high: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": low, "maximum": high}


def _object(required: tuple[str, ...], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": properties}


_KEY = _object(("symbol", "fingerprint", "arguments"), symbol=_SYMBOL, fingerprint=_DIGEST, arguments=_DIGEST)
_KEY_REF = {"$ref": "#/components/schemas/Key"}
_RUN = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
SCHEMAS: dict[str, dict[str, Any]] = {
    "Key": _KEY,
    "Lookup": _object(
        ("keys",),
        keys={"type": "array", "minItems": 1, "maxItems": 1000, "items": {"$ref": "#/components/schemas/Key"}},
        candidates={"type": "boolean"},
        inline_max=_integer(0, 65_536),
        lease_s=_integer(0, 600),
        holder=_text(200),
    ),
    "PutEntry": _object(
        ("manifest", "tag"),
        manifest={**_text(262_144), "description": "Canonical JSON, as signed; see docs/cloud.md."},
        tag=_text(200),
        inline={"type": "string", "contentEncoding": "base64", "maxLength": 87_384},
        fence=_integer(0, 1 << 53),
    ),
    "Missing": _object(("blobs",), blobs={"type": "array", "maxItems": 1000, "items": _BLOB}),
    "AcquireLease": _object(("ttl_s",), ttl_s=_integer(1, 600), holder=_text(100)),
    "RenewLease": _object(("token", "ttl_s"), token=_DIGEST, ttl_s=_integer(1, 600)),
    "BeginUpload": _object(("blob", "size_bytes"), blob=_BLOB, size_bytes=_integer(0, 5 << 30)),
    "StartRun": _object(
        ("key",),
        id={"type": "string", "pattern": "^[0-9a-f]{32}$"},
        key={"$ref": "#/components/schemas/Key"},
        title=_text(4000),
        host=_text(100),
    ),
    "ChangeRun": _object(("status",), status={"enum": ["running", "ok", "failed"]}, error=_text(65_536)),
    "PutProject": _object((), quota_bytes=_integer(0, 1 << 53)),
    "PostToken": _object(
        ("scope",),
        scope={"enum": ["read", "write", "admin"]},
        user={"type": "string", "minLength": 1, "maxLength": 100, "pattern": "^[ -~]*[!-~][ -~]*$"},
        label=_text(100),
        expires_days={"type": "number", "minimum": 0, "maximum": 36_500},
        project={"type": "string", "maxLength": 63, "pattern": "^([a-z0-9][a-z0-9_.-]*)?$"},
    ),
    "Problem": _object(
        ("type", "title", "status", "detail"),
        type={"type": "string"},
        title={"type": "string"},
        status={"type": "integer"},
        detail={"type": "string"},
        instance={"type": "string"},
    ),
}
PARAMETERS: dict[str, dict[str, Any]] = {
    "project": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_.-]{0,62}$"},
    "name": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_.-]{0,62}$"},
    "symbol": _SYMBOL,
    "fingerprint": _DIGEST,
    "arguments": _DIGEST,
    "lease": _DIGEST,
    "upload": _DIGEST,
    "run": _DIGEST,
    "blob": _BLOB,
    "digest": _BLOB,
    "kind": {"type": "string", "pattern": "^[a-z]{1,32}$"},
    "token": {"type": "string", "pattern": "^[0-9]{1,9}$"},
}
QUERY: dict[str, tuple[str, dict[str, Any]]] = {
    "wait": ("wait", _integer(0, 25)),
    "release": ("token", _DIGEST),
    "presign": ("expires_s", _integer(10, 3600)),
    "stats": ("days", _integer(1, 366)),
    "list_runs": ("limit", _integer(1, 200)),
    "list_audit": ("limit", _integer(1, 1000)),
    "put_snapshot": ("name", _text(200)),
    "delete_entry": ("blob", _BLOB),
    "list_entries": ("pattern", _text(200)),
}


def describe() -> dict[str, Any]:
    """The whole description."""
    from hitsave.server.api.routes import BASE, ROUTES

    paths: dict[str, Any] = {}
    for route in ROUTES:
        path = re.sub(r":path}", "}", route.path)
        name = route.handler.__name__
        operation: dict[str, Any] = {
            "operationId": f"{route.handler.__module__.rpartition('.')[2]}_{name}",
            "summary": (route.handler.__doc__ or "").strip().splitlines()[0],
            "description": f"Needs a key with scope `{route.scope}`.",
            "parameters": [
                {"name": p, "in": "path", "required": True, "schema": PARAMETERS[p]}
                for p in re.findall(r"{(\w+)}", path)
            ],
            "responses": {
                **{str(status): {"description": "As asked."} for status in route.answers},
                "4XX": {
                    "description": "What was wrong with the request.",
                    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
                },
                "501": {"description": "This server's storage can't do that."},
                "503": {"description": "Try again later."},
                "507": {"description": "No room."},
            },
        }
        if name in QUERY:
            query, schema = QUERY[name]
            operation["parameters"].append({"name": query, "in": "query", "required": False, "schema": schema})
        if route.body == "bytes":
            binary = {"schema": {"type": "string", "format": "binary"}}
            operation["requestBody"] = {"required": True, "content": {"application/octet-stream": binary}}
        elif route.body:
            schema_ref = {"schema": {"$ref": f"#/components/schemas/{route.body}"}}
            operation["requestBody"] = {"required": True, "content": {"application/json": schema_ref}}
        paths.setdefault(BASE + path, {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "hitsave server", "version": __version__, "license": {"name": "MIT", "identifier": "MIT"}},
        "servers": [{"url": "/"}],
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "An API key, hs_…"}},
        },
    }


def _path_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": PARAMETERS[name]}


async def openapi(_request: Request) -> Response:
    """The description as JSON."""
    return answer(describe(), headers={"Cache-Control": "no-cache"})
