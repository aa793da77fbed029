"""The waitlist without scripts: onto it by a form, how it stands on a page, seats that come back, and leaving it."""

from pathlib import Path

import httpx
import pytest
from redis.asyncio import Redis

from checkout.halls.seats import Status
from checkout.holds.answers import Marked, Seen
from tests.gateway.shopfront import EVENT, PAGE, Front, front
from tests.gateway.test_shop_pages import best, heading

WAITLIST = f"{PAGE}/waitlist"


async def sell_out(shop: Front) -> str:
    """Have somebody hold two seats, and block the others; returns the hold."""
    async with shop.buyer("other") as other:
        hold = (await best(other, "2")).headers["location"].partition("hold=")[2]
    holds = shop.shop.parts.shards.of(EVENT).holds
    seen = await holds.look(EVENT)
    assert isinstance(seen, Seen)
    free = [seat for seat, now in enumerate(seen.map) if now % 16 == Status.FREE]
    assert isinstance(await holds.mark(EVENT, "block", free), Marked)
    return hold


async def join(client: httpx.AsyncClient, count: str = "2") -> httpx.Response:
    """Send the form."""
    return await client.post(WAITLIST, data={"count": count})


async def test_the_whole_way_onto_the_waitlist_and_to_the_seats(
    store: Redis, store_url: str, tmp_path: Path
) -> None:
    """Sold out: a form on the event's page, a page with the number, and when seats come back it leads to them."""
    async with front(store_url, tmp_path) as shop, shop.buyer("other") as other:
        hold = await sell_out(shop)
        event = await shop.client.get(PAGE)
        assert f'action="{WAITLIST}"' in event.text

        sent = await join(shop.client)
        assert (sent.status_code, sent.headers["location"]) == (303, WAITLIST)
        waiting = await shop.client.get(WAITLIST)
        assert heading(waiting) == "You are number 1 on the waitlist"
        assert '<meta http-equiv="refresh" content="30">' in waiting.text
        assert "http-equiv" not in (await shop.client.get(f"{WAITLIST}?still=1")).text

        assert (await other.post(f"{PAGE}/hold/{hold}/release")).status_code == 303
        await shop.shop.waitlist.pass_by()
        led = await shop.client.get(WAITLIST)
        assert led.headers["location"].startswith(f"{PAGE}/hold?hold=")
        assert heading(await shop.client.get(led.headers["location"])) == "Your seats are held"


async def test_joining_twice_is_joining_once_and_leaving_twice_is_leaving_once(
    store: Redis, store_url: str, tmp_path: Path
) -> None:
    """A reload and a double click do no harm; afterwards the page says that one is not there."""
    async with front(store_url, tmp_path) as shop:
        await sell_out(shop)
        twice = [await join(shop.client) for _ in range(2)]
        number = heading(await shop.client.get(WAITLIST))
        left = [await shop.client.post(f"{WAITLIST}/leave") for _ in range(2)]
        gone = await shop.client.get(WAITLIST)

    assert [answer.status_code for answer in (*twice, *left)] == [303] * 4
    assert number == "You are number 1 on the waitlist"
    assert heading(gone) == "You are not on the waitlist"


@pytest.mark.parametrize(
    ("count", "status", "words"),
    [
        ("", 422, "That did not work"),
        ("0", 422, "That did not work"),
        ("-1", 422, "That did not work"),
        ("two", 422, "That did not work"),
        ("99", 409, "That is the limit"),
    ],
)
async def test_a_bad_number_is_told_in_words(
    store: Redis, store_url: str, tmp_path: Path, count: str, status: int, words: str
) -> None:
    """And nobody stands on the waitlist for it."""
    async with front(store_url, tmp_path) as shop:
        await sell_out(shop)
        refused = await join(shop.client, count)
        gone = await shop.client.get(WAITLIST)

    assert (refused.status_code, heading(refused)) == (status, words)
    assert heading(gone) == "You are not on the waitlist"


async def test_who_need_not_wait_is_told_so_and_who_waits_for_something_else_too(
    store: Redis, store_url: str, tmp_path: Path
) -> None:
    """Seats are left; another number of seats; another site's form; nobody's form; an event that is not there."""
    async with front(store_url, tmp_path) as shop, shop.buyer("") as nobody:
        left = await join(shop.client)
        await sell_out(shop)
        await join(shop.client)
        other = await join(shop.client, "1")
        foreign = await shop.client.post(
            WAITLIST, data={"count": "1"}, headers={"sec-fetch-site": "cross-site"}
        )
        unknown = await shop.client.get("/events/nowhere/waitlist")
        without = [await join(nobody), await nobody.get(WAITLIST), await nobody.post(f"{WAITLIST}/leave")]

    assert (left.status_code, heading(left)) == (409, "There are seats left")
    assert (other.status_code, heading(other)) == (409, "You are on the waitlist already")
    assert foreign.status_code == 403
    assert unknown.status_code == 404
    assert [answer.status_code for answer in without] == [401] * 3
