"""`Region`: what is gathered of one region while it is walked."""

from __future__ import annotations

from hitsave.analysis.summary import NO_FACTS, Facts


class Region:
    """What is gathered for the `Facts` of one region."""

    __slots__ = (
        "attributes",
        "flags",
        "keys",
        "opaque",
        "own",
        "parent",
        "passed",
        "patterns",
        "reads",
        "returns",
        "texts",
        "writes",
    )

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
        self.returns: set[str] = set()
        self.texts: tuple[str, ...] = ()
        self.flags = 0

    def facts(self) -> Facts:
        """The facts gathered, frozen."""
        if not (
            self.reads
            or self.attributes
            or self.own
            or self.writes
            or self.flags
            or self.keys
            or self.opaque
            or self.returns
            or self.texts
        ):
            return NO_FACTS  # whatever else there is comes with one of these
        return Facts(
            tuple(self.reads.items()),
            tuple(sorted(self.attributes)) if self.attributes else (),
            tuple(sorted(self.own)) if self.own else (),
            tuple(sorted(self.parent)) if self.parent else (),
            tuple(sorted(self.passed)) if self.passed else (),
            tuple(sorted(self.writes)) if self.writes else (),
            tuple(sorted(self.keys)) if self.keys else (),
            tuple(sorted(self.patterns)) if self.patterns else (),
            tuple(sorted(self.opaque)) if self.opaque else (),
            self.flags,
            tuple(sorted(self.returns)) if self.returns else (),
            self.texts,
        )
