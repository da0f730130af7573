"""Push what is here, pull what is there: whole stores, for `hitsave push`, `pull` and `sync`."""

from __future__ import annotations

from collections.abc import Callable

from hitsave.cloud.store import CloudStore
from hitsave.explain.record import decode_code
from hitsave.record import Record
from hitsave.store.contract import LOCAL_ONLY, Store
from hitsave.wire import Lookup

Progress = Callable[[int, int], None]


class Synced(Record):
    """How many results were moved, how many were there already, how many could not be moved."""

    moved: int = 0
    present: int = 0
    failed: int = 0


def push(
    cloud: CloudStore, local: Store, pattern: str = "*", on_progress: Progress = lambda done, left: None
) -> Synced:
    """Upload every local result that the server lacks, with the records that explain it; returns when it is up.

    Results of functions that are `local_only` stay here, uncounted.
    Raises `Unreachable` or `Refused`. What was not sent stays in the outbox.
    """
    private = frozenset(local.record_names(LOCAL_ONLY))
    evaluations = [e for e in local.entries(pattern) if e.key.fingerprint not in private]
    moved = present = failed = 0
    sent_records: set[tuple[str, str]] = set()
    before = cloud.uploader.conflicts
    for start in range(0, len(evaluations), 200):
        part = evaluations[start : start + 200]
        keys = tuple(dict.fromkeys(e.key for e in part))
        there = set()
        lookup = Lookup(keys, candidates=False, inline_max=0)
        for answer in cloud.client.look_up(lookup, budget_s=60):
            there |= {e.replace(elapsed_s=0.0) for e in cloud.trusted.accept(answer.entries)}
        for evaluation in part:
            rounded = evaluation.replace(elapsed_s=0.0)
            if rounded in there:
                present += 1
                continue
            blob = local.load(evaluation)
            if blob is None:
                failed += 1
                continue
            cloud.save(evaluation, blob)
            moved += 1
            _push_records(cloud, local, evaluation.key.fingerprint, sent_records)
    cloud.uploader.drain(on_progress)
    unsent = cloud.uploader.conflicts - before + cloud.waiting()
    return Synced(max(0, moved - unsent), present, failed + min(unsent, moved))


def pull(
    cloud: CloudStore, local: Store, pattern: str = "*", on_progress: Progress = lambda done, left: None
) -> Synced:
    """Download every trusted result of the project that isn't here."""
    moved = present = failed = 0
    for evaluation in cloud.entries(pattern):
        here = [e for e in local.find(evaluation.key) if e.observed == evaluation.observed]
        if here:
            present += 1
            continue
        blob = cloud.load(evaluation)
        if blob is None:
            failed += 1
            continue
        local.save(evaluation, blob)
        _pull_records(cloud, local, evaluation.key.fingerprint)
        moved += 1
        on_progress(moved, 0)
    return Synced(moved, present, failed)


def _push_records(cloud: CloudStore, local: Store, fingerprint: str, sent: set[tuple[str, str]]) -> None:
    code = local.get_record("closure", fingerprint)
    if code is None or ("closure", fingerprint) in sent:
        return
    sent.add(("closure", fingerprint))
    cloud.put_record("closure", fingerprint, code)
    state = decode_code(code)
    for _, digest in state.sources if state is not None else ():
        source = local.get_record("source", digest)
        if source is not None and ("source", digest) not in sent:
            sent.add(("source", digest))
            cloud.put_record("source", digest, source)


def _pull_records(cloud: CloudStore, local: Store, fingerprint: str) -> None:
    if local.get_record("closure", fingerprint) is not None:
        return
    code = cloud.get_record("closure", fingerprint)
    if code is None:
        return
    local.put_record("closure", fingerprint, code)
    state = decode_code(code)
    for _, digest in state.sources if state is not None else ():
        if local.get_record("source", digest) is None:
            source = cloud.get_record("source", digest)
            if source is not None:
                local.put_record("source", digest, source)
