"""Verifying: whatever is changed, left out, put in or reordered in a log is found, and said where."""

import inspect
import types
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from checkout.database import ShopDatabase
from checkout.eventlog import verifying
from checkout.eventlog.entries import Entry, Head, block_hash, entry_hash
from checkout.eventlog.sealing import Sealer
from checkout.eventlog.store import append, at_one_moment, read
from checkout.eventlog.verifying import PATIENCE_MS, TOLD, Anchor, Checked, verify, verify_event
from checkout.tables import EVENT_LOG, LOG_BLOCKS, LOG_MEMBERS
from tests.checkout.eventlog.test_log_store import AT_MS, a_draft, add
from tests.checkout.logs import tampering

NOW_MS = AT_MS + 10 * PATIENCE_MS
LOG, BLOCKS, MEMBERS = EVENT_LOG.c, LOG_BLOCKS.c, LOG_MEMBERS.c


@pytest.fixture
def written(shop_database: ShopDatabase) -> ShopDatabase:
    """Give a log of three streams in three blocks: R1 has three entries, R2 two, R3 one."""
    ends: dict[str, Head] = {}
    rounds = (("R1", "R2"), ("R1", "R3"), ("R1", "R2"))
    for number, streams in enumerate(rounds):
        drafts = [a_draft(name, f"k{number}", AT_MS + number, n=number) for name in streams]
        ends |= add(shop_database, *drafts, known=ends)
        Sealer(shop_database).seal(AT_MS + number)
    return shop_database


def checked(database: ShopDatabase, now_ms: int = NOW_MS, **options: Any) -> Checked:
    """Verify a database."""
    with database.reading() as connection:
        return verify(at_one_moment(connection), now_ms, **options)


def told(database: ShopDatabase, **options: Any) -> list[str]:
    """Verify and tell the faults."""
    return [f"{where}: {what}" for where, what in checked(database, **options).faults]


def one(connection: Connection, stream: str, seq: int) -> Entry:
    """Read an entry."""
    return next(entry for entry in read(connection) if (entry.stream, entry.seq) == (stream, seq))


def change(connection: Connection, stream: str, seq: int, /, **values: object) -> None:
    """Change an entry."""
    connection.execute(sa.update(EVENT_LOG).where(LOG.stream == stream, LOG.seq == seq).values(**values))


def test_a_log_as_it_was_written_is_right(written: ShopDatabase) -> None:
    """And is told in lines, with the newest block, to be noted elsewhere."""
    found = checked(written)

    assert found.is_right
    assert (found.entries, found.streams, found.blocks, found.last.number) == (6, 3, 3, 3)
    lines = list(found.lines())
    assert lines[0] == "6 entries in 3 streams, 3 blocks"
    assert lines[1] == f"newest block 3:{found.last.hash}"
    assert lines[-1] == "the log is as it was written"


def test_an_empty_log_is_right(shop_database: ShopDatabase) -> None:
    """Nothing was written, nothing is missing."""
    assert list(checked(shop_database).lines()) == [
        "0 entries in 0 streams, 0 blocks", "the log is as it was written",
    ]  # fmt: skip


# ----------------------------------------------------------------------------------- fields

WRONG = "its hash is not that of what it says"
BLOCK = "its hash is not that of what it says and of its entries"
PREV = "it names another hash than that of the entry before"
PREV_BLOCK = "it names another hash than that of the block before"


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("body", '{"n":9}', [f"R1 entry 2: {WRONG}"]),
        ("kind", "k9", [f"R1 entry 2: {WRONG}"]),
        ("at_ms", AT_MS + 2, [f"R1 entry 2: {WRONG}"]),
        (
            "at_ms",
            AT_MS - 7,
            [f"R1 entry 2: {WRONG}", "R1 entry 2: its time is 7 ms before that of the entry before"],
        ),
        (
            "event_id",
            "f",
            [f"R1 entry 2: {WRONG}", "R1 entry 2: it is of event f, its stream of event e"],
        ),
        ("prev", "", [f"R1 entry 2: {PREV}", f"R1 entry 2: {WRONG}"]),
        ("hash", "00", [f"R1 entry 2: {WRONG}", f"R1 entry 3: {PREV}", f"block 2: {BLOCK}"]),
        (
            "seq",
            9,
            [
                "R1 entry 3: it comes after entry 1",
                "R1 entry 9: it comes after entry 3",
                f"R1 entry 9: {WRONG}",
                "R1 entry 9: its time is 1 ms before that of the entry before",
            ],
        ),
        (
            "stream",
            "R9",
            [
                "R1 entry 3: it comes after entry 1",
                "R9 entry 2: it is the first that is there",
                f"R9 entry 2: {WRONG}",
            ],
        ),
    ],
)
def test_a_field_of_an_entry_that_was_changed_is_found(
    written: ShopDatabase, field: str, value: object, expected: list[str]
) -> None:
    """Each field, and nothing but what is wrong."""
    with tampering(written) as connection:
        change(connection, "R1", 2, **{field: value})

    assert sorted(line.removeprefix("stream ") for line in told(written)) == sorted(expected)


def test_an_id_that_was_changed_is_found(written: ShopDatabase) -> None:
    """Ids are in no hash, but blocks name them."""
    with tampering(written) as connection:
        id_ = one(connection, "R3", 1).id
        change(connection, "R3", 1, id=99)

    late_s = (NOW_MS - PATIENCE_MS - AT_MS - 1) // 1000
    assert told(written) == [
        f"block 2: 1 of its entries are gone: id {id_}",
        f"stream R3 entry 1: it is in no block, {late_s:,} s longer than it may be; is a sealer running?",
    ]


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("at_ms", AT_MS, [f"block 2: {BLOCK}"]),
        (
            "at_ms",
            AT_MS - 7,
            ["block 2: its time is 7 ms before that of the block before", f"block 2: {BLOCK}"],
        ),
        ("entries", 3, ["block 2: it has 2 entries and says 3"]),
        ("prev", "", [f"block 2: {PREV_BLOCK}", f"block 2: {BLOCK}"]),
        ("hash", "00", [f"block 2: {BLOCK}", f"block 3: {PREV_BLOCK}"]),
    ],
)
def test_a_field_of_a_block_that_was_changed_is_found(
    written: ShopDatabase, field: str, value: object, expected: list[str]
) -> None:
    """Each field."""
    with tampering(written) as connection:
        connection.execute(sa.update(LOG_BLOCKS).where(BLOCKS.number == 2).values(**{field: value}))

    assert told(written) == expected


def test_a_block_that_has_another_number_is_found(written: ShopDatabase) -> None:
    """Its entries are in a block that is not there."""
    with tampering(written) as connection:
        ids = [one(connection, "R1", 2).id, one(connection, "R3", 1).id]
        connection.execute(sa.update(LOG_BLOCKS).where(BLOCKS.number == 2).values(number=9))

    assert told(written) == [
        *(f"entry with id {id_}: it is in block 2, which is not there" for id_ in sorted(ids)),
        "block 3: it comes after block 1",
        "block 9: it comes after block 3",
        "block 9: its time is 1 ms before that of the block before",
        "block 9: it has 0 entries and says 2",
        f"block 9: {BLOCK}",
    ]


# ------------------------------------------------------------------------- deleted and inserted


def test_an_entry_that_was_deleted_is_found(written: ShopDatabase) -> None:
    """In the middle by its stream and its block, at the end by its block."""
    with tampering(written) as connection:
        gone = one(connection, "R1", 2).id, one(connection, "R2", 2).id
        connection.execute(sa.delete(EVENT_LOG).where(LOG.id.in_(gone)))

    assert told(written) == [
        "stream R1 entry 3: it comes after entry 1",
        f"block 2: 1 of its entries are gone: id {gone[0]}",
        f"block 3: 1 of its entries are gone: id {gone[1]}",
    ]


def test_a_whole_stream_that_is_gone_is_found(written: ShopDatabase) -> None:
    """No other stream knows of it; the blocks do, also when their rows of members went with it."""
    with tampering(written) as connection:
        id_ = one(connection, "R3", 1).id
        connection.execute(sa.delete(EVENT_LOG).where(LOG.stream == "R3"))
    assert told(written) == [f"block 2: 1 of its entries are gone: id {id_}"]

    with tampering(written) as connection:
        connection.execute(sa.delete(LOG_MEMBERS).where(MEMBERS.entry == id_))
    assert told(written) == [
        "block 2: it has 1 entries and says 2",
        f"block 2: {BLOCK}",
    ]

    with tampering(written) as connection:
        connection.execute(sa.update(LOG_BLOCKS).where(BLOCKS.number == 2).values(entries=1))
    assert told(written) == [f"block 2: {BLOCK}"]


def test_a_block_that_is_gone_is_found(written: ShopDatabase) -> None:
    """With the entries it had, or without."""
    with tampering(written) as connection:
        connection.execute(sa.delete(LOG_BLOCKS).where(BLOCKS.number == 1))
        connection.execute(sa.delete(LOG_MEMBERS).where(MEMBERS.block == 1))

    found = told(written)
    assert "block 2: it is the first that is there" in found
    assert len([line for line in found if "in no block" in line]) == 2


def test_an_end_that_was_cut_off_is_found_by_what_was_noted_elsewhere(written: ShopDatabase) -> None:
    """The newest block with all that is in it: what is left is a right log, but not the one that was noted."""
    last = checked(written).last
    noted = Anchor(last.number, last.hash)
    assert told(written, anchor=noted) == []
    with tampering(written) as connection:
        mine = sa.select(MEMBERS.entry).where(MEMBERS.block == 3)
        connection.execute(sa.delete(EVENT_LOG).where(LOG.id.in_(mine)))
        connection.execute(sa.delete(LOG_MEMBERS).where(MEMBERS.block == 3))
        connection.execute(sa.delete(LOG_BLOCKS).where(BLOCKS.number == 3))

    assert told(written) == []
    assert told(written, anchor=noted) == [
        f"block 3: it is not there with the hash that was noted, {last.hash}"
    ]
    assert told(written, anchor=Anchor(2, "other")) != []


def test_an_entry_that_was_put_in_is_found(written: ShopDatabase) -> None:
    """At the end of a stream and chained: nobody has sealed it in time. In the middle: the chain breaks."""
    with written.writing() as connection:
        known = Head(1, one(connection, "R3", 1).hash)
        append(connection, [a_draft("R3", "k9", AT_MS + 1)], {"R3": known})
    assert [line for line in told(written) if "in no block" not in line] == []
    assert len(told(written)) == 1

    with tampering(written) as connection:
        change(connection, "R1", 3, seq=4)
        before = one(connection, "R1", 2)
        body = '{"n":9}'
        row = {
            "event_id": "e", "stream": "R1", "seq": 3, "at_ms": AT_MS + 1, "kind": "k9", "body": body,
            "prev": before.hash, "hash": entry_hash("e", "R1", 3, AT_MS + 1, "k9", body, before.hash),
        }  # fmt: skip
        connection.execute(sa.insert(EVENT_LOG), row)
    assert f"stream R1 entry 4: {PREV}" in told(written)


def test_entries_that_changed_places_are_found(written: ShopDatabase) -> None:
    """The same entries in another order."""
    with tampering(written) as connection:
        change(connection, "R1", 2, seq=8)
        change(connection, "R1", 3, seq=2)
        change(connection, "R1", 8, seq=3)

    assert {line.partition(":")[0] for line in told(written)} == {"stream R1 entry 2", "stream R1 entry 3"}


def test_an_entry_that_was_written_anew_with_its_hash_is_found(written: ShopDatabase) -> None:
    """Whoever changes it must write all that follows anew, blocks as well; each step that is left out is found."""

    def rewrite(connection: Connection, seq: int, prev: str, body: str) -> str:
        was = one(connection, "R1", seq)
        own = entry_hash("e", "R1", seq, was.at_ms, was.kind, body, prev)
        change(connection, "R1", seq, body=body, prev=prev, hash=own)
        return own

    with tampering(written) as connection:
        own = rewrite(connection, 2, one(connection, "R1", 1).hash, '{"n":9}')
    block_2 = f"block 2: {BLOCK}"
    assert told(written) == [
        f"stream R1 entry 3: {PREV}",
        block_2,
    ]

    with tampering(written) as connection:
        rewrite(connection, 3, own, '{"n":2}')
    assert told(written) == [block_2, block_2.replace("2", "3", 1)]

    last = checked(written).last
    with tampering(written) as connection:
        prev = connection.scalar(sa.select(BLOCKS.hash).where(BLOCKS.number == 1))
        for number in (2, 3):
            rows = sa.select(LOG.hash).join_from(EVENT_LOG, LOG_MEMBERS, LOG.id == MEMBERS.entry)
            hashes = connection.scalars(rows.where(MEMBERS.block == number).order_by(LOG.id)).all()
            prev_, prev = prev, block_hash(number, AT_MS + number - 1, prev or "", hashes)
            values = {"prev": prev_, "hash": prev}
            connection.execute(sa.update(LOG_BLOCKS).where(BLOCKS.number == number).values(**values))
    assert told(written) == [], "a whole log that was written anew is as right as any"
    assert told(written, anchor=Anchor(3, last.hash)) != [], "but is not the one that was noted"


# ------------------------------------------------------------------------------------- time


@pytest.mark.parametrize(
    ("age_ms", "is_late"), [(PATIENCE_MS - 1, False), (PATIENCE_MS, False), (PATIENCE_MS + 1, True)]
)
def test_an_entry_may_be_in_no_block_for_a_while(
    shop_database: ShopDatabase, age_ms: int, is_late: bool
) -> None:
    """So long a sealer may take."""
    add(shop_database, a_draft())

    assert bool(checked(shop_database, AT_MS + age_ms).faults) is is_late


# ---------------------------------------------------------------------------------- the rest


def test_one_event_is_verified_by_itself(written: ShopDatabase) -> None:
    """Its streams, and no other's faults."""
    add(written, a_draft("R7", event="f"))
    with tampering(written) as connection:
        change(connection, "R1", 2, kind="k9")

    with written.reading() as connection:
        assert [fault.where for fault in verify_event(connection, "e").faults] == ["stream R1 entry 2"]
        other = verify_event(connection, "f")
    assert (other.is_right, other.entries, other.streams) == (True, 1, 1)


def test_of_very_many_faults_the_first_are_told(shop_database: ShopDatabase) -> None:
    """It ends, and says that there may be more."""
    add(shop_database, *(a_draft(f"R{number:03}") for number in range(TOLD + 20)))
    with tampering(shop_database) as connection:
        connection.execute(sa.update(EVENT_LOG).values(kind="other"))

    found = checked(shop_database)
    assert len(found.faults) == TOLD
    assert "and perhaps more: the first faults are told" in list(found.lines())
    with shop_database.reading() as connection:
        assert len(verify_event(connection, "e").faults) == TOLD


def rechain(connection: Connection, **changes: object) -> None:
    """Change the last entry of R1, and give it the hash that goes with it."""
    now = one(connection, "R1", 3)._replace(**changes)  # type: ignore[arg-type]
    row = now._replace(hash=now.right_hash())._asdict()
    change(connection, "R1", 3, event_id=row.pop("event"), **row)


def last_block(connection: Connection, **changes: object) -> None:
    """Change the newest block, and give it the hash that goes with it."""
    rows = sa.select(LOG.hash).join_from(EVENT_LOG, LOG_MEMBERS, LOG.id == MEMBERS.entry)
    hashes = connection.scalars(rows.where(MEMBERS.block == 3).order_by(LOG.id)).all()
    was = connection.execute(sa.select(LOG_BLOCKS).where(BLOCKS.number == 3)).mappings().one()
    now = dict(was) | changes
    now["hash"] = block_hash(now["number"], now["at_ms"], now["prev"], hashes)
    connection.execute(sa.update(LOG_BLOCKS).where(BLOCKS.number == 3).values(**now))
    connection.execute(sa.update(LOG_MEMBERS).where(MEMBERS.block == 3).values(block=now["number"]))


def unsealed_entry(connection: Connection) -> None:
    """Add an entry that nobody seals."""
    append(connection, [a_draft("R8")])


STREAM_GUARDS: dict[str, dict[str, object]] = {
    "entry.seq != head.seq + 1": {"seq": 9},
    "entry.prev != head.hash": {"prev": "00"},
    "entry.event != event": {"event": "f"},
    "entry.at_ms < head.at_ms": {"at_ms": AT_MS - 1},
}
BLOCK_GUARDS: dict[str, Callable[[Connection], None]] = {
    "block.number != before.number + 1": lambda connection: last_block(connection, number=5),
    "block.prev != before.hash": lambda connection: last_block(connection, prev="00"),
    "block.at_ms < before.at_ms": lambda connection: last_block(connection, at_ms=AT_MS),
    "len(members) != block.entries": lambda connection: last_block(connection, entries=7),
    "not gone and block.hash != block_hash(block.number, block.at_ms, block.prev, hashes)": lambda connection: (
        connection.execute(sa.update(LOG_BLOCKS).where(BLOCKS.number == 3).values(at_ms=AT_MS + 9)) and None
    ),
    "_MEMBERS.entry.is_(None), _LOG.at_ms < before_ms": unsealed_entry,
}


def mutant(guard: str, instead: str) -> Any:
    """Make the verifier anew without a guard."""
    source = inspect.getsource(verifying)
    assert source.count(guard) == 1, guard
    module = types.ModuleType(verifying.__name__)
    # Where its dataclasses look themselves up.
    exec(compile(source.replace(guard, instead), "mutant", "exec"), module.__dict__)  # noqa: S102
    return module


@pytest.mark.parametrize("guard", STREAM_GUARDS)
def test_a_verifier_of_streams_without_a_guard_finds_nothing(written: ShopDatabase, guard: str) -> None:
    """Each guard finds what no other does: everything else was chained anew to fit."""
    with tampering(written) as connection:
        rechain(connection, **STREAM_GUARDS[guard])

    with written.reading() as connection:
        # None: of all events, but without the blocks.
        assert len(mutant(guard, guard).verify_event(connection, None).faults) == 1
        assert mutant(guard, "False").verify_event(connection, None).faults == []


def test_a_verifier_that_makes_no_hash_finds_nothing(written: ShopDatabase) -> None:
    """The last entry of a stream was changed; no other names its hash."""
    with tampering(written) as connection:
        change(connection, "R2", 2, kind="other")

    with written.reading() as connection:
        assert len(verify_event(connection, "e").faults) == 1
        assert mutant("entry.hash != entry.right_hash()", "False").verify_event(connection, "e").faults == []


@pytest.mark.parametrize("guard", BLOCK_GUARDS)
def test_a_verifier_of_blocks_without_a_guard_finds_nothing(written: ShopDatabase, guard: str) -> None:
    """The same for blocks, and for what is in none."""
    with tampering(written) as connection:
        BLOCK_GUARDS[guard](connection)

    assert len(told(written)) == 1
    with written.reading() as connection:
        instead = "sa.false()" if guard.startswith("_MEMBERS") else "False"
        assert mutant(guard, instead).verify(at_one_moment(connection), NOW_MS).faults == []
