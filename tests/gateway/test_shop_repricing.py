"""Row 34: a whole hall costs something else: seen at once, held seats keep their price, and the report is SQL's sum."""

from pathlib import Path

import sqlalchemy as sa
from redis.asyncio import Redis

from checkout.halls.seats import tier
from checkout.organiser.reporting import Reporting
from checkout.organiser.service import Organising
from checkout.tables import RESERVATION_SEATS
from tests.gateway.shopfront import API, EVENT, front

RAISED_MINOR = 1_000


async def test_a_hall_that_is_repriced_is_seen_so_and_open_holds_keep_their_price(
    store: Redis, store_url: str, tmp_path: Path
) -> None:
    """Each tier's price, then every seat's tier; how fast is the figure reprice-60k's to say."""
    async with front(store_url, tmp_path) as own:
        parts = own.shop.parts
        known = await parts.catalogue.known(EVENT)
        held = await own.client.post(f"{API}/holds", json={"seats": [0, 1]}, headers={"idempotency-key": "k"})
        paid = sum(seat["price_minor"] for seat in held.json()["seats"])
        raised = {own: {"EUR": money["EUR"] + RAISED_MINOR} for own, money in known.prices.amounts.items()}
        await parts.catalogue.set_prices(EVENT, raised)
        detail = (await own.client.get(API)).json()
        to = max(known.tiers)
        layout = await parts.catalogue.layout(known.event.layout_id)
        organising = Organising(parts.catalogue, parts.shards)
        await organising.retier(EVENT, to, (), range(len(layout.sections)))
        seen = await own.client.get(f"{API}/map")
        reserved = await own.client.post(f"{API}/holds/{held.json()['hold']}/reserve")
        async with own.buyer("bob") as bob:
            fresh = await bob.post(f"{API}/holds", json={"seats": [4]}, headers={"idempotency-key": "b"})
            await bob.post(f"{API}/holds/{fresh.json()['hold']}/reserve")
        report = await Reporting(parts.catalogue, parts.shards, own.clock).report(EVENT)
        with parts.shards.of(EVENT).database.reading() as connection:
            total = connection.scalar(sa.select(sa.func.sum(RESERVATION_SEATS.c.price_minor)))

    assert {one["tier"]: one["prices"]["EUR"] for one in detail["tiers"]} == {
        own: money["EUR"] for own, money in raised.items()
    }
    assert {tier(octet) for octet in seen.content} == {to}
    assert sum(seat["price_minor"] for seat in reserved.json()["seats"]) == paid
    assert [seat["price_minor"] for seat in fresh.json()["seats"]] == [raised[to]["EUR"]]
    assert report.totals()["active"] == {"EUR": total} == {"EUR": paid + raised[to]["EUR"]}
