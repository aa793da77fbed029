"""A shop that takes money, for tests: a sale (``reservations``) with tills, at a bank in memory (``bank``)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from checkout.audit.checking import read_log, read_money, read_tickets
from checkout.audit.money import MoneyBooks, Theirs, money_is_right
from checkout.audit.tickets import TicketBooks, entitled
from checkout.grouping import Grouping
from checkout.holds.places import OnePlace, Place
from checkout.orders.caring import Caring
from checkout.orders.driving import Driving
from checkout.orders.hall import StoreHall
from checkout.orders.notices import Notices
from checkout.orders.order import Attempt, Order
from checkout.orders.papers import OrderPaper
from checkout.orders.ports import Judge, Seen, Trusting
from checkout.orders.recovering import Recovering
from checkout.orders.refunding import Refunding
from checkout.orders.review import UNMINDFUL, Cautions
from checkout.orders.service import Ordering, Till, Told
from checkout.orders.strays import Strays
from checkout.sales.reconciling import Reconciler
from tests.checkout.bank import Bank
from tests.checkout.reservations import EVENT, Scene, on_sale

RETURN_URL = "https://shop.example/orders/{event}/{order}"
NOBODY_SEEN = Seen("192.0.2.1", "test")


@dataclass
class Worker:
    """One worker's use cases."""

    till: Till
    ordering: Ordering
    caring: Caring
    notices: Notices
    recovering: Recovering


@dataclass
class Shop:
    """A sale with money."""

    scene: Scene
    bank: Bank
    judge: Judge = field(default_factory=Trusting)
    cautions: Cautions = UNMINDFUL

    def __post_init__(self) -> None:
        """Begin with one worker."""
        self.worker = self.new_worker()

    def new_worker(self) -> Worker:
        """Make another worker: a process that knows nothing but what is written down."""
        scene, places = self.scene, OnePlace(self.scene.place)
        providers = {self.bank.name: self.bank}
        hall = StoreHall(places)
        group = Grouping(scene.database)
        driving = Driving(
            group, providers, self.judge, hall, scene.clock, scene.metrics, RETURN_URL, cautions=self.cautions
        )
        refunding = Refunding(group, driving, providers, scene.clock, scene.metrics)
        till = Till(scene.place, group, driving, refunding, scene.sales)

        def tills(place: Place) -> Till:
            assert place is scene.place
            return till

        ordering = Ordering(
            scene.catalogue,
            places,
            tills,
            self.judge,
            hall,
            lambda _: self.bank.name,
            scene.clock,
            scene.metrics,
        )
        caring = Caring(places, tills, ordering, scene.clock, self.cautions.terms)
        strays = Strays(places, tills, scene.clock, scene.metrics)
        recovering = Recovering(
            scene.catalogue, places, tills, ordering, caring, providers, strays, scene.clock, scene.metrics
        )
        notices = Notices(places, tills, providers, scene.clock, scene.metrics, is_live=False)
        return Worker(till, ordering, caring, notices, recovering)

    async def order(self, buyer: str = "ann", *seats: int) -> OrderPaper:
        """Hold, reserve, and make an order."""
        reservation = await self.scene.reserved(buyer, *(seats or (0, 1)))
        told = await self.worker.ordering.open(EVENT, buyer, reservation)
        assert isinstance(told, Told), told
        return told.paper

    async def pay(
        self,
        order: OrderPaper,
        method: str = "ok",
        key: str = "k1",
        buyer: str = "ann",
        worker: Worker | None = None,
    ) -> Any:
        """Try to pay; returns the paper, or the refusal."""
        ordering = (worker or self.worker).ordering
        outcome = await ordering.pay(EVENT, buyer, order["order"], method, key, NOBODY_SEEN)
        return outcome.paper if isinstance(outcome, Told) else outcome

    async def paid(self, buyer: str = "ann", *seats: int) -> OrderPaper:
        """Make an order and pay it."""
        order = await self.order(buyer, *seats)
        paper: OrderPaper = await self.pay(order, buyer=buyer)
        assert paper["state"] == "paid", paper
        return paper

    async def look(self, order: OrderPaper) -> OrderPaper:
        """Read an order."""
        told = await self.worker.ordering.find(EVENT, None, order["order"])
        assert told is not None
        return told.paper

    async def rows(self, order: OrderPaper) -> tuple[Order, tuple[Attempt, ...]]:
        """Read all that is written of an order."""
        case = await self.worker.caring.case(EVENT, order["order"])
        assert case is not None
        return case.order, case.attempts

    async def settle(self, rounds: int = 12, step_ms: int = 30_000, worker: Worker | None = None) -> None:
        """Let time pass, and recovery look, until nothing stands still."""
        recovering = (worker or self.worker).recovering
        for _ in range(rounds):
            self.scene.clock.advance(step_ms)
            await recovering.pass_by(self.scene.place)

    async def reconcile(self) -> None:
        """Let the reconciler tell the store what it has not heard."""
        scene = self.scene
        reconciler = Reconciler(
            scene.catalogue, OnePlace(scene.place), scene.rebuilder, scene.clock, scene.metrics, "reconciler"
        )
        for _ in range(4):
            await reconciler.look(EVENT)
            scene.clock.advance(20_000)


@asynccontextmanager
async def shop(
    url: str, store_url: str, *, judge: Judge | None = None, cautions: Cautions = UNMINDFUL, **changes: Any
) -> AsyncIterator[Shop]:
    """Open a sale with money; `changes` are those of the event's fields."""
    async with on_sale(url, store_url, **changes) as scene:
        yield Shop(scene, Bank(scene.clock), judge or Trusting(), cautions)


def money_of(scene: Scene) -> MoneyBooks:
    """Read what SQL says of the event's money."""
    with scene.database.listing() as connection:
        return read_money(connection, EVENT)


def tickets_of(scene: Scene) -> TicketBooks:
    """Read what SQL says of the event's tickets."""
    with scene.database.listing() as connection:
        return read_tickets(connection, EVENT)


def theirs_of(bank: Bank) -> list[Theirs]:
    """Read the bank's books."""
    open_refs = set(bank.open_refs)
    return [
        Theirs(
            bank.name, ref, one.order, one.captured_minor, one.refunded_minor, one.disputed_minor,
            ref in open_refs,
        )
        for ref, one in bank.payments.items()
    ]  # fmt: skip


async def faults(own: Shop, *, settled: bool = True) -> list[str]:
    """Put every invariant to SQL, the store and the bank; returns what is not true."""
    found = [*await own.scene.violations(settled=settled)]
    entries, in_log = read_log(own.scene.url, EVENT)
    assert entries
    found += in_log
    found += money_is_right(money_of(own.scene), theirs_of(own.bank), settled=settled)
    found += entitled(tickets_of(own.scene), settled=settled)
    return [f"{one.invariant}: {one.sentence}" for one in found]
