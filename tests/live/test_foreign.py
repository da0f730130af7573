"""Others exchange code too (reloaders, debuggers, tests): never is a result stored, or found, under the wrong code."""

from __future__ import annotations

import importlib
import sys
import threading
import warnings
from types import FunctionType, ModuleType
from typing import Any

import pytest

import hitsave
from hitsave.errors import LiveWarning, NotCachedWarning, UsageError
from hitsave.live.reloading import reload
from tests.live.conftest import Bench

LIB = "def helper(x, n=0):\n    return x + 1 + n\n"
APP = """
    from hitsave import memo
    import lib

    @memo
    def top(x):
        return lib.helper(x) * 10
"""


def exchanged(function: FunctionType, text: str) -> None:
    """Give a function the code of another text, as jurigged and IPython's autoreload do."""
    scope: dict[str, FunctionType] = {}
    exec(compile(text, function.__code__.co_filename, "exec", dont_inherit=True), function.__globals__, scope)
    fresh = scope[function.__name__]
    function.__code__, function.__defaults__ = fresh.__code__, fresh.__defaults__


def started(bench: Bench) -> tuple[object, object]:
    bench.write("lib", LIB)
    bench.write("app", APP)
    return bench.load("app"), bench.load("lib")


@pytest.mark.parametrize("called_before", [True, False])
@pytest.mark.parametrize("text", [LIB.replace("x + 1", "x + 2"), LIB.replace("n=0", "n=1")], ids=["body", "default"])
def test_code_that_was_exchanged_in_place_runs_uncached(bench: Bench, text: str, called_before: bool) -> None:
    app, lib = started(bench)
    if called_before:
        assert app.top(1) == 20  # type: ignore[attr-defined]
        assert app.top(1) == 20  # type: ignore[attr-defined]
    exchanged(lib.helper, text)  # type: ignore[attr-defined]
    with pytest.warns(NotCachedWarning, match="in place"):
        assert app.top(1) == 30  # type: ignore[attr-defined]
    exchanged(lib.helper, LIB)  # type: ignore[attr-defined]
    assert app.top(1) == 20  # type: ignore[attr-defined]
    stored = [evaluation.preview or evaluation for evaluation in hitsave.session.current().disk.entries()]
    assert len(stored) == 1


def test_the_body_of_a_memoised_function_is_watched_too(bench: Bench) -> None:
    app, _ = started(bench)
    for _ in range(3):
        assert app.top(1) == 20  # type: ignore[attr-defined]
    inner = app.top.__wrapped__  # type: ignore[attr-defined]
    exchanged(inner, "def top(x):\n    return lib.helper(x) * 100\n")
    with pytest.warns(NotCachedWarning, match="in place"):
        assert app.top(1) == 200  # type: ignore[attr-defined]


def test_importlib_reload_takes_the_new_text(bench: Bench) -> None:
    app, lib = started(bench)
    assert app.top(1) == 20  # type: ignore[attr-defined]
    bench.edit("lib", "x + 1", "x + 2")
    importlib.reload(lib)  # type: ignore[arg-type]
    assert app.top(1) == 30  # type: ignore[attr-defined]
    bench.edit("lib", "x + 2", "x + 1")
    importlib.reload(lib)  # type: ignore[arg-type]
    assert app.top(1) == 20  # type: ignore[attr-defined]
    assert app.top.cache_info().misses == 2  # type: ignore[attr-defined]


def test_a_live_session_goes_along_with_other_reloaders(bench: Bench) -> None:
    """Whoever comes second finds the same text loaded, and nothing to do."""
    app, lib = started(bench)
    assert app.top(1) == 20  # type: ignore[attr-defined]
    bench.start()
    bench.edit("lib", "x + 1", "x + 2")
    text = bench.path("lib").read_text()
    exchanged(lib.helper, text)  # type: ignore[attr-defined]
    bench.sync()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotCachedWarning)
        assert app.top(1) == 30  # type: ignore[attr-defined]
    bench.edit("lib", "x + 2", "x + 3")
    bench.sync()
    exchanged(lib.helper, bench.path("lib").read_text())  # type: ignore[attr-defined]
    importlib.reload(lib)  # type: ignore[arg-type]
    bench.sync()
    assert app.top(1) == 40  # type: ignore[attr-defined]


def test_reload_names_who_still_holds_what_was_there_before(bench: Bench) -> None:
    bench.write("lib", LIB)
    bench.write("app", APP.replace("import lib\n", "from lib import helper\n").replace("lib.helper", "helper"))
    app = bench.load("app")
    assert app.top(1) == 20
    bench.edit("lib", "x + 1", "x + 2")
    with pytest.warns(LiveWarning, match=rf"{app.__name__}\.helper"):
        reload(bench.path("lib").stem)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotCachedWarning)
        assert app.top(1) == 20
    reload(app)
    assert app.top(1) == 30


def test_reload_knows_what_it_cannot_do() -> None:
    with pytest.raises(UsageError, match="no such module"):
        reload("no_such_module")
    with pytest.raises(UsageError, match="running script"):
        reload("__main__")


def test_a_call_in_flight_is_not_stored_when_its_code_is_exchanged(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even when the old code is back by the time it ends."""
    outside: Any = ModuleType("outside_of_the_project")
    outside.entered, outside.go = threading.Event(), threading.Event()
    monkeypatch.setitem(sys.modules, "outside_of_the_project", outside)
    bench.write("lib", LIB)
    bench.write(
        "app",
        """
        from hitsave import memo
        import lib
        import outside_of_the_project as outside

        @memo
        def top(x):
            outside.entered.set()
            outside.go.wait(20)
            return lib.helper(x) * 10

        @memo
        def other(x):
            return x
        """,
    )
    app = bench.load("app")
    app.other(1)
    bench.start()
    found: list[object] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        worker = threading.Thread(target=lambda: found.append(app.top(1)))
        worker.start()
        assert outside.entered.wait(20)
        bench.edit("lib", "x + 1", "x + 2")
        bench.sync()
        bench.edit("lib", "x + 2", "x + 1")
        bench.sync()
        outside.go.set()
        worker.join()
    assert bench.kinds().count("swapped") == 2, bench.events
    assert found == [20]
    assert not list(hitsave.session.current().disk.entries(f"{app.__name__}:top"))


def test_nothing_is_exchanged_in_the_middle_of_a_call(bench: Bench) -> None:
    bench.write("lib", LIB)
    bench.write(
        "app",
        """
        from hitsave import memo
        import lib

        during = []

        @memo
        def inner(x):
            return lib.helper(x)

        @memo
        def top(x):
            first = inner(x)
            for work in during:
                work()
            return first, inner(x + 0), lib.helper(x)
        """,
    )
    app = bench.load("app")
    app.inner(5)
    bench.start()

    def work() -> None:
        bench.edit("lib", "x + 1", "x + 2")
        bench.sync()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        app.during.append(work)
        assert app.top(1) == (2, 2, 2)
        app.during.clear()
        assert app.inner(1) == 3
    assert "swapped" in bench.kinds()


def test_a_suspended_generator_keeps_its_function_as_it_is(bench: Bench) -> None:
    text = "def count(x):\n    yield x + 1\n    yield x + 1\n\n\ndef helper(x):\n    return sum(count(x))\n"
    bench.write("lib", text)
    bench.write("app", APP)
    app, lib = bench.load("app"), bench.load("lib")
    assert app.top(1) == 40
    bench.start()
    suspended = lib.count(1)
    next(suspended)
    path = bench.path("lib")
    path.write_text(path.read_text().replace("x + 1", "x + 2"))
    bench.sync()
    assert "still running" in bench.warnings[0]
    assert app.top(1) == 40
    suspended.close()
    path.write_text(path.read_text().replace("x + 2", "x + 3"))
    del suspended
    bench.sync()
    assert app.top(1) == 80
