"""Scopes, exactly as Python has them: which names are local, and what the others are to the definition around them.

A `Frame` is one scope while it is being walked. Whether a name is local is known only when its scope ends, so reads
and writes are noted as chains and sorted out by `close`: what starts at a local becomes attribute names (or more, where
the local is known to be an instance, an import, a literal); the rest moves to the scope outside. Class scopes are
skipped on the way out, since methods don't see them.
"""

from __future__ import annotations

from hitsave.analysis.summary import (
    CALLED,
    CALLS_UNKNOWN,
    CALLS_UNKNOWN_NESTED,
    MUTATES_ARGUMENT,
    MUTATES_UNKNOWN,
    NO_FACTS,
    Facts,
)

# What a local name is bound to, as far as one look at its bindings tells. Other kinds: "=chain" what calling the chain
# returns, "@module|name" an import, "$prefix|suffix" a text of which only the ends are known.
UNKNOWN, PARAMETER, RECEIVER, LITERAL, INNER = "?", "p", "s", "[", "d"

# Methods of the builtin types and of files, loggers and the like: calling one on an unknown object calls no function
# that the program passed around as a value.
BUILTIN_METHODS = frozenset(
    name for kind in (str, bytes, list, dict, set, tuple, int, float, frozenset) for name in vars(kind)
) | {"appendleft", "popleft", "write", "read", "close", "debug", "info", "warning", "error", "match", "group", "sub"}


class Region:
    """What is gathered for the `Facts` of one region."""

    __slots__ = ("attributes", "flags", "keys", "opaque", "own", "parent", "passed", "patterns", "reads", "writes")

    def __init__(self) -> None:
        self.reads: dict[str, int] = {}
        self.attributes: set[str] = set()
        self.own: set[str] = set()
        self.parent: set[str] = set()
        self.passed: set[tuple[str, str]] = set()
        self.writes: set[str] = set()
        self.keys: set[tuple[str, str]] = set()
        self.patterns: set[tuple[str, str, str, int]] = set()
        self.opaque: set[tuple[str, int]] = set()
        self.flags = 0

    def facts(self) -> Facts:
        """The facts gathered, frozen."""
        if not (self.reads or self.attributes or self.own or self.writes or self.flags or self.keys or self.opaque):
            return NO_FACTS  # whatever else there is comes with one of these
        return Facts(
            tuple(sorted(self.reads.items())),
            tuple(sorted(self.attributes)) if self.attributes else (),
            tuple(sorted(self.own)) if self.own else (),
            tuple(sorted(self.parent)) if self.parent else (),
            tuple(sorted(self.passed)) if self.passed else (),
            tuple(sorted(self.writes)) if self.writes else (),
            tuple(sorted(self.keys)) if self.keys else (),
            tuple(sorted(self.patterns)) if self.patterns else (),
            tuple(sorted(self.opaque)) if self.opaque else (),
            self.flags,
        )


class Frame:
    """One scope. `outer` is the scope that sees what is free here (None: the module's)."""

    __slots__ = (
        "bound",
        "declared",
        "depth",
        "is_class",
        "is_comprehension",
        "nonlocals",
        "outer",
        "passed",
        "patterns",
        "reads",
        "writes",
    )

    def __init__(self, outer: Frame | None, depth: int, *, is_class: bool = False) -> None:
        self.outer = outer
        self.depth = depth
        self.is_class = is_class
        self.is_comprehension = False
        self.bound: dict[str, str] = {}
        self.declared: set[str] | None = None  # `global` names
        self.nonlocals: set[str] | None = None
        self.reads: dict[str, int] = {}
        self.passed: set[tuple[str, str]] | None = None
        self.writes: set[str] | None = None
        self.patterns: set[tuple[str, str, str, int]] | None = None

    def bind(self, name: str, kind: str) -> None:
        """Note a binding; a second one of another kind makes the name unknown."""
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
        elif known != kind:
            both = known[0] == "@" and kind[0] == "@"
            self.bound[name] = f"{known} {kind}" if both else UNKNOWN

    def declare_global(self, names: list[str]) -> None:
        """Note a `global` statement."""
        self.declared = (self.declared or set()) | set(names)

    def declare_nonlocal(self, names: list[str]) -> None:
        """Note a `nonlocal` statement."""
        self.nonlocals = (self.nonlocals or set()) | set(names)

    def owner(self) -> Frame:
        """The scope that `:=` binds in: this one, or the first around it that isn't a comprehension."""
        frame = self
        while frame.is_comprehension and frame.outer is not None:
            frame = frame.outer
        return frame

    def write(self, write: str) -> None:
        """Note a write (see `Facts.writes`)."""
        if self.writes is None:
            self.writes = {write}
        else:
            self.writes.add(write)

    def close(self, region: Region) -> None:
        """Hand everything on: local chains to `region` as attributes, free ones to the scope outside."""
        bound, declared, outer = self.bound, self.declared, self.outer
        target = region.reads if outer is None else outer.reads
        for chain, info in self.reads.items():
            root = root_of(chain)
            kind = bound.get(root)
            if kind is None or chain[0] == "@":
                known = target.get(chain)
                target[chain] = info if known is None else known | info & 255
            elif declared is not None and root in declared:
                region.reads[chain] = region.reads.get(chain, info) | info & 255
            elif kind[0] == "@":
                for reference in kind.split(" "):
                    region.reads[_extend(reference, chain[len(root) :])] = info
            elif kind[0] == "c":  # a member of the class whose body this is
                member = f"{kind[kind[1] == '?' and 2 or 1 :]}.{chain}"
                target[member] = target.get(member, info) | info & 255
                if kind[1] == "?":
                    target[chain] = target.get(chain, info) | info & 255
            elif self.is_class:
                target[chain] = target.get(chain, info) | info & 255
                region.attributes.update(attributes_of(chain[len(root) :]))
            elif kind[0] == "=":
                moved = kind[1:] + "()" + chain[len(root) :]
                self._read_outside(moved, info, region)
            else:
                self._read_local(chain, root, kind, info, region)
        if self.passed:
            self._close_passed(region)
        if self.writes:
            self._close_writes(region)
        if self.patterns:
            self._close_patterns(region)

    def _read_outside(self, chain: str, info: int, region: Region) -> None:
        """A chain whose root is what another local chain returned: known only if that root isn't local too."""
        root = root_of(chain)
        if root in self.bound and chain[0] != "@" and not (self.declared and root in self.declared):
            region.attributes.update(attributes_of(chain[len(root) :]))
            return
        target = region.reads if self.outer is None else self.outer.reads
        target[chain] = target.get(chain, info & ~CALLED) | info & 255

    def _read_local(self, chain: str, root: str, kind: str, info: int, region: Region) -> None:
        names = attributes_of(chain[len(root) :])
        if kind == RECEIVER and names and chain[len(root)] == ".":
            region.own.add(names.pop(0))
            region.attributes.update(names)
            return
        if info & CALLED and kind not in (INNER, LITERAL) and kind[0] != "$":
            if not names or names[-1] not in BUILTIN_METHODS:
                region.flags |= CALLS_UNKNOWN if self.depth <= 1 else CALLS_UNKNOWN_NESTED
        elif info & CALLED and kind == INNER and self.depth <= 1:
            region.flags |= (region.flags & CALLS_UNKNOWN_NESTED) >> 1
        region.attributes.update(names[1:] if kind == LITERAL or kind[0] == "$" else names)

    def _classify(self, chain: str, region: Region) -> tuple[str, str]:
        """(kind, chain as the outside knows it); kind is "" where the chain isn't local."""
        root = root_of(chain)
        kind = self.bound.get(root)
        if chain[0] in "@?*" or kind is None or (self.declared and root in self.declared):
            return "", chain
        if kind[0] == "@":
            return "", _extend(kind.partition(" ")[0], chain[len(root) :])
        if kind[0] == "=" and root_of(kind[1:]) not in self.bound:
            return "", kind[1:] + "()" + chain[len(root) :]
        return kind, chain[len(root) :]

    def _close_passed(self, region: Region) -> None:
        passed = self.passed or set()
        for callee, argument in passed:
            kind, callee = self._classify(callee, region)
            if kind:
                callee = "?"
            kind, argument = self._classify(argument, region)
            if kind in (LITERAL, INNER) or (kind and kind[0] == "$"):
                continue
            if kind:
                argument = "self" if kind == RECEIVER and not argument else "*"
            if self.outer is None:
                region.passed.add((callee, argument))
            elif self.outer.passed is None:
                self.outer.passed = {(callee, argument)}
            else:
                self.outer.passed.add((callee, argument))

    def _close_writes(self, region: Region) -> None:
        for write in self.writes or ():
            kind, rest = self._classify(write[1:], region)
            if not kind:
                write = write[0] + rest
                if self.outer is None or (self.declared and root_of(rest) in self.declared):
                    region.writes.add(write)
                elif self.outer.writes is None:
                    self.outer.writes = {write}
                else:
                    self.outer.writes.add(write)
                continue
            if write[0] == "=" or kind in (LITERAL, INNER) or kind[0] in "=$":
                continue
            names = attributes_of(rest)
            if kind == RECEIVER:
                region.writes.add("self." + (names[0] if names else ""))
                continue
            region.flags |= MUTATES_ARGUMENT if kind == PARAMETER else MUTATES_UNKNOWN
            if names:
                region.writes.add("." + names[0])

    def _close_patterns(self, region: Region) -> None:
        for receiver, prefix, suffix, line in self.patterns or ():
            if prefix[:1] == "$":  # the name of a local that holds the attribute's name
                kind = self.bound.get(prefix[1:], UNKNOWN)
                ends = kind[1:].split("|") if kind[0] == "$" else ["", ""]
                prefix, suffix = ends[0], ends[1]
            kind, receiver = self._classify(receiver, region) if receiver else (UNKNOWN, "")
            if kind in (LITERAL, INNER):
                continue
            if kind:
                receiver = "self" if kind == RECEIVER and not receiver else ""
            found = (receiver, prefix, suffix, line)
            if self.outer is None or kind:
                region.patterns.add(found)
            elif self.outer.patterns is None:
                self.outer.patterns = {found}
            else:
                self.outer.patterns.add(found)


class BodyFrame(Frame):
    """The scope of module level, or of a module-level class, while one of its statements is walked.

    What is bound goes to `names`: at this level a binding makes a definition, not a local. `bound` holds the members
    that a class body has so far, as "c" + the class's qualified name ("c?" where only some paths bind them).
    """

    __slots__ = ("names",)

    def __init__(self, members: dict[str, str]) -> None:
        super().__init__(None, 1)
        self.names: dict[str, list[str]] = {}
        self.bound = members

    def bind(self, name: str, kind: str) -> None:
        """Note a name that the statement binds."""
        self.names.setdefault(name, []).append(kind)


def root_of(chain: str) -> str:
    """The name a chain starts with."""
    root = chain.partition(".")[0]
    return root.rstrip("()[]") if root[-1:] in ")]" else root


def attributes_of(rest: str) -> list[str]:
    """The attribute names in the part of a chain after its root."""
    if not rest:
        return []
    return [name for part in rest.split(".") if (name := part.rstrip("()[]"))]


def _extend(reference: str, rest: str) -> str:
    """`@module|name` followed by the rest of a chain."""
    return reference + (rest[1:] if reference[-1] == "|" and rest[:1] == "." else rest)
