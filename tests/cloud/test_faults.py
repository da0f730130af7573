"""Dead, slow, broken and lying servers: the caller waits at most its budget, and never gets a wrong value."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from hitsave.cloud.breaker import Breaker
from hitsave.cloud.store import CloudStore
from hitsave.cloud.transport import Transport, Unreachable
from hitsave.errors import StoreWarning
from hitsave.server.app import open_state
from hitsave.server.fsck import check
from hitsave.server.settings import Settings
from tests.cloud.faults import FaultProxy
from tests.cloud.team import MANY, Team, a_blob, load_bytes, share
from tests.server.api import Api, a_key, an_evaluation
from tests.services import REPOSITORY, ProcessServer, free_port, wait_until

BUDGET_S = 1.0
SLACK_S = 0.6


@pytest.fixture
def proxy(small_team: Team) -> Iterator[FaultProxy]:
    found = FaultProxy(small_team.server.url)
    yield found
    found.stop()


def patient(store: CloudStore) -> CloudStore:
    """With a breaker that never opens, so that every fault is met."""
    store.client.transport.breaker = Breaker(failures=1_000_000)
    store.settings = store.settings.replace(wait_s=0.0)
    return store


@pytest.mark.parametrize(
    "fault", ["drop", "blackhole", "slow", "garbage", "longer", "status:500", "status:503", "status:302", "truncate:0"]
)
def test_a_look_up_ends_within_its_budget_with_a_miss(small_team: Team, proxy: FaultProxy, fault: str) -> None:
    evaluation = an_evaluation(a_key(), b"x")
    share(small_team.store("ann"), evaluation, b"x")
    bob = small_team.store("bob", url=proxy.url, budget_s=BUDGET_S)
    proxy.fault = fault
    began = time.monotonic()
    with pytest.warns(StoreWarning):
        assert bob.find(evaluation.key) == []
    assert time.monotonic() - began < BUDGET_S + SLACK_S
    proxy.fault = "none"
    bob._misses.clear()
    assert bob.find(evaluation.key) == [evaluation]


def test_an_answer_cut_at_any_byte_is_a_miss_or_the_truth(small_team: Team, proxy: FaultProxy) -> None:
    evaluation = an_evaluation(a_key(), b"value")
    share(small_team.store("ann"), evaluation, b"value")
    bob = patient(small_team.store("bob", url=proxy.url, budget_s=BUDGET_S, lease_s=0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StoreWarning)
        for offset in range(0, 1600, 23):
            proxy.fault = f"truncate:{offset}"
            bob._misses.clear()
            bob.trusted.clear()
            found = bob.find(evaluation.key)
            assert found in ([], [evaluation])
            assert not found or load_bytes(bob, evaluation) == b"value"


@pytest.mark.parametrize("data", [b"value", MANY], ids=["inline", "blob"])
def test_a_flipped_byte_is_never_a_wrong_value(small_team: Team, proxy: FaultProxy, data: bytes) -> None:
    evaluation = an_evaluation(a_key(), data)
    share(small_team.store("ann"), evaluation, data)
    bob = patient(small_team.store("bob", url=proxy.url, budget_s=BUDGET_S, lease_s=0))
    outcomes = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StoreWarning)
        for offset in range(0, 1200, 17):
            proxy.fault = f"flip:{offset}"
            bob._misses.clear()
            bob.trusted.clear()
            for found in bob.find(evaluation.key):
                assert found == evaluation
                outcomes.add(load_bytes(bob, found))
    assert outcomes <= {None, data}


def test_a_request_that_arrives_twice_does_no_harm(small_team: Team, proxy: FaultProxy) -> None:
    proxy.fault = "twice"
    ann = small_team.store("ann", url=proxy.url)
    bob = small_team.store("bob", url=proxy.url)
    for i, data in enumerate((b"x", MANY)):
        evaluation = an_evaluation(a_key(i), data)
        ann.find(evaluation.key)
        share(ann, evaluation, data)
        assert bob.find(evaluation.key) == [evaluation]
        assert load_bytes(bob, evaluation) == data
    assert ann.uploader.conflicts == 0


def test_after_three_outages_nothing_is_sent_until_the_probe(small_team: Team, proxy: FaultProxy) -> None:
    bob = small_team.store("bob", url=proxy.url, budget_s=BUDGET_S)
    bob.client.transport.breaker = Breaker(open_s=0.5)
    proxy.fault = "status:500"
    with pytest.warns(StoreWarning):
        for i in range(20):
            bob.find(a_key(i))
    assert proxy.requests <= 6
    proxy.fault = "none"
    before = proxy.requests
    wait_until(lambda: not bob.client.transport.breaker.is_open)
    bob.find(a_key(100))
    bob.find(a_key(101))
    assert proxy.requests == before + 2


def test_a_bad_signature_never_opens_the_circuit(small_team: Team, proxy: FaultProxy) -> None:
    for i in range(5):
        share(small_team.store(f"eve{i}", trusted=False), an_evaluation(a_key(i), b"x"), b"x")
    bob = small_team.store("bob", url=proxy.url)
    with pytest.warns(StoreWarning):
        for i in range(5):
            assert bob.find(a_key(i)) == []
    assert not bob.client.transport.breaker.is_open


def test_a_dead_address_costs_at_most_the_connect_time(tmp_path: Path) -> None:
    transport = Transport(f"http://127.0.0.1:{free_port()}", "k")
    began = time.monotonic()
    for _ in range(50):
        with pytest.raises(Unreachable):
            transport.request("GET", "/", budget_s=5)
    assert time.monotonic() - began < 2
    transport.close()


def test_redirects_are_not_followed_so_the_key_stays_here(small_team: Team, proxy: FaultProxy) -> None:
    from hitsave.cloud.transport import Refused

    proxy.fault = "status:307"
    transport = Transport(proxy.url, "k")
    with pytest.raises(Refused):
        transport.request("GET", "/", budget_s=5)
    assert proxy.requests == 1
    transport.close()


@pytest.mark.parametrize("offset", [0, 12, 17, 25, 40, 90, 200, 320, 400])
@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_an_upload_whose_answer_is_cut_anywhere_is_never_taken_for_done(
    small_team: Team, proxy: FaultProxy, offset: int, method: str
) -> None:
    ann = patient(small_team.store("ann", url=proxy.url, lease_s=0))
    ann.uploader.close()  # step by step, in this thread
    evaluation = an_evaluation(a_key(), MANY)
    ann.save(evaluation, a_blob(MANY))
    proxy.only, proxy.fault = method, f"truncate:{offset}"
    with contextlib.suppress(Unreachable):
        ann.uploader.drain()
    proxy.fault = "none"
    deliver_here(ann)
    bob = small_team.store("bob")
    assert bob.find(evaluation.key) == [evaluation]
    assert load_bytes(bob, evaluation) == MANY


def deliver_here(store: CloudStore) -> None:
    """Send everything in this thread."""

    def is_empty() -> bool:
        store.uploader.drain()
        return store.waiting() == 0

    wait_until(is_empty, 30)


@pytest.mark.parametrize("fault", ["drop", "status:503", "truncate:40", "garbage"])
def test_results_saved_while_the_server_is_away_arrive_when_it_is_back(
    small_team: Team, proxy: FaultProxy, fault: str
) -> None:
    ann = patient(small_team.store("ann", url=proxy.url))
    proxy.fault = fault
    evaluations = [(an_evaluation(a_key(i), d), d) for i, d in enumerate((b"x", MANY, b"y"))]
    with pytest.warns(StoreWarning):
        for evaluation, data in evaluations:
            began = time.monotonic()
            ann.save(evaluation, a_blob(data))
            assert time.monotonic() - began < 0.5
        wait_until(lambda: ann.trouble.count > 0)
    proxy.fault = "none"
    deliver(ann)
    bob = small_team.store("bob")
    for evaluation, data in evaluations:
        assert bob.find(evaluation.key) == [evaluation]
        assert load_bytes(bob, evaluation) == data


def test_an_upload_in_parts_survives_a_line_that_keeps_breaking(
    small_team: Team, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hitsave.cloud.uploader.RESUMABLE_FROM", 1 << 20)
    monkeypatch.setattr("hitsave.cloud.uploader.CHUNK", 1 << 20)
    data = os.urandom(5 << 20)
    evaluation = an_evaluation(a_key(), data)
    ann = patient(small_team.store("ann", url=proxy.url))
    ann.uploader.close()
    ann.save(evaluation, a_blob(data))
    append = ann.client.append
    calls = []

    def breaking(upload_id: str, offset: int, piece: bytes, budget_s: float) -> None:
        calls.append(offset)
        if len(calls) % 2 == 0:
            proxy.fault = "drop"
            try:
                append(upload_id, offset, piece, budget_s)
            finally:
                proxy.fault = "none"
        append(upload_id, offset, piece, budget_s)

    monkeypatch.setattr(ann.client, "append", breaking)
    assert ann.uploader.drain() == 1
    assert len(set(calls)) == 5  # nothing was sent again that had arrived
    assert load_bytes(small_team.store("bob"), evaluation) == data


def deliver(store: CloudStore) -> None:
    """See that everything in the outbox is sent, without waiting out the pauses between attempts."""

    def is_empty() -> bool:
        store.outbox.make_due()
        store.uploader.poke()
        return store.flush(0.2)

    wait_until(is_empty, 60)


CHILD = """
import sys, time
sys.path.insert(0, {repository!r})
from hitsave.cloud.store import CloudSettings, CloudStore
from tests.server.api import a_key, an_evaluation
from tests.cloud.team import a_blob
store = CloudStore(CloudSettings({url!r}, {key!r}), config_dir={config!r}, outbox_dir={outbox!r})
store.uploader.close()      # so that everything still waits when we die
for i in range(20):
    data = i.to_bytes(4, "big") * (20_000 if i % 2 else 5)
    store.save(an_evaluation(a_key(i), data), a_blob(data))
print("saved", flush=True)
sys.stdin.read()
"""


def test_a_client_killed_with_a_full_outbox_loses_nothing(small_team: Team) -> None:
    home = small_team.homes / "ann"
    program = CHILD.format(
        repository=str(REPOSITORY),
        url=small_team.server.url,
        key=small_team.server.new_key("write", "ann"),
        config=str(home / "config"),
        outbox=str(home / "outbox"),
    )
    child = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"saved\n"
    child.kill()
    child.wait()
    for line in (child.stdin, child.stdout):
        assert line is not None
        line.close()
    later = small_team.store("ann")
    assert later.waiting() == 20
    assert later.uploader.drain() == 20
    statuses = [answer["status"] for answer in Api(small_team.server).look_up(*(a_key(i) for i in range(20)))]
    assert statuses == ["hit"] * 20
    assert [p.name for p in (home / "outbox").iterdir() if not p.name.startswith("outbox.db")] == []


@pytest.mark.slow
def test_a_server_killed_again_and_again_while_we_upload_loses_nothing(tmp_path: Path) -> None:
    server = ProcessServer(tmp_path / "server").start()

    class Somewhere:
        url = server.url

        def new_key(self, scope: str, user: str) -> str:
            return server.key

    team = Team(Somewhere(), tmp_path)  # type: ignore[arg-type]
    ann = patient(team.store("ann"))
    evaluations = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StoreWarning)
        for i in range(60):
            data = i.to_bytes(4, "big") * (40_000 if i % 3 == 0 else 5)
            evaluations.append((an_evaluation(a_key(i), data), data))
            ann.save(evaluations[-1][0], a_blob(data))
            if i % 20 == 10:
                server.kill()
                server.start()
        deliver(ann)
    server.kill()
    state = open_state(Settings(data_dir=tmp_path / "server"))
    findings = check(state)
    state.close()
    assert (findings.damaged, findings.lost, findings.dangling) == ((), (), ())
    server.start()
    bob = team.store("bob")
    for evaluation, data in evaluations:
        assert bob.find(evaluation.key) == [evaluation]
        assert load_bytes(bob, evaluation) == data
    team.close()
    server.stop()


def test_the_store_goes_on_in_a_forked_child(small_team: Team) -> None:
    ann = small_team.store("ann")
    ann.find(a_key())
    evaluation = an_evaluation(a_key(1), b"child")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 warns of fork beside threads: that is the test
        pid = os.fork()
    if pid == 0:
        status = 1
        try:
            ann.save(evaluation, a_blob(b"child"))
            status = 0 if ann.flush(10) and not ann.leases.any else 2
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    assert ann.find(evaluation.key) == [evaluation]
