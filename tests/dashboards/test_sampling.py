"""Sampling: one pair of eyes, what it keeps, whom it tells, and what it does while the store is away."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import pytest
from redis.asyncio import Redis

from dashboards.sampling import NAMES_EVERY, Sampler
from kernel.clock import ManualClock
from kernel.errors import Unavailable
from tests.dashboards.following import PATIENCE_S, Glances, sampler_of
from waitroom.configure import Actor, Configurations, Lever
from waitroom.rooms import Sale


async def test_each_round_looks_once_at_each_room(store: Redis, clock: ManualClock) -> None:
    """And keeps its numbers, with the limits that are in force."""
    glances = Glances("alpha", "beta")
    now_ms = clock.now_ms()
    sale = Sale("spring", now_ms - 1000, now_ms + 60_000, total_active_users=7, new_users_per_minute=5)
    glances.rooms["beta"] = replace(glances.rooms["beta"], sales=(sale,))
    sampler = sampler_of(glances, store, clock)

    await sampler.look()
    clock.advance(1_000)
    await sampler.look()

    assert sorted(glances.looked) == ["alpha", "alpha", "beta", "beta", "removed", "removed"]
    assert sampler.number == 2
    assert sampler.rooms()["alpha"].track.series(names=("waiting", "cap"))["cap"] == [500, 500]
    assert sampler.rooms()["beta"].track.newest()["cap"] == 7
    assert sampler.rooms()["beta"].track.newest()["rate"] == 5


async def test_a_running_loop_looks_by_itself_and_asks_for_names_rarely(
    store: Redis, clock: ManualClock
) -> None:
    """Pages find what it saw; a new room is seen within a few rounds, a removed one is not asked for each time."""
    glances = Glances("alpha")
    sampler = Sampler(glances, Configurations(store, clock), clock, every_s=0.001)
    await sampler.look()
    sampler.start()
    glances.rooms["beta"], glances.figures["beta"] = replace(glances.rooms["alpha"], name="beta"), {}
    async with asyncio.timeout(PATIENCE_S):
        while "beta" not in sampler.rooms() or sampler.number < 30:
            assert await sampler.next(sampler.number)
    await sampler.stop()

    rounds = sampler.number
    assert glances.looked.count("removed") == glances.named
    assert glances.named <= rounds // NAMES_EVERY + 2
    looked = len(glances.looked)
    await asyncio.sleep(0)
    assert len(glances.looked) == looked
    assert sampler.ending


async def test_a_page_looks_by_itself_only_where_no_loop_runs(store: Redis, clock: ManualClock) -> None:
    """Without a loop each page is of now; with one it costs the store nothing."""
    glances = Glances("alpha")
    sampler = sampler_of(glances, store, clock)
    for _ in range(3):
        await sampler.fresh()
    assert glances.looked.count("alpha") == 3

    with sampler.followed():
        for _ in range(3):
            await sampler.fresh()
    assert glances.looked.count("alpha") == 3


async def test_while_the_store_is_away_the_last_look_stands_and_ages(
    store: Redis, clock: ManualClock
) -> None:
    """Nothing new is kept, nothing is forgotten, and it is known again as soon as there is an answer."""
    glances = Glances("alpha")
    sampler = sampler_of(glances, store, clock)
    glances.away = True
    with pytest.raises(Unavailable):
        await sampler.look()
    assert not sampler.reached

    glances.away = False
    await sampler.look()
    assert sampler.reached
    glances.away = True
    clock.advance(7_000)
    await sampler.look()
    sample = sampler.rooms()["alpha"]
    assert not sampler.reached
    assert len(sample.track) == 1
    figures = sample.figures(clock.now_ms())
    assert figures is not None
    assert (figures["store_age_ms"], figures["waiting"]) == (7_000, 1200)


async def test_listeners_hear_each_sample_and_cannot_harm_the_next(
    store: Redis, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """History writes what it hears; what it raises is logged."""
    heard: list[tuple[str, int, object]] = []

    async def broken(room: str, at_ms: int, numbers: Mapping[str, object]) -> None:
        raise RuntimeError(room, at_ms, numbers)

    sampler = sampler_of(Glances("alpha"), store, clock)
    sampler.on_sample(broken)
    sampler.on_sample(lambda room, at_ms, numbers: heard.append((room, at_ms, numbers["rate"])))
    await sampler.look()

    assert heard == [("alpha", clock.now_ms(), 200)]
    assert "a sample could not be handed on" in caplog.text


async def test_changes_are_asked_for_once_for_each_version(store: Redis, clock: ManualClock) -> None:
    """Ten consoles that open at once do not ask ten times."""
    rooms = Configurations(store, clock)
    await rooms.create({"name": "alpha", "origin": "https://shop.example.com"}, Actor("Bob"))
    glances = Glances("alpha")
    sampler = sampler_of(glances, store, clock)
    await sampler.look()
    assert [change["who"] for change in await sampler.changes("alpha")] == ["Bob"]

    await rooms.act("alpha", Lever.PAUSE, None, None, Actor("Ann"))
    assert [change["who"] for change in await sampler.changes("alpha")] == ["Bob"]
    glances.rooms["alpha"] = await rooms.get("alpha")
    await sampler.look_at("alpha")
    assert [change["who"] for change in await sampler.changes("alpha")] == ["Ann", "Bob"]


async def test_whoever_follows_is_told_or_hears_that_nothing_came(store: Redis, clock: ManualClock) -> None:
    """A round: True at once, also for whoever comes late; none for a beat: False, for all who wait."""
    sampler = Sampler(Glances("alpha"), Configurations(store, clock), clock, every_s=3600, beat_s=0.001)
    waiting = asyncio.create_task(sampler.next(0))
    await asyncio.sleep(0)
    await sampler.look()
    assert await waiting
    assert await sampler.next(0)
    with sampler.followed():
        assert await asyncio.gather(*(sampler.next(sampler.number) for _ in range(3))) == [False] * 3
    sampler.end()
    assert await sampler.next(99)
    await sampler.stop()
