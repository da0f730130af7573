"""`dependencies`: what a symbol of a project on disk depends on."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from hitsave.analysis import dependencies
from hitsave.errors import UnknownSymbol


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        later = path.stat().st_mtime_ns + 1_000_000 * len(text)  # files written at once are told apart by their size
        os.utime(path, ns=(later, later))
    return root


def test_symbols_stand_in_their_defining_module_each_by_name(tmp_path: Path) -> None:
    write(tmp_path, {
        "pkg/__init__.py": "from .impl import f, A\n",
        "pkg/impl.py": "K = 1\nclass A:\n    J = 2\n    def m(self): return K + self.J\n    def n(self): pass\n"
                       "def f():\n    def inner(): return A().m()\n    return inner()\n",
        "main.py": "from pkg import f\ndef top(): return f()\n",
    })  # fmt: skip
    assert dependencies(tmp_path, "main:top") == {
        "main:top", "pkg.impl:f", "pkg.impl:A", "pkg.impl:A.m", "pkg.impl:A.J", "pkg.impl:K",
    }  # fmt: skip


def test_a_nested_function_is_asked_for_by_its_outermost_definition(tmp_path: Path) -> None:
    write(tmp_path, {"m.py": "def g(): pass\ndef f():\n    def inner(): return g()\n    return inner\n"})
    assert dependencies(tmp_path, "m:f.<locals>.inner") == dependencies(tmp_path, "m:f") == {"m:f", "m:g"}


def test_an_inherited_method_is_asked_for_by_the_subclass(tmp_path: Path) -> None:
    write(tmp_path, {"m.py": "class A:\n    def go(self): return g()\nclass B(A): pass\ndef g(): pass\n"})
    assert {"m:A.go", "m:g"} <= dependencies(tmp_path, "m:B.go")


def test_a_module_depends_on_what_its_execution_runs(tmp_path: Path) -> None:
    write(tmp_path, {
        "m.py": "import n\ndef deco(f): return g(f)\ndef g(f): return f\n@deco\ndef f(): return unused()\n"
                "def unused(): pass\nn.start()\nclass A:\n    x = g(1)\n",
        "n.py": "def start(): go()\ndef go(): pass\ndef idle(): pass\n",
    })  # fmt: skip
    found = dependencies(tmp_path, "m:<module>")
    assert {"m:<module>", "n:<module>", "m:deco", "m:g", "n:start", "n:go", "m:A"} <= found
    assert found.isdisjoint({"m:unused", "n:idle"})


def test_a_lazy_import_runs_the_module(tmp_path: Path) -> None:
    write(tmp_path, {"m.py": "def f():\n    import n\n    return n.g()\n", "n.py": "def g(): pass\n"})
    assert dependencies(tmp_path, "m:f") == {"m:f", "n:g", "n:<module>"}


@pytest.mark.parametrize("name", ["m:missing", "missing:f", "m:A.missing", "m:f.x", ""])
def test_an_unknown_symbol_says_so(tmp_path: Path, name: str) -> None:
    write(tmp_path, {"m.py": "class A: pass\ndef f(): pass\n"})
    with pytest.raises(UnknownSymbol):
        dependencies(tmp_path, name)


def test_an_edit_is_noticed(tmp_path: Path) -> None:
    write(tmp_path, {"m.py": "def f(): return g()\ndef g(): pass\ndef h(): pass\n"})
    assert dependencies(tmp_path, "m:f") == {"m:f", "m:g"}
    write(tmp_path, {"m.py": "def f(): return h()\ndef g(): pass\ndef h(): pass # now\n"})
    assert dependencies(tmp_path, "m:f") == {"m:f", "m:h"}


def test_a_file_that_appears_is_noticed(tmp_path: Path) -> None:
    write(tmp_path, {"m.py": "def f():\n    from pkg.late import g\n    return g()\n"})
    assert dependencies(tmp_path, "m:f") == {"m:f"}
    write(tmp_path, {"pkg/late.py": "def g(): pass\n"})
    assert "pkg.late:g" in dependencies(tmp_path, "m:f")


def test_a_file_that_disappears_is_noticed(tmp_path: Path) -> None:
    write(tmp_path, {"m.py": "from n import g\ndef f(): return g()\n", "n.py": "def g(): pass\n"})
    assert "n:g" in dependencies(tmp_path, "m:f")
    (tmp_path / "n.py").unlink()
    assert dependencies(tmp_path, "m:f") == {"m:f"}


def test_a_file_that_does_not_parse_is_outside(tmp_path: Path) -> None:
    write(tmp_path, {"m.py": "import bad\ndef f(): return bad.g()\n", "bad.py": "def g(:\n"})
    assert dependencies(tmp_path, "m:f") == {"m:f"}


def test_src_and_namespace_layouts(tmp_path: Path) -> None:
    write(tmp_path, {"src/ns/a.py": "from ns.b import g\ndef f(): return g()\n", "src/ns/b.py": "def g(): pass\n"})
    assert dependencies(tmp_path, "ns.a:f") == {"ns.a:f", "ns.b:g"}


def test_a_script_imports_from_its_own_folder(tmp_path: Path) -> None:
    write(
        tmp_path, {"scripts/train.py": "import help\ndef f(): return help.g()\n", "scripts/help.py": "def g(): pass\n"}
    )
    assert dependencies(tmp_path, "scripts.train:f") == {"scripts.train:f", "scripts.help:g"}


def test_nothing_is_imported(tmp_path: Path) -> None:
    write(tmp_path, {"m_unimported.py": "raise SystemExit\nimport n_unimported\ndef f(): return n_unimported.g()\n",
                     "n_unimported.py": "raise SystemExit\ndef g(): pass\n"})  # fmt: skip
    assert "n_unimported:g" in dependencies(str(tmp_path), "m_unimported:f")
    assert not {"m_unimported", "n_unimported"} & set(sys.modules)


def test_a_statement_that_changes_a_name_is_named_as_its_modules_body(tmp_path: Path) -> None:
    write(tmp_path, {"m.py": "import patch\nfrom lib import g\ndef f(): return g()\n", "lib.py": "def g(): pass\n",
                     "patch.py": "import lib\ndef mine(): pass\nlib.g = mine\n"})  # fmt: skip
    assert dependencies(tmp_path, "m:f") == {"m:f", "lib:g", "patch:<module>", "patch:mine"}


CALL_GRAPHS = {
    "a function given as an argument": ("def p(): pass\ndef f(a): a()\nf(p)\n", "m:<module>", {"m:f", "m:p"}),
    "a function in a dict": ("def f(): pass\nd = {'a': f}\nd['a']()\n", "m:<module>", {"m:f"}),
    "a function in a nested list": ("def f(): pass\nx = [[f]]\nx[0][0]()\n", "m:<module>", {"m:f"}),
    "a function returned by a function": ("def g(): pass\ndef f(): return g\nf()()\n", "m:<module>", {"m:f", "m:g"}),
    "a chain of assignments": ("def f(): pass\na = f\nb = c = a\n(d, e) = (c, b)\ne()\n", "m:<module>", {"m:f"}),
    "a method through a local": (
        "class A:\n    def f(self): pass\na = A()\nb = a.f\nb()\n",
        "m:<module>",
        {"m:A", "m:A.f"},
    ),
    "a method assigned to self": (
        "class A:\n    def __init__(self): self.x = self.f\n"
        "    def f(self): pass\n    def g(self): self.x()\nA().g()\n",
        "m:<module>",
        {"m:A.__init__", "m:A.g", "m:A.f"},
    ),
    "the second base": (
        "class A:\n    def f(self): pass\nclass B: pass\nclass C(B, A): pass\nC().f()\n",
        "m:<module>",
        {"m:C", "m:A.f"},
    ),
    "super in the order of the subclass": (
        "class A:\n    def f(self): pass\nclass B(A):\n    def f(self): super().f()\n"
        "class C(A):\n    def f(self): pass\n"
        "class D(B, C): pass\nD().f()\n",
        "m:<module>",
        {"m:B.f", "m:C.f"},
    ),
    "a decorator that returns another function": (
        "def other(): pass\ndef d(f): return other\n@d\ndef f(): pass\nf()\n",
        "m:<module>",
        {"m:d", "m:other", "m:f"},
    ),
    "eval of a text": ("def f(): pass\neval('f()')\n", "m:<module>", {"m:f"}),
    "raise and except": (
        "class E(Exception):\n    def __init__(self): pass\ntry: raise E()\nexcept E: pass\n",
        "m:<module>",
        {"m:E", "m:E.__init__"},
    ),
    "an iterator": (
        "class I:\n    def __iter__(self): return self\n    def __next__(self): raise StopIteration\n"
        "for _ in I(): pass\n",
        "m:<module>",
        {"m:I.__iter__", "m:I.__next__"},
    ),
    "a generator": ("def f(): yield g()\ndef g(): pass\nlist(f())\n", "m:<module>", {"m:f", "m:g"}),
    "a keyword argument": ("def f(): pass\ndef g(a=None): a()\ng(a=f)\n", "m:<module>", {"m:f", "m:g"}),
    "a lambda": ("def f(): pass\nx = lambda: f()\nx()\n", "m:<module>", {"m:f", "m:x"}),
    "map": ("def f(x): pass\nlist(map(f, [1]))\n", "m:<module>", {"m:f"}),
    "a class attribute through a subclass": (
        "class A:\n    K = 1\nclass B(A): pass\ndef f(): return B.K\n",
        "m:f",
        {"m:A.K", "m:B"},
    ),
    "a class in a class": (
        "class A:\n    class B:\n        def f(self): pass\ndef g(): A.B().f()\n",
        "m:g",
        {"m:A.B.f"},
    ),
    "a nested definition that shadows": ("def f(): pass\ndef g():\n    def f(): pass\n    f()\n", "m:g", {"m:g"}),
}


@pytest.mark.parametrize("name", CALL_GRAPHS)
def test_small_call_graphs(tmp_path: Path, name: str) -> None:
    text, start, wanted = CALL_GRAPHS[name]
    write(tmp_path, {"m.py": text})
    assert wanted <= dependencies(tmp_path, start)
    if "shadows" in name:
        assert "m:f" not in dependencies(tmp_path, start)
