"""Random programs: three modules of small functions, classes, constants, caches and registries that call one another,
and an `app` with memoised functions. An edit changes, adds, moves or removes something.
"""

# ruff: noqa: E501 - programs written as one string each
from __future__ import annotations

import random

MODULES = ("m0", "m1", "m2")


class Program:
    """The items of each module, and their text."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.count = 0
        self.gentle = chance.random() < 0.5  # nothing in it that keeps state or runs at import
        self.items: dict[str, list[tuple[str, str]]] = {name: [] for name in MODULES}
        for name in MODULES:
            for _ in range(chance.randint(2, 5)):
                self.add(name)

    def number(self) -> int:
        return self.chance.randint(1, 99)

    def add(self, module: str) -> None:
        self.count += 1
        if self.gentle:
            self._insert(module, self.chance.choice(["plain"] * 5 + ["constant", "class"]))
            return
        kinds = ["plain"] * 6 + ["constant"] * 2 + ["class", "table", "import-time", "lru", "lazy", "default", "moved"]
        self._insert(module, self.chance.choice(kinds))

    def _insert(self, module: str, kind: str) -> None:
        self.items[module].insert(self.chance.randint(0, len(self.items[module])), (kind, self.make(module, kind)))

    def make(self, module: str, kind: str) -> str:
        n, k = self.count, self.number()
        call = self.call(module)
        if kind == "plain":
            return f"def f{n}(x, n={self.number()}):\n    return x * {k} + n + {call}\n"
        if kind == "constant":
            return f"C{n} = {k}\n"
        if kind == "class":
            return f"class B{n}:\n    size = {self.number()}\n    def f{n}(self, x):\n        return x + {k} + {call}\n"
        if kind == "import-time":
            return f"V{n} = {k}\ndef g{n}(x):\n    return x + {k}\nW{n} = g{n}({k})\n"
        if kind == "lru":
            return f"import functools\n@functools.lru_cache\ndef f{n}(x):\n    return x + {k} + {call}\n"
        if kind == "lazy":
            return f"S{n} = {{}}\ndef f{n}(x):\n    if x not in S{n}:\n        S{n}[x] = {k} + {call}\n    return S{n}[x]\n"
        if kind == "default":
            return (
                f"def f{n}(x, seen={{}}):\n    if x not in seen:\n        seen[x] = {k} + {call}\n    return seen[x]\n"
            )
        if kind == "table":
            return f"def f{n}(x):\n    return x + {k}\nT{n} = {{'a': f{n}}}\ndef h{n}(x):\n    return T{n}['a'](x)\n"
        return f"def f{n}(x):\n    return {k} - x\n"

    def call(self, module: str) -> str:
        """An expression that uses something made before, so that calls never go round in circles."""
        known = [
            (other, line.split("(")[0].split()[-1], line)
            for other in MODULES
            for _, text in self.items[other]
            for line in text.splitlines()
            if line.startswith("def ") or (line[0] in "CVW" and " = " in line)
        ]
        if not known:
            return "0"
        other, name, line = self.chance.choice(known)
        prefix = "" if other == module else f"{other}."
        if line.startswith("def "):
            return f"{prefix}{name}(x)"
        return f"{prefix}{line.split()[0]}"

    def edit(self) -> str:
        """Change something; the module."""
        module = self.chance.choice(MODULES)
        items = self.items[module]
        what = self.chance.random()
        if what < 0.15 or not items:
            self.add(module)
        elif what < 0.2:
            items.pop(self.chance.randrange(len(items)))
        elif what < 0.3 and len(items) > 1:
            one, two = self.chance.sample(range(len(items)), 2)
            items[one], items[two] = items[two], items[one]
        elif what < 0.4:
            position = self.chance.randrange(len(items))
            items[position] = (items[position][0], f"# {self.number()}\n" + items[position][1])
        else:
            position = self.chance.randrange(len(items))
            kind, text = items[position]
            numbers = [
                part for part in text.replace("=", " ").replace(")", " ").replace(":", " ").split() if part.isdigit()
            ]
            if numbers:
                old = self.chance.choice(numbers)
                items[position] = (
                    kind,
                    text.replace(f" {old}", f" {self.number()}", 1).replace(f"={old}", f"={self.number()}", 1),
                )
        return module

    def text(self, module: str, tag: str) -> str:
        body = "\n".join(text for _, text in self.items[module])
        for other in MODULES:
            body = body.replace(f"{other}.", f"{other}_{tag}.")
        imports = "".join(f"import {other}_{tag}\n" for other in MODULES if other != module)
        return imports + "\n" + body

    def app(self, tag: str) -> str:
        calls = {name: self.call("app") for name in ("one", "two")}
        text = "from hitsave import memo\n" + "".join(f"import {name}_{tag}\n" for name in MODULES)
        for name, call in calls.items():
            for other in MODULES:
                call = call.replace(f"{other}.", f"{other}_{tag}.")
            text += f"\n\n@memo\ndef {name}(x):\n    return x + {call}\n"
        return text + "\n\n@memo\ndef both(x):\n    return one(x) * two(x)\n"
