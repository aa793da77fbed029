"""The invariants: a sale that is right passes whole, and each way of being wrong is found by its own invariant."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest
import redis
import sqlalchemy as sa

from checkout import tables
from checkout.audit import invariants
from checkout.audit.checking import check_sale, judged
from checkout.audit.invariants import Books, KeptHold, Reservation, Seat, Stock
from checkout.audit.records import Act, Answer, Delta, Loss, Operation, Record, Snapshot, read, write
from checkout.database import ShopDatabase
from checkout.eventlog.entries import Draft
from checkout.eventlog.store import append
from checkout.halls.seats import Status, byte, counts, hold_id_text
from checkout.holds.answers import Ask, Pinned, Wanted
from checkout.holds.store import HoldStore, Keys
from kernel.errors import Misconfigured
from kernel.store import connect

MOST = 4
HELD_ID, PINNED_ID = b"held----", b"pinned--"
FREE, HELD, RESERVED, SOLD = (byte(status, 0) for status in list(Status)[:4])
MAP = bytes([HELD, HELD, RESERVED, RESERVED, SOLD, FREE, FREE, FREE])


def owners(of: dict[int, bytes], seats: int = 8) -> bytes:
    """Write the owners of seats."""
    return b"".join(of.get(seat, bytes(8)) for seat in range(seats))


BOOKS = Books(
    max_per_buyer=MOST,
    seats=(
        Seat(0, Status.FREE, None),
        Seat(1, Status.FREE, None),
        Seat(2, Status.RESERVED, "r1"),
        Seat(3, Status.RESERVED, "r1"),
        Seat(4, Status.SOLD, "r2"),
        Seat(5, Status.FREE, None),
        Seat(6, Status.FREE, None),
        Seat(7, Status.FREE, None),
    ),
    reservations=(
        Reservation("r1", "bob", hold_id_text(PINNED_ID), "active", 8400, (2, 3), 8400),
        Reservation("r2", "ann", hold_id_text(b"sold----"), "sold", 4200, (4,), 4200),
        Reservation("r3", "ann", hold_id_text(b"lapsed--"), "lapsed", 4200, (), 4200),
    ),
)
STOCK = Stock(
    version="1:20-0",
    map=MAP,
    owner=owners({0: HELD_ID, 1: HELD_ID, 2: PINNED_ID, 3: PINNED_ID}),
    counts=counts(MAP),
    capacity=8,
    holds={
        HELD_ID: KeptHold("ann", is_live=True, seats=(0, 1)),
        PINNED_ID: KeptHold("bob", is_live=True, seats=(2, 3)),
        b"over----": KeptHold("eve", is_live=False, seats=(2, 3)),
    },
    due=frozenset({HELD_ID, PINNED_ID}),
    buyers={"ann": 3, "bob": 2},
)
EMPTY = bytes(8)


def hold(name: str, buyer: str, seats: tuple[int, ...], at_ms: int, until_ms: int) -> Operation:
    """Write a hold that was granted within a millisecond."""
    return Operation(Act.HOLD, name, buyer, seats, at_ms * 1000, at_ms * 1000 + 500, Answer.DONE, until_ms)


RECORDS: tuple[Record, ...] = (
    Snapshot("", 1, "1:0-0", EMPTY, counts(EMPTY)),
    Snapshot("v", 2, "1:0-0", EMPTY),
    Delta("v", 3, "1:10-0", "0+2=01,2+3=01"),
    Delta("v", 3, "1:10-0", "0+2=01,2+3=01"),
    Delta("v", 4, "1:20-0", "2+2=02,4=03"),
    Delta("v", 4, "1:10-0", "0+2=01,2+3=01"),
    hold("h1", "ann", (0, 1), 5, 900),
    hold("h2", "bob", (2, 3), 6, 900),
)


def found(
    records: tuple[Record, ...] = RECORDS,
    books: Books = BOOKS,
    stock: Stock | None = STOCK,
    *,
    settled: bool = True,
) -> set[str]:
    """Name the invariants that are violated."""
    verdict = judged("night", list(records), books, stock, MOST, settled=settled)
    assert all(one.sentence for one in verdict.violations)
    return {one.invariant for one in verdict.violations}


def test_a_sale_that_is_right_passes_whole() -> None:
    """Every invariant holds of the example that the cases below spoil."""
    assert found() == set()
    assert found(settled=False) == set()


def row(seat: int, status: int, reservation: str | None) -> Books:
    """Return the books with another row for a seat."""
    rows = list(BOOKS.seats)
    rows[seat] = Seat(seat, status, reservation)
    return replace(BOOKS, seats=tuple(rows))


def sale(at: int, **changes: object) -> Books:
    """Return the books with another reservation."""
    sales = list(BOOKS.reservations)
    sales[at] = replace(sales[at], **changes)  # type: ignore[arg-type]
    return replace(BOOKS, reservations=tuple(sales))


I1 = {
    "a seat in two active sales": sale(2, state="active", seats=(4,)),
    "a seat that names no reservation though it is reserved": row(2, Status.RESERVED, None),
    "a seat that names a reservation though it is free": row(5, Status.FREE, "r1"),
    "a seat that names a reservation that is not there": row(5, Status.RESERVED, "r9"),
    "a reservation with fewer seats than name it": sale(0, seats=(2,)),
    "a reservation with more seats than name it": sale(0, seats=(2, 3, 5)),
    "an active reservation without a seat": sale(2, state="active"),
    "a lapsed reservation that keeps its seats": sale(0, state="lapsed"),
    "a sale that costs what its seats do not": sale(1, total_minor=4100),
    "a sold reservation whose seats are only reserved": sale(0, state="sold"),
    "a seat that SQL has sold and the store not": row(5, Status.SOLD, "r2"),
    "a seat that the store has sold and SQL not": row(4, Status.FREE, None),
}


@pytest.mark.parametrize("name", I1)
def test_i1_finds_a_seat_that_is_sold_twice_or_by_halves(name: str) -> None:
    """SQL against itself, and against the store at quiescence."""
    assert "I1" in found(books=I1[name])


def test_i1_leaves_a_reservation_under_way_alone() -> None:
    """While the sale goes on the store may be ahead of SQL; once it rests it may not."""
    ahead = replace(BOOKS, seats=row(2, Status.FREE, None).seats[:3] + row(3, Status.FREE, None).seats[3:])
    ahead = replace(ahead, reservations=BOOKS.reservations[1:])

    assert found(books=ahead, settled=False) == set()
    assert found(books=ahead) == {"I1"}


def change(**changes: object) -> Stock:
    """Return the store's state with something else in it."""
    return replace(STOCK, **changes)  # type: ignore[arg-type]


I2 = {
    "a held seat without an owner": change(owner=owners({0: HELD_ID, 2: PINNED_ID, 3: PINNED_ID})),
    "a free seat with an owner": change(
        owner=owners(dict.fromkeys((0, 1, 5), HELD_ID) | {2: PINNED_ID, 3: PINNED_ID})
    ),
    "a hold whose seats are another's": change(
        holds={**STOCK.holds, b"other---": KeptHold("eve", is_live=True, seats=(1,))},
        due=STOCK.due | {b"other---"},
        buyers={**STOCK.buyers, "eve": 1},
    ),
    "a hold that is over and keeps its seats": change(
        holds={**STOCK.holds, HELD_ID: KeptHold("ann", is_live=False, seats=(0, 1))},
        buyers={"ann": 1, "bob": 2},
    ),
    "an owner that nobody knows": change(
        holds={PINNED_ID: STOCK.holds[PINNED_ID]}, buyers={"ann": 1, "bob": 2}
    ),
    "a hold that never ends": change(due=frozenset({PINNED_ID})),
    "owners cut short": change(owner=STOCK.owner[:-8]),
}


@pytest.mark.parametrize("name", I2)
def test_i2_finds_a_seat_with_the_wrong_owner(name: str) -> None:
    """Map, owners, records and the list of ends tell the same."""
    assert found(stock=I2[name]) == {"I2"}


def test_i2_finds_two_live_holds_of_one_seat() -> None:
    """The clients' histories are put to the register of each seat."""
    assert found((*RECORDS, hold("h3", "eve", (3, 5), 50, 900))) == {"I2"}


def test_i2_knows_holds_that_no_client_tells_of() -> None:
    """An offer of the waitlist stands in SQL's journal only; whoever was refused because of it was told the truth."""
    refused = Operation(Act.HOLD, "h4", "eve", (6,), 60_000, 60_100, Answer.TAKEN, None, ((6, 1),))

    assert found((*RECORDS, refused)) == {"I2"}
    assert found((*RECORDS, refused), replace(BOOKS, holds={"offer": (6,)})) == set()


I8_RECORDS = {
    "a snapshot with a seat too few": Snapshot("", 1, "1:5-0", EMPTY[:-1]),
    "a status that is none": Snapshot("", 1, "1:5-0", bytes([0x0F, *EMPTY[1:]])),
    "counts that do not add up": Snapshot("", 1, "1:5-0", EMPTY, (7, 0, 0, 0, 0, 0)),
    "counts that are not the map's": Snapshot("", 1, "1:5-0", EMPTY, (7, 1, 0, 0, 0, 0)),
}


@pytest.mark.parametrize("name", I8_RECORDS)
def test_i8_finds_a_snapshot_that_does_not_add_up(name: str) -> None:
    """Each polled snapshot counts, not only the last."""
    assert found((*RECORDS, I8_RECORDS[name])) == {"I8"}


@pytest.mark.parametrize(
    "stock",
    [change(counts=(4, 2, 2, 1, 0, 0)), change(counts=(2, 3, 2, 1, 0, 0)), change(capacity=9), None],
    ids=["sum", "counts", "capacity", "no map"],
)
def test_i8_finds_a_store_whose_counts_have_drifted(stock: Stock | None) -> None:
    """The counts that the scripts keep are those of the map, and there is a map."""
    assert found(stock=stock) == {"I8"}


def test_i9_finds_a_buyer_who_had_more_than_the_limit_at_one_time() -> None:
    """Two holds of three seats overlap surely: granted, not released, not over."""
    both = (hold("x", "eve", (5, 6, 7), 100, 200), hold("y", "eve", (0, 1, 2), 1150, 2200))
    early = replace(both[1], called_us=150_000, returned_us=150_100)
    lone = RECORDS[:6]

    assert found((*lone, *both)) == set()
    assert found((*lone, both[0], early)) == {"I9"}


@pytest.mark.parametrize("act", ["release", "cancel", "extend-late", "loss", "gone"])
def test_i9_counts_only_what_a_buyer_surely_had(act: str) -> None:
    """What may have been over when the next began is not counted together with it."""
    first, second = hold("x", "eve", (5, 6, 7), 100, 900), hold("y", "eve", (0, 1, 2), 500, 1900)
    between: dict[str, Record] = {
        "release": Operation(Act.RELEASE, "x", "eve", (5, 6, 7), 300_000, None, None),
        "cancel": Operation(Act.CANCEL, "x", "eve", (5, 6, 7), 300_000, 300_100, Answer.DONE),
        "gone": Operation(Act.EXTEND, "x", "eve", (5, 6, 7), 300_000, 300_100, Answer.GONE),
        "loss": Loss(300_000, 310_000),
        "extend-late": Operation(Act.EXTEND, "x", "eve", (5, 6, 7), 450_000, 460_000, Answer.DONE, 1800),
    }
    told = list(invariants.within_limits([first, between[act], second], None, None, MOST))

    assert bool(told) is (act == "extend-late")


I9 = {
    "a buyer with five seats in SQL": (sale(1, seats=(4, 5, 6, 7, 1)), STOCK),
    "a buyer with five seats in the store": (
        BOOKS,
        change(holds={**STOCK.holds, HELD_ID: KeptHold("ann", is_live=True, seats=(0, 1, 5, 6, 7))}),
    ),
    "a sum that has drifted": (BOOKS, change(buyers={"ann": 2, "bob": 2})),
    "a sum of nothing": (BOOKS, change(buyers={**STOCK.buyers, "eve": 1})),
}


@pytest.mark.parametrize("name", I9)
def test_i9_finds_limits_passed_in_sql_and_in_the_store(name: str) -> None:
    """And sums that would let somebody pass them."""
    assert "I9" in found((), *I9[name])


I10: dict[str, Callable[[list[Record]], object]] = {
    "a delta that never came": lambda log: log.pop(4),
    "one that never came, with a later one": lambda log: log.__setitem__(2, log.pop(3)) or log.__delitem__(2),
    "a delta with another seat": lambda log: log.__setitem__(4, Delta("v", 4, "1:20-0", "1+2=02,4=03")),
    "a delta with another byte": lambda log: log.__setitem__(4, Delta("v", 4, "1:20-0", "2+2=02,4=13")),
    "a delta outside the hall": lambda log: log.__setitem__(4, Delta("v", 4, "1:20-0", "7+2=02")),
    "a delta that is none": lambda log: log.__setitem__(4, Delta("v", 4, "1:20-0", "2+2")),
    "a version that is none": lambda log: log.__setitem__(4, Delta("v", 4, "20", "2+2=02,4=03")),
    "an epoch without a snapshot": lambda log: log.__setitem__(4, Delta("v", 4, "2:20-0", "2+2=02,4=03")),
    "a stream that ends early": lambda log: log.__setitem__(4, Delta("v", 4, "1:19-0", "2+2=02,4=03")),
    "a reset without a snapshot": lambda log: log.append(Delta("v", 5, "1:21-0", "reset")),
    "two snapshots of one version": lambda log: log.append(Snapshot("", 5, "1:0-0", MAP)),
    "a snapshot that is not the map of its time": lambda log: log.append(Snapshot("", 5, "1:10-0", EMPTY)),
}


@pytest.mark.parametrize("name", I10)
def test_i10_finds_a_copy_that_is_not_the_servers_state(name: str) -> None:
    """Whatever is lost, wrong or made up on the way to a viewer shows at some version, or at the end."""
    log = list(RECORDS)
    I10[name](log)

    assert found(tuple(log)) == {"I10"}


def test_i10_accepts_a_new_snapshot_after_a_reset() -> None:
    """After a loss the epoch is another; what comes before the new snapshot means nothing."""
    again = [
        Delta("v", 5, "2:21-0", "reset"),
        Delta("v", 5, "2:22-0", "0=00"),
        Snapshot("v", 6, "2:25-0", MAP),
        Delta("v", 6, "2:23-0", "0=00"),
    ]

    assert found((*RECORDS, *again), stock=change(version="2:25-0")) == set()


# --------------------------------------------------------------------------------- records


def test_records_survive_being_written() -> None:
    """What a driver writes is what the checker reads."""
    told: list[Record] = [
        *RECORDS,
        Loss(1, 2),
        Operation(Act.HOLD, "h", "b", (1, 2), 3, 4, Answer.TAKEN, None, ((1, 3),)),
        Operation(Act.RELEASE, "h", "b", (1, 2), 3, None, None),
    ]

    assert list(read([write(record) for record in told] + [b"\n"])) == told


GOOD_LINE = write(hold("h", "b", (1,), 3, 4))


@pytest.mark.parametrize(
    "line",
    [
        b"[]",
        b"{",
        b'{"what":"operation"}',
        b'{"what":"hope"}',
        b'{"what":["loss"]}',
        b'{"what":"loss","from_us":1}',
        b'{"what":"loss","from_us":1,"until_us":"2"}',
        b'{"what":"loss","from_us":1,"until_us":2,"more":3}',
        b'{"what":"delta","viewer":1,"at_us":1,"version":"1:0-0","changed":"0=00"}',
        b'{"what":"snapshot","viewer":"","at_us":1,"version":"1:0-0","map":"!!"}',
        b'{"what":"snapshot","viewer":"","at_us":1,"version":"1:0-0","map":"AAAA"}',
        GOOD_LINE.replace(b'"hold"', b'"hole"', 1),
        GOOD_LINE.replace(b'"done"', b'"maybe"'),
        GOOD_LINE.replace(b'"done"', b"null"),
        GOOD_LINE.replace(b"3500", b"2999"),
        GOOD_LINE.replace(b"[1]", b"[true]"),
        GOOD_LINE.replace(b"[1]", b'["1"]'),
        b" " * 1_000_001 + b"{}",
    ],
)
def test_a_line_that_is_no_record_is_named(line: bytes) -> None:
    """A checker that passes over what it cannot read would say yes to nothing."""
    with pytest.raises(ValueError, match="line 2 is no record"):
        list(read([GOOD_LINE, line]))


# --------------------------------------------------------- the whole program, on real stores


def sold(url: str, store_url: str) -> tuple[ShopDatabase, str]:
    """Make a small sale as the shop leaves it: one hold, one reservation, five seats free."""
    database = ShopDatabase(url)
    database.open()
    pinned = asyncio.run(_in_store(store_url))
    reservation = {
        "id": "r1", "event_id": "night", "buyer": "bob", "hold_id": hold_id_text(PINNED_ID), "state": "active",
        "epoch": pinned.epoch, "fence": pinned.fence, "price_version": 1, "currency": "EUR", "total_minor": 8400,
        "created_ms": 1, "until_ms": pinned.until_ms, "version": 1,
    }  # fmt: skip
    event = {
        "id": "night", "organiser_id": "o", "venue_id": "v", "layout_id": "l", "title": "t", "subtitle": "",
        "about": "", "motif": "", "starts_ms": 9, "sale_from_ms": 0, "sale_until_ms": 9, "state": "published",
        "currency": "EUR", "max_per_buyer": MOST, "hold_s": 120, "grace_s": 60, "room": "", "changed_ms": 0,
    }  # fmt: skip
    with database.writing() as connection:
        connection.execute(tables.EVENTS.insert().values(event))
        for seat in range(8):
            is_sold = seat in {2, 3}
            row = {"event_id": "night", "seat": seat, "tier": 0, "status": 2 if is_sold else 0}
            connection.execute(
                tables.SEATS.insert().values(row | {"reservation_id": "r1" if is_sold else None})
            )
        connection.execute(tables.RESERVATIONS.insert().values(reservation))
        for seat in (2, 3):
            row = {"reservation_id": "r1", "event_id": "night", "seat": seat, "tier": 0, "price_minor": 4200}
            connection.execute(tables.RESERVATION_SEATS.insert().values(row | {"active": True}))
        body = {
            name: reservation[name]
            for name in reservation
            if name not in {"id", "event_id", "hold_id", "state"}
        }
        body |= {"hold": reservation["hold_id"], "lines": [[2, 0, 4200], [3, 0, 4200]]}
        append(connection, [Draft("night", "r1", "reserved", body, 1)])
    return database, hold_id_text(HELD_ID)


async def _in_store(store_url: str) -> Pinned:
    client = connect(store_url)
    try:
        await client.flushall()
        store = HoldStore(client)
        await store.load("night", 1, EMPTY)
        for id_, buyer, seats in ((HELD_ID, "ann", (0, 1)), (PINNED_ID, "bob", (2, 3))):
            await store.hold("night", Ask(id_, buyer, Wanted(seats), 120_000, MOST, 1, "b", currency="EUR"))
        pinned = await store.pin("night", PINNED_ID, "bob", 60_000, 900_000)
    finally:
        await client.aclose()
    assert isinstance(pinned, Pinned)
    return pinned


def test_the_program_reads_a_whole_sale_and_finds_it_right(shop_url: str, store_url: str) -> None:
    """SQL, store and histories of a sale as the shop makes it violate nothing."""
    database, held = sold(shop_url, store_url)
    with redis.Redis.from_url(store_url) as client:
        (last, _), *_ = client.xrevrange(Keys("night").deltas, count=1)
        text = client.xrange(Keys("night").deltas)
    log: list[Record] = [
        Snapshot("v", 1, f"1:{text[0][0].decode()}", EMPTY),
        *(Delta("v", 2, f"1:{id_.decode()}", fields[b"d"].decode()) for id_, fields in text[1:]),
        Operation(Act.HOLD, held, "ann", (0, 1), 1, 2, Answer.DONE, 10**13),
    ]

    verdict = check_sale(shop_url, store_url, "night", log)

    assert verdict.violations == ()
    assert verdict.is_right
    assert verdict.looked_at == {
        "seats": 8, "reservations": 1, "holds in the store": 2, "records": 5, "entries of the log": 1,
        "orders": 0, "tickets": 0,
    }  # fmt: skip
    assert list(verdict.lines())[-1] == "every invariant holds"
    assert log[-2].version == f"1:{last.decode()}"  # type: ignore[union-attr]
    database.close()


SPOILS_SQL = {
    "a seat that is free again": (
        "I1",
        sa.update(tables.SEATS).where(tables.SEATS.c.seat == 2).values(status=0),
    ),
    "a reservation that lapsed and keeps its seats": (
        "I1",
        sa.update(tables.RESERVATIONS).values(state="lapsed"),
    ),
    "a seat less": ("I8", sa.delete(tables.SEATS).where(tables.SEATS.c.seat == 7)),
    "a fence that the log does not know": ("I6", sa.update(tables.RESERVATIONS).values(fence=99)),
    "an order that is paid, and no money": (
        "I3",
        sa.insert(tables.ORDERS).values(
            id="O1",
            event_id="night",
            buyer="ann",
            reservation_id="R1",
            state="paid",
            currency="EUR",
            amount_minor=1,
            created_ms=1,
            until_ms=1,
            attempt=1,
            paid_by=1,
            disputed=False,
            version=1,
        ),
    ),
    "money that belongs to no payment": (
        "I11",
        sa.insert(tables.MONEY).values(
            provider="bank",
            ref="p",
            kind="captured",
            number=1,
            event_id="night",
            order_id="O1",
            attempt=1,
            currency="EUR",
            amount_minor=1,
            at_ms=1,
        ),
    ),
    "work that nobody does": (
        "I12",
        sa.insert(tables.REFUNDS).values(
            order_id="O1",
            key="r1",
            attempt=1,
            event_id="night",
            reservation_id="R1",
            currency="EUR",
            amount_minor=1,
            state="wanted",
            ref="",
            reason="",
            by="ann",
            created_ms=1,
            version=1,
        ),
    ),
    "a ticket that nobody has paid for": (
        "I5",
        sa.insert(tables.TICKETS).values(
            id="t1",
            event_id="night",
            order_id="O1",
            reservation_id="R1",
            seat=2,
            issue=1,
            holder="",
            state="valid",
            why="",
            created_ms=1,
            used_ms=0,
            changed_ms=1,
            version=1,
        ),
    ),
    "a smaller limit": ("I9", sa.update(tables.EVENTS).values(max_per_buyer=1)),
}


@pytest.mark.parametrize("name", SPOILS_SQL)
def test_the_program_finds_what_is_wrong_in_sql(name: str, shop_url: str, store_url: str) -> None:
    """Rows that were changed behind the shop's back."""
    database, _ = sold(shop_url, store_url)
    invariant, statement = SPOILS_SQL[name]
    with database.writing() as connection:
        connection.execute(statement)

    verdict = check_sale(shop_url, store_url, "night")

    assert invariant in {one.invariant for one in verdict.violations}
    assert list(verdict.lines())[-1] == f"{len(verdict.violations)} violations"
    database.close()


SPOILS_STORE: dict[str, tuple[str, Callable[[redis.Redis, Keys], object]]] = {
    "a held seat shown free": ("I2", lambda client, keys: client.setrange(keys.map, 0, b"\0")),
    "a count that drifts": ("I8", lambda client, keys: client.hincrby(keys.head, "count:0", 1)),
    "an owner that is gone": ("I2", lambda client, keys: client.setrange(keys.owner, 0, bytes(8))),
    "a reserved seat shown sold": ("I1", lambda client, keys: client.setrange(keys.map, 2, b"\3")),
    "a buyer's sum that is gone": ("I9", lambda client, keys: client.hdel(keys.buyers, "ann")),
    "an end that is gone": ("I2", lambda client, keys: client.zrem(keys.expiry, HELD_ID)),
    "no map": ("I8", lambda client, keys: client.delete(keys.map)),
}


@pytest.mark.parametrize("name", SPOILS_STORE)
def test_the_program_finds_what_is_wrong_in_the_store(name: str, tmp_path: object, store_url: str) -> None:
    """Keys that were changed behind the scripts' back."""
    url = f"sqlite:///{tmp_path}/shop.db"
    database, _ = sold(url, store_url)
    invariant, spoil = SPOILS_STORE[name]
    with redis.Redis.from_url(store_url) as client:
        spoil(client, Keys("night"))

    verdict = check_sale(url, store_url, "night")

    assert invariant in {one.invariant for one in verdict.violations}
    database.close()


def test_the_program_writes_nothing_and_knows_no_other_event(tmp_path: object, store_url: str) -> None:
    """An event that is not there is told; what was read is as it was."""
    url = f"sqlite:///{tmp_path}/shop.db"
    database, _ = sold(url, store_url)
    with redis.Redis.from_url(store_url) as client:
        before = {key: client.dump(key) for key in client.scan_iter()}
        check_sale(url, store_url, "night")
        after = {key: client.dump(key) for key in client.scan_iter()}

    assert after == before
    with pytest.raises(Misconfigured, match="no event day"):
        check_sale(url, store_url, "day")
    database.close()
