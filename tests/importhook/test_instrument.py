"""Functions memoised without a decorator: `[tool.hitsave.instrument]`, `hitsave run --memo`."""

from __future__ import annotations

import pytest

from tests.harness import Project, Runner

ETL = """
def load_a(x):
    print("computing a")
    return x

def load_b(x):
    print("computing b")
    return x

def other(x):
    print("computing other")
    return x
"""
MAIN = "from mypkg.etl import *\nprint(load_a(1), load_b(2), other(3))\n"


@pytest.fixture
def program(project: Project) -> Project:
    return project.write({"mypkg/__init__.py": "", "mypkg/etl.py": ETL, "main.py": MAIN})


def test_patterns_of_the_settings_memoise(program: Project, run: Runner) -> None:
    program.write({"pyproject.toml": '[tool.hitsave.instrument]\nmemo = ["mypkg.etl:load_*"]\n'})
    everything = ["computing a", "computing b", "computing other", "1 2 3"]
    assert run.script("main.py").lines == everything
    assert run.script("main.py").lines == ["computing other", "1 2 3"]
    program.edit("mypkg/etl.py", 'print("computing b")', 'print("computing b")\n    x = x * 1')
    assert run.script("main.py").lines == ["computing b", "computing other", "1 2 3"]
    program.write({"pyproject.toml": ""})
    assert run.script("main.py").lines == everything


def test_patterns_of_the_command_line_memoise(program: Project, run: Runner) -> None:
    args = ("run", "--memo", "mypkg.etl:load_a", "--memo", "mypkg.*:other", "main.py")
    run.hitsave(*args).ok()
    assert run.hitsave(*args).ok().lines == ["computing b", "1 2 3"]


def test_patterns_reach_the_script_itself(project: Project, run: Runner) -> None:
    project.write({"main.py": "def work(x):\n    print('computing')\n    return x\n\nprint(work(1))\n"})
    assert run.hitsave("run", "--memo", "main:work", "main.py").ok().lines == ["computing", "1"]
    assert run.hitsave("run", "--memo", "main:work", "main.py").ok().lines == ["1"]


def test_a_pattern_without_effect_is_known(program: Project, run: Runner) -> None:
    code = """
from hitsave.importhook import install_import_hook
hook = install_import_hook()
hook.instrument(memo=["mypkg.etl:load_*", "mypkg.etl:lod_*", "mypkg.nowhere:*"])
import mypkg.etl
print(hook.unmatched())
"""
    for _ in range(2):  # compiled, and read from the cache
        assert run.python("-c", code).ok().lines == ["('mypkg.etl:lod_*', 'mypkg.nowhere:*')"]


def test_decorated_and_instrumented_is_memoised_once(project: Project, run: Runner) -> None:
    text = """
try:
    from hitsave import memo
except ImportError:
    memo = None

@memo
def work(x):
    print("computing")
    return x
"""
    project.write(
        {"lib.py": text, "main.py": "import lib\nprint(lib.work(1), hasattr(lib.work.__wrapped__, '__wrapped__'))"}
    )
    project.write({"pyproject.toml": '[tool.hitsave.instrument]\nmemo = ["lib:*"]\n'})
    assert run.script("main.py").lines == ["computing", "1 False"]
    assert run.script("main.py").lines == ["1 False"]
