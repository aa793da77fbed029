"""Migrations of the shop's tables (``kernel.migrating``)."""

from pathlib import Path

from sqlalchemy import Connection

from kernel import migrating

VERSION_TABLE = "shop_version"
"""A table of its own: the journal may keep its tables, and their versions, in the same database."""


def upgrade(connection: Connection) -> None:
    """Bring the tables to the newest version. The caller holds the lock and commits."""
    migrating.upgrade(connection, Path(__file__).parent, VERSION_TABLE)
