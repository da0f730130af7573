"""A zygote: a Python process that has imported hitsave's modules once and forks a child for every run.

    python zygote.py REPOSITORY          requests as JSON lines on stdin, answers as JSON lines on stdout

A child is what `python main.py` would be: its own `__main__` module, `sys.path[0]`, working folder, environment and
output; only the 100 ms that imports cost are saved. Nothing of hitsave has run when it is forked: modules are imported,
but no hook is installed, no session made, no file opened. That the two agree is tested with true fresh processes.

This file is also run by Python versions that have no pytest: standard library and hitsave only.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import sys
import traceback
import types
from pathlib import Path

# Not `hitsave.decorators`: what runs is noted from the moment that it is imported.
PRELOADED = [
    "hitsave.decorated",
    "hitsave.evaluator.bindings",
    "hitsave.evaluator.code",
    "hitsave.evaluator.conditions",
    "hitsave.evaluator.evaluator",
    "hitsave.evaluator.generators",
    "hitsave.evaluator.live",
    "hitsave.evaluator.lookup",
    "hitsave.evaluator.made",
    "hitsave.evaluator.memo",
    "hitsave.evaluator.narrowing",
    "hitsave.evaluator.notices",
    "hitsave.evaluator.packages",
    "hitsave.evaluator.plan",
    "hitsave.evaluator.planner",
    "hitsave.evaluator.recording",
    "hitsave.evaluator.state",
    "hitsave.evaluator.typed",
    "hitsave.evaluator.wrapper",
    "hitsave.session",
    "hitsave.analysis",
    "hitsave.explaining",
    "hitsave.functions",
    "hitsave.observe.files",
    "hitsave.observe.running",
    "hitsave.observe.variables",
    "hitsave.store.disk",
    "hitsave.store.hardened",
    "hitsave.store.memory",
    "hitsave.store.tiers",
    "hitsave.values.by_parts",
    "hitsave.values.canonical",
    "hitsave.values.codec",
    "hitsave.values.codecs.plain",
    "hitsave.values.digest",
    "hitsave.values.forms",
    "hitsave.values.frame",
    "hitsave.values.parts",
    "hitsave.values.rules.code",
    "hitsave.values.rules.instances",
    "hitsave.values.rules.standard",
    "hitsave.importhook.attestation",
    "hitsave.importhook.literals",
    "hitsave.importhook.rewriter",
    "hitsave.importhook.bytecode",
    "hitsave.importhook.loader",
    "hitsave.importhook.sites",
    "diskcache",
    "sqlite3",
    "zlib",
    "ast",
    "inspect",
    "typing",
    "dataclasses",
    "enum",
    "functools",
    "collections",
    "contextlib",
    "asyncio",
    "threading",
    "concurrent.futures",
    "concurrent.futures.thread",
    "logging",
    "json",
    "re",
    "pickle",
    "abc",
    "copy",
    "weakref",
    "contextvars",
    "importlib.metadata",
]


def serve(repository: str) -> None:
    """Answer requests until stdin ends."""
    sys.path.insert(0, repository)
    for name in PRELOADED:
        try:
            importlib.import_module(name)
        except ImportError:
            continue  # a part that this version of hitsave doesn't have
    gc.freeze()  # or each child's first collection would copy all these pages
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        answers.write(json.dumps(run(request)) + "\n")
        answers.flush()


def run(request: dict[str, object]) -> dict[str, object]:
    """Fork, run the script, wait: `{"stdout", "stderr", "code"}`."""
    out, err = os.memfd_create("out"), os.memfd_create("err")
    pid = os.fork()
    if not pid:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.setpgid(0, 0)
        signal.alarm(int(request.get("timeout_s") or 60))  # type: ignore[call-overload]
        be_python(request)
    _, status = os.waitpid(pid, 0)
    return {"stdout": _read(out), "stderr": _read(err), "code": os.waitstatus_to_exitcode(status)}


def _read(descriptor: int) -> str:
    os.lseek(descriptor, 0, os.SEEK_SET)
    with os.fdopen(descriptor, "rb") as file:
        return file.read().decode(errors="replace")


def be_python(request: dict[str, object]) -> None:
    """Do what `python script` does, from its `sys.path` to its exit code. Never returns."""
    script, folder, environment = str(request["script"]), str(request["folder"]), request["environment"]
    code = 0
    try:
        os.chdir(folder)
        for name in [name for name in os.environ if name.startswith("HITSAVE")]:
            del os.environ[name]
        os.environ.update(environment)  # type: ignore[call-overload]
        if request.get("bare"):
            _be_without_hitsave()
        else:
            _be_born()
        path = str(Path(folder, script))
        sys.argv[:] = [script]
        sys.path[0:0] = [str(Path(path).parent)]
        sys.dont_write_bytecode = bool(request.get("no_bytecode"))
        main = types.ModuleType("__main__")
        main.__dict__.update(__file__=path, __builtins__=__builtins__, __cached__=None)
        sys.modules["__main__"] = main
        importlib.invalidate_caches()
        compiled = compile(Path(path).read_bytes(), path, "exec", dont_inherit=True)
        exec(compiled, main.__dict__)
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:  # noqa: BLE001 - as the interpreter does: print it, exit 1
        traceback.print_exc()
        code = 1
    finally:
        _exit(code)


def _be_born() -> None:
    """Let hitsave take this moment for the start of the process: a fork knows no better bound than its parent's."""
    from time import time

    from hitsave.importhook import clock

    clock._IMPORTED_AT_S, clock._IMPORTED_IN = time(), os.getpid()


def _be_without_hitsave() -> None:
    """Let `from hitsave import memo` give a decorator that leaves a function as it is."""
    stand_in = types.ModuleType("hitsave")
    stand_in.memo = stand_in.experiment = lambda function: function  # type: ignore[attr-defined]
    for name in [name for name in sys.modules if name.partition(".")[0] == "hitsave"]:
        del sys.modules[name]
    sys.modules["hitsave"] = stand_in


def _exit(code: int) -> None:
    """Leave as the interpreter does: threads are joined, exit functions run, output is flushed."""
    import atexit
    import threading

    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1])
