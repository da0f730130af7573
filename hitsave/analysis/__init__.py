"""Analysis: text in, frozen facts out. What does the code behind a symbol depend on?

    summarise      a `Source` to a `ModuleSummary`: its definitions with digests, what each reads
    Codebase       summaries to one graph: closures forward, dependents backward
    fingerprint    a `Closure` to one digest
    dependencies   the symbols that one symbol of a project on disk depends on

Pure: no disk, clock, environment or import of the code it looks at (`dependencies` alone reads a project from disk).
Every name is loaded when it is first asked for (PEP 562), and has to stay so: a warm process needs `closure.py` only.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hitsave.analysis.closure import Closure, Widened, fingerprint
    from hitsave.analysis.codebase import Codebase
    from hitsave.analysis.disk import dependencies
    from hitsave.analysis.encode import decode_summary, encode_summary
    from hitsave.analysis.modules import Modules
    from hitsave.analysis.summariser import summarise
    from hitsave.analysis.summary import ModuleSummary

__all__ = [
    "Closure",
    "Codebase",
    "ModuleSummary",
    "Modules",
    "Widened",
    "decode_summary",
    "dependencies",
    "encode_summary",
    "fingerprint",
    "summarise",
]

_HOME = {
    "Closure": "closure",
    "Codebase": "codebase",
    "ModuleSummary": "summary",
    "Modules": "modules",
    "Widened": "closure",
    "decode_summary": "encode",
    "dependencies": "disk",
    "encode_summary": "encode",
    "fingerprint": "closure",
    "summarise": "summariser",
}


def __getattr__(name: str) -> object:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(__import__(f"{__name__}.{home}", fromlist=[name]), name)
    globals()[name] = found
    return found
