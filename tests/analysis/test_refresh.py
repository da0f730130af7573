"""A code base that takes over edits gives what one made anew does."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from hitsave.analysis import Codebase, ModuleSummary, summarise
from hitsave.analysis.refresh import DIGESTS, EDGES, NAMES, NOTHING, reach_of_edit
from hitsave.source import source_of
from hitsave.symbol import Symbol
from tests.programs.format import Program, load_programs

PROGRAMS = load_programs(Path(__file__).parents[1] / "programs" / "cases")


class Editable:
    """Modules whose text can be exchanged."""

    def __init__(self, files: dict[str, str]) -> None:
        self.edit(files)

    def edit(self, files: dict[str, str]) -> None:
        self.summaries = {}
        for path, text in files.items():
            name = path.removesuffix(".py").removeprefix("src/").replace("/", ".")
            is_package = name.endswith("__init__")
            name = name.removesuffix(".__init__")
            self.summaries[name] = summarise(source_of(name, path, text.encode(), is_package=is_package))

    def find(self, name: str) -> ModuleSummary | None:
        return self.summaries.get(name)

    def children(self, package: str) -> list[str]:
        return sorted(n for n in self.summaries if n.rpartition(".")[0] == package)


def summary(text: str) -> ModuleSummary:
    return summarise(source_of("m", "m.py", text.encode()))


@pytest.mark.parametrize(
    ("before", "after", "reach"),
    [
        ("def f(x): return x + 1", "def f(x): return x + 1", NOTHING),
        ("def f(x): return x + 1", "# moved\ndef f(x): return x + 2", DIGESTS),
        ("K = 1\ndef f(x): return x", "K = 2\ndef f(x): return x", DIGESTS),
        ("def f(x): return len(x)", "def f(x): return max(x)", EDGES),
        ("def f(x): return x", "def f(x): return x\ndef g(x): return x", NAMES),
        ("import a\ndef f(x): return x", "import b as a\ndef f(x): return x", NAMES),
        ("class A(B): pass", "class A(C): pass", NAMES),
        ("K = 1", "K = []", NAMES),
        ("f(1)", "f(2)", DIGESTS),
        ("f(1)", "g(1)", EDGES),
        ("if K: x = 1", "if J: x = 1", EDGES),
    ],
)
def test_how_far_an_edit_reaches(before: str, after: str, reach: int) -> None:
    assert reach_of_edit(summary(before), summary(after)) == reach


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: f"{program.where} {program.title}")
def test_taking_over_an_edit_is_starting_anew(program: Program) -> None:
    if not program.call or program.python > (3, 11):
        pytest.skip("needs Python 3.12")
    names = [Symbol(program.function)]
    modules = Editable(program.before)
    codebase = Codebase(modules)
    for files in (program.before, program.after, program.before):
        modules.edit(files)
        codebase.refresh()
        fresh = Codebase(Editable(files))
        for name in names:
            assert codebase.closure(name).pairs == fresh.closure(name).pairs
            assert codebase.closure(name).live == fresh.closure(name).live


def test_random_edits_in_a_row() -> None:
    rng = random.Random(5)
    bodies = [
        "return a(x)",
        "return b(x) + 1",
        "return x",
        "REG[x] = a\n    return REG",
        "return K + x",
        "return C().run(x)",
    ]
    files = {"m.py": "", "n.py": ""}
    modules = Editable({"m.py": "def a(x): return x\n", "n.py": ""})
    codebase = Codebase(modules)
    for _ in range(60):
        functions = "".join(f"def {name}(x):\n    {rng.choice(bodies)}\n" for name in "ab")
        files["n.py"] = (
            f"K = {rng.randrange(3)}\nREG = {{}}\nclass C:\n    def run(self, x): {rng.choice(bodies[:3])}\n"
            "from m import a, b\n"
        )
        files["m.py"] = f"from n import K, REG, C\n{functions}"
        modules.edit(dict(files))
        codebase.refresh()
        fresh = Codebase(Editable(dict(files)))
        for name in ("m:a", "m:b", "n:C"):
            assert codebase.closure(Symbol(name)).pairs == fresh.closure(Symbol(name)).pairs
