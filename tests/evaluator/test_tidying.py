"""When a program ends, what it stored is brought within the limits of the cache."""

from __future__ import annotations

from tests.harness import Project, Runner

PROGRAM = """
import sys
from hitsave import memo

@memo(max_entries=3)
def few(x):
    print("few", x)
    return x

@memo
def large(x):
    print("large", x)
    return bytes([x]) * 300_000

for x in range(6):
    few(x)
    large(x)
"""


def test_a_function_keeps_no_more_results_than_it_may(project: Project, run: Runner) -> None:
    project.write({"a.py": PROGRAM})
    run.script("a.py").ok()
    assert run.script("a.py").ok().lines == ["few 0", "few 1", "few 2"]  # the newest three were kept


def test_a_cache_that_has_grown_too_large_is_collected_once_a_day(project: Project, run: Runner) -> None:
    project.write({"a.py": PROGRAM, "pyproject.toml": "[tool.hitsave]\nmax_size = '1M'\n"})
    run.script("a.py").ok()
    again = [line for line in run.script("a.py").ok().lines if line.startswith("large")]
    assert 3 <= len(again) < 6
    used = sum(path.stat().st_size for path in run.cache.rglob("*") if path.is_file())
    assert used < 6 * 300_000


def test_who_stored_nothing_collects_nothing(project: Project, run: Runner) -> None:
    project.write({"a.py": PROGRAM.replace("range(6)", "range(2)")})
    run.script("a.py").ok()
    markers = {path: path.stat().st_mtime_ns for path in run.cache.rglob("*collected*")}
    assert markers
    run.script("a.py").ok()
    assert {path: path.stat().st_mtime_ns for path in run.cache.rglob("*collected*")} == markers
