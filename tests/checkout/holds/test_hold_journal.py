"""The journal of holds: SQL says of a hold what the store said last, whoever writes it and in whatever order."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from checkout.database import ShopDatabase
from checkout.halls.seats import Status, hold_id_text
from checkout.holds import journal as hold_journal
from checkout.holds.answers import HoldRecord, HoldState, places_of
from checkout.holds.journal import KEPT_MS, ROWS_KEPT_MS, HoldJournal, JournalRows, Note, NoteStream, row_of
from checkout.tables import HOLD_JOURNAL
from kernel.errors import Unavailable
from tests.checkout.box_office import EVENT, TTL_MS, Office, office
from tests.checkout.catalogues import NOW_MS
from tests.checkout.waitlists import hold_id


@pytest.fixture
def url(tmp_path: object) -> str:
    """Give the address of a database of this test."""
    return f"sqlite:///{tmp_path}/shop.db"


def rows_of(database: ShopDatabase) -> dict[str, HoldRecord]:
    """Read the journal, as records."""
    with database.reading() as connection:
        return {
            row.hold_id: HoldRecord(
                HoldState(row.state), row.fence, row.epoch, row.until_ms, 0, row.extended, Status(row.back),
                row.price_version, row.currency, row.buyer, "-", places_of(row.seats),
            )
            for row in connection.execute(sa.select(HOLD_JOURNAL))
        }  # fmt: skip


async def stored(own: Office) -> dict[str, HoldRecord]:
    """Read all holds of the store, as the journal knows them."""
    rows = await own.client.hgetall(own.holds.keys(EVENT).holds)
    found = {}
    for id_, text in rows.items():
        words = text.decode().split(" ")
        words[4], words[10] = "0", "-"
        found[hold_id_text(id_)] = HoldRecord.of(" ".join(words))
    return found


async def a_life(own: Office) -> None:
    """Let holds be made and end in each way that there is."""
    ids = {}
    for number, name in enumerate(
        ("kept", "extended", "released", "expired", "pinned", "sold", "back", "held")
    ):
        own.clock.advance(1)
        ids[name] = await own.had(name, number)
    await own.holding.extend(EVENT, "extended", ids["extended"])
    await own.holding.release(EVENT, "released", ids["released"])
    for name in ("pinned", "sold", "back", "held"):
        await own.holds.pin(EVENT, hold_id(EVENT, name, "k"), name, 10**6, 10**7)
    for name in ("sold", "back", "held"):
        await own.holds.settle(EVENT, hold_id(EVENT, name, "k"), name)  # type: ignore[arg-type]
    await own.holding.extend(EVENT, "kept", ids["kept"])
    await own.holding.extend(EVENT, "held", ids["held"])
    own.clock.advance(TTL_MS)
    await own.holds.expire(EVENT)


async def test_the_journal_says_what_the_store_says(shop_url: str, store_url: str) -> None:
    """Of each hold the state, the end, the seats, the price; on either kind of database; and the stream is empty."""
    async with office(shop_url, store_url) as own:
        await a_life(own)
        journal = HoldJournal(own.metrics)
        left = await journal.drain(own.place, EVENT)

        assert left == 0
        assert rows_of(own.database) == await stored(own)
        assert {str(row.state) for row in rows_of(own.database).values()} == set(HoldState) - {"unknown"}


async def test_it_may_be_written_twice_and_by_two_at_once(shop_url: str, store_url: str) -> None:
    """A worker that died between commit and cut has left what the next one writes again."""
    async with office(shop_url, store_url) as own:
        await a_life(own)
        notes = (await NoteStream(own.holds).read([EVENT])).notes[EVENT]
        await asyncio.to_thread(JournalRows(own.database).put, notes[:7])
        journals = [HoldJournal(own.metrics) for _ in range(4)]
        await asyncio.gather(*(journal.drain(own.place, EVENT) for journal in journals))

        assert rows_of(own.database) == await stored(own)
        assert await NoteStream(own.holds).waiting([EVENT]) == 0


# ---------------------------------------------------------------------------------------- in any order


def a_note(hold: int, epoch: int, fence: int, at: int) -> Note:
    """Make a note that says who it is."""
    text = b"hold%04dheld 1 held %d %d 1 0 0 0 1 EUR ann - 1.0" % (hold, fence, epoch)
    return Note(EVENT, b"%d-%d" % divmod(at, 3), {b"n": text})


NOTES = st.builds(a_note, st.integers(0, 2), st.integers(1, 2), st.integers(1, 2), st.integers(0, 40))
BATCHES = st.lists(st.lists(NOTES, max_size=4), max_size=6)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShopDatabase]:
    """Give one open database to all examples."""
    made = ShopDatabase(f"sqlite:///{tmp_path_factory.mktemp('journal')}/shop.db")
    made.open()
    yield made
    made.close()


def newest_stays(database: ShopDatabase, batches: Sequence[Sequence[Note]]) -> None:
    """Write batches and compare."""
    with database.writing() as connection:
        connection.execute(sa.delete(HOLD_JOURNAL))
    for batch in batches:
        JournalRows(database).put(batch)
    expected: dict[str, tuple[int, int, int]] = {}
    for row in (row_of(note) for batch in batches for note in batch):
        order = (row["epoch"], row["fence"], row["note"])
        expected[row["hold_id"]] = max(order, expected.get(row["hold_id"], order))
    columns = HOLD_JOURNAL.c
    with database.reading() as connection:
        rows = connection.execute(sa.select(columns.hold_id, columns.epoch, columns.fence, columns.note))
        assert {row.hold_id: (row.epoch, row.fence, row.note) for row in rows} == expected


@given(batches=BATCHES)
def test_the_newest_note_stays_in_whatever_order_they_come(
    database: ShopDatabase, batches: list[list[Note]]
) -> None:
    """A later epoch counts more than a later hold, and that more than a later note."""
    newest_stays(database, batches)


@pytest.mark.parametrize("order", [(), ("epoch",), ("epoch", "fence"), ("fence", "note"), ("note",)])
def test_a_journal_that_knows_less_of_the_order_is_caught(
    order: tuple[str, ...], database: ShopDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutants: a row takes whatever comes, or looks at a part of the order only."""
    monkeypatch.setattr(hold_journal, "_ORDER", order or ("event_id",))
    made: Any = hold_journal._upsert(sa.dialects.sqlite.insert)
    if not order:
        made._post_values_clause.update_whereclause = None
    monkeypatch.setattr(hold_journal, "_UPSERTS", {"sqlite": made})
    missed = given(batches=BATCHES)(lambda batches: newest_stays(database, batches))

    with pytest.raises(AssertionError):
        settings(phases=[Phase.generate], report_multiple_bugs=False)(missed)()


async def test_a_note_of_a_lost_map_changes_nothing(url: str, store_url: str) -> None:
    """However late it comes: what has gone along into the new map stays as the new map has it."""
    async with office(url, store_url) as own:
        await own.had("ann", 0)
        late = (await NoteStream(own.holds).read([EVENT])).notes[EVENT]
        await HoldJournal(own.metrics).drain(own.place, EVENT)
        with own.database.writing() as connection:
            connection.execute(sa.update(HOLD_JOURNAL).values(epoch=2, state="released"))
        JournalRows(own.database).put([late[0]._replace(id=b"8000000000000-0")])

        assert [row.state for row in rows_of(own.database).values()] == [HoldState.RELEASED]


# -------------------------------------------------------------------------------------------- when SQL is away


async def test_what_sql_did_not_take_stays_in_the_stream(shop_url: str, store_url: str) -> None:
    """Nothing is cut before it is committed; when SQL is back, it hears of everything."""
    async with office(shop_url, store_url) as own:
        await a_life(own)
        before = await NoteStream(own.holds).waiting([EVENT])
        with own.database.writing() as connection:
            connection.execute(sa.text("ALTER TABLE hold_journal RENAME TO away"))
        with pytest.raises(Unavailable, match="shop-away"):
            await HoldJournal(own.metrics).drain(own.place, EVENT)
        after = await NoteStream(own.holds).waiting([EVENT])
        with own.database.writing() as connection:
            connection.execute(sa.text("ALTER TABLE away RENAME TO hold_journal"))
        await HoldJournal(own.metrics).drain(own.place, EVENT)

        assert after == before
        assert rows_of(own.database) == await stored(own)


async def test_while_sql_is_away_the_stream_stays_bounded(
    url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is older than any hold may be goes first, and there are never more notes than so many; both are counted."""
    monkeypatch.setattr(hold_journal, "NOTES_MOST", 5)
    async with office(url, store_url) as own:
        await own.had("ann", 0)
        key = own.holds.keys(EVENT).journal
        ((_, fields),) = await own.client.xrange(key)
        await own.client.delete(key)
        now_ms = (await own.client.time())[0] * 1000
        for age_ms in (KEPT_MS + 60_000, KEPT_MS + 50_000, KEPT_MS - 60_000, *range(5_000, 0, -1_000)):
            await own.client.xadd(key, fields, id=f"{now_ms - age_ms}-0")
        with own.database.writing() as connection:
            connection.execute(sa.text("DROP TABLE hold_journal"))
        with pytest.raises(Unavailable):
            await HoldJournal(own.metrics).drain(own.place, EVENT)
        ids = [id_.decode() for id_, _ in await own.client.xrange(key)]

    assert ids == [f"{now_ms - age_ms}-0" for age_ms in range(5_000, 0, -1_000)]
    assert own.metrics.journal_dropped._value.get() == 3


# ------------------------------------------------------------------------------------------- many, and old ones


async def test_many_notes_go_in_batches(url: str, store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until there are none; how many wait and how old the oldest is can be seen meanwhile."""
    monkeypatch.setattr(hold_journal, "BATCH", 10)
    async with office(url, store_url) as own:
        for number in range(25):
            await own.had(f"b{number}", number % 20)
            own.clock.advance(TTL_MS)
        journal = HoldJournal(own.metrics)
        stream = NoteStream(own.holds)
        total = await stream.waiting([EVENT])
        read = await journal.step(own.place, [EVENT, "other"])
        seen = own.metrics.journal_waiting.labels("main")._value.get()
        left = await stream.waiting([EVENT])
        await journal.drain(own.place, EVENT)

        assert (len(read.notes[EVENT]), read.is_all) == (10, False)
        assert (seen, left) == (total, total - 10)
        assert len(rows_of(own.database)) == 25
        assert own.metrics.journal_lag.labels("main")._value.get() == 0
        assert own.metrics.journal_waiting.labels("main")._value.get() == 0
        assert own.metrics.journal_notes._value.get() == total


async def test_there_is_nothing_to_bring_where_there_is_nothing(url: str, store_url: str) -> None:
    """No events, and events without notes."""
    async with office(url, store_url) as own:
        journal = HoldJournal(own.metrics)

        assert (await journal.step(own.place, [])).is_all
        assert (await journal.step(own.place, [EVENT])).notes == {}
        assert await journal.drain(own.place, "other") == 0


async def test_rows_of_holds_that_were_over_long_ago_are_forgotten(shop_url: str, store_url: str) -> None:
    """A month after their last note, unless the hold lives, which cannot be."""
    async with office(shop_url, store_url) as own:
        await a_life(own)
        await HoldJournal(own.metrics).drain(own.place, EVENT)
        rows = JournalRows(own.database)
        with own.database.writing() as connection:
            connection.execute(sa.update(HOLD_JOURNAL).values(at_ms=NOW_MS))
            connection.execute(
                sa.update(HOLD_JOURNAL).where(HOLD_JOURNAL.c.buyer == "pinned").values(until_ms=10**14)
            )

        assert rows.forget(NOW_MS + ROWS_KEPT_MS) == 0
        assert rows.forget(NOW_MS + ROWS_KEPT_MS + 1) == 7
        assert [row.buyer for row in rows_of(own.database).values()] == ["pinned"]
