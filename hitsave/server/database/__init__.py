"""The server's database: tables, how it is opened and migrated. SQLite by default, PostgreSQL for a team."""

from hitsave.server.database.engine import Database, open_database

__all__ = ["Database", "open_database"]
