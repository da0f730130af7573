"""docs/import-hook.md lists what is tested, and what it lists is tested."""

from __future__ import annotations

import re
from pathlib import Path

from tests.harness import REPOSITORY

TESTS = "\n".join(path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("test_*.py")))
PAGE = (REPOSITORY / "docs" / "import-hook.md").read_text(encoding="utf-8")
ROWS = {int(row[0]): row[1] for row in re.findall(r"^\| (\d+) \| .* \| ([^|]*) \|$", PAGE, re.MULTILINE)}


def test_every_case_of_the_sixty_has_a_test() -> None:
    assert sorted(ROWS) == list(range(1, 61))
    assert {int(number) for number in re.findall(r"^def test_case_(\d\d)_", TESTS, re.MULTILINE)} == set(ROWS)


def test_the_page_names_exactly_the_tests_there_are() -> None:
    for number, listed in ROWS.items():
        names = re.findall(rf"^def test_case_{number:02}_(\w+)", TESTS, re.MULTILINE)
        assert listed == "<br>".join(f"`{name}`" for name in names), f"case {number}"
