"""One process of a replay: runs every call of `replayed_calls.py` in the current folder, plainly, traced or memoised.

Prints `@` and JSON: {call: {"answer", "raised", "ran", "trace"}}. Everything else on stdout is the calls' own.
"""

from __future__ import annotations

import json
import os
import sys
import types
import warnings


def main(how: str, folder: str) -> None:
    sys.path[0] = folder  # not the folder of this script
    warnings.simplefilter("ignore")
    if how == "memoised":
        from hitsave import memo
        from hitsave.errors import UnsoundWarning

        warnings.simplefilter("always", UnsoundWarning)  # it failed, and ran the call as plain Python
    if how == "traced":
        from history_trace import Seen

        with Seen() as imported:
            import replayed_calls
    else:
        import replayed_calls

    if how == "traced":
        from history_trace import named, trace

        at_import = named(imported, folder)
    calls = {
        name: value
        for name, value in vars(replayed_calls).items()
        if isinstance(value, types.FunctionType) and value.__module__ == "replayed_calls" and name[0] != "_"
    }
    found = {}
    for name, call in calls.items():
        if how == "memoised":
            memoised = memo(impure="allow")(call)
            found[name] = {**answer(memoised), "ran": bool(memoised.__hitsave_memo__.misses)}
        elif how == "traced":
            found[name] = {"trace": trace(in_a_fork(call, folder), folder, at_import)}
        else:
            found[name] = answer(call)
    print("\n@" + json.dumps(found))


def answer(call) -> dict:
    try:
        return {"answer": repr(call()), "raised": False}
    except Exception as error:  # noqa: BLE001 - whatever the release does
        return {"answer": f"{type(error).__name__}: {error}", "raised": True}


def in_a_fork(call, folder: str) -> list:
    """What ran in a call, made in a child: no call finds what others have left."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        from history_trace import ran

        try:
            with os.fdopen(writing, "w") as pipe:
                pipe.write(json.dumps(ran(call, folder)))
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    os.waitpid(pid, 0)
    return json.loads(text)


if __name__ == "__main__":
    main(*sys.argv[1:])
