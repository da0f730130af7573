"""Fixtures that every folder of tests shares: an isolated cache, a project in a folder, children that run in it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.harness import Project, Runner

# A skip for want of a Python version is honest everywhere. Any other one (a server program, a browser, an optional
# package) means that CI didn't test what it claims, so there it fails.
ALLOWED_IN_CI = ("needs Python", "only on")


def pytest_configure() -> None:
    """Started in the background by a shell, we ignore SIGINT, and so would the children that tests interrupt."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test touches the cache or settings of whoever runs it, nor is steered by them."""
    for name in [name for name in os.environ if name.startswith("HITSAVE_")]:
        monkeypatch.delenv(name)
    base = tmp_path_factory.mktemp("hitsave")
    monkeypatch.setenv("HITSAVE_DIR", str(base / "cache"))
    monkeypatch.setenv("HITSAVE_CONFIG_DIR", str(base / "config"))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project in a real Git folder: `project.write({"hello.py": "..."})`."""
    root = tmp_path / "project"
    root.mkdir()
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    return Project(root)


@pytest.fixture
def run(tmp_path: Path, project: Project) -> Runner:
    """Child processes in `project` with a cache of their own: `run.script("hello.py").lines`."""
    return Runner(cwd=project.root, cache=tmp_path / "cache", config=tmp_path / "config")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if os.environ.get("CI") == "true" and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not reason.removeprefix("Skipped: ").startswith(ALLOWED_IN_CI):
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid} was skipped in CI: {reason}"
    return report
