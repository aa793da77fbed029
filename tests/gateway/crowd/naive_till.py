"""A naive till: orders, a bank and its books in memory behind the naive shop; and ways to break what they promise.

Right by default in the simplest way that can be right: a try is decided while it is asked, and a bank that asks has its
page at the shop's own address. The books are looked at by the product's own rules of money.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from checkout.audit.money import MoneyBooks, PaidOrder, Theirs, Try, money_is_right, waiting
from checkout.halls.seats import Status
from gateway.crowd.observed import Observed
from gateway.crowd.seats.booked import Booked, Payment
from tests.gateway.crowd.naive_hall import EVENT, Held
from tests.gateway.crowd.naive_shop import NaiveShop, Said, _said


class TillFault(StrEnum):
    """Which promise the till breaks."""

    TWO_ORDERS = "a reservation that is asked for again becomes another order"
    DEARER = "an order costs more than its reservation"
    KEY_TWICE = "a key that comes twice becomes two tries"
    TAKES_BACK = "an order that was told as paid is being paid for when it is looked at"
    CHARGES_TWICE = "two tabs are two payments"
    CHARGES_MORE = "more is taken than the price"
    CHARGES_UNPAID = "an order that was given up is charged all the same"
    CHARGES_NOBODY = "it is told that it is paid, and nothing was taken"
    HOLDS_ON = "of an order that was given up money stays authorised"
    FORGETS_SEATS = "it is paid, and the seats are not sold"
    KEEPS_SEATS = "an order that was given up keeps its seats"
    SELLS_TWICE = "two orders have one seat"
    LEAVES_OPEN = "an order whose buyer has vanished stays open for ever"
    OTHER_BOOKS = "the shop's books say otherwise than the bank's"


SOLD = frozenset({"paid", "review"})
REVIEWED_MS = 3_600_000
"""So long a person has, after the order could have been paid."""


@dataclass(slots=True)
class Sale:
    """One order; a try is a number, and what of it was taken and is held."""

    id: str
    buyer: str
    hold: Held
    total: int
    until_ms: int
    state: str = "open"
    tries: list["Attempt"] = field(default_factory=list)
    keys: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Attempt:
    """One try to pay."""

    phase: str
    captured: int = 0
    held: bool = False


class NaiveTill(NaiveShop):
    """A shop that takes money."""

    def __init__(self, now_s: Callable[[], float], *, till_fault: TillFault | None = None) -> None:
        super().__init__(now_s)
        self.sales: dict[str, Sale] = {}
        self._till_fault = till_fault
        self.reviews = False
        """Every payment is looked at by a person, who does not come."""

    # ------------------------------------------------------------------------------------ the bank
    def handle(
        self, method: str, path: str, head: bytes, body: bytes = b""
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        """Serve the bank's page as well; nobody needs an admission there."""
        if not path.startswith("/3ds/"):
            return super().handle(method, path, head, body)
        if method == "GET":
            return 200, [("content-type", "text/html")], b'<input name="token" value="t0">'
        assert body == b"token=t0&answer=approve"
        sale = self.sales[path.removeprefix("/3ds/")]
        self._take(sale, sale.tries[-1])
        return 303, [("location", "/")], b""

    # ------------------------------------------------------------------------------------ the shop
    def _event(self, sid: str, method: str, below: str, headers: dict[bytes, bytes], body: bytes) -> Said:
        self._lapse()
        match method, below.strip("/").split("/"):
            case "POST", ["reservations", reservation, "order"]:
                return self._open(sid, reservation)
            case "GET", ["orders", order]:
                told = self._order(self.sales[order])
                takes_back = self._breaks(TillFault.TAKES_BACK) and told["phase"] == "paid"
                return _said(200, told | {"phase": "pending"} if takes_back else told)
            case "POST", ["orders", order, "pay"]:
                key = headers[b"idempotency-key"].decode()
                return self._pay(self.sales[order], key, json.loads(body)["method"])
            case "DELETE", ["orders", order]:
                return self._give_up(self.sales[order])
        return super()._event(sid, method, below, headers, body)

    def _open(self, sid: str, reservation: str) -> Said:
        held = self.books.holds[reservation.removeprefix("R")]
        order = f"O{reservation}"
        if self._breaks(TillFault.TWO_ORDERS) and order in self.sales:
            order += "2"
        if order in self.sales:
            return _said(200, self._order(self.sales[order]))
        total = sum(self.prices[self.books.map[seat] >> 4] for seat in held.seats)
        self.sales[order] = Sale(order, sid, held, total, held.until_ms)
        return _said(201, self._order(self.sales[order]))

    def _pay(self, sale: Sale, key: str, method: str) -> Said:
        if key in sale.keys and not self._breaks(TillFault.KEY_TWICE):
            return self._tried(sale, sale.tries[sale.keys[key]])
        if sale.state == "review" or (sale.state == "paid" and not self._breaks(TillFault.CHARGES_TWICE)):
            if self._breaks(TillFault.KEY_TWICE):
                sale.tries.append(Attempt("paid"))
                return self._tried(sale, sale.tries[-1])
            return _said(409, {"code": "order-paid"})
        if sale.state not in {"open", "paid", "review"}:
            return _said(410, {"code": "order-over"})
        attempt = Attempt("declined")
        sale.tries.append(attempt)
        sale.keys[key] = len(sale.tries) - 1
        if "threeDSecure" in method:
            attempt.phase = "action"
        elif "Declined" not in method:
            self._take(sale, attempt)
        return self._tried(sale, attempt)

    def _tried(self, sale: Sale, attempt: Attempt) -> Said:
        if attempt.phase == "declined":
            return _said(402, {"code": "payment-declined", "decline": "generic", "order": self._order(sale)})
        return _said(200, self._order(sale))

    def _take(self, sale: Sale, attempt: Attempt) -> None:
        if self.reviews:
            attempt.phase, sale.state, sale.hold.state, attempt.held = "review", "review", "sold", True
            self._put(sale.hold.seats, Status.SOLD)
            return
        attempt.phase, sale.state, sale.hold.state = "paid", "paid", "sold"
        attempt.captured = sale.total + self._breaks(TillFault.CHARGES_MORE)
        if self._breaks(TillFault.CHARGES_NOBODY):
            attempt.captured = 0
        self._put(sale.hold.seats, Status.SOLD)

    def _give_up(self, sale: Sale) -> Said:
        if sale.state == "paid":
            return _said(409, {"code": "order-paid"})
        self._end(sale, "cancelled")
        if self._breaks(TillFault.CHARGES_UNPAID):
            sale.tries.append(Attempt("voided", captured=sale.total))
        if self._breaks(TillFault.HOLDS_ON):
            sale.tries.append(Attempt("voided", held=True))
        return _said(200, self._order(sale))

    def _end(self, sale: Sale, state: str) -> None:
        sale.state = state
        if sale.hold.state == "pinned":
            sale.hold.state = "released"
            self._put(sale.hold.seats, Status.FREE)

    def _lapse(self) -> None:
        for sale in self.sales.values():
            is_over = sale.state == "open" and self._now_ms() >= sale.until_ms
            if is_over and not self._breaks(TillFault.LEAVES_OPEN):
                self._end(sale, "lapsed")

    def _order(self, sale: Sale) -> dict[str, Any]:
        phase = sale.state if sale.state in SOLD else "over"
        if sale.state == "open":
            phase = sale.tries[-1].phase if sale.tries else "to-pay"
        return {
            "order": sale.id,
            "event": EVENT,
            "reservation": sale.hold.reservation,
            "state": sale.state,
            "phase": phase,
            "currency": "EUR",
            "total_minor": sale.total + self._breaks(TillFault.DEARER),
            "until_ms": sale.until_ms,
            "attempt": len(sale.tries),
            "action_url": f"http://localhost/3ds/{sale.id}" if phase == "action" else None,
        }

    def _breaks(self, fault: TillFault) -> bool:
        return self._till_fault is fault

    # ------------------------------------------------------------------------------------ the books
    def reader(self) -> Callable[[Observed], Awaitable[Booked]]:
        """Give a reader of the books, as ``gateway.crowd.sale_books`` makes one."""

        async def read(observed: Observed) -> Booked:
            del observed
            self._lapse()
            return self._booked()

        return read

    def _booked(self) -> Booked:
        theirs = [
            Theirs("sandbox", f"{sale.id}/{number}", sale.id, attempt.captured, 0, 0, attempt.held)
            for sale in self.sales.values()
            for number, attempt in enumerate(sale.tries)
        ]
        extra = 1 if self._breaks(TillFault.OTHER_BOOKS) else 0
        tries = tuple(
            Try(
                one.order,
                1,
                "sandbox",
                one.ref,
                one.captured_minor and one.captured_minor + extra,
                0,
                0,
                False,
            )
            for one in theirs
        )
        orders = tuple(
            PaidOrder(
                sale.id, sale.state, sale.total, "EUR", 1,
                "sold" if sale.state in SOLD else "ended", sale.until_ms,
                sale.until_ms + REVIEWED_MS if sale.state == "review" else None,
            )
            for sale in self.sales.values()
        )  # fmt: skip
        books = MoneyBooks(orders, tries, tuple(("sandbox", one.ref, one.net_minor) for one in tries))
        early = waiting(books, self._now_ms())
        found = money_is_right(books, theirs, settled=True, now_ms=self._now_ms())
        return Booked(
            tuple(f"{one.invariant}: {one.sentence}" for one in found),
            {"orders": len(orders)},
            tuple(Payment(one.ref, one.order, one.net_minor, one.is_held) for one in theirs),
            self._owned(),
            frozenset(order.id for order in early),
            frozenset(sale.id for sale in self.sales.values() if sale.state == "review"),
            max((order.until_ms for order in early), default=0),
        )

    def _owned(self) -> dict[str, tuple[int, ...]]:
        owned = {sale.id: tuple(sale.hold.seats) for sale in self.sales.values() if sale.state in SOLD}
        if self._breaks(TillFault.FORGETS_SEATS):
            return {order: seats[1:] for order, seats in owned.items()}
        if self._breaks(TillFault.KEEPS_SEATS):
            return {sale.id: tuple(sale.hold.seats) for sale in self.sales.values()}
        if self._breaks(TillFault.SELLS_TWICE):
            first = next(iter(owned.values()))
            return {order: (*seats[:-1], first[0]) for order, seats in owned.items()}
        return owned
