"""Figures: a room's numbers in one trip to the store, however many consoles are open."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from redis.asyncio import Redis

from admission.store import AdmissionStore
from dashboards.recording import Recorder
from dashboards.sampling import Sampler
from gateway import figures as figures_module
from gateway.figures import RoomFigures, telling_clocks
from gateway.metrics import CLOCK_APART, HISTORY_PUT_OFF
from gateway.origins import Origins
from kernel.clock import ManualClock
from kernel.metrics import REGISTRY
from tests.dashboards.desk import signed_in
from tests.dashboards.following import app_with, console
from tests.dashboards.played import book_in
from tests.waitroom.house import House, house
from waitroom.lanes import Lane, Serving
from waitroom.line import LEAF_BYTES, Line

ROOM = "main"
CONSOLES = 20
ROUNDS = 4
CLOCKS = "gateway_store_clock_apart_seconds", "gateway_history_put_off"
LOOK = {
    "multi": 1, "exec": 1, "hgetall": 3, "lrange": 2, "get": 2, "zcount": 1, "zcard": 2, "hget": 1, "hlen": 1,
    "hmget": 1, "time": 1,
}  # fmt: skip
"""What one look asks, in one transaction: line, calls, settings and counts; the door; the slowed; the origin; who was
turned away; and what time it is."""


@asynccontextmanager
async def watched(store: Redis, clock: ManualClock, folder: Path) -> AsyncIterator[tuple[House, RoomFigures]]:
    """Give an open room, and who looks at it."""
    async with house(store, clock, folder) as here:
        await here.set_up()
        yield here, RoomFigures(here.waitroom, AdmissionStore(store), clock)


async def asked(store: Redis) -> dict[str, int]:
    """Count the commands that the store has seen so far."""
    found = await store.info("commandstats")
    return {name.removeprefix("cmdstat_"): row["calls"] for name, row in found.items()}


def since(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    """Return the commands in between, without the counting itself."""
    return {
        name: count - before.get(name, 0)
        for name, count in after.items()
        if count != before.get(name, 0) and name != "info"
    }


async def test_a_look_is_one_transaction_for_any_number_of_consoles(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Twenty consoles and as many opened pages ask the store for nothing; each round asks once."""
    async with watched(store, clock, tmp_path) as (here, figures):
        sampler = Sampler(figures, here.configurations, clock, every_s=3600)
        app = app_with(sampler, store, clock)
        async with signed_in(app) as ann, AsyncExitStack() as stack:
            seen = [await stack.enter_async_context(console(app, ann, "room=main")) for _ in range(CONSOLES)]
            await asyncio.gather(*(one.event() for one in seen))
            before = await asked(store)
            for _ in range(ROUNDS):
                clock.advance(1_000)
                await sampler.look()
                await asyncio.gather(*(one.event() for one in seen))
                assert (await ann.get("/?room=main")).status_code == 200
                assert (await ann.get("/series?room=main")).status_code == 200
            commands = since(before, await asked(store))

    names = commands.pop("smembers", 0)
    assert commands == {name: count * ROUNDS for name, count in LOOK.items()}
    assert names <= 1


async def test_the_numbers_are_those_of_line_door_and_gate(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """By the names that the console asks for."""
    async with watched(store, clock, tmp_path) as (here, figures):
        line = here.waitroom.reading(ROOM).line
        assert line is not None
        for lane, count in ((Lane.STANDARD, 90), (Lane.VERIFIED, 7), (Lane.SUSPECT, 3)):
            leaves = [bytes([number + 1]) * LEAF_BYTES for number in range(count)]
            await here.waitroom.store.join(ROOM, line.run, lane, leaves, [], str(lane), None)
        await here.waitroom.store.call(ROOM, line.run, 1, Serving(40, 40, 40), 120)
        origins = Origins(store, clock, lambda: {ROOM: {"refused": 6, "shed": 2, "slowed": 3}})
        origins.answered(ROOM, 200, 30)
        origins.failed(ROOM)
        clock.advance(5_000)
        await origins.write()

        told = await figures.figures(ROOM)
        shown = {
            name: told[name]
            for name in (
                "waiting",
                "issued",
                "called_in_all",
                "lane_verified",
                "lane_standard",
                "lane_suspect",
            )
        }
        assert shown == {
            "waiting": 60, "issued": 100, "called_in_all": 40,
            "lane_verified": 7, "lane_standard": 90, "lane_suspect": 3,
        }  # fmt: skip
        assert (told["active_sessions"], told["called"], told["admitted"], told["slowed"]) == (0, 0, 0, 0)
        assert (told["origin_failure_ratio"], told["origin_per_minute"]) == (0.5, 24)
        assert (told["refused"], told["shed"], told["settled_slowed"]) == (6, 2, 3)
        assert told["max_estimated_time_minutes"] == 1
        # Nobody knows these yet, and so nothing is said.
        assert told["show_ratio"] is None
        assert told["admitted_per_minute"] is None
        assert told["wait_held"] is None
        assert told["store_age_ms"] == 0


async def test_a_wiped_store_leaves_the_last_picture_and_says_how_old_it_is(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Until the gates have put the line back nobody is shown an empty house."""
    async with watched(store, clock, tmp_path) as (here, figures):
        line = here.waitroom.reading(ROOM).line
        assert line is not None
        await here.waitroom.store.join(
            ROOM, line.run, Lane.STANDARD, [b"l" * LEAF_BYTES] * 5, [], "once", None
        )
        sampler = Sampler(figures, here.configurations, clock)
        await sampler.look()
        await store.flushall()
        clock.advance(7_000)
        await sampler.look()

        told = sampler.rooms()[ROOM].figures(clock.now_ms())
    assert told is not None
    assert (told["waiting"], told["store_age_ms"]) == (5, 7_000)


@pytest.mark.parametrize("name", ["other", "MAIN"])
async def test_a_room_that_is_not_there_has_no_look(
    store: Redis, clock: ManualClock, tmp_path: Path, name: str
) -> None:
    """And no figures."""
    async with watched(store, clock, tmp_path) as (_, figures):
        assert await figures.look(name) is None
        assert await figures.figures(name) == {}
        assert await figures.names() == {"main"}


async def test_the_time_is_the_stores_and_clocks_that_are_apart_are_shown(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """With each look, in its one transaction; and so is a history that has put off to forget."""
    async with watched(store, clock, tmp_path) as (_, figures):
        before, after = [], []
        before.append(await store.time())
        told = await figures.figures(ROOM)
        after.append(await store.time())
    low, high = (seconds * 1000 + micro // 1000 for seconds, micro in (*before, *after))
    assert low <= int(str(told["store_ms"])) <= high
    assert int(str(told["opened_ms"])) > 0

    with book_in(tmp_path) as book:
        recorder = Recorder(book, lambda _: None, clock)
        tell = telling_clocks(recorder)
        recorder.hear(ROOM, clock.now_ms(), {"waiting": 1, "store_ms": clock.now_ms() - 90_000})
        recorder.is_put_off = True
        tell(ROOM, clock.now_ms(), {})
    shown = {name: REGISTRY.get_sample_value(name) for name in CLOCKS}
    assert shown == dict(zip(CLOCKS, (90.0, 1.0), strict=True))
    CLOCK_APART.set(0)
    HISTORY_PUT_OFF.set(0)


def test_numbers_that_a_lost_store_left_to_nobody_are_nobodys() -> None:
    """Neither joined nor called: else a sale that was put back would have more fans than its journal."""
    line = Line("r", issued=1_100, void=((500, 600),), serving=Serving(700, 700, 700), joined_verified=10)
    told = figures_module._of_line(line)

    assert (told["issued"], told["waiting"], told["called_in_all"], told["lane_standard"]) == (
        1000,
        400,
        600,
        990,
    )
    untouched = figures_module._of_line(replace(line, void=()))
    assert (untouched["issued"], untouched["called_in_all"]) == (1100, 700)
