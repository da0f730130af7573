"""`hitsave serve` and `hitsave dashboard`: the server for a team, and the same pages over one's own cache."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from hitsave.cli.output import Output
from hitsave.cli.place import open_place
from hitsave.errors import UsageError

DEFAULT_PORT = 8840


def add_serve(parser: argparse.ArgumentParser) -> None:
    """Options of `hitsave serve`."""
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: this machine only)")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help=f"default: {DEFAULT_PORT}; 0 takes a free one")
    parser.add_argument("--data", default="", metavar="PATH", help="where the server keeps its data")
    parser.add_argument("--database", default="", metavar="URL", help="PostgreSQL instead of SQLite: postgresql://…")
    parser.add_argument(
        "--blobs", default="", metavar="URL", help="S3-compatible storage instead of files: s3://bucket/prefix"
    )
    parser.epilog = "Keys, quotas, backup and restore: hitsave-server --help."


def serve(options: argparse.Namespace, output: Output) -> int:
    """Run a server until interrupted."""
    _need_server()
    from hitsave.server.main import serve as run_server

    run_server(
        options.host,
        options.port,
        options.data,
        options.database,
        options.blobs,
        say=_say(output),
        on_ready=_on_ready(output),
    )
    return 0


def add_dashboard(parser: argparse.ArgumentParser) -> None:
    """Options of `hitsave dashboard`."""
    parser.add_argument("--port", type=int, default=0, help="default: a free one")


def dashboard(options: argparse.Namespace, output: Output) -> int:
    """Show the results in the local cache as web pages, until interrupted."""
    _need_server()
    from hitsave.cloud.records import to_wire
    from hitsave.server.dashboard.local import serve_local

    with open_place(options) as place:
        store = place.store
        serve_local(
            lambda: store.entries(),
            lambda kind, name: to_wire(kind, data) if (data := store.get_record(kind, name)) is not None else None,
            port=options.port,
            say=_say(output),
            on_ready=_on_ready(output),
        )
    return 0


def _say(output: Output) -> Callable[[str], None]:
    def say(text: str) -> None:
        output.line(text)
        sys.stdout.flush()  # a script that waits for the address reads it now, not when we end

    return say


def _on_ready(output: Output) -> Callable[[str, str], None]:
    def ready(url: str, key: str) -> None:
        del key  # shown to the person at the terminal only, by `say`
        output.emit({"url": url})
        sys.stdout.flush()

    return ready


def _need_server() -> None:
    from importlib.util import find_spec

    missing = [name for name in ("starlette", "uvicorn", "sqlalchemy", "jinja2") if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"the server isn't installed ({', '.join(missing)} missing)", hint="pip install 'hitsave[server]'"
        )
