"""Cases 37 to 51: other tools, threads, and the loader itself."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest

from hitsave.importhook import Hook, current_hook, install_import_hook, loaded
from hitsave.importhook.finder import HitsaveFinder
from tests.harness import Project
from tests.importhook.conftest import Tree

PYTEST = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:cov", "-p", "no:randomly"]
PLUGIN = """
from hitsave.importhook import install_import_hook
install_import_hook({root!r})
def pytest_sessionfinish():
    from hitsave.importhook import loaded
    print()
    for name in loaded().names():
        found = loaded().get(name)
        print("record", name, found.kind, found.source.data == open(found.source.path, "rb").read())
"""


@pytest.mark.parametrize("mode", ["prepend", "append", "importlib"])
def test_case_37_assertion_reports_are_intact_and_test_modules_on_record(tree: Tree, mode: str) -> None:
    tree.write(
        {
            "helper.py": "def value(): return 41\n",
            "test_it.py": "import helper\n\ndef test_it():\n    assert helper.value() == 42\n",
            "hookplugin.py": PLUGIN.format(root=str(tree.root)),
        }
    )
    args = [*PYTEST, f"--import-mode={mode}", "-p", "hookplugin", "test_it.py"]
    path = {"PYTHONPATH": f"{tree.run.environment()['PYTHONPATH']}:{tree.root}"}
    done = tree.run.python(*args, env=path)
    assert "where 41 = <function value at" in done.stdout
    records = sorted(line for line in done.lines if line.startswith("record"))
    assert "record helper hook True" in records
    assert "record test_it attested True" in records


def test_case_38_no_warning_about_rewriting_because_of_us(tree: Tree) -> None:
    tree.write({"test_it.py": "def test_it():\n    assert True\n"})
    code = "from hitsave.importhook.startup import bootstrap; bootstrap(default=True); import pytest; "
    code += f"sys.exit(pytest.main({[*PYTEST[2:], '-W', 'error', 'test_it.py']!r}))"
    done = tree.plain(code)
    assert done.exit_code == 0, done.stdout
    assert "warning" not in done.stdout.lower()


def test_case_38_no_warning_when_pytest_finds_our_plugin_by_itself(tree: Tree, tmp_path: Path) -> None:
    """An installed plugin has all files of its distribution marked for rewriting; ours were imported before pytest."""
    info = tmp_path / "installed" / "hitsave-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hitsave\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pytest11]\nhitsave = hitsave.pytest_plugin\n")
    (info / "RECORD").write_text(
        "hitsave/__init__.py,,\nhitsave/pytest_plugin.py,,\nhitsave/importhook/__init__.py,,\n"
    )
    tree.write({"test_it.py": "def test_it():\n    assert True\n"})
    code = f"sys.path.append({str(info.parent)!r})\n"
    code += "from hitsave.importhook.startup import bootstrap; bootstrap(default=True); import pytest; "
    code += f"sys.exit(pytest.main({[*PYTEST[2:], '-W', 'error', '--hitsave=isolated', 'test_it.py']!r}))"
    done = tree.plain(code)
    assert done.exit_code == 0, done.stdout + done.stderr
    assert "warning" not in done.stdout.lower()


CHECKED = """
{before}
import pkg.a
print(pkg.a.f(1), type(pkg.a.__loader__).__name__ != "SourceFileLoader")
try: pkg.a.f("x"); print("unchecked")
except Exception as error: print("checked")
print(loaded().get("pkg.a") is not None or attest(pkg.a).kind, attest(pkg.a).kind, attest(pkg.a).source.path[-4:])
print(loaded().get("pkg.b").kind)
"""
INSTALL = {
    "beartype": "from beartype.claw import beartype_package; beartype_package('pkg.a')",
    "typeguard": "from typeguard import install_import_hook as other; other(['pkg.a'])",
    "jaxtyping": "from jaxtyping import install_import_hook as other; other('pkg.a', 'beartype.beartype')",
}


@pytest.mark.parametrize("order", ["before us", "after us"])
@pytest.mark.parametrize("tool", list(INSTALL))
def test_case_39_type_checkers_check_and_we_record(tree: Tree, tool: str, order: str) -> None:
    tree.write(
        {
            "pkg/__init__.py": "",
            "pkg/a.py": "import pkg.b\nimport hitsave\n\ndef f(x: int) -> int:\n    return x + 1\n",
            "pkg/b.py": "X = 1\n",
        }
    )
    code = CHECKED.format(before=INSTALL[tool])
    if order == "before us":
        code = f"hook.uninstall()\n{INSTALL[tool]}\nhook.install()\n" + CHECKED.format(before="")
    for _ in range(2):
        done = tree.hooked(code, "-W", "ignore").ok()
        assert done.lines[:2] == ["2 True", "checked"]
        assert done.lines[2].split()[-2:] == ["attested", "a.py"]
        assert done.lines[3] in ("hook", "attested")
    own = [path for path in tree.root.rglob("*.pyc") if "hitsave-" in path.name]
    assert [path for path in own if path.name.startswith("a.")] == []
    # Without the checker the module is plain: nothing of its code came into a file of ours.
    assert tree.hooked("import pkg.a; print(pkg.a.f(1.5))").ok().lines == ["2.5"]


MEASURED = {
    "pkg/__init__.py": "",
    "pkg/plain.py": """
        import contextlib

        def f(x):
            for i in range(x):
                if i % 2:
                    continue
            else:
                x += 1
            with contextlib.suppress(ZeroDivisionError):
                1 / 0
            return [j for j in range(x) if j]

        class A:
            def m(self):
                try:
                    return 1
                finally:
                    self.n = 2
        """,
    "pkg/decorated.py": """
        from hitsave import memo
        import hitsave


        @memo
        def f(x):
            if x:
                return 1
            return 2


        @hitsave.memo(
            version="1",
        )
        @hitsave.memo
        def g(
            x=1,
        ):
            return x


        class A:
            @staticmethod
            @memo
            def m(): return 3
        """,
}


@pytest.mark.parametrize("core", ["ctrace", "sysmon"])
def test_case_40_coverage_sees_the_same_lines_and_arcs(tree: Tree, core: str) -> None:
    if core == "sysmon" and sys.version_info < (3, 14):
        pytest.skip("needs Python 3.14 to measure branches with sys.monitoring")
    tree.write(MEASURED)
    program = """
import sys
from hitsave.importhook import install_import_hook
hook = install_import_hook({root!r})
if sys.argv[1] == "plain": hook.uninstall()
import pkg.plain, pkg.decorated
pkg.plain.f(3), pkg.plain.A().m(), pkg.decorated.f(1), pkg.decorated.g(), pkg.decorated.A.m()
assert any(b"at_site" in repr(c).encode() for c in [pkg.decorated.__loader__.get_code("pkg.decorated").co_names]) == (
    sys.argv[1] == "hooked")
"""
    tree.write({"program.py": program.format(root=str(tree.root))})
    reports = []
    for how in ("plain", "hooked"):
        data = {"COVERAGE_FILE": str(tree.root / f".coverage.{how}"), "COVERAGE_CORE": core, "HITSAVE_MODE": "off"}
        tree.run.python("-m", "coverage", "run", "--branch", "--include=*/pkg/*", "program.py", how, env=data).ok()
        out = tree.root / f"{how}.json"
        tree.run.python("-m", "coverage", "json", "--show-contexts", "-o", out, env=data).ok()
        reports.append(json.loads(out.read_text())["files"])
    assert reports[0] == reports[1]
    assert reports[0]["pkg/decorated.py"]["missing_lines"] == [9]


DEBUGGED = """
import bdb, io, pdb, pkg.decorated, pkg.plain
class Seen(bdb.Bdb):
    def __init__(self):
        super().__init__()
        self.seen = []
    def user_line(self, frame):
        if "/pkg/" in frame.f_code.co_filename:
            self.seen.append((frame.f_code.co_filename[-12:], frame.f_lineno, frame.f_code.co_name))
    def user_exception(self, frame, exc): pass
def lines(module):
    from hitsave.importhook.codes import nested
    code = module.__loader__.get_code(module.__name__)
    return sorted({line for c in nested(code) for _, _, line in c.co_lines() if line})
debugger = Seen()
for module in (pkg.plain, pkg.decorated):
    print(module.__name__, lines(module))
    for line in lines(module):
        print(line, debugger.set_break(module.__file__, line))
    sys.modules.pop(module.__name__)
debugger.runctx("import pkg.plain, pkg.decorated", {}, {})
print(debugger.seen)
out = io.StringIO()
p = pdb.Pdb(stdin=io.StringIO("l\\nll\\nw\\nc\\n"), stdout=out, nosigint=True, readrc=False)
p.runcall(pkg.plain.f, 3)
print(out.getvalue())
"""


def test_case_41_a_debugger_stops_and_lists_as_without_the_hook(tree: Tree) -> None:
    tree.write(MEASURED)
    off = {"HITSAVE_MODE": "off"}
    hooked, plain = tree.hooked(DEBUGGED, env=off).ok(), tree.plain(DEBUGGED, env=off).ok()
    assert hooked.stdout == plain.stdout


def test_case_42_doctest_finds_the_same_and_modules_hold_the_same_names(tree: Tree) -> None:
    tree.write(
        {
            "m.py": '''
                """
                >>> 1 + 1
                2
                """
                from hitsave import memo

                __test__ = {"more": ">>> 2\\n2\\n"}

                @memo
                def f(x):
                    """
                    >>> f(1)
                    2
                    """
                    return x + 1
                '''
        }
    )
    code = """
import doctest, m
print(dir(m))
print([(t.name, t.lineno, len(t.examples)) for t in doctest.DocTestFinder().find(m)])
print(doctest.testmod(m))
"""
    assert tree.hooked(code).ok().stdout == tree.plain(code).ok().stdout
    args = [*PYTEST, "--doctest-modules", "m.py", "-p", "hookplugin"]
    tree.write({"hookplugin.py": PLUGIN.format(root=str(tree.root))})
    path = {"PYTHONPATH": f"{tree.run.environment()['PYTHONPATH']}:{tree.root}"}
    assert "3 passed" in tree.run.python(*args, env=path).ok().stdout


def test_case_43_resources_of_a_hooked_package_are_found(tree: Tree) -> None:
    tree.write({"pkg/__init__.py": "import hitsave\n", "pkg/data.txt": "data", "pkg/sub/__init__.py": ""})
    code = """
import importlib.resources, pkgutil, pkg, pkg.sub
print((importlib.resources.files("pkg") / "data.txt").read_text(), pkgutil.get_data("pkg", "data.txt"))
print(type(pkg.__loader__.get_resource_reader("pkg")).__name__, [m.name for m in pkgutil.walk_packages(pkg.__path__)])
print(pkg.__loader__.is_package("pkg"), pkg.__loader__.get_filename("pkg") == pkg.__file__)
"""
    assert tree.hooked(code).ok().stdout == tree.plain(code).ok().stdout


def test_case_44_a_reload_replaces_the_record(hook: Hook, project: Project) -> None:
    project.write({"again.py": "X = 1\n"})
    module = importlib.import_module("again")
    before = loaded().get("again")
    project.write({"again.py": "X = 22\n"})
    importlib.reload(module)
    after = loaded().get("again")
    assert before and after
    assert (after.source.data, after.revision > before.revision) == (b"X = 22\n", True)
    assert loaded().find("again", before.source.digest) is not None


@pytest.mark.parametrize("text", ["def f(:\n", "raise ValueError\nX = 2\n", "\x00"])
def test_case_44_a_failing_reload_keeps_the_old_record(hook: Hook, project: Project, text: str) -> None:
    project.write({"failing.py": "def f():\n    return 1\n"})
    module = importlib.import_module("failing")
    before = loaded().get("failing")
    project.write({"failing.py": text})
    with pytest.raises((SyntaxError, ValueError)):
        importlib.reload(module)
    after = loaded().get("failing")
    assert before and after
    assert (after.kind, after.source) == ("hook", before.source)


def test_case_44_after_a_reload_that_failed_half_way_the_text_is_not_trusted(hook: Hook, project: Project) -> None:
    project.write({"halfway.py": "def f():\n    return 1\n"})
    module = importlib.import_module("halfway")
    project.write({"halfway.py": "def f():\n    return 2\nraise ValueError\n"})
    with pytest.raises(ValueError):
        importlib.reload(module)
    assert module.f() == 2
    found = loaded().get("halfway")
    assert found is not None
    assert found.kind == "code"


def test_case_44_a_failing_first_import_leaves_no_record(hook: Hook, project: Project) -> None:
    project.write({"never.py": "raise ValueError\n"})
    with pytest.raises(ValueError):
        importlib.import_module("never")
    assert loaded().get("never") is None


def test_case_45_new_files_new_paths_and_new_folders_are_found(tree: Tree) -> None:
    tree.write({"first.py": "", "one/late.py": "X = 1\n", "two/late.py": "X = 2\n", "three/other.py": "X = 3\n"})
    done = tree.hooked(
        """
import os, first
try: import created
except ImportError: pass
open("created.py", "w").write("X = 0\\n"); importlib.invalidate_caches()
import created
sys.path_importer_cache.clear()
sys.path.insert(0, ""); os.chdir("one")
import late; print(late.X, loaded().by_import_name("late").module_name)
del sys.modules["late"]; os.chdir("../two"); importlib.invalidate_caches()
import late; print(late.X, loaded().by_import_name("late").module_name)
sys.path.append(os.path.abspath("../three"))
import other; print(other.X, loaded().by_import_name("other").module_name, loaded().get("created").kind)
"""
    ).ok()
    assert done.lines == ["1 one.late", "2 two.late", "3 three.other hook"]


def test_case_46_the_finder_is_there_once_and_leaves_nothing_behind(hook: Hook, project: Project) -> None:
    install_import_hook(str(project.root))
    assert sum(isinstance(finder, HitsaveFinder) for finder in sys.meta_path) == 1
    others = [finder for finder in sys.meta_path if not isinstance(finder, HitsaveFinder)]
    path_hooks = list(sys.path_hooks)
    hook.uninstall()
    assert sys.meta_path == others
    assert sys.path_hooks == path_hooks
    hook.uninstall()
    assert sys.meta_path == others


def test_case_46_a_finder_put_before_ours_and_a_replaced_list_do_no_harm(
    hook: Hook, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write({"behind.py": "X = 1\n", "without.py": "X = 2\n"})

    class Before:
        def find_spec(self, name: str, path: object = None, target: object = None) -> None:
            return None

    monkeypatch.setattr(sys, "meta_path", [Before(), *sys.meta_path])
    importlib.import_module("behind")
    found = loaded().get("behind")
    assert found is not None
    assert found.kind == "hook"
    monkeypatch.setattr(sys, "meta_path", [f for f in sys.meta_path if not isinstance(f, HitsaveFinder)])
    assert not current_hook().installed
    assert importlib.import_module("without").X == 2
    hook.uninstall()
    install_import_hook(str(project.root))
    assert isinstance(sys.meta_path[0], HitsaveFinder)


FROZEN = """
import marshal, types, importlib.machinery
class FrozenLoader:
    def create_module(self, spec): return None
    def exec_module(self, module):
        code = compile("def f(x): return x", "/not/there/m.py", "exec")
        exec(code, module.__dict__)
class FrozenFinder:
    def find_spec(self, name, path=None, target=None):
        if name == "m":
            spec = importlib.machinery.ModuleSpec("m", FrozenLoader(), origin="/not/there/m.py")
            spec.has_location = True
            return spec
sys.meta_path.insert({0}, FrozenFinder())
import m
print(m.f(1), attest(m.f).kind, attest(m).kind)
"""


@pytest.mark.parametrize("position", [0, 1])
def test_case_47_a_frozen_program_is_known_by_its_code(tree: Tree, position: int) -> None:
    assert tree.hooked(FROZEN.format(position)).ok().lines == ["1 code code"]


def test_case_47_the_hook_declines_in_a_frozen_program(tree: Tree) -> None:
    tree.write({"m.py": "X = 1\n"})
    done = tree.plain(
        "sys.frozen = True\nfrom hitsave.importhook import install_import_hook as install\n"
        "print(install().installed)\nimport m; print(m.X)"
    ).ok()
    assert done.lines == ["False", "1"]


def test_case_48_gevent_and_its_patched_threads_do_not_deadlock(tree: Tree) -> None:
    tree.write({f"m{i}.py": f"import hitsave, time\ntime.sleep(0.001)\nimport m{i + 1}\n" for i in range(8)})
    tree.write({"m8.py": "X = 1\n"})
    code = """
import gevent.monkey; gevent.monkey.patch_all()
import gevent
jobs = [gevent.spawn(importlib.import_module, f"m{i}") for i in range(8)]
gevent.joinall(jobs, timeout=20, raise_error=True)
print(len(loaded().names()), all(job.dead for job in jobs))
"""
    assert tree.hooked(code).ok().lines == ["9 True"]
    first, _, rest = code.strip().partition("\n")
    assert tree.plain(
        f"{first}\nfrom hitsave.importhook import *\ninstall_import_hook({str(tree.root)!r})\n{rest}"
    ).ok().lines == ["9 True"]


CIRCULAR = """
import threading, time
errors = []
def load(name):
    try: importlib.import_module(name)
    except BaseException as error: errors.append(repr(error))
threads = [threading.Thread(target=load, args=(name,)) for name in ("one", "two")]
for t in threads: t.start()
for t in threads: t.join(20)
print(errors, sorted(n for n in ("one", "two") if n in sys.modules), any(t.is_alive() for t in threads))
import starter
print(starter.result)
"""


def test_case_49_threads_that_import_in_circles_end_as_without_the_hook(tree: Tree) -> None:
    body = "import hitsave, time\ntime.sleep(0.05)\nimport {}\nX = 1\n"
    tree.write({"one.py": body.format("two"), "two.py": body.format("one"), "starter/other.py": "X = 1\n"})
    tree.write(
        {
            "starter/__init__.py": """
                import importlib, threading
                result = []
                def load(): result.append(importlib.import_module("json.tool").__name__)
                thread = threading.Thread(target=load)
                thread.start(); thread.join(20)
                result.append(thread.is_alive())
                """
        }
    )
    assert tree.hooked(CIRCULAR).ok().stdout == tree.plain(CIRCULAR).ok().stdout


def test_case_50_no_lock_is_held_while_a_module_runs(hook: Hook, project: Project) -> None:
    text = "import _imp\nfrom hitsave.importhook import loaded\nHELD = _imp.lock_held(), loaded()._lock.locked()\n"
    project.write({"unlocked.py": text, "within.py": "import unlocked\nHELD = unlocked.HELD\n"})
    assert importlib.import_module("within").HELD == (False, False)


@pytest.mark.parametrize("name", ["ast", "_ast", "hashlib", "inspect", "tokenize", "marshal", "os", "re", "typing"])
def test_case_51_a_project_may_have_modules_named_like_what_the_loader_uses(tree: Tree, name: str) -> None:
    tree.write({f"{name}.py": "raise SystemExit('the loader imported a module of the project')\n"})
    tree.write({"m.py": "from hitsave.importhook import loaded\n\ndef f(): return loaded().get('m').kind\n"})
    tree.write({"pyproject.toml": "[tool.hitsave]\n"})
    done = tree.hooked("import m; print(m.f()); attest(m)").ok()
    assert done.lines == ["hook"]
