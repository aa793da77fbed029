"""Migrations: how the journal's tables come to be, one numbered file for each change.

Alembic runs them at start, inside the transaction and under the lock that ``journal_store`` holds, so several
processes may start at once: one migrates, the others find the work done. A step is never edited after
a release; a journal is never migrated backwards, because going back would mean to delete.
"""

import logging
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

VERSION_TABLE = "journal_version"
"""A table of its own: other packages may keep their tables, and their versions, in the same database."""

_FOLDER = Path(__file__).parent


class NewerSchema(Exception):
    """A later version of the product has migrated this database; ours cannot know what it holds."""


def upgrade(connection: Connection) -> None:
    """Bring the tables to the newest version. The caller holds the lock and commits."""
    # Alembic tells every step at INFO, which nobody acts on.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    present = set(context.get_current_heads())
    script = ScriptDirectory.from_config(config)
    known = {revision.revision for revision in script.walk_revisions()}
    if unknown := present - known:
        raise NewerSchema(", ".join(sorted(unknown)))
    if present != set(script.get_heads()):
        command.upgrade(config, "head")
