"""Language and currency on the shop's pages, over a real store: who chooses, what survives, and what is charged."""

import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from checkout.holds import wishes
from checkout.money import Money
from checkout.payments.port import PaymentState
from checkout.site import pages_web
from checkout.site.words import languages
from tests.gateway.shopfront import EVENT, OWN, PAGE, front
from tests.gateway.tillfront import till_front

TEN = sorted(languages())
TLS = {"secure": True}


def lang_of(page: httpx.Response) -> str:
    """Give the language of a page, with its direction."""
    found = re.search(r'<html lang="([a-z]+)" dir="([a-z]+)"', page.text)
    assert found is not None, page.text[:200]
    return f"{found[1]} {found[2]}"


async def hold(fan: httpx.AsyncClient, page: httpx.Response, **more: str) -> httpx.Response:
    """Send the form that stands on a page, as a browser without scripts does; then see where it leads."""
    form = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.text))
    return await fan.post(f"{PAGE}/hold", data={**form, "count": "2", "tier": "0", **more})


async def reserve(fan: httpx.AsyncClient, held: httpx.Response) -> httpx.Response:
    """Go on from a hold's page to its reservation's."""
    address = re.search(rf'action="({PAGE}/hold/[^/]+/reserve)"', held.text)
    assert address is not None, held.text
    sent = await fan.post(address[1], data={"key": "x"})
    return await fan.get(sent.headers["location"])


async def test_a_browser_is_answered_in_the_language_that_it_likes(
    store: Redis, store_url: str, tmp_path: Path
) -> None:
    """Each of the ten, and English for who likes none of them."""
    async with front(store_url, tmp_path) as shop:
        for tag in TEN:
            page = await shop.client.get(PAGE, headers={"accept-language": f"sv, {tag}-XX;q=0.7, en;q=0.1"})
            assert lang_of(page) == f"{tag} {'rtl' if tag == 'ar' else 'ltr'}"
            assert "Cookie" in page.headers["vary"]
        other = await shop.client.get(PAGE, headers={"accept-language": "sv"})

    assert lang_of(other) == "en ltr"


@pytest.mark.parametrize("tag", TEN)
async def test_the_language_that_is_chosen_stays_from_the_hold_to_the_reservation(
    tag: str, store: Redis, store_url: str, tmp_path: Path
) -> None:
    """By a link that stands on every page; forms, redirects and what goes wrong keep it, whatever the browser likes."""
    async with front(store_url, tmp_path) as shop:
        fan = shop.client
        fan.headers["accept-language"] = "ja" if tag != "ja" else "fr"
        first = await fan.get(PAGE)
        assert f'href="{PAGE}?lang={tag}"' in first.text
        chosen = await fan.get(f"{PAGE}?lang={tag}")
        held = await fan.get((await hold(fan, chosen)).headers["location"])
        reserved = await reserve(fan, held)
        wrong = await fan.post(f"{PAGE}/hold", data={"key": "k", "count": "9", "tier": ""})
        seats, missing = await fan.get(f"{PAGE}/seats"), await fan.get("/nowhere")

    assert {lang_of(page).split()[0] for page in (chosen, held, reserved, wrong, seats, missing)} == {tag}
    assert wrong.status_code in {409, 422}
    catalogue = languages()[tag]
    assert catalogue.text("reserved.head") in reserved.text
    assert catalogue.text("charged.in", code="EUR") in reserved.text
    # A page that a form has led to is no address of its own: the link leads to the event's page.
    assert f'href="{PAGE}?lang=de"' in wrong.text


async def test_a_choice_is_kept_in_a_cookie_only_when_it_is_made(
    store: Redis, store_url: str, tmp_path: Path
) -> None:
    """An address that chooses nothing sets nothing; what is no language is no choice."""
    async with front(store_url, tmp_path) as shop:
        plain = await shop.client.get(PAGE)
        unknown = await shop.client.get(f"{PAGE}?lang=xx&currency=ZZZ")
        made = await shop.client.get(f"{PAGE}?lang=de&currency=JPY")

    assert "set-cookie" not in plain.headers
    assert "set-cookie" not in unknown.headers
    assert sorted(line.split(";")[0] for line in made.headers.get_list("set-cookie")) == [
        "shop-currency=JPY", "shop-language=de",
    ]  # fmt: skip


async def test_prices_are_shown_in_the_currency_that_is_chosen_and_held_and_reserved_in_it(
    store: Redis, store_url: str, tmp_path: Path
) -> None:
    """Prices of the event's own list, never converted; another choice later changes nothing that is held."""
    async with front(store_url, tmp_path) as shop:
        fan = shop.client
        euros = await fan.get(PAGE)
        yen = await fan.get(f"{PAGE}?currency=JPY")
        listed = await fan.get("/")
        held = await fan.get((await hold(fan, yen)).headers["location"])
        await fan.get(f"{PAGE}?currency=EUR")
        again = await fan.get(f"{PAGE}/hold")
        reserved = await reserve(fan, again)
        papers = (await fan.get(f"/api/events/{EVENT}/holds/mine")).json()["holds"]
        reservation = (
            await fan.get(f"/api{reserved.url.path.replace('reservation', 'reservations')}")
        ).json()

    assert "42.00\xa0€" in euros.text
    assert 'name="currency" value="EUR"' in euros.text
    assert "7,000\xa0JP¥" in yen.text
    assert "42.00" not in yen.text
    assert 'name="currency" value="JPY"' in yen.text
    assert "4,000\xa0JP¥" in listed.text
    for page in (held, again, reserved):
        assert "14,000\xa0JP¥" in page.text
        assert "Charged in JPY, exactly this amount" in page.text
        assert "These seats keep their currency, JPY" in page.text
    assert [(paper["currency"], paper["total_minor"]) for paper in papers] == [("JPY", 14_000)]
    assert (reservation["currency"], reservation["total_minor"]) == ("JPY", 14_000)


async def test_an_order_is_charged_in_what_was_held_whatever_is_chosen_before_it_is_paid(
    store: Redis, store_url: str, tmp_path: Path
) -> None:
    """Euros are chosen after the hold, on the order's page too; it goes on in yen, says so, and yen are captured."""
    async with till_front(store_url, tmp_path) as own, own.browser() as fan:
        fan.headers["x-buyer"] = "ann"
        yen = await fan.get(f"{PAGE}?currency=JPY")
        held = await fan.get((await hold(fan, yen)).headers["location"])
        reserved = await reserve(fan, held)
        made = await fan.post(f"{reserved.url.path}/order")
        address = made.headers["location"]
        euros = await fan.get(f"{address}?currency=EUR&lang=de")
        paid = await own.pay(fan, "ann", address.rpartition("/")[2], "p1")
        after = await fan.get(address)
        listed = await fan.get(PAGE)
        (payment,) = own.bank.payments.values()

    assert 'name="currency" value="EUR"' in listed.text
    assert "14.000\xa0¥" in euros.text
    assert "Berechnet in JPY, genau dieser Betrag" in euros.text
    assert "Diese Plätze behalten ihre Währung, JPY." in euros.text
    assert "€" not in euros.text
    assert paid.status_code == 200
    assert (paid.json()["currency"], paid.json()["total_minor"]) == ("JPY", 14_000)
    assert (payment.state, payment.amount) == (PaymentState.CAPTURED, Money(14_000, "JPY"))
    assert "14.000\xa0¥" in after.text


@pytest.mark.parametrize("query", ["", "?currency=EUR", "?currency=JPY"])
async def test_nobody_is_told_that_a_currency_is_missing_which_is_not(
    query: str, store: Redis, store_url: str, tmp_path: Path
) -> None:
    """Neither who has chosen none, nor who has chosen one of the event's."""
    async with front(store_url, tmp_path) as shop:
        page = await shop.client.get(f"{PAGE}{query}")

    assert "unmet" not in page.text


async def test_the_seat_page_asks_in_the_currency_that_it_shows(
    store: Redis, store_url: str, tmp_path: Path
) -> None:
    """The facts for its script have prices, signs and decimals of the chosen list."""
    async with front(store_url, tmp_path) as shop:
        page = await shop.client.get(f"{PAGE}/seats?currency=JPY")

    assert "&#34;currency&#34;:&#34;JPY&#34;" in page.text
    assert "&#34;price&#34;:7000" in page.text
    assert f'href="{PAGE}/seats?currency=EUR"' in page.text


@pytest.mark.parametrize(
    ("accept", "query", "offer"),
    [
        ("ja-JP", "", "JPY"),
        ("de-DE", "", ""),
        ("de", "", ""),
        ("en-US", "", ""),
        ("ja-JP", "?currency=EUR", ""),
        ("de-DE", "?currency=JPY", ""),
    ],
)
async def test_the_currency_of_a_region_is_offered_and_never_taken(
    accept: str, query: str, offer: str, store: Redis, store_url: str, tmp_path: Path
) -> None:
    """What is shown is the event's own until somebody chooses; a choice ends the offer."""
    async with front(store_url, tmp_path) as shop:
        page = await shop.client.get(f"{PAGE}{query}", headers={"accept-language": accept})

    own = query.partition("=")[2] or "EUR"
    assert f'name="currency" value="{own}"' in page.text
    assert ('class="offer"' in page.text) is bool(offer)
    if offer:
        assert f'href="{PAGE}?currency={offer}"' in page.text


async def test_what_the_operators_geo_file_says_goes_before_the_browsers_languages(
    store: Redis, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page asks where a visitor seems to be, and is told by whoever the shop is joined with."""
    async with front(store_url, tmp_path) as shop:
        judge: Any = type(
            "Judge", (), {"country": staticmethod(lambda address: {"192.0.2.7": "JP"}.get(address, ""))}
        )
        tills: Any = type(
            "Tills", (), {"seen_of": staticmethod(lambda _: type("Seen", (), {"address": seen}))}
        )
        monkeypatch.setattr(shop.shop, "_judge", judge)
        monkeypatch.setattr(shop.shop, "tills", tills)
        seen = "192.0.2.7"
        near = await shop.client.get(PAGE, headers={"accept-language": "de-DE"})
        seen = "192.0.2.8"
        unknown = await shop.client.get(PAGE, headers={"accept-language": "ja-JP"})
        nowhere = await shop.client.get(PAGE, headers={"accept-language": "de-DE"})

    assert 'class="offer"' in near.text
    assert 'class="offer"' in unknown.text
    assert 'class="offer"' not in nowhere.text


async def test_a_currency_that_the_event_is_not_sold_in_holds_nothing(
    store: Redis, store_url: str, tmp_path: Path
) -> None:
    """A form that names one is told so in words; a page whose event has no such prices says in which it charges."""
    async with front(store_url, tmp_path) as shop:
        fan = shop.client
        page = await fan.get(f"{PAGE}?currency=CHF")
        seats = await fan.get(f"{PAGE}/seats")
        refused = await hold(fan, page, currency="CHF")
        papers = (await fan.get(f"/api/events/{EVENT}/holds/mine")).json()["holds"]

    for shown in (page, seats):
        assert "This evening has no prices in CHF. It is sold and charged in EUR." in shown.text
        assert 'name="currency" value="EUR"' in shown.text
    assert refused.status_code == 422
    assert "Not sold in this currency" in refused.text
    assert papers == []


async def test_a_page_that_forgets_the_currency_would_charge_another_one(
    store: Redis, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant that drops it from the wish: the page showed yen, and euros are held."""

    def forgetful(plain: Any) -> wishes.Wish:
        return wishes.read_wish({name: value for name, value in plain.items() if name != "currency"})

    async with front(store_url, tmp_path) as shop:
        monkeypatch.setattr(pages_web, "read_wish", forgetful)
        yen = await shop.client.get(f"{PAGE}?currency=JPY")
        held = await shop.client.get((await hold(shop.client, yen)).headers["location"])

    assert "14,000\xa0JP¥" not in held.text
    assert "Charged in EUR" in held.text


async def test_with_tls_the_cookie_is_the_hosts_own(store: Redis, store_url: str, tmp_path: Path) -> None:
    """No neighbour can plant one."""
    async with front(store_url, tmp_path, joined=TLS) as shop:
        made = await shop.client.get(f"{PAGE}?lang=pl")
        kept = await shop.client.get(PAGE, headers={"cookie": "__Host-shop-language=pl", **OWN})
        planted = await shop.client.get(PAGE, headers={"cookie": "shop-language=pl", **OWN})

    assert made.headers["set-cookie"].startswith("__Host-shop-language=pl; Path=/; SameSite=Lax")
    assert made.headers["set-cookie"].endswith("; Secure")
    assert (lang_of(kept), lang_of(planted)) == ("pl ltr", "en ltr")
