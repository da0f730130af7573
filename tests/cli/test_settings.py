from __future__ import annotations

import json
import stat
from pathlib import Path

from tests.harness import Project, Runner


def test_every_setting_is_shown_with_its_origin(project: Project, run: Runner) -> None:
    project.write({"pyproject.toml": '[tool.hitsave]\nimpure = "allow"\n'})
    shown = run.hitsave("config", "--json", env={"HITSAVE_MODE": "readonly"}).ok().json()
    assert shown["impure"] == {"value": "allow", "origin": str(project.root / "pyproject.toml")}
    assert shown["mode"] == {"value": "readonly", "origin": "environment"}
    assert shown["observe"] == {"value": "auto", "origin": "default"}


def test_an_api_key_is_never_shown(run: Runner) -> None:
    done = run.hitsave("config", env={"HITSAVE_API_KEY": "hs_very_secret"}).ok()
    assert "hs_very_secret" not in done.stdout + run.hitsave("config", "--json").stdout
    assert "(set)" in done.stdout


def test_a_setting_is_written_for_the_user_and_read_back(run: Runner) -> None:
    run.hitsave("config", "set", "max-size", "5G").ok()
    assert run.hitsave("config", "get", "max_size").ok().lines == [str(5 << 30)]
    assert stat.S_IMODE((run.config / "config.toml").stat().st_mode) == 0o600


def test_setting_again_replaces_the_line_and_keeps_comments_and_tables(run: Runner) -> None:
    run.config.mkdir()
    file = run.config / "config.toml"
    file.write_text('# mine\nimpure = "warn"\n\n[instrument]\nmemo = ["a:b"]\n')
    run.hitsave("config", "set", "impure", "allow").ok()
    run.hitsave("config", "set", "observe", "off").ok()
    text = file.read_text()
    assert text.startswith('# mine\nimpure = "allow"\n')
    assert text.index("observe") < text.index("[instrument]")
    assert run.hitsave("config", "get", "instrument_memo").ok().lines == ["a:b"]


def test_a_value_that_makes_no_sense_is_refused_with_the_choices(run: Runner) -> None:
    done = run.hitsave("config", "set", "mode", "sometimes")
    assert done.exit_code == 2
    assert "readonly" in done.stderr
    assert not (run.config / "config.toml").exists()


def test_an_unknown_setting_is_refused_with_the_list(run: Runner) -> None:
    done = run.hitsave("config", "get", "speed")
    assert done.exit_code == 2
    assert "max_size" in done.stderr


def test_a_setting_that_the_environment_overrides_says_so(run: Runner) -> None:
    done = run.hitsave("config", "set", "mode", "off", env={"HITSAVE_MODE": "on"}).ok()
    assert "environment still says mode = on" in done.stderr


def test_a_broken_settings_file_is_named(project: Project, run: Runner) -> None:
    project.write({"pyproject.toml": "[tool.hitsave\n"})
    done = run.hitsave("config")
    assert done.exit_code == 2
    assert "pyproject.toml is not valid TOML" in done.stderr
    assert "Traceback" not in done.stderr


def test_strange_text_survives_being_written(run: Runner, tmp_path: Path) -> None:
    value = 'a "b" \\ é\t'
    run.hitsave("config", "set", "project", value).ok()
    assert run.hitsave("config", "--json").ok().json()["project"]["value"] == value
    assert json.dumps(value)
