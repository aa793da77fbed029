"""Replaying: the tables of sales are what the log comes to, byte for byte, now and at every time before."""

import contextlib
import random
import threading
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkout.database import ShopDatabase
from checkout.eventlog.entries import Draft
from checkout.eventlog.projecting import Kinds, Projected, Projection, Unreadable
from checkout.eventlog.sealing import Sealer
from checkout.eventlog.store import append, at_one_moment, heads, stream
from checkout.eventlog.verifying import verify
from checkout.halls.seat_rows import SeatRows
from checkout.halls.seats import Status
from checkout.sales import projection
from checkout.sales.projection import SALES
from checkout.sales.replaying import at, compared, rebuild
from checkout.sales.reservation import Reserved, SaleState
from checkout.sales.selling import free_sold, release_within, sell_within
from checkout.sales.store import SalesStore
from checkout.tables import IDEMPOTENCY, RESERVATION_SEATS, RESERVATIONS, SEATS, STORE_EPOCHS
from kernel.clock import ManualClock
from tests.checkout.catalogues import NOW_MS
from tests.checkout.reservations import EVENT, a_sale, at_once

KINDS = Kinds(SALES)
UNTIL_MS = NOW_MS + 100_000
TABLES = (RESERVATIONS, RESERVATION_SEATS, SEATS)


@pytest.fixture
def database(shop_database: ShopDatabase) -> ShopDatabase:
    """Give a database with an event's hall of twelve seats, two of an allocation, in its first epoch."""
    return with_hall(shop_database)


def with_hall(database: ShopDatabase) -> ShopDatabase:
    """Make the hall."""
    SeatRows(database).make(EVENT, bytes(12))
    SeatRows(database).block(EVENT, [10, 11], "fans")
    with database.writing() as connection:
        connection.execute(sa.insert(STORE_EPOCHS), {"event_id": EVENT, "epoch": 1})
    return database


@pytest.fixture
def sales(database: ShopDatabase, clock: ManualClock) -> SalesStore:
    """Give the statements, at ``NOW_MS``."""
    return SalesStore(database, clock)


def dump(database: ShopDatabase, *, versions: bool = True) -> dict[str, list[tuple[Any, ...]]]:
    """Read all rows, in the order of their keys; without the versions of seats, which only grow."""
    found = {}
    with database.reading() as connection:
        for table in TABLES:
            columns = [
                one for one in table.columns if versions or table is not SEATS or one.name != "version"
            ]
            rows = connection.execute(sa.select(*columns).order_by(*table.primary_key.columns))
            found[table.name] = [tuple(row) for row in rows]
    return found


def kinds_of(database: ShopDatabase, name: str) -> list[str]:
    """Name what has happened to a sale."""
    with database.reading() as connection:
        return [entry.kind for entry in stream(connection, name)]


def differences(database: ShopDatabase, kinds: Kinds = KINDS) -> list[str]:
    """Tell what is not as the log says."""
    return [f"{where}: {what}" for where, what in compared(database, kinds, EVENT)]


def lived(database: ShopDatabase, sales: SalesStore, clock: ManualClock) -> list[str]:
    """Let reservations of every end happen; returns their ids: active, released, lapsed, sold, returned."""
    ids = []
    for number, seats in enumerate(((0, 1), (2,), (3,), (4, 5), (6, 7)), 1):
        until_ms = UNTIL_MS - 50_000 if number == 3 else UNTIL_MS
        got = sales.reserve(a_sale(number, seats, buyer=f"b{number}", until_ms=until_ms))
        assert isinstance(got, Reserved)
        ids.append(got.reservation.id)
    clock.set(NOW_MS + 10)
    assert sales.give_back(EVENT, "b2", ids[1]) is not None
    clock.set(UNTIL_MS - 50_000)
    assert len(sales.lapse()) == 1
    with database.writing() as connection:
        assert sell_within(connection, ids[3], UNTIL_MS - 40_000)
        assert sell_within(connection, ids[4], UNTIL_MS - 40_000)
        assert free_sold(connection, ids[4], UNTIL_MS - 30_000)
    return ids


# ------------------------------------------------------------------------------------ writing


def test_every_change_of_a_sale_is_in_the_log(
    database: ShopDatabase, sales: SalesStore, clock: ManualClock
) -> None:
    """With its time, in the order in which it happened, chained and whole."""
    ids = lived(database, sales, clock)

    assert [kinds_of(database, id_) for id_ in ids] == [
        ["reserved"], ["reserved", "released"], ["reserved", "lapsed"], ["reserved", "sold"],
        ["reserved", "sold", "returned"],
    ]  # fmt: skip
    with database.reading() as connection:
        assert [entry.at_ms for entry in stream(connection, ids[4])] == [
            NOW_MS,
            UNTIL_MS - 40_000,
            UNTIL_MS - 30_000,
        ]
        assert stream(connection, ids[0])[0].read() == {
            "buyer": "b1", "hold": a_sale(1).hold, "epoch": 1, "fence": 1, "price_version": 1, "currency": "EUR",
            "total_minor": 8400, "until_ms": UNTIL_MS, "lines": [[0, 0, 4200], [1, 0, 4200]],
        }  # fmt: skip
        assert verify(connection, 0).faults == []
    assert differences(database) == []


def test_what_did_not_happen_is_not_in_the_log(database: ShopDatabase, sales: SalesStore) -> None:
    """A repeat, a refusal, a second end."""
    got = sales.reserve(a_sale(1, (0,)))
    assert isinstance(got, Reserved)
    sales.reserve(a_sale(1, (0,)))
    sales.reserve(a_sale(2, (0,), buyer="bob"))
    sales.give_back(EVENT, "ann", got.reservation.id)
    sales.give_back(EVENT, "ann", got.reservation.id)
    with database.writing() as connection:
        assert not sell_within(connection, got.reservation.id, NOW_MS)
        assert release_within(connection, got.reservation.id, SaleState.RELEASED, NOW_MS) is None

    assert kinds_of(database, got.reservation.id) == ["reserved", "released"]
    assert kinds_of(database, f"R{a_sale(2).hold}") == []


def test_a_group_is_told_with_one_statement(database: ShopDatabase, sales: SalesStore) -> None:
    """Those of it that were reserved; one that fails is not among them."""
    sent: list[str] = []

    def note(*arguments: Any) -> None:
        if "event_log" in arguments[2]:
            sent.append(arguments[2])

    sa.event.listen(database._engine, "before_cursor_execute", note)
    wishes = [a_sale(number, (number,), buyer=f"b{number}") for number in range(1, 6)]
    outcomes = sales.reserve_all([*wishes, a_sale(9, (1,), buyer="late")])
    sa.event.remove(database._engine, "before_cursor_execute", note)

    assert sum(isinstance(one, Reserved) for one in outcomes) == 5
    assert len(sent) == 1
    assert [kinds_of(database, f"R{sale.hold}") for sale in wishes] == [["reserved"]] * 5
    assert differences(database) == []


# ---------------------------------------------------------------------------------- rebuilding


def test_tables_that_are_gone_are_put_back_byte_by_byte(
    database: ShopDatabase, sales: SalesStore, clock: ManualClock
) -> None:
    """Everything that the log comes to was deleted, and seats forgot whose they are."""
    lived(database, sales, clock)
    before = dump(database, versions=False)
    with database.writing() as connection:
        connection.execute(sa.delete(RESERVATIONS))
        connection.execute(sa.delete(RESERVATION_SEATS))
        connection.execute(sa.update(SEATS).where(SEATS.c.seat < 10).values(status=0, reservation_id=None))
    assert len(differences(database)) == 5 + 8 + 4

    assert rebuild(database, KINDS, EVENT) > 0

    assert differences(database) == []
    assert dump(database, versions=False) == before
    assert rebuild(database, KINDS, EVENT) == 0


SPOILT: dict[str, tuple[sa.Update | sa.Delete | sa.Insert, str]] = {
    "a state": (
        sa.update(RESERVATIONS).where(RESERVATIONS.c.buyer == "b3").values(state="active"),
        "state is 'active', by the log 'lapsed'",
    ),
    "a price": (
        sa.update(RESERVATION_SEATS).where(RESERVATION_SEATS.c.seat == 4).values(price_minor=1),
        "price_minor is 1, by the log 4200",
    ),
    "a version": (sa.update(RESERVATIONS).values(version=RESERVATIONS.c.version + 1), "version is 2, by the log 1"),
    "a line": (sa.delete(RESERVATION_SEATS).where(RESERVATION_SEATS.c.seat == 0), "the row is missing"),
    "a sale": (sa.delete(RESERVATIONS).where(RESERVATIONS.c.buyer == "b4"), "the row is missing"),
    "a line too many": (
        sa.insert(RESERVATION_SEATS).from_select(
            ["reservation_id", "event_id", "seat", "tier", "price_minor", "active"],
            sa.select(RESERVATIONS.c.id, RESERVATIONS.c.event_id, sa.literal(9), sa.literal(0), sa.literal(1),
                      sa.true()).where(RESERVATIONS.c.buyer == "b1"),
        ),
        "the log knows of no such row",
    ),
    "a sale too many": (
        sa.insert(RESERVATIONS).values(
            id="Rx", event_id=EVENT, buyer="x", hold_id="x", state="sold", epoch=1, fence=1, price_version=1,
            currency="EUR", total_minor=1, created_ms=1, until_ms=1, version=1,
        ),
        "the log knows of no such row",
    ),
    "a seat's status": (
        sa.update(SEATS).where(SEATS.c.seat == 4).values(status=Status.RESERVED),
        "it is reserved for",
    ),
    "a seat's owner": (
        sa.update(SEATS).where(SEATS.c.seat == 8).values(status=Status.SOLD, reservation_id="Rx"),
        "it is sold for Rx, by the log nobody's",
    ),
    "an allocation's seat": (
        sa.update(SEATS).where(SEATS.c.seat == 10).values(status=Status.SOLD, reservation_id="Rx"),
        "it is sold for Rx, by the log nobody's",
    ),
    "a seat that was forgotten": (
        sa.update(SEATS).where(SEATS.c.seat == 0).values(status=0, reservation_id=None, epoch=0, fence=0),
        "it is nobody's, by the log reserved for",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", SPOILT)
def test_whatever_is_spoilt_is_told_and_put_back(
    database: ShopDatabase, sales: SalesStore, clock: ManualClock, what: str
) -> None:
    """One thing at a time."""
    lived(database, sales, clock)
    before = dump(database, versions=False)
    statement, told = SPOILT[what]
    with database.writing() as connection:
        connection.execute(statement)

    assert any(told in line for line in differences(database)), differences(database)
    rebuild(database, KINDS, EVENT)

    assert differences(database) == []
    assert dump(database, versions=False) == before


def test_a_seat_that_is_put_back_has_a_newer_version(
    database: ShopDatabase, sales: SalesStore, clock: ManualClock
) -> None:
    """Whoever read it before does not take it."""
    lived(database, sales, clock)
    was = {row[1]: row[5] for row in dump(database)["seats"]}
    with database.writing() as connection:
        connection.execute(sa.update(SEATS).where(SEATS.c.seat == 0).values(status=0, reservation_id=None))
    rebuild(database, KINDS, EVENT)

    now = {row[1]: row[5] for row in dump(database)["seats"]}
    assert now == was | {0: was[0] + 1}


def test_another_event_is_left_alone(database: ShopDatabase, sales: SalesStore, clock: ManualClock) -> None:
    """What is rebuilt is one event; the other's faults stay until it is its turn."""
    lived(database, sales, clock)
    SeatRows(database).make("winter", bytes(4))
    with database.writing() as connection:
        connection.execute(sa.insert(STORE_EPOCHS), {"event_id": "winter", "epoch": 1})
    assert isinstance(
        sales.reserve(a_sale(50, (0, 1), event="winter", late_ms=10**15, until_ms=10**15)), Reserved
    )
    with database.writing() as connection:
        connection.execute(sa.update(RESERVATIONS).values(total_minor=7))

    rebuild(database, KINDS, EVENT)

    assert differences(database) == []
    assert len(compared(database, KINDS, "winter")) == 1


def test_a_rebuilding_in_the_middle_of_a_sale_takes_nothing_from_anybody(
    database: ShopDatabase, sales: SalesStore, clock: ManualClock
) -> None:
    """Buyers reserve and give back, the reaper ends, while everything is put back again and again."""
    spoilt = threading.Event()

    def buys(number: int) -> int:
        count = 0
        for round_ in range(12):
            one = 1000 * (number + 1) + round_
            got = sales.reserve(a_sale(one, (number, number + 4), buyer=f"b{number}", late_ms=10**15))
            count += isinstance(got, Reserved)
            if isinstance(got, Reserved) and round_ != 11:
                sales.give_back(EVENT, f"b{number}", got.reservation.id)
        return count

    def rebuilds() -> int:
        for _ in range(12):
            rebuild(database, KINDS, EVENT)
            assert differences(database) == []
        spoilt.set()
        return -1

    counts = at_once([*(lambda number=number: buys(number) for number in range(4)), rebuilds])  # type: ignore[misc]

    assert spoilt.is_set()
    assert counts == [12, 12, 12, 12, -1]
    assert differences(database) == []
    assert len([row for row in dump(database)["seats"] if row[2] == Status.RESERVED]) == 8


# --------------------------------------------------------------------------------------- time


def test_every_time_can_be_looked_at(database: ShopDatabase, sales: SalesStore, clock: ManualClock) -> None:
    """What stood just before it: nothing, all of them, and then one end after the other."""
    ids = lived(database, sales, clock)

    def states(until_ms: int) -> list[str]:
        with database.reading() as connection:
            stood = {
                one.reservation.id: one.reservation.state.value
                for one in at(connection, KINDS, EVENT, until_ms)
            }
        return [stood.get(id_, "-")[:3] for id_ in ids]

    assert states(NOW_MS) == ["-"] * 5
    assert states(NOW_MS + 1) == ["act"] * 5
    assert states(NOW_MS + 10) == ["act"] * 5
    assert states(NOW_MS + 11) == ["act", "rel", "act", "act", "act"]
    assert states(UNTIL_MS - 40_000) == ["act", "rel", "lap", "act", "act"]
    assert states(UNTIL_MS - 30_000) == ["act", "rel", "lap", "sol", "sol"]
    assert states(10**15) == ["act", "rel", "lap", "sol", "ret"]
    with database.reading() as connection:
        (third,) = [one for one in at(connection, KINDS, EVENT) if one.reservation.id == ids[2]]
        assert third.reservation == sales.of_hold(EVENT, a_sale(3).hold)
        assert third.active == frozenset()


# ------------------------------------------------------------------------------------- faults


def test_an_entry_that_cannot_be_is_told_and_nothing_is_rebuilt_from_it(
    database: ShopDatabase, sales: SalesStore
) -> None:
    """An end of what has ended, a kind that nobody knows, a body that says too little."""
    got = sales.reserve(a_sale(1, (0,)))
    assert isinstance(got, Reserved)
    before = dump(database)
    for number, (kind, word) in enumerate((("returned", "cannot be read"), ("strange", "no known kind"))):
        with database.writing() as connection:
            id_ = got.reservation.id if not number else "Rother"
            append(connection, [Draft(EVENT, id_, kind, {}, NOW_MS)], heads(connection, [id_]))
        assert any(word in line for line in differences(database))
    with pytest.raises(Unreadable):
        rebuild(database, KINDS, EVENT)

    assert dump(database) == before
    with database.writing() as connection:
        append(connection, [Draft(EVENT, "Rthird", "reserved", {"buyer": "ann"}, NOW_MS)])
    assert any("KeyError" in line for line in differences(database))


def _forgets(kind: str) -> Projection:
    """Make the sales' projection without what one kind means."""
    steps = {**SALES.steps, kind: lambda was, _entry, _body: was}
    return Projection(SALES.name, steps, SALES.tables, SALES.rows)


@pytest.mark.parametrize("kind", ["released", "lapsed", "sold", "returned"])
def test_a_fold_that_forgets_a_kind_is_found(
    database: ShopDatabase, sales: SalesStore, clock: ManualClock, kind: str
) -> None:
    """The mutants: the tables are right, so it is the fold that differs."""
    lived(database, sales, clock)

    assert differences(database, Kinds(_forgets(kind))) != []


def test_a_change_that_is_not_told_is_found(
    database: ShopDatabase, sales: SalesStore, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: the store writes rows and no entries."""
    monkeypatch.setattr("checkout.sales.store.append", lambda *_: {})
    assert isinstance(sales.reserve(a_sale(1, (0,))), Reserved)

    assert [line.partition(":")[0] for line in differences(database)] == [
        f"reservations R{a_sale(1).hold}", f"reservation_seats R{a_sale(1).hold} 0", "seat 0",
    ]  # fmt: skip


# ------------------------------------------------------------------------------------ registry


def test_who_adds_kinds_adds_a_projection_of_them(
    database: ShopDatabase, sales: SalesStore, clock: ManualClock
) -> None:
    """Another view of the same streams: it minds a kind of its own, and one that is there already."""

    def step(was: Any, entry: Any, body: Any) -> Any:
        return (was or ()) + ((entry.kind, body.get("note", "")),)

    def rows(state: Any) -> Any:
        return {"idempotency": []} if state else {}

    notes = Projection("notes", {"noted": step, "sold": step}, (Projected(IDEMPOTENCY, "key"),), rows)
    both = Kinds(SALES, notes)
    ids = lived(database, sales, clock)
    with database.writing() as connection:
        append(connection, [Draft(EVENT, ids[3], "noted", {"note": "x"}, NOW_MS)], heads(connection, ids))

    with database.reading() as connection:
        states = both.fold(stream(connection, ids[3]))
    assert states["notes"] == (("sold", ""), ("noted", "x"))
    assert states["sales"].reservation.state is SaleState.SOLD
    assert both.rows(states)["idempotency"] == []
    with database.reading() as connection, pytest.raises(Unreadable, match="no known kind: noted"):
        KINDS.fold(stream(connection, ids[3]))


# ----------------------------------------------------------------------------------- property

ACTS = st.lists(
    st.tuples(
        st.sampled_from(["reserve", "group", "give", "lapse", "sell", "free", "wait"]), st.integers(0, 11)
    ),
    min_size=5,
    max_size=30,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=ACTS, seed=st.integers(0, 2**16))
def test_whatever_happens_the_fold_of_the_log_is_the_tables(
    tmp_path_factory: pytest.TempPathFactory, acts: list[tuple[str, int]], seed: int
) -> None:
    """I6: any history, in any order; and tables that are emptied come back as they were."""
    database = ShopDatabase(f"sqlite:///{tmp_path_factory.mktemp('log')}/shop.db")
    database.open()
    clock, draw, number = ManualClock(NOW_MS), random.Random(seed), 0
    sales = SalesStore(with_hall(database), clock)
    ids: list[tuple[str, str]] = []
    for act, which in acts:
        fresh = {"late_ms": 10**15, "until_ms": clock.now_ms() + 50, "max_per_buyer": 12}
        if act in {"reserve", "group"}:
            wishes = []
            for _ in range(1 if act == "reserve" else 3):
                number += 1
                seats = sorted(draw.sample(range(12), draw.randint(1, 3)))
                wishes.append(a_sale(number, seats, buyer=f"b{which % 3}", **fresh))
            outcomes = sales.reserve_all(wishes)
            ids += [
                (one.reservation.id, one.reservation.buyer) for one in outcomes if isinstance(one, Reserved)
            ]
        elif act == "wait":
            clock.advance(which * 10)
        elif act == "lapse":
            sales.lapse()
        elif ids:
            id_, buyer = ids[which % len(ids)]
            if act == "give":
                sales.give_back(EVENT, buyer, id_)
            else:
                _sell_or_free(database, sell_within if act == "sell" else free_sold, id_, clock.now_ms())
    before = dump(database, versions=False)

    assert differences(database) == []
    Sealer(database).seal(clock.now_ms())
    with database.reading() as connection:
        assert verify(at_one_moment(connection), 10**15).faults == []
    with database.writing() as connection:
        connection.execute(sa.delete(RESERVATIONS))
        connection.execute(sa.delete(RESERVATION_SEATS).where(RESERVATION_SEATS.c.seat % 2 == 0))
    rebuild(database, KINDS, EVENT)
    assert dump(database, versions=False) == before
    database.close()


def _sell_or_free(database: ShopDatabase, act: Callable[..., object], id_: str, now_ms: int) -> None:
    """Do as whoever sells does: what cannot be is rolled back."""
    with contextlib.suppress(ZeroDivisionError), database.writing() as connection:
        _ = 1 // bool(act(connection, id_, now_ms))


def test_the_first_kind_is_the_only_one_that_begins_a_stream() -> None:
    """Every other one needs what was before; so a log without its beginning is told."""
    assert set(SALES.steps) == {
        projection.RESERVED,
        *(state.value for state in SaleState if state is not SaleState.ACTIVE),
    }
