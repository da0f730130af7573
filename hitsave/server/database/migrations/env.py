"""Runs migrations on the connection that `engine.upgrade` hands over."""

from alembic import context

from hitsave.server.database.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite can't alter a table in place
)
with context.begin_transaction():
    context.run_migrations()
