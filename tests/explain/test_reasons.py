from __future__ import annotations

from hitsave.digest import Digest
from hitsave.evaluation import Child, FileRead, Observed
from hitsave.explain.reasons import argument_changes, explain_call, explain_evaluation, find_nearest, survived
from hitsave.explain.record import CodeState, decode_code, encode_code
from hitsave.store.memory import MemoryStore
from hitsave.symbol import Symbol
from tests.explain.stored import Program, keep

TRAIN = """
    import features
    def train(x):
        return features.scale(x)
"""
FEATURES = """
    import cfg
    def scale(x):  # to unit variance
        return x / cfg.EPS
    def unused(x):
        return x
"""
OLD = Program({"train": TRAIN, "features": FEATURES, "cfg": "EPS = 1e-6\n"}, "train:train", {"numpy": "2.1"})
NEW = Program({"train": TRAIN, "features": FEATURES, "cfg": "# small\nEPS = 1e-8\n"}, "train:train", {"numpy": "2.1"})


def test_a_changed_constant_is_told_with_its_path_place_and_diff() -> None:
    store = MemoryStore()
    old, new = keep(OLD, store), keep(NEW, store, started=2000.0)
    explanation = explain_evaluation(new, [old], store, locate=lambda module: f"src/{module}.py")
    assert explanation.outcome == "code"
    (change,) = explanation.changes
    assert change.path == ("train:train", "features:scale", "cfg:EPS")
    assert change.where == "src/cfg.py:2"
    assert change.diff.splitlines() == ["-EPS = 1e-06", "+EPS = 1e-08"]
    text = explanation.text().splitlines()
    assert text[0] == "train(x=1)   computed: code changed"
    assert text[1] == "  train → features.scale → cfg.EPS"
    assert text[2].startswith("  --- src/cfg.py:2  (evaluation of ")
    assert text[-1].startswith("  unchanged: arguments, ")


def test_a_definition_that_is_gone_is_reached_in_the_old_code() -> None:
    store = MemoryStore()
    without = Program({"train": TRAIN, "features": "def scale(x):\n    return x\n"}, "train:train")
    explanation = explain_evaluation(keep(without, store, started=2000.0), [keep(OLD, store)], store)
    gone = next(change for change in explanation.changes if change.name == "cfg:EPS")
    assert gone.path == ("train:train", "features:scale", "cfg:EPS")
    assert gone.diff == "-EPS = 1e-06"
    assert gone.after == ""


def test_changes_near_the_function_come_first() -> None:
    store = MemoryStore()
    edited = Program(
        {"train": TRAIN.replace("scale(x)", "scale(x + 1)"), "features": FEATURES, "cfg": "EPS = 2\n"}, "train:train"
    )
    explanation = explain_evaluation(keep(edited, store), [keep(OLD, store)], store)
    assert [change.name for change in explanation.changes if change.kind == "code"] == ["train:train", "cfg:EPS"]


def test_a_package_that_changed_is_told_with_both_versions() -> None:
    store = MemoryStore()
    text = {"m": "import numpy\ndef f(x):\n    return numpy.sum(x)\n"}
    old, new = (Program(text, "m:f", {"numpy": version}) for version in ("2.1", "2.2"))
    explanation = explain_evaluation(keep(new, store, started=2.0), [keep(old, store, started=1.0)], store)
    assert explanation.outcome == "package"
    assert "  package numpy: 2.1 → 2.2" in explanation.text().splitlines()


def test_the_first_call_of_a_function_is_new() -> None:
    store = MemoryStore()
    assert explain_evaluation(keep(OLD, store), [], store).outcome == "new"


def test_the_nearest_evaluation_has_the_same_arguments_rather_than_the_same_code() -> None:
    store = MemoryStore()
    same_arguments = keep(OLD, store, arguments="1", started=1.0)
    same_code = keep(NEW, store, arguments="2", started=5.0)
    asked = keep(NEW, store, arguments="1")
    assert find_nearest(asked.key, [same_code, same_arguments]) == same_arguments


def test_the_argument_that_changed_is_named_to_its_leaf() -> None:
    changes = argument_changes(
        "train(data='a.csv', cfg=Cfg(lr=0.1, depth=8))", "train(data='a.csv', cfg=Cfg(lr=0.01, depth=8))"
    )
    assert [(change.name, change.before, change.after) for change in changes] == [("cfg.lr", "0.1", "0.01")]


def test_leaves_of_dictionaries_and_lists_are_named() -> None:
    changes = argument_changes("f(p={'a': [1, 2]})", "f(p={'a': [1, 3], 'b': 4})")
    assert [(change.name, change.before, change.after) for change in changes] == [
        ("p['a'][1]", "2", "3"),
        ("p['b']", "", "4"),
    ]


def test_arguments_that_were_shortened_are_not_guessed_at() -> None:
    assert argument_changes("f(x=<DataFrame of 9>)", "f(x=<DataFrame of 7>)") == ()


def test_new_arguments_of_the_same_code_are_explained_by_the_argument() -> None:
    store = MemoryStore()
    old, new = keep(OLD, store, arguments="1"), keep(OLD, store, arguments="2", started=2000.0)
    explanation = explain_evaluation(new, [old], store)
    assert explanation.outcome == "arguments"
    assert "  x: 1 → 2" in explanation.text().splitlines()


def seen(**digests: str) -> Observed:
    return Observed(
        files=(FileRead("data.csv", Digest(digests.get("file", "f"))),),
        environment=(("MODE", digests.get("environment", "e")),),
        live=((Symbol("m:LIVE"), Digest(digests.get("value", "v"))),),
        children=(Child(Symbol("m:inner"), Digest("a"), Digest(digests.get("result", "r"))),),
    )


def test_a_condition_that_no_longer_holds_is_named() -> None:
    store = MemoryStore()
    old = keep(OLD, store, observed=seen())
    for kind, name in (("file", "data.csv"), ("environment", "MODE"), ("value", "m:LIVE"), ("result", "m:inner")):
        now = seen(**{kind: "other"})
        explanation = explain_call(old.key, old.title, OLD, now, [old], store, pending=True)
        assert explanation.outcome == kind
        assert [change.name for change in explanation.changes] == [name]
        assert explanation.text().startswith("train(x=1)   will be computed: ")


def test_what_the_other_evaluation_did_not_look_at_is_no_change() -> None:
    store = MemoryStore()
    old = keep(OLD, store, observed=seen())
    assert explain_call(old.key, old.title, OLD, Observed(), [old], store).changes == ()


def test_a_hit_that_survived_an_edit_says_what_did_not_run() -> None:
    store = MemoryStore()
    text = "def f(x):\n    return a(x) if x else b(x)\ndef a(x):\n    return 1\ndef b(x):\n    return 2\n"
    old = Program({"m": text}, "m:f")
    new = Program({"m": text.replace("return 2", "return 3")}, "m:f")
    ran = Observed(ran=(Symbol("m:a"), Symbol("m:f")), complete=True)
    explanation = survived(keep(old, store, observed=ran), new, store)
    assert explanation.is_hit
    assert [(change.name, change.ran) for change in explanation.changes] == [("m:b", False)]
    assert "f → b   (did not run in this call)" in explanation.text()


def test_a_result_taken_over_under_new_code_is_recognised_afterwards() -> None:
    store = MemoryStore()
    text = "def f(x):\n    return a(x) if x else b(x)\ndef a(x):\n    return 1\ndef b(x):\n    return 2\n"
    old = Program({"m": text}, "m:f")
    new = Program({"m": text.replace("return 2", "return 3")}, "m:f")
    made, taken = keep(old, store, started=5.0), keep(new, store, started=5.0)
    assert explain_evaluation(taken, [made], store).outcome == "survived"


def test_code_that_was_not_kept_is_said_to_be_missing() -> None:
    old = keep(OLD, MemoryStore())
    empty = MemoryStore()
    explanation = explain_evaluation(keep(NEW, empty, started=2000.0), [old], empty)
    assert "was not kept" in explanation.text()


def test_the_code_behind_a_fingerprint_survives_being_stored() -> None:
    assert decode_code(encode_code(OLD.state)) == OLD.state


def test_equal_code_gives_equal_bytes_in_any_order() -> None:
    state = OLD.state
    assert encode_code(CodeState(state.pairs[::-1], state.versions, state.sources)) == encode_code(state)


def test_bytes_of_another_version_are_not_read() -> None:
    import marshal

    assert decode_code(marshal.dumps((99, (), (), ()))) is None
    assert decode_code(b"garbage") is None


def test_an_explanation_is_plain_data_for_json() -> None:
    import json

    store = MemoryStore()
    explanation = explain_evaluation(keep(NEW, store, started=2000.0), [keep(OLD, store)], store)
    data = json.loads(json.dumps(explanation.as_dict()))
    assert data["outcome"] == "code"
    assert data["changes"][0]["path"] == ["train:train", "features:scale", "cfg:EPS"]
    assert data["nearest"]["call"] == "train(x=1)"


def test_what_import_made_of_a_definition_is_said_in_words() -> None:
    from hitsave.explain.record import Change, Explanation
    from hitsave.explain.text import change_text
    from hitsave.symbol import Symbol

    explanation = Explanation("value", Symbol("m:top"), "top(x=1)", ())
    for name, words in {
        "lib:go.<made>": "what decorators, defaults or bases made of lib:go at import: a → b",
        "lib:go.<which>": "which definition of lib:go was taken at import: a → b",
        "lib:C.__subclasses__": "the subclasses of lib:C: a → b",
        "lib:K": "value of lib:K: a → b",
    }.items():
        assert change_text(Change("value", name, "a", "b"), explanation) == words
