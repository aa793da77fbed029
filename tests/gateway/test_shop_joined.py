"""The joined shop: names of holds, halls that open by themselves, work that goes on, and an end that is one."""

import asyncio
from pathlib import Path

import pytest
from redis.asyncio import Redis

from checkout.catalogue.selling import State
from checkout.halls.seats import Status
from gateway import shop_joined
from gateway.shop_joined import CatalogueTerms, hold_ids
from tests.gateway.shopfront import API, EVENT, PAGE, front

KEY = {"idempotency-key": "a-key"}


def test_a_holds_name_follows_from_event_buyer_and_key_and_from_a_secret() -> None:
    """Eight octets; no two of the three can be shifted into each other, and nobody else can make them."""
    names = hold_ids(b"s" * 32)
    others = [
        names("a", "b", "d"),
        names("ab", "", "c"),
        names("a", "bc", ""),
        names("", "ab", "c"),
        hold_ids(b"t" * 32)("a", "b", "c"),
    ]

    assert names("a", "b", "c") == names("a", "b", "c")
    assert len(names("a", "b", "c")) == 8
    assert names("a", "b", "c") not in others


async def test_a_store_that_lost_its_halls_gets_them_back_at_the_start_or_when_somebody_asks(
    store: Redis, store_url: str, tmp_path: Path
) -> None:
    """Reservations are in the map again; events that are not on sale have none."""
    async with front(store_url, tmp_path) as shop:
        held = (await shop.client.post(f"{API}/holds", json={"seats": [3, 4]}, headers=KEY)).json()
        await shop.client.post(f"{API}/holds/{held['hold']}/reserve")
        holds = shop.shop.parts.shards.of(EVENT).holds
        await store.flushall()
        await shop.shop.open_halls()
        opened = await holds.counts(EVENT)
        await store.flushall()
        shop.clock.advance(2_000)
        asked = await shop.client.get(f"{API}/map")
        await shop.shop.parts.catalogue.update_event(EVENT, {"state": State.CANCELLED.value})
        await store.flushall()
        await shop.shop.open_halls()

        assert opened is not None
        assert (opened[Status.RESERVED], opened[Status.FREE]) == (2, 43)
        assert asked.status_code == 200
        assert [octet % 16 for octet in asked.content[3:5]] == [Status.RESERVED] * 2
        assert await holds.counts(EVENT) is None


async def test_the_waitlist_knows_the_events_that_people_may_see(
    store: Redis, store_url: str, tmp_path: Path
) -> None:
    """Terms from the catalogue; nothing of what is not there or a draft."""
    async with front(store_url, tmp_path) as shop:
        programme = CatalogueTerms(shop.shop.parts.catalogue)
        terms = await programme.terms(EVENT)
        await shop.shop.parts.catalogue.update_event(EVENT, {"state": State.DRAFT.value})

        assert terms is not None
        assert (terms.max_per_buyer, terms.currency, terms.tiers) == (4, "EUR", frozenset({0, 1}))
        assert await programme.terms(EVENT) is None
        assert await programme.terms("none") is None


async def test_background_work_that_fails_begins_anew_and_is_counted(
    store: Redis, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody foresaw costs a round, never the work."""
    monkeypatch.setattr(shop_joined, "AGAIN_S", 0)
    begun: asyncio.Queue[int] = asyncio.Queue()

    async def broken() -> None:
        begun.put_nowait(1)
        raise KeyError("the inside")

    async with front(store_url, tmp_path) as shop:
        monkeypatch.setattr(shop.shop.reserving, "reap", broken)
        await shop.shop.start()
        async with asyncio.timeout(10):
            for _ in range(3):
                await begun.get()
        await shop.shop.stop()

    assert shop.metrics.background_failures._tallies["reaping"].count >= 2


async def test_an_end_is_an_end_also_for_work_that_loses_a_cancellation(
    store: Redis, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked once more it goes; what never goes at the first asking would hold up the process for ever."""
    monkeypatch.setattr(shop_joined, "AGAIN_S", 0.01)
    lost: list[int] = []

    async def deaf() -> None:
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                lost.append(1)
                if len(lost) > 1:
                    raise

    async with front(store_url, tmp_path) as shop:
        monkeypatch.setattr(shop.shop.reserving, "reap", deaf)
        await shop.shop.start()
        await asyncio.sleep(0)
        async with asyncio.timeout(10):
            await shop.shop.stop()

    assert len(lost) == 2


async def test_draining_ends_the_streams_and_lets_none_begin(
    store: Redis, store_url: str, tmp_path: Path
) -> None:
    """Pages come back by themselves, to another process; everything else is still answered."""
    async with front(store_url, tmp_path) as shop:
        stream = asyncio.create_task(shop.client.get(f"{API}/deltas"))
        async with asyncio.timeout(10):
            while not shop.shop.live_map._viewers:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
            shop.shop.drain()
            ended = await stream
        refused = await shop.client.get(f"{API}/deltas")
        page = await shop.client.get(PAGE)

    assert (ended.status_code, refused.status_code, page.status_code) == (200, 503, 200)
    assert refused.json()["code"] == "streams-full"
