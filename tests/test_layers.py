"""The layers of docs/architecture.md hold, and the contracts that say so notice a wrong import."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness import REPOSITORY


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    command = "import sys; from importlinter.cli import lint_imports_command as run; sys.exit(run())"
    return subprocess.run(
        [sys.executable, "-c", command, "--no-cache"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_module_imports_only_what_stands_below_it() -> None:
    done = lint_imports(REPOSITORY)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "wrong", "contract"),
    [
        ("digest.py", "import hitsave.analysis", "A module imports only what stands below it"),
        ("analysis/__init__.py", "import hitsave.store", "A module imports only what stands below it"),
        ("store/__init__.py", "import hitsave.values", "A module imports only what stands below it"),
        ("server/__init__.py", "import hitsave.explain.render", "The server stores opaque bytes"),
        ("values/__init__.py", "import diskcache", "diskcache lives in hitsave.store"),
        ("store/__init__.py", "import requests", "requests lives in hitsave.cloud"),
        ("cli/main.py", "import watchdog", "watchdog lives in hitsave.live"),
        ("analysis/__init__.py", "import astor", "astor lives in hitsave.explain.render"),
        ("explain/text.py", "import astor", "astor lives in hitsave.explain.render"),
    ],
)
def test_a_planted_wrong_import_breaks_its_contract(tmp_path: Path, module: str, wrong: str, contract: str) -> None:
    shutil.copytree(REPOSITORY / "hitsave", tmp_path / "hitsave", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    with (tmp_path / "hitsave" / module).open("a") as file:
        file.write(f"\n{wrong}\n")
    done = lint_imports(tmp_path)
    assert done.returncode != 0
    broken = [line for line in done.stdout.splitlines() if " BROKEN" in line]
    assert any(contract in line for line in broken), done.stdout
