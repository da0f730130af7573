"""Every kind of edit: right, or declined with a reason; never silently wrong, and never a wrong result in the store."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import hitsave
from hitsave.errors import HitSaveWarning
from tests.harness import REPOSITORY
from tests.live.conftest import Bench
from tests.live.kinds import KINDS, Kind

CHECK = """
import importlib, sys, warnings
warnings.simplefilter("ignore")
import hitsave
from hitsave.importhook import install_import_hook
root, app, lib = sys.argv[1:4]
hitsave.configure(mode="readonly")
install_import_hook(root)
sys.path.insert(0, root)
for text in sys.argv[4:]:
    with open(f"{root}/{lib}.py", "w") as file:
        file.write(text)
    for name in (app, lib):
        sys.modules.pop(name, None)
    importlib.invalidate_caches()
    hitsave.session.reset()
    top = importlib.import_module(app).top
    print(repr(top.uncached(1)), repr(top(1)))
"""


def fresh_process_agrees(bench: Bench, texts: list[str], cache: str) -> None:
    """What the store answers in a fresh process is what that process computes."""
    done = subprocess.run(
        [sys.executable, "-c", CHECK, str(bench.root), bench.path("app").stem, bench.path("lib").stem, *texts],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "HITSAVE_DIR": cache},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines():
        computed, answered = line[: len(line) // 2], line[len(line) // 2 + 1 :]
        assert computed == answered, done.stdout


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_an_edit_is_right_or_declined(bench: Bench, kind: Kind, tmp_path: Path) -> None:
    bench.write("lib", kind.lib)
    bench.write("app", kind.app)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HitSaveWarning)
        app = bench.load("app")
        assert app.top(kind.x) == kind.before
        bench.start()
        old = bench.path("lib").read_text()
        bench.edit("lib", kind.old, kind.new)
        bench.sync()
        assert app.top(kind.x) == (kind.now if kind.swapped else kind.before)
        assert app.top(kind.x) == app.top.uncached(kind.x)
    if kind.swapped:
        assert "swapped" in bench.kinds(), bench.events
        assert not bench.warnings
    else:
        assert "swapped" not in bench.kinds()
        [said] = bench.warnings
        assert kind.reason in said, said
    new = bench.path("lib").read_text()
    cache = hitsave.session.current().config.dir
    hitsave.session.current().close()
    fresh_process_agrees(bench, [new, old], cache)
