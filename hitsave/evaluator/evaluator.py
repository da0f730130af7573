"""The evaluator: bind, make a key, look it up; otherwise call, observe and record.

    call(memo, values)
        ask        the code's plan (planner.py), the digest of the arguments, the key
        find       the exact key; else what an edit has spared (lookup.py)
        otherwise  single flight; run the body under observation; record it (recording.py)

Whatever fails here before the body ran makes the call an ordinary one; the user's exceptions pass untouched. `call`
keeps one frame on the stack below the user's function, and the recursion limit is raised by what our frames take, so
recursion goes as deep as without us.
"""

from __future__ import annotations

import _thread
import sys
import time

from hitsave.errors import CannotDigest, HitSaveError, NotCachedWarning, UnsoundWarning
from hitsave.evaluation import Key
from hitsave.evaluator.carrier import Carrier
from hitsave.evaluator.warm import keep_warm
from hitsave.evaluator.wrapper import Raised
from hitsave.observe import running, watch
from hitsave.store.fetching import without_waiting
from hitsave.values import digest_arguments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    from hitsave.config import Config
    from hitsave.evaluation import Observed
    from hitsave.evaluator.lookup import LookUp
    from hitsave.evaluator.memo import Memo
    from hitsave.evaluator.notices import Notices
    from hitsave.evaluator.plan import Plan
    from hitsave.evaluator.planner import Planner
    from hitsave.evaluator.recording import Recorder
    from hitsave.observe.watch import Sight
    from hitsave.store.flight import Flight, Flights
    from hitsave.symbol import Symbol

    class Witness(Protocol):
        """Hears of every body that runs, when it begins and when it has ended."""

        def look_again(self, key: Key) -> bool:
            """A body is about to run because nothing stored holds: whether somebody stored more since. May wait."""

        def begun(self, key: Key, title: Callable[[], str], *, is_experiment: bool) -> str:
            """What to give to `ended`."""

        def ended(self, key: Key, run: str, error: str) -> None:
            """Saved, not stored, or raised (`error` is the traceback then)."""


# Frames of ours between two frames of a recursive user function: the wrapper's and `call`'s.
OUR_FRAMES = 2
LIMIT_STEP = 64


class Asked:
    """A call as it is looked up: its plan, its key, and the code its arguments carried."""

    __slots__ = ("carried", "key", "memo", "moment", "plan", "values")

    def __init__(
        self, memo: Memo, values: tuple[Any, ...], plan: Plan, key: Key, carried: frozenset[Symbol], moment: int
    ) -> None:
        self.memo = memo
        self.values = values
        self.plan = plan
        self.key = key
        self.carried = carried
        self.moment = moment  # of the exchanges of code, before anything was asked


class Found:
    """A hit."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class Attempt:
    """A call whose body is about to run: what was asked, what it sees, whom it keeps waiting."""

    __slots__ = ("asked", "flight", "outer", "run", "sight")

    def __init__(self, asked: Asked, sight: Sight, flight: Flight) -> None:
        self.asked = asked
        self.sight = sight
        self.flight = flight
        self.outer: list[Sight] = []
        self.run = ""


class Evaluator:
    """Evaluates calls of memoised functions. One per session; safe to use from any thread."""

    def __init__(
        self, config: Config, planner: Planner, look: LookUp, recorder: Recorder, flights: Flights, notices: Notices
    ) -> None:
        self.config = config
        self.planner = planner
        self.look = look
        self.recorder = recorder
        self.flights = flights
        self.notices = notices
        # What is to be done before the next call is looked up: taking over edited code (`hitsave.live`).
        self.at_entry: Callable[[], None] | None = None
        # Who is told of bodies that run, besides the store: the team's server, if there is one.
        self.witness: Witness | None = None
        self._depth: dict[int, int] = {}
        self._added = 0

    # -- calls -------------------------------------------------------------------------------------------------------

    def call(self, memo: Memo, values: tuple[Any, ...]) -> Any:
        """The result of a call, or `Raised` with the exception of the user's function."""
        attempt = self.before(memo, values)
        if type(attempt) is Found:
            return attempt.value
        args, kwargs = (values, {}) if memo.is_positional else memo.invoke(values)
        if attempt is not None:
            attempt.outer = watch.begin(attempt.sight)
            self.recorder.arm(attempt.asked, attempt.sight)
        self._deepen()
        clock = time.perf_counter()
        try:
            result = memo.function(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001 - theirs, whatever it is: the wrapper raises it again
            self.failed(attempt)
            error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next
            return Raised(error)
        finally:
            self._rise()
        return self.after(attempt, result, time.perf_counter() - clock)

    async def call_coroutine(self, memo: Memo, values: tuple[Any, ...]) -> Any:
        """As `call`, for a coroutine function."""
        attempt = await self.before_coroutine(memo, values)
        if type(attempt) is Found:
            return attempt.value
        args, kwargs = memo.invoke(values)
        if attempt is not None:
            watch.begin_beside(attempt.sight)
            self.recorder.arm(attempt.asked, attempt.sight, stepwise=True)
        clock = time.perf_counter()
        try:
            result = await memo.function(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001 - theirs, cancellation included
            self.failed(attempt)
            error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next
            return Raised(error)
        return self.after(attempt, result, time.perf_counter() - clock)

    def call_generator(self, memo: Memo, values: tuple[Any, ...]) -> Any:
        """As `call`, for a generator function: an iterator over the items."""
        from hitsave.evaluator.generators import call_generator

        return call_generator(self, memo, values)

    def call_async_generator(self, memo: Memo, values: tuple[Any, ...]) -> Any:
        """As `call`, for an asynchronous generator function."""
        from hitsave.evaluator.generators import call_async_generator

        return call_async_generator(self, memo, values)

    # -- before the body ---------------------------------------------------------------------------------------------

    def before(self, memo: Memo, values: tuple[Any, ...]) -> Any:
        """`Found`, an `Attempt` to go on with, or None for a call that is neither looked up nor stored."""
        asked = self.ask(memo, values)
        if asked is None:
            return None
        try:
            news = self.flights.news()
            found = self.find(asked)
            if found is not None or self.config.mode == "readonly":
                return found
            flight = self.flights.flight(_lock_name(asked.key))
            flight.__enter__()
            try:
                # Somebody may have stored it since, whether or not we had to wait.
                if news < 0 or flight.waited or self.flights.news() != news:
                    found = self.find(asked, exact=True)
                found = found or self._find_again(asked)
                attempt = found or self._attempt(asked, flight)
            except BaseException:  # a failure of ours, or Ctrl-C: nobody must go on waiting for this key
                flight.__exit__(None, None, None)
                raise
            if found is not None:
                flight.__exit__(None, None, None)
            return attempt
        except Exception as error:  # noqa: BLE001 - promise 2: our own failure must not become the user's
            self._excuse(memo, error)
            return None

    async def before_coroutine(self, memo: Memo, values: tuple[Any, ...]) -> Any:
        """As `before`, without holding up the event loop while another task or process computes the same."""
        asked = self.ask(memo, values)
        if asked is None:
            return None
        try:
            found = await without_waiting(lambda: self.find(asked))
            if found is not None or self.config.mode == "readonly":
                return found
            flight = self.flights.flight(_lock_name(asked.key))
            await flight.__aenter__()
            try:
                found = await without_waiting(lambda: self.find(asked) or self._find_again(asked))
                attempt = found or self._attempt(asked, flight)
            except BaseException:  # as above, or cancelled while it waited for the network
                await flight.__aexit__(None, None, None)
                raise
            if found is not None:
                await flight.__aexit__(None, None, None)
            return attempt
        except Exception as error:  # noqa: BLE001 - as above
            self._excuse(memo, error)
            return None

    def ask(self, memo: Memo, values: tuple[Any, ...]) -> Asked | None:
        """The call as it is looked up; None (with a warning, once) if it has no key or hitsave is off."""
        if self.at_entry is not None:
            self.at_entry()
        if self.config.mode == "off":
            return None
        try:
            with watch.unseen():
                return self._asked(memo, values)
        except Exception as error:  # noqa: BLE001 - promise 2
            self._excuse(memo, error)
        return None

    def _excuse(self, memo: Memo, error: Exception) -> None:
        """Say why a call runs as plain Python."""
        if isinstance(error, HitSaveError):
            uncached = f"{memo.function.__qualname__}() runs uncached: " if isinstance(error, CannotDigest) else ""
            self.notices.say(NotCachedWarning, uncached + error.message, hint=error.hint, memo=memo)
        else:
            self._trouble(memo, error)

    def _asked(self, memo: Memo, values: tuple[Any, ...]) -> Asked:
        moment = self.planner.book.loaded.exchanges.moment()
        carrier = Carrier(self.planner.book)
        names, counted = memo.parameters.names, values
        if memo.keyed is not None:
            names = tuple([names[i] for i in memo.keyed])
            counted = tuple([values[i] for i in memo.keyed])
        if memo.function.__closure__:
            free = self.planner.free_values(memo)
            names += tuple([name for name, _ in free])
            counted += tuple([value for _, value in free])
        arguments = digest_arguments(names, counted, code=carrier, hashers=dict(memo.options.hashers) or None)
        carried = frozenset(carrier.starts)
        plan = self.planner.plan(memo, carried)
        return Asked(memo, values, plan, Key(memo.symbol, plan.fingerprint, arguments), carried, moment)

    def find(self, asked: Asked, *, exact: bool = False) -> Found | None:
        """The stored result of the call, if there is one that holds."""
        if self.config.mode == "refresh":
            return None
        with watch.unseen():
            hit = self.look.find_exact(asked) if exact else self.look.find(asked)
        if hit is None:
            return None
        asked.memo.lookups += 1
        asked.memo.saved_s += hit.evaluation.elapsed_s
        self.recorder.note_child(asked, hit.evaluation.result, hit.evaluation.observed)
        self.keep_warm(asked, hit.value, hit.evaluation.observed)
        return Found(hit.value)

    def _find_again(self, asked: Asked) -> Found | None:
        if self.witness is None or not self.witness.look_again(asked.key):
            return None
        found = self.find(asked, exact=True)
        if found is not None:
            self.witness.ended(asked.key, "", "")
        return found

    def _attempt(self, asked: Asked, flight: Flight) -> Attempt:
        asked.memo.misses += 1
        attempt = Attempt(asked, self.recorder.begin(asked), flight)
        if self.witness is not None:
            from hitsave.evaluator.recording import title_of

            with watch.unseen():
                is_experiment = asked.memo.options.is_experiment
                attempt.run = self.witness.begun(asked.key, lambda: title_of(asked), is_experiment=is_experiment)
        return attempt

    def _tell_end(self, attempt: Attempt, error: BaseException | None = None) -> None:
        if self.witness is None:
            return
        try:
            text = ""
            if attempt.run and isinstance(error, Exception):
                import traceback

                text = "".join(traceback.format_exception(type(error), error, error.__traceback__))[-60_000:]
            with watch.unseen():
                self.witness.ended(attempt.asked.key, attempt.run, text)
        except Exception as failure:  # noqa: BLE001 - promise 2: nobody's result depends on what a dashboard hears
            self._trouble(attempt.asked.memo, failure)

    # -- after the body ----------------------------------------------------------------------------------------------

    def after(self, attempt: Attempt | None, result: Any, elapsed_s: float) -> Any:
        """Record what was computed; the result itself is handed on."""
        if attempt is None:
            return result
        running.disarm(attempt.sight)
        watch.end(attempt.sight, attempt.outer)
        try:
            with watch.unseen():
                observed = self.recorder.record(attempt.asked, attempt.sight, attempt.outer, result, elapsed_s)
            if observed is not None:
                self.keep_warm(attempt.asked, result, observed)
        except HitSaveError as error:
            self.recorder.give_up(attempt.sight, attempt.outer)
            self.notices.say(NotCachedWarning, error.message, hint=error.hint, memo=attempt.asked.memo)
        except Exception as error:  # noqa: BLE001 - promise 2: the result is there, whatever became of storing it
            self.recorder.give_up(attempt.sight, attempt.outer)
            self._trouble(attempt.asked.memo, error)
        finally:
            attempt.flight.__exit__(None, None, None)
            self._tell_end(attempt)
        return result

    def failed(self, attempt: Attempt | None) -> None:
        """The body raised: nothing is stored, and whoever called it depends on what it did."""
        if attempt is not None:
            running.disarm(attempt.sight)
            watch.end(attempt.sight, attempt.outer)
            self.recorder.give_up(attempt.sight, attempt.outer)
            attempt.flight.__exit__(None, None, None)
            self._tell_end(attempt, sys.exc_info()[1])

    def keep_warm(self, asked: Asked, value: Any, observed: Observed) -> None:
        """Let the wrapper answer this call itself from now on, if that is safe."""
        # While edits wait to be taken over, calls take the long way, which begins with that.
        if asked.plan.is_warm and not asked.carried and self.config.mode == "on" and self.at_entry is None:
            keep_warm(asked, value, observed)

    def _trouble(self, memo: Memo, error: Exception) -> None:
        import traceback

        where = traceback.extract_tb(error.__traceback__)[-1]
        self.notices.say(
            UnsoundWarning,
            f"hitsave failed in {memo.function.__qualname__}(), which ran as plain Python: {error!r} "
            f"({where.filename}:{where.lineno})",
            hint="This is a bug in hitsave; please report it with this text.",
            memo=memo,
        )

    # -- recursion ---------------------------------------------------------------------------------------------------

    def is_evaluating(self) -> bool:
        """Whether this thread is inside the body of a memoised plain function."""
        return _thread.get_ident() in self._depth

    def _deepen(self) -> None:
        ident = _thread.get_ident()
        depth = self._depth[ident] = self._depth.get(ident, 0) + 1
        if depth * OUR_FRAMES > self._added:
            # The limit counts frames of all code; ours must not use up the user's.
            self._added += LIMIT_STEP * OUR_FRAMES
            sys.setrecursionlimit(sys.getrecursionlimit() + LIMIT_STEP * OUR_FRAMES)

    def _rise(self) -> None:
        ident = _thread.get_ident()
        depth = self._depth.get(ident, 1) - 1
        if depth:
            self._depth[ident] = depth
            return
        self._depth.pop(ident, None)
        if not self._depth and self._added:
            added, self._added = self._added, 0
            sys.setrecursionlimit(max(sys.getrecursionlimit() - added, 50))


def _lock_name(key: Key) -> bytes:
    return f"{key.symbol}\0{key.fingerprint}\0{key.arguments}".encode()
