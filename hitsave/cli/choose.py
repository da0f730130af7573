"""Which symbols and stored evaluations a word on the command line means."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from hitsave.digest import digest_pairs
from hitsave.errors import UsageError
from hitsave.evaluation import Evaluation
from hitsave.symbol import Symbol, module_of, qualname_of

ID_LENGTH = 12
SUGGESTIONS = 3


def matches(symbol: Symbol, pattern: str) -> bool:
    """Whether `pattern` (a name or glob) means `symbol`.

    `pkg.mod:Class.go` is meant by itself, `pkg.mod.Class.go`, `pkg/mod.py:Class.go`, `mod.Class.go`, `Class.go`, `go`
    and `pkg.mod` (all of a module), each also as a glob.
    """
    module, qualname = module_of(symbol), qualname_of(symbol)
    pattern = _as_dotted(pattern)
    dotted = f"{module}.{qualname}"
    tails = [dotted[i + 1 :] for i, letter in enumerate(dotted) if letter == "."]
    return any(fnmatchcase(name, pattern) for name in (dotted, module, *tails))


def _as_dotted(pattern: str) -> str:
    head, colon, tail = pattern.partition(":")
    if head.endswith(".py"):
        head = head.removeprefix("./")[: -len(".py")].replace("/", ".").removesuffix(".__init__")
    return f"{head}.{tail}" if colon else head


def one_symbol(pattern: str, symbols: Iterable[Symbol], *, what: str = "memoised function") -> Symbol:
    """The one symbol that `pattern` means. Raises `UsageError` for none or several, with those that come near."""
    known = sorted(set(symbols))
    if pattern in known:
        return Symbol(pattern)
    found = [symbol for symbol in known if matches(symbol, pattern)]
    # `fibo` means hello:fibo before it means hello:Table.fibo
    exact = [symbol for symbol in found if qualname_of(symbol) == pattern or _as_dotted(symbol) == _as_dotted(pattern)]
    if len(found) == 1 or len(exact) == 1:
        return (exact if len(exact) == 1 else found)[0]
    if found:
        raise UsageError(f"{pattern!r} means several: {', '.join(found)}", hint="Name one of them in full.")
    near = _near(pattern, known)
    raise UsageError(
        f"there is no {what} {pattern!r}",
        hint=f"Did you mean {' or '.join(near)}?" if near else "`hitsave ls` and `hitsave status` list the names.",
    )


def entry_id(evaluation: Evaluation) -> str:
    """A short name for one stored evaluation, the same on every machine."""
    key = evaluation.key
    parts = [("symbol", key.symbol), ("fingerprint", key.fingerprint), ("arguments", key.arguments)]
    return digest_pairs("entry id 1", [*parts, ("started", repr(evaluation.started))])[:ID_LENGTH]


def find_entries(words: Iterable[str], entries: Iterable[Evaluation]) -> list[Evaluation]:
    """The evaluations that any of `words` means: a name or glob of functions, or (the start of) an entry's id.

    No words mean all entries.
    """
    wanted = list(words)
    if not wanted:
        return list(entries)
    return [entry for entry in entries if any(_means(word, entry) for word in wanted)]


def _means(word: str, entry: Evaluation) -> bool:
    is_id = len(word) >= 4 and set(word) <= set("0123456789abcdef") and entry_id(entry).startswith(word)
    return is_id or matches(entry.key.symbol, word)


def _near(pattern: str, known: Iterable[Symbol]) -> list[str]:
    import difflib

    names = {name: symbol for symbol in known for name in (symbol, qualname_of(symbol))}
    close = difflib.get_close_matches(pattern, names, n=SUGGESTIONS, cutoff=0.6)
    return list(dict.fromkeys(names[name] for name in close))
