from __future__ import annotations

from pathlib import Path

from tests.harness import Project, Runner


def test_a_directory_is_restored_exactly_elsewhere(project: Project, run: Runner, tmp_path: Path) -> None:
    project.write({"data/a.csv": "1\n", "data/deep/b.csv": "2\n"})
    taken = run.hitsave("snapshot", "data", "--json").ok().json()
    assert (taken["files"], taken["size_bytes"]) == (2, 4)
    run.hitsave("snapshot", "--restore", taken["digest"], tmp_path / "there").ok()
    assert (tmp_path / "there" / "deep" / "b.csv").read_text() == "2\n"


def test_a_file_is_restored_exactly(project: Project, run: Runner, tmp_path: Path) -> None:
    project.write({"a.bin": "bytes"})
    digest = run.hitsave("snapshot", "a.bin").ok().lines[0]
    run.hitsave("snapshot", "--restore", digest, tmp_path / "b.bin").ok()
    assert (tmp_path / "b.bin").read_text() == "bytes"


def test_other_contents_are_replaced_only_by_force(project: Project, run: Runner) -> None:
    project.write({"a.txt": "old"})
    digest = run.hitsave("snapshot", "a.txt").ok().lines[0]
    project.write({"a.txt": "new"})
    assert run.hitsave("snapshot", "--restore", digest, "a.txt").exit_code == 1
    assert project.read("a.txt") == "new"
    run.hitsave("snapshot", "--restore", digest, "a.txt", "--force").ok()
    assert project.read("a.txt") == "old"


def test_a_digest_or_path_that_is_none_is_refused(run: Runner) -> None:
    assert run.hitsave("snapshot", "nowhere").exit_code == 2
    assert run.hitsave("snapshot", "--restore", "sha256-1", "x").exit_code == 2
    done = run.hitsave("snapshot", "--restore", "sha256-" + "0" * 64, "x")
    assert done.exit_code == 1
    assert "isn't on this machine" in done.stderr
