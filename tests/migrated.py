"""Migrated: an empty database gets its tables by what migrating another one said, and not by migrating.

Migrating takes Alembic a fifth of a second for the shop and a tenth for the journal, and most tests of an application
begin with it. The first empty database of each kind is migrated; the same statements with the same values make the
others, in a twentieth of that. That migrating makes what it should, from any version, is the matter of the tests of
migrations: there it is always real.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.engine import Connection

from kernel import migrating

_LOOKS = ("SELECT", "PRAGMA", "SHOW")

Said = list[tuple[str, Any]]


class Migrated:
    """Stands before Alembic in ``kernel.migrating``."""

    def __init__(self) -> None:
        """Know no database yet."""
        self.is_real = False
        self._said: dict[tuple[str, str], Said] = {}
        self._turn = threading.Lock()

    def upgrade(self, config: Config, revision: str) -> None:
        """Bring a database to the newest version."""
        connection: Connection = config.attributes["connection"]
        kind = (str(config.get_main_option("script_location")), connection.dialect.name)
        if self.is_real or revision != "head" or _has_tables(connection):
            command.upgrade(config, revision)
            return
        with self._turn:
            said = self._said.get(kind)
        if said is not None:
            for statement, values in said:
                connection.exec_driver_sql(statement, values or None)
            return
        with _heard(connection) as said:
            command.upgrade(config, revision)
        with self._turn:
            self._said[kind] = said


MIGRATED = Migrated()


def copy_migrations() -> None:
    """Begin to stand there."""
    migrating.command = MIGRATED  # type: ignore[assignment]


def _has_tables(connection: Connection) -> bool:
    return bool(sa.inspect(connection).get_table_names())


@contextmanager
def _heard(connection: Connection) -> Iterator[Said]:
    said: Said = []

    def hear(_own: Any, _cursor: Any, statement: str, values: Any, _context: Any, is_many: bool) -> None:
        if not statement.lstrip().upper().startswith(_LOOKS):
            said.extend([(statement, one) for one in values] if is_many else [(statement, values)])

    sa.event.listen(connection, "before_cursor_execute", hear)
    try:
        yield said
    finally:
        sa.event.remove(connection, "before_cursor_execute", hear)
