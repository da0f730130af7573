"""Chains as text: `cfg.K`, `Cls().run`, `TABLE[].run`, `@module|name` (see `summary.py`)."""

from __future__ import annotations


def root_of(chain: str) -> str:
    """The name a chain starts with."""
    root = chain.partition(".")[0]
    return root.rstrip("()[]") if root[-1:] in ")]" else root


def attributes_of(rest: str) -> list[str]:
    """The attribute names in the part of a chain after its root."""
    if not rest:
        return []
    return [name for part in rest.split(".") if (name := part.rstrip("()[]"))]


def extend(reference: str, rest: str) -> str:
    """`@module|name` followed by the rest of a chain."""
    return reference + (rest[1:] if reference[-1] == "|" and rest[:1] == "." else rest)


def join(chain: str, rest: str) -> str | None:
    """`chain` followed by `rest`; None where the chain's end is of no known kind any more."""
    if not rest:
        return chain
    if chain[-1] in ")]" and rest[0] in "([":
        return None
    if chain[0] == "@" and chain[-1] == "|" and rest[0] in "([":
        return None
    return extend(chain, rest)


def cut(chain: str) -> tuple[str, str]:
    """A chain up to its second call or item, and the rest: what comes after two unknown steps is anybody's."""
    if chain.count("(") + chain.count("[") < 2:
        return chain, ""
    first = min([i for i in (chain.find("()"), chain.find("[]")) if i >= 0])
    second = min([i for i in (chain.find("()", first + 2), chain.find("[]", first + 2)) if i >= 0])
    return chain[:second], chain[second:]


def part_of(chain: str | None) -> str:
    """The kind of a local that holds an element of what a chain names."""
    if chain is None:
        return "?"
    if chain[-1] in ")]":
        chain = chain[:-2]
    return f"~{chain}[]" if "(" not in chain and "[" not in chain and chain[-1] != "|" else "?"
