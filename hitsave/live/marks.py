"""`Marks`: which memoised functions an edit reaches, said to the store at once.

For every memoised function whose code is known (it was called in this process), the fingerprint that its code has on
disk is compared with those it had before. Those are superseded; if the text comes back, so do they. Marks order
collection and display, and never decide whether something is a hit.
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from typing import TYPE_CHECKING

from hitsave.digest import Fingerprint
from hitsave.evaluator.code import Codebook
from hitsave.importhook import LoadedSources
from hitsave.record import Record
from hitsave.source import Source
from hitsave.store.contract import Mark
from hitsave.symbol import Symbol, is_hitsave

if TYPE_CHECKING:
    from hitsave.evaluator.plan import Plan
    from hitsave.session import Session

Options = tuple[frozenset[Symbol], tuple[tuple[str, str], ...], str | None]


class Reached(Record):
    """What an edit did: memoised functions to be computed anew, and those whose earlier results count again."""

    affected: tuple[Symbol, ...]
    back: tuple[Symbol, ...]


class CodeOnDisk(Codebook):
    """The code of the project's modules as their files hold it, whatever is loaded."""

    def __init__(self, session: Session) -> None:
        nothing = LoadedSources(session.book.loaded.name_of, lambda entry, _: entry)
        super().__init__(session.project, nothing, session.disk, session.book.packages)
        self._running = session.book.loaded

    def source(self, name: str) -> Source | None:
        """The source of the module known as `name`, read from its file."""
        if is_hitsave(name):
            return None
        running = self._running.get(name)
        path = running.source.path if running is not None else getattr(sys.modules.get(name), "__file__", None)
        path = path or self._find_file(name)
        if not path or not path.endswith((".py", ".pyw")) or self.module_of_file(path) is None:
            return None
        return self._read(path)


class Marks:
    """The reverse index of one session: memoised function -> the code it was seen to depend on."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._disk = CodeOnDisk(session)
        self._seen: dict[tuple[Symbol, Options], set[Fingerprint]] = {}
        self._now: dict[tuple[Symbol, Options], Fingerprint] = {}
        self._modules: dict[tuple[Symbol, Options], frozenset[str]] = {}

    def remember(self) -> None:
        """Take in the plans of every function called so far."""
        planner = self._session.planner
        for memo in planner.memos():
            if memo.plan is not None:
                self._take(memo.symbol, memo.plan, memo.options.third_party)
        for (name, _), plan in list(planner.carried_plans().items()):
            called = planner.memo(name)
            if called is not None:
                self._take(name, plan, called.options.third_party)

    def reach(self, modules: Collection[str]) -> Reached:
        """Compare the code on disk with what is known, for all that depends on `modules`, and set the marks."""
        self.remember()
        self._disk.project = self._session.project
        self._disk.loaded.notice_change()
        wanted = frozenset(modules)
        gone: list[Mark] = []
        current: list[Mark] = []
        affected: set[Symbol] = set()
        back: set[Symbol] = set()
        for key, consulted in list(self._modules.items()):
            if wanted.isdisjoint(consulted):
                continue
            name, (starts, extra, policy) = key
            closure = self._disk.closure(starts)
            found = self._disk.fingerprint(closure, extra, policy)
            self._modules[key] = consulted.union(closure.modules)
            known = self._seen[key]
            if found == self._now[key]:
                continue
            (back if found in known else affected).add(name)
            gone += [Mark(name, old) for old in known if old != found]
            current.append(Mark(name, found))
            known.add(found)
            self._now[key] = found
        if gone:
            self._session.store.supersede(gone)
        if current:
            self._session.store.revive(current)
        return Reached(tuple(sorted(affected)), tuple(sorted(back)))

    def dependents(self, modules: Collection[str]) -> tuple[Symbol, ...]:
        """The memoised functions that depend on one of `modules`, as far as is known."""
        wanted = frozenset(modules)
        return tuple(sorted({name for (name, _), consulted in self._modules.items() if wanted & consulted}))

    def consulted(self) -> frozenset[str]:
        """Every module that some memoised function depends on."""
        return frozenset().union(*self._modules.values())

    def _take(self, name: Symbol, plan: Plan, policy: str | None) -> None:
        key = name, (plan.starts, plan.extra, policy)
        self._modules[key] = self._modules.get(key, frozenset()).union(plan.closure.modules)
        if key not in self._now:
            self._now[key] = plan.fingerprint
        self._seen.setdefault(key, set()).add(plan.fingerprint)
