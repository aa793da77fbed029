"""Columns: how the shop's tables write their columns; and ``META``, in which all of them stand.

A column is never empty unless it says so. Not here: the tables (``tables``, ``order_tables``).
"""

import sqlalchemy as sa

META = sa.MetaData()

COUNTED = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""Of a key that the database counts up by itself: SQLite does so for this kind of integer only."""


def whole(name: str, *, default: int | None = None, key: bool = False, empty: bool = False) -> sa.Column[int]:
    """Write a column of whole numbers."""
    return _number(name, sa.Integer(), default, key=key, empty=empty)


def large(name: str, *, default: int | None = None, key: bool = False, empty: bool = False) -> sa.Column[int]:
    """Write a column of large whole numbers: times (ms since 1970), money (minor units)."""
    return _number(name, sa.BigInteger(), default, key=key, empty=empty)


def words(name: str, *, key: bool = False, empty: bool = False) -> sa.Column[str]:
    """Write a column of text."""
    return sa.Column(name, sa.Text(), primary_key=key, nullable=empty)


def flag(name: str) -> sa.Column[bool]:
    """Write a column of yes and no."""
    return sa.Column(name, sa.Boolean(), nullable=False)


def _number(name: str, kind: sa.Integer, default: int | None, *, key: bool, empty: bool) -> sa.Column[int]:
    shown = None if default is None else sa.text(str(default))
    return sa.Column(name, kind, primary_key=key, autoincrement=False, nullable=empty, server_default=shown)
