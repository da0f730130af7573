"""`Rewriting`: what is done to modules that name one of our decorators; the part that every import touches.

The work itself is in `sites` and `instrument`, which are imported when the first such module has to be compiled: a warm
process never loads them, nor the syntax tree classes they need.
"""

from __future__ import annotations

import sys

from hitsave.digest import digest_bytes, digest_text
from hitsave.parsing import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ast
    from collections.abc import Callable, Iterable

# Part of the name of every file we write: raise it whenever the code that comes out changes.
#   1  sites, instrumented functions
#   2  the site of a decorator over several lines is on its first line
VERSION = 2

# A module that doesn't hold these bytes can't name our decorators. (An identifier could be written in compatibility
# characters that Python folds; such a function is found by its code object.)
MARKER = b"hitsave"
PACKAGE = "hitsave"

_OURS = sys.modules.get(PACKAGE)


class Rewriting:
    """The rewriting of one hook: its options, and the tag that stands for them.

    `name_of` gives the canonical module name of a file, or None. `memo` and `experiment` are patterns of functions to
    decorate (`instrument`); `matched` says what each of them meant in the modules compiled or read so far.
    """

    def __init__(
        self, name_of: Callable[[str], str | None], memo: Iterable[str] = (), experiment: Iterable[str] = ()
    ) -> None:
        self._name_of = name_of
        self.patterns = tuple([("memo", p) for p in sorted(memo)] + [("experiment", p) for p in sorted(experiment)])
        self.tag = f"{VERSION}-{digest_text(repr(self.patterns))[:8]}"

    def concerns(self, data: object, path: str, name: str) -> bool:
        """Whether the module may need rewriting; if not, its code is plain Python's.

        A syntax tree, which some other tool hands in, never does: its text is not ours to vouch for.
        """
        if not isinstance(data, (bytes, str)):
            return False
        mentioned = PACKAGE in data if isinstance(data, str) else MARKER in data
        return mentioned or (bool(self.patterns) and self._instruments(self.module_name(path, name)))

    def module_name(self, path: str, name: str) -> str:
        """The canonical name of the module in `path` that is imported as `name`."""
        return self._name_of(path) or name

    def rewrite(self, tree: ast.Module, data: bytes | str, path: str, name: str) -> bool:
        """Write the sites into `tree`, made from `data`, in place; whether there was anything to write."""
        if not _hitsave_is_ours():
            return False
        from hitsave.importhook.instrument import instrument
        from hitsave.importhook.sites import write_sites

        digest = digest_bytes(data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data)
        module = self.module_name(path, name)
        # Patterns first: they keep off functions that have a decorator of ours, which they know by its name.
        instrumented = instrument(tree, module, digest, self.patterns)
        return write_sites(tree, module, digest, data) or instrumented

    def parse(self, data: bytes | str, path: str, name: str) -> ast.Module | None:
        """The rewritten syntax tree of a text, for people to look at; None if nothing in it is rewritten."""
        tree = parse(data, path)
        return tree if self.rewrite(tree, data, path, name) else None

    def _instruments(self, module: str) -> bool:
        from hitsave.importhook.patterns import matches

        return any(matches(pattern.partition(":")[0], module) for _, pattern in self.patterns)


def _hitsave_is_ours() -> bool:
    """Whether `import hitsave` gives this package: a test may have put a stand-in there, which has no sites."""
    return sys.modules.get(PACKAGE) is _OURS
