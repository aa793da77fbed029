"""Moving: an event changes its shard with everything it has, and belongs to exactly one whatever crashes."""

import asyncio
import threading
from collections.abc import Sequence

import pytest
import sqlalchemy as sa

from checkout.database import ShopDatabase
from checkout.halls.seats import Status, hold_id_text
from checkout.holds import inventory as rows_module
from checkout.holds.answers import Closed, Held
from checkout.holds.inventory import TABLES, Inventory, TooLate
from checkout.orders.keys import OtherBody, once_for
from checkout.sales.reservation import Line, Outdated, Reserved, Sale
from checkout.sales.store import SalesStore
from checkout.shards import moving
from checkout.shards.hashing import Override
from checkout.shards.moving import CLEAR_MS, SETTLE_MS, Progress, Step
from checkout.shards.shards import VIEW_MS
from checkout.tables import EVENTS, HOLD_JOURNAL, IDEMPOTENCY, RESERVATIONS, SEATS
from kernel.clock import ManualClock
from kernel.errors import Refused, Unavailable
from tests.checkout.moves import (
    EMPTY,
    ROWS,
    Crane,
    Journal,
    Killed,
    is_held,
    keys,
    moments,
    put,
    rows,
    seen,
    with_past,
)
from tests.checkout.sharded import AT_A, AT_B, Fleet, fleet

Urls = tuple[str, str, str]
Stores = tuple[str, str]


async def test_an_event_moves_with_everything_it_has(
    shop_urls: Urls, store_urls: Stores, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seed row 63: every row, every count, the map in a new epoch; the old shard has nothing left."""
    monkeypatch.setattr(rows_module, "BATCH", 7)
    async with fleet(shop_urls, store_urls, clock) as shop:
        await with_past(shop, AT_A)
        a, b = shop.shards.all()
        before, rows_before = await seen(a.holds, AT_A), rows(a, AT_A)

        moved = await (crane := Crane(shop)).move(AT_A, "b")

        assert moved.shard == "b"
        assert moved.rows == rows_before == rows(b, AT_A)
        assert {name: summary.rows for name, summary in moved.rows.items()} == {
            "seats": 45, "reservations": 2, "reservation_seats": 4, "hold_journal": 5, "waitlist": 5, "orders": 1,
            "order_attempts": 1, "order_work": 0, "order_refunds": 1, "order_notices": 1, "order_money": 1,
            "order_reviews": 1, "order_verdicts": 1, "order_disputes": 1, "order_marks": 1, "adyen_payments": 1,
            "adyen_entries": 1, "tickets": 1, "ticket_transfers": 1, "scanners": 1, "ticket_scans": 1, "contacts": 1,
            "waitlist_contacts": 1, "push_devices": 1, "outbox": 1, "outbox_sends": 1, "order_traces": 1,
            "idempotency": 1,
        }  # fmt: skip
        assert shop.shards.of(AT_A) is b
        after = await seen(b.holds, AT_A)
        assert (after.map, after.counts) == (before.map, before.counts)
        assert after.epoch > before.epoch
        assert rows(a, AT_A) == EMPTY
        assert await keys(a, AT_A) == []
        assert crane.journal.asked == [f"a:{AT_A}"]
        assert await is_held(shop, AT_A, 20)
        assert (await b.holds.mine(AT_A, "ann"))[1] == 2


async def test_an_event_moves_back_again(shop_urls: Urls, store_urls: Stores, clock: ManualClock) -> None:
    """What a move leaves behind as a fence is in nobody's way."""
    async with fleet(shop_urls, store_urls, clock) as shop:
        await with_past(shop, AT_A)
        a, b = shop.shards.all()
        before = rows(a, AT_A)

        for to in ("b", "a", "b", "a"):
            await Crane(shop).move(AT_A, to)

        assert rows(a, AT_A) == before
        assert rows(b, AT_A) == EMPTY
        assert (await seen(a.holds, AT_A)).counts[Status.SOLD] == 2


async def test_a_request_that_is_repeated_after_a_move_is_the_same_request(
    shop_urls: Urls, store_urls: Stores, clock: ManualClock
) -> None:
    """Its key is bound to its body wherever the event is; those of an event that is called alike stay."""
    alike, scope = AT_A + "x", f"{AT_A}:O1{AT_A}:refund"
    async with fleet(shop_urls, store_urls, clock) as shop:
        await with_past(shop, AT_A)
        a, b = shop.shards.all()
        put(
            a.database, IDEMPOTENCY, scope=f"{alike}:O1:refund", key="r1", body_hash="h", state="bound", created_ms=0
        )  # fmt: skip

        await Crane(shop).move(AT_A, "b")

        with pytest.raises(OtherBody), b.database.writing() as connection:
            once_for(connection, scope, "r1", b"another", 0)
        left = []
        for place in (a, b):
            with place.database.reading() as connection:
                left.append(sorted(connection.scalars(sa.select(IDEMPOTENCY.c.scope))))
        assert left == [[f"{alike}:O1:refund"], [scope]]


async def test_each_step_is_told_and_every_worker_is_waited_for(
    shop_urls: Urls, store_urls: Stores, clock: ManualClock
) -> None:
    """Longer than a worker relies on what it has read."""
    async with fleet(shop_urls, store_urls, clock) as shop:
        await with_past(shop, AT_A)
        began_ms = clock.now_ms()

        await (crane := Crane(shop)).move(AT_A, "b")

        told = list(dict.fromkeys(progress.step for progress in crane.steps))
        assert told == list(Step)
        assert clock.now_ms() - began_ms >= SETTLE_MS > VIEW_MS
        copied = [progress for progress in crane.steps if progress.step is Step.COPY]
        assert all(progress.done < progress.all == ROWS for progress in copied)


async def test_a_worker_that_hears_nothing_has_given_up_before_a_row_is_copied(
    shop_urls: Urls, store_urls: Stores, clock: ManualClock
) -> None:
    """It cannot reach the main database: when the copy begins it refuses every event, this one too."""
    async with fleet(shop_urls, store_urls, clock) as shop:
        await with_past(shop, AT_A)
        deaf = shop.worker()
        deaf.read()
        could: dict[Step, bool] = {}

        def watch(progress: Progress) -> None:
            try:
                could[progress.step] = deaf.of(AT_A).name == "a"
            except Unavailable:
                could[progress.step] = False

        await Crane(shop, watch=watch).move(AT_A, "b")

        assert could[Step.MARK]
        assert not any(could[step] for step in list(Step)[list(Step).index(Step.FENCE) :])
        await deaf.close()


async def test_what_cannot_move_stays_and_says_why(
    shop_urls: Urls, store_urls: Stores, clock: ManualClock
) -> None:
    """On sale, on sale soon, an unknown event, an unknown shard: nothing has happened."""
    async with fleet(shop_urls, store_urls, clock) as shop:
        now_ms = clock.now_ms()
        await shop.add(AT_A)
        await shop.add(AT_B, sale_from_ms=now_ms + CLEAR_MS - 1, sale_until_ms=now_ms + 10 * CLEAR_MS)
        await shop.add("tour-9", sale_from_ms=now_ms + CLEAR_MS, sale_until_ms=now_ms + 10 * CLEAR_MS)
        to = {"a": "b", "b": "a"}

        for event, shard, code in (
            (AT_A, "b", "sale-open"),
            (AT_B, "a", "sale-open"),
            ("none", "b", "event-unknown"),
            (AT_A, "c", "shard-unknown"),
        ):
            with pytest.raises(Refused) as caught:
                await Crane(shop).move(event, shard)
            assert caught.value.code == code
        assert shop.shards.overrides.read() == {}
        assert await is_held(shop, AT_A, 3)
        home = to[shop.shards.home("tour-9")]
        assert (await Crane(shop).move("tour-9", home)).shard == home


async def test_what_goes_on_in_the_hall_is_waited_for(
    shop_urls: Urls, store_urls: Stores, clock: ManualClock
) -> None:
    """Refused with the number of seats and reservations; when they are over it moves. The hall stays open."""
    async with fleet(shop_urls, store_urls, clock) as shop:
        await with_past(shop, AT_A)
        place = shop.shards.of(AT_A)
        assert isinstance(await shop.hold(AT_A, "eve", 20, 21), Held)
        row = {
            "id": "R-open", "event_id": AT_A, "buyer": "eve", "hold_id": "open", "state": "active", "epoch": 2,
            "fence": 9, "price_version": 1, "currency": "EUR", "total_minor": 1, "created_ms": 1, "until_ms": 1,
            "version": 1,
        }  # fmt: skip
        put(place.database, RESERVATIONS, **row)

        with pytest.raises(Refused) as caught:
            await Crane(shop).move(AT_A, "b")

        assert (caught.value.code, caught.value.status) == ("event-busy", 409)
        assert caught.value.extra == {"seats": 2, "reservations": 1}
        assert shop.shards.overrides.read() == {}
        assert await is_held(shop, AT_A, 22)
        for buyer in ("eve", "someone"):
            for id_ in (await place.holds.mine(AT_A, buyer))[2]:
                await place.holds.release(AT_A, id_, buyer)
        with place.database.writing() as connection:
            connection.execute(sa.update(RESERVATIONS).values(state="released"))
        assert (await Crane(shop).move(AT_A, "b")).shard == "b"


async def test_whoever_was_faster_than_the_mark_is_not_lost(
    shop_urls: Urls, store_urls: Stores, clock: ManualClock
) -> None:
    """A hold comes between the look and the mark, from a worker whose clock is ahead: the move is taken back."""
    async with fleet(shop_urls, store_urls, clock) as shop:
        await with_past(shop, AT_A)
        place = shop.shards.of(AT_A)

        crane = Crane(shop)
        mover = crane.mover()
        mark = mover._mark

        async def late(*arguments: object) -> object:
            assert isinstance(await shop.hold(AT_A, "eve", 30), Held)
            return await mark(*arguments)  # type: ignore[arg-type]

        mover._mark = late  # type: ignore[method-assign, assignment]
        with pytest.raises(Refused, match="1 seats are held"):
            await mover.move(AT_A, "b")

        assert shop.shards.overrides.read() == {AT_A: Override("a")}
        assert shop.shards.of(AT_A) is place
        assert await is_held(shop, AT_A, 31)


async def test_a_journal_that_is_not_in_sql_stops_the_move(
    shop_urls: Urls, store_urls: Stores, clock: ManualClock
) -> None:
    """What became of a hold would be forgotten; the same move goes on when it has been written."""
    async with fleet(shop_urls, store_urls, clock) as shop:
        await with_past(shop, AT_A)
        crane = Crane(shop)
        crane.journal.left = 3

        with pytest.raises(Unavailable, match="3 notes"):
            await crane.move(AT_A, "b")

        crane.journal.left = 0
        assert (await crane.move(AT_A, "b")).shard == "b"


@pytest.mark.parametrize("is_drained", [True, False], ids=["drained", "mutant: not drained"])
async def test_what_became_of_a_hold_moves_along(
    shop_urls: Urls, store_urls: Stores, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, is_drained: bool
) -> None:
    """It was in the old store's stream only, and that is dropped."""
    async with fleet(shop_urls, store_urls, clock) as shop:
        await with_past(shop, AT_A)
        place = shop.shards.of(AT_A)
        assert isinstance(await shop.hold(AT_A, "eve", 20), Held)
        ((id_, _),) = (await place.holds.mine(AT_A, "eve"))[2].items()
        await place.holds.release(AT_A, id_, "eve")

        async def nothing(*_: object) -> int:
            return 0

        if not is_drained:
            monkeypatch.setattr(Journal, "drain", nothing)
        await Crane(shop).move(AT_A, "b")

        own = (HOLD_JOURNAL.c.event_id == AT_A) & (HOLD_JOURNAL.c.buyer == "eve")
        with shop.shards.named("b").database.reading() as connection:
            states = connection.scalars(sa.select(HOLD_JOURNAL.c.state).where(own)).all()
        assert states == (["released"] if is_drained else [])


# ---------------------------------------------------------------------------------- crashes


async def _one_owner(shop: Fleet, event: str, before: object) -> str:
    """Ask a worker that has just started whose the event is; whoever has it has all of it."""
    worker = shop.just_started()
    worker.read()
    override = worker.overrides.read().get(event)
    owner = worker.home(event) if override is None else override.shard
    if override is not None and override.is_moving:
        with pytest.raises(Unavailable, match="event-moving"):
            worker.of(event)
    else:
        assert worker.of(event).name == owner
    assert rows(worker.named(owner), event) == before
    return owner


@pytest.mark.slow
@pytest.mark.parametrize("give_up", [False, True], ids=["again", "give up"])
async def test_a_crash_at_any_step_leaves_one_owner(
    shop_urls: Urls, store_urls: Stores, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, give_up: bool
) -> None:
    """Whoever owns the event has every row of it; the same move goes on, a move to where it is gives up."""
    monkeypatch.setattr(rows_module, "BATCH", 25)
    # Where it waits nothing happens between two looks, so three of them do.
    monkeypatch.setattr(moving, "_REST_MS", SETTLE_MS // 3)
    async with fleet(shop_urls, store_urls, clock) as shop:
        a, b = shop.shards.all()
        owners: list[str] = []
        is_every = not give_up and shop.main.dialect == "sqlite"
        for number in await moments(shop, is_every=is_every):
            event = f"big-{number}"
            await with_past(shop, event, "a")
            before, counts = rows(a, event), (await seen(a.holds, event)).counts
            assert await Crane(shop).killed_at(event, "b", number)
            owner = await _one_owner(shop, event, before)
            owners.append(owner)

            to, other = (owner, b if owner == "a" else a) if give_up else ("b", a)
            await Crane(shop).move(event, to)

            assert shop.shards.of(event).name == to
            assert await _one_owner(shop, event, before) == to
            assert (await seen(shop.shards.of(event).holds, event)).counts == counts
            assert rows(other, event) == EMPTY
            assert await keys(other, event) == []
            assert await is_held(shop, event, 40)
        # The switch is one moment: everything before it is at a, everything after it at b.
        assert owners == sorted(owners)
        assert set(owners) == {"a", "b"}


@pytest.mark.parametrize("is_fenced", [True, False], ids=["fenced", "mutant: fence off"])
async def test_a_mover_that_slept_through_the_end_does_nothing_any_more(
    shop_urls: Urls, store_urls: Stores, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, is_fenced: bool
) -> None:
    """It wakes up before it clears the target, where the event lives by now; without the fence it empties it."""
    if not is_fenced:
        monkeypatch.setattr(rows_module, "_raise", lambda *_: None)
    async with fleet(shop_urls, store_urls, clock) as shop:
        await with_past(shop, AT_A)
        a, b = shop.shards.all()
        before = rows(a, AT_A)
        slept, go_on = threading.Event(), threading.Event()
        clear, calls = Inventory.clear, []

        def sleepy(own: Inventory, event: str, epoch: int) -> None:
            calls.append(epoch)
            if len(calls) == 1:
                slept.set()
                assert go_on.wait(30)
            clear(own, event, epoch)

        monkeypatch.setattr(Inventory, "clear", sleepy)
        first = asyncio.create_task(Crane(shop).move(AT_A, "b"))
        await asyncio.to_thread(slept.wait, 30)
        if is_fenced:
            await Crane(shop).move(AT_A, "b")
            assert rows(b, AT_A) == before
        else:
            # Without a fence the second is refused too late to count; what it has done is done by hand.
            for table in TABLES:
                for batch in Inventory(a.database).batches(AT_A, table):
                    with b.database.writing() as connection:
                        names = [column.name for column in table.columns]
                        connection.execute(
                            sa.insert(table), [dict(zip(names, row, strict=True)) for row in batch]
                        )
        go_on.set()
        with pytest.raises((Refused, TooLate)) as caught:
            await first

        if is_fenced:
            assert isinstance(caught.value, Refused)
            assert caught.value.code == "move-overtaken"
        assert (rows(b, AT_A) == before) == is_fenced


async def test_of_two_movers_at_once_one_is_overtaken(
    shop_urls: Urls, store_urls: Stores, clock: ManualClock
) -> None:
    """The second takes over with a later epoch; the first is refused wherever it is, and the event is whole."""
    async with fleet(shop_urls, store_urls, clock) as shop:
        await with_past(shop, AT_A)
        a, b = shop.shards.all()
        before = rows(a, AT_A)

        ends = await asyncio.gather(*(Crane(shop).move(AT_A, "b") for _ in range(3)), return_exceptions=True)

        refused = [end for end in ends if isinstance(end, BaseException)]
        assert {end.code for end in refused if isinstance(end, Refused)} <= {"move-overtaken"}
        assert all(isinstance(end, Refused) for end in refused)
        if len(refused) == 3:
            await Crane(shop).move(AT_A, "b")
        assert await _one_owner(shop, AT_A, before) == "b"
        assert rows(a, AT_A) == EMPTY
        assert rows(b, AT_A) == before


@pytest.mark.parametrize("is_compared", [True, False], ids=["compared", "mutant: not compared"])
async def test_a_copy_that_differs_is_no_copy(
    shop_urls: Urls,
    store_urls: Stores,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
    is_compared: bool,
) -> None:
    """A row got lost on the way: the event stays where it was; if nobody compared, the seat would be gone."""
    put_rows = Inventory.put

    def loses_one(own: Inventory, event: str, epoch: int, table: sa.Table, batch: Sequence[object]) -> None:
        put_rows(own, event, epoch, table, batch[1:] if table is SEATS else batch)  # type: ignore[arg-type]

    monkeypatch.setattr(Inventory, "put", loses_one)
    if not is_compared:
        monkeypatch.setattr(Inventory, "summary", lambda *_: EMPTY)
    async with fleet(shop_urls, store_urls, clock) as shop:
        await with_past(shop, AT_A)
        a, b = shop.shards.all()

        if is_compared:
            with pytest.raises(Unavailable) as caught:
                await Crane(shop).move(AT_A, "b")
            assert caught.value.code == "move-differs"
            assert shop.shards.overrides.read()[AT_A].shard == "a"
            assert Inventory(a.database).count(AT_A) == ROWS
        else:
            await Crane(shop).move(AT_A, "b")
            assert Inventory(b.database).count(AT_A) == ROWS - 1


# ------------------------------------------------------------------------------------ fences


@pytest.mark.parametrize("is_fenced", [True, False], ids=["fenced", "mutant: fence off"])
async def test_what_was_held_before_the_fence_cannot_be_reserved(
    shop_urls: Urls, store_urls: Stores, clock: ManualClock, is_fenced: bool
) -> None:
    """A worker that stood still with a pinned hold in its hands comes too late for the rows that are being copied."""
    async with fleet(shop_urls, store_urls, clock) as shop:
        await with_past(shop, AT_A)
        place = shop.shards.of(AT_A)
        held = await shop.hold(AT_A, "eve", 20)
        assert isinstance(held, Held)
        sale = Sale(
            event=AT_A,
            buyer="eve",
            hold=hold_id_text(b"12345678"),
            back=Status.FREE,
            epoch=held.epoch,
            fence=held.fence,
            price_version=1,
            currency="EUR",
            lines=(Line(20, 0, 4200),),
            until_ms=clock.now_ms() + 60_000,
            late_ms=clock.now_ms() + 60_000,
            max_per_buyer=4,
        )
        if is_fenced:
            assert Inventory(place.database).fence(AT_A, held.epoch + 5) == 0

        outcome = await asyncio.to_thread(SalesStore(place.database, clock).reserve, sale)

        assert isinstance(outcome, Outdated if is_fenced else Reserved)
        assert Inventory(place.database).fence(AT_A, held.epoch + 6) == (0 if is_fenced else 1)
        assert Inventory(place.database).epoch(AT_A) == (held.epoch + 6 if is_fenced else held.epoch)


def test_an_older_epoch_is_too_late_everywhere(shop_database: ShopDatabase) -> None:
    """To fence, to clear, to put down; the same epoch is not."""
    inventory = Inventory(shop_database)
    row = ("e", 0, 0, 0, None, 0, 0, 0, None)
    assert inventory.fence("e", 5) == 0
    inventory.clear("e", 5)
    inventory.put("e", 5, SEATS, [row])

    for act in (
        lambda: inventory.fence("e", 4),
        lambda: inventory.clear("e", 4),
        lambda: inventory.put("e", 4, SEATS, [row]),
        lambda: inventory.put("e", 6, SEATS, [row]),
    ):
        with pytest.raises(TooLate):
            act()

    assert (inventory.count("e"), inventory.epoch("e")) == (1, 5)


@pytest.mark.parametrize("batch", [1, 2, 7, 20, 21, 100])
def test_every_row_is_in_one_batch(
    shop_database: ShopDatabase, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    """Whatever the size of the batches, and with keys of one column and of two."""
    inventory = Inventory(shop_database)
    inventory.fence("e", 1)
    seats = [("e", seat, 0, seat % 3, None, 0, 0, 0, None) for seat in range(20)]
    sales = [(f"R{n % 7}-{n}", "e", "b", f"h{n}", "lapsed", 1, n, 1, "EUR", 1, 1, 1, 1) for n in range(20)]
    inventory.put("e", 1, SEATS, seats)
    inventory.put("e", 1, RESERVATIONS, sales)
    put(shop_database, SEATS, event_id="f", seat=1, status=0, tier=0)
    monkeypatch.setattr(rows_module, "BATCH", batch)

    for table, given in ((SEATS, seats), (RESERVATIONS, sales)):
        batches = list(inventory.batches("e", table))
        assert sorted(row for rows_ in batches for row in rows_) == sorted(given)
        assert all(len(rows_) <= batch for rows_ in batches)
    assert inventory.summary("e")["seats"].rows == 20


def test_a_digest_notices_any_value(shop_database: ShopDatabase) -> None:
    """One tier of one seat, or one row for another."""
    inventory = Inventory(shop_database)
    inventory.fence("e", 1)
    inventory.put("e", 1, SEATS, [("e", seat, 0, 0, None, 0, 0, 0, None) for seat in range(9)])
    before = inventory.summary("e")["seats"]

    for values in ({"tier": 1}, {"allocation": "fans"}, {"seat": 77}, {"version": 1}):
        with shop_database.writing() as connection:
            connection.execute(sa.update(SEATS).where(SEATS.c.seat == 4).values(**values))
        changed = inventory.summary("e")["seats"]
        assert changed.rows == before.rows
        assert changed.digest != before.digest
        with shop_database.writing() as connection:
            old = {"seat": 4, "tier": 0, "allocation": None, "version": 0}
            connection.execute(sa.update(SEATS).where(SEATS.c.seat.in_((4, 77))).values(**old))
        assert inventory.summary("e")["seats"] == before


@pytest.mark.postgres
async def test_an_event_moves_from_sqlite_to_postgresql(
    tmp_path: object, postgres_urls: tuple[str, ...], store_urls: Stores, clock: ManualClock
) -> None:
    """Two kinds of database sum the same rows up to the same."""
    urls = (f"sqlite:///{tmp_path}/main.db", f"sqlite:///{tmp_path}/a.db", postgres_urls[2])
    async with fleet(urls, store_urls, clock) as shop:
        await with_past(shop, AT_A)
        before = rows(shop.shards.named("a"), AT_A)

        assert (await Crane(shop).move(AT_A, "b")).rows == before
        assert (await Crane(shop).move(AT_A, "a")).rows == before


async def test_two_names_of_one_database_are_found_out(
    shop_urls: Urls, store_urls: Stores, clock: ManualClock
) -> None:
    """The file cannot show it (another spelling), but what is written into one is seen in the other."""
    other = shop_urls[1] + ("?timeout=9" if shop_urls[1].startswith("sqlite") else "&connect_timeout=9")
    async with fleet((shop_urls[0], shop_urls[1], other), store_urls, clock) as shop:
        await with_past(shop, AT_A)

        for to in ("a", "b"):
            with pytest.raises(Refused, match="one and the same database"):
                await Crane(shop).move(AT_A, to)

        assert Inventory(shop.shards.named("a").database).count(AT_A) == ROWS
        assert shop.shards.overrides.read() == {}


async def test_a_shard_that_has_no_seat_never_makes_another_lose_them(
    shop_urls: Urls, store_urls: Stores, clock: ManualClock
) -> None:
    """Somebody wrote an override by hand: the last copy is not dropped."""
    async with fleet(shop_urls, store_urls, clock) as shop:
        await with_past(shop, AT_A)
        shop.shards.change(AT_A, None, Override("b"))

        with pytest.raises(Refused) as caught:
            await Crane(shop).move(AT_A, "b")

        assert caught.value.code == "event-elsewhere"
        assert Inventory(shop.shards.named("a").database).count(AT_A) == ROWS


async def test_the_closed_hall_takes_no_hold_and_a_cancelled_event_stays_closed(
    shop_urls: Urls, store_urls: Stores, clock: ManualClock
) -> None:
    """New holds are refused in the store itself, should a worker still ask; a draft's hall opens with its sale."""
    async with fleet(shop_urls, store_urls, clock) as shop:
        await with_past(shop, AT_A)
        with pytest.raises(Killed):
            await Crane(shop, watch=lambda progress: _dies_at(progress, Step.CLEAR)).move(AT_A, "b")
        shop.shards._known = {}
        assert await shop.hold(AT_A, "eve", 20) == Closed()
        await shop.shards.refresh()
        with shop.main.writing() as connection:
            connection.execute(
                sa.update(EVENTS).where(EVENTS.c.id == AT_A).values(state="cancelled", changed_ms=1 << 50)
            )
        clock.advance(1_000)

        await Crane(shop).move(AT_A, "b")

        assert await shop.hold(AT_A, "eve", 20) == Closed()


def _dies_at(progress: Progress, step: Step) -> None:
    if progress.step is step:
        raise Killed
