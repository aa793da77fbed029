"""Migrations of the journal's tables (``kernel.migrating``).

A journal is never migrated backwards, because going back would mean to delete.
"""

from pathlib import Path

from sqlalchemy import Connection

from kernel import migrating

FOLDER = Path(__file__).parent
VERSION_TABLE = "journal_version"
"""A table of its own: other packages may keep their tables, and their versions, in the same database."""


def upgrade(connection: Connection) -> None:
    """Bring the tables to the newest version. The caller holds the lock and commits."""
    migrating.upgrade(connection, FOLDER, VERSION_TABLE)
