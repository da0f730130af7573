"""Our own network and files are nobody's dependency, and what came from a colleague stays here."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator

import pytest

import hitsave
from hitsave import experiment, memo
from hitsave.errors import ImpureWarning
from hitsave.session import current
from tests.cloud.team import Team
from tests.cloud.test_two_homes import FIBO, Person, people
from tests.services import wait_until

__all__ = ["people"]


@pytest.fixture
def here(small_team: Team) -> Iterator[None]:
    """This process is bob's; his leases are short, so hearts beat while bodies run."""
    bob = small_team.store("bob")
    home = small_team.homes / "bob"
    with hitsave.isolated(
        str(home / "cache"), remote=small_team.server.url, api_key=bob.settings.api_key, config_dir=str(home / "config")
    ) as session:
        session.cloud.settings = session.cloud.settings.replace(lease_s=6, budget_s=60.0)
        session.cloud.leases.ttl_s = 6
        yield


@memo
def part(n: int) -> list[int]:
    return [n]


@experiment
def whole(n: int) -> int:
    uploaded = len(part(n))
    cloud = current().cloud
    wait_until(lambda: cloud.outbox.count() == 0, 60)  # with a connection of its own, opened just now
    cloud.client.transport.close()  # so the next ones are opened anew
    renewed.clear()
    wait_until(renewed.is_set, 60)
    return uploaded


renewed = threading.Event()


def test_no_connection_of_ours_is_taken_for_the_functions_own(here: None, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = current().cloud
    renew = cloud.client.renew_lease

    def renew_and_tell(*arguments: object) -> None:
        renew(*arguments)
        renewed.set()

    monkeypatch.setattr(cloud.client, "renew_lease", renew_and_tell)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        threads = [threading.Thread(target=whole, args=(n,)) for n in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(200)
        assert whole(7) == 1
    told = [str(warning.message) for warning in said if issubclass(warning.category, ImpureWarning)]
    assert not any("network" in text for text in told), told
    stored = list(current().disk.entries())
    assert len(stored) == 8, [str(warning.message) for warning in said]
    assert not any("network" in entry.observed.impurities for entry in stored)


def test_what_came_from_a_colleague_is_kept_in_a_cache_that_was_not_there(people: tuple[Person, Person]) -> None:
    ann, bob = people
    for person in people:
        person.project.write({"hello.py": FIBO})
    ann.run.python("hello.py").ok()
    bob.run.cache = bob.run.cache / "not" / "there" / "yet"
    assert bob.run.python("hello.py").ok().lines == ["55"]
    offline = bob.run.python("hello.py", env={"HITSAVE_OFFLINE": "1"}).ok()
    assert (offline.lines, offline.stderr) == (["55"], "")
