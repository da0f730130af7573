"""Look-ups, and entries by key."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from starlette.responses import Response

from hitsave.digest import digest_text
from hitsave.evaluation import Key
from hitsave.server import entries, leases
from hitsave.server.api.call import Call, Problem, answer, nothing
from hitsave.server.audit import record
from hitsave.server.database import tables
from hitsave.server.quota import check_quota
from hitsave.wire import Answer, Entry, Held, Lease, Lookup, blob_name, parse_manifest
from hitsave.wire.messages import INLINE_MAX_BYTES, from_base64, lease_name

NO_FINGERPRINT = "-"  # asks for candidates only
# So many look-ups fit between two others on the event loop; more are moved off it.
DIRECT_KEYS = 20
INLINE_TOTAL = 1 << 20


async def lookup(call: Call) -> Response:
    """Answer each key: entries, candidates under other code, or a miss with the lease to compute it."""
    asked = Lookup.from_json(await call.json())
    may_lease = asked.lease_s > 0 and call.principal.may("write")
    database = call.state.database
    run = database.read if len(asked.keys) <= DIRECT_KEYS else database.report
    answers = await run(lambda connection: [_look_up(call, connection, asked, key) for key in asked.keys])
    if may_lease:
        for i, key in enumerate(asked.keys):
            if answers[i].status != "hit" and key.fingerprint != NO_FINGERPRINT:
                answers[i] = await database.write(lambda c, k=key, a=answers[i]: _lease(call, c, asked, k, a))  # type: ignore[misc]
    return answer({"answers": [one.to_json() for one in answers]})


def _look_up(call: Call, connection: Connection, asked: Lookup, key: Key) -> Answer:
    state, project_id = call.state, call.project_id
    rows: list[Any] = []
    if key.fingerprint != NO_FINGERPRINT:
        rows = list(entries.find_exact(connection, project_id, key))
    if rows:
        first = rows[0]
        state.usage.hit(project_id, first.function_id, first.id, call.principal.user, first.elapsed_s, first.size_bytes)
        state.metrics.count("hits")
        return Answer("hit", _entries(rows, asked.inline_max))
    state.metrics.count("misses")
    if asked.candidates:
        rows = list(entries.find_candidates(connection, project_id, key))
        if rows:
            state.usage.miss(project_id, rows[0].function_id, call.principal.user)
            return Answer("candidates", _entries(rows, asked.inline_max))
    return Answer("miss")


def _entries(rows: list[Any], inline_max: int) -> tuple[Entry, ...]:
    left = INLINE_TOTAL
    found = []
    for row in rows:
        inline = row.data if row.data is not None and row.size_bytes <= min(inline_max, left) and inline_max else None
        left -= len(inline) if inline is not None else 0
        found.append(Entry(row.manifest, row.tag, inline))
    return tuple(found)


def _lease(call: Call, connection: Connection, asked: Lookup, key: Key, given: Answer) -> Answer:
    # The entry may have come in since we looked; whoever stored it held the lease until then.
    rows = list(entries.find_exact(connection, call.project_id, key))
    if rows:
        return Answer("hit", _entries(rows, asked.inline_max))
    holder = f"{call.principal.user} {asked.holder}".strip()[:200]
    found = leases.acquire(connection, call.project_id, lease_name(key), holder, asked.lease_s)
    if isinstance(found, Held):
        return given.replace(held=found)
    assert isinstance(found, Lease)
    return given.replace(lease=found)


async def get_entries(call: Call) -> Response:
    """The entries of one key, newest first; 404 if there is none."""
    key = _key(call)
    rows = await call.state.database.read(lambda connection: list(entries.find_exact(connection, call.project_id, key)))
    if not rows:
        raise Problem("not-found", "There is no entry under this key.")
    etag = f'"{digest_text("".join(row.manifest + row.tag for row in rows))}"'
    if call.header(b"if-none-match") == etag:
        return Response(status_code=304, headers={"ETag": etag})
    found = [entry.to_json() for entry in _entries(rows, INLINE_MAX_BYTES)]
    return answer({"entries": found}, headers={"ETag": etag, "Cache-Control": "private, no-cache"})


async def list_entries(call: Call) -> Response:
    """Entries whose symbol matches the glob `pattern`, newest first, in pages: pass `next` as `cursor`."""
    pattern = call.query.get("pattern", "*")[:512]
    limit = call.query_integer("limit", 100, low=1, high=500)
    cursor = call.query.get("cursor") or "0"
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > 18:
        raise Problem("bad-cursor", "Pass on what the last page gave as `next`.")
    rows = await call.state.database.report(
        lambda c: entries.list_page(c, call.project_id, pattern, int(cursor), limit + 1)
    )
    found = [Entry(row.manifest, row.tag).to_json() for row in rows[:limit]]
    return answer({"entries": found, "next": str(rows[limit - 1].id) if len(rows) > limit else ""})


async def put_entry(call: Call) -> Response:
    """Store an entry: 201 new, 200 the same was there, 409 another result was, 412 the lease was lost to another."""
    key = _key(call)
    read = await call.reader()
    text = read.text("manifest", limit=256 << 10)
    manifest = parse_manifest(text)
    if manifest.evaluation.key != key or manifest.project != call.project:
        raise Problem("bad-manifest", "The manifest is for another key or project than the URL.")
    inline = None
    if read.value.get("inline") is not None:
        inline = from_base64(read.text("inline", limit=4 * INLINE_MAX_BYTES), "body.inline")
        if len(inline) > INLINE_MAX_BYTES:
            raise Problem("payload-too-large", f"At most {INLINE_MAX_BYTES} bytes inline; upload the blob first.")
        if blob_name(inline) != manifest.blob:
            raise Problem("digest-mismatch", "The inline value is not the blob that the manifest names.")
        if len(inline) != manifest.evaluation.size_bytes:
            raise Problem("bad-manifest", "The manifest gives another size than the inline value has.")
    offer = entries.Offer(
        manifest, text, read.text("tag", limit=200), inline, read.integer("fence", 0), call.principal.user
    )

    def work(connection: Connection) -> entries.Stored:
        if inline is not None:
            check_quota(call.state.settings, connection, call.project_id, len(inline))
        return entries.store(connection, call.project_id, offer)

    stored = await call.state.database.write(work)
    call.state.metrics.count(f"entries_{stored.outcome.replace('-', '_')}")
    if stored.outcome == "fenced-off":
        raise Problem("fenced-off", "Another client took the lease over and computes this key now.")
    call.state.waiting.notify(call.project_id, lease_name(key))
    if stored.outcome == "conflict":
        raise Problem(
            "entry-conflict", "This call has another result already; the first stays, yours is in the report."
        )
    created = stored.outcome == "created"
    if created:
        size = manifest.evaluation.size_bytes
        call.state.usage.stored(call.project_id, stored.function_id, call.principal.user, size)
    return answer({"id": stored.entry_id, "outcome": stored.outcome}, 201 if created else 200)


async def delete_entry(call: Call) -> Response:
    """Remove what is stored under a key, or just the result `blob`. A writer may remove its own, an admin any."""
    key = _key(call)
    blob = call.query.get("blob", "")

    def work(connection: Connection) -> int:
        rows = entries.find_exact(connection, call.project_id, key)
        rows = [row for row in rows if not blob or row.blob == blob]
        ids = [row.id for row in rows]
        if not call.principal.may("admin"):
            ids = [i for i in ids if _created_by(connection, i) == call.principal.user]
            if rows and not ids:
                raise Problem("forbidden", "Somebody else stored this; ask them, or an admin.")
        removed = entries.remove(connection, ids)
        if removed:
            record(connection, call, "delete-entry", f"{call.project}/{key.symbol}")
        return removed

    if not await call.state.database.write(work):
        raise Problem("not-found", "There is no entry under this key.")
    return nothing()


def _created_by(connection: Connection, entry_id: int) -> str:
    chosen = sa.select(tables.entries.c.created_by).where(tables.entries.c.id == entry_id)
    return str(connection.execute(chosen).scalar_one())


def _key(call: Call) -> Key:
    return Key(call.symbol(), call.digest("fingerprint"), call.digest("arguments"))  # type: ignore[arg-type]
