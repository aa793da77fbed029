"""The shop's databases: the tables that are made are the tables that the code names, on SQLite and PostgreSQL."""

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import IntegrityError

from checkout import migrations
from checkout.audit.checking import KINDS
from checkout.database import ShopDatabase
from checkout.eventlog.entries import canonical
from checkout.eventlog.store import stream
from checkout.eventlog.verifying import verify
from checkout.migrations import VERSION_TABLE
from checkout.sales.replaying import compare
from checkout.tables import (
    EVENTS,
    LOG_BLOCKS,
    META,
    ORGANISERS,
    RESERVATION_SEATS,
    RESERVATIONS,
    SEALED,
    SEATS,
    WAITLIST,
)
from kernel.errors import Misconfigured, Unavailable
from tests.checkout.templates import Templates

pytestmark = pytest.mark.usefixtures("real_migrations")


@pytest.fixture
def shop_database(empty_shop_url: str) -> Iterator[ShopDatabase]:
    """Give a database that was really migrated."""
    database = ShopDatabase(empty_shop_url)
    database.open()
    yield database
    database.close()


def _differences(connection: sa.Connection, meta: sa.MetaData) -> list[object]:
    options = {
        "version_table": VERSION_TABLE,
        "compare_type": True,
        "compare_server_default": True,
    }
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), meta))


def test_the_migrated_tables_are_those_that_the_code_names(shop_database: ShopDatabase) -> None:
    """Columns, types, defaults, keys and indexes agree in both directions."""
    with shop_database.reading() as connection:
        differences = _differences(connection, META)
        keys = {name: sa.inspect(connection).get_pk_constraint(name) for name in META.tables}

    assert differences == []
    for name, table in META.tables.items():
        assert keys[name]["constrained_columns"] == [column.name for column in table.primary_key]


def _laws(connection: sa.Connection) -> list[str]:
    """Return every index, trigger and version of a database, as its own words say."""
    if connection.dialect.name == "sqlite":
        rows = connection.exec_driver_sql(
            "SELECT type || ' ' || name || ' ' || coalesce(sql, '') FROM sqlite_master"
        )
    else:
        rows = connection.exec_driver_sql(
            "SELECT replace(indexdef, schemaname, '') FROM pg_indexes WHERE schemaname = current_schema()"
            " UNION ALL SELECT replace(pg_get_triggerdef(t.oid), current_schema(), '') FROM pg_trigger t"
            " JOIN pg_class c ON c.oid = t.tgrelid WHERE c.relnamespace = current_schema()::regnamespace"
            " UNION ALL SELECT proname || prosrc FROM pg_proc WHERE pronamespace = current_schema()::regnamespace"
            " UNION ALL SELECT conname || pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE connamespace = current_schema()::regnamespace"
        )
    versions = connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}")  # noqa: S608 (our own)
    return sorted([row[0] for row in rows] + [row[0] for row in versions])


def _wiped(url: str) -> str:
    """Empty a database, and return its address."""
    where = sa.engine.make_url(url)
    if where.database and where.get_backend_name() == "sqlite":
        Path(where.database).unlink()
        return url
    schema = str(where.query["options"]).rpartition("=")[2]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA {schema} CASCADE; CREATE SCHEMA {schema}")
    return url


def test_the_tables_that_other_tests_begin_with_are_the_migrated_ones(
    empty_shop_url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Tables, indexes, laws and version; on PostgreSQL the first is itself migrated, so the second is looked at."""
    templates = Templates(tmp_path_factory.mktemp("fresh"))
    templates.fill(empty_shop_url)
    templates.fill(_wiped(empty_shop_url))
    with closing(ShopDatabase(empty_shop_url)) as database, database.reading() as connection:
        assert _differences(connection, META) == []
        filled = _laws(connection)
    with closing(ShopDatabase(_wiped(empty_shop_url))) as database:
        database.open()
        with database.reading() as connection:
            assert _laws(connection) == filled
    assert len(filled) > len(META.tables)


def test_a_table_that_was_forgotten_would_be_seen(shop_database: ShopDatabase) -> None:
    """The comparison finds a column that only the code has, and one that only the database has."""
    other = sa.MetaData()
    for table in META.tables.values():
        table.to_metadata(other)
    other.tables["seats"].append_column(sa.Column("row", sa.Integer))
    other.remove(other.tables["tiers"])

    with shop_database.reading() as connection:
        kinds = {str(difference[0]) for difference in _differences(connection, other)}  # type: ignore[index]

    assert kinds == {"add_column", "remove_table"}


def test_the_two_laws_are_partial_unique_indexes(shop_database: ShopDatabase) -> None:
    """One active reservation a seat, one stand on the waitlist a buyer; what is over does not count."""
    seat = {"event_id": "a", "seat": 7, "tier": 0, "price_minor": 1, "active": True}
    stand = {"event_id": "a", "buyer": "b", "wanted": 2, "state": "waiting", "created_ms": 1}

    with shop_database.writing() as connection:
        connection.execute(sa.insert(RESERVATION_SEATS), seat | {"reservation_id": "r1", "active": False})
        connection.execute(sa.insert(RESERVATION_SEATS), seat | {"reservation_id": "r2"})
        connection.execute(sa.insert(WAITLIST), stand | {"number": 1, "state": "left"})
        connection.execute(sa.insert(WAITLIST), stand | {"number": 2, "state": "offered"})

    with pytest.raises(IntegrityError), shop_database.writing() as connection:
        connection.execute(sa.insert(RESERVATION_SEATS), seat | {"reservation_id": "r3"})
    with pytest.raises(IntegrityError), shop_database.writing() as connection:
        connection.execute(sa.insert(WAITLIST), stand | {"number": 3})


def test_a_new_seat_begins_at_version_epoch_and_fence_nought(shop_database: ShopDatabase) -> None:
    """The defaults are the database's own, so that a bulk insert need not name them."""
    with shop_database.writing() as connection:
        connection.execute(sa.insert(SEATS), {"event_id": "a", "seat": 0, "status": 0, "tier": 1})

    with shop_database.reading() as connection:
        row = connection.execute(sa.select(SEATS)).one()
    assert (row.version, row.epoch, row.fence, row.reservation_id, row.allocation) == (0, 0, 0, None, None)


def test_several_may_open_an_empty_database_at_once(empty_shop_url: str) -> None:
    """One migrates, the others find the work done."""
    faults: list[BaseException] = []

    def opening() -> None:
        try:
            with closing(ShopDatabase(empty_shop_url)) as database:
                database.open()
        except BaseException as error:  # noqa: BLE001 (whatever it is, the test tells it)
            faults.append(error)

    threads = [threading.Thread(target=opening) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert faults == []


def test_a_database_of_a_newer_version_is_not_touched(empty_shop_url: str) -> None:
    """What a later product wrote is told, not guessed at."""
    with closing(ShopDatabase(empty_shop_url)) as database:
        database.open()
        with database.writing() as connection:
            connection.execute(
                sa.update(sa.table(VERSION_TABLE, sa.column("version_num"))).values(version_num="9999")
            )

        with pytest.raises(Misconfigured, match="newer version"):
            database.open()


def test_a_failed_transaction_leaves_nothing(shop_database: ShopDatabase) -> None:
    """All or nothing, also when the caller's own code fails."""

    def failing() -> None:
        with shop_database.writing() as connection:
            connection.execute(sa.insert(ORGANISERS), {"id": "o", "name": "O"})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()

    with shop_database.reading() as connection:
        assert connection.execute(sa.select(ORGANISERS)).all() == []


def test_listing_cannot_write(shop_database: ShopDatabase) -> None:
    """The connection of lists and search refuses to write, wherever it stands."""
    with pytest.raises(Unavailable), shop_database.listing() as connection:
        connection.execute(sa.insert(ORGANISERS), {"id": "o", "name": "O"})


def test_listing_may_stand_on_another_database(
    shop_database: ShopDatabase, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A replica's address is asked by listings only."""
    replica = f"sqlite:///{tmp_path_factory.mktemp('replica')}/shop.db"
    with closing(ShopDatabase(replica)) as made:
        made.open()
        with made.writing() as connection:
            connection.execute(sa.insert(ORGANISERS), {"id": "o", "name": "only in the replica"})
    url = shop_database._engine.url.render_as_string(hide_password=False)

    with closing(ShopDatabase(url, replica)) as both:
        with both.listing() as connection:
            assert [row.id for row in connection.execute(sa.select(ORGANISERS))] == ["o"]
        with both.reading() as connection:
            assert connection.execute(sa.select(ORGANISERS)).all() == []


def test_what_the_database_refuses_is_unavailable(empty_shop_url: str) -> None:
    """No table yet: the caller hears that the shop is away, not a word of SQL."""
    with (
        closing(ShopDatabase(empty_shop_url)) as database,
        pytest.raises(Unavailable) as caught,
        database.reading() as connection,
    ):
        connection.execute(sa.select(EVENTS))

    assert caught.value.code == "shop-away"
    assert "SELECT" not in caught.value.public


# ------------------------------------------------------------------------------------- the log


def _sale(number: int, state: str, version: int) -> dict[str, Any]:
    return {
        "id": f"R{number}", "event_id": "a", "buyer": "änn", "hold_id": f"h{number}", "state": state, "epoch": 1,
        "fence": number, "price_version": 1, "currency": "EUR", "total_minor": 8400, "created_ms": 1000 + number,
        "until_ms": 9000 + number, "version": version,
    }  # fmt: skip


def _at_version_1(database: ShopDatabase) -> None:
    """Make the tables as they were before there was a log."""
    with database.writing(turn=True) as connection:
        config = Config()
        config.set_main_option("script_location", str(Path(migrations.__file__).parent))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")


def test_what_was_sold_before_the_log_is_in_it(empty_shop_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each reservation gets its entries, chained as the log does it; folded they are the very rows."""
    step = ScriptDirectory(str(Path(migrations.__file__).parent)).get_revision("0002")
    monkeypatch.setattr(step.module, "_BATCH", 2)
    states = ["active", "released", "lapsed", "sold", "active"]
    with closing(ShopDatabase(empty_shop_url)) as database:
        _at_version_1(database)
        with database.writing() as connection:
            for number, state in enumerate(states):
                connection.execute(
                    sa.insert(RESERVATIONS), _sale(number, state, 1 if state == "active" else 2)
                )
                for seat in (2 * number + 1, 2 * number):
                    own = {"reservation_id": f"R{number}", "event_id": "a", "seat": seat, "tier": 0}
                    stands = state in {"active", "sold"}
                    connection.execute(
                        sa.insert(RESERVATION_SEATS), own | {"price_minor": 4200, "active": stands}
                    )
                    row = {"event_id": "a", "seat": seat, "status": 0, "tier": 0}
                    if stands:
                        row |= {"status": 3 if state == "sold" else 2, "reservation_id": f"R{number}"}
                    connection.execute(sa.insert(SEATS), {"reservation_id": None} | row)

        database.open()

        with database.reading() as connection:
            checked = verify(connection, 0)
            assert list(compare(connection, KINDS, "a")) == []
            first, last = stream(connection, "R1")
        assert (checked.faults, checked.streams, checked.entries) == ([], 5, 8)
        assert (first.at_ms, last.kind, last.at_ms, last.read()) == (
            1001,
            "released",
            9001,
            {"before_log": True},
        )
        assert first.read()["buyer"] == "änn"
        assert first.body == canonical(first.read())


def test_the_log_is_closed_to_changes_after_an_upgrade(empty_shop_url: str) -> None:
    """The triggers are there, whether a database is new or was brought up to date, and so they refuse."""
    with closing(ShopDatabase(empty_shop_url)) as database:
        _at_version_1(database)
        database.open()
        with database.reading() as connection:
            if database.dialect == "sqlite":
                query = "SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger'"
            else:
                query = (
                    "SELECT DISTINCT tgname, relname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid "
                    "WHERE NOT tgisinternal AND relnamespace = current_schema()::regnamespace AND tgenabled = 'O'"
                )
            found = {tuple(row) for row in connection.exec_driver_sql(query)}

        kinds = ("update", "delete", "replace") if database.dialect == "sqlite" else ("change", "truncate")
        assert found == {(f"{table.name}_no_{kind}", table.name) for table in SEALED for kind in kinds}
        with database.writing() as connection:
            row = {"number": 1, "at_ms": 1, "entries": 0, "prev": "", "hash": ""}
            connection.execute(sa.insert(LOG_BLOCKS), row)
        with pytest.raises(IntegrityError, match="append-only"), database.writing() as connection:
            connection.execute(sa.delete(LOG_BLOCKS))
