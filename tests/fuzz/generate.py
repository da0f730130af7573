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
from pathlib import Path

HEADER = """\
import asyncio, contextvars, functools, threading
from functools import cached_property, lru_cache, partial
"""


def _read_templates() -> dict[str, str]:
    text = Path(__file__).with_name("templates.txt").read_text(encoding="utf-8")
    parts = [part.partition("\n") for part in text.split("\n== ")[1:]]
    return {kind: body.rstrip("\n") + "\n" for kind, _, body in parts}


FUNCTIONS = _read_templates()
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
        filled = FUNCTIONS[self.kind].format(*self.numbers, f=self.name, a=a, b=b, k=constant, w=self.word, m=self.late)
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
        # Set-up first: between two calls it would show which of them had filled a cache, and a hit fills none.
        for module, function, argument in sorted(self.steps, key=lambda step: not step[1].endswith("_setup")):
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
    kinds = ["memo", "memo branch", "memo small"]
    tops = tuple(_definition(chance, f"top{i}", chance.choice(kinds), known[-6:]) for i in range(2))
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
