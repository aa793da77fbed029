"""What the tests of the shop may ask for: an empty database of their own, on either kind of database.

* ``shop_url``: the address of an empty database, once on SQLite and once on PostgreSQL. No table is there yet.
* ``shop_database``: the same, opened: a ``ShopDatabase`` with its tables, closed at the end of the test.
* ``postgres_url``: the server behind it, as the tests of the line start it.
"""

import secrets
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import make_url

from checkout.database import ShopDatabase
from tests.waitroom.conftest import postgres_url

__all__ = ["postgres_url"]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def shop_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give the address of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/shop.db"
        return
    server: str = request.getfixturevalue("postgres_url")
    # A schema and not a database for each test: it is there in milliseconds.
    name = f"shop_{secrets.token_hex(6)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
    address = make_url(server).update_query_dict({"options": f"-csearch_path={name}"})
    yield address.render_as_string(hide_password=False)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA {name} CASCADE")


@pytest.fixture
def shop_database(shop_url: str) -> Iterator[ShopDatabase]:
    """Give an open database with empty tables."""
    database = ShopDatabase(shop_url)
    database.open()
    yield database
    database.close()
