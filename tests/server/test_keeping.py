"""What is kept and what goes: collection, eviction, crashes, fsck, backup and restore, migrations."""

from __future__ import annotations

import asyncio
import shutil
import signal
import tempfile
import threading
import time
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from hitsave.server.admin import main as admin
from hitsave.server.app import open_state
from hitsave.server.backup import back_up, restore
from hitsave.server.database.tables import blob_refs, blobs, metadata
from hitsave.server.fsck import check
from hitsave.server.maintenance import collect_blobs, evict, maintain
from hitsave.server.settings import Settings
from hitsave.wire import blob_name
from tests.server.api import Api, a_key, an_evaluation
from tests.services import ProcessServer, ThreadServer, running

LARGE = bytes(range(256)) * 2000


def on_loop(coroutine: object) -> object:
    return asyncio.run(coroutine)  # type: ignore[arg-type]


def count(server: ThreadServer, table: sa.Table) -> int:
    query = sa.select(sa.func.count()).select_from(table)
    return int(server.state.database.read_now(lambda c: c.execute(query).scalar_one()))


def test_an_unreferenced_blob_goes_after_its_grace_and_a_referenced_one_stays(server: ThreadServer) -> None:
    api = Api(server)
    api.put_blob(LARGE)
    kept = LARGE + b"kept"
    api.put_blob(kept)
    api.put(an_evaluation(a_key(), kept), kept, inline=False)
    assert on_loop(collect_blobs(server.state)) == 0
    assert on_loop(collect_blobs(server.state, grace_s=-1)) == 1
    assert api("GET", f"/blobs/{blob_name(LARGE)}").status_code == 404
    assert api("GET", f"/blobs/{blob_name(kept)}").content == kept
    assert check(server.state).is_clean


def test_over_the_limit_the_least_used_memos_go_and_experiments_stay(tmp_path: Path) -> None:
    with running(tmp_path, max_total_bytes=250_000) as server:
        api = Api(server)
        for i in range(4):
            data = bytes([i]) * 60_000
            experiment = i == 0
            api.put(an_evaluation(a_key(i), data, is_experiment=experiment), data)
        api.look_up(a_key(1))
        server.state.database.write_now(server.state.flush)
        object.__setattr__(server.state.settings, "max_total_bytes", 130_000)
        assert on_loop(evict(server.state)) == 2
        assert [api.look_up(a_key(i))[0]["status"] for i in range(4)] == ["hit", "hit", "miss", "miss"]
        assert check(server.state).is_clean


def test_a_blob_that_is_being_collected_can_be_uploaded_again(server: ThreadServer) -> None:
    api = Api(server)
    small = b"small"
    evaluation = an_evaluation(a_key(), small)
    api.put_blob(small)
    server.state.database.write_now(lambda c: c.execute(sa.update(blobs).values(state="deleting")))
    assert api("PUT", f"/blobs/{blob_name(small)}", data=small).status_code == 503
    assert api.put(evaluation, small).status_code == 201
    on_loop(collect_blobs(server.state, grace_s=-1))
    assert api("GET", f"/blobs/{blob_name(small)}").content == small


def test_collection_and_uploads_at_once_lose_nothing(server: ThreadServer) -> None:
    api = Api(server)
    stop = threading.Event()

    def collect() -> None:
        while not stop.is_set():
            on_loop(collect_blobs(server.state, grace_s=-1))
            stop.wait(0.003)

    collector = threading.Thread(target=collect)
    collector.start()
    stored = []
    try:
        for i in range(12):
            data = LARGE + bytes([i])
            for _ in range(50):
                api("PUT", f"/blobs/{blob_name(data)}", data=data)
                if api.put(an_evaluation(a_key(i), data), data, inline=False).status_code in (200, 201):
                    stored.append(data)
                    break
    finally:
        stop.set()
        collector.join()
    assert stored
    for data in stored:
        assert api("GET", f"/blobs/{blob_name(data)}").content == data
    assert check(server.state).is_clean


def test_fsck_finds_and_mends_damage(small_server: ThreadServer) -> None:
    api = Api(small_server)
    for i in range(3):
        data = LARGE + bytes([i])
        api.put_blob(data)
        api.put(an_evaluation(a_key(i), data), data, inline=False)
    files = sorted(path for path in small_server.state.blobs.spool.parent.glob("??/*"))
    files[0].write_bytes(b"damaged")
    files[1].unlink()
    stray = small_server.state.blobs.spool.parent / "00" / ("0" * 64)
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"nobody's")
    findings = check(small_server.state, repair=True)
    assert (len(findings.damaged), len(findings.lost), len(findings.unlisted)) == (1, 1, 1)
    assert check(small_server.state).is_clean
    statuses = [api.look_up(a_key(i))[0]["status"] for i in range(3)]
    assert sorted(statuses) == ["hit", "miss", "miss"]


@pytest.mark.slow
def test_a_server_killed_in_the_middle_of_uploads_is_clean_after_restart(tmp_path: Path) -> None:
    server = ProcessServer(tmp_path / "server").start()
    stored: list[tuple[int, bytes]] = []
    for round_ in range(3):
        stop = threading.Event()

        def upload(start: int, stop: threading.Event = stop) -> None:
            api = Api(server, server.key)  # type: ignore[arg-type]
            for i in range(start, start + 1000):
                data = i.to_bytes(4, "big") * 80_000
                try:
                    api("PUT", f"/blobs/{blob_name(data)}", data=data)
                    if api.put(an_evaluation(a_key(i), data), data, inline=False).status_code == 201:
                        stored.append((i, data))
                except OSError:
                    return
                if stop.is_set():
                    return

        threads = [threading.Thread(target=upload, args=(round_ * 10_000 + n * 1000,)) for n in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(0.6)  # let them get into the middle of it
        server.kill()
        stop.set()
        for thread in threads:
            thread.join()
        state = open_state(Settings(data_dir=tmp_path / "server"))
        findings = check(state)
        state.close()
        assert (findings.damaged, findings.lost, findings.dangling) == ((), (), ())
        assert admin(["--data-dir", str(tmp_path / "server"), "fsck", "--repair"]) == 0
        server.start()
    api = Api(server, server.key)  # type: ignore[arg-type]
    assert stored
    for i, data in stored[::5]:
        assert api.look_up(a_key(i))[0]["status"] == "hit"
        assert api("GET", f"/blobs/{blob_name(data)}").content == data
    server.stop()


def test_a_full_disk_is_507_and_leaves_no_partial_blob(tmp_path: Path) -> None:
    import resource

    with running(tmp_path) as server:
        api = Api(server)
        big = LARGE * 20
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5_000_000, hard))
        try:
            assert api("PUT", f"/blobs/{blob_name(big)}", data=big).status_code == 507
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert list(server.state.blobs.spool.iterdir()) == []
        assert api("PUT", f"/blobs/{blob_name(big)}", data=big).status_code == 201
        assert check(server.state).is_clean


def test_a_backup_brings_everything_back_on_another_server(server: ThreadServer, tmp_path: Path) -> None:
    api = Api(server)
    api.put(an_evaluation(a_key(), b"small", is_experiment=True, title="f(lr=0.1)"), b"small")
    api.put_blob(LARGE)
    api.put(an_evaluation(a_key(1), LARGE), LARGE, inline=False)
    assert back_up(server.state, tmp_path / "backup.tar") == 1
    assert (tmp_path / "backup.tar").stat().st_mode & 0o077 == 0
    state = open_state(Settings(data_dir=tmp_path / "other"))
    assert restore(state, tmp_path / "backup.tar") == 1
    assert check(state).is_clean
    state.close()
    with running(tmp_path / "other") as other:
        there = Api(other, server.key)
        assert [there.look_up(a_key(i))[0]["status"] for i in range(2)] == ["hit", "hit"]
        assert there("GET", f"/blobs/{blob_name(LARGE)}").content == LARGE
        assert there.put(an_evaluation(a_key(2), b"new"), b"new").status_code == 201


def test_the_migrations_build_exactly_the_tables_in_the_code(server: ThreadServer) -> None:
    with server.state.database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, metadata)
    assert differences == []


def test_maintenance_ends_what_was_left_behind(server: ThreadServer) -> None:
    api = Api(server)
    begun = api("POST", "/uploads", json={"blob": blob_name(LARGE), "size_bytes": len(LARGE)}).json()
    api("POST", "/runs", json={"key": {"symbol": "m:f", "fingerprint": "0", "arguments": "1"}, "title": "f()"})
    with server.state.database.transaction() as connection:
        connection.execute(sa.text("UPDATE uploads SET expires = 1"))
        connection.execute(sa.text("UPDATE runs SET seen = 1"))
    on_loop(maintain(server.state))
    assert api("HEAD", f"/uploads/{begun['id']}").status_code == 404
    assert api("GET", "/runs").json()["runs"][0]["status"] == "lost"


def test_references_follow_their_entries(server: ThreadServer) -> None:
    api = Api(server)
    evaluation = an_evaluation(a_key(), b"x")
    api.put(evaluation, b"x")
    assert count(server, blob_refs) == 1
    from tests.server.api import entry_path

    api("DELETE", entry_path(evaluation.key))
    assert count(server, blob_refs) == 0
    on_loop(collect_blobs(server.state, grace_s=-1))
    assert count(server, blobs) == 0


def test_administration_works_without_a_running_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here = ["--data-dir", str(tmp_path / "server")]
    assert admin([*here, "keys", "create", "--user", "ci", "--scope", "read", "--days", "30"]) == 0
    key = capsys.readouterr().out.strip()
    assert key.startswith("hs_read_")
    assert admin([*here, "keys", "list"]) == 0
    listed = capsys.readouterr().out
    assert "ci" in listed
    assert key not in listed
    assert admin([*here, "project", "team", "--quota-bytes", "1000"]) == 0
    assert admin([*here, "gc"]) == 0
    assert admin([*here, "fsck"]) == 0
    assert admin([*here, "backup", str(tmp_path / "b.tar")]) == 0
    assert admin([*here, "keys", "revoke", "1"]) == 0
    assert admin([*here, "keys", "revoke", "1"]) == 1


@pytest.mark.service
def test_a_database_that_goes_away_is_503_and_nothing_is_lost_when_it_is_back(tmp_path: Path) -> None:
    from tests.services import Postgres, find_postgres

    find_postgres()
    directory = Path(tempfile.mkdtemp(prefix="hitsave-pg-"))
    cluster = Postgres(directory, durable=True)
    try:
        with running(tmp_path, database_url=cluster.new_database()) as server:
            api = Api(server)
            api.put(an_evaluation(a_key(), b"x"), b"x")
            cluster.stop("immediate")
            assert api.put(an_evaluation(a_key(1), b"y"), b"y").status_code == 503
            assert api("POST", "/entries:lookup", json={"keys": []}).status_code in (400, 503)
            cluster.start()
            assert api.put(an_evaluation(a_key(1), b"y"), b"y").status_code in (200, 201)
            assert [api.look_up(a_key(i))[0]["status"] for i in range(2)] == ["hit", "hit"]
            assert check(server.state).is_clean
    finally:
        cluster.stop("immediate")
        shutil.rmtree(directory, ignore_errors=True)


@pytest.mark.service
def test_an_object_storage_killed_in_the_middle_is_503_and_leaves_no_half_blob(
    tmp_path: Path, s3_credentials: None
) -> None:
    from tests.services import SeaweedFS, find_weed

    find_weed()
    service = SeaweedFS(tmp_path / "weed")
    try:
        with running(tmp_path / "server", blobs_url=service.url()) as server:
            api = Api(server)
            stored = []
            for i in range(12):
                data = LARGE + bytes([i])
                if i == 4:
                    killer = threading.Timer(0.01, service.stop, args=(signal.SIGKILL,))
                    killer.start()
                    api("PUT", f"/blobs/{blob_name(data)}", data=data)
                    killer.join()
                    assert api("PUT", f"/blobs/{blob_name(data + b'!')}", data=data + b"!").status_code == 503
                    service.start()
                elif api("PUT", f"/blobs/{blob_name(data)}", data=data).status_code == 201:
                    assert api.put(an_evaluation(a_key(i), data), data, inline=False).status_code == 201
                    stored.append((i, data))
            assert len(stored) >= 10
            for i, data in stored:
                assert api.look_up(a_key(i))[0]["status"] == "hit"
                assert api("GET", f"/blobs/{blob_name(data)}").content == data
            findings = check(server.state)
            assert (findings.damaged, findings.lost, findings.dangling) == ((), (), ())
    finally:
        service.stop(signal.SIGKILL)
