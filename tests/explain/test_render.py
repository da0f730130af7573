from __future__ import annotations

import ast
import sys
import textwrap

import pytest

from hitsave.explain.render import definition_diff, render_definition, render_tree
from tests.harness import REPOSITORY

PROGRAMS = [
    "def f(x, /, y=1, *args, z, **rest):\n    return x if y else z\n",
    "class A(B, metaclass=M):\n    x: int = 1\n\n    @property\n    def y(self):\n        return {**self.d}\n",
    "async def f():\n    async with a as b:\n        return [x async for x in b if (await x)]\n",
    "x = f'{a!r:>{width}} {{literal}}'\n",
    "match p:\n    case Point(x=0) | [_, *rest] if rest:\n        pass\n",
    "try:\n    pass\nexcept (A, B) as e:\n    raise C from e\nelse:\n    pass\nfinally:\n    pass\n",
    "z = (y := 3)\n",
    "s = 'é\\n\\'\"'\nb = b'\\x00'\nn = -1 ** 2j\n",
    "def f():\n    global g\n    del a[1:2, ...], b.c\n    return (yield from x)\n",
]


@pytest.mark.parametrize("program", PROGRAMS)
def test_rendered_source_parses_back_to_the_same_tree(program: str) -> None:
    tree = ast.parse(program)
    assert ast.dump(ast.parse(render_tree(tree))) == ast.dump(tree)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="needs Python 3.12: PEP 695")
def test_syntax_that_astor_does_not_know_is_rendered_all_the_same() -> None:
    program = "type Pair[T] = tuple[T, T]\n\ndef first[T](p: Pair[T]) -> T:\n    return p[0]\n"
    tree = ast.parse(program)
    assert ast.dump(ast.parse(render_tree(tree))) == ast.dump(tree)


def test_whole_modules_render_to_their_own_tree() -> None:
    for path in (REPOSITORY / "hitsave" / "explain").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert ast.dump(ast.parse(render_tree(tree))) == ast.dump(tree)


def test_a_definition_is_shown_without_comments_layout_and_docstring() -> None:
    text = textwrap.dedent('''
        def f( x ):   # a comment
            """What f does."""

            return   x+1
    ''')
    assert render_definition(text).split() == ["def", "f(x):", "return", "x", "+", "1"]


def test_a_method_is_shown_although_it_is_indented() -> None:
    assert render_definition("    def go(self):\n        return 1\n").startswith("def go(self):")


def test_a_diff_shows_the_lines_that_mean_something_else() -> None:
    diff = definition_diff("def f(x):\n    # old\n    return x + 1\n", "def f(x):\n    return x + 2  # new\n")
    assert diff.splitlines() == [" def f(x):", "-    return x + 1", "+    return x + 2"]


def test_a_diff_of_what_is_gone_removes_every_line() -> None:
    assert definition_diff("C = 4", None).splitlines() == ["-C = 4"]
    assert definition_diff(None, "C = 4").splitlines() == ["+C = 4"]


def test_a_changed_docstring_is_shown_where_nothing_else_changed() -> None:
    diff = definition_diff('def f():\n    """One."""\n', 'def f():\n    """Two."""\n')
    assert '-    """One."""' in diff.splitlines()
    assert '+    """Two."""' in diff.splitlines()


def test_far_apart_changes_are_separated_by_an_ellipsis() -> None:
    old = "def f():\n" + "".join(f"    a{i} = {i}\n" for i in range(30))
    diff = definition_diff(old, old.replace("= 2\n", "= 200\n").replace("= 27\n", "= 270\n"))
    assert "  …" in diff.splitlines()


def test_text_that_is_no_python_is_compared_as_it_is() -> None:
    assert definition_diff("def (:", "def (: x").splitlines() == ["-def (:", "+def (: x"]
