"""`Database`: runs small functions in transactions, on SQLite or PostgreSQL, from an event loop.

SQLite answers a look-up by key in tens of microseconds, less than handing work to a thread costs, so those run on the
event loop itself, on one connection of their own. PostgreSQL waits for a network, so there everything runs in threads.
Reports (dashboard pages) run in threads on both: they may take 100 ms, and no look-up waits behind one.
"""

from __future__ import annotations

import asyncio
from collections import namedtuple
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from alembic import command
from alembic.config import Config as AlembicConfig
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine

T = TypeVar("T")
THREADS = 8


class Database:
    """An open database. `read` and `write` run `function(connection)` in one transaction and give its result back."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.is_sqlite = engine.dialect.name == "sqlite"
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="hitsave-db")
        # SQLite: the event loop's own connections, so that no look-up waits for a pool or pays for a check-out.
        self._reader = engine.connect().execution_options(isolation_level="AUTOCOMMIT") if self.is_sqlite else None
        self._writer = engine.connect() if self.is_sqlite else None

    async def read(self, function: Callable[[Connection], T]) -> T:
        """A look-up by index: microseconds on SQLite."""
        if self._reader is not None:
            return function(self._reader)
        return await self.report(function)

    async def write(self, function: Callable[[Connection], T]) -> T:
        """A short transaction that writes."""
        if self._writer is not None:
            with self._writer.begin():
                return function(self._writer)
        return await asyncio.get_running_loop().run_in_executor(self._threads, self.write_now, function)

    async def report(self, function: Callable[[Connection], T]) -> T:
        """A query that may take long; never blocks the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self.read_now, function)

    async def maintain(self, function: Callable[[Connection], T]) -> T:
        """A write transaction off the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self.write_now, function)

    def read_now(self, function: Callable[[Connection], T]) -> T:
        """As `report`, from ordinary code."""
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            return function(connection)

    def write_now(self, function: Callable[[Connection], T]) -> T:
        """As `write`, from ordinary code."""
        with self.engine.begin() as connection:
            return function(connection)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A write transaction as a block, from ordinary code."""
        with self.engine.begin() as connection:
            yield connection

    def close(self) -> None:
        """Let go of every connection and thread."""
        self._threads.shutdown(wait=True)
        for connection in (self._reader, self._writer):
            if connection is not None:
                connection.close()
        self.engine.dispose()


def open_database(url: str, *, migrate: bool = True) -> Database:
    """The database at `url`, brought to the current schema first."""
    return Database(open_engine(url, migrate=migrate))


def open_engine(url: str, *, migrate: bool = True) -> Engine:
    """The SQLAlchemy engine for `url`; a plain `postgresql://` uses psycopg."""
    parsed = sa.make_url(url)
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername.startswith("sqlite"):
        engine = _open_sqlite(parsed)
    else:
        engine = sa.create_engine(parsed, pool_size=THREADS, max_overflow=4, pool_pre_ping=True, pool_timeout=20)
    if migrate:
        upgrade(engine)
    return engine


def _open_sqlite(url: sa.URL) -> Engine:
    in_memory = url.database in (None, "", ":memory:")
    if not in_memory:
        path = Path(str(url.database))
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600, exist_ok=True)
    options: dict[str, Any] = {"poolclass": sa.StaticPool} if in_memory else {"pool_size": THREADS + 4}
    engine = sa.create_engine(url, connect_args={"check_same_thread": False, "timeout": 15}, **options)

    @sa.event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        # The driver must not open transactions by itself: ours say BEGIN IMMEDIATE, or a read that later writes
        # would fail with "database is locked" instead of waiting its turn.
        connection.isolation_level = None
        cursor = connection.cursor()
        # WAL with NORMAL: nothing committed is lost when the process dies; a power cut may lose the last moments.
        for pragma in (
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "foreign_keys=ON",
            "cache_size=-32000",
            "temp_store=MEMORY",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Bring the schema of `engine` to `revision`."""
    config = AlembicConfig()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            # Two servers that start together must not both migrate.
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(712008840)")
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def fetch(connection: Connection, statement: sa.Select[Any], parameters: dict[str, Any]) -> list[Any]:
    """Every row of one of the few statements that most requests run; `statement` must be a constant of a module.

    On SQLite the statement goes to the driver itself, compiled once: SQLAlchemy's own way costs more than the query.
    """
    if connection.dialect.name != "sqlite":
        return list(connection.execute(statement, parameters).all())
    compiled = _compiled.get(id(statement))
    if compiled is None:
        made = statement.compile(dialect=connection.dialect)
        row = namedtuple("row", [column.name for column in statement.selected_columns])  # type: ignore[misc]
        compiled = _compiled[id(statement)] = str(made), tuple(made.positiontup or ()), dict(made.params), row._make
    text, order, defaults, make = compiled
    values = [parameters[name] if name in parameters else defaults[name] for name in order]
    cursor = connection.connection.cursor()
    try:
        cursor.execute(text, values)
        return [make(found) for found in cursor.fetchall()]
    finally:
        cursor.close()


# By identity: these statements live as long as their modules.
_compiled: dict[int, tuple[str, tuple[str, ...], dict[str, Any], Callable[[Any], Any]]] = {}


def insert_ignore(connection: Connection, table: sa.Table, values: dict[str, Any]) -> bool:
    """Insert a row unless one with its key exists; whether it was inserted."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(table).values(**values).on_conflict_do_nothing().returning(sa.literal_column("1"))
    return connection.execute(statement).first() is not None


def upsert(
    connection: Connection, table: sa.Table, keys: tuple[str, ...], values: dict[str, Any], changes: dict[str, Any]
) -> None:
    """Insert `values`, or apply `changes` to the row that has the same `keys`."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(table).values(**values)
    connection.execute(statement.on_conflict_do_update(index_elements=list(keys), set_=changes))
