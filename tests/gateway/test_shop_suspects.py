"""The running shop and people who mean no good: cards tried one after the other, one browser with many accounts."""

from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from checkout.fraud.service import Fraud
from checkout.organiser.pages import Wish
from checkout.organiser.queues import Queues
from gateway.shop_devices import NAME, PURPOSE, DeviceCookie
from gateway.shop_signals import Signals
from kernel.clock import ManualClock
from kernel.errors import Unavailable
from kernel.signing import PaperSigner, Signer, b64url, from_b64url
from tests.gateway.shopfront import API, EVENT
from tests.gateway.tillfront import KEYS, Tillfront, looked, till_front


def reasons(shop: Tillfront) -> dict[str, float]:
    """Count what has spoken against somebody, by word."""
    found = shop.metrics.fraud_reasons
    for tally in found._tallies.values():
        tally.flush()
    (family,) = found._counter.collect()
    return {one.labels["reason"]: one.value for one in family.samples if one.name.endswith("_total")}


async def test_a_script_that_tries_cards_is_refused_before_any_bank_is_asked(
    store_url: str, tmp_path: Path
) -> None:
    """Row 5: after so many tries of an account no call leaves the shop, for no card and no order any more."""
    rules = 'fraud_limits = ["account-attempts=3/600/block"]'
    async with till_front(store_url, tmp_path, rules) as shop, shop.browser() as browser:
        order = await shop.order(browser, "eve", 0)
        tried = [await shop.pay(browser, "eve", order, f"k{at}", "no-funds") for at in range(3)]
        asked = len(shop.bank.calls)
        shop.bank.calls.clear()
        other = await shop.order(browser, "eve", 1)
        blocked = [await shop.pay(browser, "eve", name, f"b{name}") for name in (order, other)]
        calls = list(shop.bank.calls)
        fair = await shop.order(browser, "ann", 2)
        paid = await shop.pay(browser, "ann", fair, "k1")

    assert [answer.status_code for answer in tried] == [402] * 3
    assert asked > 0
    assert [(answer.status_code, answer.json()["code"]) for answer in blocked] == [
        (403, "payment-blocked")
    ] * 2
    assert calls == []
    assert paid.json()["state"] == "paid"


async def test_without_the_limit_the_script_would_reach_the_bank(store_url: str, tmp_path: Path) -> None:
    """The mutant: the rule switched off."""
    async with (
        till_front(
            store_url, tmp_path, 'fraud_limits = ["account-attempts=off", "account-declines=off"]'
        ) as shop,
        shop.browser() as browser,
    ):
        order = await shop.order(browser, "eve", 0)
        for at in range(3):
            await shop.pay(browser, "eve", order, f"k{at}", "no-funds")
        shop.bank.calls.clear()
        paid = await shop.pay(browser, "eve", order, "k9")

    assert paid.json()["state"] == "paid"
    assert shop.bank.calls


async def test_one_browser_with_many_accounts_is_looked_at(store_url: str, tmp_path: Path) -> None:
    """Row 50: five accounts pick seats in one browser: counted, and whoever pays from it waits for a person."""
    async with till_front(store_url, tmp_path) as shop:
        async with shop.browser() as browser:
            await looked(browser)
            orders = [await shop.order(browser, f"eve-{at}", at) for at in range(5)]
            await shop.signals.drain()
            counted = reasons(shop)
            told = await shop.pay(browser, "eve-0", orders[0], "k1")
        async with shop.browser() as other:
            await looked(other, "ann")
            fair = await shop.pay(other, "ann", await shop.order(other, "ann", 20), "k1")
        page, said = await Queues(shop.shop.parts.shards).reviews(EVENT, Wish({}))

    assert counted["device-accounts"] >= 1
    assert told.json()["phase"] == "review"
    assert fair.json()["state"] == "paid"
    assert [row["order_id"] for row in page.rows] == [orders[0]]
    assert any("device-accounts" in row["body"] for row in said)


async def test_who_keeps_no_cookies_is_nobody_s_device(store_url: str, tmp_path: Path) -> None:
    """Six accounts without cookies behind one address: nobody is looked at, and everybody may pay."""
    async with till_front(
        store_url, tmp_path, 'fraud_limits = ["card-accounts=off", "card-attempts=off"]'
    ) as shop:
        told = []
        for at in range(6):
            async with shop.browser() as browser:
                order = await shop.order(browser, f"ann-{at}", at)
                await shop.signals.drain()
                told.append((await shop.pay(browser, f"ann-{at}", order, "k1")).json()["state"])
        counted = reasons(shop)

    assert told == ["paid"] * 6
    assert counted == {}


async def test_holds_that_are_given_back_are_heard_of(store_url: str, tmp_path: Path) -> None:
    """Dropped again and again: counted for the account."""
    async with till_front(store_url, tmp_path, 'fraud_limits = ["account-drops=2/600/review"]') as shop:
        async with shop.browser() as browser:
            for at in range(3):
                headers = {"x-buyer": "eve", "idempotency-key": f"k{at}"}
                held = await browser.post(f"{API}/holds", json={"seats": [at]}, headers=headers)
                await browser.delete(f"{API}/holds/{held.json()['hold']}", headers={"x-buyer": "eve"})
            await shop.signals.drain()
        counted = reasons(shop)

    assert counted == {"account-drops": 1}


async def test_a_hold_that_lapses_counts_for_the_browser_that_picked_it(
    store_url: str, tmp_path: Path
) -> None:
    """Three accounts in one browser let holds lapse; another process, which saw no browser, knows accounts only."""
    async with till_front(store_url, tmp_path, 'fraud_limits = ["device-drops=2/600/review"]') as shop:
        async with shop.browser() as browser:
            await looked(browser)
            held = []
            for at in range(3):
                headers = {"x-buyer": f"eve-{at}", "idempotency-key": "k1"}
                answer = await browser.post(f"{API}/holds", json={"seats": [at]}, headers=headers)
                held.append((f"eve-{at}", answer.json()["hold"]))
        await shop.signals.drain()
        counted = []
        elsewhere = Signals(shop.signals._fraud, shop.tills.seen_of, shop.metrics)
        for signals in (elsewhere, shop.signals):
            for buyer, hold in held:
                signals.dropped(None, EVENT, buyer, hold)
            await signals.drain()
            counted.append(reasons(shop))

    assert counted == [{}, {"device-drops": 1}]


async def test_a_full_queue_and_a_store_that_is_away_cost_no_hold(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What does not fit is lost and counted; what cannot be counted, too; the seats are held all the same."""
    async with till_front(store_url, tmp_path) as shop:
        small = Signals(shop.signals._fraud, shop.tills.seen_of, shop.metrics, queued=1)
        for at in range(3):
            small.dropped(None, EVENT, "eve", f"h{at}")

        async def away(*_arguments: Any) -> dict[str, int]:
            raise Unavailable("store-away", "The store is away.")

        monkeypatch.setattr(shop.signals._fraud._windows, "count", away)
        async with shop.browser() as browser:
            await shop.order(browser, "ann", 0)
            await shop.signals.drain()
        lost = shop.metrics.fraud_lost_signals._tallies["drop"].count

    assert lost == 2
    assert isinstance(shop.signals._fraud, Fraud)


async def test_a_device_is_a_signed_cookie_of_pages(store_url: str, tmp_path: Path) -> None:
    """HttpOnly, Lax, thirty days; once; not on what is no page; a forged or an old one is nobody's."""
    async with till_front(store_url, tmp_path) as shop, shop.browser() as browser:
        first = await looked(browser)
        again = await looked(browser)
        listing = await browser.get("/api/events", headers={"x-buyer": "ann"})
        value = browser.cookies[NAME]
        cookie = shop.app._cookie

        def device(text: str) -> str:
            return cookie.device_of({"headers": [(b"cookie", f"{NAME}={text}".encode())]})

        known, forged = device(value), device(value[:-2] + "AA")
        cookie._clock.advance(31 * 86_400_000)  # type: ignore[attr-defined]
        old = device(value)

    given = first.headers["set-cookie"]
    assert all(part in given for part in ("HttpOnly", "SameSite=Lax", "Max-Age=2592000", "Path=/"))
    assert NAME not in again.headers.get("set-cookie", "")
    assert "set-cookie" not in listing.headers
    assert (len(known), forged, old) == (22, "", "")


class Credulous:
    """Opens whatever looks like a paper, whoever has made it."""

    def open(self, text: str, max_length: int) -> bytes:
        """Return what stands in it."""
        del max_length
        return from_b64url(text.split(".")[1])


@pytest.mark.parametrize("is_guarded", [True, False], ids=["guarded", "mutant"])
def test_a_device_that_nobody_has_signed_is_no_device(is_guarded: bool, clock: ManualClock) -> None:
    """Made up, signed by another or for another purpose, not signed at all; the mutant takes all papers for ours."""
    cookie = DeviceCookie(Signer(KEYS, PURPOSE), clock, secure=False)
    if not is_guarded:
        cookie._signer = cast("PaperSigner", Credulous())
    made = (clock.now_ms() // 3_600_000).to_bytes(4, "big")
    own = b"d" * 16 + made
    papers = [
        Signer(KEYS, "shop-guest").sign(own),
        Signer([("k1", b"a secret of somebody else's, long")], PURPOSE).sign(own),
        Signer([("k9", KEYS[0][1])], PURPOSE).sign(own),
        f"k1.{b64url(own)}.{'A' * 43}",
        f"k1.{b64url(own)}.",
    ]
    wrong = ["", "x", b64url(own), f"k1.{b64url(own)}", Signer(KEYS, PURPOSE).sign(b"short"), "A" * 5_000]

    def device(text: str) -> str:
        return cookie.device_of({"headers": [(b"cookie", f"{NAME}={text}".encode())]})

    assert device(Signer(KEYS, PURPOSE).sign(own)) == b64url(b"d" * 16)
    assert [device(paper) for paper in papers] == ["" if is_guarded else b64url(b"d" * 16)] * len(papers)
    assert not is_guarded or [device(text) for text in wrong] == [""] * len(wrong)


async def test_a_rotation_makes_nobody_a_new_device(store_url: str, tmp_path: Path) -> None:
    """The old key still reads, the new one signs."""
    old, new = ("k1", b"an old secret of thirty-two bytes."), ("k2", b"the new secret of thirty-two byte")
    async with till_front(store_url, tmp_path, keys=[old]) as shop, shop.browser() as browser:
        await looked(browser)
        cookies = httpx.Cookies(browser.cookies)
    async with (
        till_front(store_url, tmp_path / "b", keys=[new, old]) as shop,
        shop.browser(cookies) as browser,
    ):
        answer = await looked(browser)

    assert NAME not in answer.headers.get("set-cookie", "")
