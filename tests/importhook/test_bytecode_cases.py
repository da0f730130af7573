"""Cases 1 to 13: compiled code on disk."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hitsave.importhook import Hook, loaded
from hitsave.importhook.bytecode import MAGIC, TAIL_BYTES
from tests.harness import Project
from tests.importhook.conftest import Tree

TAG = sys.implementation.cache_tag
DECORATED = """
    from hitsave import memo

    @memo
    def f(x):
        return {}
"""


def same_second_edit(path: Path, old: str, new: str) -> None:
    """An edit that keeps size and modification time: what a fast editor or script does within a second."""
    stat = path.stat()
    path.write_text(path.read_text().replace(old, new))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert path.stat().st_size == stat.st_size
    assert path.stat().st_mtime_ns == stat.st_mtime_ns


@pytest.mark.parametrize("order", ["import pkg.a", "import pkg.b, pkg.a"])
def test_case_01_modules_not_hooked_keep_their_stock_bytecode(tree: Tree, order: str) -> None:
    tree.write({"pkg/__init__.py": "", "pkg/a.py": "import pkg.b\nimport hitsave", "pkg/b.py": "X = 1  # hitsave"})
    tree.hooked(order, packages=["pkg.a"]).ok()
    assert f"b.{TAG}.pyc" in tree.cached()
    assert not [name for name in tree.cached() if name.startswith("b.") and "hitsave" in name]
    assert (tree.root / "pkg" / "__pycache__" / f"b.{TAG}.pyc").read_bytes()[-len(MAGIC) :] != MAGIC


def test_case_02_two_threads_never_write_under_the_wrong_tag(tree: Tree) -> None:
    tree.write({f"ours/m{i}.py": "import hitsave" for i in range(20)} | {"ours/__init__.py": ""})
    tree.write({f"other/n{i}.py": f"X = {i}" for i in range(20)} | {"other/__init__.py": ""})
    tree.hooked(
        """
import threading
def load(package, letter):
    for i in range(20):
        importlib.import_module(f"{package}.{letter}{i}")
threads = [threading.Thread(target=load, args=args) for args in (("ours", "m"), ("other", "n"))]
for t in threads: t.start()
for t in threads: t.join()
""",
        packages=["ours"],
    ).ok()
    other = [path.name for path in (tree.root / "other" / "__pycache__").iterdir()]
    assert sorted(other) == sorted([f"n{i}.{TAG}.pyc" for i in range(20)] + [f"__init__.{TAG}.pyc"])
    ours = [path.name for path in (tree.root / "ours" / "__pycache__").iterdir()]
    assert sum(".hitsave-" in name for name in ours) == 20


@pytest.mark.parametrize("decorated", [False, True], ids=["plain", "decorated"])
def test_case_03_an_edit_within_the_second_runs_in_a_new_process(tree: Tree, decorated: bool) -> None:
    text = "import hitsave\nVALUE = 1\n" if decorated else "VALUE = 1\n"
    tree.write({"m.py": text})
    read = "import m; print(m.VALUE, loaded().get('m').source.data.decode())"
    assert tree.hooked(read).ok().lines[0].startswith("1")
    same_second_edit(tree.root / "m.py", "VALUE = 1", "VALUE = 2")
    assert tree.hooked(read).ok().stdout.strip() == f"2 {text.replace('1', '2')}".strip()


def test_case_03_an_edit_within_the_second_runs_although_python_cached_the_old_code(tree: Tree) -> None:
    """Python's own .pyc matches by size and time; only the hook can tell that it is stale."""
    tree.write({"m.py": "VALUE = 1\n"})
    assert tree.plain("import m; print(m.VALUE)").ok().lines == ["1"]
    same_second_edit(tree.root / "m.py", "VALUE = 1", "VALUE = 2")
    assert tree.plain("import m; print(m.VALUE)").ok().lines == ["1"], "plain Python no longer has the flaw"
    assert tree.hooked("import m; print(m.VALUE)").ok().lines == ["2"]
    assert tree.plain("import m; print(m.VALUE)").ok().lines == ["2"], "the stale file wasn't replaced"


@pytest.mark.parametrize("decorated", [False, True], ids=["plain", "decorated"])
def test_case_03_an_edit_within_the_second_runs_on_reload(hook: Hook, project: Project, decorated: bool) -> None:
    project.write({"edited.py": "import hitsave\nVALUE = 1\n" if decorated else "VALUE = 1\n"})
    module = importlib.import_module("edited")
    same_second_edit(project.root / "edited.py", "VALUE = 1", "VALUE = 2")
    importlib.reload(module)
    assert module.VALUE == 2
    found = loaded().get("edited")
    assert found is not None
    assert found.source.data == (project.root / "edited.py").read_bytes()


def test_case_04_the_tag_names_the_options(hook: Hook) -> None:
    before = hook.rewriting.tag
    hook.instrument(memo=["m:*"])
    changed = hook.rewriting.tag
    hook.instrument()
    assert before == hook.rewriting.tag != changed


def test_case_04_without_the_hook_the_tagged_file_is_not_used(tree: Tree) -> None:
    tree.write({"m.py": "import hitsave\nVALUE = 1\n"})
    tree.hooked("import m").ok()
    tagged = next(path for path in tree.root.rglob("*.hitsave-*.pyc"))
    tagged.write_bytes(b"poison")
    assert tree.plain("import m; print(m.VALUE)").ok().lines == ["1"]


def test_case_04_changed_options_compile_anew(tree: Tree) -> None:
    tree.write({"m.py": "import hitsave\ndef f(): return 1\n"})
    tree.hooked("import m").ok()
    done = tree.hooked("hook.instrument(memo=['m:f']); import m; print(type(m.f) is not type(lambda: 0), m.f())")
    assert len([name for name in tree.cached() if "hitsave-" in name]) == 2, done


@pytest.mark.parametrize("decorated", [False, True], ids=["plain", "decorated"])
def test_case_05_each_optimisation_level_has_its_own_bytecode(tree: Tree, decorated: bool) -> None:
    text = '"""Doc."""\ndef f():\n    """Inside."""\n    assert False\n    return 1\n'
    tree.write({"m.py": text + ("import hitsave\n" if decorated else "")})
    probe = """
import m
try: result = m.f()
except AssertionError: result = "assert"
print(m.__doc__, m.f.__doc__, result)
"""
    for options in ([], ["-O"], ["-OO"], [], ["-OO"]):
        assert tree.hooked(probe, *options).ok().stdout == tree.plain(probe, *options, "-B").ok().stdout
    own = [name for name in tree.cached() if ("hitsave-" in name) == decorated]
    assert len(own) == 3, own


@pytest.mark.parametrize("decorated", [False, True], ids=["plain", "decorated"])
def test_case_06_python_told_not_to_write_bytecode_writes_none_and_reads_what_is_there(
    tree: Tree, decorated: bool
) -> None:
    tree.write({"m.py": "VALUE = 1\n" + ("import hitsave\n" if decorated else "")})
    tree.hooked("import m", "-B").ok()
    tree.hooked("import m", env={"PYTHONDONTWRITEBYTECODE": "1"}).ok()
    assert tree.cached() == []
    tree.hooked("import m").ok()
    existing = tree.cached()
    counted = """
compiled = []
def note(event, args):
    if event == "compile" and str(args[1]).endswith("m.py"): compiled.append(args)
sys.addaudithook(note)
import m
print(len(compiled))
"""
    assert tree.hooked(counted, "-B").ok().lines == ["0"], "the existing file wasn't used"
    assert tree.cached() == existing


@pytest.mark.skipif(os.name == "nt", reason="only on POSIX")
@pytest.mark.parametrize("decorated", [False, True], ids=["plain", "decorated"])
def test_case_07_read_only_tree_imports(tree: Tree, decorated: bool) -> None:
    tree.write({"pkg/__init__.py": "", "pkg/m.py": "VALUE = 1\n" + ("import hitsave\n" if decorated else "")})
    probe = "import pkg.m; print(pkg.m.VALUE, loaded().get('pkg.m').kind)"
    if os.geteuid() == 0:  # permissions don't bind root: a file where the folder should be does
        (tree.root / "pkg" / "__pycache__").write_text("not a folder")
        assert tree.hooked(probe).ok().lines == ["1 hook"]
    else:
        (tree.root / "pkg").chmod(0o500)
        assert tree.hooked(probe).ok().lines == ["1 hook"]
        (tree.root / "pkg").chmod(0o700)
    assert tree.cached() == []


@pytest.mark.parametrize("decorated", [False, True], ids=["plain", "decorated"])
def test_case_07_a_full_disk_leaves_no_torn_file_and_no_warning(tree: Tree, decorated: bool) -> None:
    tree.write({f"m{i}.py": "VALUE = 1\n" * 400 + ("import hitsave\n" if decorated else "") for i in range(3)})
    done = tree.hooked(
        """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))
import m0, m1, m2
print(m2.VALUE)
"""
    ).ok()
    assert done.lines == ["1"]
    assert done.stderr == ""
    assert list(tree.root.rglob("__pycache__/*")) == []


@pytest.mark.parametrize("decorated", [False, True], ids=["plain", "decorated"])
def test_case_08_a_prefix_for_bytecode_is_honoured(tree: Tree, tmp_path: Path, decorated: bool) -> None:
    tree.write({"m.py": "VALUE = 1\n" + ("import hitsave\n" if decorated else "")})
    for _ in range(2):
        done = tree.hooked("import m; print(m.VALUE)", env={"PYTHONPYCACHEPREFIX": str(tmp_path / "elsewhere")})
        assert done.ok().lines == ["1"]
    assert tree.cached() == []
    assert [p.name for p in (tmp_path / "elsewhere").rglob("m.*.pyc")]


def test_case_08_a_python_without_a_cache_tag_imports(tree: Tree) -> None:
    tree.write({"m.py": "import hitsave\nVALUE = 1\n", "n.py": "VALUE = 2\n"})
    done = tree.hooked("sys.implementation.cache_tag = None\nimport m, n; print(m.VALUE, n.VALUE)").ok()
    assert done.lines == ["1 2"]
    assert tree.cached() == []


def test_case_09_eight_processes_import_one_cold_tree_at_once(tree: Tree) -> None:
    """The long run with many rounds is benchmarks/import_torture.py."""
    files = {f"pkg/m{i}.py": f"import hitsave\nVALUE = {i}\n" if i % 2 else f"VALUE = {i}\n" for i in range(12)}
    tree.write(files | {"pkg/__init__.py": ""})
    code = """
total = sum(importlib.import_module(f"pkg.m{i}").VALUE for i in range(12))
print(total, all(loaded().get(f"pkg.m{i}").source.data == open(f"pkg/m{i}.py", "rb").read() for i in range(12)))
"""
    for _ in range(2):
        for folder in tree.root.rglob("__pycache__"):
            shutil.rmtree(folder)
        from tests.importhook.conftest import PRELUDE

        text = PRELUDE.format(root=str(tree.root), packages=None) + code
        children = [
            subprocess.Popen(
                [sys.executable, "-c", text],
                cwd=tree.root,
                env=tree.run.environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for _ in range(8)
        ]
        assert {child.communicate(timeout=60)[0] for child in children} == {"66 True\n"}
        assert all(name.endswith(".pyc") for name in (p.name for p in tree.root.rglob("__pycache__/*")))
        assert len(tree.cached()) == 13


@pytest.mark.parametrize("decorated", [False, True], ids=["plain", "decorated"])
@pytest.mark.parametrize(
    "damage", ["truncated", "garbage", "foreign magic", "empty", "cut off", "a tuple of a billion", "a folder"]
)
def test_case_10_a_damaged_file_is_compiled_anew(tree: Tree, decorated: bool, damage: str) -> None:
    tree.write({"m.py": "def f():\n    return [1, 2]\n" + ("import hitsave\n" if decorated else "")})
    tree.hooked("import m").ok()
    (path,) = tree.root.rglob("m.*.pyc")
    whole = path.read_bytes()
    if damage == "a folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(
            {
                "truncated": whole[:40],
                "garbage": whole[:16] + b"\xff\x00garbage" * 9 + whole[-TAIL_BYTES:],
                "foreign magic": b"\x00\x00\r\n" + whole[4:],
                "empty": b"",
                "a tuple of a billion": whole[:16] + b"(" + b"\xff\xff\xff\x3f" + whole[-TAIL_BYTES:],
                "cut off": whole[: -TAIL_BYTES - 9],
            }[damage]
        )
    done = tree.hooked("import m; print(m.f())").ok()
    assert (done.lines, done.stderr) == (["[1, 2]"], "")


@pytest.mark.parametrize("decorated", [False, True], ids=["plain", "decorated"])
def test_case_11_a_renamed_package_shows_its_new_file_names(tree: Tree, decorated: bool) -> None:
    tree.write({"old/__init__.py": "", "old/m.py": "def f(): return 1\n" + ("import hitsave\n" if decorated else "")})
    tree.hooked("import old.m").ok()
    (tree.root / "old").rename(tree.root / "new")
    done = tree.hooked("import new.m; print(new.m.f.__code__.co_filename)").ok()
    assert done.lines == [str(tree.root / "new" / "m.py")]


def test_case_11_a_renamed_package_has_its_new_symbols(tree: Tree) -> None:
    tree.write({"old/__init__.py": "", "old/m.py": DECORATED.format("x")})
    probe = "import {0}.m; code = sys.modules['{0}.m'].__loader__.get_code('{0}.m'); print(code.co_consts)"
    tree.hooked(probe.format("old")).ok()
    (tree.root / "old").rename(tree.root / "new")
    assert "'new.m:f'" in tree.hooked(probe.format("new")).ok().stdout


def test_case_12_nothing_of_ours_is_written_into_an_environment(tree: Tree) -> None:
    site = tree.root / ".venv" / "lib" / "python3" / "site-packages"
    tree.write({".venv/pyvenv.cfg": "", ".venv/lib/python3/site-packages/dep.py": "import hitsave\nVALUE = 1\n"})
    tree.hooked(f"sys.path.insert(0, {str(site)!r}); import dep; print(type(dep.__loader__))").ok()
    assert tree.cached() == [f"dep.{TAG}.pyc"]
    assert (site / "__pycache__" / f"dep.{TAG}.pyc").read_bytes()[-len(MAGIC) :] != MAGIC


def test_case_12_clean_removes_what_we_wrote_and_nothing_else(tree: Tree) -> None:
    from hitsave.importhook.cleaning import remove_bytecode

    tree.write({"pkg/__init__.py": "", "pkg/m.py": "import hitsave\n", "pkg/n.py": ""})
    tree.hooked("import pkg.m, pkg.n").ok()
    kept = [name for name in tree.cached() if "hitsave-" not in name]
    assert len(remove_bytecode(str(tree.root))) == 1
    assert tree.cached() == kept


@pytest.mark.parametrize("decorated", [False, True], ids=["plain", "decorated"])
def test_case_13_back_and_forth_between_two_texts_never_runs_the_other(tree: Tree, decorated: bool) -> None:
    tail = "import hitsave\n" if decorated else ""
    probe = "import m; print(m.VALUE)"
    path = tree.root / "m.py"
    for value in (1, 2, 1, 2, 1):
        tree.write({"m.py": f"VALUE = {value}\n{tail}"})
        os.utime(path, (1_000_000_000, 1_000_000_000))  # a checkout that restores times
        assert tree.hooked(probe).ok().lines == [str(value)]
