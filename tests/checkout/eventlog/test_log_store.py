"""The log: entries are chained sale by sale, added in their change's transaction, and never changed again."""

import hashlib
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from checkout.database import ShopDatabase
from checkout.eventlog.entries import NEW, Draft, Entry, Head, block_hash, canonical, entry_hash
from checkout.eventlog.sealing import Sealer
from checkout.eventlog.store import append, heads, read, stream
from checkout.tables import EVENT_LOG, LOG_BLOCKS, LOG_MEMBERS, SEALED
from tests.checkout.reservations import at_once

AT_MS = 1_800_000_000_000


def a_draft(
    stream: str = "R1", kind: str = "made", at_ms: int = AT_MS, event: str = "e", **body: Any
) -> Draft:
    """Say that something has happened."""
    return Draft(event, stream, kind, body, at_ms)


def entries(database: ShopDatabase, event: str | None = None, until_ms: int | None = None) -> list[Entry]:
    """Read the log."""
    with database.reading() as connection:
        return list(read(connection, event, until_ms))


def add(database: ShopDatabase, *drafts: Draft, known: dict[str, Head] | None = None) -> dict[str, Head]:
    """Add entries in a transaction of their own."""
    with database.writing() as connection:
        return append(connection, drafts, known)


# ---------------------------------------------------------------------------------- the form


def test_the_hash_is_that_of_the_parts_with_their_lengths() -> None:
    """Written out once, octet by octet: whoever checks a log with another program needs exactly this."""
    octets = (
        b"\x00\x00\x00\x08wr-log-1"
        b"\x00\x00\x00\x01e"
        b"\x00\x00\x00\x02R1"
        b"\x00\x00\x00\x012"
        b"\x00\x00\x00\x0212"
        b"\x00\x00\x00\x04sold"
        b'\x00\x00\x00\x0c{"a":"\xc3\xa4\xc3\xb6"}'
        b"\x00\x00\x00\x02ff"
    )
    block = (
        b"\x00\x00\x00\x0awr-block-1"
        b"\x00\x00\x00\x013"
        b"\x00\x00\x00\x0212"
        b"\x00\x00\x00\x02aa"
        b"\x00\x00\x00\x01b"
        b"\x00\x00\x00\x01c"
    )

    assert entry_hash("e", "R1", 2, 12, "sold", '{"a":"äö"}', "ff") == hashlib.sha256(octets).hexdigest()
    assert block_hash(3, 12, "aa", ["b", "c"]) == hashlib.sha256(block).hexdigest()


@pytest.mark.parametrize("length", [0, 255, 256, 65_536])
def test_a_long_part_has_its_length_too(length: int) -> None:
    """In four octets, whatever it is; counted are octets and not letters."""
    body = "é" * (length // 2) + "x" * (length % 2)
    octets = b"".join(
        len(part).to_bytes(4, "big") + part
        for part in (b"wr-log-1", b"e", b"R", b"1", b"2", b"k", body.encode(), b"")
    )

    assert entry_hash("e", "R", 1, 2, "k", body, "") == hashlib.sha256(octets).hexdigest()


def test_parts_that_run_together_are_still_two() -> None:
    """Without lengths these would be one and the same."""
    one = entry_hash("e", "R1", 11, 2, "k", "{}", "")
    two = entry_hash("e", "R1", 1, 12, "k", "{}", "")

    assert one != two


def test_a_body_has_one_form() -> None:
    """Whatever the order in which it was put together."""
    assert canonical({"b": 1, "a": [1, 2]}) == canonical({"a": (1, 2), "b": 1}) == '{"a":[1,2],"b":1}'


# ------------------------------------------------------------------------------------ adding


def test_entries_are_numbered_and_chained_stream_by_stream(shop_database: ShopDatabase) -> None:
    """Several streams and several entries of one, with one call."""
    ends = add(shop_database, a_draft("R1"), a_draft("R2", n=2), a_draft("R1", "sold"))
    ends |= add(shop_database, a_draft("R1", "returned"), known=ends)

    found = entries(shop_database)
    assert [(one.stream, one.seq, one.kind) for one in found] == [
        ("R1", 1, "made"), ("R1", 2, "sold"), ("R1", 3, "returned"), ("R2", 1, "made"),
    ]  # fmt: skip
    assert [one.prev for one in found] == ["", found[0].hash, found[1].hash, ""]
    assert all(one.hash == one.right_hash() for one in found)
    assert found[3].read() == {"n": 2}
    with shop_database.reading() as connection:
        assert heads(connection, ["R1", "R2", "R3"]) == ends == {
            "R1": Head(3, found[2].hash, AT_MS), "R2": Head(1, found[3].hash, AT_MS),
        }  # fmt: skip
        assert stream(connection, "R1") == found[:3]
        assert append(connection, []) == {}


def test_of_two_who_know_the_same_end_one_is_refused(shop_database: ShopDatabase) -> None:
    """The slower one hears what it hears from any other unique row."""
    known = add(shop_database, a_draft())
    add(shop_database, a_draft(kind="sold"), known=known)

    with pytest.raises(IntegrityError):
        add(shop_database, a_draft(kind="lapsed"), known=known)
    with pytest.raises(IntegrityError):
        add(shop_database, a_draft(), known={"R1": NEW})
    assert [one.kind for one in entries(shop_database)] == ["made", "sold"]


def test_of_many_at_once_one_goes_on(shop_database: ShopDatabase) -> None:
    """Eight threads that all name the same end; the stream has no gap and no fork."""
    known = add(shop_database, a_draft())

    def one(number: int) -> bool:
        try:
            add(shop_database, a_draft(kind=f"k{number}"), known=known)
        except IntegrityError:
            return False
        return True

    assert sum(at_once([lambda number=number: one(number) for number in range(8)])) == 1  # type: ignore[misc]
    assert [one.seq for one in entries(shop_database)] == [1, 2]


def test_a_transaction_that_fails_leaves_no_entry(shop_database: ShopDatabase) -> None:
    """Change and entry are there together or not at all."""

    def failing() -> None:
        with shop_database.writing() as connection:
            append(connection, [a_draft()])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()

    assert entries(shop_database) == []


# ------------------------------------------------------------------------------------- time


def test_time_never_goes_back_within_a_stream(shop_database: ShopDatabase) -> None:
    """Two workers whose clocks differ: the later entry is dated like the one before it."""
    known = add(shop_database, a_draft(at_ms=AT_MS), a_draft(kind="sold", at_ms=AT_MS - 5))
    add(shop_database, a_draft(kind="returned", at_ms=AT_MS - 1), known=known)
    add(shop_database, a_draft("R2", at_ms=AT_MS - 9))

    assert [one.at_ms for one in entries(shop_database)] == [AT_MS, AT_MS, AT_MS, AT_MS - 9]


@pytest.mark.parametrize(
    ("until_ms", "count"), [(AT_MS, 0), (AT_MS + 1, 1), (AT_MS + 10, 1), (AT_MS + 11, 2)]
)
def test_what_is_read_ends_before_a_time(shop_database: ShopDatabase, until_ms: int, count: int) -> None:
    """Half-open, as everywhere."""
    add(shop_database, a_draft(at_ms=AT_MS), a_draft(kind="sold", at_ms=AT_MS + 10))

    assert len(entries(shop_database, until_ms=until_ms)) == count


def test_one_event_is_read_by_itself(shop_database: ShopDatabase) -> None:
    """And each of them is in the whole."""
    add(shop_database, a_draft("R1"), a_draft("R2", event="f"))

    assert [one.stream for one in entries(shop_database, "f")] == ["R2"]
    assert len(entries(shop_database)) == 2


# ------------------------------------------------------------------------------------- doors

KEYS: dict[sa.Table, dict[str, Any]] = {
    EVENT_LOG: {"event_id": "x"},
    LOG_BLOCKS: {"hash": "x"},
    LOG_MEMBERS: {"block": 9},
}


@pytest.fixture
def sealed(shop_database: ShopDatabase) -> ShopDatabase:
    """Give a log with a row in each of its tables."""
    add(shop_database, a_draft(), a_draft("R2"))
    assert Sealer(shop_database).seal(AT_MS) == 2
    return shop_database


def dump(database: ShopDatabase) -> dict[str, list[tuple[Any, ...]]]:
    """Read all tables of the log."""
    with database.reading() as connection:
        return {table.name: [tuple(row) for row in connection.execute(sa.select(table))] for table in SEALED}


@pytest.mark.parametrize("table", SEALED, ids=lambda table: table.name)
def test_no_row_of_the_log_is_changed_or_deleted(sealed: ShopDatabase, table: sa.Table) -> None:
    """By the database itself, in words that say why; adding goes on."""
    before = dump(sealed)
    for act in (sa.update(table).values(**KEYS[table]), sa.delete(table)):
        with (
            pytest.raises(IntegrityError, match=f"{table.name} is append-only"),
            sealed.writing() as connection,
        ):
            connection.execute(act)

    assert dump(sealed) == before
    add(sealed, a_draft("R3"))


@pytest.mark.parametrize("table", SEALED, ids=lambda table: table.name)
def test_no_row_of_the_log_is_replaced(sealed: ShopDatabase, table: sa.Table) -> None:
    """What deletes on the way: INSERT OR REPLACE, which fires no trigger of a deletion on SQLite; and ON CONFLICT."""
    before = dump(sealed)
    row = dict(zip((column.name for column in table.columns), before[table.name][0], strict=True))
    values = row | KEYS[table]
    names, given = ", ".join(values), ", ".join(f":{name}" for name in values)
    key = next(iter(table.primary_key)).name
    insert = f"INTO {table.name} ({names}) VALUES ({given})"
    kinds = [
        f"INSERT {insert} ON CONFLICT ({key}) DO UPDATE SET {next(iter(KEYS[table]))} = :{next(iter(KEYS[table]))}"
    ]
    if sealed.dialect == "sqlite":
        kinds += [f"INSERT OR REPLACE {insert}", f"REPLACE {insert}"]
        if table is EVENT_LOG:
            # Another id, the same place in the stream.
            kinds.append(f"REPLACE {insert}".replace(":id", "NULL"))
    for statement in kinds:
        with pytest.raises(IntegrityError, match="append-only"), sealed.writing() as connection:
            connection.execute(sa.text(statement), values)

    assert dump(sealed) == before


@pytest.mark.parametrize("table", SEALED, ids=lambda table: table.name)
def test_no_table_of_the_log_is_emptied(sealed: ShopDatabase, table: sa.Table) -> None:
    """TRUNCATE is PostgreSQL's; SQLite's DELETE without a condition looks at no row, unless there is a trigger."""
    before = dump(sealed)
    act = "TRUNCATE" if sealed.dialect == "postgresql" else "DELETE FROM"

    with pytest.raises(IntegrityError, match="append-only"), sealed.writing() as connection:
        connection.execute(sa.text(f"{act} {table.name}"))

    assert dump(sealed) == before
