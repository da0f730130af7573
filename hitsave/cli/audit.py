"""`hitsave audit`: run a program under observation and list project code that ran outside the static closure."""

from __future__ import annotations

import argparse
import atexit
import json
import os
import sys
from typing import Any

from hitsave.cli.calls import CallRecorder
from hitsave.cli.output import Output
from hitsave.cli.run import Program
from hitsave.errors import UnknownSymbol
from hitsave.symbol import MODULE, Symbol, qualname_of

SHOWN = 20


def add_audit(parser: argparse.ArgumentParser) -> None:
    """Options of `hitsave audit`; all that follows the script or module is the program's."""
    parser.usage = "hitsave audit [options] SCRIPT [ARGS ...]\n       hitsave audit [options] -m MODULE [ARGS ...]"
    parser.add_argument("target", metavar="SCRIPT | -m MODULE", help="the program, and its arguments")
    parser.epilog = (
        "Nothing is looked up or stored. The report goes to stderr when the program ends (--json: one line of JSON)."
    )


def audit(options: argparse.Namespace, output: Output) -> int:
    """Run the program as `hitsave run --mode off` does; report at its end."""
    program: Program = options.program
    os.environ["HITSAVE_MODE"] = "off"
    from hitsave.evaluator.code import Codebook
    from hitsave.evaluator.packages import Packages
    from hitsave.importhook import install_import_hook, loaded
    from hitsave.importhook.main import run_module, run_path
    from hitsave.project import find_project
    from hitsave.store.memory import MemoryStore

    project = find_project(options.root or program.place)
    hook = install_import_hook(project.root)
    book = Codebook(project, loaded(), MemoryStore(), Packages())
    recorder = CallRecorder(book.symbol_of_code)

    def report() -> None:
        recorder.stop()
        found = _compare(recorder, book)
        sys.stderr.write((json.dumps(found) if output.json else _text(found)) + "\n")

    atexit.register(report)
    recorder.start()
    (run_module if program.is_module else run_path)(program.target, program.args, hook)
    return 0


def _compare(recorder: CallRecorder, book: Any) -> dict[str, Any]:
    """The executed pairs against the static closures of their callers."""
    pairs = covered = 0
    gaps: dict[Symbol, list[Symbol]] = {}
    callers = [name for name in sorted(recorder.pairs) if qualname_of(name) != MODULE]
    for caller in callers:
        ran = {name for name in recorder.pairs[caller] if qualname_of(name) != MODULE} - {caller}
        try:
            reached = book.closure({caller}).symbols()
        except UnknownSymbol:
            reached = frozenset()
        pairs += len(ran)
        covered += len(ran & reached)
        if ran - reached:
            gaps[caller] = sorted(ran - reached)
    return {
        "pairs": pairs,
        "covered": covered,
        "share": covered / pairs if pairs else 1.0,
        "callers": len(callers),
        "callers_without_gap": len(callers) - len(gaps),
        "gaps": gaps,
    }


def _text(found: dict[str, Any]) -> str:
    lines = [
        f"hitsave audit: {found['covered']} of {found['pairs']} executed (caller, callee) pairs are in the static"
        f" closure ({found['share']:.2%}); {found['callers_without_gap']} of {found['callers']} callers have no gap"
    ]
    for caller, missing in list(found["gaps"].items())[:SHOWN]:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        lines.append(f"  {caller} ran {', '.join(missing[:5])}{more}")
    if len(found["gaps"]) > SHOWN:
        lines.append(f"  … and {len(found['gaps']) - SHOWN} more callers (--json lists all)")
    if found["gaps"]:
        lines.append(
            "  What came in through arguments is outside by nature: a call's key holds it. Anything else: report it."
        )
    return "\n".join(lines)
