"""Climbing: a place comes into a better lane, once, and keeps its number; each guard with its mutant.

That rule and Lua agree is played by the machine of ``test_line_agrees``; what it meets too rarely stands here.
"""

import pytest
from redis.asyncio import Redis

from kernel.lua import Script, load
from tests.waitroom.test_line_agrees import ROOM, RUN, START_MS
from waitroom import lane_change
from waitroom.lanes import Lane
from waitroom.line import Line
from waitroom.schedule import Phase
from waitroom.store import _LUA, LineStore

CLIMB = load(_LUA / "climb.lua")
STEPS = [(Lane.SUSPECT, Lane.STANDARD), (Lane.SUSPECT, Lane.STANDARD), (Lane.SUSPECT, Lane.VERIFIED)]
"""An old ticket is shown again and again."""


async def climbed(
    store: Redis, script: Script, *steps: tuple[Lane, Lane]
) -> tuple[list[object], tuple[int, int, int]]:
    """Let number 2 of three suspects climb; return the answers, and (verified, suspect, records) as they are then."""
    await store.flushall()
    here = LineStore(store, {"climb": script})
    await here.open(ROOM, "", RUN, "always", Phase.SERVING, "", "test", [], START_MS)
    await here.join(ROOM, RUN, Lane.SUSPECT, [bytes(16)] * 3, [], "b", None, START_MS)
    answers: list[object] = [
        await here.climb(ROOM, RUN, 2, before, after, "work", START_MS) for before, after in steps
    ]
    line = (await here.snapshot(ROOM, whole_history=True)).line
    assert line is not None
    assert line.issued == 3
    entries = await store.xrange(here.keys(ROOM).journal)
    records = sum(fields[b"kind"] == b"climbed" for _, fields in entries)
    return answers, (line.joined_verified, line.joined_suspect, records)


async def test_who_shows_an_old_ticket_again_gets_the_same_lane_and_counts_once(store: Redis) -> None:
    """A repeat after a lost answer changes nothing, the record included."""
    answers, then = await climbed(store, CLIMB, *STEPS, (Lane.SUSPECT, Lane.STANDARD))
    await store.aclose()

    told = [b"standard", b"standard", b"verified", b"verified"]
    assert answers == [["climbed", lane, START_MS] for lane in told]
    assert then == (1, 2, 2)


@pytest.mark.parametrize(
    ("old", "new", "then"),
    [
        pytest.param("if after == 'standard' then", "if false then", (1, 2, 3), id="a repeat is recorded"),
        pytest.param("left = 'standard'\n", "left = before\n", (1, 1, 2), id="who goes on counts out twice"),
        pytest.param("verified, number) == 1", "verified, number) == 2", (2, 2, 3), id="the top is no top"),
    ],
)
async def test_the_mutant_counts_otherwise(
    store: Redis, old: str, new: str, then: tuple[int, int, int]
) -> None:
    """Each guard, taken out of the Lua file, shows in the counts."""
    _, counts = await climbed(store, CLIMB.mutated(old, new), *STEPS, (Lane.SUSPECT, Lane.VERIFIED))
    await store.aclose()

    assert counts == then


def test_nobody_climbs_down() -> None:
    """A place once shown never gets worse."""
    line = Line(run=RUN, issued=10)

    for before, after in ((Lane.STANDARD, Lane.SUSPECT), (Lane.VERIFIED, Lane.STANDARD), (Lane.SUSPECT,) * 2):
        with pytest.raises(ValueError, match="nobody climbs"):
            lane_change.climb(line, None, RUN, 0, before, after, START_MS)
    reached = lane_change.climb(line, Lane.VERIFIED, RUN, 0, Lane.SUSPECT, Lane.STANDARD, START_MS)
    assert reached[1:] == (Lane.VERIFIED, lane_change.Climbed(Lane.VERIFIED, START_MS))


async def test_a_climb_dies_with_its_run(store: Redis) -> None:
    """The bits of yesterday lift nobody today."""
    here, today = LineStore(store), "00000000000000ab"
    await here.open(ROOM, "", RUN, "always", Phase.SERVING, "", "test", [], START_MS)
    await here.join(ROOM, RUN, Lane.SUSPECT, [bytes(16)], [], "b", None, START_MS)
    await here.climb(ROOM, RUN, 0, Lane.SUSPECT, Lane.VERIFIED, "work", START_MS)
    stale = here.keys(ROOM).of_run(1)
    await here.open(ROOM, RUN, today, "always", Phase.SERVING, "", "test", stale, START_MS)
    await here.join(ROOM, today, Lane.SUSPECT, [bytes(16)], [], "c", None, START_MS)
    told = await here.climb(ROOM, today, 0, Lane.SUSPECT, Lane.STANDARD, "work", START_MS)
    await store.aclose()

    assert told == ["climbed", b"standard", START_MS]
