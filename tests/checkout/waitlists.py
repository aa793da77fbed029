"""A waitlist to test: a small hall that is sold out, in a real store, with real tables, and time that stands still."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256

import sqlalchemy as sa

from checkout.catalogue.selling import State, Window
from checkout.database import ShopDatabase
from checkout.halls.seats import Status, byte, hold_id_of, hold_id_text, status
from checkout.holds.answers import Ask, Held, HoldOutcome, Wanted
from checkout.holds.store import HoldStore
from checkout.tables import RESERVATIONS, WAITLIST
from checkout.waitlist.offers import Terms
from checkout.waitlist.service import Line, Stepped, Waitlist
from checkout.waitlist.store import KeptStore, WaitlistRows
from kernel.clock import ManualClock
from kernel.lua import Script
from kernel.store import connect

EVENT = "night"
NOW_MS = 1_800_000_000_000
OFFER_MS = 120_000
SEATS = 12
MOST = 4
TERMS = Terms(
    Window(State.PUBLISHED, NOW_MS - 1, NOW_MS + 10**9), MOST, 1, "EUR", frozenset({0, 1}), ((0, 6), (6, 6))
)


class Timed(HoldStore):
    """The hall's store, whose time is the test's."""

    clock: ManualClock

    async def hold(self, event: str, ask: Ask, now_ms: int | None = None) -> HoldOutcome:
        """Hold at the clock's time."""
        return await super().hold(event, ask, self.clock.now_ms() if now_ms is None else now_ms)

    async def _call(
        self, name: str, event: str, argv: Sequence[str | int | bytes], now_ms: int | None
    ) -> list:  # type: ignore[type-arg]
        return await super()._call(name, event, argv, self.clock.now_ms() if now_ms is None else now_ms)


@dataclass
class Programme:
    """Knows one event; a test changes its terms."""

    terms_now: Terms | None = TERMS

    async def terms(self, event: str) -> Terms | None:
        """Return the terms of the one event."""
        return self.terms_now if event == EVENT else None


def hold_id(event: str, buyer: str, key: str) -> bytes:
    """Make a hold's id as the shop does, with no secret."""
    return sha256(f"{event}\0{buyer}\0{key}".encode()).digest()[:8]


@dataclass(frozen=True, slots=True)
class OnePlace:
    """A shop with one database and one store; a test may give a store with a mutant in it."""

    own_rows: WaitlistRows
    own_kept: KeptStore

    def rows(self, event: str) -> WaitlistRows:
        """Return the one."""
        del event
        return self.own_rows

    def kept(self, event: str) -> KeptStore:
        """Return the one."""
        del event
        return self.own_kept

    def all_rows(self) -> tuple[WaitlistRows, ...]:
        """Return the one."""
        return (self.own_rows,)


@dataclass(slots=True)
class Scene:
    """Everything of one event."""

    database: ShopDatabase
    kept: KeptStore
    rows: WaitlistRows
    clock: ManualClock
    programme: Programme
    waitlist: Waitlist
    had: dict[int, bytes] = field(default_factory=dict)

    def worker(self, who: str, kept: KeptStore | None = None, **changes: object) -> Waitlist:
        """Make one more worker."""
        places = OnePlace(self.rows, kept or self.kept)
        made = {"hold_id": hold_id, "clock": self.clock, "who": who, "offer_ms": OFFER_MS} | changes
        return Waitlist(self.programme, places, **made)  # type: ignore[arg-type]

    async def cancel(self, *seats: int) -> None:
        """Give seats back as their first owners."""
        for seat in seats:
            await self.kept.holds.release(EVENT, self.had[seat], f"first-{seat}")

    async def join(self, *buyers: str, wanted: int = 1, tier: int | None = None) -> None:
        """Put buyers on the waitlist, in this order."""
        for buyer in buyers:
            assert isinstance(await self.waitlist.join(EVENT, buyer, wanted, tier), Line)

    async def step(self) -> Stepped:
        """Step once."""
        stepped = await self.waitlist.step(EVENT)
        assert stepped is not None
        return stepped

    async def seats_of(self, buyer: str) -> list[int]:
        """Return the seats that a buyer holds."""
        _, _, records = await self.kept.holds.mine(EVENT, buyer)
        return sorted(seat for record in records.values() for seat, _ in record.seats)

    async def statuses(self) -> list[Status]:
        """Return the status of each seat."""
        seen = await self.kept.holds.look(EVENT)
        return [status(octet) for octet in seen.map]  # type: ignore[union-attr]

    async def grab(self, buyer: str, *seats: int) -> HoldOutcome:
        """Try to hold seats like anybody."""
        ask = Ask(hold_id(EVENT, buyer, f"k{seats}"), buyer, Wanted(seats), 120_000, MOST, 1, "b")
        return await self.kept.holds.hold(EVENT, ask)

    def states(self) -> dict[str, str]:
        """Return the newest state of each buyer's entry."""
        with self.database.reading() as connection:
            rows = connection.execute(
                sa.select(WAITLIST.c.buyer, WAITLIST.c.state).order_by(WAITLIST.c.number)
            )
            return {buyer: str(state) for buyer, state in rows}

    async def pay(self, buyer: str) -> None:
        """Reserve what a buyer has been offered, as the pay path does: pinned, and in SQL."""
        line = await self.waitlist.mine(EVENT, buyer)
        assert line is not None
        assert line.entry.hold is not None
        id_ = hold_id_of(line.entry.hold)
        assert id_ is not None
        await self.kept.holds.pin(EVENT, id_, buyer, 60_000, 900_000)
        values = {
            "id": f"r-{buyer}", "event_id": EVENT, "buyer": buyer, "hold_id": line.entry.hold, "state": "active",
            "epoch": 1, "fence": 1, "price_version": 1, "currency": "EUR", "total_minor": 0, "created_ms": 0,
            "until_ms": 0, "version": 1,
        }  # fmt: skip
        with self.database.writing() as connection:
            connection.execute(RESERVATIONS.insert().values(values))


@asynccontextmanager
async def sold_out(
    url: str,
    store_url: str,
    *,
    hall_scripts: Mapping[str, Script] | None = None,
    scripts: Mapping[str, Script] | None = None,
    tiers: Mapping[int, int] | None = None,
) -> AsyncIterator[Scene]:
    """Open a hall in which everybody has one seat, held for long."""
    client = connect(store_url, timeout_s=15)
    await client.flushall()
    database = ShopDatabase(url)
    database.open()
    clock = ManualClock(NOW_MS)
    holds = Timed(client, hall_scripts)
    holds.clock = clock
    kept, rows, programme = KeptStore(holds, scripts), WaitlistRows(database), Programme()
    places = OnePlace(rows, kept)
    waitlist = Waitlist(programme, places, hold_id, clock, "worker-1", offer_ms=OFFER_MS)
    scene = Scene(database, kept, rows, clock, programme, waitlist)
    octets = bytes(byte(Status.FREE, (tiers or {}).get(seat, 0)) for seat in range(SEATS))
    await holds.load(EVENT, 1, octets, now_ms=NOW_MS)
    for seat in range(SEATS):
        id_ = hold_id(EVENT, f"first-{seat}", "k")
        ask = Ask(id_, f"first-{seat}", Wanted((seat,)), 10**8, MOST, 1, "b")
        assert isinstance(await holds.hold(EVENT, ask), Held)
        scene.had[seat] = id_
    try:
        yield scene
    finally:
        await client.aclose()
        database.close()


def shown(id_: bytes) -> str:
    """Show an id as rows have it."""
    return hold_id_text(id_)
