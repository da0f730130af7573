"""Coroutines and threads wait for colleagues without keeping anybody else waiting."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import hitsave
from hitsave import memo
from hitsave.evaluation import FileRead, Key, Observed
from hitsave.session import current
from hitsave.store.fetching import fetched, without_waiting
from tests.cloud.team import MANY, Team, load_bytes, share
from tests.cloud.test_store import requests_served
from tests.cloud.test_two_homes import Person, people
from tests.server.api import a_key, an_evaluation
from tests.services import wait_until

__all__ = ["people"]

HOLDER = """
import asyncio, sys
from hitsave import memo

@memo(impure="allow")
async def answer(x):
    print("computing", flush=True)
    sys.stdin.readline()
    return x + 1

async def tick():
    for _ in range(20):
        await asyncio.sleep(0.01)
    print("ticked", flush=True)

async def main():
    print((await asyncio.gather(answer(41), *[tick() for _ in sys.argv[1:]]))[0], flush=True)

asyncio.run(main())
"""


def test_other_tasks_go_on_while_a_coroutine_waits_for_a_colleague(people: tuple[Person, Person]) -> None:
    ann, bob = people
    for person in people:
        person.project.write({"program.py": HOLDER})
    with started(ann) as first:
        assert read_line(first) == "computing"
        with started(bob, "tick") as second:
            # He waits for her result, and she can't go on before his other task has run.
            assert read_line(second) == "ticked"
            tell(first)
            assert read_line(second) == "42"
            assert second.wait(20) == 0
        assert first.wait(20) == 0


class started:
    """`python program.py` as a block; killed if it is still there at the end."""

    def __init__(self, person: Person, *arguments: str) -> None:
        run = person.run
        command = [sys.executable, "program.py", *arguments]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, cwd=run.cwd, env=run.environment(), **pipes)

    def __enter__(self) -> subprocess.Popen[str]:
        return self.process

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


def read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


def tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


@memo
async def doubled(x: int) -> int:
    ran.append(x)
    return 2 * x


ran: list[int] = []


@pytest.fixture
def here(small_team: Team) -> Iterator[Team]:
    """This process is bob's."""
    ran.clear()
    bob = small_team.store("bob")
    server, home = small_team.server, small_team.homes / "bob"
    with hitsave.isolated(
        str(home / "cache"), remote=server.url, api_key=bob.settings.api_key, config_dir=str(home / "config")
    ) as session:
        session.cloud.settings = session.cloud.settings.replace(budget_s=60.0)  # the machine may be busy
        yield small_team


def key_of(x: int) -> Key:
    made = doubled.__dict__["__hitsave_memo__"]
    asked = current().evaluator.ask(made, (x,))
    assert asked is not None
    return asked.key


def test_a_cancelled_coroutine_leaves_no_lease_behind(here: Team) -> None:
    ann = here.store("ann")
    key = key_of(7)
    ann.find(key)
    before = requests_served(here.server)

    async def main() -> None:
        task = asyncio.ensure_future(doubled(7))
        while requests_served(here.server) < before + 2:  # he has asked, and asked again
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    ann.abandon(key)
    wait_until(lambda: not current().cloud.leases.any)
    carl = here.store("carl", wait_s=0.0)
    assert carl.find(key) == []
    assert carl.leases.any, "nobody else holds it"
    assert ran == []


def test_work_done_in_vain_is_undone() -> None:
    begun, go_on, undone = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go_on.wait(10)

    async def main() -> None:
        task = asyncio.ensure_future(without_waiting(lambda: fetched("x", work, undone.set)))
        while not begun.is_set():
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert not undone.is_set()
    go_on.set()
    assert undone.wait(10)


def test_many_coroutines_at_once_are_all_answered(here: Team) -> None:
    async def main() -> list[int]:
        return list(await asyncio.gather(*[doubled(x) for x in range(40)]))

    assert asyncio.run(main()) == [2 * x for x in range(40)]
    assert sorted(ran) == list(range(40))
    assert current().cloud.trouble.count == 0
    assert current().cloud.flush(20)


def test_many_threads_at_once_are_all_answered(small_team: Team) -> None:
    ann, bob = small_team.store("ann"), small_team.store("bob", budget_s=60.0)
    evaluation = an_evaluation(a_key(0), MANY)
    share(ann, evaluation, MANY)
    found: list[Any] = []

    def look_up(i: int) -> None:
        found.append(bob.find(a_key(i)))

    threads = [threading.Thread(target=look_up, args=(i,)) for i in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(map(len, found)) == [0] * 39 + [1]
    assert bob.trouble.count == 0


def test_a_look_up_in_a_coroutine_gives_what_one_elsewhere_gives(small_team: Team) -> None:
    ann, bob = small_team.store("ann"), small_team.store("bob")
    evaluation = an_evaluation(a_key(), MANY)
    share(ann, evaluation, MANY)

    def look_up() -> bytes | None:
        [found] = bob.find(evaluation.key)
        return load_bytes(bob, found)

    assert asyncio.run(without_waiting(look_up)) == MANY


def test_who_finds_a_result_that_does_not_hold_is_alone_on_computing_it(team: Team, tmp_path: Path) -> None:
    ann, bob = team.store("ann"), team.store("bob")
    old = an_evaluation(a_key(), b"old", Observed(files=(FileRead("a.csv", "d1"),)))  # type: ignore[arg-type]
    new = an_evaluation(a_key(), b"new", Observed(files=(FileRead("a.csv", "d2"),)))  # type: ignore[arg-type]
    share(ann, old, b"old")
    carl = team.store("carl")
    assert bob.find(old.key) == carl.find(old.key) == [old]
    assert not bob.look_again(old.key)
    assert bob.leases.any
    again: list[bool] = []
    waiter = threading.Thread(target=lambda: again.append(carl.look_again(old.key)))
    waiter.start()
    share(bob, new, b"new")
    waiter.join(20)
    assert again in ([True], [False])  # he may have asked after bob was done
    assert carl.find(new.key) == [new, old]


def test_a_result_that_was_used_asks_for_no_lease(small_team: Team) -> None:
    ann, bob = small_team.store("ann"), small_team.store("bob")
    evaluation = an_evaluation(a_key(), b"x")
    share(ann, evaluation, b"x")
    [found] = bob.find(evaluation.key)
    assert load_bytes(bob, found) == b"x"
    assert not bob.look_again(evaluation.key)
    assert not bob.leases.any
