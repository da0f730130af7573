"""Random projects and edits, for comparing every cached answer with an uncached run.

A project is a few modules of *definitions*. Each definition is made from a template of one of the kinds below: it holds
numbers and names of definitions that exist before it, so programs end. An *edit* changes a number, a callee or a text,
adds or takes away a definition nobody needs, or changes what the main program does first. All functions take an int and
return one, so anything can call anything.

    plain, branch, table, lambda, partial, generator, comprehension, handler, thread, late import, coroutine
    caches: lru_cache, lazily filled global, function attribute, default argument, closure cell, home-made decorator,
            cached_property, class attribute, singleton, context variable, instance filled step by step
    looks:  hasattr, docstring, defaults, subclasses, length of a registry, getattr with a computed name
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

MODULUS = 10_007
HEADER = """\
import asyncio, contextvars, functools, threading
from functools import cached_property, lru_cache, partial
"""

# {f}: the name; {0} {1} …: numbers; {a} {b}: calls of earlier definitions; {k}: a constant that may be read.
FUNCTIONS: dict[str, str] = {
    "plain": "def {f}(x):\n    return ({a} + {0}) % 10007\n",
    "deep": "def {f}(x):\n    return ({a} * {0} + {b}) % 10007\n",
    "branch": "def {f}(x):\n    if x % {1} == {0}:\n        return {a} + 1\n    return {b}\n",
    "branches": "def {f}(x):\n    if x > 50: return {a}\n    elif x > {0}: return {b} + 2\n    return x + {1}\n",
    "constant": "def {f}(x):\n    return x + {k} + {0}\n",
    "table": "{f}_table = {{0: lambda x: {a} + {0}, 1: lambda x: {b} + {1}}}\n"
    "def {f}(x):\n    return {f}_table[x % 2](x)\n",
    "named table": "def {f}_one(x): return {a} + {0}\ndef {f}_two(x): return {b} + {1}\n"
    "{f}_table = {{0: {f}_one, 1: {f}_two}}\ndef {f}(x):\n    return {f}_table[(x + {2}) % 2](x)\n",
    "registry": "{f}_all = []\ndef {f}_add(g):\n    {f}_all.append(g)\n    return g\n"
    "@{f}_add\ndef {f}_p(x): return {a} + {0}\n@{f}_add\ndef {f}_q(x): return {b} + {1}\n"
    "def {f}(x):\n    return {f}_all[x % len({f}_all)](x)\n",
    "partial": "def {f}_two(n, x): return n + {a}\n{f}_part = partial({f}_two, {0})\ndef {f}(x):\n    return {f}_part(x)\n",
    "generator": "def {f}_items(x):\n    yield {a}\n    yield x + {0}\n    yield {b}\n"
    "def {f}(x):\n    for n in {f}_items(x):\n        if n % 3 == {1}: return n\n    return x\n",
    "comprehension": "def {f}(x):\n    return sum([{a} if n % 2 else {b} for n in range(x % 3, {0} % 5)])\n",
    "handler": "def {f}(x):\n    try:\n        return {a} // (x % 3)\n    except ZeroDivisionError:\n        return {b} + {0}\n",
    "thread": "def {f}(x):\n    out = []\n    def work(): out.append({a} + {0})\n"
    "    t = threading.Thread(target=work); t.start(); t.join()\n    return out[0]\n",
    "coroutine": "async def {f}_go(x):\n    return {a} + {0}\ndef {f}(x):\n    return asyncio.run({f}_go(x)) if x % 2 else x\n",
    "lru": "@lru_cache(maxsize=None)\ndef {f}(x):\n    return ({a} + {0}) % 10007\n",
    "lru by hand": "def {f}_slow(x):\n    return {a} * {0}\n{f} = lru_cache({f}_slow)\n",
    "lazy global": "{f}_value = None\ndef {f}_make(x):\n    return [{a} * 0 + {0}]\n"
    "def {f}(x):\n    global {f}_value\n    if {f}_value is None: {f}_value = {f}_make(7)\n    return {f}_value[0] + x\n",
    "lazy dict": "{f}_seen = {{}}\ndef {f}_calc(x): return {a} + {0}\n"
    "def {f}(x):\n    if x % 3 not in {f}_seen: {f}_seen[x % 3] = {f}_calc(x % 3)\n    return {f}_seen[x % 3]\n",
    "attribute": "def {f}_calc(): return {0}\ndef {f}(x):\n    if not hasattr({f}, 'kept'): {f}.kept = {f}_calc()\n"
    "    return {f}.kept + {a}\n",
    "default": "def {f}_calc(x): return {a} + {0}\ndef {f}(x, seen={{}}):\n    if x % 2 not in seen: seen[x % 2] = {f}_calc(x % 2)\n"
    "    return seen[x % 2]\n",
    "cell": "def {f}_calc(): return {0}\ndef {f}_maker():\n    kept = None\n    def get(x):\n        nonlocal kept\n"
    "        if kept is None: kept = {f}_calc()\n        return kept + {a}\n    return get\n{f} = {f}_maker()\n",
    "once": "def {f}_once(g):\n    kept = []\n    def inner(x):\n        if not kept: kept.append(g(x % 1))\n        return kept[0] + x\n"
    "    return inner\n@{f}_once\ndef {f}(x):\n    return {a} + {0}\n",
    "class": "class {f}_Base:\n    n = {0}\n    def go(self, x): return {a} + self.n\n    def other(self, x): return {b}\n"
    "class {f}_Sub({f}_Base):\n    def go(self, x): return {1} + (self.other(x) if x % 2 else super().go(x))\n"
    "def {f}(x):\n    return ({f}_Sub if x % 3 else {f}_Base)().go(x)\n",
    "cached property": "class {f}_Box:\n    @cached_property\n    def v(self): return self.make() + {0}\n    def make(self): return {1}\n"
    "{f}_box = {f}_Box()\ndef {f}(x):\n    return {f}_box.v + {a}\n",
    "class attribute": "class {f}_Conf:\n    value = None\n    @classmethod\n    def get(cls):\n"
    "        if cls.value is None: cls.value = cls.calc()\n        return cls.value\n    @staticmethod\n    def calc(): return {0}\n"
    "def {f}(x):\n    return {f}_Conf.get() + {a}\n",
    "singleton": "class {f}_One:\n    it = None\n    def __new__(cls):\n        if cls.it is None:\n"
    "            cls.it = super().__new__(cls); cls.it.v = cls.calc()\n        return cls.it\n    @staticmethod\n    def calc(): return {0}\n"
    "def {f}(x):\n    return {f}_One().v + {a}\n",
    "context": "{f}_var = contextvars.ContextVar('v', default={0})\ndef {f}_calc(): return {1}\ndef {f}_setup(x):\n"
    "    {f}_var.set({f}_calc() + x)\n    return 0\ndef {f}(x):\n    return {f}_var.get() + {a}\n",
    "store": "class {f}_Store:\n    def __init__(self): self.items = []\n    def add(self, x): self.items.append(x + {0})\n"
    "    def total(self): return sum(self.items)\n{f}_store = {f}_Store()\ndef {f}_setup(x):\n    {f}_store.add({a})\n    return 0\n"
    "def {f}(x):\n    return {f}_store.total() + x\n",
    "set up": "{f}_state = 0\ndef {f}_calc(x): return {a} + {0}\ndef {f}_setup(x):\n    global {f}_state\n    {f}_state = {f}_calc(x)\n"
    "    return 0\ndef {f}(x):\n    return {f}_state + x\n",
    "hook": "{f}_hooks = []\ndef {f}_one(x): return {a} + {0}\ndef {f}_two(x): return {b} + {1}\ndef {f}_setup(x):\n"
    "    {f}_hooks.append({f}_one if x % 2 else {f}_two)\n    return 0\ndef {f}(x):\n    for g in {f}_hooks: x = g(x) % 10007\n    return x\n",
    "replace": "def {f}_inner(x): return x + {0}\ndef {f}_other(x): return {a} + {1}\ndef {f}_setup(x):\n    global {f}_inner\n"
    "    {f}_inner = {f}_other\n    return 0\ndef {f}(x):\n    return {f}_inner(x)\n",
    "has": "class {f}_Thing:\n    n = {0}\n    def {w}(self): return {1}\ndef {f}(x):\n"
    "    return {a} + (5 if hasattr({f}_Thing(), 'alpha') else 3)\n",
    "doc": "def {f}_documented():\n    '''{w} {0}'''\ndef {f}(x):\n    return {a} + len({f}_documented.__doc__)\n",
    "defaults": "def {f}_options(n={0}, *, m={1}): return n\ndef {f}(x):\n"
    "    return {a} + {f}_options.__defaults__[0] + {f}_options.__kwdefaults__['m']\n",
    "subclasses": "class {f}_Root:\n    pass\nclass {f}_{w}({f}_Root):\n    n = {0}\ndef {f}(x):\n"
    "    return {a} + sum(c.n for c in {f}_Root.__subclasses__()) + len({f}_Root.__subclasses__()[0].__name__)\n",
    "computed": "class {f}_Ops:\n    def op_0(self, x): return {a} + {0}\n    def op_1(self, x): return {b} + {1}\n"
    "def {f}(x):\n    return getattr({f}_Ops(), f'op_{{x % 2}}')(x)\n",
    "late": "def {f}(x):\n    if x % 2:\n        import {m}\n        return {m}.entry(x) + {0}\n    return {a}\n",
    "memo": "@memo\ndef {f}(x):\n    print('RUN {f}', x)\n    return {a} + {0}\n",
    "memo branch": "@memo\ndef {f}(x):\n    print('RUN {f}', x)\n    return {a} + {0} if x % 2 else {b}\n",
    "memo small": "@memo\ndef {f}(x):\n    print('RUN {f}', x)\n    return {a} % 2 + {0}\n",
}
WITH_SETUP = ("context", "store", "set up", "hook", "replace")
WORDS = ("alpha", "beta", "gamma")


@dataclass(frozen=True)
class Definition:
    """One template filled in. `calls` are (module, name) of what it calls, "" for the argument itself."""

    name: str
    kind: str
    numbers: tuple[int, ...]
    calls: tuple[tuple[str, str], ...]
    word: str
    late: str
    comment: str = ""

    def text(self, module: str, constants: tuple[str, ...]) -> str:
        """The source, as it stands in `module`."""
        a, b = (_call(call, module) for call in self.calls)
        constant = constants[self.numbers[0] % len(constants)]
        filled = FUNCTIONS[self.kind].format(
            *self.numbers, f=self.name, a=a, b=b, k=constant, w=self.word, m=self.late
        )
        return f"# {self.comment}\n{filled}" if self.comment else filled


@dataclass(frozen=True)
class Project:
    """Modules in the order of their imports, late modules, and what the main program does."""

    modules: tuple[tuple[str, tuple[Definition, ...]], ...]
    constants: tuple[int, ...]
    late: tuple[tuple[str, int], ...]
    steps: tuple[tuple[str, str, int], ...]  # module, function, argument; setups among them

    def files(self) -> dict[str, str]:
        """The texts of all files."""
        found = {}
        names: list[str] = []
        values = "".join(f"K{i} = {value}\n" for i, value in enumerate(self.constants))
        found["consts.py"] = values
        read = tuple(f"consts.K{i}" for i in range(len(self.constants)))
        for module, definitions in self.modules:
            imports = "".join(f"import {name}\n" for name in names)
            body = "\n".join(definition.text(module, read) for definition in definitions)
            memo = "from hitsave import memo\n" if "@memo" in body else ""
            found[f"{module}.py"] = f"{HEADER}{memo}import consts\n{imports}\n{body}"
            names.append(module)
        for name, number in self.late:
            found[f"{name}.py"] = f"N = {number}\ndef entry(x):\n    return x + N\n"
        lines = [*(f"import {name}" for name in names), "from hitsave import memo"]
        for module, function, argument in self.steps:
            call = f"{module}.{function}({argument})"
            lines.append(call if function.endswith("_setup") else f'print("=", "{call}", {call})')
        found["main.py"] = "\n".join(lines) + "\n"
        return found


def _call(call: tuple[str, str], module: str) -> str:
    home, name = call
    if not name:
        return "x"
    return f"{name}(x)" if home == module else f"{home}.{name}(x)"


def make(seed: int) -> Project:
    """A random project."""
    chance = random.Random(seed)
    late = tuple((f"late{i}", chance.randrange(100)) for i in range(2))
    known: list[tuple[str, str]] = []
    modules = []
    memos: list[tuple[str, str]] = []
    setups: list[tuple[str, str]] = []
    for index in range(chance.randrange(1, 4)):
        module = f"m{index}"
        definitions = []
        for number in range(chance.randrange(2, 6)):
            kind = chance.choice([kind for kind in FUNCTIONS if not kind.startswith("memo")])
            if number and chance.random() < 0.25:
                kind = chance.choice([kind for kind in FUNCTIONS if kind.startswith("memo")])
            definition = _definition(chance, f"f{index}{number}", kind, known)
            definitions.append(definition)
            known.append((module, definition.name))
            if kind.startswith("memo"):
                memos.append(known[-1])
            if kind in WITH_SETUP:
                setups.append((module, f"{definition.name}_setup"))
        modules.append((module, tuple(definitions)))
    tops = tuple(
        _definition(chance, f"top{i}", chance.choice(["memo", "memo branch", "memo small"]), known[-6:]) for i in range(2)
    )
    modules.append(("tops", tops))
    memos += [("tops", top.name) for top in tops] * 2
    steps = [(*chance.choice(memos), chance.randrange(6)) for _ in range(chance.randrange(2, 6))]
    steps += [("tops", top.name, chance.randrange(6)) for top in tops]
    for setup in setups:
        if chance.random() < 0.6:
            steps.insert(chance.randrange(len(steps) // 2 + 1), (*setup, chance.randrange(5)))
    if known and chance.random() < 0.4:  # a plain call that leaves what it leaves
        steps.insert(0, (*chance.choice(known), chance.randrange(6)))
    return Project(tuple(modules), tuple(chance.randrange(50) for _ in range(3)), late, tuple(steps))


def _definition(chance: random.Random, name: str, kind: str, known: list[tuple[str, str]]) -> Definition:
    calls = tuple(chance.choice([*known[-8:], ("", "")]) for _ in range(2))
    numbers = tuple(chance.randrange(1, 30) for _ in range(3))
    return Definition(name, kind, numbers, calls, chance.choice(WORDS), f"late{chance.randrange(2)}")


def edit(project: Project, chance: random.Random) -> Project:
    """The project after a random edit."""
    what = chance.random()
    if what < 0.08:
        return replace(project, constants=_changed(chance, project.constants))
    if what < 0.14:
        name, number = project.late[0]
        return replace(project, late=((name, number + chance.randrange(1, 9)), *project.late[1:]))
    if what < 0.24:
        steps = list(project.steps)
        at = chance.randrange(len(steps))
        module, function, argument = steps[at]
        if function.endswith("_setup") or chance.random() < 0.5:
            steps[at] = (module, function, (argument + chance.randrange(1, 5)) % 7)
        else:
            chance.shuffle(steps)
        return replace(project, steps=tuple(steps))
    modules = list(project.modules)
    at = chance.randrange(len(modules))
    module, definitions = modules[at]
    which = chance.randrange(len(definitions))
    changed = list(definitions)
    changed[which] = _edited(chance, definitions[which])
    modules[at] = (module, tuple(changed))
    return replace(project, modules=tuple(modules))


def _edited(chance: random.Random, definition: Definition) -> Definition:
    what = chance.random()
    if what < 0.62:
        return replace(definition, numbers=_changed(chance, definition.numbers))
    if what < 0.76:
        return replace(definition, calls=(definition.calls[1], definition.calls[0]))
    if what < 0.86:
        return replace(definition, word=chance.choice(WORDS))
    if what < 0.92:
        return replace(definition, late=f"late{chance.randrange(2)}")
    return replace(definition, comment=f"note {chance.randrange(100)}")


def _changed(chance: random.Random, numbers: tuple[int, ...]) -> tuple[int, ...]:
    found = list(numbers)
    at = chance.randrange(len(found))
    found[at] = found[at] + chance.randrange(1, 12)
    return tuple(found)
