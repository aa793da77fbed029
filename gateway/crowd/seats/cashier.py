"""Cashier: how a fan reaches the shop to pay, through the gate like everything else, and its bank's page beside it.

What a fan wants to pay and how is ``gateway.crowd.paying``; this is its wire. Where a page would ask again (no answer,
5xx, 429) the fan does, under the same key. An order that is given up is noted as the end of its reservation, which it
is. Not here: what the answers are worth (``checks_paid``).
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import orjson

from checkout.audit.records import Act
from gateway.crowd.browser import Ended
from gateway.crowd.observed import Outcome, Route
from gateway.crowd.paying import Last, Manner, Odd, Paying, Purchase, Said
from gateway.crowd.plan import is_loopback
from gateway.crowd.seats.buying import Buyer, ask
from gateway.crowd.seats.noted import Acted, Ending, Paper
from gateway.crowd.wire import Answer, NoAnswer

BANK_TRIES = 10
BANK_PAUSE_S = 1.0
_FIELD = re.compile(rb'name="token" value="([^"]+)"')
_FORM = b"accept: text/html\r\ncontent-type: application/x-www-form-urlencoded\r\n"

_LASTS: Mapping[Last, Ending] = {
    Last.PAID: Ending.PAID,
    Last.REVIEW: Ending.REVIEWED,
    Last.FREE: Ending.NOT_PAID,
    Last.OPEN: Ending.LEFT_UNPAID,
    Last.NOTHING: Ending.LEFT_UNPAID,
}
ENDS: Mapping[Manner, Ending] = {
    Manner.OK: Ending.PAID,
    Manner.OTHER_CARD: Ending.PAID,
    Manner.DECLINED: Ending.NOT_PAID,
    Manner.SECURE: Ending.PAID,
    Manner.SECURE_LEFT: Ending.LEFT_UNPAID,
    Manner.PRESSES_TWICE: Ending.PAID,
    Manner.TWO_TABS: Ending.PAID,
    Manner.CHANGES_MIND: Ending.NOT_PAID,
    Manner.VANISHES: Ending.LEFT_UNPAID,
}
"""How each way to pay ends while nothing is harmed."""


async def pay_for(buyer: Buyer, hold: str, paper: Paper) -> Ending:
    """Pay for a reservation as the fan pays; RESERVED where the shop takes no money. Raises Ended."""
    fan, shop = buyer.fan, buyer.shop
    if fan.file.manner is None or shop.takes_money is False:
        return Ending.RESERVED
    purchase = Purchase(
        event=buyer.hall.id,
        reservation=paper.id,
        manner=fan.file.manner,
        total_minor=paper.total_minor,
        currency=paper.currency,
        until_ms=paper.until_ms,
        fan=fan.file.index,
        hold=hold,
        seats=paper.seats,
    )
    shop.purchases.append(purchase)
    try:
        takes_money = await Paying(
            FanCashier(buyer, hold), purchase, fan.random, think_s=fan.plan.think_s
        ).run()
    except Odd as odd:
        raise Ended(Outcome.FAILED, str(odd)) from odd
    if not takes_money:
        shop.purchases.remove(purchase)
        shop.takes_money = False
        return Ending.RESERVED
    shop.takes_money = True
    return _ended(buyer, purchase)


def _ended(buyer: Buyer, purchase: Purchase) -> Ending:
    """Say how it ended; other than the manner says only where something was harmed, or the time was over."""
    ending = _LASTS[purchase.last]
    if buyer.fan.notes.outages:
        return ending
    if purchase.declined_good:
        buyer.fan.file.faults.append(f"a good card was declined {purchase.declined_good} times")
    meant = ENDS[purchase.manner]
    if (
        meant is Ending.PAID and ending is Ending.REVIEWED
    ):  # which payments are looked at is the shop's to say
        return ending
    if ending is not meant:
        if ending is Ending.NOT_PAID and FanCashier.clock_ms(buyer) >= purchase.until_ms:
            return Ending.ENDED
        buyer.fan.file.faults.append(f"who pays by {purchase.manner} ended {ending}")
    return ending


class FanCashier:
    """``gateway.crowd.paying.Cashier`` of a fan of the crowd."""

    def __init__(self, buyer: Buyer, hold: str) -> None:
        self._buyer, self._hold = buyer, hold

    async def order(self, reservation: str) -> Said:
        """Make the order of a reservation."""
        path = b"/reservations/%s/order" % reservation.encode()
        return await self._ask(Route.ORDER, path, b"", b"POST")

    async def pay(self, order: str, method: str, key: str) -> Said:
        """Try to pay."""
        extra = b"idempotency-key: %s\r\n" % key.encode()
        return await self._ask(Route.PAY, self._path(order, b"/pay"), _body(method), b"POST", extra)

    async def pay_and_hang_up(self, order: str, method: str, key: str) -> None:
        """Try to pay, and close the connection."""
        fan, body = self._buyer.fan, _body(method)
        fan.notes.requests[Route.PAY][int(fan.venue.seconds())] += 1
        head = fan.head(b"application/json", body, b"idempotency-key: %s\r\n" % key.encode(), cookies=True)
        await fan.wire.ask_and_hang_up(b"POST", self._buyer.base + self._path(order, b"/pay"), head, body)

    async def look(self, order: str, *, at_provider: bool) -> Said:
        """Ask how an order stands."""
        return await self._ask(
            Route.PAID, self._path(order, b"?look=1" if at_provider else b""), None, b"GET"
        )

    async def give_up(self, order: str) -> Said:
        """Give an order up; its seats are free from then on."""
        buyer = self._buyer
        buyer.shop.held.pop(self._hold, None)

        def heard(asked_us: int, answered_us: int | None, status: int, said: Mapping[str, Any]) -> None:
            fan = buyer.fan
            code = str(said.get("code", ""))
            buyer.shop.acted.append(
                Acted(
                    fan.file.index, fan.sid, buyer.hall.id, Act.CANCEL, self._hold, asked_us, answered_us, status, code
                )
            )  # fmt: skip

        path = buyer.base + self._path(order, b"")
        answer, said = await ask(buyer.fan, Route.GIVE_UP, path, body=b"", method=b"DELETE", heard=heard)
        return _said(answer, said)

    async def approve(self, url: str) -> bool:
        """Say yes at the bank's page."""
        fan = self._buyer.fan
        if not is_loopback(url):
            raise Odd(f"the bank's page {url} is not on this machine")
        wire, path = fan.venue.bank(url)
        for _ in range(BANK_TRIES):
            fan.notes.requests[Route.BANK][int(fan.venue.seconds())] += 1
            try:
                page = await wire.ask(b"GET", path, b"accept: text/html\r\n")
                fan.notes.latencies_ms[Route.BANK].append((page.answered_at - page.asked_at) * 1000)
                if page.status in {404, 409}:
                    return False
                token = _FIELD.search(page.body)
                if page.status != 200 or token is None:
                    raise Odd(f"the bank's page was answered {page.status}")
                form = urlencode({"token": token.group(1).decode(), "answer": "approve"}).encode()
                done = await wire.ask(b"POST", path, _FORM, form)
            except NoAnswer:
                await fan.venue.sleep(BANK_PAUSE_S)
                continue
            if done.status not in {303, 409}:
                raise Odd(f"the bank's page answered a yes with {done.status}")
            return done.status == 303
        return False

    async def pause(self, seconds: float) -> None:
        """Let time pass."""
        await self._buyer.fan.venue.sleep(seconds)

    def now_ms(self) -> float:
        """Tell the shop's time."""
        return self.clock_ms(self._buyer)

    @staticmethod
    def clock_ms(buyer: Buyer) -> float:
        """Tell the shop's time, as well as the crowd knows it."""
        venue = buyer.fan.venue
        return venue.wall.us(venue.seconds()) / 1000

    def _path(self, order: str, below: bytes) -> bytes:
        return b"/orders/%s%s" % (order.encode(), below)

    async def _ask(
        self, route: Route, path: bytes, body: bytes | None, method: bytes, extra: bytes = b""
    ) -> Said:
        answer, said = await ask(
            self._buyer.fan, route, self._buyer.base + path, body=body, method=method, extra=extra
        )
        return _said(answer, said)


def _said(answer: Answer, said: Mapping[str, Any]) -> Said:
    return Said(answer.status, said, answer.retry_after_s)


def _body(method: str) -> bytes:
    return orjson.dumps({"method": method})
