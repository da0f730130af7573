"""What the cloud costs: processor time of server and client per request, memory per transfer, size of pages.

    python benchmarks/cloud.py [--runs 200000] [--seconds 10] [--clients 32] [--only requests|hammer|dashboard]

Starts its own server (SQLite and files, in a process) on loop-back and prints one line per figure beside its target.
CPU times are user + system of one process, so a busy machine inflates them less than wall-clock times; of requests the
least of five rounds is taken. One request at a time, the server sleeps after each and finds the processor's caches full
of other programs' data: on a busy machine that doubles the figure, so they are also taken with sixteen connections.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import hashlib
import json
import os
import re
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import requests  # noqa: E402

from hitsave.cloud.client import Client  # noqa: E402
from hitsave.cloud.signing import create_team_key  # noqa: E402
from hitsave.cloud.store import CloudSettings, CloudStore  # noqa: E402
from hitsave.cloud.transport import Transport  # noqa: E402
from hitsave.digest import digest_text  # noqa: E402
from hitsave.evaluation import Blob, Evaluation, Key, Observed  # noqa: E402
from hitsave.wire import Lookup, Manifest, blob_name, render_manifest  # noqa: E402

ROUNDS = 5
SERVER = "from hitsave.server.main import serve; serve(port={port}, data_dir={data!r}, requests_per_s=1e9)"


class Server:
    def __init__(self, directory: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.directory = directory
        self.url = f"http://127.0.0.1:{self.port}"
        program = SERVER.format(port=self.port, data=str(directory))
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.DEVNULL)
        while True:
            try:
                requests.get(self.url + "/healthz", timeout=1)
                break
            except OSError:
                time.sleep(0.05)
        self.key = (directory / "owner.key").read_text().strip()

    def cpu_s(self) -> float:
        """User and system time of all its threads, to the nanosecond (those of ended threads are missing)."""
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def cpu_of(self, request: Callable[[int], object], n: int) -> float:
        """Processor time per request in us: the least of five rounds, since what else the machine does only adds."""
        costs = []
        for round_ in range(ROUNDS):
            began = self.cpu_s()
            for i in range(n // ROUNDS):
                request(round_ * (n // ROUNDS) + i)
            costs.append((self.cpu_s() - began) / (n // ROUNDS) * 1e6)
        return min(costs)

    def memory(self, field: str) -> int:
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"{field}:\s+(\d+)", text)[1]) * 1024  # type: ignore[index]

    def cpu_when_busy(self, method: str, path: str, bodies: list[bytes], n: int) -> float:
        """As `cpu_of`, with sixteen connections whose requests come together: the server has no time to sleep."""
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {self.key}\r\n"
        head += "Accept-Encoding: identity\r\nConnection: keep-alive\r\n"
        of_body = "Content-Type: application/json\r\nContent-Length: {}\r\n"
        sent = [(head + (of_body.format(len(b)) if b else "") + "\r\n").encode() + b for b in bodies]
        connections = [socket.create_connection(("127.0.0.1", self.port)) for _ in range(16)]
        costs = []
        for _ in range(ROUNDS):
            began = self.cpu_s()
            for i in range(0, n // ROUNDS, len(connections)):
                for j, connection in enumerate(connections):
                    connection.sendall(sent[(i + j) % len(sent)])
                for connection in connections:
                    read_answer(connection)
            costs.append((self.cpu_s() - began) / (i + len(connections)) * 1e6)
        for connection in connections:
            connection.close()
        return min(costs)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)


def read_answer(connection: socket.socket) -> None:
    received = b""
    while (end := received.find(b"\r\n\r\n")) < 0:
        received += connection.recv(1 << 16)
    assert received.startswith(b"HTTP/1.1 200 "), received[:200]
    left = int(re.search(rb"content-length: (\d+)", received)[1]) - (len(received) - end - 4)  # type: ignore[index]
    while left > 0:
        left -= len(connection.recv(1 << 16))


def a_key(i: int) -> Key:
    return Key("bench.mod:f", digest_text("code"), digest_text(str(i)))  # type: ignore[arg-type]


def evaluation(i: int, data: bytes) -> Evaluation:
    return Evaluation(a_key(i), Observed(), "plain-1", digest_text("r"), len(data), 1.7e9, 1.0, f"f(x={i})", "1")


def line(name: str, value: float, unit: str, target: str) -> None:
    print(f"{name:58} {value:10.2f} {unit:6} target {target}", flush=True)


def own_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def requests_cost(server: Server, session: requests.Session, n: int) -> None:
    base = f"{server.url}/api/v1/projects/default"
    small = os.urandom(1024)
    for i in range(50):
        data = small + bytes([i])
        manifest = render_manifest(Manifest("default", "k", blob_name(data), evaluation(i, data)))
        body = {"manifest": manifest, "tag": "k:00", "inline": base64.b64encode(data).decode()}
        key = a_key(i)
        url = f"{base}/entries/{key.symbol}/{key.fingerprint}/{key.arguments}"
        assert session.put(url, json=body).status_code == 201
    bodies = [json.dumps(Lookup((a_key(i % 50),)).to_json()).encode() for i in range(50)]
    headers = {"Content-Type": "application/json"}
    session.post(f"{base}/entries:lookup", data=bodies[0], headers=headers)

    def look_up(body: bytes) -> None:
        assert session.post(f"{base}/entries:lookup", data=body, headers=headers).status_code == 200

    path = f"{base[len(server.url) :]}/entries:lookup"
    cost = server.cpu_when_busy("POST", path, bodies, n)
    line("server CPU, look-up that hits 1 KiB (SQLite), busy server", cost, "us", "250")
    cost = server.cpu_of(lambda _: session.get(f"{server.url}/healthz"), n)
    line("server CPU, an answer of nothing (uvicorn and front door)", cost, "us", "-")
    cost = server.cpu_of(lambda i: look_up(bodies[i % 50]), n)
    line("  the same, one request at a time", cost, "us", "250")
    misses = [json.dumps(Lookup((a_key(10_000 + i),), lease_s=60, holder="b").to_json()).encode() for i in range(n)]
    cost = server.cpu_of(lambda i: look_up(misses[i]), n)
    line("server CPU, miss with a lease granted (SQLite)", cost, "us", "-")
    name = blob_name(small + bytes([0]))
    session.get(f"{base}/blobs/{name}")
    cost = server.cpu_when_busy("GET", f"{base[len(server.url) :]}/blobs/{name}", [b""], n)
    line("server CPU, GET of a 1 KiB blob, busy server", cost, "us", "150")
    cost = server.cpu_of(lambda _: session.get(f"{base}/blobs/{name}"), n)
    line("  the same, one request at a time", cost, "us", "150")


def transfers(server: Server, session: requests.Session) -> None:
    base = f"{server.url}/api/v1/projects/default"
    costs, reads = [], []
    for i in range(5):
        data = os.urandom(50_000_000)
        name = "sha256-" + hashlib.sha256(data).hexdigest()
        before = server.cpu_s()
        assert session.put(f"{base}/blobs/{name}", data=data).status_code == 201
        costs.append(server.cpu_s() - before)
        before = server.cpu_s()
        with session.get(f"{base}/blobs/{name}", stream=True) as reply:
            while reply.raw.read(1 << 20):
                pass
        reads.append(server.cpu_s() - before)
        if i == 0:
            settled = server.memory("VmRSS")
    line("server CPU, upload of 50 MB, verified", sorted(costs)[2] * 1e3, "ms", "150")
    line("server CPU, download of 50 MB", sorted(reads)[2] * 1e3, "ms", "150")
    peak_before = server.memory("VmHWM")
    uploads = [os.urandom(50_000_000) for _ in range(4)]

    def upload(data: bytes) -> None:
        headers = {"Authorization": f"Bearer {server.key}"}
        requests.put(f"{base}/blobs/{blob_name(data)}", data=data, headers=headers, timeout=120)

    threads = [threading.Thread(target=upload, args=(data,)) for data in uploads]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    growth = max(server.memory("VmHWM") - max(peak_before, settled), 0) / len(uploads)
    line("server memory per upload of 50 MB (4 at once)", growth / 2**20, "MiB", "8")


def client_cost(server: Server, directory: Path, n: int) -> None:
    config = str(directory / "config")
    create_team_key(config)
    settings = CloudSettings(server.url, server.key, project="default", budget_s=10.0, lease_s=0)
    writer = CloudStore(settings, config_dir=config, outbox_dir=str(directory / "outbox"))
    data = os.urandom(1000)
    began = time.perf_counter()
    for i in range(300):
        writer.save(evaluation(500_000 + i, data), Blob("plain-1", data, len(data)))
    line("client wall, save into the outbox", (time.perf_counter() - began) / 300 * 1e6, "us", "-")
    assert writer.flush(60)
    writer.close()
    reader = CloudStore(settings, config_dir=config, outbox_dir=str(directory / "outbox2"))
    reader.find(a_key(500_299))
    walls = []
    began = own_cpu_s()
    for i in range(n):
        start = time.perf_counter()
        [found] = reader.find(a_key(500_000 + i % 300))
        assert reader.load(found) is not None
        walls.append(time.perf_counter() - start)
    line("client CPU, a hit of 1 kB (look-up, verify, load)", (own_cpu_s() - began) / n * 1e3, "ms", "1.5")
    walls.sort()
    line("client wall, the same: median", walls[n // 2] * 1e3, "ms", "2")
    line("client wall, the same: 99th percentile", walls[n * 99 // 100] * 1e3, "ms", "10")
    reader.close()


def run_of(i: int) -> Manifest:
    details = json.dumps({"arguments": {"lr": i % 997 / 1000, "layers": i % 7}, "result": {"loss": i % 1009 / 7}})
    e = evaluation(i, b"x").replace(is_experiment=True, details=details, started=1.7e9 + i)
    return Manifest("default", "k", blob_name(b"x"), e)


def dashboard(directory: Path, runs: int) -> None:
    import sqlalchemy as sa

    from hitsave.server import entries
    from hitsave.server.app import open_state
    from hitsave.server.database import tables
    from hitsave.server.settings import Settings
    from hitsave.server.starting import login_link, prepare

    state = open_state(Settings(data_dir=directory))
    prepare(state)
    print(f"  (filling in {runs} runs)", flush=True)
    with state.database.transaction() as connection:
        first = run_of(0)
        entries.store(connection, 1, entries.Offer(first, render_manifest(first), "t", b"x", 0, "bench"))
        row = dict(connection.execute(sa.select(tables.entries)).one()._mapping)
        for start in range(1, runs, 5000):
            numbers = range(start, min(runs, start + 5000))
            connection.execute(
                sa.insert(tables.entries),
                [
                    {**row, "id": i + 1, "arguments": digest_text(str(i)), "started": 1.7e9 + i, "title": f"f(x={i})"}
                    for i in numbers
                ],
            )
            cells = []
            for i in numbers:
                values = (("arg", "lr", i % 997 / 1000), ("arg", "layers", i % 7), ("res", "loss", i % 1009 / 7))
                for kind, name, number in values:
                    place = {"entry_id": i + 1, "function_id": 1, "kind": kind, "name": name}
                    cells.append({**place, "text": str(number), "number": float(number)})
            connection.execute(sa.insert(tables.cells), cells)
        connection.execute(sa.update(tables.columns).values(seen=runs, numbers=runs, high="9"))
        connection.execute(sa.update(tables.functions).values(results=runs, last_started=1.7e9 + runs))
        connection.execute(sa.update(tables.versions).values(results=runs))
    state.close()
    server = Server(directory)
    state = open_state(Settings(data_dir=directory, port=server.port))
    session = requests.Session()
    session.get(login_link(state, server.key))
    state.close()
    for name, path in (
        ("first page of runs", "/dashboard/functions/bench.mod:f"),
        ("first page of experiments", "/dashboard/experiments"),
        ("runs sorted by a result", "/dashboard/functions/bench.mod:f?sort=res.loss"),
        ("runs filtered by an argument", "/dashboard/functions/bench.mod:f?f.arg.lr=<0.1"),
    ):
        times, size = [], 0
        for _ in range(7):
            reply = session.get(server.url + path)
            assert reply.status_code == 200, path
            times.append(float(re.search(r"dur=([\d.]+)", reply.headers["Server-Timing"])[1]))  # type: ignore[index]
            size = len(reply.content)
        line(f"{name} of {runs}: server time", sorted(times)[3], "ms", "100")
        if name == "first page of runs":
            line(f"{name} of {runs}: size", size / 1000, "kB", "300")
    server.stop()


def assets() -> None:
    static = ROOT / "hitsave" / "server" / "dashboard" / "static"
    size = sum(len(gzip.compress(p.read_bytes(), 9)) for p in static.iterdir())
    line("all assets of the dashboard, compressed", size / 1000, "kB", "100")


def hammer(server: Server, clients: int, seconds: float) -> None:
    """Many clients want the same keys at once: each is computed once, nothing is lost, nothing fails."""
    computed: dict[int, int] = {}
    lock = threading.Lock()
    errors: list[str] = []
    until = time.monotonic() + seconds
    count = [0]

    def work(number: int) -> None:
        client = Client(Transport(server.url, server.key), "default")
        i = 0
        while time.monotonic() < until:
            key = a_key(10_000_000 + i)
            i += 1
            try:
                while True:
                    [answer] = client.look_up(Lookup((key,), lease_s=60, holder=f"c{number}"), 60)
                    if answer.held is None:
                        break
                    client.wait_for_lease(answer.held.name, 5, 60)
                if answer.status != "hit":
                    data = f"value {i}".encode()
                    e = evaluation(10_000_000 + i - 1, data)
                    with lock:
                        computed[i] = computed.get(i, 0) + 1
                    text = render_manifest(Manifest("default", "k", blob_name(data), e))
                    fence = answer.lease.fence if answer.lease else 0
                    client.put_entry(key, text, "k:00", inline=data, fence=fence, budget_s=60)
                with lock:
                    count[0] += 1
            except Exception as error:  # noqa: BLE001  a benchmark counts whatever goes wrong
                errors.append(repr(error)[:200])
        client.transport.close()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(clients)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.monotonic() - began
    client = Client(Transport(server.url, server.key), "default")
    lost = 0
    numbers = sorted(computed)
    for start in range(0, len(numbers), 500):
        keys = tuple(a_key(10_000_000 + i - 1) for i in numbers[start : start + 500])
        lost += sum(a.status != "hit" for a in client.look_up(Lookup(keys, candidates=False, inline_max=0), 60))
    client.transport.close()
    twice = sum(n > 1 for n in computed.values())
    print(f"{clients} clients for {elapsed:.0f} s: {count[0]} calls, {len(computed)} keys, {twice} computed twice, "
          f"{lost} lost, {len(errors)} errors {errors[:3]}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200_000)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--only", choices=("requests", "hammer", "dashboard"), help="one part alone")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        server = Server(Path(directory) / "server")
        session = requests.Session()
        session.trust_env = False
        session.headers["Authorization"] = f"Bearer {server.key}"
        if options.only in (None, "requests"):
            requests_cost(server, session, options.requests)
            transfers(server, session)
            client_cost(server, Path(directory), options.requests // 2)
        if options.only in (None, "hammer"):
            hammer(server, options.clients, options.seconds)
        server.stop()
        if options.only in (None, "dashboard"):
            assets()
            dashboard(Path(directory) / "dashboard", options.runs)


if __name__ == "__main__":
    main()
