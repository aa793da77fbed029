"""Schemas that are lent: the next test finds nothing of the one before, whatever that did."""

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from checkout.database import ShopDatabase
from tests.checkout.schemas import Schemas
from tests.checkout.templates import Templates

pytestmark = pytest.mark.postgres


@pytest.fixture
def own(postgres_url: str, templates: Templates) -> Iterator[Schemas]:
    """Give schemas that no other test is lent."""
    with closing(Schemas(postgres_url, templates)) as schemas:
        yield schemas


def _say(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def test_what_is_lent_again_is_the_same_and_empty(own: Schemas) -> None:
    """Rows are gone, those of a log that refuses it too, and ids begin at the start; the version stays."""
    with own.lent() as first:
        _say(first, "INSERT INTO organisers (id, name) VALUES ('o', 'Aurora')")
        version = _say(first, "SELECT version_num FROM shop_version")
        with pytest.raises(psycopg.errors.IntegrityConstraintViolation):
            _say(first, "TRUNCATE event_log")
        columns = _say(first, "SELECT nextval('event_log_id_seq')")

    with own.lent() as again:
        assert again == first
        assert _say(again, "SELECT count(*) FROM organisers") == [(0,)]
        assert _say(again, "SELECT nextval('event_log_id_seq')") == columns == [(1,)]
        assert _say(again, "SELECT version_num FROM shop_version") == version
        with pytest.raises(psycopg.errors.IntegrityConstraintViolation):
            _say(again, "TRUNCATE event_log")


def test_two_at_once_are_two(own: Schemas) -> None:
    """A schema that somebody has is lent to nobody else."""
    with own.lent() as one, own.lent() as other:
        _say(one, "INSERT INTO organisers (id, name) VALUES ('o', 'Aurora')")
        assert _say(other, "SELECT count(*) FROM organisers") == [(0,)]
    with own.lent() as one, own.lent() as other:
        assert one != other


@pytest.mark.parametrize(
    "change",
    [
        "DROP INDEX reservation_seats_active",
        "DROP TABLE hold_journal",
        "ALTER TABLE hold_journal RENAME TO away",
        "ALTER TABLE event_log DISABLE TRIGGER USER",
        "ALTER TABLE organisers ADD COLUMN more TEXT",
        "ALTER TABLE organisers ALTER COLUMN name DROP NOT NULL",
        "ALTER TABLE organisers ALTER COLUMN name SET DEFAULT 'x'",
        "ALTER TABLE organisers ADD CHECK (name <> '')",
        "ALTER TABLE organisers ALTER COLUMN name TYPE VARCHAR(9)",
        "CREATE TABLE more (id TEXT)",
        "CREATE FUNCTION more() RETURNS INTEGER LANGUAGE sql AS 'SELECT 1'",
        "CREATE TYPE more AS ENUM ('a')",
        "CREATE VIEW more AS SELECT 1 AS one",
        "UPDATE shop_version SET version_num = '0001'",
        "DELETE FROM shop_version",
    ],
)
def test_a_schema_with_other_laws_is_not_lent_again(own: Schemas, change: str) -> None:
    """Whatever a test changes besides rows, the next one gets a schema that was never lent."""
    with own.lent() as first:
        _say(first, change)

    with own.lent() as second:
        assert second != first
    with own.lent() as third:
        assert third == second


def test_what_came_back_may_be_lent_again(own: Schemas) -> None:
    """A trigger that was off for a moment is on again."""
    with own.lent() as first:
        for state in ("DISABLE", "ENABLE"):
            _say(first, f"ALTER TABLE event_log {state} TRIGGER USER")
    with own.lent() as again:
        assert again == first


def test_whoever_is_still_connected_is_hung_up_on(own: Schemas) -> None:
    """A test that leaves a transaction open blocks nobody and writes nothing into the next one's tables."""
    with own.lent() as first:
        database = ShopDatabase(first)
        kept = database._engine.connect()
        kept.exec_driver_sql("INSERT INTO organisers (id, name) VALUES ('late', 'Late')")

    with own.lent() as again:
        assert again == first
        assert kept.connection.dbapi_connection is not None
        with pytest.raises(psycopg.OperationalError):
            kept.connection.dbapi_connection.cursor().execute("COMMIT")
        assert _say(again, "SELECT count(*) FROM organisers") == [(0,)]
    kept.invalidate()
    kept.close()
    database.close()
