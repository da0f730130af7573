"""Cases 52 to 57: a module under the hook is the module that was written."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path
from types import CodeType

import pytest

from hitsave.importhook import Hook
from hitsave.importhook.codes import digest_constant, nested
from hitsave.importhook.loader import HitsaveLoader
from tests.importhook.conftest import Tree

# Read by the rewriter, which finds nothing to rewrite, or only the function at the end.
MENTIONED = "\n# hitsave\n"
DECORATED = "\nfrom hitsave import memo as _memo\n@_memo\ndef _last(x): return x\n"

TEXTS = {
    "future after docstring": '"""Doc."""\nfrom __future__ import annotations\nx: undefined = 1\n',
    "future after comments": "# a\n\n# b\nfrom __future__ import annotations\nx: undefined = 1\n",
    "several futures": "from __future__ import annotations\nfrom __future__ import division\nx: u = 1 / 2\n",
    "docstring only": '"""Doc."""\n',
    "bytes, not a docstring": "b'doc'\n",
    "f-string, not a docstring": "f'doc'\n",
    "empty": "",
    "comment only": "# nothing",
    "no final newline": "x = 1",
    "constant first": "1\n",
    "string concatenation": "x = 'a' 'b' f'{1}' 'c'\n",
    "deep expression": "x = " + "+".join("1" * 1200) + "\n",
    "deep nesting": "x = " + "(" * 80 + "1" + ")" * 80 + "\n",
    "match": "match [1, {'a': 2}]:\n    case [a, {'a': b, **rest}] if a: pass\n    case _: pass\n",
    "class scopes": "class A:\n    x = [i for i in range(3)]\n    class B:\n        def m(self): return __class__\n",
    "globals": "def f():\n    global g\n    def g(): pass\nf()\n",
    "lambda defaults": "f = lambda x=lambda: 1, *, y=2: (x, y)\n",
    "asserts": "assert (lambda: 1)(), 'm'\n",
    "debug": "if __debug__:\n    x = 1\nelse:\n    y = 2\n",
}

PROBE = """
import types
def show(code):
    return [code.co_name, getattr(code, "co_qualname", ""), code.co_code.hex(), list(code.co_lines()), code.co_flags,
            [show(c) if isinstance(c, types.CodeType) else (type(c).__name__, repr(c)) for c in code.co_consts]]
for name in NAMES:
    m = importlib.import_module(name)
    print(name, {k: repr(v) for k, v in vars(m).items() if k[:2] != "__" and not callable(v)}, repr(m.__doc__),
          getattr(m, "__annotations__", None),
          [show(v.__code__) for v in vars(m).values() if isinstance(v, types.FunctionType) and v.__name__ != "_last"])
"""


def test_case_52_texts_compile_as_under_plain_python(tree: Tree) -> None:
    names = []
    for number, (name, text) in enumerate(TEXTS.items()):
        for kind, tail in (("plain", ""), ("mentioned", MENTIONED), ("decorated", DECORATED)):
            whole = text + tail if not tail or name not in ("no final newline", "comment only") else text + "\n" + tail
            (tree.root / f"m{number}_{kind}.py").write_text(whole)
            names.append(f"m{number}_{kind}")
    probe = f"NAMES = {names}\n{PROBE}"
    hooked, plain = tree.hooked(probe, "-B").ok(), tree.plain(probe, "-B").ok()
    assert len(plain.lines) == 3 * len(TEXTS)
    assert hooked.lines == plain.lines


ENCODED = {
    "cookie": b"# -*- coding: latin-1 -*-\nx = '\xe9'\n",
    "cookie on line 2": b"#!/usr/bin/python\n# vim: set fileencoding=cp1252 :\nx = '\x80'\n",
    "BOM": b"\xef\xbb\xbfx = '\xc3\xa9'\n",
    "CRLF": b"x = 1\r\ny = '''a\r\nb'''\r\n",
    "CR": b"x = 1\ry = 2\r",
    "form feed": b"\x0cx = 1\n\x0c\ny = 2\n",
    "backslash at the end": b"x = 1 + \\\n 2\n\\\n",
    "backslash and nothing": b"x = 1\n\\",
    "NUL": b"x = 1\n\x00\n",
    "wrong UTF-8": b"x = '\xff'\n",
    "unknown encoding": b"# coding: nonsense\nx = 1\n",
    "BOM and another cookie": b"\xef\xbb\xbf# coding: latin-1\nx = 1\n",
    "tabs and spaces": b"if 1:\n\tx = 1\n        y = 2\n",
    "bad indentation": b"def f():\nreturn 1\n",
    "unterminated": b"x = '''abc\n",
    "await outside": b"await x\n",
    "return outside": b"return 1\n",
    "future too late": b"x = 1\nfrom __future__ import annotations\n",
    "unknown future": b"from __future__ import braces\n",
    "nonlocal at the top": b"nonlocal x\n",
    "duplicate argument": b"def f(a, a): pass\n",
    "too deep": b"x = " + b"(" * 300 + b")" * 300 + b"\n",
}
ATTEMPT = """
for name in NAMES:
    try:
        m = importlib.import_module(name)
        print(name, {k: v for k, v in vars(m).items() if k[0] != "_"})
    except Exception as error:
        print(name, type(error).__name__, ascii(str(error)), getattr(error, "lineno", None),
              getattr(error, "offset", None), ascii(getattr(error, "text", None)), getattr(error, "filename", None))
"""


def test_case_53_bytes_give_the_same_module_or_the_same_error(tree: Tree) -> None:
    names = []
    for number, (name, data) in enumerate(ENCODED.items()):
        for kind, tail in (("plain", b""), ("mentioned", MENTIONED.encode()), ("decorated", DECORATED.encode())):
            whole = data + (tail.replace(b"\n", b"\r") if name == "CR" else tail)
            (tree.root / f"m{number}_{kind}.py").write_bytes(whole)
            names.append(f"m{number}_{kind}")
    attempt = f"NAMES = {names}\n{ATTEMPT}"
    hooked, plain = tree.hooked(attempt, "-B").ok(), tree.plain(attempt, "-B").ok()
    assert len(plain.lines) == 3 * len(ENCODED)
    assert hooked.lines == plain.lines


BROKEN = {
    "syntax error": "def f(:\n",
    "import error": "import nothing_of_that_name\n",
    "import error below": "import below\n",
    "exception": "def f(): 1 / 0\nf()\n",
    "exception below": "import raises\n",
    "system exit": "raise SystemExit(3)\n",
    "from import": "from below import missing\n",
    "circular": "import circle\n",
    "chained": "try: 1 / 0\nexcept ZeroDivisionError as e: raise KeyError(1) from e\n",
}


@pytest.mark.parametrize("name", list(BROKEN))
@pytest.mark.parametrize("tail", ["", "# hitsave\n"], ids=["plain", "marked"])
def test_case_54_a_traceback_shows_what_it_shows_without_the_hook(tree: Tree, name: str, tail: str) -> None:
    tree.write({"below.py": "import nothing_of_that_name\n" + tail, "raises.py": "def f(): 1 / 0\nf()\n" + tail})
    tree.write({"circle.py": "from m import nothing\n" + tail, "m.py": BROKEN[name] + tail})
    show = "import sys, traceback\nfrom hitsave.importhook import install_import_hook\n"
    show += "if sys.argv[1:]: install_import_hook()\n"
    show += "try:\n    import m\nexcept BaseException as error:\n    traceback.print_exc()\n"
    show += "    print(error.__cause__, error.__context__, error.__suppress_context__)\n    raise\n"
    tree.write({"show.py": show})
    hooked, plain = tree.run.python("show.py", "hooked"), tree.run.python("show.py")
    assert hooked.stderr == plain.stderr
    assert (hooked.stdout, hooked.exit_code) == (plain.stdout, plain.exit_code)


LOOKED_AT = """
import inspect, linecache, m, pkg, pkg.n
for module in (m, pkg, pkg.n):
    spec, loader = module.__spec__, module.__loader__
    print(module.__file__, module.__cached__, module.__name__, module.__package__, getattr(module, "__path__", None))
    print(spec.name, spec.origin, spec.has_location, spec.cached, spec.parent, spec.submodule_search_locations)
    print(loader.get_source(module.__name__) == open(module.__file__).read(), loader.path, loader.name)
    print(inspect.getsource(module), inspect.getsourcefile(module), inspect.getfile(module))
    print(linecache.getlines(module.__file__, vars(module)))
print(inspect.getsource(m.f), inspect.getsourcelines(m.f)[1], inspect.getmodule(m.f) is m, inspect.getdoc(m.f))
print(inspect.getsource(m.A), inspect.getsource(m.A.m), inspect.getcomments(m.f), inspect.signature(m.f))
print(inspect.findsource(m.f)[1], m.f.__code__.co_firstlineno, m.f.__qualname__, m.f.__module__)
"""


@pytest.mark.parametrize("tail", ["", MENTIONED, DECORATED], ids=["plain", "mentioned", "decorated"])
def test_case_55_what_inspect_and_importlib_say_is_the_same(tree: Tree, tail: str) -> None:
    text = '# about f\ndef f(x, *, y=1):\n    """Doc."""\n    return x\n\nclass A:\n    def m(self): pass\n'
    tree.write({"m.py": text + tail, "pkg/__init__.py": text + tail, "pkg/n.py": text + tail})
    for _ in range(2):  # compiled, then from its file
        assert tree.hooked(LOOKED_AT).ok().stdout == tree.plain(LOOKED_AT).ok().stdout


@pytest.mark.parametrize("tail", ["", MENTIONED, DECORATED], ids=["plain", "mentioned", "decorated"])
def test_case_56_a_syntax_warning_is_shown_once_and_respected(tree: Tree, tail: str) -> None:
    (tree.root / "m.py").write_text("x = '\\d'\ny = 1 is 1\n" + tail)
    tree.write(
        {"show.py": "import sys\nfrom hitsave.importhook import *\nsys.argv[1:] and install_import_hook()\nimport m"}
    )
    for options in ([], ["-W", "ignore"], ["-W", "always"], ["-W", "error"]):
        hooked, plain = (tree.run.python("-B", *options, "show.py", *how) for how in (["hooked"], []))
        assert hooked.stderr == plain.stderr
        assert hooked.exit_code == plain.exit_code
    tree.hooked("import m").ok()
    assert tree.hooked("import m").ok().stderr == ""


def same_in_every_field(one: CodeType, other: CodeType) -> list[str]:
    """The fields in which two code objects differ, constants that are code left out."""
    fields = [name for name in dir(one) if name.startswith("co_") and name not in ("co_consts", "co_lnotab")]
    differing = [
        name
        for name in fields
        if name not in ("co_lines", "co_positions", "co_branches") and getattr(one, name) != getattr(other, name)
    ]
    if list(one.co_lines()) != list(other.co_lines()):
        differing.append("co_lines")
    if sys.version_info >= (3, 11) and list(one.co_positions()) != list(other.co_positions()):
        differing.append("co_positions")
    # With their types; the order of a frozenset of strings is another in each process anyhow.
    plain = [[digest_constant(c) for c in code.co_consts if not isinstance(c, CodeType)] for code in (one, other)]
    return differing + (["co_consts"] if plain[0] != plain[1] else [])


def differences(loader: HitsaveLoader, data: bytes, path: str) -> list[str]:
    """What differs between the functions of a text compiled by plain Python and by the rewriter."""
    plain = [code for code in nested(compile(data, path, "exec", dont_inherit=True)) if code.co_name != "<module>"]
    ours = [
        code
        for code in nested(loader.source_to_code(data + DECORATED.encode(), path))
        if code.co_name not in ("<module>", "_last")
    ]
    if len(plain) != len(ours):
        return [f"{path}: {len(plain)} functions, {len(ours)} rewritten"]
    key = lambda code: (code.co_firstlineno, code.co_name, code.co_code, repr(code.co_names))  # noqa: E731
    return [
        f"{path}:{one.co_firstlineno} {one.co_name}: {fields}"
        for one, other in zip(sorted(plain, key=key), sorted(ours, key=key), strict=True)
        if (fields := same_in_every_field(one, other))
    ]


@pytest.mark.filterwarnings("ignore")
def test_case_57_functions_that_carry_no_decorator_keep_their_bytecode(hook: Hook) -> None:
    """A sample of the standard library; `python benchmarks/import_corpus.py` does all of it."""
    library = Path(sysconfig.get_paths()["stdlib"])
    loader = HitsaveLoader("m", "m.py", hook)
    compared = 0
    for path in sorted(library.glob("*.py"))[::4] + sorted(library.glob("asyncio/*.py"))[::5]:
        data = path.read_bytes()
        if loader.source_to_code(data, str(path)).co_names == ():
            continue
        assert differences(loader, data, str(path)) == []
        compared += 1
    assert compared > 30


def test_case_57_a_module_without_decorators_is_equal_as_a_whole(hook: Hook) -> None:
    library = Path(sysconfig.get_paths()["stdlib"])
    for path in sorted(library.glob("*.py"))[::20]:
        data = path.read_bytes()
        plain = compile(data, str(path), "exec", dont_inherit=True)
        assert HitsaveLoader("m", str(path), hook).source_to_code(data, str(path)) == plain
