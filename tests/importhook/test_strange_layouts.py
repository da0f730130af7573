"""Programs that look closely, in strange layouts: they print the same with the hook as without, cold and warm."""

from __future__ import annotations

import sys

import pytest

from tests.importhook.conftest import Tree

# A decorated module, so that it is one of those that are rewritten.
F = "import hitsave\n@hitsave.memo\ndef f(x):\n    return x + 1\n"
CHAIN = {f"c{i}.py": f"import c{i + 1}\n" for i in range(60)}

PROGRAMS: dict[str, tuple[dict[str, str], str]] = {
    "how deep the stack is while a module runs": (
        {"m.py": "import sys\nn = 0\nframe = sys._getframe()\nwhile frame: n += 1; frame = frame.f_back\n" + F},
        "import m; print(m.n)",
    ),
    "imports as deep as Python lets them": (
        {**CHAIN, "c60.py": "import sys\nn = 0\nframe = sys._getframe()\nwhile frame: n += 1; frame = frame.f_back\n"},
        "import c0, c60; print(c60.n)",
    ),
    "functions, classes and specs are pickled and copied": (
        {"m.py": F + "def g(): return 2\nclass A: pass\n"},
        "import m, pickle, copy\nprint([pickle.loads(pickle.dumps(x)) is x for x in (m.g, m.A)])\n"
        "print(copy.deepcopy(m.__spec__).origin == m.__spec__.origin, len(pickle.dumps(m.__spec__)) > 0)",
    ),
    "a warning at import points to who imports": (
        {"m.py": "import warnings\nwarnings.warn('old', stacklevel=2)\n" + F, "top.py": "\n\nimport m\n"},
        "import warnings\nwith warnings.catch_warnings(record=True) as seen:\n    warnings.simplefilter('always')\n"
        "    import top\nprint([(w.filename.endswith('top.py'), w.lineno) for w in seen])",
    ),
    "a warning is shown once per line": (
        {"m.py": "import warnings\ndef g(): warnings.warn('hello')\n" + F},
        "import warnings\nwarnings.simplefilter('default')\nimport m\nm.g(); m.g()\nprint(len(m.__warningregistry__))",
    ),
    "the loader's other methods": (
        {"p/__init__.py": F, "p/m.py": F, "p/d.txt": "hi"},
        "import p.m, importlib.util, pkgutil, os\nl = p.m.__loader__\n"
        "print(l.is_package('p.m'), p.__loader__.is_package('p'), l.get_filename('p.m') == p.m.__file__)\n"
        "print(l.get_source('p.m') == open(p.m.__file__).read(), sorted(l.path_stats(p.m.__file__)))\n"
        "print(l.get_data(os.path.join(os.path.dirname(p.m.__file__), 'd.txt')), pkgutil.get_data('p', 'd.txt'))\n"
        "print(p.m.__cached__ == importlib.util.cache_from_source(p.m.__file__) == p.m.__spec__.cached)\n"
        "print([found.name for found in pkgutil.walk_packages(p.__path__, 'p.')])\n"
        "spec = importlib.util.find_spec('p.m')\nmod = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(mod)\nprint(mod.f is not p.m.f, mod.f(1), spec.parent, spec.loader_state)\n"
        "try: l.get_code('other')\nexcept ImportError as error: print(error)",
    ),
    "a module may be loaded by hand under another name": (
        {"m.py": F},
        "import importlib.util\nspec = importlib.util.spec_from_file_location('other', sys.path[0] + '/m.py')\n"
        "mod = importlib.util.module_from_spec(spec)\nsys.modules['other'] = mod\nspec.loader.exec_module(mod)\n"
        "print(mod.f(2), mod.__name__)",
    ),
    "what a module holds, and in which order": ({"m.py": '"""Doc."""\nX = 1\n' + F}, "import m; print(list(vars(m)))"),
    "a module answers for missing names": (
        {"m.py": "asked = []\ndef __getattr__(name):\n    asked.append(name)\n    raise AttributeError(name)\n" + F},
        "import m\nprint(m.asked, getattr(m, 'zzz', 3))\nimportlib.reload(m)\nprint(m.asked)",
    ),
    "a module changes its class": (
        {"m.py": "import sys, types\nclass M(types.ModuleType): pass\nsys.modules[__name__].__class__ = M\n" + F},
        "import m; print(type(m).__name__, m.f(1))",
    ),
    "a module forgets its own name": (
        {"m.py": "del __spec__, __loader__\n" + F, "n.py": "del __name__, __file__\nx = 1\n" + F},
        "import m, n; print(m.f(1), n.x, sorted(vars(n)))",
    ),
    "sys.path holds what Python ignores": (
        {"m.py": F},
        "import pathlib\nsys.path[:0] = [None, pathlib.Path('/zz')]\nsys.path.append(3)\nimport m; print(m.f(1))",
    ),
    "audit events": (
        {"m.py": "x = 1\n"},
        "seen = []\nhook = lambda event, args: on and event in ('import', 'exec') and seen.append(event)\n"
        "on = False\nsys.addaudithook(hook)\non = True\nimport m\non = False\nprint(seen)",
    ),
    "compiled by compileall, and without a source": (
        {"m.py": F, "k.py": "x = 7\n"},
        "import compileall, os, py_compile\ncompileall.compile_dir(sys.path[0], quiet=2)\nimport m; print(m.f(1))\n"
        "k = sys.path[0] + '/k.py'\npy_compile.compile(k, k + 'c')\nos.rename(k, k + '_')\n"
        "importlib.invalidate_caches()\nimport k as found\nprint(found.x, type(found.__loader__).__name__)\n"
        "os.remove(k + 'c'); os.rename(k + '_', k)",
    ),
    "another importer stands in for import": (
        {"m.py": F},
        "import builtins\nreal, seen = builtins.__import__, []\n"
        "def replaced(name, *rest, **more):\n    seen.append(name)\n    return real(name, *rest, **more)\n"
        "builtins.__import__ = replaced\nimport m\nprint([name for name in seen if name == 'm'])",
    ),
    "names beyond ASCII": ({"modül.py": F}, "import modül; print(modül.f(1), modül.__name__)"),
}
SUBINTERPRETER = """
import q
try: import _interpreters as interpreters
except ImportError: import _xxsubinterpreters as interpreters
one = interpreters.create()
interpreters.run_string(one, f"import sys; sys.path.insert(0, {sys.path[0]!r}); import q; print(q.x, flush=True)")
interpreters.destroy(one)
print(q.x)
"""


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_that_looks_closely_sees_no_difference(tree: Tree, name: str) -> None:
    files, code = PROGRAMS[name]
    tree.write(files)
    for _ in ("cold", "warm"):
        plain, hooked = tree.plain(code).ok(), tree.hooked(code).ok()
        assert hooked.lines == plain.lines
        assert hooked.stderr == plain.stderr
        assert plain.lines


@pytest.mark.skipif(sys.version_info < (3, 12), reason="needs Python 3.12: sub-interpreters of a kind of their own")
def test_a_sub_interpreter_imports_the_projects_modules(tree: Tree) -> None:
    tree.write({"q.py": "x = 5\n"})
    assert tree.hooked(SUBINTERPRETER).ok().lines == ["5", "5"]
