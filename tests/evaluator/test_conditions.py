"""What an evaluation was seen to depend on: files, variables, live values. In one process and its next calls."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import hitsave
from hitsave import memo

ran: list[Any] = []
LIMIT = 10
TABLE = {"a": 1}


@pytest.fixture(autouse=True)
def store() -> Iterator[None]:
    ran.clear()
    with hitsave.isolated():
        yield


@memo
def read(path: str) -> str:
    ran.append(path)
    with open(path) as file:  # noqa: PTH123 - the builtin is what is tested
        return file.read()


@memo
def setting(name: str) -> str | None:
    ran.append(name)
    return os.environ.get(name)


@memo
def listed(path: str) -> list[str]:
    ran.append(path)
    return sorted(os.listdir(path))  # noqa: PTH208 - likewise


@memo
def there(path: str) -> bool:
    ran.append(path)
    return os.path.exists(path)  # noqa: PTH110 - likewise


@memo
def limited(x: int) -> int:
    ran.append(x)
    return min(x, LIMIT)


@memo
def looked_up(key: str) -> int:
    ran.append(key)
    return TABLE[key]


@memo
def outer(path: str) -> int:
    ran.append("outer")
    return len(read(path))


def test_an_edited_file_is_read_again_and_the_old_content_hits(tmp_path: Path) -> None:
    file = tmp_path / "data.csv"
    for content, times in (("1,2", 1), ("1,2", 1), ("3,4", 2), ("1,2", 2)):
        file.write_text(content)
        assert read(str(file)) == content
        assert len(ran) == times


def test_a_file_edited_within_its_clocks_tick_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "data.csv"
    file.write_text("1")
    when = file.stat()
    assert read(str(file)) == "1"
    file.write_text("2")
    os.utime(file, ns=(when.st_atime_ns, when.st_mtime_ns))
    assert read(str(file)) == "2"


def test_a_missing_file_counts_as_missing(tmp_path: Path) -> None:
    file = tmp_path / "late"

    @memo
    def default(path: str) -> str:
        ran.append(path)
        try:
            return Path(path).read_text()
        except FileNotFoundError:
            return "none"

    assert default(str(file)) == default(str(file)) == "none"
    assert len(ran) == 1
    file.write_text("here")
    assert default(str(file)) == "here"


def test_an_environment_variable_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    for value, times in (("1", 1), ("1", 1), ("2", 2), ("1", 2)):
        monkeypatch.setenv("COLOUR", value)
        assert setting("COLOUR") == value
        assert len(ran) == times
    monkeypatch.delenv("COLOUR")
    assert setting("COLOUR") is None


def test_a_listed_folder_counts_by_its_names(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    assert listed(str(tmp_path)) == ["a"]
    (tmp_path / "a").write_text("2")
    assert listed(str(tmp_path)) == ["a"]
    assert len(ran) == 1
    (tmp_path / "b").write_text("")
    assert listed(str(tmp_path)) == ["a", "b"]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="needs Python 3.11: looks are observed from there on")
def test_a_question_for_a_file_counts_by_its_answer(tmp_path: Path) -> None:
    file = tmp_path / "flag"
    assert there(str(file)) is False
    file.write_text("")
    assert there(str(file)) is True
    file.write_text("content")
    assert there(str(file)) is True
    assert len(ran) == 2


def test_a_rebound_global_counts_by_value(monkeypatch: pytest.MonkeyPatch) -> None:
    assert limited(50) == 10
    monkeypatch.setattr(sys.modules[__name__], "LIMIT", 20)
    assert limited(50) == 20
    monkeypatch.undo()
    assert limited(50) == 10
    assert ran == [50, 50]


def test_a_container_changed_in_place_counts_by_value() -> None:
    assert looked_up("a") == 1
    TABLE["a"] = 2
    try:
        assert looked_up("a") == 2
    finally:
        TABLE["a"] = 1
    assert looked_up("a") == 1
    assert ran == ["a", "a"]


def test_what_a_memoised_child_reads_counts_for_its_caller(tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.write_text("abc")
    assert outer(str(file)) == 3
    file.write_text("abcd")
    assert outer(str(file)) == 4


def test_a_child_whose_result_stays_the_same_stops_the_change(tmp_path: Path) -> None:
    file = tmp_path / "data"

    @memo
    def size(path: str) -> int:
        ran.append("size")
        return len(Path(path).read_text())

    @memo
    def doubled(path: str) -> int:
        ran.append("doubled")
        return size(path) * 2

    file.write_text("abc")
    assert doubled(str(file)) == 6
    file.write_text("xyz")
    assert doubled(str(file)) == 6
    assert ran == ["size", "doubled", "size"] or ran == ["doubled", "size", "size"]
