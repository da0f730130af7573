"""Compare the bytecode of the whole standard library, compiled by plain Python and by the rewriter (case 57).

    python benchmarks/import_corpus.py [FOLDER ...]

Prints each function that differs in any field (bytecode, lines, positions, names, constants), and a summary.
"""

from __future__ import annotations

import sys
import sysconfig
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from hitsave.importhook import current_hook
from hitsave.importhook.loader import HitsaveLoader
from tests.importhook.test_fidelity_cases import differences


def main(folders: list[str]) -> int:
    warnings.simplefilter("ignore")
    loader = HitsaveLoader("m", "m.py", current_hook())
    compared = skipped = differing = 0
    started_s = time.monotonic()
    for folder in folders or [sysconfig.get_paths()["stdlib"]]:
        for path in sorted(Path(folder).rglob("*.py")):
            if "site-packages" in path.relative_to(folder).parts:
                continue
            data = path.read_bytes()
            try:
                compile(data + b"\nx = 1\n", str(path), "exec", dont_inherit=True)
            except (SyntaxError, ValueError, RecursionError):
                skipped += 1
                continue
            found = differences(loader, data, str(path))
            compared += 1
            differing += bool(found)
            for line in found:
                print(line)
    print(
        f"{compared} files compared, {differing} differ, {skipped} don't compile, {time.monotonic() - started_s:.0f} s"
    )
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
