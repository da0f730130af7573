from __future__ import annotations

import xml.dom.minidom

import pytest

from tests.harness import Project, Runner

FILES = {
    "main.py": """
        import json
        import sys
        from pkg.tools import scale
        open("ran", "w").close()

        class Base:
            def go(self):
                return scale(1)

        class Child(Base):
            pass

        def top():
            return Child().go(), json.dumps(1)
        """,
    "pkg/__init__.py": "",
    "pkg/tools.py": "EPS = 1\nOTHER = 2\ndef scale(x):\n    return x / EPS\n",
}


@pytest.fixture
def read(project: Project, run: Runner) -> Runner:
    project.write(FILES)
    return run


def test_symbols_are_listed_as_json(read: Runner, project: Project) -> None:
    found = read.hitsave("deps", "main:top", "--json").ok().json()
    assert {"main:Base.go", "pkg.tools:scale", "pkg.tools:EPS"} <= set(found)
    assert "pkg.tools:OTHER" not in found
    assert found == sorted(found)
    assert not (project.root / "ran").exists()


def test_json_agrees_with_the_library_call(read: Runner, project: Project) -> None:
    from hitsave.analysis import dependencies

    assert set(read.hitsave("deps", "main:top", "--json").ok().json()) == dependencies(project.root, "main:top")


@pytest.mark.parametrize("name", ["main:top", "main.top", "top", "main.py:top"])
def test_a_symbol_is_found_by_any_spelling(read: Runner, name: str) -> None:
    assert read.hitsave("deps", name).ok().lines[0] == "top"


def test_a_method_a_constant_and_a_modules_body_can_be_asked_for(read: Runner) -> None:
    assert "pkg.tools:EPS" in read.hitsave("deps", "main:Base.go", "--json").ok().json()
    assert read.hitsave("deps", "pkg.tools:EPS", "--json").ok().json() == ["pkg.tools:EPS"]
    assert "main:Base" in read.hitsave("deps", "main:<module>", "--json").ok().json()


def test_the_tree_shows_who_reads_what(read: Runner) -> None:
    done = read.hitsave("deps", "Base.go").ok()
    assert "pkg.tools.scale" in done.stdout
    assert "    └── pkg.tools.EPS" in done.stdout


def test_what_depends_on_a_symbol_is_found_backwards(read: Runner) -> None:
    assert {"main:top", "main:Base.go", "pkg.tools:scale"} <= set(
        read.hitsave("deps", "pkg.tools:EPS", "--reverse", "--json").ok().json()
    )


def test_pictures_are_drawn_without_other_programs(read: Runner, project: Project) -> None:
    done = read.hitsave("deps", "top", "--graph", "svg", env={"PATH": ""}).ok()
    root = xml.dom.minidom.parseString(done.stdout).documentElement
    assert root is not None and root.tagName == "svg"
    assert read.hitsave("deps", "top", "--graph", "dot").ok().stdout.startswith("digraph")
    assert read.hitsave("deps", "top", "--graph", "mermaid").ok().stdout.startswith("flowchart")
    read.hitsave("deps", "top", "--graph", "svg", "-o", "deps.svg").ok()
    assert (project.root / "deps.svg").read_text().startswith("<svg")


def test_an_unknown_symbol_is_an_error_with_a_hint(read: Runner) -> None:
    done = read.hitsave("deps", "main:tip")
    assert done.exit_code == 2
    assert "main:top" in done.stderr
    assert read.hitsave("deps", "no.such:thing", "--json").json()["error"]["slug"] == "unknown-symbol"


def test_a_file_that_does_not_parse_is_named_with_the_line(read: Runner, project: Project) -> None:
    project.write({"broken.py": "def f(:\n"})
    done = read.hitsave("deps", "broken:f")
    assert done.exit_code == 2
    assert "broken.py:1:" in done.stderr
