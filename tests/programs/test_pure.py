"""Each program as pure analysis: fingerprints before and after its edit."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from hitsave.analysis import Codebase, ModuleSummary, fingerprint, summarise
from hitsave.source import source_of
from hitsave.symbol import Symbol
from tests.programs.format import Program, load_programs

HERE = Path(__file__).parent
STATIC = load_programs(HERE / "cases")
RAN = load_programs(HERE / "ran")


class TextModules:
    """Modules of a program's files."""

    def __init__(self, files: dict[str, str]) -> None:
        self._summaries: dict[str, ModuleSummary] = {}
        for path, text in files.items():
            if path.endswith(".py"):
                name = path.removesuffix(".py").removeprefix("src/").replace("/", ".")
                is_package = name == "__init__" or name.endswith(".__init__")
                name = name.removesuffix(".__init__")
                source = source_of(name, path, text.encode("utf-8", "surrogatepass"), is_package=is_package)
                self._summaries[name] = summarise(source)

    def find(self, name: str) -> ModuleSummary | None:
        return self._summaries.get(name)

    def children(self, package: str) -> Iterable[str]:
        prefix = package + "." if package else ""
        found = {
            n[: n.find(".", len(prefix)) if "." in n[len(prefix) :] else None]
            for n in self._summaries
            if n.startswith(prefix)
        }
        return sorted(found - {package})

    def names(self) -> list[str]:
        return list(self._summaries)


def fingerprint_of(program: Program, files: dict[str, str], name: str) -> str:
    modules = TextModules(files)
    codebase = Codebase(modules, extra=["main"] if "main.py" in files else [])
    symbol = Symbol(name)
    ran = None if program.ran is None else frozenset(map(Symbol, program.ran))
    closure = codebase.closure(symbol, ran=ran, earlier=frozenset(map(Symbol, program.earlier)))
    return fingerprint(closure, {})


@pytest.mark.parametrize("program", STATIC + RAN, ids=lambda program: f"{program.where} {program.title}")
def test_the_edit_moves_the_fingerprints_that_it_may_and_no_other(program: Program) -> None:
    if program.python > sys.version_info[:2]:
        pytest.skip(f"needs Python {'.'.join(map(str, program.python))}")
    for name in program.affected:
        assert fingerprint_of(program, program.before, name) != fingerprint_of(program, program.after, name), (
            f"stale: {name}"
        )
    for name in program.spared:
        assert fingerprint_of(program, program.before, name) == fingerprint_of(program, program.after, name), (
            f"wasteful: {name}"
        )


def test_there_are_enough_programs() -> None:
    assert len(STATIC) >= 250
    titles = [program.title for program in STATIC + RAN]
    assert len(titles) == len(set(titles))
