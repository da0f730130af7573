"""The history of the server's schema (Alembic)."""
