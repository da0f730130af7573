"""Stored evaluations of small programs, made without running them."""

from __future__ import annotations

import textwrap
import zlib
from collections.abc import Mapping

from hitsave.analysis import Codebase, ModuleSummary, summarise
from hitsave.digest import Digest, Fingerprint, digest_pairs, digest_text
from hitsave.evaluation import Evaluation, Key, Observed
from hitsave.explain.record import CodeState, encode_code
from hitsave.source import Source, source_of
from hitsave.store.memory import MemoryStore
from hitsave.symbol import Symbol


class Program:
    """The text of each module of a program: a `Modules` and, with `state`, a `Code`."""

    def __init__(self, files: Mapping[str, str], start: str, versions: Mapping[str, str] | None = None) -> None:
        self.sources = {
            name: source_of(name, f"{name}.py", textwrap.dedent(text).lstrip("\n").encode())
            for name, text in files.items()
        }
        self.start = Symbol(start)
        self.versions = dict(versions or {})
        closure = Codebase(self).closure(self.start)
        self.state = CodeState(
            closure.pairs,
            tuple(sorted((name, self.versions[name]) for name in closure.packages if name in self.versions)),
            tuple(sorted((name, source.digest) for name, source in self.sources.items())),
        )

    def source(self, module: str) -> Source | None:
        return self.sources.get(module)

    def find(self, name: str) -> ModuleSummary | None:
        source = self.sources.get(name)
        return summarise(source) if source else None

    @property
    def fingerprint(self) -> Fingerprint:
        return Fingerprint(digest_pairs("test", [*self.state.pairs, *self.state.versions]))


def keep(
    program: Program,
    store: MemoryStore,
    *,
    title: str = "",
    arguments: str = "1",
    observed: Observed | None = None,
    result: str = "r",
    started: float = 1000.0,
) -> Evaluation:
    """An evaluation of `program`, with its code among the records of `store`."""
    store.put_record("closure", program.fingerprint, encode_code(program.state))
    for source in program.sources.values():
        store.put_record("source", source.digest, zlib.compress(source.data))
    key = Key(program.start, program.fingerprint, digest_text(arguments))
    return Evaluation(
        key=key,
        observed=observed or Observed(),
        codec="plain-1",
        result=Digest(digest_text(result)),
        size_bytes=1,
        started=started,
        elapsed_s=2.0,
        title=title or f"{program.start.partition(':')[2]}(x={arguments})",
    )
