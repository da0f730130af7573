"""`Closure`: what one symbol depends on, as sorted (symbol, digest) pairs and what goes with them."""

from __future__ import annotations

from hitsave.digest import Digest, Fingerprint, digest_pairs
from hitsave.record import Record
from hitsave.symbol import Symbol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

# The recipe of fingerprints. Part of every one: a change of what counts, or how, makes a new number and a line here.
# 1: definitions by normalised tree, imports by what they resolve to, packages by version
# 2: what was made at import counts by what it is (`MADE`, `WHICH`)
# 3: of the calls in a statement, only the one made for its effect changes the package it belongs to
RECIPE = "hitsave fingerprint 4"

# Ends of names in `Closure.live`. `m:f.<made>` is what the decorators, defaults and conditions of a definition made of
# it at import, without its code; `m:f.<which>` also tells which of several definitions it is.
MADE, WHICH = "<made>", "<which>"


class Widened(Record):
    """Something that analysis can't follow, and what it counts instead. `code` is that of `hitsave check`."""

    symbol: Symbol
    line: int
    code: str
    reason: str
    treatment: str


class Closure(Record):
    """Everything that calling `start` can depend on, as far as the source tells. Every tuple is sorted.

    `pairs` are what the fingerprint is made of. `packages` are top-level modules outside the project. `live` are
    module-level names and class attributes that count by their value at call time too; `constants` are those whose
    value is their definition. `functions` are those whose body counts, `classes` those whose shape does. `writers` are
    (name in `live`, function that may change what it holds), `modules` the project modules that were consulted (a
    closure made from the same sources of these is the same). `impurities` are (kind, symbol, line).
    """

    start: tuple[Symbol, ...]
    pairs: tuple[tuple[Symbol, Digest], ...]
    packages: frozenset[str]
    live: tuple[Symbol, ...]
    constants: tuple[Symbol, ...]
    functions: tuple[Symbol, ...]
    classes: tuple[Symbol, ...]
    environment: tuple[str, ...]
    environment_dynamic: bool
    impurities: tuple[tuple[str, Symbol, int], ...]
    widened: tuple[Widened, ...]
    writers: tuple[tuple[Symbol, Symbol], ...]
    modules: tuple[str, ...]

    def symbols(self) -> frozenset[Symbol]:
        """The symbols of the pairs."""
        return frozenset([name for name, _ in self.pairs])


def fingerprint(closure: Closure, versions: Mapping[str, str]) -> Fingerprint:
    """The fingerprint of a closure; `versions` gives the version of each of its packages (missing: "")."""
    packages = [(f"package {name}", versions.get(name, "")) for name in closure.packages]
    return Fingerprint(digest_pairs(RECIPE, [*closure.pairs, *packages]))
