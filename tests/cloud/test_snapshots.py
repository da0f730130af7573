"""Snapshots: exact, content-addressed, shared; and safe against what a tree or a place to restore to may hold."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path

import pytest

from hitsave.cloud.snapshots import DirectorySnapshot, FileSnapshot, contents
from hitsave.errors import CloudError, StoreError, UsageError
from hitsave.wire import WireError, blob_name
from hitsave.wire.trees import Tree, TreeFile, parse_tree, render_tree
from tests.server.api import Api
from tests.services import ThreadServer


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "data"
    (root / "deep" / "er").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "a.csv").write_text("1,2,3\n")
    (root / "deep" / "b.bin").write_bytes(os.urandom(200_000))
    (root / "deep" / "er" / "run.sh").write_text("#!/bin/sh\n")
    (root / "deep" / "er" / "run.sh").chmod(0o755)
    (root / "link").symlink_to("/etc/passwd")
    monkeypatch.chdir(tmp_path)
    return root


def listing(root: Path) -> dict[str, object]:
    return {
        p.relative_to(root).as_posix(): (p.read_bytes(), bool(p.stat().st_mode & 0o100)) if p.is_file() else "directory"
        for p in sorted(root.rglob("*"))
        if not p.is_symlink()
    }


def test_a_directory_comes_back_exactly_without_its_links(folder: Path, tmp_path: Path) -> None:
    snapshot = DirectorySnapshot.of(folder)
    snapshot.restore(tmp_path / "copy")
    assert listing(tmp_path / "copy") == listing(folder)
    assert not (tmp_path / "copy" / "link").exists()
    assert (tmp_path / "copy" / "a.csv").stat().st_mode & 0o200, "the copy is the user's own: writable"


def test_the_digest_covers_names_modes_and_contents_but_not_the_place(folder: Path, tmp_path: Path) -> None:
    first = DirectorySnapshot.of(folder)
    assert DirectorySnapshot.of(shutil.copytree(folder, tmp_path / "elsewhere", symlinks=True)) == first
    for change in (
        lambda: (folder / "a.csv").rename(folder / "c.csv"),
        lambda: (folder / "c.csv").write_text("1,2,4\n"),
        lambda: (folder / "c.csv").chmod(0o755),
        lambda: (folder / "empty").rename(folder / "void"),
    ):
        change()
        changed = DirectorySnapshot.of(folder)
        assert changed != first
        first = changed


def test_restore_safe_changes_no_file_that_is_there(folder: Path, tmp_path: Path) -> None:
    snapshot = DirectorySnapshot.of(folder)
    target = tmp_path / "copy"
    snapshot.restore_safe(target)
    snapshot.restore_safe(target)
    (target / "a.csv").write_text("mine\n")
    (target / "deep" / "b.bin").unlink()
    with pytest.raises(StoreError, match="other contents"):
        snapshot.restore_safe(target)
    assert (target / "a.csv").read_text() == "mine\n"
    assert not (target / "deep" / "b.bin").exists()
    snapshot.restore(target)
    assert listing(target) == listing(folder)


def test_restoring_never_writes_through_a_link(folder: Path, tmp_path: Path) -> None:
    snapshot = DirectorySnapshot.of(folder)
    outside = tmp_path / "outside"
    outside.mkdir()
    target = tmp_path / "copy"
    target.mkdir()
    (target / "deep").symlink_to(outside)
    with pytest.raises(StoreError, match="symbolic link"):
        snapshot.restore(target)
    assert list(outside.iterdir()) == []
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "one.csv").symlink_to(victim)
    FileSnapshot.of(folder / "a.csv").restore(tmp_path / "one.csv")
    assert victim.read_text() == "precious"
    assert (tmp_path / "one.csv").read_text() == "1,2,3\n"


@pytest.mark.parametrize(
    "path",
    ["../x", "a/../../x", "/etc/x", "a//b", "", ".", "a/.", "C:/x", "a\\b", "nul", "aux.txt", "COM1", "x ", "x."]
    + ["a\x00b", "a\nb", "x:y"],
)
def test_a_tree_with_a_dangerous_path_is_refused(path: str) -> None:
    with pytest.raises(WireError):
        parse_tree(render_tree(Tree((TreeFile(path, False, blob_name(b""), 0),))))


@pytest.mark.parametrize(("one", "two"), [("a/B", "a/b"), ("é", "e\u0301"), ("x", "x/y"), ("ß", "SS"), ("X/y", "x")])
def test_paths_that_meet_on_some_system_are_refused(one: str, two: str) -> None:
    files = tuple(TreeFile(path, False, blob_name(b""), 0) for path in (one, two))
    with pytest.raises(WireError):
        parse_tree(render_tree(Tree(files)))


def test_names_that_cannot_exist_everywhere_are_refused_when_taken(folder: Path) -> None:
    (folder / "A.csv").write_text("")
    with pytest.raises(UsageError, match="one file on some systems"):
        DirectorySnapshot.of(folder)


def test_damage_in_the_cache_is_noticed_and_removed(folder: Path, tmp_path: Path) -> None:
    snapshot = FileSnapshot.of(folder / "a.csv")
    path = Path(contents().path(snapshot.digest))
    path.chmod(0o600)
    path.write_text("damaged")
    with pytest.raises(StoreError, match="damaged"):
        snapshot.restore(tmp_path / "x.csv")
    assert not (tmp_path / "x.csv").exists()
    assert not path.exists()


def test_snapshots_pickle_as_their_digest_and_count_by_it(folder: Path) -> None:
    snapshot = DirectorySnapshot.of(folder)
    data = pickle.dumps(snapshot)
    assert len(data) < 400
    assert pickle.loads(data) == snapshot
    assert snapshot.__hitsave_key__() == snapshot.digest


@pytest.fixture
def shared(server: ThreadServer, monkeypatch: pytest.MonkeyPatch) -> ThreadServer:
    monkeypatch.setenv("HITSAVE_REMOTE", server.url)
    monkeypatch.setenv("HITSAVE_API_KEY", server.new_key("write", "ann"))
    return server


def test_a_colleague_restores_what_was_pushed(
    shared: ThreadServer, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot, file = DirectorySnapshot.of(folder), FileSnapshot.of(folder / "a.csv")
    progress: list[tuple[int, int]] = []
    snapshot.push(lambda done, total: progress.append((done, total)))
    file.push()
    assert progress[-1][0] == progress[-1][1] > 200_000
    again: list[tuple[int, int]] = []
    snapshot.push(lambda done, total: again.append((done, total)))
    assert again == [], "nothing is sent twice"
    monkeypatch.setenv("HITSAVE_DIR", str(tmp_path / "other-home"))
    DirectorySnapshot.from_digest(snapshot.digest).restore(tmp_path / "theirs")
    assert listing(tmp_path / "theirs") == listing(folder)
    assert FileSnapshot.from_digest(file.digest).read_bytes() == b"1,2,3\n"
    assert Api(shared)("GET", "/snapshots").json()["snapshots"][-1]["name"] in ("data", "a.csv")


def test_what_a_server_changed_is_not_restored(
    shared: ThreadServer, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sqlalchemy as sa

    from hitsave.server.database import tables

    snapshot = DirectorySnapshot.of(folder)
    snapshot.push()
    monkeypatch.setenv("HITSAVE_DIR", str(tmp_path / "other-home"))
    evil = render_tree(Tree((TreeFile("evil", True, blob_name(b""), 0),)))
    with shared.state.database.transaction() as connection:
        kept = connection.execute(sa.select(tables.snapshots.c.tree)).scalar_one()
        connection.execute(sa.update(tables.snapshots).values(tree=evil))
    with pytest.raises(StoreError, match="another tree"):
        snapshot.restore(tmp_path / "x")
    with shared.state.database.transaction() as connection:
        connection.execute(sa.update(tables.snapshots).values(tree=kept))
        changed = sa.update(tables.blobs).where(tables.blobs.c.size_bytes == 6)
        connection.execute(changed.values(data=b"6,6,6\n"))
    with pytest.raises(StoreError, match="other bytes"):
        snapshot.restore(tmp_path / "x")
    assert not (tmp_path / "x" / "a.csv").exists()


def test_a_tree_is_stored_only_when_its_files_are_there(shared: ThreadServer) -> None:
    api = Api(shared)
    text = render_tree(Tree((TreeFile("x", False, blob_name(b"nowhere"), 7),)))
    assert api("PUT", f"/snapshots/{blob_name(text.encode())}", data=text.encode()).status_code == 422
    assert api("PUT", f"/snapshots/{blob_name(b'other')}", data=text.encode()).status_code == 400


def test_without_a_server_the_message_says_so(folder: Path) -> None:
    with pytest.raises(CloudError, match="no server is configured"):
        DirectorySnapshot.of(folder).push()
