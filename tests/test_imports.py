"""What `import hitsave` does to a process: next to nothing."""

from __future__ import annotations

import sys

from tests.harness import Runner

THIRD_PARTY = """
import sys
before = set(sys.modules)
import hitsave
hitsave.memo, hitsave.experiment
for name in sorted(set(sys.modules) - before):
    spec = getattr(sys.modules[name], "__spec__", None)
    origin = getattr(spec, "origin", None) or ""
    if "site-packages" in origin or "dist-packages" in origin:
        print(name)
"""

# Each of these costs more than all of ours together (docs/decisions/imports.md).
HEAVY = (
    "typing",
    "dataclasses",
    "inspect",
    "pathlib",
    "json",
    "re",
    "ast",
    "logging",
    "pickle",
    "threading",
    "asyncio",
)
HEAVY_LOADED = f"""
import sys
for name in {HEAVY!r}:
    sys.modules.pop(name, None)
import hitsave
print(*(name for name in {HEAVY!r} if name in sys.modules))
"""

OPENED = """
import sys
opened = []
sys.addaudithook(lambda event, args: opened.append(args[0]) if event in ("open", "socket.connect") else None)
import hitsave
print(*(path for path in opened if not str(path).endswith((".py", ".pyc")) and ".pyc." not in str(path)))
"""


def test_importing_hitsave_imports_no_third_party_module(run: Runner) -> None:
    assert run.python("-c", THIRD_PARTY).ok().lines == []


def test_importing_hitsave_imports_none_of_the_heavy_standard_modules(run: Runner) -> None:
    assert run.python("-I", "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}" + HEAVY_LOADED).ok().stdout == "\n"


def test_importing_hitsave_opens_no_file_but_its_own_code(run: Runner) -> None:
    assert run.python("-c", OPENED).ok().stdout == "\n"


def test_importing_hitsave_starts_no_thread(run: Runner) -> None:
    assert run.python("-c", "import hitsave, threading; print(threading.active_count())").ok().lines == ["1"]


def test_importing_hitsave_leaves_the_import_system_as_it_is(run: Runner) -> None:
    program = """
import sys, builtins
before = list(sys.meta_path), list(sys.path_hooks), builtins.__import__
import hitsave
print((list(sys.meta_path), list(sys.path_hooks), builtins.__import__) == before)
"""
    assert run.python("-c", program).ok().lines == ["True"]
