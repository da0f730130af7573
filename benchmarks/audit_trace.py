"""A pytest plugin that records which project function calls which: `pytest -p audit_trace` (see audit_packages.py).

For each (caller, callee) pair of code under AUDIT_ROOT, tests aside, it also notes whether the callee was reachable
from the caller's arguments, which carry their own code: a function, a method of an object's class, a generator.
"""

from __future__ import annotations

import atexit
import functools
import gc
import json
import os
import sys
import threading
import types
from typing import Any

ROOT = os.environ.get("AUDIT_ROOT", "").rstrip("/") + "/"
MOST_STEPS, MOST_OBJECTS, MOST_LOOKS, MOST_CODES = 9, 120_000, 3, 400
GENERATORS = (types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType)
ATOMS = (int, str, float, bytes, bool, type(None), types.ModuleType, types.CodeType, types.FrameType)

pairs: dict[tuple[types.CodeType, types.CodeType], list[int]] = {}  # direct?, through arguments?, looks
ours: dict[types.CodeType, bool] = {}
brought: dict[tuple[types.CodeType, types.CodeType], set[types.CodeType]] = {}  # code that arguments brought
busy = False


def is_ours(code: types.CodeType) -> bool:
    known = ours.get(code)
    if known is None:
        name = code.co_filename
        inside = name[len(ROOT) - 1 :]
        known = (
            name.startswith(ROOT) and "/tests/" not in inside and "/test_" not in inside and "conftest" not in inside
        )
        ours[code] = known
    return known


def reachable(frame: types.FrameType, callee: types.FrameType, codes: set[types.CodeType]) -> bool:
    """Can the callee's code be reached from what the frame was given? The project code that is met goes to `codes`."""
    code, given = frame.f_code, frame.f_locals
    count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 4) + bool(code.co_flags & 8)
    work: list[Any] = [given.get(name) for name in (*code.co_varnames[:count], *code.co_freevars, ".0")]
    seen: set[int] = set()
    for _ in range(MOST_STEPS):
        found: list[Any] = []
        for thing in work:
            if id(thing) in seen or len(seen) > MOST_OBJECTS or type(thing) in ATOMS:
                continue
            seen.add(id(thing))
            if _is_callee(thing, callee):
                return True
            if isinstance(thing, types.FunctionType) and is_ours(thing.__code__) and len(codes) < MOST_CODES:
                codes.add(thing.__code__)
            found += _parts(thing)
        work = found
    return False


def _is_callee(thing: Any, callee: types.FrameType) -> bool:
    if isinstance(thing, types.FunctionType):
        nested = [thing.__code__]
        for code in nested:
            if code is callee.f_code:
                return True
            nested += [inner for inner in code.co_consts if isinstance(inner, types.CodeType)]
    if isinstance(thing, GENERATORS):
        for name in ("gi_code", "cr_code", "ag_code"):
            if getattr(thing, name, None) is callee.f_code:
                return True
    return False


def _parts(thing: Any) -> list[Any]:
    if isinstance(thing, types.MethodType):
        return [thing.__func__, thing.__self__]
    if isinstance(thing, functools.partial):
        return [type(thing), thing.func, thing.args, thing.keywords, thing.__dict__]
    if isinstance(thing, types.FunctionType):
        cells = [cell.cell_contents for cell in thing.__closure__ or () if _is_filled(cell)]
        return [*cells, thing.__dict__, thing.__defaults__, *_named_by(thing)]
    if isinstance(thing, type):
        members = [getattr(v, "__func__", v) for k in thing.__mro__ for v in k.__dict__.values()]
        return [type(thing), *members, *(getattr(m, n, None) for m in members for n in ("fget", "fset", "func"))]
    parts = [part for part in gc.get_referents(thing)[:400] if type(part) not in ATOMS]
    return [type(thing), *parts]


def _named_by(function: types.FunctionType) -> list[Any]:
    """What code that was made at run time (a compiled template) names: it was handed over, and has no closure."""
    if is_ours(function.__code__) or not function.__code__.co_filename.startswith(("<", ROOT)):
        return []
    codes = [function.__code__]
    for code in codes:
        codes += [inner for inner in code.co_consts if isinstance(inner, types.CodeType)]
    return [function.__globals__.get(name) for code in codes for name in code.co_names]


def _is_filled(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - raises for an empty cell
    except ValueError:
        return False
    return True


def profile(frame: types.FrameType, event: str, _: object) -> None:
    global busy
    if event != "call" or busy or not is_ours(frame.f_code):
        return
    caller, direct = frame.f_back, 1
    while caller is not None and not is_ours(caller.f_code):
        if "/tests/" in caller.f_code.co_filename or "/test_" in caller.f_code.co_filename:
            return
        caller, direct = caller.f_back, 0
    if caller is None:
        return
    known = pairs.get((caller.f_code, frame.f_code))
    if known is None or (known[1] and known[2] < MOST_LOOKS):
        busy = True
        through = int(reachable(caller, frame, brought.setdefault((caller.f_code, frame.f_code), set())))
        busy = False
        pairs[caller.f_code, frame.f_code] = [direct, through, known[2] + 1 if known else 0]


def write() -> None:
    sys.setprofile(None)
    threading.setprofile(None)  # type: ignore[arg-type]
    rows = [
        (
            *_place(caller),
            *_place(callee),
            *noted[:2],
            [] if noted[1] else [_place(code) for code in brought[caller, callee]],
        )
        for (caller, callee), noted in pairs.items()
    ]
    with open(os.environ["AUDIT_OUT"], "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump(rows, file)


def _place(code: types.CodeType) -> tuple[str, str, int]:
    return code.co_filename, code.co_qualname, code.co_firstlineno


if os.environ.get("AUDIT_OUT"):
    atexit.register(write)
    threading.setprofile(profile)
    sys.setprofile(profile)
