"""`serve`: run the server until it is told to stop."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Callable
from pathlib import Path

import uvicorn

from hitsave.errors import CloudError, UsageError
from hitsave.server.app import build_app, open_state
from hitsave.server.settings import Settings
from hitsave.server.starting import MustHaveKeys, login_link, prepare
from hitsave.server.state import State

DEFAULT_PORT = 8840


def serve(
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    data_dir: str | Path = "",
    database_url: str = "",
    blobs_url: str = "",
    *,
    say: Callable[[str], None] = print,
    on_ready: Callable[[str, str], None] | None = None,
    on_open: Callable[[State], Callable[[], None]] | None = None,
    **limits: object,
) -> None:
    """Serve until SIGINT or SIGTERM. `port` 0 takes a free one; `limits` are further fields of `Settings`.

    `say` gets the lines for the person who started it; `on_ready(url, key)` is called once the socket listens.
    `on_open(state)` comes before that, with database and storage open; what it returns is called before they close.
    Raises `UsageError` for a public address that nobody could log in to, `CloudError` if the port is taken.
    """
    settings = Settings(
        data_dir=Path(data_dir) if data_dir else default_data_dir(),
        host=host,
        port=port,
        database_url=database_url,
        blobs_url=blobs_url,
        **limits,  # type: ignore[arg-type]
    )
    listener = _listen(settings)
    settings = _with_port(settings, listener.getsockname()[1])
    try:
        state = open_state(settings)
    except BaseException:
        listener.close()
        raise
    finish: Callable[[], None] | None = None
    try:
        key = prepare(state)
        finish = on_open(state) if on_open is not None else None
        if settings.is_local_view:
            say(f"your results: {login_link(state, key)}")
            key = ""
        else:
            _greet(state, key, say)
        config = uvicorn.Config(
            build_app(state),
            loop="auto",
            http="auto",
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=10,
            h11_max_incomplete_event_size=64 << 10,
        )
        if on_ready is not None:
            on_ready(settings.url, key)
        server = uvicorn.Server(config)
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[listener])
    except MustHaveKeys:
        raise UsageError(
            f"{host} can be reached from other machines, and no key exists yet",
            hint="Make one first: hitsave-server keys create --scope admin --user you",
        ) from None
    finally:
        if finish is not None:
            finish()
        state.close()
        listener.close()


def _greet(state: State, key: str, say: Callable[[str], None]) -> None:
    """One line that says where to look and how to log in, one for the other machines."""
    url = state.settings.url
    if not key:
        say(f"hitsave is at {url}/dashboard (log in with your API key)")
        return
    say(f"hitsave is at {url}/dashboard (log in: {login_link(state, key)} )")
    say(f"on your machines: hitsave login {url}   (the key is in {state.settings.data_dir / 'owner.key'})")


def default_data_dir() -> Path:
    """Where a server keeps its data unless told otherwise: the user's data directory of the platform."""
    import os
    import sys

    if given := os.environ.get("HITSAVE_SERVER_DIR"):
        return Path(given)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "hitsave-server"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "hitsave-server"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "hitsave-server"


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise CloudError(
            f"can't listen on {settings.host}:{settings.port}: {error.strerror}", hint="Choose another with --port."
        ) from None
    listener.set_inheritable(True)
    return listener


def _with_port(settings: Settings, port: int) -> Settings:
    import dataclasses

    return dataclasses.replace(settings, port=port)


logging.getLogger("hitsave.server").addHandler(logging.NullHandler())
