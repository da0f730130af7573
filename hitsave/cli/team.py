"""`hitsave login`, `logout`, `keygen`, `keys`, `push`, `pull`, `sync`: sharing results through the team's server."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from typing import Any

from hitsave.cli.output import Output
from hitsave.cli.place import Place, open_place
from hitsave.cli.settings import write_setting
from hitsave.config import Config, load_config
from hitsave.errors import UsageError
from hitsave.project import find_project


def add_login(parser: argparse.ArgumentParser) -> None:
    """Options of `hitsave login`."""
    parser.add_argument("url", nargs="?", help="the server's address (default: the setting `remote`)")
    parser.add_argument("--key", help="the API key, or an invitation (default: asked for, or read from stdin)")


def login(options: argparse.Namespace, output: Output) -> int:
    """Check an API key with the server and keep it for this user; use that server from now on."""
    from hitsave.cloud.credentials import log_in

    config = _config(options)
    url = _address(options.url, config)
    me = log_in(config.config_dir, url, options.key or _ask_for_key(url))
    if config.remote != url:
        write_setting(config, "remote", url)
    output.emit({"url": url, **me})
    output.line(f"logged in to {url} as {me.get('user', '?')} ({me.get('scope', '?')})")
    return 0


def add_logout(parser: argparse.ArgumentParser) -> None:
    """Options of `hitsave logout`."""
    parser.add_argument("url", nargs="?", help="the server's address (default: the setting `remote`)")


def logout(options: argparse.Namespace, output: Output) -> int:
    """Forget the API key for a server."""
    from hitsave.cloud.credentials import log_out

    config = _config(options)
    url = _address(options.url, config)
    found = log_out(config.config_dir, url)
    output.emit({"url": url, "was_logged_in": found})
    output.line(f"forgot the key for {url}" if found else f"there was no key for {url}")
    if found:
        output.remark("the key itself stays valid until it is revoked on the server")
    return 0


def add_keygen(parser: argparse.ArgumentParser) -> None:
    """Options of `hitsave keygen`: none of its own."""


def keygen(options: argparse.Namespace, output: Output) -> int:
    """Make a team key: what it signs is trusted by everyone who imports it."""
    from hitsave.cloud.signing import create_team_key

    name = create_team_key(_config(options).config_dir)
    output.emit({"id": name})
    output.line(f"team key {name} signs from now on")
    output.remark("hand it to colleagues you trust: hitsave keys export, and there: hitsave keys import LINE")
    return 0


def add_keys(parser: argparse.ArgumentParser) -> None:
    """Options of `hitsave keys`."""
    parser.add_argument("action", nargs="?", default="list", choices=("list", "export", "import", "forget", "rotate"))
    parser.add_argument(
        "key", nargs="?", help="the id of a key (export, forget), or the line to import (default: stdin)"
    )


def keys(options: argparse.Namespace, output: Output) -> int:
    """List the keys that results are signed and trusted with; or hand out, take in, forget or renew one."""
    from hitsave.cloud import signing
    from hitsave.store.authenticity import open_machine_keys, rotate_machine_key

    folder = _config(options).config_dir
    if options.action == "export":
        line = signing.export_team_key(folder, options.key or "")
        output.emit({"line": line})
        output.line(line)
    elif options.action == "import":
        name = signing.import_team_key(folder, options.key or sys.stdin.readline())
        output.emit({"id": name})
        output.line(f"results signed with team key {name} are trusted from now on")
    elif options.action == "forget":
        if not options.key:
            raise UsageError("which key?", hint="`hitsave keys` lists their ids.")
        found = signing.forget_team_key(folder, options.key)
        output.emit({"id": options.key, "was_there": found})
        output.line(f"what {options.key} signed is no longer trusted" if found else f"there is no key {options.key}")
        return 0 if found else 1
    elif options.action == "rotate":
        open_machine_keys(folder)  # there may be none yet
        rotate_machine_key(folder)
        output.emit({"rotated": True})
        output.line("a new machine key signs from now on; what the old one signed is still trusted")
    else:
        found_keys = signing.list_keys(folder)
        output.emit(
            [
                {"id": name, "kind": kind, "signs": index == len(found_keys) - 1}
                for index, (name, kind) in enumerate(found_keys)
            ]
        )
        rows = [
            (name, kind, "yes" if index == len(found_keys) - 1 else "") for index, (name, kind) in enumerate(found_keys)
        ]
        output.table(("ID", "KIND", "SIGNS"), rows)
    return 0


def add_push(parser: argparse.ArgumentParser) -> None:
    """Options of `hitsave push`."""
    _add_names(parser, "upload")


def push(options: argparse.Namespace, output: Output) -> int:
    """Upload results that the server lacks."""
    return _transfer(options, output, ["push"])


def add_pull(parser: argparse.ArgumentParser) -> None:
    """Options of `hitsave pull`."""
    _add_names(parser, "download")


def pull(options: argparse.Namespace, output: Output) -> int:
    """Download results that aren't here."""
    return _transfer(options, output, ["pull"])


def add_sync(parser: argparse.ArgumentParser) -> None:
    """Options of `hitsave sync`."""
    _add_names(parser, "exchange")


def sync(options: argparse.Namespace, output: Output) -> int:
    """Download, then upload."""
    return _transfer(options, output, ["pull", "push"])


def _add_names(parser: argparse.ArgumentParser, verb: str) -> None:
    parser.add_argument("pattern", nargs="?", default="*", metavar="GLOB", help=f"which functions' results to {verb}")


def _transfer(options: argparse.Namespace, output: Output, directions: list[str]) -> int:
    from hitsave.cloud import sync as exchange

    with open_place(options) as place:
        cloud = _open_cloud(place)
        done: dict[str, Any] = {}
        failed = 0
        for direction in directions:
            work: Callable[..., Any] = getattr(exchange, direction)
            with output.progress(f"{direction}ing") as step:
                moved = work(cloud, place.store, options.pattern, step)
            done[direction] = dict(zip(moved._fields, moved._values(), strict=True))
            failed += moved.failed
            output.line(
                f"{direction}ed {moved.moved}, {moved.present} there already"
                + (f", {moved.failed} failed" if moved.failed else "")
            )
        cloud.close()
    output.emit(done)
    return 1 if failed else 0


def _open_cloud(place: Place) -> Any:
    from hitsave.session import open_cloud

    if place.config.offline:
        raise UsageError("hitsave is offline", hint="Unset HITSAVE_OFFLINE, or the setting `offline`.")
    cloud = open_cloud(place.config, place.store)
    if cloud is None:
        raise UsageError("no server is set", hint="hitsave login URL, or HITSAVE_REMOTE=URL.")
    return cloud


def _config(options: argparse.Namespace) -> Config:
    return load_config(find_project(options.root or os.getcwd()).root)


def _address(given: str | None, config: Config) -> str:
    url = (given or config.remote).rstrip("/")
    if not url:
        raise UsageError("which server?", hint="hitsave login https://…; `hitsave serve` starts one.")
    return url if "://" in url else f"https://{url}"


def _ask_for_key(url: str) -> str:
    """The key from the environment, from a pipe, or typed unseen; it stands in no list of processes then."""
    given = os.environ.get("HITSAVE_API_KEY", "")
    if given:
        return given
    if not sys.stdin.isatty():
        return sys.stdin.readline().strip()
    import getpass

    return getpass.getpass(f"API key for {url}: ")
