"""The documentation is complete and its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hitsave import errors
from hitsave.cli.manual import manual
from hitsave.cli.parser import COMMANDS
from hitsave.config import SETTINGS
from tests.harness import REPOSITORY
from tests.replay import normalised, replayed

DOCS = REPOSITORY / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *REPOSITORY.glob("*.md")])
SLUGS = sorted(
    value.slug
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, (errors.HitSaveError, errors.HitSaveWarning))
)


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("slug", SLUGS)
def test_every_message_has_a_section(slug: str) -> None:
    assert slug in anchors(DOCS / "messages.md")


def test_no_two_messages_share_a_slug() -> None:
    assert len(set(SLUGS)) == len(SLUGS)


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_setting_has_a_row(setting: str) -> None:
    assert f"| `{setting}` |" in (DOCS / "settings.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_section(command: str) -> None:
    assert f"hitsave-{command}" in anchors(DOCS / "cli.md")


def test_the_page_of_the_command_line_is_what_the_parser_says() -> None:
    page = (DOCS / "cli.md").read_text(encoding="utf-8")
    assert page == manual(), "run: python -m hitsave.cli.manual docs/cli.md"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.name}: {target}"
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file), f"{page.name}: {target}"


def test_every_decision_is_listed() -> None:
    listed = (DOCS / "decisions" / "README.md").read_text(encoding="utf-8")
    missing = [page.name for page in (DOCS / "decisions").glob("*.md") if f"({page.name})" not in listed]
    assert missing in ([], ["README.md"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_no_page_mentions_a_folder_of_somebodys_machine(page: Path) -> None:
    assert not re.search(r"(?<![\w.])/(work|root|home/\w+|tmp/\w+)/", page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", ["README.md", "docs/tutorial.md", "docs/how-it-works.md"])
def test_the_output_that_a_page_shows_is_what_its_commands_print(page: str, tmp_path: Path) -> None:
    path = REPOSITORY / page
    if "<!-- files: etl.py -->" in path.read_text(encoding="utf-8"):
        pytest.importorskip("vega_datasets", reason="needs hitsave[examples]")
    true = normalised(replayed(path, tmp_path))
    assert normalised(path.read_text(encoding="utf-8")) == true, f"run: python -m tests.replay {page}"


def test_ci_runs_the_test_command_of_the_readme() -> None:
    (line,) = re.findall(r"^python3 -m venv .* -m pytest.*$", (REPOSITORY / "README.md").read_text(), re.MULTILINE)
    script = (REPOSITORY / ".ci" / "run").read_text()
    commands = [re.sub(r"\binstall -e", "install -q -e", command) for command in line.split(" && ")]
    assert "\n".join(commands) + "\n" in script
