"""Cases 14 to 24: which modules the hook takes, and which it leaves alone."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import subprocess
import sys
import timeit
import zipfile
from pathlib import Path

import pytest

from hitsave.importhook import Hook, attest, loaded
from hitsave.importhook.loader import HitsaveLoader
from hitsave.project import find_project
from tests.harness import Project
from tests.importhook.conftest import Tree


def test_case_14_a_foreign_module_is_untouched(hook: Hook) -> None:
    with_hook = importlib.util.find_spec("pytest")
    hook.uninstall()
    without = importlib.util.find_spec("pytest")
    assert with_hook == without
    assert with_hook is not None
    assert not isinstance(with_hook.loader, HitsaveLoader)


@pytest.mark.parametrize("name", ["numpy", "json", "numpy.linalg"])
def test_case_14_rejecting_a_foreign_name_takes_less_than_three_microseconds(hook: Hook, name: str) -> None:
    path = None if "." not in name else [str(Path(os.__file__).parent / "site-packages" / "numpy")]
    find_spec = hook.finder.find_spec
    assert find_spec(name, path) is None
    best = min(timeit.repeat(lambda: find_spec(name, path), number=200, repeat=50)) / 200
    assert best < 3e-6


def test_case_15_a_namespace_package_may_span_project_and_site_packages(tree: Tree, tmp_path: Path) -> None:
    other = tmp_path / "other" / "space"
    other.mkdir(parents=True)
    (other / "theirs.py").write_text("VALUE = 'theirs'\n")
    tree.write({"space/ours.py": "VALUE = 'ours'\n"})
    done = tree.hooked(
        f"""
sys.path.append({str(other.parent)!r})
sys.path.remove("")
import space, space.ours, space.theirs
print(type(space.__loader__).__name__, type(space.__path__).__name__, len(set(space.__path__)))
print(loaded().names(), type(space.theirs.__loader__).__name__)
"""
    ).ok()
    assert done.lines[0].endswith("_NamespacePath 2")
    assert done.lines[1] == "('space.ours',) SourceFileLoader"


def test_case_16_a_package_that_extends_its_path_passes(tree: Tree, tmp_path: Path) -> None:
    other = tmp_path / "other" / "old"
    other.mkdir(parents=True)
    extend = "from pkgutil import extend_path\n__path__ = extend_path(__path__, __name__)\n"
    (other / "__init__.py").write_text(extend)
    (other / "theirs.py").write_text("VALUE = 'theirs'\n")
    tree.write({"old/__init__.py": extend, "old/ours.py": "VALUE = 'ours'\n"})
    done = tree.hooked(
        f"sys.path.append({str(other.parent)!r}); import old.ours, old.theirs; print(sorted(loaded().names()))"
    ).ok()
    assert done.lines == ["['old', 'old.ours']"]


@pytest.mark.filterwarnings("ignore")
def test_case_16_a_loader_of_the_old_kind_passes(tree: Tree) -> None:
    tree.write({"legacy_mod.py": "VALUE = 1\n"})
    done = tree.hooked(
        """
import types, importlib.machinery
class Loader:
    def load_module(self, name):
        module = types.ModuleType(name)
        module.__loader__ = self
        module.VALUE = "legacy"
        sys.modules[name] = module
        return module
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "legacy_mod":
            return importlib.machinery.ModuleSpec(name, Loader())
sys.meta_path.insert(0, Finder())
import legacy_mod
print(legacy_mod.VALUE)
""",
        "-W",
        "ignore",
    ).ok()
    assert done.lines == ["legacy"]


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="needs Python below 3.12, which dropped finders of this kind")
def test_case_16_a_finder_without_find_spec_passes(tree: Tree) -> None:
    tree.write({"m.py": "VALUE = 1\n"})
    done = tree.hooked(
        """
class Old:
    def find_module(self, name, path=None): return None
sys.meta_path.append(Old())
sys.meta_path.insert(1, Old())
import m
print(m.VALUE)
""",
        "-W",
        "ignore",
    ).ok()
    assert done.lines == ["1"]


def test_case_17_zip_frozen_builtin_extension_and_sourceless_modules_pass(tree: Tree) -> None:
    with zipfile.ZipFile(tree.root / "lib.zip", "w") as archive:
        archive.writestr("zipped.py", "VALUE = 'zipped'\n")
    tree.write({"bare.py": "VALUE = 'bare'\n"})
    probe = """
import zipped, bare, zipimport, builtins, itertools
print(zipped.VALUE, bare.VALUE, type(zipped.__loader__).__name__, type(bare.__loader__).__name__)
"""
    sourceless = f"import py_compile, os; py_compile.compile('bare.py', 'bare.pyc'); os.unlink('bare.py')\n{probe}"
    add = f"sys.path.append({str(tree.root / 'lib.zip')!r})\n"
    done = tree.hooked(add + sourceless).ok()
    assert done.lines == ["zipped bare zipimporter SourcelessFileLoader"]
    kinds = "\nprint(loaded().get('bare').kind, loaded().get('zipped').kind, len(loaded().get('bare').source.digest))"
    assert tree.hooked(add + probe + kinds).ok().lines[1] == "opaque opaque 32"


def test_case_17_an_extension_module_of_the_project_is_recorded_by_its_file(tree: Tree) -> None:
    extension = next(
        (
            Path(found.origin)
            for name in ("_heapq", "_bisect", "_json", "_csv", "_queue", "_opcode", "_struct")
            if (found := importlib.util.find_spec(name)) and found.origin and Path(found.origin).is_file()
        ),
        None,
    )
    assert extension is not None
    name = extension.name.partition(".")[0]
    shutil.copy(extension, tree.root / extension.name)
    digest = f"""
del sys.modules[{name!r}]
import {name}
from hitsave.digest import digest_bytes
found = loaded().get({name!r})
print({name}.__file__.startswith({str(tree.root)!r}), found.kind)
print(found.source.digest == digest_bytes(open({name}.__file__, 'rb').read()))
"""
    done = tree.hooked(f"import {name}\n{digest}").ok()
    assert done.lines == ["True opaque", "True"]


EDITABLE = """
import importlib.util, os
class {0}:
    @classmethod
    def find_spec(cls, fullname, path=None, target=None):
        files = {1!r}
        if fullname in files:
            locations = {2} if files[fullname].endswith("__init__.py") else None
            return importlib.util.spec_from_file_location(
                fullname, files[fullname], submodule_search_locations=locations)
sys.meta_path.append({0})
sys.path.remove({3!r})
"""


@pytest.mark.parametrize("style", ["setuptools", "meson"])
def test_case_18_an_editable_install_with_a_finder_of_its_own_is_recorded(tree: Tree, style: str) -> None:
    """setuptools points `__path__` at the sources; meson and scikit-build invent a place that doesn't exist."""
    tree.write({"python/pkg/__init__.py": "", "python/pkg/m.py": "import hitsave\n", "python/top.py": "X = 1\n"})
    base = tree.root / "python"
    files = {"pkg": f"{base}/pkg/__init__.py", "top": f"{base}/top.py"}
    if style == "meson":
        files["pkg.m"] = f"{base}/pkg/m.py"
    locations = f"[{str(base / 'pkg')!r}]" if style == "setuptools" else "['/nowhere/__editable__/pkg']"
    done = tree.hooked(
        EDITABLE.format("_EditableFinder", files, locations, str(tree.root))
        + "import pkg.m, top\nprint(sorted(loaded().names()), type(pkg.m.__loader__).__name__)"
    ).ok()
    assert done.lines == ["['python.pkg', 'python.pkg.m', 'python.top'] HitsaveLoader"]


def test_case_18_a_src_layout_has_its_installed_names(tree: Tree) -> None:
    tree.write({"src/pkg/__init__.py": "", "src/pkg/m.py": "X = 1\n"})
    done = tree.hooked(f"sys.path.insert(0, {str(tree.root / 'src')!r}); import pkg.m; print(loaded().names())").ok()
    assert done.lines == ["('pkg', 'pkg.m')"]


def test_case_18_a_symlinked_checkout_is_the_project(tree: Tree, tmp_path: Path) -> None:
    tree.write({"pkg/__init__.py": "", "pkg/m.py": "X = 1\n"})
    link = tmp_path / "link"
    link.symlink_to(tree.root)
    done = tree.hooked(
        f"sys.path[0] = {str(link)!r}\nimport pkg.m\n"
        "print(loaded().names(), pkg.m.__file__, loaded().get('pkg.m').kind)"
    ).ok()
    assert done.lines == [f"('pkg', 'pkg.m') {link}/pkg/m.py hook"]


@pytest.mark.parametrize("folder", [".venv", "env", ".tox/py311", "node_modules", "build/lib"])
def test_case_19_an_environment_inside_the_repository_is_not_the_project(tree: Tree, folder: str) -> None:
    inside = tree.root / folder
    tree.write({f"{folder}/inner.py": "X = 1\n"})
    if folder == "env":
        tree.write({"env/pyvenv.cfg": "home = /usr\n"})
    done = tree.hooked(
        f"sys.path.insert(0, {str(inside)!r}); import inner; print(type(inner.__loader__).__name__, loaded().names())"
    ).ok()
    assert done.lines == ["SourceFileLoader ()"]


def test_case_20_a_worktree_has_a_git_file(tmp_path: Path, tree: Tree) -> None:
    tree.write({"m.py": "X = 1\n"})
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(tree.root)]
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "x"], check=True)
    subprocess.run([*git, "worktree", "add", "-q", str(tmp_path / "work")], check=True)
    assert (tmp_path / "work" / ".git").is_file()
    assert find_project(str(tmp_path / "work" / "m.py")).root == str(tmp_path / "work")


def test_case_20_without_git_the_folder_of_the_script_is_the_project(tmp_path: Path, tree: Tree) -> None:
    folder = tmp_path / "plain" / "scripts"
    folder.mkdir(parents=True)
    (folder / "hello.py").write_text(
        "from hitsave.importhook import install_import_hook, loaded\ninstall_import_hook()\nimport helper\n"
        "print(loaded().names())\n"
    )
    (folder / "helper.py").write_text("X = 1\n")
    assert tree.run.python(folder / "hello.py", cwd=tmp_path).ok().lines == ["('helper',)"]


def test_case_20_a_home_that_is_a_repository_is_no_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tree: Tree
) -> None:
    (tmp_path / "home" / ".git").mkdir(parents=True)
    scripts = tmp_path / "home" / "scripts"
    scripts.mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert find_project(str(scripts)).root == str(scripts)


def test_case_21_one_file_under_two_names_has_two_records_and_one_digest(hook: Hook, project: Project) -> None:
    project.write({"a/__init__.py": "", "a/twice.py": "X = 1\n"})
    sys.path.insert(0, str(project.root / "a"))
    try:
        first, second = importlib.import_module("a.twice"), importlib.import_module("twice")
    finally:
        sys.path.remove(str(project.root / "a"))
    assert first is not second
    records = [loaded().by_import_name(name) for name in ("a.twice", "twice")]
    assert [found.import_name for found in records if found] == ["a.twice", "twice"]
    assert {(found.module_name, found.source.digest) for found in records if found} == {
        ("a.twice", records[0].source.digest if records[0] else "")
    }


def test_case_22_modules_that_remove_or_replace_themselves_import_as_ever(tree: Tree) -> None:
    tree.write(
        {
            "replaced.py": "import sys, types\nsys.modules[__name__] = types.SimpleNamespace(VALUE='replaced')\n",
            "removed.py": "import sys\ndel sys.modules[__name__]\n",
            "pkg/__init__.py": "attribute = 1\n",
        }
    )
    probe = """
import replaced
print(replaced.VALUE)
try: import removed; print("imported")
except Exception as error: print(type(error).__name__, error)
from pkg import attribute
print(attribute)
try: import pkg.attribute
except ModuleNotFoundError as error: print(error)
"""
    assert tree.hooked(probe).ok().stdout == tree.plain(probe).ok().stdout


def test_case_23_a_lazy_module_is_never_woken(tree: Tree) -> None:
    tree.write(
        {"lazy.py": "print('loaded')\nX = 1\n", "pep562.py": "def __getattr__(name):\n    print('asked', name)\n"}
    )
    done = tree.hooked(
        """
import importlib.util
hook.uninstall()
spec = importlib.util.find_spec("lazy")
spec.loader = importlib.util.LazyLoader(spec.loader)
lazy = importlib.util.module_from_spec(spec)
sys.modules["lazy"] = lazy
spec.loader.exec_module(lazy)
import pep562
hook.install()
from hitsave.importhook import find_loaded
attest(lazy), attest(pep562), find_loaded("lazy"), find_loaded("pep562"), loaded().names()
hook._note_loaded(hook.scope.projects)
print("still asleep")
print(lazy.X)
"""
    ).ok()
    assert done.lines == ["still asleep", "loaded", "1"]


def test_case_24_lazy_loading_works_around_our_loader(tree: Tree) -> None:
    tree.write({"lazy/__init__.py": "print('loaded')\nX = 1\n", "lazy/data.txt": "data"})
    done = tree.hooked(
        """
import importlib.util, importlib.resources
spec = importlib.util.find_spec("lazy")
print(type(spec.loader).__name__)
loader = spec.loader = importlib.util.LazyLoader(spec.loader)
lazy = importlib.util.module_from_spec(spec)
sys.modules["lazy"] = lazy
loader.exec_module(lazy)
print("not yet", loaded().get("lazy"), sorted(spec.loader_state))
print(lazy.X, loaded().get("lazy").kind)
print((importlib.resources.files("lazy") / "data.txt").read_text())
"""
    ).ok()
    states = ["['__class__', '__dict__']", "['__class__', '__dict__', 'is_loading', 'lock']"]
    assert done.lines[0] == "HitsaveLoader"
    assert done.lines[1] in [f"not yet None {state}" for state in states]
    assert done.lines[2:] == ["loaded", "1 hook", "data"]


def test_a_function_made_by_exec_is_known_by_its_code(hook: Hook) -> None:
    names: dict[str, object] = {"__name__": "nowhere"}
    exec("def made(): return 1", names)
    found = attest(names["made"])  # type: ignore[arg-type]
    assert (found.kind, found.source.data) == ("code", b"")


def test_case_18_links_anywhere_in_a_package_lead_where_they_point(tree: Tree, tmp_path: Path) -> None:
    """A linked folder is judged by where it is; a package whose `__init__.py` alone is a link is the project's."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "shared.py").write_text("")
    (outside / "m.py").write_text("x = 1\n")
    tree.write({"pkg/__init__.py": "", "pkg/sub/a.py": "x = 1\n", "linked/b.py": "x = 1\n"})
    (tree.root / "pkg" / "away").symlink_to(outside, target_is_directory=True)
    (tree.root / "pkg" / "near").symlink_to(tree.root / "pkg" / "sub", target_is_directory=True)
    (tree.root / "linked" / "__init__.py").symlink_to(outside / "shared.py")
    done = tree.hooked(
        "import pkg.sub.a, pkg.away.m, pkg.near.a, linked.b\n"
        "print([n for n in ('pkg.sub.a', 'pkg.away.m', 'pkg.near.a', 'linked.b') if loaded().knows(n)])"
    )
    assert done.ok().lines == ["['pkg.sub.a', 'pkg.near.a', 'linked.b']"]
