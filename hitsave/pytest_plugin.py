"""The pytest plugin: tests neither see nor leave results.

    --hitsave=isolated    (default) every test has an empty store of its own
    --hitsave=shared      tests use the same store as everything else
    --hitsave=off         memoised functions run as if they weren't

`@pytest.mark.hitsave("off")` chooses for one test, module or class. The fixture `hitsave_store` gives the store of the
test, whichever mode is on: an isolated one.

What is set are environment variables, so that child processes of a test are isolated as well, and a test that never
calls a memoised function pays nothing.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from hitsave.store.disk import DiskStore

MODES = ("isolated", "shared", "off")
DIR, MODE = "HITSAVE_DIR", "HITSAVE_MODE"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--hitsave`, and `hitsave` to the ini file."""
    help_text = "store of memoised functions in tests: isolated (default), shared, or off"
    parser.getgroup("hitsave").addoption("--hitsave", choices=MODES, default=None, help=help_text)
    parser.addini("hitsave", help_text, default="isolated")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and check the ini file."""
    config.addinivalue_line("markers", "hitsave(mode): the store of memoised functions: isolated, shared or off")
    if mode_of(config) not in MODES:
        raise pytest.UsageError(f"hitsave = {mode_of(config)!r} in the ini file: use one of {', '.join(MODES)}")


def mode_of(config: pytest.Config, item: pytest.Item | None = None) -> str:
    """The mode for `item`, or for all tests that don't choose."""
    marker = None if item is None else item.get_closest_marker("hitsave")
    if marker is not None:
        mode = str(marker.kwargs.get("mode") or (marker.args or ("",))[0])
        if mode not in MODES:
            raise pytest.UsageError(f"@pytest.mark.hitsave({mode!r}): use one of {', '.join(MODES)}")
        return mode
    return str(config.getoption("--hitsave") or config.getini("hitsave"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Give the test its store, from before its first fixture until after its last."""
    mode = "isolated" if "hitsave_store" in getattr(item, "fixturenames", ()) else mode_of(item.config, item)
    with Surroundings(mode):
        return (yield)


@pytest.fixture
def hitsave_store() -> DiskStore:
    """The store of this test: empty, and gone when the test is over. `entries()` lists what was stored."""
    from hitsave.session import current

    return current().disk


class Surroundings:
    """The environment of one test, put back as it was when it ends."""

    def __init__(self, mode: str) -> None:
        self._mode = mode
        self._before: dict[str, str | None] = {}
        self._folder = ""

    def __enter__(self) -> None:
        if self._mode == "shared":
            return
        self._before = {name: os.environ.get(name) for name in (DIR, MODE)}
        if self._mode == "off":
            os.environ[MODE] = "off"
        else:
            # A name, not a folder: the store makes it when there is something to store.
            self._folder = str(Path(tempfile.gettempdir()) / f"hitsave-test-{os.getpid()}-{os.urandom(8).hex()}")
            os.environ[DIR] = self._folder
        start_afresh()

    def __exit__(self, *_: object) -> None:
        if self._mode == "shared":
            return
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        start_afresh()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)


def start_afresh() -> None:
    """Let the next call of a memoised function look at the settings anew."""
    session = sys.modules.get("hitsave.session")
    if session is not None and session._current is not None:
        session.reset()
