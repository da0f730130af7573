"""What one source file says, as frozen facts: `ModuleSummary` and what it is made of.

A *definition* is something with a name at module level or in a module-level class: a function, a class, a value, an
import. A *region* is code that runs at one moment: the body of a function, its header (decorators and defaults, run
when the `def` statement is), a class statement, an initialiser, a top-level statement. Each region has its `Facts`.

A *chain* is how code names a thing: a name that is not local, then what is done to it. `cfg.K` is an attribute,
`Cls().run` an attribute of what calling `Cls` returns, `TABLE[].run` one of an item. A name that a function imports
for itself is written `@module|name` (`@.impl|f` for `from .impl import f`). Chains are resolved by `resolve.py`, across
modules; a summary knows its own file only.
"""

from __future__ import annotations

from hitsave.digest import Digest
from hitsave.record import Record
from hitsave.symbol import Symbol, symbol

# How a chain was used, as bits of the number beside it; the line of the first use stands above them (number >> 8).
READ = 1  # its value was read
WEAK = 2  # it was only changed, or tested so as to raise: what others put there can't change the result
CHECK = 4  # it stood in isinstance() or except: a class so named is not made there
TURNS = "@class"  # among Facts.writes: an object's `__class__` is set
CALLED = 8  # it was called
LOOKED = 16  # it stood first in isinstance(), hasattr() and the like: read, but not handed to anything

# Facts.flags
CALLS_UNKNOWN = 1  # calls a parameter, a local, or a method of one
CALLS_UNKNOWN_NESTED = 2  # the same, in a function nested in the region
MUTATES_ARGUMENT = 4  # changes an object that it was given
MUTATES_UNKNOWN = 8  # changes an object that it found somewhere
REBINDS_CELL = 16  # `nonlocal`: leaves state in a closure
GENERATOR = 32
COROUTINE = 64
COMPUTES = 128  # of a header: a default is the result of a call, an item, a comprehension
LOOKS = 256  # calls inspect.signature() or its like, always with a global name first


class Facts(Record):
    """What one region does; tuples are sorted, but for `reads`, which follow the text.

    reads       (chain, bits and line)
    attributes  names read on objects that the file tells nothing about
    own         names read on `self` or `cls` ("" where it is used as a whole)
    parent      names read on `super()`
    passed      (callee, argument) chains, "?" for an unknown callee; unknown arguments are left out
    writes      `=NAME` rebinds a global, `~chain` changes what the chain names, `^chain` calls a method of it for its
                effect at import, `!chain` is what is called so (`!*`: anything in an expression), `self.x`, `.x` an
                attribute of something unknown, `*` anything
    keys        (chain, constant) where an environment variable may be read
    patterns    computed names in getattr: (receiver, prefix, suffix, line); the line is negative where the order of the
                names counts; prefix is "$" where the name is the parameter that suffix gives, receiver "@import" a
                computed import, "@globals" an item of `globals()`
    opaque      (construct, line) that no analysis can follow
    returns     the chains that a function returns or yields, "?" among them for anything else
    texts       names spelt out in a container display or beside a computed import: the modules imported, perhaps
    """

    reads: tuple[tuple[str, int], ...] = ()
    attributes: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    parent: tuple[str, ...] = ()
    passed: tuple[tuple[str, str], ...] = ()
    writes: tuple[str, ...] = ()
    keys: tuple[tuple[str, str], ...] = ()
    patterns: tuple[tuple[str, str, str, int], ...] = ()
    opaque: tuple[tuple[str, int], ...] = ()
    flags: int = 0
    returns: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()


NO_FACTS = Facts()


class Definition(Record):
    """One binding of a name. `conditions` are indices into `ModuleSummary.conditions` that govern it."""

    qualname: str
    line: int
    end_line: int
    conditions: tuple[int, ...]


class Function(Definition):
    """A function or method. `header` covers name, signature, defaults, decorators and kind; `body` the rest without
    its docstring; `annotations` the annotations alone ("" if none), `doc` the docstring ("" if none).
    `decorators` are (chain or "?", is it called with arguments).
    """

    header: Digest
    body: Digest
    doc: str
    annotations: str
    decorators: tuple[tuple[str, bool], ...]
    header_facts: Facts
    body_facts: Facts
    annotation_facts: Facts


class Class(Definition):
    """A class. `shape` covers bases, keywords, decorators, member names, literal members and loose statements;
    `members` are the names bound in its body.
    """

    shape: Digest
    doc: str
    annotations: str
    bases: tuple[str, ...]
    keywords: tuple[tuple[str, str], ...]
    decorators: tuple[tuple[str, bool], ...]
    members: tuple[str, ...]
    facts: Facts
    annotation_facts: Facts


class Value(Definition):
    """A name bound by an assignment. `alias` is the chain if the initialiser is nothing else, `statement` the index
    of the compound statement that binds it (-1: an assignment of its own, and `digest` and `facts` are its).
    """

    digest: Digest
    is_literal: bool
    alias: str
    statement: int
    facts: Facts


class Import(Definition):
    """A name bound by an import: `attribute` of `module` ("" for the module itself), `module` with leading dots."""

    module: str
    attribute: str


class Statement(Record):
    """A top-level statement that is more than a definition. `names` are those it binds."""

    line: int
    end_line: int
    conditions: tuple[int, ...]
    digest: Digest
    names: tuple[str, ...]
    facts: Facts


class Condition(Record):
    """The test of an `if` that governs definitions, and which branch of it."""

    digest: Digest
    facts: Facts


class ModuleSummary(Record):
    """Everything the analysis keeps of one `Source`.

    `definitions` maps a qualified name to all its bindings, in order. `imports` are (module with leading dots, name)
    for every import that runs when the module is imported; name is "" for `import m`, "*" for a star import.
    `exports` is `__all__` if it could be read, else None; `star_exports` are the modules whose star imports it takes.
    """

    module: str
    path: str
    source: Digest
    is_package: bool
    doc: str
    definitions: dict[str, tuple[Definition, ...]]
    statements: tuple[Statement, ...]
    conditions: tuple[Condition, ...]
    imports: tuple[tuple[str, str], ...]
    stars: tuple[str, ...]
    exports: tuple[str, ...] | None

    def symbols(self) -> list[Symbol]:
        """The symbols of all definitions, in the order of the file."""
        return [symbol(self.module, name) for name in self.definitions]
