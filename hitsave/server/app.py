"""`build_app`: the ASGI application, API and dashboard behind one front door."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send

from hitsave.server.api.routes import Shortcuts, starlette_routes
from hitsave.server.blobs import open_storage
from hitsave.server.dashboard.pages import dashboard_routes
from hitsave.server.database import open_database
from hitsave.server.frontdoor import FrontDoor
from hitsave.server.maintenance import maintain
from hitsave.server.problems import Problem
from hitsave.server.settings import Settings
from hitsave.server.state import State

log = logging.getLogger("hitsave.server")
FLUSH_EVERY_S = 1.0


def open_state(settings: Settings) -> State:
    """The database (migrated) and the blob storage, open."""
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    database = open_database(settings.database)
    return State(settings, database, open_storage(settings.blobs_url, settings.data_dir))


def build_app(state: State) -> ASGIApp:
    """The application around an open state. Closing it is the caller's business."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[None]:
        chores = [
            asyncio.create_task(_repeat(state, FLUSH_EVERY_S, _flush)),
            asyncio.create_task(_repeat(state, state.settings.maintenance_every_s, maintain)),
        ]
        try:
            yield
        finally:
            for chore in chores:
                chore.cancel()
            await asyncio.gather(*chores, return_exceptions=True)

    # A bare router: Starlette's own error pages would answer before the front door could.
    routes = [*starlette_routes(), *dashboard_routes()]
    router = Router(routes, lifespan=lifespan, redirect_slashes=False, default=_nowhere)
    return FrontDoor(Shortcuts(router), state)


async def _nowhere(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise Problem("not-found", "There is nothing at this address.")


async def _flush(state: State) -> None:
    await state.database.write(state.flush)
    state.waiting.forget_idle()


async def _repeat(state: State, every_s: float, chore: object) -> None:
    while True:
        await asyncio.sleep(every_s)
        try:
            await chore(state)  # type: ignore[operator]
        except Exception:
            log.warning("a chore failed; it will be tried again", exc_info=True)
