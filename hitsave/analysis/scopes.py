"""Scopes, exactly as Python has them: which names are local, and what the others are to the definition around them.

A `Frame` is one scope while it is being walked. Whether a name is local is known only when its scope ends, so reads
and writes are noted as chains and sorted out by `close`: what starts at a local becomes attribute names (or more, where
the local is known to be an instance, an import, a literal); the rest moves to the scope outside. Class scopes are
skipped on the way out, since methods don't see them.
"""

from __future__ import annotations

from hitsave.analysis.chains import attributes_of, cut, join, root_of
from hitsave.analysis.region import Region
from hitsave.analysis.summary import (
    CALLED,
    CALLS_UNKNOWN,
    CALLS_UNKNOWN_NESTED,
    MUTATES_ARGUMENT,
    MUTATES_UNKNOWN,
    READ,
    TURNS,
)

# What a local name is bound to, as far as one look at its bindings tells: a parameter, `self` or `cls`, a fresh object
# of a builtin type, a function or class defined here, a fresh object of any type, something unknown. Other kinds:
# "~chain" what the chain names (it may start at a local again), "@module|name" an import, "$prefix|suffix" a text of
# which only the ends are known. A name bound in several ways has several kinds.
PARAMETER, RECEIVER, LITERAL, INNER, FRESH, UNKNOWN = "p", "s", "[", "d", "f", "?"
PLAIN_LOCALS = (PARAMETER, UNKNOWN, LITERAL, FRESH, INNER)
_MOST_KINDS = 6
_MOST_STEPS = 4

# Methods of the builtin types and of files, loggers and the like: calling one on an unknown object calls no function
# that the program passed around as a value.
BUILTIN_METHODS = frozenset(
    name for kind in (str, bytes, list, dict, set, tuple, int, float, frozenset) for name in vars(kind)
) | {"appendleft", "popleft", "write", "read", "close", "debug", "info", "warning", "error", "match", "group", "sub"}


class Frame:
    """One scope. `outer` is the scope that sees what is free here (None: the module's)."""

    __slots__ = (
        "bound",
        "declared",
        "depth",
        "enclosing",
        "_expanded",
        "is_class",
        "is_comprehension",
        "nonlocals",
        "outer",
        "passed",
        "patterns",
        "reads",
        "returns",
        "writes",
    )

    def __init__(self, outer: Frame | None, depth: int, *, is_class: bool = False) -> None:
        self.outer = outer
        self.enclosing: Frame | None = outer
        self.depth = depth
        self.is_class = is_class
        self.is_comprehension = False
        self.bound: dict[str, str | list[str]] = {}
        self.declared: set[str] | None = None  # `global` names
        self.nonlocals: set[str] | None = None
        self.reads: dict[str, int] = {}
        self.passed: set[tuple[str, str]] | None = None
        self.writes: set[str] | None = None
        self.returns: set[str] | None = None
        self.patterns: set[tuple[str, str, str, int]] | None = None
        self._expanded: dict[str, list[tuple[str, str]]] = {}

    def bind(self, name: str, kind: str) -> None:
        """Note a binding."""
        if self.declared is not None and name in self.declared:
            self.write("=" + name)
            return
        if self.nonlocals is not None and name in self.nonlocals:
            if self.outer is not None:
                self.outer.bind(name, UNKNOWN)
            return
        known = self.bound.get(name)
        if known is None:
            self.bound[name] = kind
        elif known.__class__ is str:
            if known != kind:
                self.bound[name] = [known, kind]
        elif kind not in known:
            known.append(kind)  # type: ignore[union-attr]

    def declare_global(self, names: list[str]) -> None:
        """Note a `global` statement."""
        self.declared = (self.declared or set()) | set(names)

    def declare_nonlocal(self, names: list[str]) -> None:
        """Note a `nonlocal` statement."""
        self.nonlocals = (self.nonlocals or set()) | set(names)

    def owner(self) -> Frame:
        """The scope that `:=` binds in: this one, or the first around it that isn't a comprehension."""
        frame = self
        while frame.is_comprehension and frame.enclosing is not None:
            frame = frame.enclosing
        return frame

    def write(self, write: str) -> None:
        """Note a write (see `Facts.writes`)."""
        if self.writes is None:
            self.writes = {write}
        else:
            self.writes.add(write)

    def close(self, region: Region) -> None:
        """Hand everything on: local chains to `region` as attributes, free ones to the scope outside."""
        bound, declared = self.bound, self.declared
        target = region.reads if self.outer is None else self.outer.reads
        for chain, info in self.reads.items():
            dot = chain.find(".")
            root = chain if dot < 0 else chain[:dot]
            if root[-1] in ")]":
                root = root_of(chain)
            kind = bound.get(root)
            # The two most common cases by a short way: a parameter or simple local, and an attribute of `self`.
            if dot < 0:
                if kind in PLAIN_LOCALS and not info & CALLED:
                    continue
            elif kind == RECEIVER and chain[-1] not in ")]" and "(" not in chain and "[" not in chain:
                name, _, more = chain[dot + 1 :].partition(".")
                region.own.add(name)
                if more:
                    region.attributes.update(more.split("."))
                continue
            if declared is not None and root in declared:
                region.reads[chain] = region.reads.get(chain, info) | info & 255
            elif root not in bound or chain[0] == "@":
                known = target.get(chain)
                target[chain] = info if known is None else known | info & 255
            else:
                self._read_local(chain, info, region, target)
        if self.passed:
            self._close_passed(region)
        if self.writes:
            self._close_writes(region)
        if self.patterns:
            self._close_patterns(region)
        if self.returns:
            for chain in self.returns:
                for kind, moved in self._expand(chain):
                    region.returns.add("?" if kind or not moved else moved)

    def _expand(self, chain: str) -> list[tuple[str, str]]:
        """What a chain amounts to outside: ("", chain) where it is free, else (kind of local, rest of the chain)."""
        root = root_of(chain)
        if root not in self.bound or chain[0] in "@?" or (self.declared is not None and root in self.declared):
            return [("", chain)]
        rest = chain[len(root) :]
        found = self._expand_root(root)
        if not rest:
            return found
        moved = []
        for kind, start in found:
            if kind:
                moved.append((kind, start + rest))
            else:
                joined = join(start, rest)
                moved.append(("", joined) if joined is not None else (UNKNOWN, rest))
        return moved

    def _expand_root(self, root: str, seen: tuple[str, ...] = ()) -> list[tuple[str, str]]:
        """The same for the name of a local alone."""
        known = self._expanded.get(root)
        if known is not None:
            return known
        kinds = self.bound[root]
        found: list[tuple[str, str]] = []
        for kind in (kinds,) if kinds.__class__ is str else kinds[:_MOST_KINDS]:
            first = kind[0]
            if first == "~":
                found += self._expand_alias(kind[1:], root, seen)
            elif first == "@":
                found.append(("", kind))
            elif first == "c":  # a member of the class whose body this is
                is_certain = kind[1] != "?"
                found.append(("", f"{kind[1 if is_certain else 2 :]}.{root}"))
                if not is_certain:
                    found.append(("", root))
            else:
                found.append((kind, ""))
        if kinds.__class__ is list and len(kinds) > _MOST_KINDS:
            found.append((UNKNOWN, ""))
        if self.is_class:
            found.append(("", root))  # a class body falls back to the scope around
        if not seen:
            self._expanded[root] = found
        return found

    def _expand_alias(self, alias: str, root: str, seen: tuple[str, ...]) -> list[tuple[str, str]]:
        """What a chain that a local is bound to amounts to."""
        start = root_of(alias)
        if start not in self.bound or alias[0] == "@" or (self.declared is not None and start in self.declared):
            return [("", alias)]
        if start == root or start in seen or len(seen) > _MOST_STEPS:
            return [(UNKNOWN, "")]
        rest = alias[len(start) :]
        found: list[tuple[str, str]] = []
        for kind, moved in self._expand_root(start, (*seen, root)):
            joined = moved + rest if kind else join(moved, rest)
            found.append((kind, joined) if joined is not None else (UNKNOWN, ""))
        return found

    def _read_local(self, chain: str, info: int, region: Region, target: dict[str, int]) -> None:
        for kind, moved in self._expand(chain):
            if not kind:
                moved, rest = cut(moved)
                known = target.get(moved)
                target[moved] = info if known is None else known | info & 255
                if rest:
                    region.attributes.update(attributes_of(rest))
                continue
            names = attributes_of(moved)
            if kind == RECEIVER:
                if names and moved[0] == ".":
                    region.own.add(names.pop(0))
                elif not names and not info & (READ | CALLED):
                    pass  # isinstance(self, …), hasattr(self, …)
                elif info & CALLED and not names:  # `cls(…)`
                    region.own.update(("__call__", "__new__", "__init__", "__post_init__"))
                else:
                    region.own.add("")  # handed on, returned, an operand: anything may be done with it
                region.attributes.update(names)
                continue
            if info & CALLED:
                if kind in (PARAMETER, UNKNOWN, FRESH):
                    if not names or names[-1] not in BUILTIN_METHODS:
                        region.flags |= CALLS_UNKNOWN if self.depth <= 1 else CALLS_UNKNOWN_NESTED
                elif kind == INNER and self.depth <= 1:
                    region.flags |= (region.flags & CALLS_UNKNOWN_NESTED) >> 1
            region.attributes.update(names[1:] if kind == LITERAL or kind[0] == "$" else names)

    def _close_passed(self, region: Region) -> None:
        bound = self.bound
        for callee, argument in self.passed or ():
            if bound.get(argument) in PLAIN_LOCALS:
                continue
            arguments = self._expand(argument)
            if all(kind and kind != RECEIVER for kind, _ in arguments):
                continue
            callees = {"?" if kind else moved for kind, moved in self._expand(callee)}
            for kind, moved in arguments:
                if kind == RECEIVER and not moved:
                    moved = "self"
                elif kind:
                    continue
                for found in callees:
                    if self.outer is None:
                        region.passed.add((found, moved))
                    elif self.outer.passed is None:
                        self.outer.passed = {(found, moved)}
                    else:
                        self.outer.passed.add((found, moved))

    def _close_writes(self, region: Region) -> None:
        for write in self.writes or ():
            if write[0] == "=":
                region.writes.add(write)
                continue
            for kind, rest in self._expand(write[1:]):
                if not kind:
                    if self.outer is None or (self.declared and root_of(rest) in self.declared):
                        region.writes.add(write[0] + rest)
                    else:
                        self.outer.write(write[0] + rest)
                    continue
                names = attributes_of(rest)
                if rest == ".__class__" and kind not in (LITERAL, INNER):
                    region.writes.add(TURNS)
                if kind == RECEIVER:
                    region.writes.add("self." + (names[0] if names else ""))
                elif kind in (PARAMETER, UNKNOWN):
                    region.flags |= MUTATES_ARGUMENT if kind == PARAMETER else MUTATES_UNKNOWN
                    if names:
                        region.writes.add("." + names[0])

    def _close_patterns(self, region: Region) -> None:
        for receiver, prefix, suffix, line in self.patterns or ():
            ends = {(prefix, suffix)}
            if prefix[:1] == "$" and prefix != "$":  # the name of a local that holds the attribute's name
                kinds = self.bound.get(prefix[1:], UNKNOWN)
                texts = [kinds] if isinstance(kinds, str) else kinds
                ends = {_ends(kind, prefix[1:]) for kind in texts}
            for kind, moved in self._expand(receiver) if receiver else [(UNKNOWN, "")]:
                if kind in (LITERAL, INNER, FRESH):
                    continue
                if kind:
                    moved = "self" if kind == RECEIVER and not moved else ""
                found = {(moved, start, end, line) for start, end in ends}
                if self.outer is None or kind:
                    region.patterns |= found
                else:
                    self.outer.patterns = (self.outer.patterns or set()) | found


class BodyFrame(Frame):
    """The scope of module level, or of a module-level class, while one of its statements is walked.

    What is bound goes to `names`: at this level a binding makes a definition, not a local. `bound` holds the members
    that a class body has so far, as "c" + the class's qualified name ("c?" where only some paths bind them).
    """

    __slots__ = ("names",)

    def __init__(self, members: dict[str, str]) -> None:
        super().__init__(None, 1)
        self.names: dict[str, list[str]] = {}
        self.bound = members  # type: ignore[assignment]  # shared: the class body sees what it binds

    def bind(self, name: str, kind: str) -> None:
        """Note a name that the statement binds."""
        if self.declared is not None and name in self.declared:  # `global` in a class body
            self.write("=" + name)
            return
        self.names.setdefault(name, []).append(kind)


def _ends(kind: str, name: str) -> tuple[str, str]:
    """What is known of a name held in a local of this kind: its (prefix, suffix), or ("$", parameter)."""
    if kind[0] == "$":
        start, _, end = kind[1:].partition("|")
        return start, end
    return ("$", name) if kind == PARAMETER else ("", "")
