"""Alembic's way in: run the steps on the connection that was handed over, in its transaction."""

from alembic import context

from checkout.migrations import VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
with context.begin_transaction():
    context.run_migrations()
