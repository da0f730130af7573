"""`State`: what every request handler needs, made once per server."""

from __future__ import annotations

import time

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hitsave.server.blobs import BlobStorage
from hitsave.server.database import Database
from hitsave.server.database.tables import projects, tokens
from hitsave.server.limits import RateLimit
from hitsave.server.metrics import Metrics
from hitsave.server.settings import Settings
from hitsave.server.tokens import Principal, digest_key, find_principal, is_well_formed
from hitsave.server.usage import UsageLog
from hitsave.server.waiting import Waiting

# A key revoked on another server of the same team is refused here after at most this long; on this one, at once.
PRINCIPALS_KEPT_S = 5.0


class State:
    """The open database and blob storage, and what is remembered between requests."""

    def __init__(self, settings: Settings, database: Database, blobs: BlobStorage) -> None:
        self.settings = settings
        self.database = database
        self.blobs = blobs
        self.metrics = Metrics()
        self.waiting = Waiting()
        self.usage = UsageLog()
        self.rate = RateLimit(settings.requests_per_s, 2 * settings.requests_per_s)
        per_minute = settings.failed_logins_per_minute
        self.failed_logins = RateLimit(per_minute / 60, per_minute)
        self.started = time.time()
        self._principals: dict[str, tuple[float, Principal | None]] = {}
        self._projects: dict[str, int] = {}
        self._used: dict[int, float] = {}

    async def principal(self, key: str) -> Principal | None:
        """Who holds `key`, if it is good."""
        sha256 = digest_key(key)
        now = time.monotonic()
        kept = self._principals.get(sha256)
        if kept is None or kept[0] < now:
            if not is_well_formed(key):
                return None
            found = await self.database.read(lambda connection: find_principal(connection, sha256))
            if len(self._principals) > 10_000:
                self._principals.clear()
            kept = self._principals[sha256] = (now + PRINCIPALS_KEPT_S, found)
        principal = kept[1]
        if principal is not None:
            if principal.expires is not None and principal.expires <= time.time():
                return None
            self._used[principal.token_id] = time.time()
        return principal

    def forget_principals(self) -> None:
        """A key was revoked: ask the database again."""
        self._principals.clear()

    async def project_id(self, slug: str) -> int | None:
        """The id of the project `slug`, if there is one."""
        found = self._projects.get(slug)
        if found is None:
            found = await self.database.read(
                lambda connection: connection.execute(
                    sa.select(projects.c.id).where(projects.c.slug == slug)
                ).scalar_one_or_none()
            )
            if found is not None:
                self._projects[slug] = int(found)
        return found

    def take_used_tokens(self) -> dict[int, float]:
        """Keys used since the last call, and when: written in batches, so a look-up needs no write."""
        used, self._used = self._used, {}
        return used

    def flush(self, connection: Connection) -> None:
        """Write what was counted in memory."""
        for token_id, at in self.take_used_tokens().items():
            connection.execute(sa.update(tokens).where(tokens.c.id == token_id).values(last_used=at))
        self.usage.flush(connection)

    def close(self) -> None:
        """Write what is left, and let go of database and storage."""
        self.database.write_now(self.flush)
        self.database.close()
        self.blobs.close()
