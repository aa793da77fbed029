"""Currencies end to end: from the plan's CSV to the provider's books and back, with not a minor unit lost.

The shop's use cases over a real store and both databases, Stripe's own package, and the sandbox over HTTP. A price list
for each currency; what is held is reserved, ordered, charged, captured, partly given back and reported in its own.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import pytest

from checkout.audit.checking import read_log
from checkout.audit.money import Theirs, money_is_right
from checkout.eventlog.entries import Entry
from checkout.eventlog.store import read as read_entries
from checkout.holds.places import OnePlace
from checkout.holds.service import Holding
from checkout.holds.wishes import NoCurrency, Told, read_wish
from checkout.money import Money
from checkout.orders.papers import OrderPaper
from checkout.orders.refund import Refund, RefundState
from checkout.organiser.reporting import Reporting
from checkout.payments import stripe_amounts
from checkout.payments.stripe import StripeProvider
from checkout.payments.stripe_amounts import received
from checkout.site.order_pages import SANDBOX_WAYS
from checkout.site.render import Pages, Visit
from tests.checkout import waitlists
from tests.checkout.reservations import EVENT, told
from tests.checkout.sandbox.running import KEY, SECRET, Running, running
from tests.checkout.site.test_pages import event as page_of
from tests.checkout.tills import Shop, money_of, shop

PRICES = {
    "EUR": (4200, 2550), "JPY": (8400, 4000), "KWD": (12340, 8400), "ISK": (8900, 4990), "HUF": (1_250_050, 840_000),
    "TWD": (120_000, 99_900), "UGX": (150_000, 90_000), "MGA": (4_500_000, 2_000_000),
}  # fmt: skip
"""Minor units of the first and the second tier."""

UNITS = {
    "EUR": 6750, "JPY": 12400, "KWD": 20740, "ISK": 1_389_000, "HUF": 2_090_050, "TWD": 219_900, "UGX": 24_000_000,
    "MGA": 65_000,
}  # fmt: skip
"""What Stripe is asked for one seat of each, as its documentation counts: ISK and UGX in hundredths, MGA whole."""

SHOWN = {
    ("EUR", "en"): "67.50\xa0€", ("EUR", "de"): "67,50\xa0€", ("EUR", "ja"): "€67.50", ("EUR", "pl"): "67,50\xa0€",
    ("JPY", "en"): "12,400\xa0JP¥", ("JPY", "de"): "12.400\xa0¥", ("JPY", "ja"): "￥12,400",
    ("JPY", "pl"): "12\xa0400\xa0JPY",
    ("KWD", "en"): "20.740\xa0KWD", ("KWD", "de"): "20,740\xa0KWD", ("KWD", "ja"): "KWD20.740",
    ("KWD", "ar"): "\u200f20.740\xa0د.ك.\u200f", ("HUF", "de"): "20.900,50\xa0HUF", ("ISK", "de"): "13.890\xa0ISK",
}  # fmt: skip
PART = {"EUR": 1, "JPY": 1, "KWD": 10, "ISK": 1, "HUF": 1, "TWD": 1, "UGX": 1, "MGA": 100}
"""The least that can go back: whole dinars' tens, whole ariary."""


@dataclass
class Market:
    """A shop whose money is taken by Stripe's package at a sandbox."""

    shop: Shop
    box: Running

    def __post_init__(self) -> None:
        """Put the use cases of holds beside those of orders."""
        scene = self.shop.scene
        places = OnePlace(scene.place)
        self.holding = Holding(
            scene.catalogue,
            places,
            scene.rebuilder.rebuild,
            waitlists.hold_id,
            scene.clock,
            scene.metrics,
        )
        self.reporting = Reporting(scene.catalogue, places, scene.clock)

    async def hold(self, currency: str, buyer: str = "ann") -> dict[str, Any]:
        """Hold a seat of each tier; returns the paper."""
        wish = {"seats": [0, 20]} | ({"currency": currency} if currency else {})
        outcome = await self.holding.hold(EVENT, buyer, "k", read_wish(wish), b"body")
        assert isinstance(outcome, Told), outcome
        return cast("dict[str, Any]", outcome.paper)

    async def order(self, hold: dict[str, Any], buyer: str = "ann") -> tuple[dict[str, Any], OrderPaper]:
        """Reserve what is held and make an order; returns both papers."""
        reserved = told(await self.shop.scene.reserving.reserve(EVENT, buyer, hold["hold"])).paper
        made = await self.shop.worker.ordering.open(EVENT, buyer, reserved["reservation"])
        return cast("dict[str, Any]", reserved), made.paper  # type: ignore[union-attr]

    async def hear(self) -> None:
        """Let the shop hear what the provider has sent."""
        for body, headers in list(self.box.inbox.received):
            await self.shop.worker.notices.hear("stripe", body, headers)

    def payment(self) -> dict[str, Any]:
        """Give the one payment that the provider knows, in its units."""
        (row,) = self.box.ledger()
        (payment,) = row["payments"]
        return cast("dict[str, Any]", payment)

    def theirs(self) -> list[Theirs]:
        """Read the provider's books, in the shop's units."""
        found = []
        for row in self.box.ledger():
            for one in row["payments"]:
                captured, refunded, disputed = (
                    received(one[what], one["currency"]).amount_minor
                    for what in ("captured", "refunded", "disputed")
                )
                open_still = one["status"] == "requires_capture"
                found.append(
                    Theirs("stripe", one["id"], row["order"], captured, refunded, disputed, open_still)
                )
        return found

    def entries(self) -> list[Entry]:
        """Read the event's log."""
        with self.shop.scene.database.reading() as connection:
            return list(read_entries(connection, EVENT))


@asynccontextmanager
async def market(shop_url: str, store_url: str) -> AsyncIterator[Market]:
    """Open a sale with a price list for each currency; the hall comes from a CSV (`catalogues.small_layout`)."""
    tiers = [
        {"tier": tier, "name": name, "prices": {code: both[tier] for code, both in PRICES.items()}}
        for tier, name in enumerate(("Front", "Back"))
    ]
    async with shop(shop_url, store_url, tiers=tiers) as own:
        with running(own.scene.clock) as box:
            provider = StripeProvider("stripe", KEY, [SECRET], api_base=box.url)
            try:
                yield Market(Shop(own.scene, cast("Any", provider)), box)
            finally:
                await provider.close()


@pytest.mark.parametrize("currency", sorted(PRICES))
async def test_every_minor_unit_is_the_same_all_the_way(currency: str, shop_url: str, store_url: str) -> None:
    """Catalogue, hold, reservation, order, provider, capture, notices, partial refund, report, log, books."""
    total, part = sum(PRICES[currency]), PART[currency]
    async with market(shop_url, store_url) as own:
        held = await own.hold(currency)
        reserved, order = await own.order(held)
        paid = await own.shop.pay(order, "pm_card_visa")
        await own.hear()
        captured = own.payment()
        back = await own.shop.worker.caring.refund(
            EVENT, order["order"], part, "r1", by="ann", reason="asked for"
        )
        await own.hear()
        after, refunded = await own.shop.look(order), own.payment()
        report = (await own.reporting.report(EVENT)).totals()
        wrong = money_is_right(money_of(own.shop.scene), own.theirs(), settled=True)
        entries, in_log = read_log(shop_url, EVENT)
        logged = [json.loads(entry.body) for entry in own.entries()]

    for paper in (held, reserved, order, paid, after):
        assert (paper["currency"], paper["total_minor"]) == (currency, total)
    assert [line["price_minor"] for line in held["seats"]] == list(PRICES[currency])
    assert (captured["currency"], captured["captured"]) == (currency.lower(), UNITS[currency])
    assert received(captured["captured"], currency) == Money(total, currency)
    assert isinstance(back, Refund)
    assert (back.state, back.amount) == (RefundState.DONE, Money(part, currency))
    assert received(refunded["refunded"], currency) == Money(part, currency)
    assert (after["state"], after["refunded_minor"]) == ("paid", part)
    assert report["sold"] == {currency: total}
    assert (wrong, in_log) == ([], [])
    assert entries == len(logged)
    sums = [
        body["total_minor"] for body in logged if body.get("currency") == currency and "total_minor" in body
    ]
    assert sums
    assert set(sums) == {total}


@pytest.mark.parametrize(("currency", "tag"), sorted(SHOWN))
async def test_the_pages_show_the_decimals_of_the_currency_as_the_language_writes_them(
    currency: str, tag: str, store_url: str, tmp_path: Any
) -> None:
    """On the order's page and on its button, which names the code as well."""
    async with market(f"sqlite:///{tmp_path}/shop.db", store_url) as own:
        reserved, order = await own.order(await own.hold(currency))
        visit = Visit(tag, own.shop.scene.clock.now_ms())
        ways = [(way.token, way.words) for way in SANDBOX_WAYS]
        page = Pages().order(visit, page_of(id=EVENT), cast("Any", order), reserved["seats"], ways, "key")

    button = page[page.index('value="pm_card_visa"') :]
    button = button[button.index("<button>") : button.index("</button>")]
    assert SHOWN[currency, tag] in page
    assert SHOWN[currency, tag] in button
    assert currency in button


async def test_without_a_wish_the_events_own_currency_is_charged(shop_url: str, store_url: str) -> None:
    """And a currency without a list is refused before anything is held."""
    async with market(shop_url, store_url) as own:
        refused = await own.holding.hold(
            EVENT, "bob", "k", read_wish({"seats": [1], "currency": "CHF"}), b"b"
        )
        held = await own.hold("")

    assert isinstance(refused, NoCurrency)
    assert refused.currencies == tuple(sorted(PRICES))
    assert (held["currency"], held["total_minor"]) == ("EUR", 6750)


async def test_another_wish_later_is_another_hold_and_changes_none(shop_url: str, store_url: str) -> None:
    """One key with another currency is another request; what is held keeps its own through order and payment."""
    async with market(shop_url, store_url) as own:
        held = await own.hold("JPY")
        again = await own.holding.hold(
            EVENT, "ann", "k", read_wish({"seats": [0, 20], "currency": "EUR"}), b"other"
        )
        _, order = await own.order(held)
        await own.shop.pay(order, "pm_card_visa")
        taken = own.payment()

    assert not isinstance(again, Told)
    assert (order["currency"], taken["currency"], taken["captured"]) == ("JPY", "jpy", 12_400)


async def test_a_price_that_the_provider_cannot_take_charges_nothing(shop_url: str, store_url: str) -> None:
    """Thousandths that card networks do not know: no payment is made, the order says that it did not go through."""
    async with market(shop_url, store_url) as own:
        await own.shop.scene.catalogue.set_prices(EVENT, {0: {"KWD": 4_205}})
        _, order = await own.order(await own.hold("KWD"))
        after = await own.shop.pay(order, "pm_card_visa")
        ledger = own.box.ledger()

    assert ledger == []
    assert after["phase"] == "declined"
    assert after["total_minor"] == 12_605


async def test_amounts_that_are_sent_as_they_are_would_charge_a_hundredth(
    shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant that forgets Stripe's odd currencies: 13,890 krónur become 138.90, and the sandbox refuses a part."""
    monkeypatch.setattr(stripe_amounts, "_decimals", lambda _currency: 0)
    monkeypatch.setattr(stripe_amounts, "_step", lambda _currency: 1)
    async with market(shop_url, store_url) as own:
        _, order = await own.order(await own.hold("ISK"))
        after = await own.shop.pay(order, "pm_card_visa")
        ledger = own.box.ledger()

    captured = [payment["captured"] for row in ledger for payment in row["payments"]]
    assert after["state"] != "paid" or captured != [UNITS["ISK"]]
