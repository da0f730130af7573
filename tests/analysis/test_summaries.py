"""Summaries: stable under everything that means nothing, and made of any source that Python takes."""

from __future__ import annotations

import ast
import gc
import sys
import sysconfig
import warnings
from pathlib import Path

import pytest

from hitsave.analysis import ModuleSummary, decode_summary, encode_summary, summarise
from hitsave.analysis.summary import Class, Function, Import, Value
from hitsave.source import source_of

LIBRARY = Path(sysconfig.get_paths()["stdlib"])
NAMES = ["argparse", "ast", "asyncio/tasks", "collections/__init__", "dataclasses", "decimal", "email/message", "enum",
         "functools", "http/client", "inspect", "json/decoder", "logging/__init__", "pathlib", "random", "tarfile",
         "threading", "typing", "unittest/mock", "xml/dom/minidom"]  # fmt: skip
FILES = [path for name in NAMES if (path := LIBRARY / f"{name}.py").exists()]


def summary(text: str | bytes, name: str = "m") -> ModuleSummary:
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return summarise(source_of(name, f"{name}.py", data))


def digests(found: ModuleSummary) -> dict[str, list[tuple[str, ...]]]:
    """What counts of each definition."""
    fields = {Function: ("header", "body"), Class: ("shape",), Value: ("digest",), Import: ("module", "attribute")}
    return {
        name: [tuple(getattr(one, field) for field in fields[type(one)]) for one in definitions]
        for name, definitions in found.definitions.items()
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_writing_the_tree_out_anew_changes_no_digest(path: Path) -> None:
    text = path.read_text("utf-8")
    again = ast.unparse(ast.parse(text))
    before, after = summary(text), summary(again)
    assert digests(before) == digests(after)
    assert [s.digest for s in before.statements] == [s.digest for s in after.statements]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_summary_comes_back_from_its_bytes(path: Path) -> None:
    found = summary(path.read_bytes())
    assert decode_summary(encode_summary(found)) == found


def test_bytes_of_another_version_are_not_read() -> None:
    assert decode_summary(b"") is None
    assert decode_summary(b"garbage") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "# only a comment",
        '"""only a docstring"""',
        "\ufeffx = 1",
        "x = 1\r\ny = 2\r\n",
        "x = 1\x0c\ny = 2",
        "x = '\ud800'",
        "x = 10 ** 5000\ny = " + "1" * 6000,
        "x = 1e999\ny = -1e999\nz = 1j",
        "ª = 1\nº = ª",
        "def f(): pass\n" * 3,
        "x = " + " + ".join(["1"] * 900),
        "x = " + "f(" * 80 + ")" * 80,
        "if x:\n" + "".join("    " * i + "if x:\n" for i in range(1, 60)) + "    " * 60 + "y = 1",
        "lambda: (yield)",
        "x: int",
        "del x",
        "async def f():\n    async with a as b, c: pass\n    return [x async for x in y if await z]",
        "try: pass\nexcept (A, B) as e: pass\nelse: pass\nfinally: pass",
        "with (a as b, c as (d, *e)): pass",
        "for x.y, z[0] in w: pass",
        "a.b: int = 1\na[0]: int",
        "class A(B, *C, metaclass=M, **k): x: int; y: 'str' = 1",
        "def f(a, /, b, *c, d=1, **e): nonlocal_ = 1; global g; g = 2",
        "x = {**a, 'b': [*c], **d}\nf(*a, **b, c=d)",
        "print(f'{x!r:>{w}} {y=}')",
        "assert x, y\nraise A from B",
        "@a.b[0](c)\ndef f(): ...",
        "match x:\n case {'a': [1, *r], **k} | None: pass\n case A(b, c=D.e) if f: pass\n case -1 | 1+2j | 'x': pass",
        "global x\nx = 1",
    ],
)
def test_any_source_has_a_summary(text: str) -> None:
    data = text.encode("utf-8", "surrogatepass")
    try:
        compile(data, "m.py", "exec")
    except (SyntaxError, ValueError, UnicodeDecodeError):
        return  # this Python has no such module, so nothing is asked of its summary
    assert summary(data).module == "m"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="needs Python 3.12")
def test_type_parameters_have_a_summary() -> None:
    found = summary("type A[T: int] = list[T]\ndef f[T, *U, **V](x: T) -> T: return x\nclass C[T](B[T]): x: T")
    assert list(found.definitions) == ["f", "C"] or set(found.definitions) == {"A", "f", "C"}


def test_an_encoding_cookie_is_obeyed() -> None:
    latin = summary("# -*- coding: latin-1 -*-\nx = 'ä'\n".encode("latin-1"))
    assert digests(latin) == digests(summary("x = 'ä'\n"))


def test_an_expression_too_deep_for_the_usual_stack_has_a_summary() -> None:
    found = summary("def f(x):\n    return " + "x + " * 4000 + "x\n")
    assert "f" in found.definitions or found.exports == ("*",)


def test_a_syntax_error_names_the_file() -> None:
    with pytest.raises(SyntaxError) as caught:
        summary("def f(:")
    assert caught.value.filename == "m.py"


def test_the_parser_warns_nobody_again() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        before = list(warnings.filters)
        summary("x = '\\d'\ny = 1 is 1\n")
        assert warnings.filters == before
    assert not caught


def test_warnings_as_errors_are_no_syntax_errors() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert summary("x = '\\d'\n").definitions


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_is_left_as_it_was(enabled: bool) -> None:
    was = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        summary("x = 1")
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if was else gc.disable)()


def test_distinct_programs_have_distinct_digests() -> None:
    """Each text differs from every other in what it computes."""
    bodies = [
        "1", "True", "1.0", "'1'", "b'1'", "None", "...", "x", "(x,)", "[x]", "{x}", "{x: x}", "{**x}", "[*x]",
        "x + 1", "1 + x", "x - 1", "-x", "not x", "x.y", "x[y]", "x['y']", "x(y)", "x(y=y)", "x(*y)", "x(**y)",
        "x(y)(y)", "x(y(y))", "x(y, y)", "x((y, y))", "x if y else z", "y if x else z", "x and y", "x or y",
        "x and y or z", "x and (y or z)", "x < y", "x < y < z", "(x < y) < z", "x in y", "x not in y", "x is y",
        "lambda: x", "lambda x: x", "lambda *x: x", "lambda **x: x", "lambda x=x: x", "lambda x, /: x",
        "lambda *, x: x", "[x for x in y]", "{x for x in y}", "(x for x in y)", "{x: x for x in y}",
        "[x for x in y if x]", "[x for x in y for x in z]", "f'{x}'", "f'{x!r}'", "f'{x:y}'", "f'x'", "'x'", "x[:]",
        "x[::y]", "x[y:]", "x[:y]", "x[y, y]", "x[(y, y), y]", "(y := x)", "x @ y", "x ** y", "-x ** y", "(-x) ** y",
        "''", "'\\n'", "'a' 'b'", "'a', 'b'", "0x10", "10", "1j", "x.y.z", "x.y().z", "x().y.z",
    ]  # fmt: skip
    found: dict[str, list[str]] = {}
    for body in bodies:
        digest = summary(f"def f():\n    return {body}").definitions["f"][0].body  # type: ignore[attr-defined]
        found.setdefault(digest, []).append(body)
    same = [group for group in found.values() if len(group) > 1]
    assert same in ([], [["16", "0x10"]]), same
