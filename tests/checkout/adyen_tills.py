"""A shop whose money the second provider takes: a sale (``tills``), Adyen's adapter, its counterpart over HTTP."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx

from checkout.audit.checking import read_log
from checkout.audit.money import Theirs, money_is_right
from checkout.orders.notices import Effect
from checkout.orders.papers import OrderPaper
from tests.checkout.payments.adyen_running import AdyenRunning, adyen_at, adyen_running
from tests.checkout.reservations import EVENT, on_sale
from tests.checkout.sandbox.running import until
from tests.checkout.tills import Shop, Worker, money_of


@dataclass
class AdyenShop(Shop):
    """A sale with money, at the second provider."""

    box: AdyenRunning = None  # type: ignore[assignment]
    heard: int = 0

    async def hear(self, worker: Worker | None = None) -> list[Effect]:
        """Take in what has come since, as the shop's address for notices does."""
        await asyncio.to_thread(until, lambda: self._waiting() == 0)
        come = self.box.inbox.received[self.heard :]
        self.heard += len(come)
        effects = []
        for body, headers in come:
            effects += await (worker or self.worker).notices.hear("adyen", body, headers)
        return effects

    async def hear_again(self) -> list[Effect]:
        """Take in everything that ever came, once more."""
        self.heard = 0
        return await self.hear()

    async def settle(self, rounds: int = 12, step_ms: int = 30_000, worker: Worker | None = None) -> None:
        """Let time pass, and recovery look, until nothing stands still; notices come meanwhile."""
        for _ in range(rounds):
            await super().settle(1, step_ms, worker)
            await self.hear(worker)

    async def pay(
        self, order: OrderPaper, method: str = "authorised", key: str = "k1", buyer: str = "ann",
        worker: Worker | None = None,
    ) -> Any:  # fmt: skip
        """Try to pay with a named outcome; returns the paper, or the refusal."""
        return await super().pay(order, f"scheme:{method}", key, buyer, worker)

    async def paid(self, buyer: str = "ann", *seats: int, method: str = "authorised") -> OrderPaper:
        """Make an order, pay it, and hear that the money was taken."""
        order = await self.order(buyer, *seats)
        await self.pay(order, method, buyer=buyer)
        await self.hear()
        paper = await self.look(order)
        assert paper["state"] == "paid", paper
        return paper

    async def answer(self, url: object, decision: str = "approve") -> str | None:
        """Answer as the buyer on the bank's page and come back; gives the address that the shop sends them on to."""
        page = await asyncio.to_thread(httpx.get, str(url))
        token = re.search(r'name="token" value="([^"]+)"', page.text)
        assert token is not None, page.text
        form = {"token": token[1], "answer": decision}
        back = await asyncio.to_thread(httpx.post, str(url), data=form)
        return await self.bank.returned(dict(parse_qsl(urlsplit(back.headers["location"]).query)))

    def payments(self, order: str = "") -> list[dict[str, Any]]:
        """Give what the counterpart has of an order; of all, without one."""
        # When its server has stopped, its books are still there.
        is_over = self.box.client.is_closed
        orders = self.box.sandbox.ledger()["orders"] if is_over else self.box.ledger()
        return [row for one in orders if order in {"", one["order"]} for row in one["payments"]]

    def net_minor(self, order: str) -> int:
        """Count the money of an order that is here."""
        rows = self.payments(order)
        return sum(row["captured"] - row["refunded"] - row["disputed"] for row in rows)

    def captures(self, order: str) -> int:
        """Count the payments of an order that were taken."""
        return sum(row["captured"] > 0 for row in self.payments(order))

    async def faults(self, *, settled: bool = True) -> list[str]:
        """Put every invariant to SQL, the store and the counterpart's ledger; returns what is not true."""
        theirs = [
            Theirs(
                "adyen", row["reference"], row["reference"].split("/")[1], row["captured"], row["refunded"],
                row["disputed"], row["held"] > 0 or row["status"] == "pending",
            )
            for row in self.payments()
        ]  # fmt: skip
        found = [*await self.scene.violations(settled=settled)]
        entries, in_log = read_log(self.scene.url, EVENT)
        assert entries
        found += in_log
        found += money_is_right(money_of(self.scene), theirs, settled=settled)
        return [f"{one.invariant}: {one.sentence}" for one in found]

    def _waiting(self) -> int:
        told: int = self.box.client.get("/_sandbox/webhooks").json()["waiting"]
        return told


@asynccontextmanager
async def adyen_shop(url: str, store_url: str, *, takes_at_once: bool = False) -> AsyncIterator[AdyenShop]:
    """Open a sale with money at the second provider, whose books are in the same database."""
    async with on_sale(url, store_url) as scene:
        with adyen_running(scene.clock) as box:
            async with adyen_at(
                box.endpoint, scene.database, scene.clock, takes_at_once=takes_at_once
            ) as provider:
                yield AdyenShop(scene, provider, box=box)  # type: ignore[arg-type]
