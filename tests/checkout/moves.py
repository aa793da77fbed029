"""Moves to test: an event with a past, in a shop of two shards, and whatever carries it to the other one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from prometheus_client import CollectorRegistry

from checkout.catalogue.store import CatalogueStore
from checkout.halls.seat_rows import SeatRows
from checkout.holds.answers import Held, Seen
from checkout.holds.inventory import TABLES, Inventory, Summary
from checkout.holds.journal import HoldJournal
from checkout.holds.places import Place
from checkout.holds.store import HoldStore
from checkout.metrics import Metrics
from checkout.sales.rebuilding import Rebuilder
from checkout.shards.moving import CLEAR_MS, Moved, Mover, Progress, Step
from checkout.shards.shards import Shards
from checkout.tables import (
    ADYEN_ENTRIES,
    ADYEN_PAYMENTS,
    ATTEMPTS,
    CONTACTS,
    DISPUTES,
    HOLD_JOURNAL,
    IDEMPOTENCY,
    MARKS,
    MONEY,
    NOTICES,
    ORDER_TRACES,
    ORDERS,
    OUTBOX,
    OUTBOX_SENDS,
    PUSH_DEVICES,
    REFUNDS,
    RESERVATION_SEATS,
    RESERVATIONS,
    REVIEWS,
    SCANNERS,
    SCANS,
    SEATS,
    TICKETS,
    TRANSFERS,
    VERDICTS,
    WAITLIST,
    WAITLIST_CONTACTS,
)
from tests.checkout.sharded import Fleet

LATER_MS = 10 * CLEAR_MS
ROWS = 83
"""So many has an event with a past."""


class Killed(BaseException):
    """The process is gone: no handler of errors runs."""


@dataclass(slots=True)
class Journal(HoldJournal):
    """Brings notes to SQL, and says that `left` more are there."""

    left: int = 0
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        HoldJournal.__init__(self, Metrics(CollectorRegistry()))

    async def drain(self, place: Place, event: str) -> int:
        """Bring all."""
        self.asked.append(f"{place.name}:{event}")
        return self.left + await HoldJournal.drain(self, place, event)


@dataclass(slots=True)
class Crane:
    """Moves events in a fleet; time passes while it rests."""

    shop: Fleet
    steps: list[Progress] = field(default_factory=list)
    journal: Journal = field(default_factory=Journal)
    watch: Callable[[Progress], None] = lambda _progress: None

    def mover(self, shards: Shards | None = None) -> Mover:
        """Make a mover: a process of its own."""
        places = shards or self.shop.shards
        rebuilder = Rebuilder(self.shop.catalogue, places, Metrics(CollectorRegistry()))

        def tell(progress: Progress) -> None:
            self.steps.append(progress)
            self.watch(progress)

        async def rest(seconds: float) -> None:
            self.shop.clock.advance(int(seconds * 1000))
            # As `run` does twice a second.
            await self.shop.shards.refresh()

        store = CatalogueStore(self.shop.main)
        return Mover(places, store, rebuilder, self.journal, self.shop.clock, tell, rest)

    async def move(self, event: str, to: str) -> Moved:
        """Move an event."""
        return await self.mover().move(event, to)

    async def killed_at(self, event: str, to: str, number: int) -> bool:
        """Move an event and die where the mover speaks for the `number`-th time (waiting counts once)."""
        begun = len(self.steps)

        def dies(_progress: Progress) -> None:
            if len(words(self.steps[begun:])) > number:
                raise Killed

        self.watch = dies
        try:
            await self.move(event, to)
        except Killed:
            return True
        finally:
            self.watch = lambda _progress: None
        return False


def words(steps: Sequence[Progress]) -> list[tuple[Step, int]]:
    """Give what a mover says, each word once: a step, and of the copy how far it is."""
    return list(dict.fromkeys((one.step, one.done if one.step is Step.COPY else 0) for one in steps))


def put(database: Any, table: sa.Table, **values: Any) -> None:
    """Write a row."""
    with database.writing() as connection:
        add(connection, table, **values)


def add(connection: sa.Connection, table: sa.Table, **values: Any) -> None:
    """Write a row in a transaction."""
    connection.execute(sa.insert(table), values)


async def with_past(shop: Fleet, event: str, shard: str = "") -> None:
    """Put an event into the catalogue that is not on sale yet, with a row in every table and seats in every status."""
    from_ms = shop.clock.now_ms() + LATER_MS
    await shop.add(event, shard, sale_from_ms=from_ms, sale_until_ms=from_ms + LATER_MS)
    place = shop.shards.of(event)
    database, now_ms = place.database, shop.clock.now_ms()
    with database.writing() as connection:
        _past(connection, event, now_ms)
    SeatRows(database).block(event, [7, 8, 9], "fans")
    SeatRows(database).retier(event, range(12, 15), 1)
    await reloaded(place, event, 2)


def _past(connection: sa.Connection, event: str, now_ms: int) -> None:
    sold = {
        "event_id": event,
        "epoch": 1,
        "price_version": 1,
        "currency": "EUR",
        "created_ms": now_ms,
        "until_ms": now_ms,
    }
    for number, (buyer, state) in enumerate((("ann", "sold"), ("ben", "lapsed"))):
        id_ = f"R{event}-{number}"
        add(
            connection, RESERVATIONS, id=id_, buyer=buyer, hold_id=f"h{number}", state=state, fence=number + 1,
            total_minor=8400, version=2, **sold,
        )  # fmt: skip
        for seat in (2 * number, 2 * number + 1):
            add(
                connection, RESERVATION_SEATS, reservation_id=id_, event_id=event, seat=seat, tier=0, price_minor=4200,
                active=state == "sold",
            )  # fmt: skip
    own = SEATS.c.event_id == event
    values = {"status": 3, "version": 2, "epoch": 1, "fence": 1, "reservation_id": f"R{event}-0"}
    connection.execute(sa.update(SEATS).where(own, SEATS.c.seat.in_((0, 1))).values(**values))
    for number in range(5):
        add(
            connection, HOLD_JOURNAL, event_id=event, hold_id=f"h{number}", buyer="ann", state="released", epoch=1,
            fence=number, price_version=1, back=0, until_ms=now_ms, extended=False, seats="5.0", at_ms=now_ms,
        )  # fmt: skip
        add(
            connection, WAITLIST, event_id=event, number=number + 1, buyer=f"w{number}", wanted=1, tier=None,
            state="left", created_ms=now_ms,
        )  # fmt: skip
    sale = f"R{event}-0"
    add(
        connection, ORDERS, id="O1" + event, event_id=event, buyer="ann", reservation_id=sale, state="paid",
        currency="EUR", amount_minor=8400, created_ms=now_ms, until_ms=now_ms, attempt=1, paid_by=1,
        disputed=False, version=3,
    )  # fmt: skip
    own_order = {"order_id": "O1" + event, "event_id": event, "currency": "EUR", "amount_minor": 8400}
    add(
        connection, ATTEMPTS, number=1, reservation_id=sale, provider="bank", goal="pay", state="captured",
        review=False, ref="p-" + event, decline="", action_url="", captured_minor=8400, refunded_minor=100,
        disputed_minor=0, fingerprint="", card="", asked=1, created_ms=now_ms, version=4, **own_order,
    )  # fmt: skip
    add(
        connection, REFUNDS, key="r1", attempt=1, reservation_id=sale, state="done", ref="re", reason="", by="ann",
        created_ms=now_ms, version=2, **{**own_order, "amount_minor": 100},
    )  # fmt: skip
    add(
        connection, NOTICES, provider="bank", id="n-" + event, event_id=event, topic="payment", ref="p-" + event,
        state="done", why="", at_ms=now_ms, came_ms=now_ms,
    )  # fmt: skip
    add(
        connection, MONEY, provider="bank", ref="p-" + event, kind="captured", number=1, attempt=1, at_ms=now_ms,
        **own_order,
    )  # fmt: skip
    add(
        connection, REVIEWS, order_id="O1" + event, event_id=event, reservation_id=sale, attempt=1, opened_ms=now_ms,
        lapses_ms=now_ms, decision="release", by="ida", note="Called.", decided_ms=now_ms,
    )  # fmt: skip
    add(
        connection, VERDICTS, order_id="O1" + event, attempt=1, stage="after", event_id=event, answer="review",
        body="{}", at_ms=now_ms,
    )  # fmt: skip
    add(
        connection, DISPUTES, provider="bank", ref="d-" + event, attempt=1, state="won", reason="fraudulent",
        opened_ms=now_ms, evidence_ms=0, changed_ms=now_ms, **own_order,
    )  # fmt: skip
    add(
        connection, MARKS, kind="notice", provider="bank", name="n-" + event, event_id=event, by="ida", at_ms=now_ms,
    )  # fmt: skip
    ticket = {"event_id": event, "created_ms": now_ms, "changed_ms": now_ms}
    add(
        connection, TICKETS, id="t-" + event, order_id="O1" + event, reservation_id=sale, seat=0, issue=1, holder="",
        state="used", why="", used_ms=now_ms, version=2, **ticket,
    )  # fmt: skip
    add(
        connection, TRANSFERS, ticket_id="t-" + event, state="kept", became="", until_ms=now_ms, **ticket,
    )  # fmt: skip
    add(
        connection, SCANNERS, id="s-" + event, event_id=event, name="Gate A", token_hash="h", revoked=False,
        created_ms=now_ms, until_ms=now_ms, seen_ms=now_ms,
    )  # fmt: skip
    add(
        connection, SCANS, scanner_id="s-" + event, id="1", event_id=event, ticket_id="t-" + event,
        outcome="admitted", told="admitted", at_ms=now_ms, came_ms=now_ms,
    )  # fmt: skip
    letter = {"message_id": f"order-paid.O1{event}", "event_id": event}
    add(
        connection, OUTBOX, kind="order-paid", subject="O1" + event, body="{}", created_ms=now_ms, is_new=False,
        **letter,
    )  # fmt: skip
    add(
        connection, OUTBOX_SENDS, channel="mail", state="waiting", tries=1, due_ms=now_ms, sent_ms=0, why="450",
        **letter,
    )  # fmt: skip
    add(connection, ORDER_TRACES, event_id=event, order_id="O1" + event, trace="", created_ms=now_ms)
    add(
        connection, CONTACTS, event_id=event, order_id="O1" + event, email="v1.p.A", email_index="i", name="",
        language="de", changed_ms=now_ms,
    )  # fmt: skip
    add(
        connection, PUSH_DEVICES, event_id=event, subject="O1" + event, device="d", subscription="v1.p.A",
        language="de", changed_ms=now_ms,
    )  # fmt: skip
    add(
        connection, WAITLIST_CONTACTS, event_id=event, number=1, email="v1.p.A", email_index="i", language="de",
        account_id="", changed_ms=now_ms,
    )  # fmt: skip
    add(
        connection, IDEMPOTENCY, scope=f"{event}:O1{event}:refund", key="r1", body_hash="h", state="bound",
        created_ms=now_ms,
    )  # fmt: skip
    add(
        connection, ADYEN_PAYMENTS, ref=f"{event}/O1/1", attempt=1, created_ms=now_ms, return_url="", let_go=False,
        **own_order,
    )  # fmt: skip
    add(
        connection, ADYEN_ENTRIES, ref=f"{event}/O1/1", name="pay", event_id=event, kind="pay", code="",
        outcome="authorised", psp="P1", amount_minor=0, asks="", url="", decline="", card="", tries=1, at_ms=now_ms,
    )  # fmt: skip


async def reloaded(place: Place, event: str, epoch: int) -> None:
    """Load the map as SQL has it."""
    inventory = Inventory(place.database)
    assert inventory.fence(event, epoch) == 0
    await place.holds.load(event, epoch, SeatRows(place.database).octets(event), bought={"ann": 2})


async def seen(holds: HoldStore, event: str) -> Seen:
    """Look at a hall that is there."""
    found = await holds.look(event)
    assert isinstance(found, Seen)
    return found


def rows(place: Place, event: str) -> dict[str, Summary]:
    """Sum up an event's rows in a place."""
    return Inventory(place.database).summary(event)


EMPTY = {table.name: Summary(0, f"{0:064x}") for table in TABLES}


async def keys(place: Place, event: str) -> list[str]:
    """Name the keys of an event in a store."""
    return sorted([key.decode() async for key in place.holds.client.scan_iter(f"co:{{{event}}}:*")])


async def is_held(shop: Fleet, event: str, seat: int) -> bool:
    """Try to hold a seat."""
    return isinstance(await shop.hold(event, "someone", seat), Held)


async def moments(shop: Fleet, *, is_every: bool) -> list[int]:
    """Number what a mover says of each step; of the batches it copies all, or only those that differ.

    A copy of nothing, of half a table, of one table, of all but the last, of all but the log: what lies between has
    more tables whole, and nothing else. All of it is played once, where a move is cheapest.
    """
    await with_past(shop, "whole", "a")
    await (crane := Crane(shop)).move("whole", "b")
    told = words(crane.steps)
    assert {step for step, _ in told} == set(Step)
    copies = [number for number, (step, _) in enumerate(told) if step is Step.COPY]
    assert len(copies) > 20
    left_out = () if is_every else copies[3:-2]
    return [number for number in range(len(told)) if number not in left_out]
