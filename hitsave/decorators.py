"""`memo` and `experiment`: the public face.

    @memo                                  @experiment(ignore=["verbose"], version="2")
    def features(data): ...                def train(data, lr, verbose=False): ...

A memoised function stays a plain function, with its signature, name and documentation, that pickles by reference and
binds as a method. It carries a few more (listed in `MemoFunction`): `train.is_cached(...)`, `train.explain(...)` …
Decorating opens nothing, reads no configuration and starts no thread.
"""

from __future__ import annotations

from types import FunctionType

from hitsave.decorated import note, note_connected
from hitsave.errors import UsageError
from hitsave.evaluator.memo import Memo, Options
from hitsave.evaluator.wrapper import build_wrapper, connect
from hitsave.symbol import Symbol, symbol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import timedelta
    from typing import Any, Literal, ParamSpec, TypeVar, overload

    from hitsave.functions import MemoFunction

    P = ParamSpec("P")
    R = TypeVar("R")
    Site = tuple[str, str]
    Impure = Literal["warn", "refuse", "allow"]


class Decorator:
    """What `memo(...)` with options returns: decorates functions, at a site if the import hook wrote one."""

    def __init__(self, options: Options) -> None:
        self.options = options

    def __call__(self, function: Any) -> Any:
        """`function`, memoised."""
        return _decorate(function, self.options, None)

    def at_site(self, site: Site) -> Callable[[Any], Any]:
        """A decorator that knows the symbol of what it decorates, and the digest of the source it stands in."""
        return lambda function: _decorate(function, self.options, site)


if TYPE_CHECKING:

    class TypedDecorator:
        """What `memo(...)` with options returns, as type checkers see it."""

        def __call__(self, function: Callable[P, R], /) -> MemoFunction[P, R]:
            """`function`, memoised."""

    class MemoDecorator:
        """`memo` and `experiment`, as type checkers see them."""

        @overload
        def __call__(self, function: Callable[P, R], /) -> MemoFunction[P, R]: ...
        @overload
        def __call__(
            self,
            function: None = None,
            /,
            *,
            ignore: Sequence[str] = (),
            version: str | int | None = None,
            hashers: Mapping[type | str, Callable[[Any], object]] | None = None,
            impure: Impure | None = None,
            observe: Literal["auto", "off"] | None = None,
            third_party: Literal["version", "minor", "ignore"] | None = None,
            ttl: float | timedelta | str | None = None,
            max_entries: int | None = None,
            codec: str | None = None,
            local_only: bool = False,
            metrics: Callable[[Any], Mapping[str, float]] | None = None,
        ) -> TypedDecorator: ...
        def __call__(self, function: Any = None, /, **options: Any) -> Any:
            """`function` memoised, or a decorator with these options."""

        def at_site(self, site: Site) -> Callable[[Any], Any]:
            """See `Decorator.at_site`."""

    memo: MemoDecorator
    experiment: MemoDecorator


def _public(name: str, *, is_experiment: bool) -> Any:
    def decorator(function: Any = None, /, **options: Any) -> Any:
        made = Decorator(_options(name, is_experiment=is_experiment, **options))
        return made if function is None else made(function)

    decorator.__name__ = decorator.__qualname__ = name
    decorator.__doc__ = DOCS[name]
    plain = Decorator(Options(is_experiment=is_experiment))
    decorator.at_site = plain.at_site  # type: ignore[attr-defined]
    return decorator


OPTIONS = """

    Options (all optional):
      ignore       names of parameters that don't count (a progress bar, a logger)
      version      counts in addition to the code: change it to have everything computed anew
      hashers      {parameter name or type: function}: what the function returns stands for the argument
      impure       "warn" (default), "refuse" or "allow" results that depend on the clock, randomness, the network …
      observe      "off": don't watch what runs; every edit of code that could run then recomputes
      third_party  "version" (default), "minor" or "ignore": how much of outside packages' versions counts
      ttl          how long a result may be used: seconds, a timedelta, or "7d"
      max_entries  keep at most so many results of this function
      codec        name of the codec to encode results with
      local_only   never send results to the team's server
      metrics      (experiment) function of the result that gives {name: number} for the dashboard

    Raises `UsageError` at once for an option that can't be meant.
    """
DOCS = {
    "memo": "Compute each call once; results are kept while the code and data behind them are unchanged." + OPTIONS,
    "experiment": "As `memo`, for results worth keeping for good: never collected, shown on the dashboard." + OPTIONS,
}
KNOWN = frozenset(Options._fields) - {"is_experiment"}
CHOICES = {
    "impure": (None, "warn", "refuse", "allow"),
    "observe": (None, "auto", "off"),
    "third_party": (None, "version", "minor", "ignore"),
}


def _options(name: str, *, is_experiment: bool, **given: Any) -> Options:
    for option, value in given.items():
        if option not in KNOWN:
            raise UsageError(f"{name}() has no option {option!r}", hint=f"Options: {', '.join(sorted(KNOWN))}.")
        if option in CHOICES and value not in CHOICES[option]:
            allowed = ", ".join(repr(choice) for choice in CHOICES[option][1:])
            raise UsageError(f"{name}({option}={value!r})", hint=f"Use one of: {allowed}.")
    if isinstance(given.get("ignore"), str):
        raise UsageError(f"{name}(ignore={given['ignore']!r})", hint="Write a list: ignore=[...].")
    given["ignore"] = tuple(given.get("ignore") or ())
    given["hashers"] = _hashers(given.get("hashers"))
    version = given.get("version")
    given["version"] = "" if version is None else f"{type(version).__name__} {version}"
    if given.get("ttl") is not None:
        from hitsave.config import parse_duration

        given["ttl"] = parse_duration(given["ttl"])
    return Options(**given, is_experiment=is_experiment)


def _hashers(given: Mapping[Any, Any] | None) -> tuple[tuple[Any, Any], ...]:
    if not given:
        return ()
    from hitsave.values.digest import check_hashers

    check_hashers(given)
    return tuple(given.items())


if not TYPE_CHECKING:
    memo = _public("memo", is_experiment=False)
    experiment = _public("experiment", is_experiment=True)


# -- decorating ------------------------------------------------------------------------------------------------------


def _decorate(thing: Any, options: Options, site: Site | None) -> Any:
    if isinstance(thing, (staticmethod, classmethod)):
        return type(thing)(_decorate(thing.__func__, options, site))
    if isinstance(thing, property):
        return property(_decorate(thing.fget, options, site), thing.fset, thing.fdel, thing.__doc__)
    if not isinstance(thing, FunctionType):
        what = f"the class {thing.__qualname__}" if isinstance(thing, type) else repr(thing)
        raise UsageError(f"memo needs a function, not {what}", hint="Decorate the method or function that computes.")
    if "__hitsave_memo__" in thing.__dict__ and thing.__dict__["__hitsave_memo__"].wrapper is thing:
        return thing  # decorated and instrumented: once is enough
    _install_hook(thing)
    made = Memo(thing, Symbol(site[0]) if site else _symbol_of(thing), options, site)
    wrapper = build_wrapper(made, _first_call(made))
    made.wrapper = wrapper
    note(made)
    wrapper.__dict__["__hitsave_memo__"] = made
    from hitsave.functions import attach

    attach(wrapper, made)
    return wrapper


def _install_hook(function: FunctionType) -> None:
    """Have later imports recorded; and, from now on, what runs noted."""
    from hitsave.importhook import current_hook
    from hitsave.importhook.cells import is_cell

    hook = current_hook()
    path = function.__code__.co_filename
    if not hook.installed or hook.scope.project_of(path) is None:
        from hitsave.importhook import install_import_hook

        # A notebook keeps the text of its cells in files of its own, which are no project.
        if path[:1] != "<" and "site-packages" not in path and not is_cell(path):
            install_import_hook(path)
        elif not hook.installed:
            install_import_hook()
    from hitsave.observe import files, running, variables

    files.install()
    variables.install()
    running.install()


def _symbol_of(function: FunctionType) -> Symbol:
    from hitsave.importhook import attest

    return symbol(attest(function).module_name, function.__qualname__)


# -- connecting to the session ---------------------------------------------------------------------------------------


def _first_call(made: Memo) -> Callable[..., Any]:
    kind = made.function.__code__.co_flags
    from hitsave.evaluator.wrapper import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR

    if kind & CO_COROUTINE:
        return _first_coroutine
    if kind & CO_ASYNC_GENERATOR:
        return _first_async_generator
    return _first_generator if kind & CO_GENERATOR else _first_plain


def _first_plain(made: Memo, values: tuple[Any, ...]) -> Any:
    return _connect(made, "call")(made, values)


def _first_coroutine(made: Memo, values: tuple[Any, ...]) -> Any:
    return _connect(made, "call_coroutine")(made, values)


def _first_generator(made: Memo, values: tuple[Any, ...]) -> Any:
    return _connect(made, "call_generator")(made, values)


def _first_async_generator(made: Memo, values: tuple[Any, ...]) -> Any:
    return _connect(made, "call_async_generator")(made, values)


def _connect(made: Memo, method: str) -> Any:
    from hitsave.session import current

    slow = getattr(current().adopt(made), method)
    if made.wrapper is not None:
        connect(made.wrapper, slow)
        note_connected(made, _first_call(made))
    return slow


def _begin_to_observe() -> None:
    """Note what runs, before the first function is decorated: what imports run makes what names are bound to.

    (`HITSAVE_OBSERVE` only: the configuration isn't read before the first call.)
    """
    import os

    from hitsave.observe import running

    if os.environ.get("HITSAVE_OBSERVE") != "off":
        running.install()


_begin_to_observe()
