"""Eight processes import the same cold tree at once, again and again: no torn file, no wrong code, no deadlock.

    python benchmarks/import_torture.py [--rounds 1000] [--processes 8] [--seed 0]

Each round writes new texts (with the times of the last round restored in one file of three, so that neither size nor
time tells them apart), removes or damages some of the compiled files, and starts all processes at one moment. Each
imports the modules in an order of its own, some with their interpreter told not to write. A process fails if a module
has another round's value, or its record isn't the text on disk. Afterwards every compiled file must be whole.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import marshal
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import hitsave
from hitsave.importhook import install_import_hook, loaded
from hitsave.importhook.bytecode import MAGIC, TAIL_BYTES

MODULES = 12
PATIENCE_S = 60
MEMORY_BYTES = 1 << 30


def text(number: int, value: int) -> str:
    # Every second module has to be rewritten; the size is the same in every round.
    mark = "import hitsave\n" if number % 2 else ""
    below = f"from pkg.m{number + 1} import VALUE as BELOW\n" if number % 3 == 0 and number + 1 < MODULES else ""
    return f"{mark}{below}VALUE = 1{value:08}\n\ndef f():\n    return VALUE, 1{value:08}\n"


def write_tree(root: Path, value: int, chance: random.Random) -> None:
    package = root / "pkg"
    package.mkdir(exist_ok=True)
    (package / "__init__.py").touch()
    for number in range(MODULES):
        path = package / f"m{number}.py"
        stat = path.stat() if path.exists() else None
        path.write_text(text(number, value))
        if stat is not None and chance.random() < 0.33:
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    cache = package / "__pycache__"
    fate = chance.random()
    if fate < 0.5:
        shutil.rmtree(cache, ignore_errors=True)
    else:
        for path in cache.glob("*"):
            content = path.read_bytes()
            damage = chance.choice(["keep", "keep", "remove", "truncate", "garbage", "empty"])
            if damage == "remove":
                path.unlink()
            elif damage != "keep":
                # Never within the trailer: what is left would be Python's own file, which Python trusts by its time.
                cut = {"truncate": content[: chance.randrange(len(content) // 2 + 1)], "empty": b""}
                path.write_bytes(cut.get(damage, content[:16] + os.urandom(40) + content[-TAIL_BYTES:]))


def child(root: Path, value: int, seed: int, go: int) -> int:
    """Import everything; 0 if all is as it should be."""
    chance = random.Random(seed)
    order = list(range(MODULES))
    chance.shuffle(order)
    sys.dont_write_bytecode = chance.random() < 0.1
    os.read(go, 1)
    for number in order:
        module = importlib.import_module(f"pkg.m{number}")
        if 100_000_000 + value != module.VALUE or module.f() != (module.VALUE, module.VALUE):
            return 1
        found = loaded().get(f"pkg.m{number}")
        if found is None or found.source.data.decode() != text(number, value):
            return 2
    return 0


def play(root: Path, value: int, processes: int, chance: random.Random) -> list[str]:
    """One round; what went wrong."""
    write_tree(root, value, chance)
    go, starter = os.pipe()
    children = {}
    for _ in range(processes):
        seed = chance.randrange(1 << 30)
        pid = os.fork()
        if pid == 0:
            status = 99
            try:
                os.close(starter)
                signal.alarm(PATIENCE_S)
                # Who believes a damaged file that asks for gigabytes gets an error, not the machine's last memory.
                resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
                status = child(root, value, seed, go)
            except BaseException:  # noqa: BLE001 - a forked child must not run on in the parent's code
                traceback.print_exc()
            finally:
                os._exit(status)
        children[pid] = seed
    os.write(starter, b"x" * processes)
    problems = []
    for pid, seed in children.items():
        _, status = os.waitpid(pid, 0)
        if status:
            problems.append(f"round {value}, seed {seed}: exit status {status}")
    os.close(go)
    os.close(starter)
    for path in (root / "pkg" / "__pycache__").glob("*"):
        if not path.name.endswith(".pyc"):
            problems.append(f"round {value}: {path.name} was left behind")
        elif path.read_bytes()[-len(MAGIC) :] == MAGIC:
            try:
                marshal.loads(path.read_bytes()[16:])
            except (ValueError, EOFError, TypeError) as error:
                problems.append(f"round {value}: {path.name} is torn: {error}")
    return problems


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    sys.dont_write_bytecode = False
    problems: list[str] = []
    started_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        (root / ".git").mkdir()
        sys.path.insert(0, str(root))
        install_import_hook(str(root))
        importlib.import_module("hitsave.importhook.instrument")  # what children would each import for themselves
        for value in range(1, options.rounds + 1):
            importlib.invalidate_caches()
            problems += play(root, value, options.processes, chance)
    elapsed_s = time.monotonic() - started_s
    print(f"{options.rounds} rounds of {options.processes} processes, {elapsed_s:.0f} s, hitsave {hitsave.__version__}")
    print("\n".join(problems) or "nothing torn, nothing wrong, nobody waited")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
