"""The whole shop and the sandbox, from admission to money: what is set against fraud binds there, and the desk acts."""

from pathlib import Path

import pytest

from checkout.orders.review import Cautions
from gateway import shop_judge
from gateway.shop_devices import DeviceCookie
from gateway.shop_signals import Signals
from tests.gateway.sandbox_shop import sandbox_shop
from tests.gateway.shopfront import API

CARD, OTHER_CARD = "pm_card_visa", "pm_card_mastercard"
ANY_CARD = 'fraud_limits = ["card-accounts=off", "card-attempts=off"]'
PRICE = 4200


@pytest.mark.parametrize("without", ["", "watch", "device"])
async def test_picks_of_one_browser_with_many_accounts_are_looked_at_before_money_is_taken(
    without: str, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 50, and the desk lets it through; mutants: nobody hears of picks, no browser is known."""
    if without == "watch":
        monkeypatch.setattr(Signals, "picked", lambda *_: None)
    if without == "device":
        monkeypatch.setattr(DeviceCookie, "device_of", lambda *_: "")
    async with sandbox_shop(store_url, tmp_path, ANY_CARD) as shop, shop.browser() as browser:
        await shop.look(browser, "eve-0")
        orders = [await shop.order(browser, f"eve-{at}", at) for at in range(5)]
        if not without:
            await shop.until(lambda: shop.counted("device-accounts") > 0)
        told = await shop.pay(browser, "eve-0", orders[0], CARD)
        before = await shop.ledger(orders[0])
        async with shop.browser() as fair:
            await shop.look(fair, "ann")
            paid = await shop.pay(fair, "ann", await shop.order(fair, "ann", 20), OTHER_CARD)
        listed = (await shop.desk("GET", "/reviews")).json()["reviews"]
        if not without:
            done = await shop.desk("POST", f"/orders/{orders[0]}/release", {"note": "Called."})
            after = await shop.ledger(orders[0])

    assert told.json()["phase"] == ("paid" if without else "review")
    assert before == (PRICE if without else 0, 0)
    assert paid.json()["state"] == "paid"
    assert [one["order"] for one in listed] == ([] if without else orders[:1])
    if not without:
        assert {reason["reason"] for why in listed[0]["why"] for reason in why["reasons"]} == {
            "device-accounts"
        }
        assert (done.json()["state"], done.json()["review"]["by"]) == ("paid", "organiser")
        assert after == (PRICE, 0)


@pytest.mark.parametrize("is_guarded", [True, False], ids=["guarded", "mutant"])
async def test_a_card_pays_for_so_many_seats_whoever_has_it(
    is_guarded: bool, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the fingerprint that the provider tells; of the declined one nothing is taken; the mutant has no limit."""
    if not is_guarded:
        monkeypatch.setattr(shop_judge, "Cautions", lambda terms, _seats: Cautions(terms, 0))
    rules = f"{ANY_CARD}\nfraud_seats_per_card = 3\n"
    async with sandbox_shop(store_url, tmp_path, rules) as shop, shop.browser() as browser:
        first = await shop.order(browser, "ann", 0, 1)
        paid = await shop.pay(browser, "ann", first, CARD)
        second = await shop.order(browser, "bob", 2, 3)
        full = await shop.pay(browser, "bob", second, CARD)
        third = await shop.order(browser, "cy", 4, 5)
        other = await shop.pay(browser, "cy", third, OTHER_CARD)
        taken = [await shop.ledger(order) for order in (first, second, third)]

    assert (paid.json()["state"], other.json()["state"]) == ("paid", "paid")
    assert full.status_code == (402 if is_guarded else 200)
    if is_guarded:
        assert (full.json()["code"], full.json()["decline"]) == ("payment-declined", "card-full")
    assert taken == [(2 * PRICE, 0), (0 if is_guarded else 2 * PRICE, 0), (2 * PRICE, 0)]


async def test_money_goes_back_from_the_desk_to_the_provider_once(store_url: str, tmp_path: Path) -> None:
    """A part under its key three times, more than is left, then the rest: as the provider's ledger has it."""
    async with sandbox_shop(store_url, tmp_path, ANY_CARD) as shop, shop.browser() as browser:
        order = await shop.order(browser, "ann", 0, 1)
        await shop.pay(browser, "ann", order, CARD)
        path = f"/orders/{order}/refunds"
        part = {"amount_minor": 3000, "reason": "A seat was broken."}
        told = [await shop.desk("POST", path, part, key="k1") for _ in range(3)]
        much = await shop.desk("POST", path, {**part, "amount_minor": 2 * PRICE - 2999}, key="k2")
        after_part = await shop.ledger(order)
        rest = await shop.desk("POST", path, {"reason": "The rest."}, key="k3")
        after_all = await shop.ledger(order)
        state = (await shop.desk("GET", f"/orders/{order}")).json()["state"]

    assert [answer.status_code for answer in told] == [200] * 3
    assert (much.status_code, much.json()["left_minor"]) == (409, 2 * PRICE - 3000)
    assert after_part == (2 * PRICE, 3000)
    assert rest.json()["amount_minor"] == 2 * PRICE - 3000
    assert after_all == (2 * PRICE, 2 * PRICE)
    assert state == "refunded"


async def test_the_back_office_tells_of_a_sale(store_url: str, tmp_path: Path) -> None:
    """The whole shop: found by the card's digits, its story is right, the sale's course and the tables have it."""
    async with sandbox_shop(store_url, tmp_path, ANY_CARD) as shop, shop.browser() as browser:
        order = await shop.order(browser, "ann", 0, 1)
        paid = await shop.pay(browser, "ann", order, CARD)
        contact = {"email": "ann@example.org", "language": "en"}
        kept = await browser.put(f"{API}/orders/{order}/contact", json=contact, headers=shop.admission("ann"))
        mailed = (await shop.desk("GET", "/support?find=ANN@example.org")).json()["orders"]
        found = (await shop.desk("GET", "/support?find=visa 4242")).json()["orders"]
        story = (await shop.desk("GET", f"/orders/{order}/timeline")).json()
        opened_ms = story["timeline"][0]["at_ms"]
        times = f"from_ms={opened_ms}&until_ms={opened_ms + 86_400_000}&step=day"
        total = (await shop.desk("GET", f"/sales?{times}")).json()["total"]
        tables = [(await shop.desk("GET", f"/{name}.csv")).text for name in ("orders", "seats")]
        refunds = await shop.desk("GET", "/refunds.csv")

    assert paid.json()["state"] == "paid"
    assert kept.status_code == 200, kept.text
    assert [(one["order"], one["found_by"]) for one in mailed] == [(order, ["mail"])]
    assert [(one["order"], one["found_by"], one["waits"]) for one in found] == [(order, ["card"], [])]
    assert {line["ticket_state"] for line in found[0]["seats"]} == {"valid"}
    assert (story["is_right"], story["timeline"][0]["kind"]) == (True, "reserved")
    assert (total["opened"], total["paid"], total["seats_sold"]) == (1, 1, 2)
    assert total["money"]["EUR"]["captured_minor"] == 2 * PRICE
    assert [order in table for table in tables] == [True, True]
    assert refunds.status_code == 200
