"""The statements that reserve: all or nothing, once, whatever breaks; each guard switched off is found missing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from checkout.audit.invariants import Books, sold_once, within_limits
from checkout.database import ShopDatabase
from checkout.halls.seat_rows import SeatRows
from checkout.halls.seats import Status
from checkout.sales import store as sales_store
from checkout.sales.reservation import (
    Late,
    Lost,
    Outdated,
    Over,
    Reserved,
    ReserveOutcome,
    SaleState,
    TooMany,
)
from checkout.sales.statements import AS_READ, taking
from checkout.sales.store import TRIES, SalesStore
from checkout.tables import RESERVATIONS, SEATS, STORE_EPOCHS
from kernel.clock import ManualClock
from kernel.errors import Unavailable
from tests.checkout.catalogues import NOW_MS
from tests.checkout.cutting import Cutter, schema
from tests.checkout.reservations import EVENT, MOST, a_sale, at_once, books_of

UNTIL_MS = NOW_MS + 100_000


@pytest.fixture
def database(shop_database: ShopDatabase) -> ShopDatabase:
    """Give a database with an event's hall of twelve seats, in its first epoch."""
    SeatRows(shop_database).make(EVENT, bytes(12))
    with shop_database.writing() as connection:
        connection.execute(sa.insert(STORE_EPOCHS), {"event_id": EVENT, "epoch": 1})
    return shop_database


@pytest.fixture
def sales(database: ShopDatabase, clock: ManualClock) -> SalesStore:
    """Give the statements, at ``NOW_MS``."""
    return SalesStore(database, clock)


def seats_of(database: ShopDatabase) -> dict[int, tuple[int, int, int, int, str | None]]:
    """Read status, version, epoch, fence and reservation of each seat."""
    columns = SEATS.c
    rows = sa.select(
        columns.seat, columns.status, columns.version, columns.epoch, columns.fence, columns.reservation_id
    )
    with database.reading() as connection:
        return {seat: (*rest,) for seat, *rest in connection.execute(rows)}  # type: ignore[misc]


# ----------------------------------------------------------------------------------- reserving


def test_a_reservation_is_written_whole(sales: SalesStore, database: ShopDatabase) -> None:
    """Seats, reservation and lines say the same; the seats carry the hold's epoch and fence."""
    sale = a_sale(7, (3, 4))

    outcome = sales.reserve(sale)

    assert isinstance(outcome, Reserved)
    assert not outcome.again
    made = outcome.reservation
    assert (made.id, made.state, made.total_minor, made.created_ms, made.until_ms, made.version) == (
        f"R{sale.hold}", SaleState.ACTIVE, 8400, NOW_MS, UNTIL_MS, 1,
    )  # fmt: skip
    assert sales.find(EVENT, "ann", made.id) == sales.of_hold(EVENT, sale.hold) == made
    assert sales.find(EVENT, "bob", made.id) is None
    now = seats_of(database)
    assert now[3] == now[4] == (Status.RESERVED, 1, 1, 7, made.id)
    assert now[5] == (Status.FREE, 0, 0, 0, None)


def test_a_repeat_gives_the_same_reservation(sales: SalesStore) -> None:
    """Also after its seats could not be had a second time, and as part of a group."""
    first = sales.reserve(a_sale(1))
    assert isinstance(first, Reserved)

    assert sales.reserve(a_sale(1)) == Reserved(first.reservation, again=True)
    assert sales.reserve_all([a_sale(1), a_sale(1)]) == [Reserved(first.reservation, again=True)] * 2
    assert len(sales.of_buyer(EVENT, "ann")) == 1


def test_a_hold_is_a_reservation_once_and_never_again(sales: SalesStore) -> None:
    """After it was given back or has lapsed, the hold is over, even with its seats free."""
    sales.reserve(a_sale(1))
    given = sales.give_back(EVENT, "ann", a_sale(1).hold.join(("R", "")))
    assert given is not None

    outcome = sales.reserve(a_sale(1, fence=9))

    assert isinstance(outcome, Over)
    assert outcome.reservation.state is SaleState.RELEASED


def test_taken_seats_are_named_and_nothing_is_reserved(sales: SalesStore, database: ShopDatabase) -> None:
    """All or nothing: one taken seat of three."""
    sales.reserve(a_sale(1, (5,)))

    outcome = sales.reserve(a_sale(2, (4, 5, 6), buyer="bob"))

    assert outcome == Lost(((5, Status.RESERVED),))
    assert seats_of(database)[4] == seats_of(database)[6] == (Status.FREE, 0, 0, 0, None)
    assert sales.of_buyer(EVENT, "bob") == []


def test_seats_that_are_not_there_are_lost(sales: SalesStore) -> None:
    """A seat outside the hall is nobody's."""
    assert sales.reserve(a_sale(1, (11, 12))) == Lost(((12, Status.BLOCKED),))


@pytest.mark.parametrize(
    ("epoch", "fence", "outcome"),
    [
        pytest.param(1, 5, Outdated(2), id="an older map"),
        pytest.param(3, 5, Outdated(2), id="a newer map than SQL has heard of"),
        pytest.param(2, 4, Outdated(2), id="the same map and an older hold"),
        pytest.param(2, 5, Outdated(2), id="the very hold that had the seat before"),
        pytest.param(2, 6, Reserved, id="a newer hold"),
    ],
)
def test_only_a_newer_hold_of_the_newest_map_gets_a_seat(
    sales: SalesStore, database: ShopDatabase, epoch: int, fence: int, outcome: object
) -> None:
    """The seat was reserved under epoch 2 and fence 5 and given back since."""
    with database.writing() as connection:
        connection.execute(sa.update(STORE_EPOCHS).values(epoch=2))
    first = sales.reserve(a_sale(1, (0,), epoch=2, fence=5))
    assert isinstance(first, Reserved)
    sales.give_back(EVENT, "ann", first.reservation.id)

    got = sales.reserve(a_sale(2, (0,), buyer="bob", epoch=epoch, fence=fence))

    assert got == outcome or (outcome is Reserved and isinstance(got, Reserved))


def test_a_newer_map_begins_its_fences_anew(sales: SalesStore, database: ShopDatabase) -> None:
    """After a loss the first hold has fence 1, and is newer than all before."""
    first = sales.reserve(a_sale(1, (0,), fence=900))
    assert isinstance(first, Reserved)
    sales.give_back(EVENT, "ann", first.reservation.id)
    with database.writing() as connection:
        connection.execute(sa.update(STORE_EPOCHS).values(epoch=2))

    assert isinstance(sales.reserve(a_sale(2, (0,), epoch=2, fence=1)), Reserved)


def test_an_event_without_a_map_reserves_nothing(shop_database: ShopDatabase, clock: ManualClock) -> None:
    """No epoch is no epoch."""
    assert SalesStore(shop_database, clock).reserve(a_sale(1)) == Outdated(0)


@pytest.mark.parametrize(("late_ms", "is_late"), [(NOW_MS + 1, False), (NOW_MS, True), (NOW_MS - 1, True)])
def test_who_comes_late_reserves_nothing(sales: SalesStore, late_ms: int, is_late: bool) -> None:
    """The time is read once the seats are locked; half-open, as everywhere."""
    assert isinstance(sales.reserve(a_sale(1, late_ms=late_ms)), Late) is is_late


def test_who_comes_late_hears_of_what_was_reserved_before(sales: SalesStore) -> None:
    """A repeat after a stop."""
    first = sales.reserve(a_sale(1))
    assert isinstance(first, Reserved)

    assert sales.reserve(a_sale(1, late_ms=0)) == Reserved(first.reservation, again=True)


# ---------------------------------------------------------------------------------- allocations


def test_an_allocations_seats_are_for_its_holds_only(sales: SalesStore, database: ShopDatabase) -> None:
    """A hold from an allocation gets its seats, and no others; they go back to it."""
    SeatRows(database).block(EVENT, [0, 1, 2], "fans")

    assert sales.reserve(a_sale(1, (0, 1))) == Lost(((0, Status.BLOCKED), (1, Status.BLOCKED)))
    assert sales.reserve(a_sale(2, (2, 3), back=Status.BLOCKED)) == Lost(((3, Status.FREE),))
    got = sales.reserve(a_sale(3, (0, 1), back=Status.BLOCKED))
    assert isinstance(got, Reserved)
    sales.give_back(EVENT, "ann", got.reservation.id)
    assert [seats_of(database)[seat][0] for seat in (0, 1, 2, 3)] == [4, 4, 4, 0]


def test_seats_of_two_allocations_are_no_ones_together(sales: SalesStore, database: ShopDatabase) -> None:
    """One hold has one code. What is blocked for no allocation is blocked for all."""
    SeatRows(database).block(EVENT, [0], "fans")
    SeatRows(database).block(EVENT, [1], "press")
    SeatRows(database).block(EVENT, [2])

    for seats in ((0, 1), (2,), (0, 2)):
        lost = tuple((seat, Status.BLOCKED) for seat in seats)
        assert sales.reserve(a_sale(1, seats, back=Status.BLOCKED)) == Lost(lost)


# --------------------------------------------------------------------------------------- limits


def test_the_limit_counts_again_in_sql(sales: SalesStore) -> None:
    """Whatever the store says: four seats are four seats."""
    sales.reserve(a_sale(1, (0, 1, 2)))

    assert sales.reserve(a_sale(2, (3, 4))) == TooMany(3, MOST)
    assert isinstance(sales.reserve(a_sale(3, (5,))), Reserved)
    assert sales.reserve(a_sale(4, (6,))) == TooMany(4, MOST)


def test_what_is_over_counts_no_more(sales: SalesStore, clock: ManualClock) -> None:
    """Also before the reaper came by: it is ended on the way."""
    sales.reserve(a_sale(1, (0, 1, 2, 3)))
    clock.set(UNTIL_MS)

    got = sales.reserve(a_sale(2, (4, 5), until_ms=UNTIL_MS + 9, late_ms=UNTIL_MS + 9))

    assert isinstance(got, Reserved)
    assert [one.state for one in sales.of_buyer(EVENT, "ann")] == [SaleState.ACTIVE, SaleState.LAPSED]


def test_tabs_of_one_buyer_together_stay_within_the_limit(sales: SalesStore, database: ShopDatabase) -> None:
    """Six holds of one seat each at once, of which four may be reserved (H9, in SQL)."""
    wishes = [a_sale(number, (number,)) for number in range(6)]

    outcomes = at_once([lambda sale=sale: sales.reserve(sale) for sale in wishes])  # type: ignore[misc]

    assert sum(isinstance(one, Reserved) for one in outcomes) == MOST
    assert sum(one == TooMany(MOST, MOST) for one in outcomes) == 2
    assert within_limits([], books_of(database), None, MOST) == []


# ------------------------------------------------------------------------------------------ end


def test_what_is_given_back_is_free_and_says_so_once(sales: SalesStore, database: ShopDatabase) -> None:
    """The second time nothing ends; another buyer's is not there at all."""
    got = sales.reserve(a_sale(1, (0, 1)))
    assert isinstance(got, Reserved)
    id_ = got.reservation.id

    assert sales.give_back(EVENT, "bob", id_) is None
    assert sales.give_back("other", "ann", id_) is None
    before, ended = sales.give_back(EVENT, "ann", id_) or (None, None)
    assert before == got.reservation
    assert ended == (EVENT, id_, a_sale(1).hold, (0, 1))
    again = sales.give_back(EVENT, "ann", id_)
    assert again is not None
    assert again[0].state is SaleState.RELEASED
    assert again[1] is None
    assert seats_of(database)[0] == (Status.FREE, 2, 1, 1, None)
    assert isinstance(sales.reserve(a_sale(2, (0,), buyer="bob")), Reserved)


def test_reservations_lapse_when_their_time_is_over(sales: SalesStore, clock: ManualClock) -> None:
    """Until just before it they are active; then they are due, each ended once."""
    for number in range(3):
        sales.reserve(a_sale(number + 1, (number,), until_ms=UNTIL_MS + number))

    clock.set(UNTIL_MS - 1)
    assert sales.due() == []
    assert sales.lapse() == []
    clock.set(UNTIL_MS + 1)
    assert [one.lines[0].seat for one in sales.due()] == [0, 1]
    assert len(sales.due(1)) == 1
    assert [one.seats for one in sales.lapse(most=1)] == [(0,)]
    assert [one.seats for one in sales.lapse()] == [(1,)]
    assert sales.lapse() == []
    assert {one.state for one in sales.of_buyer(EVENT, "ann")} == {SaleState.ACTIVE, SaleState.LAPSED}


def test_seats_whose_reservation_is_over_go_to_who_comes_next(sales: SalesStore, clock: ManualClock) -> None:
    """H4 for reservations: nothing depends on the reaper. One in the way that is not over still is."""
    sales.reserve(a_sale(1, (0, 1)))
    sales.reserve(a_sale(2, (2,), until_ms=UNTIL_MS + 1))
    clock.set(UNTIL_MS)
    later = {"buyer": "bob", "until_ms": UNTIL_MS + 50, "late_ms": UNTIL_MS + 50}

    assert sales.reserve(a_sale(3, (1, 2), **later)) == Lost(((1, Status.RESERVED), (2, Status.RESERVED)))
    assert sales.of_buyer(EVENT, "ann")[0].state is SaleState.ACTIVE
    assert isinstance(sales.reserve(a_sale(4, (1,), **later)), Reserved)
    assert {one.state for one in sales.of_buyer(EVENT, "ann")} == {SaleState.LAPSED, SaleState.ACTIVE}
    alone, lazily = sales.reserve_all([a_sale(5, (3,), **later), a_sale(6, (0,), **later)])
    assert isinstance(alone, Reserved)
    assert isinstance(lazily, Reserved)


@pytest.mark.parametrize("what", ["give back and lapse", "lapse twice", "give back twice"])
def test_of_two_ends_one_counts(
    sales: SalesStore, database: ShopDatabase, clock: ManualClock, what: str
) -> None:
    """H8 in SQL: both run, a seat is freed once."""
    ends: dict[str, list[Callable[[], int]]] = {
        "give": [lambda: int((sales.give_back(EVENT, "ann", id_) or (0, None))[1] is not None)],
        "lapse": [lambda: len(sales.lapse())],
    }
    both = {
        "give back and lapse": ends["give"] + ends["lapse"],
        "lapse twice": ends["lapse"] * 2,
        "give back twice": ends["give"] * 2,
    }[what]
    for round_ in range(12):
        clock.set(NOW_MS)
        sale = a_sale(round_ + 1, (0, 1))
        got = sales.reserve(sale)
        assert isinstance(got, Reserved)
        id_ = got.reservation.id
        clock.set(UNTIL_MS)

        assert sum(at_once(both)) == 1
        assert seats_of(database)[0][:2] == (Status.FREE, (round_ + 1) * 2)
    assert sold_once(books_of(database)) == []


def test_of_a_lapse_and_the_next_buyer_nobody_loses(
    sales: SalesStore, database: ShopDatabase, clock: ManualClock
) -> None:
    """H8: the reaper and three who want the seats: one gets them, in every round."""
    sales.reserve(a_sale(1, (0, 1)))
    for round_ in range(12):
        now_ms = UNTIL_MS * 1 + round_ * 100_000
        clock.set(now_ms)
        wishes = [
            a_sale(10 * round_ + number, (0, 1), buyer=f"b{number}", until_ms=now_ms + 100_000, late_ms=now_ms + 9)
            for number in (2, 3, 4)
        ]  # fmt: skip

        outcomes = at_once([
            sales.lapse,
            *(lambda sale=sale: sales.reserve(sale) for sale in wishes),  # type: ignore[misc]
        ])  # fmt: skip

        # One with a lower fence than another who was reserved and is over in the same instant cannot be there.
        assert sum(isinstance(one, Reserved) for one in outcomes) == 1
        assert sold_once(books_of(database)) == []


# ----------------------------------------------------------------------------------- many at once


def test_overlapping_sets_never_lock_each_other_for_ever(sales: SalesStore, database: ShopDatabase) -> None:
    """R3: sixteen threads want four of twelve seats each, in any order, round after round."""
    rounds = 3
    for round_ in range(rounds):
        wishes = [
            a_sale(100 * (round_ + 1) + number, _four(number), buyer=f"b{number}") for number in range(16)
        ]
        if round_ == 1:
            wishes = [replace(sale, lines=tuple(reversed(sale.lines))) for sale in wishes]

        outcomes = at_once([lambda sale=sale: sales.reserve(sale) for sale in wishes])  # type: ignore[misc]

        won = [sale for sale, one in zip(wishes, outcomes, strict=True) if isinstance(one, Reserved)]
        taken = [line.seat for sale in won for line in sale.lines]
        assert won
        assert len(taken) == len(set(taken))
        assert all(isinstance(one, Reserved | Lost) for one in outcomes)
        assert sold_once(books_of(database)) == []
        for sale in won:
            sales.give_back(EVENT, sale.buyer, f"R{sale.hold}")


def test_a_hundred_who_repeat_make_one_reservation(sales: SalesStore) -> None:
    """The same hold, from sixteen threads at once."""
    outcomes = at_once([lambda: sales.reserve(a_sale(1))] * 16)

    assert sum(isinstance(one, Reserved) and not one.again for one in outcomes) == 1
    assert all(isinstance(one, Reserved) for one in outcomes)
    assert len(sales.of_buyer(EVENT, "ann")) == 1


def test_a_group_shares_a_commit_and_nothing_else(sales: SalesStore, database: ShopDatabase) -> None:
    """One that fails takes back itself alone."""
    sales.reserve(a_sale(1, (0,)))
    wishes = [
        a_sale(2, (1, 2), buyer="bob"),
        a_sale(3, (2, 3), buyer="cy"),
        a_sale(4, (3, 0), buyer="dee"),
        a_sale(5, (3,), buyer="eve", epoch=9),
        a_sale(6, (4, 5), buyer="fay"),
    ]

    outcomes = sales.reserve_all(wishes)

    assert isinstance(outcomes[0], Reserved)
    assert outcomes[1:4] == [Lost(((2, Status.RESERVED),)), Lost(((0, Status.RESERVED),)), Outdated(1)]
    assert isinstance(outcomes[4], Reserved)
    assert seats_of(database)[3] == (Status.FREE, 0, 0, 0, None)
    assert sold_once(books_of(database)) == []


# --------------------------------------------------------------------------------------- failures


class Crash(Exception):
    """The process is gone."""


@contextmanager
def failing(
    database: ShopDatabase, at: int, error: Callable[[], Exception], times: int = 1
) -> Iterator[list[str]]:
    """Fail at the n-th statement (from 1), so many times; gives the statements that were sent."""
    sent: list[str] = []
    left = [times]

    def fail(*arguments: Any) -> None:
        sent.append(arguments[2])
        if len(sent) >= at and left[0] > 0:
            left[0] -= 1
            sent.clear()
            raise error()

    sa.event.listen(database._engine, "before_cursor_execute", fail)
    try:
        yield sent
    finally:
        sa.event.remove(database._engine, "before_cursor_execute", fail)


def test_a_crash_at_any_statement_leaves_nothing_or_all(database: ShopDatabase, sales: SalesStore) -> None:
    """R1: at each statement of a reservation; then the buyer asks again and gets it."""
    with failing(database, 10**6, Crash) as sent:
        sales.reserve(a_sale(1, (0, 1)))
    count = len(sent)
    assert count >= 5
    for at in range(1, count + 1):
        sale = a_sale(at + 1, (2, 3), buyer=f"b{at}", fence=1000 + at)
        before = seats_of(database)

        with pytest.raises(Crash), failing(database, at, Crash):
            sales.reserve(sale)

        assert seats_of(database) == before
        assert sales.of_hold(EVENT, sale.hold) is None
        got = sales.reserve(sale)
        assert isinstance(got, Reserved)
        sales.give_back(EVENT, sale.buyer, got.reservation.id)
    assert sold_once(books_of(database)) == []


def test_a_crash_while_ending_leaves_nothing_or_all(
    database: ShopDatabase, sales: SalesStore, clock: ManualClock
) -> None:
    """At each statement of a lapse: then the reaper comes by once more."""
    got = sales.reserve(a_sale(1, (0, 1)))
    assert isinstance(got, Reserved)
    clock.set(UNTIL_MS)
    at = 0
    while sales.due():
        at += 1
        with failing(database, at, Crash):
            try:
                ended = sales.lapse()
            except Crash:
                assert sales.of_hold(EVENT, a_sale(1).hold) == got.reservation
            else:
                assert len(ended) == 1
        assert sold_once(books_of(database)) == []
    assert at > 5


def busy() -> Exception:
    """Say what a database says that has chosen us as the victim."""
    return sa.exc.OperationalError("UPDATE", {}, psycopg.errors.DeadlockDetected("deadlock detected"))


def test_a_deadlock_is_tried_again(
    database: ShopDatabase, sales: SalesStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R3: so many times, and not for ever; nothing is reserved then, and no seat is stuck."""
    monkeypatch.setattr(sales_store, "_REST_S", 0)
    with failing(database, 4, busy, times=TRIES - 1):
        assert isinstance(sales.reserve(a_sale(1, (0,))), Reserved)

    with failing(database, 4, busy, times=2 * TRIES), pytest.raises(Unavailable):
        sales.reserve(a_sale(2, (1,), buyer="bob"))
    assert sales.of_hold(EVENT, a_sale(2).hold) is None
    assert isinstance(sales.reserve(a_sale(3, (1,), buyer="cy")), Reserved)


def test_one_that_fails_in_a_group_is_told_alone(
    database: ShopDatabase, sales: SalesStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A group that cannot be written is written one by one; who cannot be helped hears so."""
    monkeypatch.setattr(sales_store, "_REST_S", 0)
    with failing(database, 3, busy, times=1):
        outcomes = sales.reserve_all([a_sale(1, (0,)), a_sale(2, (1,), buyer="bob")])
    assert all(isinstance(one, Reserved) for one in outcomes)

    with failing(database, 3, busy, times=10**6):
        outcomes = sales.reserve_all([a_sale(3, (2,), buyer="cy"), a_sale(4, (3,), buyer="dee")])
    assert [type(one) for one in outcomes] == [Unavailable, Unavailable]


@pytest.mark.parametrize("is_sent", [True, False])
@pytest.mark.postgres
def test_a_commit_whose_answer_is_lost_is_read_back(
    postgres_url: str, clock: ManualClock, is_sent: bool
) -> None:
    """R2: the connection is cut after COMMIT was sent (or just before): in the end there is one reservation."""
    with Cutter(postgres_url) as cutter, schema(postgres_url) as name:
        direct = make_url(postgres_url).update_query_dict({"options": f"-csearch_path={name}"})
        database = ShopDatabase(cutter.url(direct).render_as_string(hide_password=False))
        database.open()
        SeatRows(database).make(EVENT, bytes(12))
        with database.writing() as connection:
            connection.execute(sa.insert(STORE_EPOCHS), {"event_id": EVENT, "epoch": 1})
        sales = SalesStore(database, clock)

        cutter.cut(b"COMMIT", is_sent=is_sent)
        got = sales.reserve(a_sale(1, (0, 1)))

        assert cutter.has_cut
        assert isinstance(got, Reserved)
        assert got.again is is_sent
        assert len(sales.of_buyer(EVENT, "ann")) == 1
        assert sold_once(books_of(database)) == []
        database.close()


@pytest.mark.postgres
def test_a_database_that_is_away_says_so(postgres_url: str, clock: ManualClock) -> None:
    """Nothing is known then, and the caller hears that."""
    with Cutter(postgres_url) as cutter, schema(postgres_url) as name:
        direct = make_url(postgres_url).update_query_dict({"options": f"-csearch_path={name}"})
        database = ShopDatabase(cutter.url(direct).render_as_string(hide_password=False))
        database.open()
        cutter.close()

        with pytest.raises(Unavailable):
            SalesStore(database, clock).reserve(a_sale(1))
        database.close()


# ---------------------------------------------------------------------------------------- mutants


class NoOcc(SalesStore):
    """Changes a seat whatever its row says."""

    take_free = taking(AS_READ | (SEATS.c.seat >= 0))


def twice(sales: SalesStore, database: ShopDatabase) -> tuple[list[ReserveOutcome], Books]:
    """Let two buyers reserve one seat, as two stores would that each gave it away once."""
    outcomes = [sales.reserve(a_sale(1, (0, 1))), sales.reserve(a_sale(2, (1, 2), buyer="bob"))]
    return outcomes, books_of(database)


def without_index(database: ShopDatabase) -> None:
    """Take the backstop away."""
    with database.writing() as connection:
        connection.execute(sa.text("DROP INDEX reservation_seats_active"))


@pytest.mark.parametrize("has_index", [True, False])
@pytest.mark.parametrize("store", [SalesStore, NoOcc])
def test_a_seat_is_sold_twice_only_without_version_and_index(
    database: ShopDatabase, clock: ManualClock, store: type[SalesStore], has_index: bool
) -> None:
    """Each guard alone keeps a double sale out (row 42); with both off the checker finds it (I1)."""
    if not has_index:
        without_index(database)

    outcomes, books = twice(store(database, clock), database)

    is_guarded = store is SalesStore or has_index
    assert (outcomes[1] == Lost(((1, Status.RESERVED),))) is is_guarded
    assert (sold_once(books) == []) is is_guarded


def test_without_its_count_the_limit_is_passed(
    database: ShopDatabase, sales: SalesStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant counts nothing; the checker finds too many seats (I9)."""
    nothing = sa.select(sa.literal(0)).select_from(RESERVATIONS)
    monkeypatch.setattr(SalesStore, "count_others", nothing)

    for number in range(6):
        sales.reserve(a_sale(number, (number,)))

    found = within_limits([], books_of(database), None, MOST)
    assert [one.invariant for one in found] == ["I9"]


# ----------------------------------------------------------------------------------------- tools


def _four(number: int) -> list[int]:
    return sorted({(number * 5 + step * 3) % 12 for step in range(4)})
