"""The kinds of edit that reloaders get wrong, as programs: two files, an edit of `lib`, and what is expected.

Each program has a memoised `top(x)` in `app`. `now` is what a fresh process gives after the edit; a kind on the safe
list must give it in the running process too, any other must go on giving `before` and say why.
"""

# ruff: noqa: E501 - programs written as one string each
from __future__ import annotations

from dataclasses import dataclass

APP = """
    from hitsave import memo
    import lib

    @memo
    def top(x):
        return lib.entry(x)
"""


@dataclass(frozen=True)
class Kind:
    """One kind of edit. `swapped` says whether it is on the safe list; `reason` is part of what is said if not."""

    name: str
    lib: str
    old: str
    new: str
    before: object
    now: object
    swapped: bool = True
    reason: str = ""
    app: str = APP
    x: int = 1


SAFE = [
    Kind("body", "def entry(x):\n    return x + 1\n", "x + 1", "x + 2", 2, 3),
    Kind("default", "def entry(x, n=5):\n    return x + n\n", "n=5", "n=7", 6, 8),
    Kind("kw-only default", "def entry(x, *, n=5):\n    return x + n\n", "n=5", "n=7", 6, 8),
    Kind(
        "new function added and used",
        "def entry(x):\n    return x + 1\n",
        "def entry(x):\n    return x + 1\n",
        "def fresh(x):\n    return x * 100\n\n\ndef entry(x):\n    return fresh(x)\n",
        2,
        100,
    ),
    Kind(
        "body of a function called by name",
        "def inner(x):\n    return x + 1\n\n\ndef entry(x):\n    return globals()['inner'](x)\n",
        "x + 1",
        "x + 2",
        2,
        3,
    ),
    Kind(
        "body of a function captured in a dict",
        "def inner(x):\n    return x + 1\n\n\nTABLE = {'a': inner}\n\n\ndef entry(x):\n    return TABLE['a'](x)\n",
        "x + 1",
        "x + 2",
        2,
        3,
    ),
    Kind(
        "body of a function captured in a default argument",
        "def inner(x):\n    return x + 1\n\n\ndef entry(x, f=inner):\n    return f(x)\n",
        "x + 1",
        "x + 2",
        2,
        3,
    ),
    Kind(
        "method body with a live instance",
        "class Box:\n    def get(self, x):\n        return x + 1\n\n\ndef entry(x):\n    return Box().get(x)\n",
        "x + 1",
        "x + 2",
        2,
        3,
    ),
    Kind(
        "method that uses super()",
        "class Base:\n    def get(self, x):\n        return x\n\n\n"
        "class Box(Base):\n    def get(self, x):\n        return super().get(x) + 1\n\n\n"
        "def entry(x):\n    return Box().get(x)\n",
        "get(x) + 1",
        "get(x) + 2",
        2,
        3,
    ),
    Kind(
        "two functions change places, one is edited",
        "def one(x):\n    return x + 1\n\n\ndef two(x):\n    return x * 10\n\n\ndef entry(x):\n    return one(x) + two(x)\n",
        "def one(x):\n    return x + 1\n\n\ndef two(x):\n    return x * 10\n",
        "def two(x):\n    return x * 20\n\n\ndef one(x):\n    return x + 1\n",
        12,
        22,
    ),
    Kind(
        "a body beside a class whose identity matters",
        "class Box:\n    pass\n\n\ndef make():\n    return Box()\n\n\n"
        "def entry(x):\n    return isinstance(make(), Box) and x + 1\n",
        "x + 1",
        "x + 2",
        2,
        3,
    ),
    Kind("a literal constant", "RATE = 5\n\n\ndef entry(x):\n    return x * RATE\n", "RATE = 5", "RATE = 7", 5, 7),
    Kind("a comment", "def entry(x):\n    return x + 1\n", "def", "# hello\n\n\ndef", 2, 2),
    Kind("a docstring", "def entry(x):\n    return x + 1\n", "    return", '    """Adds."""\n    return', 2, 2),
    Kind(
        "the body of the memoised function",
        "def entry(x):\n    return x\n",
        "def entry(x):\n    return x\n",
        "def entry(x):\n    return x * 3\n",
        1,
        3,
        app="from hitsave import memo\nimport lib\n\n\n@memo\ndef top(x):\n    return inner(x)\n\n\n"
        "@memo\ndef inner(x):\n    return lib.entry(x)\n",
    ),
]

UNSAFE = [
    Kind(
        "a literal constant that somebody copied",
        "RATE = 5\n\n\ndef entry(x):\n    return x * RATE\n",
        "RATE = 5",
        "RATE = 7",
        10,
        14,
        app="from hitsave import memo\nimport lib\nfrom lib import RATE\n\n\n@memo\ndef top(x):\n    return lib.entry(x) + RATE\n",
        reason="copied",
    ),
    Kind(
        "a constant derived from another",
        "RATE = 5\nTWICE = RATE * 2\n\n\ndef entry(x):\n    return x * TWICE\n",
        "RATE = 5",
        "RATE = 7",
        10,
        14,
        reason="used while modules were imported",
    ),
    Kind(
        "a registry that is filled at import",
        "ALL = []\nALL.append(1)\n\n\ndef entry(x):\n    return x + sum(ALL)\n",
        "ALL.append(1)",
        "ALL.append(2)",
        2,
        3,
        reason="statement",
    ),
    Kind(
        "a lambda in a global",
        "inner = lambda x: x + 1\n\n\ndef entry(x):\n    return inner(x)\n",
        "x + 1",
        "x + 2",
        2,
        3,
        reason="computed again",
    ),
    Kind(
        "a partial in a global",
        "import functools\n\n\ndef add(a, b):\n    return a + b\n\n\ninner = functools.partial(add, 1)\n\n\n"
        "def entry(x):\n    return inner(x)\n",
        "(add, 1)",
        "(add, 2)",
        2,
        3,
        reason="computed again",
    ),
    Kind(
        "a body under a decorator with wraps",
        "import functools\n\n\ndef deco(f):\n    @functools.wraps(f)\n    def wrapper(x):\n        return f(x)\n"
        "    return wrapper\n\n\n@deco\ndef entry(x):\n    return x + 1\n",
        "x + 1",
        "x + 2",
        2,
        3,
        reason="decorator",
    ),
    Kind(
        "the body of a decorator",
        "def deco(f):\n    def wrapper(x):\n        return f(x) + 1\n    return wrapper\n\n\n"
        "@deco\ndef entry(x):\n    return x\n",
        "f(x) + 1",
        "f(x) + 2",
        2,
        3,
        reason="imported",
    ),
    Kind(
        "a decorator is added",
        "def deco(f):\n    return lambda x: f(x) * 10\n\n\ndef entry(x):\n    return x\n",
        "def entry",
        "@deco\ndef entry",
        1,
        10,
        reason="decorator",
    ),
    Kind(
        "the argument of a decorator",
        "def deco(n):\n    return lambda f: lambda x: f(x) * n\n\n\n@deco(2)\ndef entry(x):\n    return x\n",
        "@deco(2)",
        "@deco(3)",
        2,
        3,
        reason="decorator",
    ),
    Kind(
        "a body under lru_cache",
        "import functools\n\n\n@functools.lru_cache\ndef entry(x):\n    return x + 1\n",
        "x + 1",
        "x + 2",
        2,
        3,
        reason="decorator",
    ),
    Kind(
        "a body that a function under lru_cache calls",
        "import functools\n\n\ndef inner(x):\n    return x + 1\n\n\n@functools.lru_cache\ndef entry(x):\n    return inner(x)\n",
        "x + 1",
        "x + 2",
        2,
        3,
        reason="may keep what it computed",
    ),
    Kind(
        "a body that fills a default argument",
        "def inner(x):\n    return x + 1\n\n\ndef entry(x, seen={}):\n    if x not in seen:\n        seen[x] = inner(x)\n"
        "    return seen[x]\n",
        "x + 1",
        "x + 2",
        2,
        3,
        reason="may keep what it computed",
    ),
    Kind(
        "the inner body of a closure factory",
        "def make(n):\n    def inner(x):\n        return x + n\n    return inner\n\n\nadd = make(1)\n\n\n"
        "def entry(x):\n    return add(x)\n",
        "x + n",
        "x - n",
        2,
        0,
        reason="imported",
    ),
    Kind(
        "the free variables of a closure",
        "def make(n):\n    m = 5\n    def inner(x):\n        return x + n\n    return inner\n\n\nadd = make(1)\n\n\n"
        "def entry(x):\n    return add(x)\n",
        "x + n",
        "x + m",
        2,
        6,
        reason="imported",
    ),
    Kind(
        "a class attribute",
        "class Box:\n    size = 1\n\n\ndef entry(x):\n    return x + Box.size\n",
        "size = 1",
        "size = 2",
        2,
        3,
        reason="attribute",
    ),
    Kind(
        "the body of a property",
        "class Box:\n    @property\n    def size(self):\n        return 1\n\n\ndef entry(x):\n    return x + Box().size\n",
        "return 1",
        "return 2",
        2,
        3,
        reason="decorator",
    ),
    Kind(
        "the body of a staticmethod",
        "class Box:\n    @staticmethod\n    def size():\n        return 1\n\n\ndef entry(x):\n    return x + Box.size()\n",
        "return 1",
        "return 2",
        2,
        3,
        reason="decorator",
    ),
    Kind(
        "__init__ with a live instance",
        "class Box:\n    def __init__(self):\n        self.n = 1\n\n\nBOX = Box()\n\n\ndef entry(x):\n    return x + BOX.n\n",
        "self.n = 1",
        "self.n = 2",
        2,
        3,
        reason="shaped objects",
    ),
    Kind(
        "the base of a class",
        "class One:\n    n = 1\n\n\nclass Two:\n    n = 2\n\n\nclass Box(One):\n    pass\n\n\n"
        "def entry(x):\n    return x + Box.n\n",
        "Box(One)",
        "Box(Two)",
        2,
        3,
        reason="bases",
    ),
    Kind(
        "the default of a dataclass field",
        "import dataclasses\n\n\n@dataclasses.dataclass\nclass Box:\n    n: int = 1\n\n\n"
        "def entry(x):\n    return x + Box().n\n",
        "n: int = 1",
        "n: int = 2",
        2,
        3,
        reason="class",
    ),
    Kind(
        "an Enum member",
        "import enum\n\n\nclass Box(enum.Enum):\n    A = 1\n\n\ndef entry(x):\n    return x + Box.A.value\n",
        "A = 1",
        "A = 2",
        2,
        3,
        reason="attribute",
    ),
    Kind(
        "a function is deleted",
        "def extra(x):\n    return x\n\n\ndef entry(x):\n    return x + ('extra' in globals())\n",
        "def extra(x):\n    return x\n\n\n",
        "",
        2,
        1,
        reason="removed",
    ),
    Kind(
        "a global is deleted",
        "EXTRA = 1\n\n\ndef entry(x):\n    return x + globals().get('EXTRA', 5)\n",
        "EXTRA = 1\n",
        "",
        2,
        6,
        reason="EXTRA",
    ),
    Kind(
        "a function is renamed and its caller edited",
        "def inner(x):\n    return x + 1\n\n\ndef entry(x):\n    return inner(x)\n",
        "def inner(x):\n    return x + 1\n\n\ndef entry(x):\n    return inner(x)\n",
        "def renamed(x):\n    return x + 2\n\n\ndef entry(x):\n    return renamed(x)\n",
        2,
        3,
        reason="renamed",
    ),
    Kind(
        "an import changes",
        "from math import floor as f\n\n\ndef entry(x):\n    return f(x + 0.5)\n",
        "floor as f",
        "ceil as f",
        1,
        2,
        reason="import",
    ),
    Kind(
        "a function that is defined twice",
        "def entry(x):\n    return x\n\n\ndef entry(x):\n    return x + 1\n",
        "x + 1",
        "x + 2",
        2,
        3,
        reason="more than once",
    ),
    Kind(
        "a plain function becomes a generator",
        "def inner(x):\n    return [x]\n\n\ndef entry(x):\n    return list(inner(x))\n",
        "return [x]",
        "yield x + 1",
        [1],
        [2],
        reason="generator",
    ),
    Kind(
        "a def under a condition",
        "if True:\n    def entry(x):\n        return x + 1\n",
        "x + 1",
        "x + 2",
        2,
        3,
        reason="statement",
    ),
    Kind(
        "a __future__ import is added",
        "def entry(x: int):\n    return [x, entry.__annotations__['x'] is int]\n",
        "def entry",
        "from __future__ import annotations\n\n\ndef entry",
        [1, True],
        [1, False],
        reason="import",
    ),
    Kind(
        "a parameter is added",
        "def inner(x):\n    return x + 1\n\n\ndef entry(x):\n    return inner(x)\n",
        "def inner(x):\n    return x + 1\n\n\ndef entry(x):\n    return inner(x)\n",
        "def inner(x, y):\n    return x + y\n\n\ndef entry(x):\n    return inner(x, 2)\n",
        2,
        3,
        reason="parameters",
    ),
    Kind(
        "a function that was called at import",
        "def entry(x):\n    return x + 1\n\n\nFIRST = entry(1)\n",
        "x + 1",
        "x + 2",
        2,
        3,
        reason="imported",
    ),
    Kind(
        "a new function whose name a statement reads",
        "def entry(x):\n    return x + (1 if HAS else 0)\n\n\nHAS = 'fresh' in dir()\n",
        "def entry",
        "def fresh():\n    pass\n\n\ndef entry",
        1,
        2,
        reason="new",
    ),
]

UNSAFE.append(
    Kind(
        "a new function whose absence another module noticed",
        "def entry(x):\n    return x\n",
        "def entry",
        "def fresh():\n    pass\n\n\ndef entry",
        1,
        2,
        app="from hitsave import memo\nimport lib\n\nHAS = hasattr(lib, 'fresh')\n\n\n@memo\ndef top(x):\n    return x + HAS\n",
        reason="absence",
    )
)

KINDS = [*SAFE, *(Kind(**{**vars(kind), "swapped": False}) for kind in UNSAFE)]
