"""Backup and restore: one archive that holds every row and every blob, readable on either database and storage.

    rows/<table>.jsonl     one JSON row per line, bytes as {"b64": …}
    blobs/<name>           bytes of the blobs outside the database
    manifest.json          version of the archive and of the schema

A backup of a running server is consistent: rows are read in one transaction first, and a blob that is collected before
its bytes are read was unreferenced, so only its row is left out.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import tarfile
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from hitsave.errors import StoreError
from hitsave.server.database.tables import blobs, login_codes, metadata, sessions, uploads
from hitsave.server.state import State

# 1  first
VERSION = 1
# What only makes sense on the running server: log-ins and uploads in progress.
PASSING = {sessions.name, login_codes.name, uploads.name}
SCHEMA = "0001"


def back_up(state: State, target: Path) -> int:
    """Write the archive to `target` (which must not exist), readable by its owner only; how many blobs it holds."""
    aside = target.with_name(target.name + ".part")
    with tarfile.open(aside, "x:") as archive:
        aside.chmod(0o600)
        _add(archive, "manifest.json", json.dumps({"v": VERSION, "schema": SCHEMA, "made": time.time()}).encode())
        names: list[tuple[str, int]] = []
        with state.database.engine.connect() as connection:
            if not state.database.is_sqlite:
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                for table in metadata.sorted_tables:
                    if table.name not in PASSING:
                        rows = [_to_json(dict(row._mapping)) for row in connection.execute(sa.select(table))]
                        _add(archive, f"rows/{table.name}.jsonl", "".join(row + "\n" for row in rows).encode())
                outside = sa.select(blobs.c.name, blobs.c.size_bytes).where(blobs.c.data.is_(None))
                names = [(row.name, row.size_bytes) for row in connection.execute(outside)]
        count = 0
        for name, size in names:
            count += asyncio.run(_add_blob(state, archive, name, size))
    if target.exists():
        aside.unlink()
        raise StoreError(f"{target} exists already", hint="Choose another name; a backup never overwrites one.")
    aside.rename(target)
    return count


def restore(state: State, source: Path) -> int:
    """Fill an empty server from an archive; how many blobs came back. Every blob's digest is checked."""
    with tarfile.open(source, "r:") as archive:
        manifest = json.loads(_read(archive, "manifest.json"))
        if manifest.get("v") != VERSION:
            raise StoreError(f"{source} was written by another version ({manifest.get('v')})")
        with state.database.transaction() as connection:
            for table in metadata.sorted_tables:
                if table.name in PASSING:
                    continue
                if (
                    table.name in ("entries", "tokens")
                    and connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
                ):
                    raise StoreError("this server isn't empty", hint="Restore into a new data directory or database.")
            for table in metadata.sorted_tables:
                if table.name in PASSING:
                    continue
                if table.name == "projects":
                    connection.execute(sa.delete(table))  # the "default" that every start makes
                lines = _read(archive, f"rows/{table.name}.jsonl").decode().splitlines()
                for start in range(0, len(lines), 500):
                    connection.execute(sa.insert(table), [_from_json(line) for line in lines[start : start + 500]])
            _advance_sequences(connection)
        count = 0
        for member in archive:
            if member.name.startswith("blobs/"):
                asyncio.run(_restore_blob(state, archive, member))
                count += 1
    return count


async def _add_blob(state: State, archive: tarfile.TarFile, name: str, size: int) -> int:
    if await state.blobs.size(name) != size:
        return 0
    spool = state.blobs.spool / f"backup-{name}"
    with spool.open("wb") as file:
        async for piece in state.blobs.stream(name, 0, size):
            file.write(piece)
    archive.add(spool, f"blobs/{name}", recursive=False, filter=_plain)
    spool.unlink()
    return 1


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o600
    return member


async def _restore_blob(state: State, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
    name = member.name.removeprefix("blobs/")
    spool = state.blobs.spool / "restore"
    digest = hashlib.sha256()
    file = archive.extractfile(member)
    if file is None:
        raise StoreError(f"{member.name} is no file")
    with file, spool.open("wb") as target:
        while piece := file.read(1 << 20):
            digest.update(piece)
            target.write(piece)
    if "sha256-" + digest.hexdigest() != name:
        raise StoreError(f"the archive is damaged at {member.name}")
    await state.blobs.publish(name, spool, member.size)


def _advance_sequences(connection: sa.Connection) -> None:
    """PostgreSQL numbers on from the largest id that came with the rows."""
    if connection.dialect.name != "postgresql":
        return
    for table in metadata.sorted_tables:
        column = table.c.get("id")
        if column is not None and isinstance(column.type, sa.BigInteger):
            connection.exec_driver_sql(
                f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), COALESCE(MAX(id), 0) + 1, false) "
                f"FROM {table.name}"
            )


def _to_json(row: dict[str, Any]) -> str:
    shown = {
        name: {"b64": base64.b64encode(value).decode()} if isinstance(value, bytes | memoryview) else value
        for name, value in row.items()
    }
    return json.dumps(shown, separators=(",", ":"))


def _from_json(line: str) -> dict[str, Any]:
    row = json.loads(line)
    return {name: base64.b64decode(v["b64"]) if isinstance(v, dict) else v for name, v in row.items()}


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    member.mode = 0o600
    archive.addfile(member, io.BytesIO(data))


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    try:
        file = archive.extractfile(name)
    except KeyError:
        file = None
    if file is None:
        raise StoreError(f"the archive has no {name}: it is no backup of hitsave")
    with file:
        return file.read()
