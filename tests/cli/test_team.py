"""`login`, `push`, `pull` … with a real server in a child process, two machines by two homes."""

from __future__ import annotations

import json
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.harness import Project, Runner

for extra in ("starlette", "uvicorn", "sqlalchemy", "jinja2"):
    pytest.importorskip(extra, reason="needs hitsave[server]")

PROGRAM = "from hitsave import memo\n@memo\ndef f(x):\n    print('computing')\n    return x\nf(1)\n"


class Server:
    def __init__(self, url: str, key: str) -> None:
        self.url = url
        self.key = key


@pytest.fixture
def server(run: Runner, tmp_path: Path) -> Iterator[Server]:
    with subprocess.Popen(
        [run.executable, "-m", "hitsave", "serve", "--port", "0", "--data", str(tmp_path / "server"), "--json"],
        cwd=run.cwd,
        env=run.environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        told = "".join(iter(process.stdout.readline, "}\n")) + "}"
        try:
            yield Server(json.loads(told)["url"], (tmp_path / "server" / "owner.key").read_text().strip())
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0


@pytest.fixture
def colleague(run: Runner, tmp_path: Path) -> Runner:
    return replace(run, cache=tmp_path / "their cache", config=tmp_path / "their config")


def test_two_machines_share_results_through_a_server(
    project: Project, run: Runner, colleague: Runner, server: Server
) -> None:
    project.write({"a.py": PROGRAM})
    assert run.script("a.py").lines == ["computing"]
    run.hitsave("keygen").ok()
    done = run.hitsave("login", server.url, stdin=server.key + "\n").ok()
    assert server.key not in done.stdout + done.stderr
    assert run.hitsave("push").ok().lines == ["pushed 1, 0 there already"]
    assert run.hitsave("push").ok().lines == ["pushed 0, 1 there already"]

    line = run.hitsave("keys", "export").ok().lines[0]
    colleague.hitsave("keys", "import", stdin=line + "\n").ok()
    colleague.hitsave("login", server.url, "--key", server.key).ok()
    assert colleague.hitsave("pull", "--json").ok().json()["pull"]["moved"] == 1
    assert colleague.script("a.py", env={"HITSAVE_OFFLINE": "1"}).lines == []
    assert colleague.hitsave("sync").ok().lines[0] == "pulled 0, 1 there already"


def test_logging_out_forgets_the_key(run: Runner, server: Server) -> None:
    run.hitsave("login", server.url, "--key", server.key).ok()
    assert run.hitsave("config", "get", "remote").ok().lines == [server.url]
    assert "forgot the key" in run.hitsave("logout").ok().stdout
    assert "there was no key" in run.hitsave("logout").ok().stdout


def test_a_key_of_another_server_is_refused_with_a_reason(run: Runner, server: Server) -> None:
    done = run.hitsave("login", server.url, "--key", "hs_read_nonsense")
    assert done.exit_code == 2
    assert "Paste the whole key" in done.stderr


def test_without_a_server_or_when_offline_the_way_in_is_told(project: Project, run: Runner) -> None:
    project.write({"a.py": PROGRAM})
    run.script("a.py")
    assert "hitsave login" in run.hitsave("push").stderr
    done = run.hitsave("push", env={"HITSAVE_REMOTE": "http://127.0.0.1:1", "HITSAVE_OFFLINE": "1"})
    assert done.exit_code == 2
    assert "offline" in done.stderr
    unreachable = run.hitsave("push", env={"HITSAVE_REMOTE": "http://127.0.0.1:1", "HITSAVE_API_KEY": "x"})
    assert unreachable.exit_code == 1
    assert "Traceback" not in unreachable.stderr


def test_keys_are_listed_renewed_and_forgotten(run: Runner) -> None:
    name = run.hitsave("keygen", "--json").ok().json()["id"]
    listed = run.hitsave("keys", "--json").ok().json()
    assert [key["id"] for key in listed if key["signs"]] == [name]
    run.hitsave("keys", "forget", name).ok()
    assert run.hitsave("keys", "forget", name).exit_code == 1
    assert run.hitsave("keys", "forget").exit_code == 2
    run.hitsave("keys", "rotate").ok()


def test_the_dashboard_shows_the_local_cache(project: Project, run: Runner) -> None:
    project.write({"a.py": PROGRAM.replace("memo", "experiment")})
    run.script("a.py")
    with subprocess.Popen(
        [run.executable, "-m", "hitsave", "dashboard"],
        cwd=run.cwd,
        env=run.environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        link = process.stdout.readline().split()[-1]
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        page = opener.open(link, timeout=60).read().decode()
        assert "hitsave" in page
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
