"""What counts as read when a library's reading function begins: paths, folders, patterns, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path
from types import FunctionType

import pytest

from hitsave.observe.readers import is_reader, paths_in


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    for name in ("a.csv", "b.csv", "c.txt"):
        (tmp_path / "data" / name).write_text(name)
    return tmp_path


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("data/a.csv", ["data/a.csv"]),
        (Path("data/a.csv"), ["data/a.csv"]),
        (b"data/a.csv", ["data/a.csv"]),
        (["data/a.csv", ("data/b.csv",)], ["data/a.csv", "data/b.csv"]),
        ({"train": "data/a.csv"}, ["data/a.csv"]),
        ("data", ["data"]),
        (["data"], []),
        ("data/*.csv", ["data", "data/a.csv", "data/b.csv"]),
        ("data/none.csv", []),
        ("select * from t\nwhere x", []),
        ("x" * 100_000, []),
        (bytes(1 << 20), []),
        ("a\0b", []),
        (".", []),
        (["..", "/"], []),
        (3, []),
        (None, []),
    ],
)
def test_paths_in_what_a_reader_is_given(folder: Path, given: object, found: list[str]) -> None:
    assert sorted(path.replace(os.sep, "/") for path in paths_in(given)) == found


def test_a_sign_is_a_folder_where_it_comes_first(folder: Path) -> None:
    assert list(paths_in(".", is_first=True)) == ["."]


def is_one(name: str, file: str) -> bool:
    scope: dict[str, FunctionType] = {}
    exec(compile(f"def {name}(path): pass", file, "exec"), scope)
    return is_reader(scope[name].__code__)


INSTALLED = "lib/site-packages/pack/io.py"


def test_readers_are_functions_of_installed_packages_with_telling_names() -> None:
    assert all(is_one(name, INSTALLED) for name in ("read_csv", "_read", "ReadImage", "load", "from_pretrained"))
    assert not any(is_one(name, INSTALLED) for name in ("write", "reduce", "on_load", "from_int"))
    assert not is_one("read_csv", "project/io.py")
