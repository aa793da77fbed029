"""A store that comes back with the file of an earlier opening: what belongs to that one must not count in this one."""

from pathlib import Path

import pytest
from redis.asyncio import Redis

from kernel.clock import ManualClock
from tests.waitroom.house import ROOM, House, house, worker
from tests.waitroom.test_service import PREQUEUE_MS, SALE, START_MS
from waitroom.lanes import Serving
from waitroom.rooms import read_kept
from waitroom.schedule import Phase
from waitroom.standing import Standing

HOUR_MS = 3_600_000


async def _file(store: Redis) -> dict[bytes, bytes]:
    """Copy everything that the store holds, as its file would."""
    return {key: await store.dump(key) for key in await store.keys("*")}


async def _put_back(store: Redis, file: dict[bytes, bytes]) -> None:
    await store.flushall()
    for key, octets in file.items():
        await store.restore(key, 0, octets)


async def _two_openings(here: House) -> tuple[dict[bytes, bytes], list[str]]:
    """Let a first opening be used and end, and a second one begin; return the first one's file and new tickets."""
    reading = await here.set_up()
    for _ in range(40):
        await here.join()
    assert reading.line is not None
    await here.waitroom.store.call(ROOM, reading.line.run, 1, Serving(40, 40, 40), 60, here.clock.now_ms())
    await here.store.setbit("wr:{main}:claimed:0", 2, 1)
    await here.beat()
    await here.drained()
    yesterday = await _file(here.store)

    await here.waitroom.store.turn(ROOM, reading.line.run, Phase.SERVING, Phase.ENDED, "test")
    here.clock.advance(HOUR_MS)
    await here.beat()
    texts = [(await here.join())[0] for _ in range(10)]
    await here.beat()
    await here.drained()
    texts += [(await here.join())[0] for _ in range(10)]
    await here.beat()
    return yesterday, texts


@pytest.mark.parametrize("remembered", [True, False], ids=["worker lives", "only the journal"])
async def test_an_earlier_openings_leaves_and_claims_do_not_come_back(
    store: Redis, clock: ManualClock, tmp_path: Path, remembered: bool
) -> None:
    """Numbers begin anew with each opening, so an old bit or leaf would take somebody's place."""
    async with house(store, clock, tmp_path) as here:
        yesterday, texts = await _two_openings(here)
        run = here.waitroom.reading(ROOM).line.run  # type: ignore[union-attr]
        await _put_back(store, yesterday)

        after = here if remembered else worker(store, here.journal, clock)
        if not remembered:
            room = read_kept(here.journal.latest_configs()[ROOM][1])
            assert room is not None
            await after.restorer.settings({ROOM: room})
        for _ in range(3):
            await after.beat()
        line = after.waitroom.reading(ROOM).line

        assert line is not None
        assert line.run == run
        assert await store.getbit("wr:{main}:claimed:0", 2) == 0
        for text in texts:
            _, held, _ = await after.waitroom.place_of(ROOM, text, clock.now_ms())
            leaf = await store.getrange("wr:{main}:leaves:0", held.number * 16, held.number * 16 + 15)
            assert leaf in {held.leaf, bytes(16)}, held.number
    await store.aclose()


async def test_who_is_called_now_was_not_called_by_an_earlier_opening(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """The history of calls is the opening's own: an old one would turn every call into a recall."""
    async with house(store, clock, tmp_path) as here:
        yesterday, texts = await _two_openings(here)
        await _put_back(store, yesterday)
        for _ in range(3):
            await here.beat()
        line = here.waitroom.reading(ROOM).line
        assert line is not None
        await here.waitroom.store.call(ROOM, line.run, 9, Serving(5, 5, 5), 60, clock.now_ms())
        await here.beat()

        _, _, place = await here.waitroom.place_of(ROOM, texts[0], clock.now_ms())

        assert place.standing is Standing.CALLED
        assert place.called_ms == clock.now_ms()
    await store.aclose()


@pytest.mark.parametrize("lost", ["serving", "frozen"])
async def test_a_store_that_forgot_a_call_or_a_freeze_is_found_by_a_worker_that_remembers_nothing(
    store: Redis, clock: ManualClock, tmp_path: Path, lost: str
) -> None:
    """The counter is right, all workers are new: who was called stays called, and a draw is frozen once."""
    async with house(store, clock, tmp_path) as here:
        await here.set_up(queueing_method="reject", sales=[SALE], draw_lead_s=90)
        clock.set(PREQUEUE_MS)
        await here.beat()
        for _ in range(6):
            await here.join()
        clock.set(START_MS - 90_000)
        await here.beat()
        run = (await here.beat()).line.run  # type: ignore[union-attr]
        if lost == "serving":
            clock.set(START_MS)
            for _ in range(2):
                await here.beat()
            await here.waitroom.store.call(ROOM, run, 1, Serving(4, 4, 3), 60, clock.now_ms())
            await here.drained()
            forgotten = {f"serving:{lane}": 1 for lane in ("verified", "standard", "suspect")}
        else:
            await here.join()
            await here.drained()
            forgotten = {"frozen": -1, "root": ""}
        await store.hset("wr:{main}:line", mapping=forgotten)

        fresh = worker(store, here.journal, clock)
        for _ in range(2):
            await fresh.beat()
        line = fresh.waitroom.reading(ROOM).line

        assert line is not None
        assert (line.run, line.frozen) == (run, 6)
        assert line.serving == (Serving(4, 4, 3) if lost == "serving" else Serving())
    await store.aclose()
