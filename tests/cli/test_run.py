from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from tests.harness import Project, Runner

MEMO = "from hitsave import memo\n@memo\ndef f(x):\n    print('computing')\n    return x\nf(1)\n"


def test_arguments_and_names_are_as_under_python(project: Project, run: Runner) -> None:
    project.write({"a.py": "import sys\nprint(sys.argv, __name__, __file__, sys.path[0])\n"})
    assert run.hitsave("run", "a.py", "--json", "-m", "x").ok().stdout == run.python("a.py", "--json", "-m", "x").stdout


def test_a_traceback_is_the_programs_own(project: Project, run: Runner) -> None:
    project.write({"a.py": "def f():\n    raise ValueError('theirs')\nf()\n"})
    ours, plain = run.hitsave("run", "a.py"), run.python("a.py")
    assert (ours.exit_code, ours.stderr) == (plain.exit_code, plain.stderr)


def test_a_syntax_error_is_shown_as_python_shows_it(project: Project, run: Runner) -> None:
    project.write({"a.py": "def f(:\n    pass\n", "b.py": "import a\n"})
    assert run.hitsave("run", "a.py").stderr == run.python("a.py").stderr
    assert run.hitsave("run", "b.py").stderr == run.python("b.py").stderr


@pytest.mark.parametrize("ending", ["sys.exit(7)", "sys.exit('bye')", "raise SystemExit", "1/0"])
def test_the_exit_code_is_the_programs(project: Project, run: Runner, ending: str) -> None:
    project.write({"a.py": f"import sys\n{ending}\n"})
    ours, plain = run.hitsave("run", "a.py"), run.python("a.py")
    assert (ours.exit_code, ours.stderr) == (plain.exit_code, plain.stderr)


def test_a_missing_script_is_an_error_with_the_scripts_there_are(project: Project, run: Runner) -> None:
    project.write({"hello.py": ""})
    done = run.hitsave("run", "helo.py")
    assert done.exit_code == 2
    assert "hello.py" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_module_is_an_error(run: Runner) -> None:
    done = run.hitsave("run", "-m", "no_such_module")
    assert done.exit_code == 1
    assert "no_such_module" in done.stderr
    assert "hitsave/" not in done.stderr


def test_an_interrupt_ends_it_as_it_ends_python(project: Project, run: Runner) -> None:
    project.write({"a.py": "import threading\nprint('up', flush=True)\nthreading.Event().wait(60)\n"})
    with subprocess.Popen(
        [sys.executable, "-m", "hitsave", "run", "a.py"],
        cwd=project.root,
        env=run.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert b"KeyboardInterrupt" in stderr
    assert b"hitsave" not in stderr


def test_modes_say_how_stored_results_are_used(project: Project, run: Runner) -> None:
    project.write({"a.py": MEMO})
    assert run.hitsave("run", "--mode", "readonly", "a.py").ok().lines == ["computing"]
    assert run.hitsave("run", "a.py").ok().lines == ["computing"]
    assert run.hitsave("run", "a.py").ok().lines == []
    assert run.hitsave("run", "--mode", "off", "a.py").ok().lines == ["computing"]
    assert run.hitsave("run", "--mode=refresh", "a.py").ok().lines == ["computing"]
    assert run.hitsave("run", "--mode", "readonly", "a.py").ok().lines == []
    assert run.hitsave("run", "--mode", "sometimes", "a.py").exit_code == 2


def test_the_figures_of_a_run_go_to_stderr(project: Project, run: Runner) -> None:
    project.write({"a.py": MEMO})
    done = run.hitsave("run", "--stats", "a.py").ok()
    assert done.lines == ["computing"]
    assert done.stderr == "hitsave: 0 reused, 1 computed\n"
    figures = json.loads(run.hitsave("run", "--json", "a.py").ok().stderr)
    assert (figures["reused"], figures["computed"]) == (1, 0)
    assert figures["functions"]["a:f"]["reused"] == 1


def test_functions_are_memoised_by_pattern(project: Project, run: Runner) -> None:
    project.write({"a.py": "def slow(x):\n    print('computing')\n    return x\nslow(1)\n"})
    assert run.hitsave("run", "--memo", "a:slow", "a.py").ok().lines == ["computing"]
    assert run.hitsave("run", "--memo", "a:slow", "a.py").ok().lines == []
    assert run.hitsave("run", "a.py").ok().lines == ["computing"]


@pytest.mark.parametrize("trouble", ["file", "garbage", "below a file"])
def test_a_useless_cache_directory_never_loses_the_result(project: Project, run: Runner, trouble: str) -> None:
    project.write({"a.py": MEMO.replace("f(1)", "print(f(1))")})
    folder = run.cache
    if trouble == "file":
        folder.write_text("not a folder")
    elif trouble == "below a file":
        (run.cache.parent / "file").write_text("")
        folder = run.cache.parent / "file" / "cache"
    else:
        run.script("a.py")
        for path in folder.rglob("*"):
            if path.is_file():
                path.write_bytes(b"garbage" * 100)
    done = run.hitsave("run", "a.py", env={"HITSAVE_DIR": str(folder)}).ok()
    assert done.lines == ["computing", "1"]
    assert "StoreWarning" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_module_is_run_by_name(project: Project, run: Runner) -> None:
    project.write({"pkg/__init__.py": "", "pkg/__main__.py": "import sys\nprint(sys.argv[1:], __package__)\n"})
    assert run.hitsave("run", "-m", "pkg", "--flag").ok().stdout == run.python("-m", "pkg", "--flag").stdout


def test_running_imports_no_parser_and_no_other_command(project: Project, run: Runner) -> None:
    names = ("rich", "argparse", "json", "hitsave.cli")
    project.write({"a.py": f"import sys\nprint(*(name for name in sys.modules if name.startswith({names!r})))\n"})
    assert set(run.script("a.py").stdout.split()) <= {
        "hitsave.cli",
        "hitsave.cli.codes",
        "hitsave.cli.main",
        "hitsave.cli.run",
    }


def test_the_program_runs_again_after_an_edit_that_reaches_it(project: Project, run: Runner) -> None:
    project.write(
        {
            "a.py": "from helper import g\n" + MEMO.replace("return x", "return g(x)"),
            "helper.py": "def g(x): return x\n",
        }
    )
    with subprocess.Popen(
        [run.executable, "-m", "hitsave", "run", "--live", "a.py"],
        cwd=project.root,
        env={**run.environment(), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "computing\n"
        assert process.stderr.readline() == "hitsave: waiting for an edit\n"
        project.edit("helper.py", "return x", "return x + 1")
        assert "helper.g  →  stale: a.f" in process.stderr.readline()
        assert process.stdout.readline() == "computing\n"
        assert process.stderr.readline() == "hitsave: waiting for an edit\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
