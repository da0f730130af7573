"""Each program as real processes: run, edit, run; what a memoised call returns is held against an uncached run."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.runner import Folder, Processes, Ran
from tests.programs.format import Program, load_programs

PROGRAMS = load_programs(Path(__file__).parent / "cases")
MAIN = """
import sys
sys.path.insert(0, "src")
from hitsave import memo
import {module}
function = memo({module}.{name})
{setup}
print("=", repr(function({arguments}))
print("RUN" if function.cache_info().misses else "HIT")
"""


@pytest.fixture(scope="module")
def forked() -> Iterator[Processes]:
    processes = Processes()
    yield processes
    processes.close()


def main_of(program: Program, files: dict[str, str]) -> str:
    """A main program that makes the call, after what the program's own main.py imports."""
    symbol, _, arguments = program.call.partition("(")
    module, _, name = symbol.partition(":")
    own = "".join(line + "\n" for line in files.get("main.py", "").splitlines() if line.startswith("import"))
    return own + MAIN.format(module=module, name=name, setup=program.setup, arguments=arguments)


def write(folder: Folder, program: Program, files: dict[str, str]) -> None:
    for path in folder.root.rglob("*.py"):
        if str(path.relative_to(folder.root)) not in files:
            path.unlink()
    for name, text in {**files, "main.py": main_of(program, files)}.items():
        path = folder.root / name
        if not path.exists() or path.read_text("utf-8", "surrogatepass") != text:
            folder.write(name, text)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: f"{program.where} {program.title}")
def test_a_memoised_call_returns_what_an_uncached_one_does(program: Program, forked: Processes) -> None:
    if program.python > sys.version_info[:2]:
        pytest.skip(f"needs Python {'.'.join(map(str, program.python))}")
    base = Path(tempfile.mkdtemp(prefix="hitsave-"))
    (base / "project").mkdir()
    cached = {"HITSAVE_DIR": str(base / "cache"), "HITSAVE_CONFIG_DIR": str(base / "config")}
    plain = {"HITSAVE_DIR": str(base / "none"), "HITSAVE_CONFIG_DIR": str(base / "nothing"), "HITSAVE_MODE": "off"}
    try:
        folder = Folder(base / "project", {})
        write(folder, program, program.before)
        first, again = forked.run(folder.root, cached), forked.run(folder.root, cached)
        write(folder, program, program.after)
        edited = forked.run(folder.root, cached)
        truth = forked.run(folder.root, plain, no_bytecode=True)
    finally:
        shutil.rmtree(base, ignore_errors=True)
    assert first.answers, first.stderr
    assert _state(again) == "HIT", f"wasteful: it ran twice unedited {again.stderr}"
    assert again.answers == first.answers
    assert edited.answers == truth.answers, f"stale: {edited.answers}, not {truth.answers} {truth.stderr}"
    if program.function in program.spared:
        assert _state(edited) == "HIT", f"wasteful {edited.stderr}"


def _state(ran: Ran) -> str:
    return ran.stdout.split()[-1] if ran.stdout.split() else ""
