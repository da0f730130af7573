"""How much of what a package's tests run lies inside the static closures: Python 3.11 or later.

    python benchmarks/audit_packages.py [--source src] PROJECT [pytest arguments]

PROJECT is an unpacked source distribution whose tests run with the packages installed in this environment. Its tests
run under a profiler (`audit_trace.py`); each (caller, callee) pair is looked up in `dependencies(PROJECT, caller)`.

    inside      the callee is in the caller's closure
    arguments   it isn't, and could be reached from the arguments, or from code that these bring along
    gap         it isn't, and couldn't: printed

and, over callers, the closure's share of the functions that the caller's module can import. Pairs with other code in
between (a compiled template, a C function calling back) are counted apart from direct calls.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from hitsave.analysis import Codebase
from hitsave.analysis.disk import DiskModules
from hitsave.analysis.locate import locate
from hitsave.analysis.summary import Function
from hitsave.errors import UnknownSymbol
from hitsave.project import project_at
from hitsave.symbol import Symbol

Pair = tuple[Symbol, Symbol]


def trace(project: Path, source: Path, arguments: list[str]) -> list[list[object]]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "pairs.json"
        paths = [str(source), str(Path(__file__).parent)]
        environment = {
            **os.environ,
            "AUDIT_ROOT": str(source),
            "AUDIT_OUT": str(out),
            "PYTHONPATH": os.pathsep.join(paths),
        }
        command = [sys.executable, "-m", "pytest", "-q", "-p", "audit_trace", "-p", "no:cacheprovider", *arguments]
        subprocess.run(command, cwd=project, env=environment, check=False)
        rows: list[list[object]] = json.loads(out.read_text("utf-8"))
        return rows


class Audit:
    """Pairs that were seen, held against closures."""

    def __init__(self, project: Path, rows: list[list[object]]) -> None:
        self.modules = DiskModules(project_at(str(project)))
        self.codebase = Codebase(self.modules)
        self.pairs: dict[Pair, tuple[bool, bool]] = {}  # direct?, through arguments?
        self.brought: dict[Pair, set[Symbol]] = {}  # code that the caller's arguments brought
        for row in rows:
            caller, callee = self._symbol(row[:3]), self._symbol(row[3:6])
            if caller and callee and caller != callee:
                direct, through = self.pairs.get((caller, callee), (False, True))
                self.pairs[caller, callee] = (direct or bool(row[6]), through and bool(row[7]))
                places: list[list[object]] = row[8]  # type: ignore[assignment]
                self.brought.setdefault((caller, callee), set()).update(filter(None, map(self._symbol, places)))
        self.closures = {caller: self.codebase.depends(caller) for caller, _ in self.pairs}

    def _symbol(self, place: list[object]) -> Symbol | None:
        path, qualname, line = place
        name = self.modules.project.module_name(str(path))
        summary = None if name is None else self.modules.find(name)
        return None if summary is None else locate(summary, str(qualname), int(str(line)))

    def report(self) -> None:
        for title, direct_only in (("direct calls", True), ("all", False)):
            inside, arguments, gaps = 0, 0, []
            for (caller, callee), (direct, through) in self.pairs.items():
                if direct_only and not direct:
                    continue
                if callee in self.closures[caller]:
                    inside += 1
                elif through or self._is_brought(caller, callee):
                    arguments += 1
                else:
                    gaps.append((caller, callee))
            clean = len(self.closures) - len({caller for caller, _ in gaps})
            print(
                f"{title}: {inside} inside, {arguments} through arguments, {len(gaps)} gaps: "
                f"{inside / max(1, inside + len(gaps)):.2%} of pairs, "
                f"{clean / max(1, len(self.closures)):.2%} of callers"
            )
        for caller, callee in sorted(gaps):
            print(f"  gap: {caller} -> {callee}")
        shares = [share for caller in self.closures if (share := self._share(caller)) is not None]
        print(
            f"closures: {sum(shares) / max(1, len(shares)):.1%} of importable functions, "
            f"average of {len(shares)} callers"
        )

    def _is_brought(self, caller: Symbol, callee: Symbol) -> bool:
        """Is the callee in the closure of code that came in through arguments: what a method of theirs makes?"""
        return any(self._has(name, callee) for name in self.brought[caller, callee])

    def _has(self, start: Symbol, wanted: Symbol) -> bool:
        try:
            return wanted in self.codebase.depends(start)
        except UnknownSymbol:
            return False

    def _share(self, caller: Symbol) -> float | None:
        importable: set[str] = set()
        for name in self.codebase.imported_by(caller.partition(":")[0]):
            summary = self.modules.find(name)
            if summary is not None:
                importable |= {
                    f"{summary.module}:{qualname}"
                    for qualname, found in summary.definitions.items()
                    if any(isinstance(definition, Function) for definition in found)
                }
        return len(self.closures[caller] & importable) / len(importable) if importable else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path)
    parser.add_argument("--source", default="", help="folder of the packages below PROJECT")
    parser.add_argument("arguments", nargs="*", help="given to pytest")
    options = parser.parse_args()
    project = options.project.resolve()
    Audit(project, trace(project, project / options.source, options.arguments)).report()


if __name__ == "__main__":
    main()
