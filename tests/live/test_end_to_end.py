"""Real processes: a prompt, a notebook kernel, a server, `run --live`. Files are edited while they run."""

from __future__ import annotations

import contextlib
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.harness import Project, Runner

PATIENCE_S = 60
LIB = """
    def helper(x):
        return x + 1
"""
APP = """
    from hitsave import memo
    from lib import helper

    @memo
    def top(x):
        print("computing")
        return helper(x) * 10
"""


class Talk:
    """A child process that is typed at, and whose output is waited for."""

    def __init__(self, run: Runner, *args: str, env: dict[str, str] | None = None) -> None:
        self.child = subprocess.Popen(
            [sys.executable, "-u", *args],
            cwd=run.cwd,
            env=run.environment(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
            start_new_session=True,
        )
        self.lines: queue.Queue[str] = queue.Queue()
        self.seen: list[str] = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.child.stdout is not None
        for line in self.child.stdout:
            self.lines.put(line)

    def type(self, text: str) -> None:
        assert self.child.stdin is not None
        self.child.stdin.write(text + "\n")
        self.child.stdin.flush()

    def expect(self, pattern: str) -> str:
        """The next line in which `pattern` is found."""
        while True:
            try:
                line = self.lines.get(timeout=PATIENCE_S)
            except queue.Empty:
                raise AssertionError(f"{pattern!r} never came; there was: {''.join(self.seen)}") from None
            self.seen.append(line)
            if re.search(pattern, line):
                return line

    def end(self) -> None:
        os.killpg(self.child.pid, signal.SIGKILL)  # with what it started
        self.child.wait()
        self.reader.join(PATIENCE_S)
        for pipe in (self.child.stdin, self.child.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


@contextmanager
def talking(run: Runner, *args: str, env: dict[str, str] | None = None) -> Iterator[Talk]:
    talk = Talk(run, *args, env=env)
    try:
        yield talk
    finally:
        talk.end()


# Tells when an edit was taken in, so that nobody has to wait for a time to pass.
LISTEN = "hitsave.live.process.current().listeners.append(lambda e: print('live', e.kind, e.detail, flush=True))"


def test_a_prompt_is_right_after_each_edit(project: Project, run: Runner) -> None:
    project.write({"lib.py": LIB, "app.py": APP})
    with talking(run, "-i", "-c", "import hitsave; from app import top") as talk:
        talk.type("print('answer', top(1))")
        talk.expect("answer 20")
        talk.type("import hitsave.live.process")
        talk.type(LISTEN)
        project.edit("lib.py", "x + 1", "x + 2")
        talk.expect("live edited")
        talk.type("print('answer', top(1))")
        talk.expect("answer 30")
        project.edit("lib.py", "x + 2", "x + 1")
        talk.expect("live edited")
        talk.type("print('answer', top(1), top.cache_info().misses)")
        talk.expect("answer 20 2")  # the first result again, not computed
        project.edit("lib.py", "def helper(x):\n", "def helper(x, y=len('ab')):\n")
        talk.expect("live refused")
        talk.type("print('answer', top(1))")
        talk.expect("LiveWarning: lib:helper was edited .*parameters changed")
        talk.expect("answer 20")


def test_the_first_edit_at_a_prompt_may_come_before_the_first_call(project: Project, run: Runner) -> None:
    project.write({"lib.py": LIB, "app.py": APP})
    with talking(run, "-i", "-c", "import hitsave; from app import top; print('ready')") as talk:
        talk.expect("ready")
        project.edit("lib.py", "x + 1", "x + 2")
        talk.type("print('answer', top(1))")
        talk.expect("answer 20")  # what is loaded, under its own key
        done = run.python("-c", "from app import top; print(top(1))").ok()
        assert done.lines[-1] == "30"


@pytest.fixture
def kernel(run: Runner) -> Iterator[Any]:
    manager = pytest.importorskip("jupyter_client.manager", reason="needs jupyter_client")
    pytest.importorskip("ipykernel", reason="needs ipykernel")
    env = {**run.environment(), "IPYTHONDIR": str(run.cache / "ipython"), "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    started, client = manager.start_new_kernel(kernel_name="python3", env=env, cwd=str(run.cwd))
    try:
        yield client
    finally:
        client.stop_channels()
        started.shutdown_kernel(now=True)


def executed(client: Any, code: str) -> str:
    """What running a cell prints, errors and warnings included."""
    parts: list[str] = []

    def note(message: Any) -> None:
        content = message["content"]
        parts.append(content.get("text", "") + "\n".join(content.get("traceback", [])))

    client.execute_interactive(code, timeout=PATIENCE_S, output_hook=note)
    return "".join(parts)


def test_a_notebook_cell_runs_with_what_was_saved_before_it(project: Project, kernel: Any) -> None:
    project.write({"lib.py": LIB, "app.py": APP})
    assert "20" in executed(kernel, "from app import top\nprint(top(1))")
    project.edit("lib.py", "x + 1", "x + 2")
    assert executed(kernel, "print(top(1))") == "computing\n30\n"
    assert executed(kernel, "print(top(1))") == "30\n"
    project.edit("lib.py", "x + 2", "x + 1")
    assert executed(kernel, "print(top(1))") == "20\n"
    project.edit("lib.py", "def helper", "BASE = len('abc')\n\n\ndef helper")
    project.edit("lib.py", "x + 1", "x + BASE")
    said = executed(kernel, "print(top(1))")
    assert "LiveWarning" in said
    assert "has to be computed" in said
    assert "20\n" in said
    again = "import hitsave\nhitsave.reload('lib'); hitsave.reload('app')\nfrom app import top\nprint(top(1))"
    assert "40" in executed(kernel, again)


def test_autoreload_and_a_live_session_get_along(project: Project, kernel: Any) -> None:
    app = APP.replace("from lib import helper", "import lib").replace("helper(x)", "lib.helper(x)")
    project.write({"lib.py": LIB, "app.py": app})
    executed(kernel, "%load_ext autoreload\n%autoreload 2\nimport app")
    assert "20" in executed(kernel, "print(app.top(1))")
    for number in (2, 3):
        project.edit("lib.py", f"x + {number - 1}", f"x + {number}")
        assert f"{(1 + number) * 10}" in executed(kernel, "print(app.top(1))")
    # a change that only the other reloader takes over: right, though perhaps not kept
    project.edit("lib.py", "def helper", "BASE = len('abc')\n\n\ndef helper")
    project.edit("lib.py", "x + 3", "x * 100 + BASE")
    assert "1030" in executed(kernel, "print(app.top(1))")


def test_a_new_cell_needs_no_watcher(project: Project, kernel: Any) -> None:
    executed(kernel, "from hitsave import memo\n\ndef g(x):\n    return x + 1\n\n@memo\ndef f(x):\n    return g(x)")
    assert "2" in executed(kernel, "print(f(1))")
    executed(kernel, "def g(x):\n    return x + 5")
    assert "6" in executed(kernel, "print(f(1))")


SERVER = """
    import http.server
    import sys
    import hitsave
    from app import top

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = str(top(int(self.path[1:]))).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    if __name__ == "__main__":
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        with hitsave.live(on_event=lambda e: print("live", e.kind, flush=True)):
            print("port", server.server_port, flush=True)
            server.serve_forever()
"""


def test_a_server_answers_with_the_new_code(project: Project, run: Runner) -> None:
    project.write({"lib.py": LIB, "app.py": APP, "server.py": SERVER})
    with talking(run, "server.py") as talk:
        port = talk.expect("port").split()[1]

        def get(x: int) -> str:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/{x}", timeout=PATIENCE_S) as answer:
                return str(answer.read().decode())

        assert get(1) == "20"
        assert get(2) == "30"
        project.edit("lib.py", "x + 1", "x + 2")
        talk.expect("live edited")
        assert [get(1), get(2)] == ["30", "40"]
        project.write({"lib.py": "def helper(x:\n"})
        talk.expect("live broken")
        assert get(1) == "30"
        project.write({"lib.py": LIB})
        talk.expect("live edited")
        assert get(1) == "20"


@pytest.mark.skipif(sys.platform == "win32", reason="only on systems that hand on file descriptors")
def test_run_live_starts_a_program_again(project: Project, run: Runner) -> None:
    job = "from app import top\n\nprint('answer', top(1), flush=True)\n"
    project.write({"lib.py": LIB, "app.py": APP, "job.py": job})
    with talking(run, "-m", "hitsave", "run", "--live", "job.py") as talk:
        talk.expect("answer 20")
        talk.expect("waiting for an edit")
        project.edit("lib.py", "x + 1", "x + 2")
        talk.expect("answer 30")
        talk.expect("waiting for an edit")
        os.utime(project.root / "lib.py")
        project.edit("lib.py", "x + 2", "x + 3")
        talk.expect("answer 40")


@pytest.mark.skipif(sys.platform == "win32", reason="only on systems that hand on file descriptors")
def test_run_live_restarts_only_what_cannot_take_over(project: Project, run: Runner) -> None:
    job = """
        import sys
        from app import top

        def main():
            print("started", flush=True)
            for line in sys.stdin:
                print("answer", top(1), flush=True)

        if __name__ == "__main__":
            main()
    """
    project.write({"lib.py": LIB, "app.py": APP, "job.py": job})
    with talking(run, "-m", "hitsave", "run", "--live", "job.py") as talk:
        talk.expect("started")
        talk.type("")
        talk.expect("answer 20")
        project.edit("lib.py", "def helper(x):", "def helper(x, y=1):")
        talk.expect("started again, since .*: lib:helper: its parameters changed")
        talk.expect("started")
        talk.type("")
        talk.expect("answer 20")


def test_superseded_results_are_listed(project: Project, run: Runner) -> None:
    project.write({"lib.py": LIB, "app.py": APP})
    with talking(run, "-i", "-c", "import hitsave; from app import top") as talk:
        talk.type("print('answer', top(1))")
        talk.expect("answer 20")
        assert run.hitsave("ls", "--superseded", "--json").ok().json() == []
        talk.type("import hitsave.live.process")
        talk.type(LISTEN)
        project.edit("lib.py", "x + 1", "x + 2")
        talk.expect("live edited")
        assert len(run.hitsave("ls", "--superseded", "--json").ok().json()) == 1
