"""What the tests of the shop may ask for: an empty database of their own, on either kind of database.

* ``empty_shop_url``: the address of an empty database, once on SQLite and once on PostgreSQL. No table is there yet.
* ``shop_url``: the same with the shop's tables (templates.py, schemas.py), and nothing in them.
* ``shop_database``: the same, opened: a ``ShopDatabase``, closed at the end of the test.
* ``shop_urls``: the addresses of three databases of one kind with the shop's tables, for a shop of shards.
* ``store_urls``: the addresses of two real stores, emptied before the test.
* ``postgres_url``: the server behind it, as the tests of the line start it.
"""

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest
import redis
from sqlalchemy.engine import make_url

from checkout.database import ShopDatabase
from kernel.embedded import EmbeddedStore
from tests.checkout.schemas import Schemas
from tests.checkout.templates import Templates
from tests.waitroom.conftest import postgres_url

__all__ = ["postgres_url"]


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """Give what fills empty databases with the shop's tables."""
    return Templates(tmp_path_factory.mktemp("templates"))


KINDS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]


@contextmanager
def _empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
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


@pytest.fixture(params=KINDS)
def empty_shop_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give the address of an empty database."""
    with _empty(request, tmp_path) as url:
        yield url


@pytest.fixture(params=KINDS)
def shop_url(request: pytest.FixtureRequest, tmp_path: Path, templates: Templates) -> Iterator[str]:
    """Give the address of a database with empty tables."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/shop.db"
        templates.fill(url)
        yield url
        return
    schemas: Schemas = request.getfixturevalue("schemas")
    with schemas.lent() as url:
        yield url


@pytest.fixture(scope="session")
def schemas(postgres_url: str, templates: Templates) -> Iterator[Schemas]:
    """Give what lends schemas with empty tables."""
    own = Schemas(postgres_url, templates)
    yield own
    own.close()


@pytest.fixture
def shop_database(shop_url: str) -> Iterator[ShopDatabase]:
    """Give an open database with empty tables."""
    database = ShopDatabase(shop_url)
    database.open()
    yield database
    database.close()


@pytest.fixture(scope="session")
def postgres_urls(postgres_url: str) -> Iterator[tuple[str, ...]]:
    """Give the addresses of three databases of one server, for the whole run: it takes seconds to make one."""
    names = [f"shop_{name}_{secrets.token_hex(6)}" for name in ("main", "a", "b")]
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        for name in names:
            connection.execute(f"CREATE DATABASE {name}")
    yield tuple(
        make_url(postgres_url).set(database=name).render_as_string(hide_password=False) for name in names
    )
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        for name in names:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=KINDS)
def shop_urls(
    request: pytest.FixtureRequest, tmp_path: Path, templates: Templates
) -> Iterator[tuple[str, ...]]:
    """Give the addresses of three databases, really three: a statement that knew two would fail."""
    if request.param == "sqlite":
        files = tuple(f"sqlite:///{tmp_path}/{name}.db" for name in ("main", "a", "b"))
        for url in files:
            templates.fill(url)
        yield files
        return
    servers: tuple[Schemas, ...] = request.getfixturevalue("schemas_of_three")
    with ExitStack() as stack:
        yield tuple(stack.enter_context(server.lent()) for server in servers)


@pytest.fixture(scope="session")
def schemas_of_three(postgres_urls: tuple[str, ...], templates: Templates) -> Iterator[tuple[Schemas, ...]]:
    """Give what lends schemas with empty tables in each of three databases."""
    three = tuple(Schemas(url, templates) for url in postgres_urls)
    yield three
    for one in three:
        one.close()


@pytest.fixture(scope="session")
def second_store_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of one more real store."""
    embedded = EmbeddedStore(tmp_path_factory.mktemp("store-2"))
    url = embedded.start()
    with redis.Redis.from_url(url, socket_timeout=15) as client:
        client.config_set("appendonly", "no")
    yield url
    embedded.stop()


@pytest.fixture
def store_urls(store_url: str, second_store_url: str) -> tuple[str, str]:
    """Give the addresses of two empty stores."""
    for url in (store_url, second_store_url):
        with redis.Redis.from_url(url, socket_timeout=15) as client:
            client.flushall()
    return store_url, second_store_url
