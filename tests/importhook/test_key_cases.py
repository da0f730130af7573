"""Cases 58 to 60, and: one program, started in any way, shares its results."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.harness import Done, Project, Runner
from tests.importhook.test_entry_point_cases import EXAMPLE, fresh_venv, python_of

__all__ = ["fresh_venv"]

LIBRARY = """
from hitsave import memo
from helper import offset

@memo
def work(x):
    print("computing", flush=True)
    return x + offset()
"""


@pytest.mark.parametrize("edited", ["lib.py", "helper.py"])
@pytest.mark.parametrize("start", ["python", "hitsave run"])
def test_case_58_a_file_edited_before_the_first_call_is_keyed_as_it_was_loaded(
    project: Project, run: Runner, edited: str, start: str
) -> None:
    project.write({"lib.py": LIBRARY, "helper.py": "def offset():\n    return 100\n"})
    project.write(
        {
            "main.py": """
                import sys
                import lib
                if len(sys.argv) > 1:
                    path, old, new = sys.argv[1:]
                    text = open(path).read()
                    open(path, "w").write(text.replace(old, new))
                print(lib.work(1))
                """
        }
    )
    # Edits that change the size: else plain Python, which loads `lib` before the hook is there, may run its stale .pyc.
    old, new = ("x + offset()", "x - 1 * offset()") if edited == "lib.py" else ("100", "2000")

    def main(*args: str) -> list[str]:
        return (run.python("main.py", *args) if start == "python" else run.script("main.py", *args)).ok().lines

    assert main(edited, old, new) == ["computing", "101"]
    assert main() == ["computing", "-99" if edited == "lib.py" else "2001"]
    project.edit(edited, new, old)
    assert main() == ["101"], "what the edited run computed was not stored under what it had loaded"


@pytest.mark.parametrize("edited", ["lib.py", "helper.py"])
def test_case_58_compiled_code_whose_source_was_edited_before_anybody_read_it(
    project: Project, run: Runner, edited: str
) -> None:
    """A warm process doesn't read the sources; what it ran is then known by its digest, and the store has the text."""
    project.write({"lib.py": LIBRARY, "helper.py": "STEP = 1\n\ndef offset():\n    return STEP + 99\n"})
    text = "import lib\nfrom pathlib import Path\nfrom sys import argv\n"
    text += "for name in argv[1:]: Path(name).write_text('STEP = 1\\nraise SystemExit')\n"
    project.write({"main.py": text + "print(lib.work(1))\n"})
    assert run.script("main.py").ok().lines == ["computing", "101"]
    assert run.script("main.py", edited).ok().lines == ["101"]


def test_case_58_a_constant_edited_before_the_first_call(project: Project, run: Runner) -> None:
    """No function changes, so nothing but the loaded text tells the two programs apart."""
    project.write({"lib.py": LIBRARY, "helper.py": "STEP = 1\n\ndef offset(step=10):\n    return STEP + step\n"})
    text = "import lib\nfrom pathlib import Path\nfrom sys import argv\n"
    text += "if argv[1:]: Path('helper.py').write_text(Path('helper.py').read_text().replace(*argv[1:]))\n"
    project.write({"main.py": text + "print(lib.work(0))\n"})
    for old, new, value in (("STEP = 1", "STEP = 20", 11), ("step=10", "step=200", 30)):
        assert run.python("main.py", old, new).ok().lines[-1] == str(value)
        assert run.python("main.py").ok().lines[-1] == str({11: 30, 30: 220}[value])


def test_case_59_an_edit_during_a_call_does_not_move_its_result(project: Project, run: Runner) -> None:
    project.write(
        {
            "lib.py": """
                from pathlib import Path
                from sys import argv
                from hitsave import memo

                @memo
                def work(x):
                    print("computing")
                    if argv[1:]:
                        here = Path(__file__)
                        here.write_text(here.read_text().replace(*argv[1:]))
                    return x + 1
                """,
            "main.py": "from lib import work\nprint(work(1))\n",
        }
    )
    assert run.python("main.py", "x + 1", "x + 20").ok().lines == ["computing", "2"]
    assert run.python("main.py").ok().lines == ["computing", "21"]


@pytest.mark.parametrize(
    "change",
    [
        ("x + 1", "x + 1  # a comment"),
        ("@memo", "# above\n\n\n@memo"),
        ("return x + 1", "return (\n        x + 1\n    )"),
        ("def work(x):", 'def work(x):\n    """A docstring."""'),
        ("def other(): return 1", "def other(): return 2"),
    ],
)
def test_case_60_an_edit_without_meaning_keeps_the_result(
    project: Project, run: Runner, change: tuple[str, str]
) -> None:
    text = "from hitsave import memo\n\ndef other(): return 1\n\n@memo\ndef work(x):\n    print('computing')\n"
    project.write({"hello.py": text + "    return x + 1\n\nprint(work(1))\n"})
    assert run.python("hello.py").ok().lines == ["computing", "2"]
    project.edit("hello.py", *change)
    assert run.python("hello.py").ok().lines == ["2"]


PROGRAM = """
from hitsave import memo
from helper import offset

@memo
def work(x):
    print("computing")
    return x + offset()

def main():
    print("result", work(1))

if __name__ in ("__main__", "__mp_main__"):
    main()
"""
IN_A_CHILD = (
    "import multiprocessing, hello\n"
    "if __name__ == '__main__':\n"
    "    child = multiprocessing.get_context({method!r}).Process(target=hello.main)\n"
    "    child.start(); child.join()\n"
)
ENTRY_POINTS: dict[str, list[str]] = {
    "script": ["hello.py"],
    "path": ["./sub/../hello.py"],
    "module": ["-m", "hello"],
    "run script": ["-m", "hitsave", "run", "hello.py"],
    "run module": ["-m", "hitsave", "run", "-m", "hello"],
    "import": ["-c", "import hello; hello.main()"],
    "runpy": ["-c", "import runpy; runpy.run_path('hello.py', run_name='__main__')"],
    "runpy module": ["-c", "import runpy; runpy.run_module('hello', run_name='__main__', alter_sys=True)"],
    "without bytecode": ["-B", "hello.py"],
    "unsafe path": ["-c", "import sys, os; sys.path.insert(0, os.getcwd()); from hello import main; main()"],
    "hook first": ["-c", "from hitsave.importhook import *; install_import_hook(); import hello; hello.main()"],
    "hook late": ["-c", "import helper; from hitsave.importhook import *; import hello; hello.main()"],
    "reloaded": ["-c", "import hello, importlib; importlib.reload(hello); hello.main()"],
    "thread": ["-c", "import threading, hello; t = threading.Thread(target=hello.main); t.start(); t.join()"],
    "fork": ["fork.py"],
    "spawn": ["spawn.py"],
    "forkserver": ["forkserver.py"],
    "prompt": ["-i", "-q"],
    "standard input": ["-"],
    "notebook": [
        "-c",
        "from IPython.core.interactiveshell import InteractiveShell as S\n"
        "S.instance().run_cell('import hello; hello.main()')",
    ],
    "notebook %run": [
        "-c",
        "from IPython.core.interactiveshell import InteractiveShell as S\n"
        "S.instance().run_line_magic('run', 'hello.py')",
    ],
    "pytest": ["-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", "-p", "no:randomly", "test_hello.py"],
    "exec": ["-c", "import sys; sys.argv = ['hello.py']; import hello; exec('hello.main()')"],
}


SHARING = """
def pytest_configure(config):
    if config.pluginmanager.hasplugin("hitsave"):
        config.option.hitsave = "shared"
"""


def start(run: Runner, how: str) -> Done:
    stdin = "import hello; hello.main()\n" if how in ("prompt", "standard input") else ""
    return run.python(*ENTRY_POINTS[how], stdin=stdin).ok()


@pytest.mark.parametrize("how", [how for how in ENTRY_POINTS if how != "script"])
def test_a_program_started_in_any_way_has_the_same_keys(project: Project, run: Runner, how: str) -> None:
    project.write({"hello.py": PROGRAM, "helper.py": "def offset():\n    return 1\n", "sub/x": ""})
    project.write({f"{m}.py": IN_A_CHILD.format(method=m) for m in ("fork", "spawn", "forkserver")})
    project.write({"test_hello.py": "import hello\n\ndef test_hello():\n    hello.main()\n"})
    if how == "pytest":
        # Where hitsave is installed, its plugin gives each test a store of its own unless told otherwise.
        project.write({"conftest.py": SHARING})
    first = start(run, "script")
    assert first.lines == ["computing", "result 2"]
    second = start(run, how)
    assert "result 2" in second.stdout
    assert "computing" not in second.stdout


def test_a_program_started_by_sitecustomize_has_the_same_keys(project: Project, run: Runner, fresh_venv: Path) -> None:
    project.write({"hello.py": PROGRAM, "helper.py": "def offset():\n    return 1\n"})
    shutil.copy(EXAMPLE / "sitecustomize.py", fresh_venv)
    python = python_of(fresh_venv, run)
    assert start(run, "script").lines == ["computing", "result 2"]
    for args in (["hello.py"], ["-m", "hello"], ["-c", "import hello; hello.main()"]):
        assert python.python(*args).ok().lines == ["result 2"], args
