"""Templates: a database with the shop's tables, migrated once for the run and then only copied.

Migrating takes a quarter of a second and most tests of the shop begin with it. What they get instead is the same: on
SQLite a copy of the migrated file, on PostgreSQL the very statements that the migration sent. That a migrated database
is as it should be is test_migrations.py's own matter; there databases begin empty.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine, make_url

from checkout.database import ShopDatabase

_CHANGING = ("ALTER", "COMMENT", "CREATE", "DELETE", "DROP", "INSERT", "UPDATE")


class Templates:
    """The migrated tables of both kinds of databases, made when first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._statements: list[tuple[str, Any]] = []

    def fill(self, url: str) -> None:
        """Give an empty database its tables."""
        where = make_url(url)
        if where.get_backend_name() == "sqlite":
            assert where.database
            shutil.copyfile(self._file(), where.database)
        elif self._statements:
            self._say(url)
        else:
            self._statements = _said_by_migrating(url)

    def _file(self) -> Path:
        file = self._folder / "template.db"
        if not file.exists():
            _migrate(f"sqlite:///{file}")
            assert not file.with_suffix(".db-wal").exists()
        return file

    def _say(self, url: str) -> None:
        engine = sa.create_engine(make_url(url).set(drivername="postgresql+psycopg"), poolclass=sa.NullPool)
        with engine.begin() as connection:
            for statement, values in self._statements:
                connection.exec_driver_sql(statement, values or None)


def _migrate(url: str) -> None:
    database = ShopDatabase(url)
    database.open()
    database.close()


def _said_by_migrating(url: str) -> list[tuple[str, Any]]:
    with _heard() as said:
        _migrate(url)
    return [(text, values) for text, values in said if text.lstrip().upper().startswith(_CHANGING)]


@contextmanager
def _heard() -> Iterator[list[tuple[str, Any]]]:
    said: list[tuple[str, Any]] = []

    def hear(
        _connection: Any, _cursor: Any, statement: str, values: Any, _context: Any, is_many: bool
    ) -> None:
        said.extend([(statement, one) for one in values] if is_many else [(statement, values)])

    sa.event.listen(Engine, "before_cursor_execute", hear)
    try:
        yield said
    finally:
        sa.event.remove(Engine, "before_cursor_execute", hear)
