"""What is rewritten, and what is left alone."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from hitsave.importhook.patterns import matches
from hitsave.importhook.rewriter import Rewriting
from hitsave.importhook.sites import decorator_names, functions


def rewritten(text: str, **patterns: list[str]) -> str:
    """The module as it is compiled, as text; "" if nothing in it is rewritten. Of a site only the symbol is shown."""
    rewriting = Rewriting(lambda _: "pkg.m", **patterns)
    tree = rewriting.parse(text, "m.py", "m")
    if tree is None:
        return ""
    for node in ast.walk(tree):
        site: Any = getattr(node, "value", None)
        if isinstance(node, ast.Constant) and isinstance(site, tuple):
            node.value = site[0]
    return ast.unparse(tree)


@pytest.mark.parametrize(
    ("text", "decorator"),
    [
        ("from hitsave import memo\n@memo\ndef f(): pass", "@memo.at_site('pkg.m:f')"),
        ("from hitsave import memo as m\n@m\ndef f(): pass", "@m.at_site('pkg.m:f')"),
        ("from hitsave import experiment\n@experiment(version=1)\ndef f(): pass", "version=1).at_site('pkg.m:f')"),
        ("import hitsave\n@hitsave.memo\ndef f(): pass", "@hitsave.memo.at_site('pkg.m:f')"),
        ("import hitsave as h\n@h.experiment()\ndef f(): pass", "@h.experiment().at_site('pkg.m:f')"),
        ("import hitsave.errors\n@hitsave.memo\ndef f(): pass", "@hitsave.memo.at_site('pkg.m:f')"),
        ("from hitsave import memo\n@memo\nasync def f(): pass", "@memo.at_site('pkg.m:f')"),
        ("from hitsave import memo\nclass A:\n  @staticmethod\n  @memo\n  def f(): pass", "memo.at_site('pkg.m:A.f')"),
        ("from hitsave import memo\ndef g():\n  @memo\n  def f(): pass", "memo.at_site('pkg.m:g.<locals>.f')"),
        ("def g():\n  from hitsave import memo\n  @memo\n  def f(): pass", "memo.at_site('pkg.m:g.<locals>.f')"),
        ("from hitsave import memo\nif 1:\n  @memo\n  def f(): pass", "memo.at_site('pkg.m:f')"),
        ("from hitsave import memo\ntry: pass\nexcept E:\n  @memo\n  def f(): pass", "memo.at_site('pkg.m:f')"),
        ("from hitsave import memo\nmatch 1:\n  case 1:\n    @memo\n    def f(): pass", "memo.at_site('pkg.m:f')"),
        (
            "from hitsave import memo\n@other\n@memo\n@another\ndef f(): pass",
            "@other\n@memo.at_site('pkg.m:f')\n@another",
        ),
    ],
)
def test_a_decorator_that_certainly_is_ours_gets_its_site(text: str, decorator: str) -> None:
    assert decorator in rewritten(text)


@pytest.mark.parametrize(
    "text",
    [
        "try:\n  from hitsave import memo\nexcept ImportError:\n  def memo(f): return f\n@memo\ndef f(): pass",
        "try:\n  import hitsave\nexcept ImportError:\n  hitsave = None\n@hitsave.memo\ndef f(): pass",
        "from hitsave import memo\nfrom other import *\n@memo\ndef f(): pass",
        "from hitsave import memo\nmemo = other\n@memo\ndef f(): pass",
        "from hitsave import memo\ndef g(memo):\n  @memo\n  def f(): pass",
        "from hitsave import memo\nfor memo in x:\n  @memo\n  def f(): pass",
        "from hitsave import memo\nwith x as memo:\n  @memo\n  def f(): pass",
        "from hitsave import memo\ntry: pass\nexcept E as memo: pass\n@memo\ndef f(): pass",
        "from hitsave import memo\n[memo for memo in x]\n@memo\ndef f(): pass",
        "from hitsave import memo\n(memo := 1)\n@memo\ndef f(): pass",
        "from hitsave import memo\ndel memo\n@memo\ndef f(): pass",
        "from hitsave import memo\nclass memo: pass\n@memo\ndef f(): pass",
        "from hitsave import memo\ndef g():\n  global memo\n  memo = 1\n@memo\ndef f(): pass",
        "from hitsave import memo\nmatch x:\n  case memo: pass\n@memo\ndef f(): pass",
        "from hitsave import memo\nmatch x:\n  case {'a': 1, **memo}: pass\n@memo\ndef f(): pass",
        "from .hitsave import memo\n@memo\ndef f(): pass",
        "from hitsave.other import memo\n@memo\ndef f(): pass",
        "import hitsave.errors as h\n@h.memo\ndef f(): pass",
        "from hitsave import configure\n@configure\ndef f(): pass",
        "from hitsave import memo\n@memo\nclass A: pass",
        "from hitsave import memo\nf = memo(g)",
        "from hitsave import memo\n@x.memo\ndef f(): pass",
        "# hitsave",
    ],
)
def test_anything_less_certain_is_left_alone(text: str) -> None:
    assert rewritten(text) == ""


def test_a_module_in_place_of_hitsave_is_not_rewritten_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test may put a stand-in there: its `memo` has no sites."""
    import sys
    import types

    text = "from hitsave import memo\n@memo\ndef f(): pass"
    assert rewritten(text)
    monkeypatch.setitem(sys.modules, "hitsave", types.ModuleType("hitsave"))
    assert rewritten(text) == ""


def test_qualified_names_are_those_of_python() -> None:
    text = (
        "def f():\n  class A:\n    def m(self):\n      def n(): pass\nclass B:\n  class C:\n    async def m(self): pass"
    )
    namespace: dict[str, object] = {}
    exec(text, namespace)
    found = sorted(qualname for _, qualname in functions(ast.parse(text)))
    assert found == ["B.C.m", "f", "f.<locals>.A.m", "f.<locals>.A.m.<locals>.n"]


def test_names_are_found_in_every_scope() -> None:
    tree = ast.parse("import hitsave as h\nfrom hitsave import memo, experiment as e\nimport hitsave")
    assert decorator_names(tree) == {"h": "hitsave", "memo": "memo", "e": "experiment", "hitsave": "hitsave"}


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("load_*", "load_csv", True),
        ("*", "", True),
        ("**a*b*", "xxaxxbxx", True),
        ("a?c", "abc", True),
        ("a?c", "ac", False),
        ("*ab", "aab", True),
        ("load", "reload", False),
        ("[ab]", "a", False),
    ],
)
def test_patterns(pattern: str, name: str, expected: bool) -> None:
    assert matches(pattern, name) is expected


INSTRUMENTED = """
import functools
from hitsave import memo

def load_a(x): return x
@functools.wraps(load_a)
def load_b(x): return x
@memo
def load_c(x): return x
@memo(version=1)
def load_d(x): return x
def load_e(x): yield x
def load_f(x):
    def load_g(): return x
    return load_g
class A:
    def __init__(self): pass
    def load_h(self): return 1
    @property
    def load_i(self): return 1
    @load_i.setter
    def load_i(self, value): pass
def other(x): return x
"""


def test_patterns_decorate_functions_that_carry_no_decorator_of_ours() -> None:
    text = rewritten(INSTRUMENTED, memo=["pkg.*:*load_*"], experiment=["pkg.m:other"])
    added = [line.strip() for line in text.splitlines() if "__import__" in line]
    assert added == [
        "@__import__('hitsave').memo.at_site('pkg.m:load_a')",
        "@__import__('hitsave').memo.at_site('pkg.m:load_b')",
        "@__import__('hitsave').memo.at_site('pkg.m:load_f')",
        "@__import__('hitsave').memo.at_site('pkg.m:A.load_h')",
        "@__import__('hitsave').memo.at_site('pkg.m:A.load_i')",
        "@__import__('hitsave').experiment.at_site('pkg.m:other')",
    ]
    assert "@functools.wraps(load_a)\n@__import__" in text
    assert rewritten(INSTRUMENTED, memo=["other.*:*"]) == rewritten(INSTRUMENTED)


@pytest.mark.parametrize("name", ["load_a", "load_b", "A.load_h", "A.load_i"])
def test_an_instrumented_function_keeps_its_first_line(name: str) -> None:
    def first_line(tree: object) -> int:
        namespace: dict[str, object] = {"__name__": "m"}
        plain = (
            INSTRUMENTED.replace("from hitsave import memo", "").replace("@memo(version=1)", "").replace("@memo", "")
        )
        source: Any = plain if tree is None else tree
        exec(compile(source, "m.py", "exec"), namespace)
        found: object = namespace
        for part in name.split("."):
            found = found[part] if isinstance(found, dict) else vars(found)[part]
        found = getattr(found, "fget", found)
        found = getattr(found, "__wrapped__", found) if name == "load_b" else found
        return int(found.__code__.co_firstlineno)  # type: ignore[attr-defined]

    text = INSTRUMENTED.replace("from hitsave import memo", "").replace("@memo(version=1)", "").replace("@memo", "")
    tree = Rewriting(lambda _: "m", memo=["m:*load_*"]).parse(text, "m.py", "m")
    assert tree is not None
    for node in ast.walk(tree):  # let the decorators give the function back, so that its own code is looked at
        if isinstance(node, ast.Attribute) and node.attr == "at_site":
            node.value = ast.copy_location(ast.Name("Plain", ast.Load()), node)
    tree.body.insert(0, ast.parse("class Plain:\n  at_site = staticmethod(lambda site: lambda f: f)").body[0])
    assert first_line(tree) == first_line(None)
