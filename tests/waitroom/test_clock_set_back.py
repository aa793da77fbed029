"""A clock that is set back by an hour stops no line: thresholds move on, and the history begins anew."""

from pathlib import Path

import pytest
from redis.asyncio import Redis

from kernel.clock import SET_BACK_MS, ManualClock
from kernel.lua import load
from tests.waitroom.house import ROOM, house, members, worker
from tests.waitroom.test_line_agrees import RUN, START_MS
from waitroom import line as rules
from waitroom.lanes import Lane, Serving
from waitroom.line import Called, Late, Line
from waitroom.schedule import Phase
from waitroom.standing import Standing
from waitroom.store import _LUA, LineStore

HOUR_MS = 3_600_000
TICK_MS = 250


def test_the_line_is_called_on_although_its_slot_was_decided_already() -> None:
    """An hour of slots was decided by a clock that was wrong; seconds are held as ever."""
    ahead = Line(RUN, issued=10, last_ms=START_MS, tick_slot=START_MS // TICK_MS)
    for back_ms, outcome in ((SET_BACK_MS, Late()), (SET_BACK_MS + 1, Called(Serving(3, 3, 3)))):
        now_ms = START_MS - back_ms
        after, told = rules.call(ahead, RUN, now_ms // TICK_MS, Serving(3, 3, 3), 60, now_ms)

        assert told == outcome
        assert after.last_ms == (START_MS if told == Late() else now_ms)


@pytest.mark.parametrize(("old", "stands"), [("", False), ("last_ms - now_ms > set_back_ms", True)])
async def test_who_is_called_after_it_was_called_just_then(
    store: Redis, clock: ManualClock, tmp_path: Path, old: str, stands: bool
) -> None:
    """Calls of the future would make recalls of turns that nobody had; the mutant stands still for the hour."""
    async with house(store, clock, tmp_path) as here:
        script = load(_LUA / "call.lua")
        here.waitroom.store = LineStore(store, {"call": script.mutated(old, "false")} if old else {})
        reading = await here.set_up()
        assert reading.line is not None
        run, now_ms = reading.line.run, clock.now_ms()
        text = [(await here.join())[0] for _ in range(9)][5]
        for slot, serving in ((1, 1), (2, 3)):
            at_ms = now_ms + HOUR_MS + slot * TICK_MS
            slot_now = at_ms // TICK_MS
            await here.waitroom.store.call(ROOM, run, slot_now, Serving(serving, serving, 0), 60, at_ms)
        await here.beat()
        before = members(here.waitroom.reading(ROOM))

        slot_now = now_ms // TICK_MS
        await here.waitroom.store.call(ROOM, run, slot_now, Serving(7, 7, 0), 60, now_ms)
        reading = await here.beat()
        _, _, place = await here.waitroom.place_of(ROOM, text, now_ms + 1000)
        theirs = (await worker(store, here.journal, clock).beat()).document

        if stands:
            assert reading.line is not None
            assert reading.line.serving.standard == 3
        else:
            after = members(reading)
            assert (place.standing, place.called_ms) == (Standing.CALLED, now_ms)
            assert after["version"] > before["version"]  # type: ignore[operator]
            assert after["at_ms"] == now_ms
            assert theirs == reading.document
    await store.aclose()


async def test_the_line_gives_numbers_and_phases_as_before(store: Redis) -> None:
    """What happens before the next call goes by the later time; nothing is refused, nothing given twice."""
    here = LineStore(store)
    await store.flushall()
    await here.open(ROOM, "", RUN, "always", Phase.SERVING, "", "test", [], START_MS)
    first = await here.join(ROOM, RUN, Lane.STANDARD, [bytes(16)] * 2, [], "a", None, START_MS)
    second = await here.join(ROOM, RUN, Lane.STANDARD, [bytes(16)] * 2, [], "b", None, START_MS - HOUR_MS)
    turned = await here.turn(ROOM, RUN, Phase.SERVING, Phase.DRAINING, "test", START_MS - HOUR_MS)
    snapshot = await here.snapshot(ROOM, whole_history=True)
    await store.aclose()

    assert (first[2:], second[2:], turned[0]) == ([0, 1], [2, 3], "done")
    assert snapshot.line is not None
    assert snapshot.line.last_ms == START_MS
