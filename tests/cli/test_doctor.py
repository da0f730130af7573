from __future__ import annotations

import os

import pytest

from tests.harness import Project, Runner


def findings(run: Runner, **options: object) -> dict[str, dict[str, str]]:
    return {each["name"]: each for each in run.hitsave("doctor", "--json", **options).json()}


def test_a_sound_place_has_no_warnings(project: Project, run: Runner) -> None:
    done = run.hitsave("doctor").ok()
    assert "FAILURE" not in done.stdout
    assert str(project.root) in done.stdout


def test_a_folder_without_git_is_pointed_out(run: Runner, tmp_path_factory: pytest.TempPathFactory) -> None:
    bare = tmp_path_factory.mktemp("bare")
    found = findings(run, cwd=bare)["project"]
    assert found["status"] == "warning"
    assert "git init" in found["hint"]


def test_a_cache_directory_that_is_a_file_is_a_failure_with_a_way_out(run: Runner) -> None:
    run.cache.write_text("garbage")
    done = run.hitsave("doctor", env={"HITSAVE_DIR": str(run.cache / "below")})
    assert done.exit_code == 1
    assert "HITSAVE_DIR" in done.stdout


def test_a_cache_directory_open_to_others_is_pointed_out(run: Runner) -> None:
    run.cache.mkdir(mode=0o755)
    os.chmod(run.cache, 0o755)  # noqa: PTH101 - whatever the umask is
    assert "chmod 700" in findings(run)["cache directory"]["hint"]


def test_a_key_that_others_can_read_is_a_failure(run: Runner) -> None:
    keys = run.config / "keys"
    keys.mkdir(parents=True)
    (keys / "machine.key").write_bytes(b"k" * 32)
    (keys / "machine.key").chmod(0o644)
    assert findings(run)["signing key"]["status"] == "failure"


def test_broken_settings_are_a_failure_that_names_the_place(project: Project, run: Runner) -> None:
    project.write({"pyproject.toml": "[tool.hitsave]\nspeed = 9\n"})
    found = findings(run)["settings"]
    assert found["status"] == "failure"
    assert "pyproject.toml" in found["message"]
