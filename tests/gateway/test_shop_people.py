"""What is kept of buyers, in the whole shop: asked for, erased in the background, its keys looked at."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from prometheus_client import CollectorRegistry

from checkout.metrics import Metrics
from checkout.tables import CONTACTS
from gateway.settings import Settings
from gateway.shop import ShopProcess
from gateway.shop_people import JoinedPeople
from kernel.errors import Misconfigured
from tests.gateway.shopfront import API, PAGE, buyer_of, front
from tests.gateway.tillfront import till_front

ANN = {"email": "ann@example.org", "language": "pl"}
BUYER = {"x-buyer": "ann"}


async def test_a_buyer_says_where_tickets_go_and_takes_it_back(store_url: str, tmp_path: Path) -> None:
    """Over the API and on the page, in any language that the shop speaks."""
    async with till_front(store_url, tmp_path) as own, own.browser() as page:
        order = await own.order(page, "ann", 0)
        put = await page.put(f"{API}/orders/{order}/contact", json=ANN, headers=BUYER)
        shown = await page.get(f"{PAGE}/order/{order}", headers=BUYER)
        form = await page.post(
            f"{PAGE}/order/{order}/contact", data={"email": "b@example.org"}, headers=BUYER
        )
        told = await page.get(f"{API}/orders/{order}/personal", headers=BUYER)
        gone = await page.delete(f"{API}/orders/{order}/personal", headers=BUYER)

    assert (put.status_code, put.json()["language"]) == (200, "pl")
    assert "a•••@example.org" in shown.text
    assert form.status_code == 303
    assert told.json()["contact"]["email"] == "b@example.org"
    assert gone.json()["erased"] == {"contact": 1, "account": 0, "waitlist": 0, "devices": 0}


async def test_events_that_began_long_ago_lose_their_contacts(store_url: str, tmp_path: Path) -> None:
    """By the programme's own times, so an evening that was put off keeps them."""
    async with till_front(store_url, tmp_path) as own, own.browser() as page:
        order = await own.order(page, "ann", 0)
        await page.put(f"{API}/orders/{order}/contact", json=ANN, headers=BUYER)
        people, clock = own.shop.people, own.shop.parts.clock
        assert people is not None
        starts_ms = (await own.shop.parts.catalogue.all())[0].event.starts_ms
        counts = []
        for after_ms in (0, 1):
            clock.set(starts_ms + 30 * 86_400_000 + after_ms)  # type: ignore[attr-defined]
            # The order itself is left alone here: it came to nothing only when somebody has seen so.
            counts.append(await people.purging.purge())

    assert counts == [0, 1]


async def test_a_shop_with_other_keys_does_not_start(store_url: str, tmp_path: Path) -> None:
    """The file was lost and made anew: what it cannot open is counted, and the operator told."""
    async with till_front(store_url, tmp_path) as own, own.browser() as page:
        order = await own.order(page, "ann", 0)
        await page.put(f"{API}/orders/{order}/contact", json=ANN, headers=BUYER)
        people = own.shop.people
        assert people is not None
        people.check()
        path = tmp_path / "people-keys.json"
        path.rename(tmp_path / "lost.json")
        other = JoinedPeople(
            Settings(data=tmp_path, store_url=store_url),
            own.shop.parts,
            buyer_of,
            Metrics(CollectorRegistry()),
        )
        with pytest.raises(Misconfigured, match="1 rows of the shop were sealed with keys"):
            other.check()
        with own.shop.parts.database.writing() as connection:
            connection.execute(sa.delete(CONTACTS))
        other.check()


async def test_a_shop_that_takes_no_money_keeps_nothing(store_url: str, tmp_path: Path) -> None:
    """No address, no key."""
    async with front(store_url, tmp_path) as own:
        answer = await own.client.put(f"{API}/orders/O1/contact", json=ANN)

    assert answer.status_code == 404
    assert answer.json()["code"] == "address-unknown"
    assert not (tmp_path / "people-keys.json").exists()


def test_the_process_joins_people_where_it_takes_money(store_url: str, tmp_path: Path) -> None:
    """And looks at the keys before it is ready; a file that is none is told at once."""
    settings = Settings(data=tmp_path, store_url=store_url, payments="sandbox", sandbox_port=1)
    process = ShopProcess(settings, Metrics(CollectorRegistry()))

    assert process.shop.people is not None
    assert "purging" in process.shop._background()
    (tmp_path / "people-keys.json").write_text("{}")
    with pytest.raises(Misconfigured, match="people-keys"):
        ShopProcess(settings, Metrics(CollectorRegistry()))
