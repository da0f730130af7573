"""Analysis of every source file there is: `python benchmarks/analyse_everything.py [--every N] [FOLDER …]`.

Summarises the whole standard library (its tests included), all installed packages and the folders given, writes each
summary down and reads it back. Files that Python itself can't parse are counted; any other exception, and any module
of these that was imported on the way, is a defect, printed, and makes the exit code 1.
"""

from __future__ import annotations

import argparse
import platform
import sys
import sysconfig
import time
from pathlib import Path

from hitsave.analysis import decode_summary, encode_summary, summarise
from hitsave.source import source_of


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take one file of N")
    options = parser.parse_args()
    places = sysconfig.get_paths()
    roots = dict.fromkeys([Path(places["stdlib"]), Path(places["purelib"]), Path(places["platlib"]), *options.folders])
    paths = sorted({path for root in roots for path in root.rglob("*.py")})[:: options.every]
    before = set(sys.modules)
    unparsed = wrong = 0
    clock = time.process_time()
    for path in paths:
        try:
            data = path.read_bytes()
            summary = summarise(source_of("x.y", str(path), data, is_package=path.name == "__init__.py"))
            if decode_summary(encode_summary(summary)) != summary:
                raise AssertionError("another summary came back")
        except SyntaxError:
            unparsed += 1
        except BaseException as error:  # noqa: BLE001 - the point is that there is none
            wrong += 1
            print(f"{path}: {error!r}"[:300], flush=True)
    spent_s = time.process_time() - clock
    imported = {name.partition(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)
    print(
        f"Python {platform.python_version()}: {len(paths)} files, {unparsed} that don't parse, {wrong} exceptions, "
        f"imported: {', '.join(sorted(imported - {'hitsave'})) or 'nothing'} ({spent_s:.0f} s)"
    )
    return 1 if wrong or imported - {"hitsave"} else 0


if __name__ == "__main__":
    sys.exit(main())
