"""Recording: from what an evaluation saw to what is stored about it.

    begin     observation is armed; the live values are digested as they are at entry
    record    result encoded, conditions digested, closure narrowed by what ran; then stored
    give_up   nothing is stored; whoever called it depends on what it did

A result is not stored, and the reason is said once, if an argument was changed by the body, a file it read changed
meanwhile, its code was swapped or reloaded meanwhile, or it can't be encoded.
"""

from __future__ import annotations

import time

from hitsave.digest import digest_bytes
from hitsave.errors import CannotEncode, Impure, ImpureWarning, NotCachedWarning
from hitsave.evaluation import Child, Evaluation, Observed
from hitsave.evaluator.carrier import Carrier
from hitsave.observe import files, inputs, running, variables, watch
from hitsave.observe.watch import Sight
from hitsave.values import digest_arguments, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hitsave.config import Config
    from hitsave.digest import Digest
    from hitsave.evaluation import Blob
    from hitsave.evaluator.conditions import Conditions
    from hitsave.evaluator.evaluator import Asked
    from hitsave.evaluator.narrowing import Narrowed
    from hitsave.evaluator.notices import Notices
    from hitsave.evaluator.planner import Planner
    from hitsave.store.contract import Store

# Encoded arguments of a memoised child beyond this size aren't kept; it then can't be evaluated on its own.
CALL_BYTES = 1 << 14
TITLE_CHARACTERS = 200
SWAPPED = "its code was reloaded or swapped while it ran"
PREVIEW_CHARACTERS = 200


class Recorder:
    """Begins, records and gives up evaluations."""

    def __init__(
        self, config: Config, store: Store, conditions: Conditions, planner: Planner, notices: Notices, details: Any
    ) -> None:
        self.config = config
        self.store = store
        self.conditions = conditions
        self.planner = planner
        self.notices = notices
        self._details = details  # JSON text about an experiment's circumstances, from the session

    # -- begin -------------------------------------------------------------------------------------------------------

    def begin(self, asked: Asked) -> Sight:
        """A sight for the evaluation that is about to run, with the live values as they are at entry."""
        files.install()
        variables.install()
        sight = Sight()
        sight.revision = self.planner.book.loaded.revision
        sight.live = dict(self.planner.live.digests(asked.plan.values))
        sight.hits = tuple([cache.cache_info().hits for cache in asked.plan.caches])
        self.planner.live.end_moment()
        return sight

    def arm(self, asked: Asked, sight: Sight, *, stepwise: bool = False) -> None:
        """Observe what runs from now on. `stepwise`: others run on this thread in between."""
        if (asked.memo.options.observe or self.config.observe) != "auto":
            sight.gap = "observation is off"
        elif stepwise and not running.AVAILABLE:
            sight.gap = "what runs between awaits and yields is observed on Python 3.12 and later only"
        elif not running.arm(sight):
            sight.gap = sight.gap or "what runs can't be observed here"

    # -- children ----------------------------------------------------------------------------------------------------

    def note_child(self, asked: Asked, result: Digest, observed: Observed) -> None:
        """Tell the evaluations under way that they made this memoised call, and got this result."""
        watching = watch.callers()
        if watching:
            child = Child(asked.key.symbol, asked.key.arguments, result, self._call(asked))
            for sight in watching:
                sight.children.append((child, observed))

    def _call(self, asked: Asked) -> bytes:
        if asked.carried:
            return b""
        try:
            blob = encode(asked.values, codec="plain")
        except CannotEncode:
            return b""
        return bytes(blob.data) if blob.size_bytes <= CALL_BYTES else b""

    # -- record ------------------------------------------------------------------------------------------------------

    def record(self, asked: Asked, sight: Sight, outer: list[Sight], result: Any, elapsed_s: float) -> Observed | None:
        """Store the evaluation; what it observed, or None (and said why) if it must not be stored."""
        for cache, hits in zip(asked.plan.caches, sight.hits, strict=True):
            if cache.cache_info().hits > hits:  # what it answered was read earlier
                inputs.take_over(sight, getattr(cache.__wrapped__, "__code__", None))
        refusal = self._refusal(asked, sight)
        if refusal:
            self._decline(asked, sight, outer, refusal)
            return None
        observed = self._repeated(asked, sight)
        if observed is None:
            narrowed = self.planner.narrow(asked, sight)
            self._tell_impurities(asked, narrowed)
            observed = self._observed(asked, sight, narrowed)
            if (
                sight.saw_only_code()
                and not observed.impurities
                and {name for name, _ in observed.live} <= sight.live.keys()
            ):
                asked.plan.last_seen = self._circumstances(sight), sight.codes, sight.live, observed
        blob = encode(
            result,
            codec=asked.memo.options.codec,
            modules=self.planner.book,
            allow_pickle=self.config.allow_pickle != "never",
        )
        self.planner.keep_code(asked)
        if self.planner.was_swapped(asked):  # since it was asked: then `observed` is about two states of the code
            self._decline(asked, sight, outer, SWAPPED)
            return None
        evaluation = self._evaluation(asked, observed, blob, result, elapsed_s)
        self.store.save(evaluation, blob)
        if outer:
            running.rearm()
        self.note_child(asked, evaluation.result, observed)
        return observed

    def _decline(self, asked: Asked, sight: Sight, outer: list[Sight], refusal: str) -> None:
        text = f"the result of {asked.memo.function.__qualname__}() isn't stored: {refusal}"
        self.notices.say(NotCachedWarning, text, memo=asked.memo)
        self.give_up(sight, outer)

    def give_up(self, sight: Sight, outer: list[Sight]) -> None:
        """Nothing is stored: what the body did counts as done by whoever called it."""
        for caller in outer:
            caller.absorb(sight)
        if outer:
            running.rearm()

    def _refusal(self, asked: Asked, sight: Sight) -> str:
        changed = files.changed_since(sight)
        if changed:
            return f"{changed} changed while it was being read"
        if self.planner.was_swapped(asked):
            return SWAPPED
        if (
            not (asked.plan.is_atomic(asked.values) and asked.memo.function.__closure__ is None)
            and self._digest_again(asked) != asked.key.arguments
        ):
            return f"it changed its argument {self._culprit(asked)}"
        return ""

    def _digest_again(self, asked: Asked, only: int | None = None) -> Digest:
        memo = asked.memo
        positions = memo.keyed if memo.keyed is not None else tuple(range(len(asked.values)))
        names = tuple([memo.parameters.names[i] for i in positions])
        values = tuple([asked.values[i] for i in positions])
        if memo.function.__closure__:
            free = self.planner.free_values(memo)
            names += tuple([name for name, _ in free])
            values += tuple([value for _, value in free])
        carrier = Carrier(self.planner.book)
        return digest_arguments(names, values, code=carrier, hashers=dict(memo.options.hashers) or None)

    def _culprit(self, asked: Asked) -> str:
        mutable = [
            name
            for name, value in zip(asked.memo.parameters.names, asked.values, strict=True)
            if not asked.plan.is_atomic((value,))
        ]
        return " or ".join(repr(name) for name in mutable) or "list"

    def _tell_impurities(self, asked: Asked, narrowed: Narrowed) -> None:
        if not narrowed.impurities:
            return
        policy = asked.memo.options.impure or self.config.impure
        what = ", ".join(narrowed.impurities)
        text = f"the result of {asked.memo.function.__qualname__}() depends on: {what}"
        if policy == "refuse":
            raise Impure(f"{text}; it isn't stored", hint='Pass it in as an argument, or say impure="allow".')
        if policy == "warn":
            hint = 'A stored result will be used again all the same. Say impure="allow" or impure="refuse".'
            self.notices.say(ImpureWarning, text, hint=hint, memo=asked.memo)

    def _repeated(self, asked: Asked, sight: Sight) -> Observed | None:
        """What the function's last evaluation came to, if this one saw the very same; most evaluations of a loop do."""
        last = asked.plan.last_seen
        if last is None or not sight.saw_only_code():
            return None
        circumstances, codes, live, observed = last
        if codes != sight.codes or live != sight.live or circumstances != self._circumstances(sight):
            return None
        settled: Observed = observed
        return settled

    def _circumstances(self, sight: Sight) -> tuple[object, ...]:
        return sight.gap, sight.revision, self.planner.book.loaded.revision, len(running.ever), len(running.outside)

    def _observed(self, asked: Asked, sight: Sight, narrowed: Narrowed) -> Observed:
        own_files = self.conditions.files_seen(sight)
        asked_for = ((name, self.conditions.variable(name)) for name in narrowed.variables)
        own_variables = tuple(sorted((*self.conditions.variables_seen(sight), *asked_for)))
        below_files = set()
        below_variables = set()
        below_live = set()
        for _, seen in sight.children:
            below_files.update(seen.files + seen.below_files)
            below_variables.update(seen.environment + seen.below_environment)
            below_live.update(seen.live + seen.below_live)
        return Observed(
            files=own_files,
            environment=own_variables,
            live=narrowed.live,
            children=tuple(dict.fromkeys(child for child, _ in sight.children)),
            ran=narrowed.ran,
            reached=narrowed.reached,
            complete=not narrowed.gap,
            incomplete_because=narrowed.gap,
            narrowed=narrowed.fingerprint,
            impurities=narrowed.impurities,
            below_files=tuple(sorted(below_files - set(own_files), key=lambda read: (read.path, read.kind))),
            below_environment=tuple(sorted(below_variables - set(own_variables))),
            below_live=tuple(sorted(below_live - set(narrowed.live))),
            carried=narrowed.carried,
            earlier=narrowed.earlier,
            imported=narrowed.imported,
            at_import=narrowed.at_import,
        )

    def _evaluation(self, asked: Asked, observed: Observed, blob: Blob, result: Any, elapsed_s: float) -> Evaluation:
        options = asked.memo.options
        return Evaluation(
            key=asked.key,
            observed=observed,
            codec=blob.codec,
            result=digest_blob(blob),
            size_bytes=blob.size_bytes,
            started=time.time() - elapsed_s,
            elapsed_s=elapsed_s,
            title=title_of(asked),
            preview=shortened(result, PREVIEW_CHARACTERS),
            is_experiment=options.is_experiment,
            details=self._details(asked, result) if options.is_experiment else "",
        )


def digest_blob(blob: Blob) -> Digest:
    """The digest of an encoded result."""
    parts = getattr(blob, "parts", None)
    if not parts:
        return digest_bytes(blob.data)  # type: ignore[arg-type]
    from hitsave.values.digest import hash_long

    return digest_bytes(b"".join(hash_long(memoryview(part).cast("B")) for part in parts))


def title_of(asked: Asked) -> str:
    """The call as a person would write it: `f(a=1, b=Cfg(lr=0.1))`, shortened."""
    names, values = asked.memo.parameters.names, asked.values
    room = max(TITLE_CHARACTERS // (len(names) or 1), 24)
    inside = ", ".join(f"{name}={shortened(value, room)}" for name, value in zip(names, values, strict=True))
    return f"{asked.memo.function.__qualname__}({inside})"[: TITLE_CHARACTERS * 2]


def shortened(value: Any, characters: int) -> str:
    """`repr(value)` in at most `characters`; a large container, array or frame is only named: its repr would cost."""
    if type(value) in (int, float, bool, type(None), complex):
        return repr(value)[:characters]
    if type(value) in (str, bytes):
        return repr(value[: characters + 1]) if len(value) <= characters else repr(value[:characters]) + "…"
    try:
        if hasattr(value, "shape") and (hasattr(value, "dtype") or hasattr(value, "columns")):
            what = f"{type(value).__name__} {value.shape} {getattr(value, 'dtype', '')}"
            return f"<{what.rstrip()}>"
        if hasattr(value, "__len__") and len(value) > characters:
            return f"<{type(value).__name__} of {len(value)}>"
        text = repr(value).replace("\n", " ")
    except Exception:  # noqa: BLE001 - the user's own __len__ or __repr__ raised; a title is not worth an error
        return f"<{type(value).__name__}>"
    return text if len(text) <= characters else text[: characters - 1] + "…"
