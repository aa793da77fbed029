"""A draw that was held stays re-checkable: its proof outlives the store as its seed does."""

from pathlib import Path

import orjson
import pytest
from redis.asyncio import Redis

from kernel.clock import ManualClock
from tests.waitroom.house import ROOM, House, house, worker
from tests.waitroom.test_service import PREQUEUE_MS, SALE, START_MS
from waitroom.draw_web import DrawWeb
from waitroom.rooms import read_kept


async def _drawn(here: House) -> dict[str, object]:
    """Hold a draw of five and return what is published of it."""
    await here.set_up(queueing_method="reject", sales=[SALE], draw_lead_s=90)
    here.clock.set(PREQUEUE_MS)
    await here.beat()
    for _ in range(5):
        await here.join()
    here.clock.set(START_MS - 90_000)
    for _ in range(3):
        await here.beat()
    here.clock.set(START_MS)
    for _ in range(3):
        await here.beat()
    await here.drained()
    return await _published(here)


async def _published(here: House) -> dict[str, object]:
    sent: list[dict[str, object]] = []

    async def send(message: object) -> None:
        sent.append(dict(message))  # type: ignore[call-overload]

    await DrawWeb(here.waitroom).draw({}, None, send, ROOM)  # type: ignore[arg-type]
    told: dict[str, object] = orjson.loads(bytes(sent[-1]["body"]))  # type: ignore[call-overload]
    return told


@pytest.mark.parametrize("remembered", [True, False], ids=["worker lives", "only the journal"])
async def test_after_a_loss_the_draw_can_still_be_checked(
    store: Redis, clock: ManualClock, tmp_path: Path, remembered: bool
) -> None:
    """The secret was revealed once; whoever checks the draw after a wipe finds it where it was."""
    async with house(store, clock, tmp_path) as here:
        before = await _drawn(here)
        await store.flushall()

        after = here if remembered else worker(store, here.journal, clock)
        if not remembered:
            room = read_kept(here.journal.latest_configs()[ROOM][1])
            assert room is not None
            await after.restorer.settings({ROOM: room})
        for _ in range(3):
            await after.beat()
        published = await _published(after)

        assert before["proof"]
        assert published["proof"] == before["proof"]
        assert (published["seed"], published["root"]) == (before["seed"], before["root"])
    await store.aclose()
