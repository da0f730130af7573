"""What a closure says beyond its pairs."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from hitsave.analysis import Closure, Codebase, ModuleSummary, fingerprint, summarise
from hitsave.analysis.locate import definition_text, locate
from hitsave.source import source_of
from hitsave.symbol import Symbol


class Texts:
    def __init__(self, texts: dict[str, str]) -> None:
        self.summaries = {name: summarise(source_of(name, f"{name}.py", text.encode())) for name, text in texts.items()}

    def find(self, name: str) -> ModuleSummary | None:
        return self.summaries.get(name)


def codebase(**texts: str) -> Codebase:
    return Codebase(Texts(texts))


def closure(m: str, start: str = "m:top", **texts: str) -> Closure:
    return codebase(m=m, **texts).closure(Symbol(start))


def test_packages_are_those_really_reached() -> None:
    found = closure(
        "import numpy as np, json, os.path\nfrom pandas import DataFrame\ndef top(x): return np.sum(x), json.dumps(x)"
    )
    assert found.packages == {"numpy", "json"}


def test_a_package_used_by_a_callee_elsewhere_counts() -> None:
    found = closure("from n import f\ndef top(): return f()", n="import numpy\ndef f(): return numpy.pi")
    assert found.packages == {"numpy"}


def test_versions_are_part_of_the_fingerprint() -> None:
    found = closure("import numpy\ndef top(): return numpy.pi")
    assert fingerprint(found, {"numpy": "1"}) != fingerprint(found, {"numpy": "2"})
    assert fingerprint(found, {"numpy": "1", "pandas": "1"}) == fingerprint(found, {"numpy": "1"})


@pytest.mark.parametrize(
    ("value", "is_constant"),
    [
        *((text, True) for text in ("1", "-1.5", "'a'", "(1, ('a', None))", "2 ** 10")),
        *((text, False) for text in ("[1]", "{}", "f()", "os.environ['A']", "(1, [2])", "J", "lambda: 1")),
    ],
)
def test_what_is_not_an_immutable_literal_counts_by_its_value(value: str, is_constant: bool) -> None:
    found = closure(f"import os\ndef f(): return 1\nJ = 1\nK = {value}\ndef top(): return K")
    assert ("m:K" in found.constants) is is_constant
    assert ("m:K" in found.live) is not is_constant


@pytest.mark.parametrize(
    "other",
    [
        "def elsewhere():\n    global K\n    K = 2",
        "import m\ndef elsewhere(): m.K = 2",
        "import sys\ndef elsewhere(): sys.modules['m'].K = 2",
    ],
)
def test_a_constant_that_somebody_rebinds_counts_by_its_value(other: str) -> None:
    in_m = "global K" in other
    text = "import n\nK = 1\ndef top(): return K\n" + (other if in_m else "")
    assert "m:K" in closure(text, n="" if in_m else other).live


def test_a_class_attribute_counts_by_its_value_only_where_it_is_read() -> None:
    text = "class A:\n    x = []\n    y = []\n    def go(self): return self.x\ndef top(): return A().go()"
    found = closure(text)
    assert "m:A.x" in found.live
    assert "m:A.y" not in found.live


@pytest.mark.parametrize(
    "read",
    ["os.environ['HOME']", "os.environ.get('HOME')", "os.getenv('HOME', 'x')", "environ['HOME']", "getenv('HOME')",
     "'HOME' in os.environ and os.environ['HOME']"],
)  # fmt: skip
def test_environment_variables_with_a_constant_name(read: str) -> None:
    found = closure(f"import os\nfrom os import environ, getenv\ndef top(): return {read}")
    assert found.environment == ("HOME",)


@pytest.mark.parametrize("read", ["os.environ[x]", "os.getenv(x)", "dict(os.environ)", "environ.get(x)"])
def test_environment_variables_with_a_computed_name(read: str) -> None:
    found = closure(f"import os\nfrom os import environ\ndef top(x): return {read}")
    assert found.environment_dynamic


def test_environment_variables_read_at_import() -> None:
    assert closure("import os\nMODE = os.environ.get('MODE', 'a')\ndef top(): return MODE").environment == ("MODE",)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("import time\ndef top(): return time.time()", "clock"),
        ("from time import time as now\ndef top(): return now()", "clock"),
        ("import datetime\ndef top(): return datetime.datetime.now()", "clock"),
        ("from datetime import datetime\ndef top(): return datetime.now()", "clock"),
        ("import random\ndef top(): return random.random()", "randomness"),
        ("import numpy as np\ndef top(): return np.random.rand()", "randomness"),
        ("import uuid\ndef top(): return uuid.uuid4()", "randomness"),
        ("import random\ndef top(): return random.Random().random()", "randomness"),
        ("import numpy as np\ndef top(): return np.random.default_rng().random()", "randomness"),
        ("import cv2\ndef top(): return cv2.imread('a.png')", "files read out of sight"),
        ("import sys\ndef top(): return sys.version_info", "interpreter"),
        ("import requests\ndef top(): return requests.get('x')", "network"),
        ("import subprocess\ndef top(): return subprocess.run('x')", "process"),
        ("def top(): return input()", "input"),
    ],
)
def test_impurity_is_noticed_with_its_line(text: str, kind: str) -> None:
    assert closure(text).impurities == ((kind, "m:top", text.count("\n") + 1),)


@pytest.mark.parametrize(
    "text",
    [
        "import random\ndef top(): return random.Random(5).random()",
        "import numpy as np\ndef top(): return np.random.default_rng(5).random()",
        "import time\ndef top(time): return time.time()",
        "def random(): return 4\ndef top(): return random()",
    ],
)
def test_seeded_or_shadowed_is_pure(text: str) -> None:
    assert closure(text).impurities == ()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("eval(x)", "HS201"),
        ("exec(x)", "HS201"),
        ("globals()", "HS201"),
        ("getattr(x, y)", "HS202"),
        ("__import__(x)", "HS203"),
        ("os.environ[x]", "HS209"),
    ],
)
def test_what_widens_says_so(body: str, code: str) -> None:
    widened = closure(f"import os\ndef top(x, y): return {body}").widened
    assert code in {found.code for found in widened}
    assert all(found.reason and found.treatment for found in widened)


def test_reasons_lead_from_the_start_to_the_target() -> None:
    code = codebase(m="from n import f\ndef top(): return mid()\ndef mid(): return f()", n="K = 1\ndef f(): return K")
    assert code.path(Symbol("m:top"), Symbol("n:K")) == ("m:top", "m:mid", "n:f", "n:K")
    assert code.path(Symbol("n:f"), Symbol("m:top")) == ()


def test_dependents_are_those_whose_closure_holds_it() -> None:
    code = codebase(m="def a(): return b()\ndef b(): return c()\ndef c(): pass\ndef d(): pass")
    names = [Symbol(f"m:{name}") for name in "abcd"]
    assert code.dependents([Symbol("m:c")], names) == {"m:a", "m:b", "m:c"}
    assert code.dependents([Symbol("m:d")], names) == {"m:d"}


def test_a_cut_child_counts_by_nothing_and_leads_nowhere() -> None:
    code = codebase(m="def top(): return child()\ndef child(): return deep()\ndef deep(): pass")
    found = code.closure(Symbol("m:top"), cut=[Symbol("m:child")])
    assert found.symbols() == {"m:top"}


def test_several_starts_make_one_closure() -> None:
    code = codebase(m="def a(): return 1\ndef b(): return 2")
    assert code.closure([Symbol("m:a"), Symbol("m:b")]).symbols() == {"m:a", "m:b"}


def test_closures_are_the_same_in_any_order_of_questions() -> None:
    texts = {
        "m": "from n import *\nclass A(B):\n    def go(self): return self.x() + f()\ndef top(): return A().go()",
        "n": "REG = {}\ndef add(f):\n    REG[f.__name__] = f\n    return f\n"
        "class B:\n    def x(self): return REG\n@add\ndef f(): pass",
    }
    names = [Symbol(name) for name in ("m:top", "n:f", "m:A", "n:REG", "n:add")]
    forwards, backwards = codebase(**texts), codebase(**texts)
    first = {name: forwards.closure(name).pairs for name in names}
    assert first == {name: backwards.closure(name).pairs for name in reversed(names)}


def names_of(texts: dict[str, str]) -> Iterable[Symbol]:
    return [Symbol(s) for summary in Texts(texts).summaries.values() for s in summary.symbols()]


def test_one_more_edge_never_shrinks_a_closure() -> None:
    before = {
        "m": "def a(): return b()\ndef b(): pass\nclass C:\n    def go(self): return a()\ndef d(x): return x.go()"
    }
    after = {"m": before["m"].replace("x.go()", "x.go(), C(), b()")}
    for name in names_of(before):
        assert codebase(**before).closure(name).symbols() <= codebase(**after).closure(name).symbols()


LOCATED = """
K = lambda: 1
class A:
    f = lambda self: 2
    def m(self):
        return [x for x in (lambda: 3)()]
def g():
    def inner(): pass
    return inner
print(x for x in ())
"""


@pytest.mark.parametrize(
    ("qualname", "line", "symbol"),
    [
        ("<lambda>", 2, "m:K"),
        ("A", 3, "m:A"),
        ("A.<lambda>", 4, "m:A.f"),
        ("A.m", 5, "m:A.m"),
        ("A.m.<locals>.<listcomp>", 6, "m:A.m"),
        ("g.<locals>.inner", 8, "m:g"),
        ("<genexpr>", 10, "m:<module>"),
        ("<module>", 1, "m:<module>"),
    ],
)
def test_code_objects_are_located(qualname: str, line: int, symbol: str) -> None:
    assert locate(summarise(source_of("m", "m.py", LOCATED.encode())), qualname, line) == symbol


def test_the_text_of_a_definition() -> None:
    source = source_of("m", "m.py", b"import functools\n@functools.cache\ndef f(x):\n    return x\nK = (1,\n     2)\n")
    assert definition_text(source, "f") == "@functools.cache\ndef f(x):\n    return x\n"
    assert definition_text(source, "K") == "K = (1,\n     2)\n"
    assert definition_text(source, "missing") is None
