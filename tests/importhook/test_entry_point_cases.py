"""Cases 25 to 36: the ways in which a program starts."""

from __future__ import annotations

import shutil
import sys
import zipapp
from pathlib import Path

import pytest

from tests.harness import REPOSITORY, Done, Project, Runner
from tests.importhook.conftest import Tree

EXAMPLE = REPOSITORY / "sitecustomize_example"

# What a program says about one of its functions, whoever started it.
REPORT = """
def report(function):
    from hitsave.importhook import attest
    found = attest(function)
    print(found.module_name, found.kind, found.source.digest, len(found.source.data))
"""

SCRIPT = f"""
import sys
{REPORT}
def work(x):
    return x + 1

if __name__ == "__main__":
    report(work)
    print(sys.argv[1:], __name__, __file__, __spec__, __package__)
"""


def without_kind(line: str) -> list[str]:
    module_name, _, digest, size = line.split()
    return [module_name, digest, size]


def test_case_25_a_script_run_by_plain_python_is_attested(project: Project, run: Runner) -> None:
    project.write({"hello.py": SCRIPT})
    plain = run.python("hello.py").ok()
    assert plain.lines[0].split()[:2] == ["hello", "attested"]
    assert without_kind(plain.lines[0]) == without_kind(start(run, "hello.py").ok().lines[0])


def start(run: Runner, *args: str | Path, code: str = "", **options: object) -> Done:
    """`hitsave run ARGS` as far as the hook is concerned."""
    call = "run_module(sys.argv[2], sys.argv[3:], h)" if args[0] == "-m" else "run_path(sys.argv[1], sys.argv[2:], h)"
    text = (
        "import sys\nfrom hitsave.importhook import install_import_hook\nfrom hitsave.importhook.main import *\n"
        f"h = install_import_hook()\n{code}\n{call}"
    )
    return run.python("-c", text, *args, **options)  # type: ignore[arg-type]


WORLD = """
import sys
print(sys.argv, sys.path[0], sorted(globals()), __file__, __spec__ and __spec__.name, __package__, __name__, __doc__)
print(type(sys.modules["__main__"]).__name__, sys.modules["__main__"].__dict__ is globals())
"""


@pytest.mark.parametrize("script", ["hello.py", "./sub/../hello.py", "folder", "app.pyz"])
def test_case_26_a_script_finds_the_world_as_python_makes_it(project: Project, run: Runner, script: str) -> None:
    project.write({"hello.py": WORLD, "folder/__main__.py": WORLD, "sub/x": "", "zipped/__main__.py": WORLD})
    zipapp.create_archive(project.root / "zipped", project.root / "app.pyz")
    assert start(run, script, "a", "-b").ok().stdout == run.python(script, "a", "-b").ok().stdout


@pytest.mark.parametrize(
    "ending",
    [
        "sys.exit(3)",
        "sys.exit('message')",
        "raise SystemExit",
        "1 / 0",
        "def f(): raise KeyError('x') from ValueError(1)\nf()",
        "raise KeyboardInterrupt",
        "import nothing_of_that_name",
        "import broken",
        "sys.excepthook = lambda *a: print('own hook', len(a))\nraise OSError(5)",
        "import atexit; atexit.register(print, 'bye'); 1 / 0",
        "raise ExceptionGroup('g', [ValueError(1)])" if sys.version_info >= (3, 11) else "1 / 0",
    ],
)
def test_case_26_a_script_ends_as_under_python(project: Project, run: Runner, ending: str) -> None:
    project.write({"hello.py": f"import sys\n{ending}\n", "broken.py": "def f(:\n"})
    ours, plain = start(run, "hello.py"), run.python("hello.py")
    assert (ours.stdout, ours.stderr, ours.exit_code) == (plain.stdout, plain.stderr, plain.exit_code)


@pytest.mark.parametrize("text", ["def f(:\n", "x = '\n", "if x:\npass\n"])
def test_case_26_a_script_that_does_not_parse_says_so_as_under_python(project: Project, run: Runner, text: str) -> None:
    project.write({"hello.py": text})
    ours, plain = start(run, "hello.py"), run.python("hello.py")
    assert ours.exit_code == plain.exit_code == 1
    assert ours.stderr.splitlines()[-1] == plain.stderr.splitlines()[-1]
    assert "hitsave" not in ours.stderr


def test_case_26_a_missing_script_is_reported_as_by_python(run: Runner) -> None:
    ours, plain = start(run, "missing.py"), run.python("missing.py")
    assert (ours.stderr, ours.exit_code) == (plain.stderr, plain.exit_code)


@pytest.mark.parametrize("name", ["pkg.mod", "pkg", "mod"])
def test_case_27_a_module_finds_the_world_as_python_makes_it(project: Project, run: Runner, name: str) -> None:
    project.write({"pkg/__init__.py": "", "pkg/__main__.py": WORLD, "pkg/mod.py": WORLD, "mod.py": WORLD})
    ours, plain = start(run, "-m", name, "a", "-b").ok(), run.python("-m", name, "a", "-b").ok()
    assert ours.stdout == plain.stdout


@pytest.mark.parametrize("args", [["-m", "pkg.mod"], ["-m", "pkg"], ["folder"], ["-m", "hello"], ["hello.py"]])
def test_case_27_what_runs_as_main_is_on_record(project: Project, run: Runner, args: list[str]) -> None:
    project.write({"pkg/__init__.py": "", "pkg/__main__.py": SCRIPT, "pkg/mod.py": SCRIPT, "hello.py": SCRIPT})
    project.write({"folder/__main__.py": SCRIPT})
    ours, plain = start(run, *args).ok(), run.python(*args).ok()
    name, kind = ours.lines[0].split()[:2]
    expected = {"pkg.mod": "pkg.mod", "pkg": "pkg.__main__", "folder": "folder.__main__"}.get(args[-1], "hello")
    assert (name, kind) == (expected, "hook")
    assert without_kind(ours.lines[0]) == without_kind(plain.lines[0])


@pytest.mark.parametrize("args", [["-m", "missing"], ["-m", "pkg"], ["-m", "pkg.broken"], ["-m", "pkg.raises"]])
def test_case_27_a_module_that_cannot_run_says_so_as_under_python(
    project: Project, run: Runner, args: list[str]
) -> None:
    project.write({"pkg/__init__.py": "", "pkg/broken.py": "def f(:\n", "pkg/raises.py": "def f():\n    1 / 0\nf()\n"})
    ours, plain = start(run, *args), run.python(*args)
    assert ours.exit_code == plain.exit_code == 1
    if args[1] == "pkg.broken":  # the frames of importlib are in view here; ours stand for them
        assert ours.stderr.splitlines()[-4:] == plain.stderr.splitlines()[-4:]
        assert "hitsave" not in ours.stderr
    else:
        assert ours.stderr == plain.stderr


def test_case_28_code_given_on_the_command_line_and_on_stdin_has_no_file(run: Runner) -> None:
    code = f"{REPORT}\ndef f(): return 1\nreport(f)\n"
    for done in (run.python("-c", code).ok(), run.python(stdin=code).ok()):
        name, kind, _, size = done.lines[0].split()
        assert name == "__main__"
        assert (kind, size != "0") in [("code", False), ("cell", True)]


def test_case_28_the_prompt_shares_keys_between_sessions(run: Runner) -> None:
    typed = f"{REPORT}\n\ndef f(): return 1\n\nreport(f)\n"
    first, second = (run.python("-i", "-q", stdin=typed).ok() for _ in range(2))
    assert first.lines[0].split()[0] == "__main__"
    assert first.lines[0] == second.lines[0]


def test_case_28_a_notebook_cell_is_known_by_its_text(run: Runner) -> None:
    code = f"""
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_cell({REPORT!r})
shell.run_cell("def f(): return 1\\n# a comment\\nreport(f)")
shell.run_cell("def f(): return 2\\nreport(f)")
"""
    done = run.python("-c", code).ok()
    first, second = (line.split() for line in done.lines if line)
    assert (first[0], first[1]) == (second[0], second[1]) == ("__main__", "cell")
    assert first[2] != second[2]


POOL = """
import multiprocessing, sys
from hitsave.importhook import attest, find_loaded
import helper

def work(x):
    return x + 1

def report(_):
    found = attest(work)
    return found.module_name, found.source.digest, find_loaded("helper").source.digest

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    with context.Pool(1) as pool:
        print(report(0) == pool.map(report, [0])[0], report(0)[0])
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("how", ["python hello.py", "python -m hello", "run hello.py", "run -m hello"])
def test_case_29_a_child_process_knows_the_same_sources(project: Project, run: Runner, method: str, how: str) -> None:
    project.write({"hello.py": POOL, "helper.py": "X = 1\n"})
    program, *args = how.split()
    done = run.python(*args, method) if program == "python" else start(run, *args, method)
    assert done.ok().lines == ["True hello"]


def test_case_29_a_process_pool_executor_knows_the_same_sources(project: Project, run: Runner) -> None:
    text = POOL.replace("with context.Pool(1) as pool", "from concurrent.futures import *\n    with make() as pool")
    text = text.replace("pool.map(report, [0])[0]", "list(pool.map(report, [0]))[0]")
    text = text.replace("if __name__", "def make(): return ProcessPoolExecutor(1, mp_context=context)\n\nif __name__")
    project.write({"hello.py": text, "helper.py": "X = 1\n"})
    assert run.python("hello.py", "spawn").ok().lines == ["True hello"]


def test_case_29_children_that_start_afresh_have_the_hook_and_its_patterns(project: Project, run: Runner) -> None:
    text = """
import multiprocessing
def report(_):
    import helper
    from hitsave.importhook import loaded
    return loaded().get("helper").kind
if __name__ == "__main__":
    for method in ("spawn", "forkserver"):
        with multiprocessing.get_context(method).Pool(1) as pool:
            print(pool.map(report, [0]))
"""
    project.write({"hello.py": text, "helper.py": "X = 1\n"})
    share = "from hitsave.importhook.multiproc import share_with_children; share_with_children(h)"
    assert start(run, "hello.py", code=share).ok().lines == ["['hook']", "['hook']"]


def test_case_30_main_mp_main_and_the_real_name_are_one_module(project: Project, run: Runner) -> None:
    text = f"""
import multiprocessing
{REPORT}
def work(x): return x
if __name__ == "__main__":
    report(work)
    import hello
    report(hello.work)
    child = multiprocessing.get_context("spawn").Process(target=report, args=(work,))
    child.start(); child.join()
"""
    project.write({"hello.py": text})
    done = run.python("hello.py").ok()
    assert len(done.lines) == 3
    assert len({tuple(without_kind(line)) for line in done.lines}) == 1
    assert done.lines[0].startswith("hello ")


@pytest.mark.parametrize("library", ["cloudpickle", "dill"])
def test_case_31_a_function_unpickled_by_value_is_known_by_its_code(
    project: Project, run: Runner, library: str
) -> None:
    project.write(
        {
            "sender.py": f"""
                import {library}, sys
                def work(x):
                    return x + 1
                sys.stdout.write({library}.dumps(work).hex())
            """,
            "receiver.py": f"""
                import {library}, sys
                from hitsave.importhook import attest
                work = {library}.loads(bytes.fromhex(sys.stdin.read()))
                opened = []
                sys.addaudithook(lambda event, args: event == "open" and opened.append(str(args[0])))
                found = attest(work)
                print(work.__module__, work(1), found.kind, [name for name in opened if "sender" in name])
            """,
        }
    )
    sent = run.python("sender.py").ok().stdout
    assert run.python("receiver.py", stdin=sent).ok().lines == ["__main__ 2 code []"]


@pytest.fixture
def fresh_venv(tmp_path: Path) -> Path:
    """A new virtual environment that can import hitsave and what it needs; the path of its site-packages."""
    import sysconfig
    import venv

    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    (site,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(f"{REPOSITORY}\n{sysconfig.get_paths()['purelib']}\n")
    return site


def python_of(site: Path, run: Runner) -> Runner:
    executable = site.parent.parent.parent / "bin" / "python"
    return Runner(run.cwd, run.cache, run.config, {"PYTHONPATH": ""}, str(executable))


IS_ACTIVE = "import sys; print(any(type(f).__name__ == 'HitsaveFinder' for f in sys.meta_path))"
IS_IMPORTED = "import sys; print('hitsave' in sys.modules)"


def test_case_32_the_users_own_sitecustomize_and_usercustomize_still_run(
    fresh_venv: Path, tmp_path: Path, run: Runner
) -> None:
    shutil.copy(EXAMPLE / "sitecustomize.py", fresh_venv)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "sitecustomize.py").write_text("import sys; sys.theirs = __name__, __file__\n")
    (fresh_venv / "usercustomize.py").write_text("import sys; sys.user = __name__\n")
    (fresh_venv / "theirs.pth").write_text(f"{theirs}\nimport site; site.ENABLE_USER_SITE = True\n")
    done = python_of(fresh_venv, run).python(
        "-c", f"{IS_ACTIVE}\nprint(sys.theirs, sys.user, sys.modules['sitecustomize'].__file__)"
    )
    path = theirs / "sitecustomize.py"
    assert done.ok().lines == ["True", f"('sitecustomize', '{path}') usercustomize {path}"]


def test_case_32_a_failing_sitecustomize_of_the_users_is_reported_as_their_own(
    fresh_venv: Path, tmp_path: Path, run: Runner
) -> None:
    shutil.copy(EXAMPLE / "sitecustomize.py", fresh_venv)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "sitecustomize.py").write_text("raise ValueError('theirs')\n")
    (fresh_venv / "theirs.pth").write_text(f"{theirs}\n")
    done = python_of(fresh_venv, run).python("-c", "print('ran')").ok()
    assert done.lines == ["ran"]
    assert "ValueError: theirs" in done.stderr


@pytest.mark.parametrize("way", ["sitecustomize.py", "hitsave-auto.pth"])
def test_case_33_what_has_no_business_with_a_project_starts_without_us(fresh_venv: Path, run: Runner, way: str) -> None:
    shutil.copy(EXAMPLE / way, fresh_venv)
    python = python_of(fresh_venv, run)
    on = {"HITSAVE_AUTOINSTALL": "1"}
    assert python.python("-c", IS_ACTIVE, env=on).ok().lines == ["True"]
    assert python.python("-c", IS_ACTIVE, env={"HITSAVE_AUTOINSTALL": "0"}).ok().lines == ["False"]
    assert python.python("-c", IS_ACTIVE).ok().lines == [str(way == "sitecustomize.py")]
    for option in ("-S", "-I", "-E"):
        assert python.python(option, "-c", IS_ACTIVE, env=on).ok().lines == ["False"], option
    (run.cwd / "pip").mkdir()
    (run.cwd / "pip" / "__init__.py").write_text("")
    (run.cwd / "pip" / "__main__.py").write_text(IS_ACTIVE)
    assert python.python("-m", "pip", env=on).ok().lines == ["False"]
    if way == "hitsave-auto.pth":
        assert python.python("-c", IS_IMPORTED).ok().lines == ["False"]
        assert python.python("-c", IS_IMPORTED, env={"HITSAVE_AUTOINSTALL": "0"}).ok().lines == ["False"]


@pytest.mark.parametrize("way", ["sitecustomize.py", "hitsave-auto.pth"])
def test_case_34_a_start_up_that_fails_is_one_line(fresh_venv: Path, run: Runner, tmp_path: Path, way: str) -> None:
    shutil.copy(EXAMPLE / way, fresh_venv)
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "_blake2.py").write_text("raise RuntimeError('broken')\n")  # what our digests import
    done = python_of(fresh_venv, run).python(
        "-c", "print('ran')", env={"HITSAVE_AUTOINSTALL": "1", "PYTHONPATH": str(broken)}
    )
    assert done.ok().lines == ["ran"]
    assert done.stderr == "hitsave: not active in this process: RuntimeError: broken\n"


def test_case_34_settings_that_cannot_be_read_do_not_stop_an_import(tree: Tree) -> None:
    tree.write(
        {"pyproject.toml": "[tool.hitsave.instrument\n", "m.py": "import hitsave\nX = 1\n", "n.py": "import m\n"}
    )
    done = tree.hooked("import n, m; print(m.X)").ok()
    assert done.lines == ["1"]
    assert done.stderr.count("hitsave: no function is instrumented") == 1


def test_case_34_an_environment_without_hitsave_starts(tmp_path: Path, run: Runner) -> None:
    for way in ("sitecustomize.py", "hitsave-auto.pth"):
        shutil.copy(EXAMPLE / way, tmp_path)
    code = f"import site; site.addsitedir({str(tmp_path)!r}); import sitecustomize; print('ran')"
    done = run.python("-S", "-c", code, env={"PYTHONPATH": "", "HITSAVE_AUTOINSTALL": "1"}).ok()
    assert (done.lines, done.stderr) == (["ran"], "")


def test_case_35_the_start_file_names_a_function_that_takes_no_arguments(run: Runner) -> None:
    """PEP 829: `pkgutil.resolve_name` of each line, called. On 3.15 `site` does it; here we do."""
    lines = (EXAMPLE / "hitsave-auto.start").read_text().splitlines()
    assert lines == ["hitsave.importhook.startup:bootstrap"]
    code = f"import pkgutil; pkgutil.resolve_name({lines[0]!r})()\n{IS_ACTIVE}"
    assert run.python("-c", code).ok().lines == ["False"]
    assert run.python("-c", code, env={"HITSAVE_AUTOINSTALL": "1"}).ok().lines == ["True"]


def test_case_36_an_idle_hook_loads_nothing_heavy(run: Runner) -> None:
    heavy = "ast re typing inspect dataclasses pathlib json logging diskcache watchdog requests astor sqlite3 pickle"
    code = "import sys; before = set(sys.modules)\nfrom hitsave.importhook import install_import_hook\n"
    code += f"install_import_hook()\nprint(sorted(set({heavy!r}.split()) & (set(sys.modules) - before)))"
    assert run.python("-S", "-c", code).ok().lines == ["[]"]


def test_the_example_runs_in_a_fresh_environment(fresh_venv: Path, run: Runner) -> None:
    """What sitecustomize_example/README.md promises."""
    shutil.copy(EXAMPLE / "sitecustomize.py", fresh_venv)
    shutil.copy(EXAMPLE / "hello.py", run.cwd)
    python = python_of(fresh_venv, run)
    first, second = python.python("hello.py").ok(), python.python("hello.py").ok()
    assert first.lines == [*(f"computing fibo({n})" for n in (10, 9, 8, 7, 6, 5, 4, 3, 2, 1)), "55"]
    assert second.lines == ["55"]
