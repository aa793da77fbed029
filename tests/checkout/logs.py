"""Logs to test: the doors of the log's tables opened, as only somebody who owns the database can."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from checkout.database import ShopDatabase
from checkout.tables import SEALED


@contextmanager
def unsealed(connection: Connection) -> Iterator[None]:
    """Let rows of the log be changed and deleted, in this transaction, until the block ends."""
    names = [table.name for table in SEALED]
    if connection.dialect.name == "postgresql":
        for name in names:
            connection.execute(sa.text(f"ALTER TABLE {name} DISABLE TRIGGER USER"))
        yield
        for name in names:
            connection.execute(sa.text(f"ALTER TABLE {name} ENABLE TRIGGER USER"))
        return
    found = connection.execute(
        sa.text(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name IN :names"
        ).bindparams(sa.bindparam("names", names, expanding=True))
    ).all()
    for name, _ in found:
        connection.execute(sa.text(f"DROP TRIGGER {name}"))
    yield
    for _, statement in found:
        connection.exec_driver_sql(statement)


@contextmanager
def tampering(database: ShopDatabase) -> Iterator[Connection]:
    """Give a connection behind everybody's back."""
    with database.writing() as connection, unsealed(connection):
        yield connection
