"""Two colleagues with homes of their own, sharing one server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hitsave.cloud.signing import create_team_key, export_team_key, import_team_key
from hitsave.cloud.store import CloudSettings, CloudStore
from hitsave.evaluation import Blob, Evaluation
from hitsave.store.contract import Store
from tests.services import ThreadServer

MANY = bytes(range(256)) * 1000  # above what travels inline


class Team:
    """Makes stores for colleagues; each has a home of its own, all hold the team's key."""

    def __init__(self, server: ThreadServer, homes: Path) -> None:
        self.server = server
        self.homes = homes
        self._open: list[CloudStore] = []
        create_team_key(str(homes / "ann" / "config"))
        self.line = export_team_key(str(homes / "ann" / "config"))

    def store(
        self,
        name: str,
        *,
        url: str = "",
        key: str = "",
        trusted: bool = True,
        local: Store | None = None,
        **settings: Any,
    ) -> CloudStore:
        """A store for the colleague `name`."""
        home = self.homes / name
        if trusted and name != "ann":
            import_team_key(str(home / "config"), self.line)
        given = {"budget_s": 3.0, "wait_s": 5.0, "exit_wait_s": 5.0, **settings}
        found = CloudStore(
            CloudSettings(url or self.server.url, key or self.server.new_key("write", name), **given),
            config_dir=str(home / "config"),
            outbox_dir=str(home / "outbox"),
            local=local,
        )
        self._open.append(found)
        return found

    def close(self) -> None:
        """Close every store."""
        for store in self._open:
            store.settings = store.settings.replace(exit_wait_s=0.2)
            store.close()


@contextmanager
def a_team(server: ThreadServer, homes: Path) -> Iterator[Team]:
    """A `Team` as a block."""
    team = Team(server, homes)
    try:
        yield team
    finally:
        team.close()


@pytest.fixture
def team(server: ThreadServer, tmp_path: Path) -> Iterator[Team]:
    """A team on either backend."""
    with a_team(server, tmp_path) as found:
        yield found


@pytest.fixture
def small_team(small_server: ThreadServer, tmp_path: Path) -> Iterator[Team]:
    """A team on SQLite and files."""
    with a_team(small_server, tmp_path) as found:
        yield found


def a_blob(data: bytes) -> Blob:
    """As an encoder gives it."""
    return Blob("plain-1", data, len(data))


def share(store: CloudStore, evaluation: Evaluation, data: bytes) -> None:
    """Save and see that it has been uploaded."""
    store.save(evaluation, a_blob(data))
    assert store.flush(20)


def load_bytes(store: CloudStore, evaluation: Evaluation) -> bytes | None:
    """The result's bytes."""
    blob = store.load(evaluation)
    return None if blob is None else bytes(blob.data)
