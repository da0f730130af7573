"""`hitsave bless`: keep results across an edit that you vouch for.

The stored evaluations that the edit made stale are stored again under the fingerprint of the code as it is now. What
they were is kept, so the blessing can be taken back. With `--verify N` the N cheapest are computed again first, and
nothing is blessed unless they come out the same.
"""

from __future__ import annotations

import argparse
import ast
import getpass
import json
import textwrap
import time
import zlib
from collections.abc import Iterable
from typing import Any

from hitsave.analysis import Closure, Codebase, fingerprint
from hitsave.cli.choose import one_symbol
from hitsave.cli.judge import Judge, open_judge
from hitsave.cli.output import Output, time_text
from hitsave.cli.recompute import repeat
from hitsave.digest import Fingerprint, digest_pairs
from hitsave.errors import HitSaveError, UsageError
from hitsave.evaluation import Evaluation, Observed
from hitsave.explain.compare import Texts, text_of
from hitsave.explain.reasons import stored_code
from hitsave.explain.record import CodeState, encode_code
from hitsave.explain.standing import narrowed_closure
from hitsave.symbol import Symbol, module_of, outermost, qualname_of, symbol

KIND = "blessing"


def add_bless(parser: argparse.ArgumentParser) -> None:
    """Options of `hitsave bless`."""
    parser.add_argument("function", metavar="FUNCTION", help="the memoised function whose stale results to keep")
    parser.add_argument("-m", "--message", default="", metavar="REASON", help="why the edit doesn't change results")
    parser.add_argument("--verify", type=int, default=0, metavar="N", help="compute the N cheapest again first")
    parser.add_argument("--undo", action="store_true", help="take the last blessing of the function back")


def bless(options: argparse.Namespace, output: Output) -> int:
    """Bless the stale results of one function, or take that back."""
    with open_judge(options) as judge:
        name = one_symbol(options.function, judge.symbols())
        if options.undo:
            return _undo(name, judge, output)
        stale = _newest_stale(name, judge)
        if not stale:
            output.emit({"symbol": name, "blessed": 0})
            output.line(f"nothing of {name} is stale")
            return 0
        output.diff(judge.explain(stale[0]).text())
        _prove(stale, options.verify, judge)
        renewed = [_renew(entry, judge) for entry in stale]
        record = {
            "symbol": name,
            "fingerprints": sorted({entry.key.fingerprint for entry, _ in renewed}),
            "entries": [[entry.key.fingerprint, entry.key.arguments] for entry, _ in renewed],
            "time": time.time(),
            "author": getpass.getuser(),
            "reason": options.message,
            "verified": options.verify,
        }
        for entry, state in renewed:
            _keep(entry, state, judge)
            judge.place.store.put_record(KIND, entry.key.fingerprint, json.dumps(record).encode())
    saved = sum(entry.elapsed_s for entry in stale)
    output.emit({"blessed": len(renewed), **record})
    output.line(f"blessed {len(renewed)} results of {name}, worth {time_text(saved)} of computing")
    output.remark(f"take it back: hitsave bless {qualname_of(name)} --undo")
    return 0


def _newest_stale(name: Symbol, judge: Judge) -> list[Evaluation]:
    groups: dict[str, list[Evaluation]] = {}
    for entry in judge.entries(name):
        groups.setdefault(entry.key.arguments, []).append(entry)
    stale = []
    for group in groups.values():
        standings = [judge.standings.of(entry) for entry in group]
        if not any(standing.holds for standing in standings):
            newest = max(group, key=lambda entry: entry.started)
            if not judge.standings.of(newest).condition:  # a file or variable that changed is no matter of code
                stale.append(newest)
    return sorted(stale, key=lambda entry: entry.elapsed_s)


def _prove(stale: Iterable[Evaluation], count: int, judge: Judge) -> None:
    proven = 0
    for entry in stale:
        if proven == count:
            return
        repeated = repeat(entry, judge.place)
        if repeated.outcome == "different":
            raise HitSaveError(f"{entry.title} comes out differently: {repeated.reason}", hint="Nothing was blessed.")
        proven += repeated.outcome == "same"
    if proven < count:
        raise HitSaveError(
            f"only {proven} of {count} results could be computed again", hint="Nothing was blessed; ask for fewer."
        )


def _renew(entry: Evaluation, judge: Judge) -> tuple[Evaluation, CodeState]:
    """The evaluation as the code in the files would have made it, and that code."""
    then = stored_code(entry.key.fingerprint, judge.place.store)
    if then is None:
        raise UsageError(f"the code of {entry.title} wasn't kept", hint="It can't be told what the edit changed.")
    starts = {symbol(module_of(entry.key.symbol), outermost(qualname_of(entry.key.symbol))), *entry.observed.carried}
    old_versions = dict(then.state.versions)
    extra = _options(then, entry.key.symbol)
    if _fingerprint(Codebase(then).closure(sorted(starts)), old_versions, extra) != entry.key.fingerprint:
        raise UsageError(
            f"{entry.key.symbol} depends on more than its files say (a replaced function, code typed in)",
            hint="Its results can't be blessed; add version= to the decorator instead.",
        )
    closure = judge.files.codebase.closure(sorted(starts))
    versions = judge.versions(closure.packages)
    extra_now = _options(judge.files, entry.key.symbol)
    seen = _with_values_of(closure, then.state, entry.observed)
    if seen.narrowed:
        narrowed = narrowed_closure(judge.files, judge.files.codebase, entry)
        now = judge.versions(narrowed.packages)
        seen = seen.replace(narrowed=_fingerprint(narrowed, now, extra_now))
    key = entry.key.replace(fingerprint=_fingerprint(closure, versions, extra_now))
    return entry.replace(key=key, observed=seen), judge.standings.state(starts)


def _with_values_of(closure: Closure, then: CodeState, seen: Observed) -> Observed:
    """What was seen, without the values of constants that the edit changed: their definition is in the fingerprint."""
    old = dict(then.pairs)
    changed = {name for name, digest in closure.pairs if old.get(name) != digest}
    for name, _ in (*seen.live, *seen.below_live):
        if name in changed and name in closure.live:
            raise UsageError(
                f"{name} was edited, and its value is computed when the module is imported",
                hint="Its results can't be blessed without running it; run the program instead.",
            )
    return seen.replace(
        live=tuple(pair for pair in seen.live if pair[0] not in changed),
        below_live=tuple(pair for pair in seen.below_live if pair[0] not in changed),
    )


def _fingerprint(closure: Closure, versions: dict[str, str], extra: tuple[tuple[str, str], ...]) -> Fingerprint:
    found = fingerprint(closure, versions)
    return Fingerprint(digest_pairs(found, extra)) if extra else found


def _options(code: Texts, name: Symbol) -> tuple[tuple[str, str], ...]:
    """What the decorator's options add to a fingerprint, read from its text."""
    text = text_of(code, name)
    try:
        tree = ast.parse(textwrap.dedent(text or ""))
    except SyntaxError:
        return ()
    for node in ast.walk(tree):
        for decorator in getattr(node, "decorator_list", ()):
            for keyword in getattr(decorator, "keywords", ()):
                if keyword.arg == "version" and isinstance(keyword.value, ast.Constant):
                    value = keyword.value.value
                    if isinstance(value, (str, int)):
                        return (("option version", f"{type(value).__name__} {value}"),)
    return ()


def _keep(entry: Evaluation, state: CodeState, judge: Judge) -> None:
    store = judge.place.store
    original = next(each for each in judge.entries(entry.key.symbol) if each.started == entry.started)
    blob = store.load(original)
    if blob is None:
        raise HitSaveError(f"the stored result of {entry.title} is damaged", hint="hitsave doctor --repair")
    sources = []
    for module in sorted({module_of(name) for name, _ in state.pairs}):
        source = judge.files.source(module)
        if source is not None:
            sources.append((module, source.digest))
            store.put_record("source", source.digest, zlib.compress(source.data))
    store.put_record("closure", entry.key.fingerprint, encode_code(state.replace(sources=tuple(sources))))
    store.save(entry, blob)


def _undo(name: Symbol, judge: Judge, output: Output) -> int:
    store = judge.place.store
    found = [(record, fp) for fp in store.record_names(KIND) if (record := _read(store.get_record(KIND, fp)))]
    mine = [(record, fp) for record, fp in found if record["symbol"] == name]
    if not mine:
        raise UsageError(f"nothing of {name} was blessed", hint="Blessings are taken back where they were given.")
    last = max(record["time"] for record, _ in mine)
    removed = 0
    for record, fp in mine:
        if record["time"] == last:
            blessed = {tuple(entry) for entry in record["entries"]}
            for entry in judge.entries(name):
                if (entry.key.fingerprint, entry.key.arguments) in blessed and entry.started < last:
                    removed += store.remove(entry)
            store.remove_record(KIND, fp)
    output.emit({"symbol": name, "removed": removed})
    output.line(f"{removed} results of {name} are stale again")
    return 0


def _read(data: bytes | None) -> dict[str, Any] | None:
    try:
        record = json.loads(data or b"null")
    except ValueError:
        return None
    return record if isinstance(record, dict) and {"symbol", "time", "entries"} <= record.keys() else None
