"""`Judge`: stored results against the files, as `status` and `why` need it. Nothing is run or imported."""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from hitsave.cli.files import Files, beside_of
from hitsave.cli.place import Place, open_place
from hitsave.digest import Digest
from hitsave.evaluation import SURROUNDINGS, Evaluation, FileRead, Observed
from hitsave.evaluator.conditions import Conditions
from hitsave.evaluator.packages import Packages
from hitsave.explain.reasons import explain_call, explain_evaluation, survived
from hitsave.explain.record import Explanation
from hitsave.explain.standing import SPARED, Standings
from hitsave.symbol import Symbol


class Judge:
    """The stored evaluations of one place, and how they stand."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._entries: dict[Symbol, list[Evaluation]] = defaultdict(list)
        for entry in place.store.entries():
            self._entries[entry.key.symbol].append(entry)
        every = [entry for group in self._entries.values() for entry in group]
        self.files = Files(place.project, place.store, beside=beside_of(place.project, every))
        self._conditions = Conditions(place.project, place.store)
        self._packages = Packages(place.config.third_party, dict(place.config.third_party_packages))
        self.standings = Standings(
            self.files,
            place.store,
            versions=self._packages.versions,
            changed=self._changed,
            candidates=self._candidates,
        )

    def symbols(self) -> list[Symbol]:
        """The project's memoised functions: those its files define so, and those with stored results."""
        stored = [name for name in self._entries if self.files.defines(name)]
        self.standings.judge(entry for name in stored for entry in self._entries[name])
        return sorted({*stored, *self.files.memoised()})

    def entries(self, symbol: Symbol) -> list[Evaluation]:
        """The stored evaluations of a function."""
        return self._entries.get(symbol, [])

    def versions(self, packages: Iterable[str]) -> dict[str, str]:
        """Today's versions of outside packages, as they count."""
        return dict(self._packages.versions(packages))

    def explain(self, entry: Evaluation) -> Explanation:
        """Why `entry` stands or doesn't; if it stands with its very code, why it was computed."""
        standing = self.standings.of(entry)
        state = self.standings.state({entry.key.symbol, *entry.observed.carried})
        code = self.files.code(state)
        if standing.state == SPARED:
            return survived(entry, code, self.place.store, locate=self.files.locate)
        if standing.holds:
            earlier = [other for other in self.entries(entry.key.symbol) if _came_before(other, entry)]
            found = explain_evaluation(entry, earlier, self.place.store, locate=self.files.locate)
            return self._blessed(entry, found)
        key = entry.key if self.standings.is_same_code(entry) else entry.key.replace(fingerprint="")
        return explain_call(
            key, entry.title, code, self._now, [entry], self.place.store, locate=self.files.locate, pending=True
        )

    # -- private -----------------------------------------------------------------------------------------------------

    def _changed(self, entry: Evaluation, below: bool) -> str:
        seen = entry.observed
        files = seen.files + (seen.below_files if below else ())
        variables = seen.environment + (seen.below_environment if below else ())
        read = self._conditions.changed_file(files)
        if read is not None:
            return f"file {read.path}"
        name = self._conditions.changed_variable(variables)
        return SURROUNDINGS.get(name, f"environment variable {name}") if name else ""

    def _candidates(self, symbol: Symbol, arguments: Digest) -> list[Evaluation]:
        return [entry for entry in self.entries(symbol) if entry.key.arguments == arguments]

    def _now(self, entry: Evaluation) -> Observed:
        """What the files and variables that `entry` saw hold today."""

        def today(reads: tuple[FileRead, ...]) -> tuple[FileRead, ...]:
            return tuple(read.replace(digest=self._digest(read)) for read in reads)

        seen = entry.observed
        return seen.replace(
            files=today(seen.files),
            below_files=today(seen.below_files),
            environment=tuple((name, self._conditions.variable(name)) for name, _ in seen.environment),
            below_environment=tuple((name, self._conditions.variable(name)) for name, _ in seen.below_environment),
        )

    def _blessed(self, entry: Evaluation, found: Explanation) -> Explanation:
        data = self.place.store.get_record("blessing", entry.key.fingerprint)
        if found.outcome != "survived" or data is None:
            return found
        record = json.loads(data)
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(record["time"]))
        note = f"blessed by {record['author']} on {when}" + (f": {record['reason']}" if record["reason"] else "")
        changes = tuple(change.replace(ran=True) for change in found.changes)
        return found.replace(outcome="blessed", changes=changes, notes=(*found.notes, note))

    def _digest(self, read: FileRead) -> Digest:
        if read.kind == "exists":
            return self._conditions.exists(read.path)
        return self._conditions.file(read.path, read.kind)


@contextmanager
def open_judge(options: argparse.Namespace) -> Iterator[Judge]:
    """A judge for the place that the options mean."""
    with open_place(options) as place:
        yield Judge(place)


def _came_before(other: Evaluation, entry: Evaluation) -> bool:
    # A result that was taken over under new code keeps the time of the run that made it.
    return other != entry and other.started <= entry.started
