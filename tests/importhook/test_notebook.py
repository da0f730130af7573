"""Notebooks: functions in cells, `%hitsave`, `%%memo`, and kernels that are started again."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from hitsave.notebook.cell import CannotMemoise, make_function, names_bound, names_read
from tests.harness import Done, Runner


def cells(run: Runner, *texts: str) -> Done:
    """The cells, run one after the other in an IPython of their own; what each prints is a line or more."""
    code = "from IPython.core.interactiveshell import InteractiveShell\n"
    code += "import IPython.core.inputtransformer2\nshell = InteractiveShell.instance(colors='NoColor')\n"
    code += "".join(f"shell.run_cell({text!r}, store_history=True)\n" for text in texts)
    return run.python("-c", code).ok()


G = "def g(x):\n    return x + 1"
F = "from hitsave import memo\n@memo\ndef f(x):\n    print('computing')\n    return g(x) * 10"
CALL = "print(f(1))"


def test_a_kernel_that_is_started_again_finds_the_results_of_cells(run: Runner) -> None:
    assert cells(run, G, F, CALL).lines == ["computing", "20"]
    assert cells(run, G, F, CALL).lines == ["20"]
    assert cells(run, "x = 1", G, "# other cells before", F, CALL).lines == ["20"]


def test_running_an_edited_cell_again_counts_for_the_cells_that_use_it(run: Runner) -> None:
    edited = G.replace("+ 1", "+ 2")
    assert cells(run, G, F, CALL, edited, CALL, G, CALL).lines == ["computing", "20", "computing", "30", "20"]


@pytest.mark.parametrize(
    "edited", ["# a comment\n" + F, F + "\n\n", F.replace("    return", "    # inside\n    return")]
)
def test_an_edit_of_a_cell_without_meaning_changes_nothing(run: Runner, edited: str) -> None:
    assert cells(run, G, F, CALL, edited, CALL).lines == ["computing", "20", "20"]


def test_a_variable_of_another_cell_counts_by_its_value(run: Runner) -> None:
    f = "from hitsave import memo\n@memo\ndef f():\n    print('computing')\n    return rate * 2"
    done = cells(run, "rate = 1", f, "print(f())", "rate = 5", "print(f())", "rate = 1", "print(f())")
    assert done.lines == ["computing", "2", "computing", "10", "2"]


def test_the_magics_say_what_happened_and_switch(run: Runner) -> None:
    done = cells(
        run,
        "%load_ext hitsave",
        G,
        F,
        CALL,
        "%hitsave why f(1)",
        "%hitsave why f(x=2)",
        "%hitsave off",
        CALL,
        "%hitsave on",
        CALL,
        "%hitsave",
        "%hitsave nonsense",
        "%hitsave why 3",
        "%unload_ext hitsave",
    )
    lines = done.lines
    assert lines[:2] == ["computing", "20"]
    text = "\n".join(lines)
    assert "hitsave is off\ncomputing\n20\nhitsave is on\n20\nhitsave: " in text
    assert "UsageError: %hitsave [status | why CALL | off | on]: what is 'nonsense'?" in done.stdout + done.stderr
    assert "such as: %hitsave why train(data, lr=0.1)" in done.stdout + done.stderr


MEMO = "%%memo\nprint('computing')\nimport math\ny = [math.sqrt(v) for v in x]\nz = sum(y)\nz"


def test_a_memoised_cell_runs_once_and_assigns_all_the_same(run: Runner) -> None:
    before = ("%load_ext hitsave", "x = [1, 4]")
    assert cells(run, *before, MEMO, "print(y, z, math.pi > 3)").lines[-1] == "[1.0, 2.0] 3.0 True"
    done = cells(run, *before, MEMO, "print(y, z)", MEMO)
    assert "computing" not in done.lines
    assert "[1.0, 2.0] 3.0" in done.lines
    assert done.stdout.count("3.0") == 3, "the value of the last line is shown on a hit as well"


def test_a_memoised_cell_runs_again_for_other_data_and_other_code(run: Runner) -> None:
    helper = "def helper(v):\n    return v + 1"
    memo = "%%memo y\nprint('computing')\ny = helper(x)"
    done = cells(
        run, "%load_ext hitsave", "x = 1", helper, memo, memo, "x = 2", memo, helper + " + 1", memo, "print(y)"
    )
    assert done.lines == ["computing", "computing", "computing", "4"]


def test_a_memoised_cell_that_cannot_be_a_function_says_why(run: Runner) -> None:
    done = cells(run, "%load_ext hitsave", "%%memo\nfrom math import *", "%%memo a\nb = 1")
    assert "a star import can't be part of a memoised cell" in done.stdout + done.stderr
    assert "the cell doesn't assign 'a'" in done.stdout + done.stderr
    done = cells(run, "%load_ext hitsave", "%%memo\nn = 3\ndef f(x=n): return x")
    assert "f needs 'n' to be defined; define it in a cell of its own" in done.stdout + done.stderr


def test_functions_and_imports_of_a_memoised_cell_are_there_on_a_hit(run: Runner) -> None:
    memo = "%%memo\nimport math\ndef double(v): return v * 2\nprint('computing')\ny = double(math.floor(k))"
    for expected in (["computing", "4 6 3"], ["4 6 3"]):
        lines = cells(run, "%load_ext hitsave", "k = 2.5", memo, "print(y, double(3), math.ceil(k))").lines
        assert lines == expected


@pytest.mark.parametrize(
    ("text", "read", "bound"),
    [
        ("y = x", "x", "y"),
        ("x = x + 1", "x", "x"),
        ("x += 1", "x", "x"),
        ("y = 1\nprint(y)", "print", "y"),
        ("if c:\n    y = 1\nprint(y)", "c print y", "y"),
        ("for i in xs:\n    t = i\n    t += 1", "xs", "i t"),
        ("with a as b:\n    c = b\nd = c", "a", "b c d"),
        ("def f(a):\n    return a + k + late\nlate = 1", "k", "f late"),
        ("f = lambda a, b=n: a + b + m", "n m", "f"),
        ("[i for i in xs if i > lo]", "xs lo", ""),
        ("class A(B):\n    z = q\n    def m(self): return w", "B q w", "A"),
        ("import a.b, c as d", "", "a d"),
        ("try:\n    v = g()\nexcept E as e:\n    v = 0\nv", "g E v", "v"),
        ("(w := 3)\nw", "", "w"),
    ],
)
def test_what_a_cell_reads_and_binds(text: str, read: str, bound: str) -> None:
    body = ast.parse(text).body
    assert sorted(set(names_read(body))) == sorted(read.split())
    assert list(dict.fromkeys(names_bound(body))) == bound.split()


def test_a_cell_function_leaves_out_what_was_not_bound() -> None:
    made = make_function("if flag:\n    a = 1\nelse:\n    b = 2", [], {"flag": True}, "<cell>")
    assert (made.inputs, made.function(True)) == (("flag",), {"a": 1})
    with pytest.raises(CannotMemoise):
        make_function("return 1", [], {}, "<cell>")


@pytest.mark.slow
def test_a_notebook_run_by_nbclient_finds_its_results_again(run: Runner, tmp_path: Path) -> None:
    """The real kernel, twice: started afresh by nbclient."""
    notebook = {
        "cells": [
            {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "id": f"c{i}", "source": text}
            for i, text in enumerate(["%load_ext hitsave", G, F, CALL, "%hitsave"])
        ],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    (tmp_path / "n.ipynb").write_text(json.dumps(notebook))
    code = f"""
import nbformat, nbclient
notebook = nbformat.read({str(tmp_path / "n.ipynb")!r}, 4)
nbclient.NotebookClient(notebook, timeout=60).execute()
print([(o.get("text") or o["data"]["text/plain"]).split() for cell in notebook.cells for o in cell.outputs])
"""
    env = {"IPYTHONDIR": str(tmp_path), "JUPYTER_PLATFORM_DIRS": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    first, second = (run.python("-W", "ignore", "-c", code, env=env).ok().lines[-1] for _ in range(2))
    # What the cell printed, the line under it, and what `%hitsave` says.
    assert first.startswith("[['computing', '20'], ['hitsave:', '0', 'reused,', '1', 'computed'], ['hitsave:', '0'")
    assert second.startswith("[['20'], ['hitsave:', '1', 'reused,', '0', 'computed,', 'saved'")
    assert second.count("'hitsave:'") == 2
