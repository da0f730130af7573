"""`Trouble`: what went wrong in a store, said once and counted ever after.

A cache must never break or flood the program it serves, so the first trouble of a store is a `StoreWarning` and the
rest is silence with a counter, which `hitsave doctor` shows.
"""

from __future__ import annotations

from hitsave.errors import StoreWarning, UntrustedEntry


class Trouble:
    """Collects the troubles of one store. `strict`: an entry that can't be trusted is an error."""

    def __init__(self, place: str, *, strict: bool = False) -> None:
        self.place = place
        self.strict = strict
        self.count = 0
        self.refused = 0
        self.last = ""
        self.silent = False  # while somebody looks for troubles on purpose
        self._said = False

    def report(
        self, what: str, hint: str = "Run `hitsave doctor` to see what is wrong, `--repair` to mend it."
    ) -> None:
        """Note that the store could not do something; warn if this is the first time."""
        if self.silent:
            return
        self.count += 1
        self.last = what
        if self._said:
            return
        self._said = True
        import warnings

        message = f"The cache in {self.place} {what}. The program goes on without it.\n  hint: {hint}"
        # The user's own line is many frames up and says nothing about a damaged cache, so point at none in particular.
        warnings.warn(message, StoreWarning, stacklevel=2)

    def refuse(self, what: str) -> None:
        """Note that something stored is not what its tag promises. Raises `UntrustedEntry` in strict mode."""
        if self.silent:
            return
        self.refused += 1
        if self.strict:
            raise UntrustedEntry(
                f"The cache in {self.place} holds {what}.",
                hint='Remove it with `hitsave doctor --repair`, or set verify = "on" to treat it as a miss.',
            )
        self.report(f"holds {what}")
