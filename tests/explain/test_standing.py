from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from hitsave.evaluation import Child, Evaluation, Observed
from hitsave.explain.standing import FRESH, SPARED, STALE, Standing, Standings, newest_that_holds
from hitsave.store.memory import MemoryStore
from hitsave.symbol import Symbol
from tests.explain.stored import Program, keep

TEXT = "def f(x):\n    return a(x) if x else b(x)\ndef a(x):\n    return 1\ndef b(x):\n    return K\nK = 2\n"
OLD = Program({"m": TEXT}, "m:f")
A_RAN = Observed(ran=(Symbol("m:a"), Symbol("m:f")), complete=True, narrowed="n")
B_RAN = Observed(ran=(Symbol("m:b"), Symbol("m:f")), complete=True, narrowed="n")


def standings(files: Program, store: MemoryStore, stored: Iterable[Evaluation] = (), changed: str = "") -> Standings:
    def versions(names: Iterable[str]) -> Mapping[str, str]:
        return {name: files.versions[name] for name in names if name in files.versions}

    index: dict[object, list[Evaluation]] = defaultdict(list)
    for each in stored:
        index[each.key.symbol, each.key.arguments].append(each)
    return Standings(
        files,
        store,
        versions=versions,
        changed=lambda evaluation, below: changed,
        candidates=lambda symbol, arguments: index[symbol, arguments],
    )


def edited(old: str, new: str) -> Program:
    return Program({"m": TEXT.replace(old, new)}, "m:f")


def test_the_same_code_is_fresh() -> None:
    store = MemoryStore()
    assert standings(OLD, store).of(keep(OLD, store)) == Standing(FRESH)


def test_a_comment_and_an_unrelated_function_leave_it_fresh() -> None:
    store = MemoryStore()
    now = Program({"m": "# hello\n" + TEXT + "def other():\n    return 9\n"}, "m:f")
    assert standings(now, store).of(keep(OLD, store)) == Standing(FRESH)


def test_an_edit_of_what_did_not_run_spares_the_result() -> None:
    store = MemoryStore()
    for old, new in (("return K", "return K + 1"), ("K = 2", "K = 3")):
        judge = standings(edited(old, new), store)
        assert judge.of(keep(OLD, store, observed=A_RAN)) == Standing(SPARED)
        assert judge.of(keep(OLD, store, observed=B_RAN)) == Standing(STALE)


def test_what_ran_incompletely_is_judged_by_the_whole_closure() -> None:
    store = MemoryStore()
    unknown = A_RAN.replace(complete=False, narrowed="")
    assert standings(edited("K = 2", "K = 3"), store).of(keep(OLD, store, observed=unknown)) == Standing(STALE)


def test_a_changed_file_makes_it_stale_and_is_named() -> None:
    store = MemoryStore()
    standing = standings(OLD, store, changed="file data.csv").of(keep(OLD, store))
    assert standing == Standing(STALE, condition="file data.csv")


def test_a_function_that_is_gone_makes_it_stale() -> None:
    store = MemoryStore()
    gone = Program({"m": "def g():\n    return 1\n"}, "m:g")
    assert standings(gone, store).of(keep(OLD, store, observed=A_RAN)).state == STALE


def test_another_version_of_a_package_makes_it_stale() -> None:
    store = MemoryStore()
    text = {"m": "import numpy\ndef f(x):\n    return numpy.sum(x)\n"}
    old, new = (Program(text, "m:f", {"numpy": version}) for version in ("2.1", "2.2"))
    assert standings(new, store).of(keep(old, store)).state == STALE


CALLS = "def outer(x):\n    return inner(x) + 1\ndef inner(x):\n    return K\nK = 2\n"
CHILD = Child(Symbol("m:inner"), keep(OLD, MemoryStore()).key.arguments, keep(OLD, MemoryStore()).result)


def calls(edit: tuple[str, str] = ("", "")) -> dict[str, Program]:
    text = CALLS.replace(*edit) if edit[0] else CALLS
    return {name: Program({"m": text}, f"m:{name}") for name in ("outer", "inner")}


def test_a_result_stands_on_the_result_of_its_callee_not_on_its_code() -> None:
    store = MemoryStore()
    then, now = calls(), calls(("K = 2", "K = 1 + 1"))
    outer = keep(then["outer"], store, observed=Observed(children=(CHILD,), narrowed="n"))
    computed_again = keep(now["inner"], store)
    assert standings(now["outer"], store, [computed_again]).of(outer) == Standing(SPARED)


def test_a_callee_that_must_run_first_is_named() -> None:
    store = MemoryStore()
    then, now = calls(), calls(("K = 2", "K = 3"))
    outer = keep(then["outer"], store, observed=Observed(children=(CHILD,), narrowed="n"))
    inner = keep(then["inner"], store)
    assert standings(now["outer"], store, [inner, outer]).of(outer) == Standing(STALE, via=Symbol("m:inner"))


def test_the_newest_result_that_holds_is_the_one_reused() -> None:
    store = MemoryStore()
    now = edited("K = 2", "K = 3")
    older = keep(OLD, store, observed=A_RAN, started=1.0)
    newer = keep(OLD, store, observed=B_RAN, started=2.0)
    assert newest_that_holds([older, newer], standings(now, store)) == older


def test_a_chain_of_calls_as_long_as_the_stack_is_judged() -> None:
    store = MemoryStore()
    then, now = calls(), calls(("K = 2", "K = 3"))
    chain: list[Evaluation] = []
    for number in range(1500):
        below = [Child(Symbol("m:outer"), each.key.arguments, CHILD.result) for each in chain[-1:]]
        seen = Observed(children=(*below, CHILD), narrowed="n")
        chain.append(keep(then["outer"], store, arguments=str(number), observed=seen, started=float(number)))
    judge = standings(now["outer"], store, chain)
    judge.judge(reversed(chain))
    assert judge.of(chain[-1]) == Standing(STALE, via=Symbol("m:outer"))
