from __future__ import annotations

import pytest

from hitsave.cli.choose import entry_id, find_entries, matches, one_symbol
from hitsave.digest import Digest, Fingerprint
from hitsave.errors import UsageError
from hitsave.evaluation import Evaluation, Key, Observed
from hitsave.symbol import Symbol

GO = Symbol("pkg.mod:Class.go")


def evaluation(symbol: str, started: float = 1.0) -> Evaluation:
    key = Key(Symbol(symbol), Fingerprint("f" * 32), Digest("a" * 32))
    return Evaluation(key, Observed(), "json", Digest("b" * 32), 10, started, 0.5)


@pytest.mark.parametrize(
    "word",
    [
        "pkg.mod:Class.go",
        "pkg.mod.Class.go",
        "pkg/mod.py:Class.go",
        "./pkg/mod.py:Class.go",
        "pkg/mod.py",
        "mod.Class.go",
        "Class.go",
        "go",
        "pkg.mod",
        "pkg.*",
        "*.go",
        "Class.*",
        "pkg.mod:*",
    ],
)
def test_a_symbol_is_meant_by_any_of_its_usual_spellings(word: str) -> None:
    assert matches(GO, word)


@pytest.mark.parametrize("word", ["o", "pkg", "mod", "Class", "other.go", "pkg.mod:go", "GO"])
def test_a_part_of_a_name_that_is_no_tail_does_not_mean_the_symbol(word: str) -> None:
    assert not matches(GO, word)


def test_a_function_is_preferred_to_a_method_of_the_same_name() -> None:
    assert one_symbol("go", [GO, Symbol("pkg.other:go")]) == "pkg.other:go"


def test_an_ambiguous_name_lists_what_it_could_mean() -> None:
    with pytest.raises(UsageError, match="a:f, b:f"):
        one_symbol("f", [Symbol("a:f"), Symbol("b:f")])


def test_a_misspelt_name_gets_the_right_one_as_a_hint() -> None:
    with pytest.raises(UsageError, match="hello:fibo"):
        one_symbol("fibbo", [Symbol("hello:fibo")])


def test_an_entry_is_found_by_the_start_of_its_id() -> None:
    first, second = evaluation("m:f", 1.0), evaluation("m:f", 2.0)
    assert find_entries([entry_id(first)[:6]], [first, second]) == [first]


def test_no_words_mean_every_entry() -> None:
    assert len(find_entries([], [evaluation("m:f"), evaluation("m:g")])) == 2


def test_a_name_of_hexadecimal_letters_still_means_the_function() -> None:
    assert len(find_entries(["face"], [evaluation("m:face")])) == 1
