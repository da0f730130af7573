"""Thousands of faults between client and server: `python benchmarks/cloud_faults.py [--kills 25] [--step 1]`.

Answers are cut and changed at every byte, and everything else that tests/cloud/faults.py knows. Then server, client,
PostgreSQL and SeaweedFS are killed with -9 at random moments of uploading. Prints counts; exit code 1 if a result was
lost or wrong, or a call took longer than its budget.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from hitsave.cloud.store import CloudStore  # noqa: E402
from hitsave.errors import StoreWarning  # noqa: E402
from hitsave.evaluation import Evaluation  # noqa: E402
from hitsave.server.app import open_state  # noqa: E402
from hitsave.server.fsck import check  # noqa: E402
from hitsave.server.settings import Settings  # noqa: E402
from tests.cloud.faults import FaultProxy  # noqa: E402
from tests.cloud.team import MANY, Team, a_blob, load_bytes, share  # noqa: E402
from tests.cloud.test_faults import BUDGET_S, patient  # noqa: E402
from tests.server.api import a_key, an_evaluation  # noqa: E402
from tests.services import Postgres, ProcessServer, SeaweedFS, running  # noqa: E402

AT_ONCE = 4
SLACK_S = 3.0  # on a busy machine; what is looked for are hangs
OTHERS = ("drop", "blackhole", "slow", "garbage", "longer", "twice", "status:500", "status:503", "status:302")

CHILD = """
import sys
sys.path.insert(0, {root!r})
from hitsave.cloud.store import CloudSettings, CloudStore
from tests.cloud.team import a_blob
from tests.server.api import a_key, an_evaluation
store = CloudStore(CloudSettings({url!r}, {key!r}, lease_s=0), config_dir={config!r}, outbox_dir={outbox!r})
for i in range({start}, {start} + 1000):
    data = i.to_bytes(4, "big") * (20_000 if i % 4 == 0 else 5)
    store.save(an_evaluation(a_key(i), data).replace(started=float(i)), a_blob(data))
    print(i, flush=True)
"""


def wire(folder: Path, data: bytes, faults: list[str], only: str) -> Counter[str]:
    """Each fault upon a look-up and its download. Most of the time is spent on waiting, so several go on at once."""
    evaluation = an_evaluation(a_key(), data)
    with running(folder / "server") as server:
        team = Team(server, folder)
        share(team.store("ann"), evaluation, data)
        proxies = [FaultProxy(server.url) for _ in range(AT_ONCE)]
        stores = [team.store(f"bob{i}", url=p.url, budget_s=BUDGET_S, lease_s=0) for i, p in enumerate(proxies)]
        for proxy in proxies:
            proxy.only = only
        with ThreadPoolExecutor(AT_ONCE) as threads:
            parts = [
                threads.submit(meet, patient(stores[i]), proxies[i], evaluation, data, faults[i::AT_ONCE])
                for i in range(AT_ONCE)
            ]
            counts = sum((part.result() for part in parts), Counter[str]())
        for proxy in proxies:
            proxy.stop()
        team.close()
    return counts


def meet(store: CloudStore, proxy: FaultProxy, evaluation: Evaluation, data: bytes, faults: list[str]) -> Counter[str]:
    """What becomes of one look-up per fault."""
    counts: Counter[str] = Counter()
    for fault in faults:
        proxy.fault = fault
        store._misses.clear()
        store.trusted.clear()
        began = time.monotonic()
        found = store.find(evaluation.key)
        value = load_bytes(store, found[0]) if found else None
        counts["late"] += time.monotonic() - began > 2 * BUDGET_S + SLACK_S
        counts["wrong"] += (found not in ([], [evaluation])) or value not in (None, data)
        counts["the value" if value == data else "a miss"] += 1
        counts[fault.partition(":")[0]] += 1
    return counts


class Somewhere:
    """What `Team` needs of a server in a process."""

    def __init__(self, server: ProcessServer) -> None:
        self.url = server.url
        self._server = server

    def new_key(self, scope: str, user: str) -> str:
        return self._server.key


def kills(
    folder: Path, server: ProcessServer, hit: Callable[[], None], count: int, chance: random.Random, first: int = 0
) -> Counter[str]:
    """Upload while `hit()` kills something and brings it back, `count` times; then read everything elsewhere."""
    counts: Counter[str] = Counter(kills=count)
    team = Team(Somewhere(server), folder)  # type: ignore[arg-type]
    ann = patient(team.store("ann", lease_s=0))
    saved = []
    for round_ in range(count):
        for i in range(first + round_ * 12, first + round_ * 12 + 12):
            data = i.to_bytes(4, "big") * (30_000 if i % 3 == 0 else 5)
            saved.append((an_evaluation(a_key(i), data), data))
            ann.save(saved[-1][0], a_blob(data))
        time.sleep(chance.random() * 0.3)
        hit()
    deliver(ann)
    count_read(team.store("bob"), saved, counts)
    team.close()
    return counts


def client_kills(folder: Path, server: ProcessServer, count: int, chance: random.Random) -> Counter[str]:
    """Kill the uploading process; whatever it said it had saved must arrive with a later one."""
    counts: Counter[str] = Counter(kills=count)
    team = Team(Somewhere(server), folder)  # type: ignore[arg-type]
    saved = []
    for round_ in range(count):
        home = folder / "ann"
        program = CHILD.format(
            root=str(ROOT), url=server.url, key=server.key, config=str(home / "config"),
            outbox=str(home / "outbox"), start=10**9 + round_ * 1000,
        )  # fmt: skip
        child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        timer = threading.Timer(1.5 + 2 * chance.random(), child.kill)
        timer.start()
        assert child.stdout is not None
        for line in child.stdout:
            i = int(line) if line.endswith("\n") else -1
            data = i.to_bytes(4, "big") * (20_000 if i % 4 == 0 else 5) if i >= 0 else b""
            if data:
                saved.append((an_evaluation(a_key(i), data).replace(started=float(i)), data))
        child.wait()
        timer.cancel()
    later = team.store("ann", lease_s=0)
    deliver(later)
    count_read(team.store("bob"), saved, counts)
    team.close()
    return counts


def deliver(store: CloudStore) -> None:
    until = time.monotonic() + 300
    store.uploader.poke()
    while store.waiting() and time.monotonic() < until:
        store.flush(5)


def count_read(store: CloudStore, saved: list, counts: Counter[str]) -> None:  # type: ignore[type-arg]
    for evaluation, data in saved:
        found = patient(store).find(evaluation.key)
        value = load_bytes(store, found[0]) if found else None
        counts["right" if value == data else "lost" if value is None else "wrong"] += 1


@contextmanager
def services() -> Iterator[tuple[Postgres, SeaweedFS]]:
    os.environ.update(AWS_ACCESS_KEY_ID="hitsavekey", AWS_SECRET_ACCESS_KEY="hitsavesecret")
    folder, other = (Path(tempfile.mkdtemp(prefix="hitsave-faults-")) for _ in range(2))
    postgres, weed = Postgres(folder, durable=True), SeaweedFS(other)
    try:
        yield postgres, weed
    finally:
        postgres.stop("immediate")
        weed.stop(signal.SIGKILL)
        for used in (folder, other):
            shutil.rmtree(used, ignore_errors=True)


def show(name: str, counts: Counter[str], began: float) -> int:
    bad = counts["lost"] + counts["wrong"] + counts["late"] + counts["damaged"]
    told = ", ".join(f"{what} {n}" for what, n in sorted(counts.items()) if n)
    print(f"{name}, {time.monotonic() - began:.0f} s: {told}; lost, wrong, late or damaged: {bad}", flush=True)
    return bad


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--step", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    warnings.simplefilter("ignore", StoreWarning)
    chance = random.Random(options.seed)
    bad = 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        for kind, data in (("inline", b"value"), ("blob", MANY)):
            began = time.monotonic()
            offsets = range(0, 1800, options.step)
            faults = [*(f"{fault}:{i}" for fault in ("truncate", "flip") for i in offsets), *OTHERS * 4]
            only = "GET" if kind == "blob" else ""  # of a blob, the look-up arrives unharmed
            bad += show(f"wire, {kind}", wire(folder / kind, data, faults, only), began)
        began = time.monotonic()
        server = ProcessServer(folder / "files").start()

        def restart() -> None:
            server.kill()
            server.start()

        counts = kills(folder / "of server", server, restart, options.kills, chance)
        counts += client_kills(folder / "of client", server, options.kills, chance)
        server.kill()
        state = open_state(Settings(data_dir=folder / "files"))
        found = check(state)
        state.close()
        counts["damaged"] = len(found.damaged) + len(found.lost) + len(found.dangling)
        bad += show("kill -9 of server and client, files", counts, began)
        with services() as (postgres, weed):
            began = time.monotonic()
            server = ProcessServer(folder / "s3", database_url=postgres.new_database(), blobs_url=weed.url()).start()

            def crash_database() -> None:
                postgres.stop("immediate")
                postgres.start()

            def crash_storage() -> None:
                weed.stop(signal.SIGKILL)
                weed.start()

            few = max(options.kills // 3, 1)
            for what, hit, n in (
                ("server", restart, options.kills),
                ("PostgreSQL", crash_database, few),
                ("SeaweedFS", crash_storage, few),
            ):
                counts = kills(folder / what, server, hit, n, chance, first=chance.randrange(10**9))
                bad += show(f"kill -9 of {what}, PostgreSQL and S3", counts, began)
            server.stop()
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
