"""Analysis: text in, frozen facts out. What does the code behind a symbol depend on?

    summarise      a `Source` to a `ModuleSummary`: its definitions with digests, what each reads
    Codebase       summaries to one graph: closures forward, dependents backward
    fingerprint    a `Closure` to one digest
    dependencies   the symbols that one symbol of a project on disk depends on

Pure: no disk, clock, environment or import of the code it looks at (`dependencies` alone reads a project from disk).
"""

from __future__ import annotations

from hitsave.analysis.closure import Closure, Widened, fingerprint
from hitsave.analysis.codebase import Codebase
from hitsave.analysis.dependencies import dependencies
from hitsave.analysis.resolve import Modules
from hitsave.analysis.summarise import summarise
from hitsave.analysis.summary import ModuleSummary

__all__ = ["Closure", "Codebase", "ModuleSummary", "Modules", "Widened", "dependencies", "fingerprint", "summarise"]
