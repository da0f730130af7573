from __future__ import annotations

import subprocess

import pytest

from hitsave.cli.parser import COMMANDS, build_parser
from hitsave.cli.run import Program, split
from hitsave.version import __version__
from tests.harness import Project, Runner


@pytest.mark.parametrize(
    ("line", "ours", "program"),
    [
        ("run a.py", "run a.py", Program("a.py", False, ())),
        ("run a.py --json -m x", "run a.py", Program("a.py", False, ("--json", "-m", "x"))),
        ("run --json a.py -q", "run --json a.py", Program("a.py", False, ("-q",))),
        ("run --mode off a.py 1", "run --mode off a.py", Program("a.py", False, ("1",))),
        ("run --mode=off a.py 1", "run --mode=off a.py", Program("a.py", False, ("1",))),
        ("run -m pkg.mod --help", "run pkg.mod", Program("pkg.mod", True, ("--help",))),
        ("run --stats -mpkg a", "run --stats pkg", Program("pkg", True, ("a",))),
        ("run -- -strange.py a", "run -strange.py", Program("-strange.py", False, ("a",))),
    ],
)
def test_run_takes_only_what_stands_before_the_program(line: str, ours: str, program: object) -> None:
    assert split(line.split()) == (ours.split(), program)


def test_the_module_and_the_console_script_are_one_program() -> None:
    from importlib.metadata import entry_points

    scripts = [each for each in entry_points(group="console_scripts") if each.name == "hitsave"]
    assert all(each.value == "hitsave.cli.main:main" for each in scripts)


def test_every_command_has_help_that_says_what_it_does(run: Runner) -> None:
    parser = build_parser()
    for name in COMMANDS:
        with pytest.raises(SystemExit) as stop:
            parser.parse_args([name, "--help"])
        assert stop.value.code == 0


def test_the_version_is_printed(run: Runner) -> None:
    assert run.hitsave("--version").ok().lines == [f"hitsave {__version__}"]


@pytest.mark.parametrize("args", [(), ("nonsense",), ("--nonsense",), ("ls", "--nonsense"), ("run", "-m"), ("run",)])
def test_wrong_usage_exits_with_2(run: Runner, args: tuple[str, ...]) -> None:
    done = run.hitsave(*args)
    assert done.exit_code == 2
    assert "Traceback" not in done.stderr


def test_an_error_is_json_too_when_json_was_asked_for(run: Runner) -> None:
    done = run.hitsave("config", "get", "speed", "--json")
    assert done.json()["error"]["slug"] == "usage"
    assert done.exit_code == 2


def test_a_reader_that_stops_reading_is_no_error(run: Runner, project: Project) -> None:
    line = f"{run.executable} -m hitsave config | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", line], cwd=project.root, env=run.environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert done.stderr == ""


def test_output_in_a_pipe_holds_no_escape_codes(run: Runner) -> None:
    assert "\x1b" not in run.hitsave("config").ok().stdout
