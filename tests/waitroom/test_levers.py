"""Levers: what each does to a room's settings, what it refuses, and that a delay never breaks an order."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from kernel.clock import ManualClock
from kernel.errors import Misconfigured, Refused
from tests.waitroom.house import ROOM, house, members
from waitroom import field_readers, levers, room_fields
from waitroom.configure import Actor
from waitroom.field_readers import moment_text
from waitroom.levers import CLOSING_MARGIN_MS, MINUTES_MAX, Lever, turned
from waitroom.line import Done, Line, freeze, turn
from waitroom.rooms import MINUTE_MS, LaneShares, Method, Room, Sale
from waitroom.schedule import CHANGES, Phase, obstacle, wanted

OPENS, STARTS, ENDS = 1_000_000_000, 1_003_600_000, 1_010_800_000
CLOSES = STARTS - 90_000
DRAINED = ENDS + 600_000
SALE = Sale("spring", STARTS, ENDS, OPENS)
DRAWN = replace(SALE, shuffle_at_event_start=True)
NEXT = Sale("summer", STARTS + 20_000_000, ENDS + 20_000_000, OPENS + 20_000_000)
FIFO = Room("main", "https://a.b", sales=(SALE,))
DRAW = Room("main", "https://a.b", sales=(DRAWN,))
PLAIN = Room("main", "https://a.b")


def refused(room: Room, lever: Lever, value: object, now_ms: int) -> str:
    """Return the code of a refusal."""
    with pytest.raises(Refused) as error:
        turned(room, lever, value, now_ms)
    return error.value.code


def times(room: Room) -> tuple[int | None, int, int]:
    """Return opening, start and end of the first sale."""
    sale = room.sales[0]
    return sale.prequeue_start_ms, sale.event_start_ms, sale.event_end_ms


# ------------------------------------------------------------------------------------- the schedule
@pytest.mark.parametrize(
    ("room", "now_ms", "moves"),
    [
        (FIFO, OPENS - 1, (7, 7, 7)),
        (FIFO, OPENS, (0, 7, 7)),
        (FIFO, STARTS - 1, (0, 7, 7)),
        (DRAW, OPENS - 1, (7, 7, 7)),
        (DRAW, OPENS, (0, 7, 7)),
        (DRAW, CLOSES - CLOSING_MARGIN_MS - 1, (0, 7, 7)),
    ],
)
def test_a_delay_moves_all_times_that_are_to_come(
    room: Room, now_ms: int, moves: tuple[int, int, int]
) -> None:
    """Start and end together, the closing of the draw with the start; a prequeue that has opened stays open."""
    after = turned(room, Lever.DELAY, 7, now_ms)

    expected = tuple(at + by * MINUTE_MS for at, by in zip((OPENS, STARTS, ENDS), moves, strict=True))
    assert times(after) == expected
    before, then = wanted(room, now_ms), wanted(after, now_ms)
    assert then.phase is before.phase
    assert obstacle(room, after, now_ms) == ""
    if room is DRAW and now_ms >= OPENS:
        assert then.closes_ms == CLOSES + 7 * MINUTE_MS


@pytest.mark.parametrize(
    ("room", "now_ms", "code"),
    [
        (PLAIN, STARTS, "sale-none"),
        (FIFO, STARTS, "sale-started"),
        (FIFO, ENDS - 1, "sale-started"),
        (FIFO, ENDS, "sale-none"),
        (DRAW, CLOSES - CLOSING_MARGIN_MS, "draw-closed"),
        (DRAW, CLOSES, "draw-closed"),
        (DRAW, STARTS - 1, "draw-closed"),
        (DRAW, STARTS, "sale-started"),
        (replace(FIFO, sales=(replace(SALE, suspended=True),)), OPENS, "sale-none"),
    ],
)
def test_a_delay_is_refused_once_the_order_stands_or_the_sale_is_on(
    room: Room, now_ms: int, code: str
) -> None:
    """Each refusal says what can be done instead."""
    assert refused(room, Lever.DELAY, 7, now_ms) == code


def test_a_delay_is_about_the_next_sale_after_the_end_of_the_last() -> None:
    """While the first drains, the second is the one to come; and it must not run into another."""
    both = replace(FIFO, sales=(SALE, NEXT))

    after = turned(both, Lever.DELAY, 5, ENDS)
    assert [sale.event_start_ms for sale in after.sales] == [STARTS, NEXT.event_start_ms + 5 * MINUTE_MS]
    with pytest.raises(Misconfigured, match="must not overlap"):
        turned(both, Lever.DELAY, MINUTES_MAX, OPENS)


def test_an_end_drains_and_prolonging_takes_it_back_until_the_line_is_over() -> None:
    """Serving, draining, serving again; an ended line is never opened again."""
    now_ms = STARTS + 20 * MINUTE_MS

    ended = turned(FIFO, Lever.END, None, now_ms)
    assert (wanted(ended, now_ms - 1).phase, wanted(ended, now_ms).phase) == (Phase.SERVING, Phase.DRAINING)
    assert obstacle(FIFO, ended, now_ms) == ""
    assert refused(ended, Lever.END, None, now_ms) == "sale-ended"
    last_ms = now_ms + 600_000 - 1
    again = turned(ended, Lever.PROLONG, 30, last_ms)
    assert wanted(again, last_ms).phase is Phase.SERVING
    assert wanted(again, last_ms).ends_ms == last_ms + 30 * MINUTE_MS
    assert obstacle(ended, again, last_ms) == ""
    assert refused(ended, Lever.PROLONG, 30, last_ms + 1) == "sale-none"
    assert turned(FIFO, Lever.PROLONG, 30, now_ms).sales[0].event_end_ms == ENDS + 30 * MINUTE_MS


@pytest.mark.parametrize(
    ("room", "now_ms", "code"),
    [
        (PLAIN, STARTS, "sale-none"),
        (FIFO, OPENS - 1, "sale-none"),
        (FIFO, OPENS, "sale-not-started"),
        (FIFO, STARTS, "sale-not-started"),
        (FIFO, STARTS + MINUTE_MS - 1, "sale-not-started"),
        (FIFO, ENDS, "sale-ended"),
        (replace(PLAIN, sales=(Sale("limits", STARTS, ENDS),)), STARTS + MINUTE_MS, "sale-none"),
    ],
)
def test_only_a_sale_that_is_on_can_be_ended(room: Room, now_ms: int, code: str) -> None:
    """Not before it has been on for a minute, and not one that merely changes limits."""
    assert refused(room, Lever.END, None, now_ms) == code


@pytest.mark.parametrize(("room", "now_ms"), [(PLAIN, 0), (FIFO, STARTS), (DRAW, ENDS - 1)])
def test_a_line_drains_and_is_reopened(room: Room, now_ms: int) -> None:
    """Also a line without a sale; both ways are in the table of phases, and no time is moved."""
    drained = turned(room, Lever.DRAIN, None, now_ms)
    reopened = turned(drained, Lever.REOPEN, None, now_ms)

    assert wanted(drained, now_ms).phase is Phase.DRAINING
    assert (obstacle(room, drained, now_ms), obstacle(drained, reopened, now_ms)) == ("", "")
    assert reopened == room
    assert Phase.DRAINING in CHANGES[Phase.SERVING]
    assert Phase.SERVING in CHANGES[Phase.DRAINING]


@pytest.mark.parametrize(("room", "now_ms"), [(FIFO, OPENS), (DRAW, STARTS - 1), (FIFO, ENDS)])
def test_only_a_line_that_serves_can_drain(room: Room, now_ms: int) -> None:
    """Who gathers has been called by nobody; and a line that drains by its schedule does so already."""
    assert refused(room, Lever.DRAIN, None, now_ms) == "line-not-serving"


def test_a_switch_that_was_set_early_never_skips_the_gathering() -> None:
    """Set by API before the start, it waits for the serving; an ended or resting line stays what it is."""
    room = replace(DRAW, draining=True)

    assert [wanted(room, now_ms).phase for now_ms in (OPENS, STARTS - 1, STARTS, ENDS)] == [
        Phase.GATHERING, Phase.GATHERING, Phase.DRAINING, Phase.DRAINING,
    ]  # fmt: skip
    assert wanted(replace(room, suspended=True), STARTS).phase is Phase.IDLE
    closed = replace(PLAIN, draining=True, queueing_method=Method.PASSTHROUGH)
    assert wanted(closed, STARTS).phase is Phase.IDLE


# ----------------------------------------------------------------------------- the order that was shown
def breaks_an_order(now_ms: int, minutes: int) -> str:
    """Run a draw through its schedule with one delay in between; tell what it breaks, '' for nothing.

    Workers know of a change up to two seconds late: each edge is also met by one that does not know yet.
    """
    line = Line(
        run="r", epoch=1, version=1, phase=Phase.GATHERING, opening="spring", commitment="c", issued=40
    )
    if now_ms >= CLOSES:
        line, _ = freeze(line, "r", CLOSES)
    if now_ms >= STARTS:
        line = replace(line, seed="s")
        line, answer = turn(line, "r", Phase.GATHERING, Phase.SERVING, STARTS)
        assert isinstance(answer, Done)
    shown = (line.frozen, line.seed, line.phase)
    try:
        after = turned(DRAW, Lever.DELAY, minutes, now_ms)
    except Refused:
        return ""
    plan = wanted(after, now_ms)
    if plan.opening != line.opening:
        return "another line begins, in which every place is worth nothing"
    if line.phase is not plan.phase:
        return f"a line that is {line.phase} goes back to {plan.phase}"
    if shown[0] is not None or now_ms + 2000 >= CLOSES:
        return "the order is closed, or closes for a worker that has not heard"
    return (
        ""
        if plan.closes_ms == CLOSES + minutes * MINUTE_MS
        else "the draw closes at another time than it is told"
    )


AROUND = [
    edge + by for edge in (OPENS, CLOSES - CLOSING_MARGIN_MS, CLOSES, STARTS, ENDS) for by in (-1, 0, 1)
]
MOMENTS = st.one_of(st.sampled_from(AROUND), st.integers(OPENS, ENDS)).filter(lambda at: at >= OPENS)


@given(now_ms=MOMENTS, minutes=st.integers(1, MINUTES_MAX))
def test_a_delay_never_changes_a_drawn_order_or_a_shown_place(now_ms: int, minutes: int) -> None:
    """Whenever it is asked for: it is refused, or nobody was shown a place that could change."""
    assert breaks_an_order(now_ms, minutes) == ""


@pytest.mark.parametrize(
    ("now_ms", "broken"),
    [
        (CLOSES, "the order is closed"),
        (CLOSES - 1, "closes for a worker"),
        (STARTS, "goes back to gathering"),
    ],
)
def test_without_its_guard_a_delay_would_break_an_order(
    monkeypatch: pytest.MonkeyPatch, now_ms: int, broken: str
) -> None:
    """The mutant: what says that a start stands says nothing."""
    monkeypatch.setattr(levers, "settled", lambda *_: None)

    assert broken in breaks_an_order(now_ms, 5)


@given(
    now_ms=st.integers(OPENS, DRAINED + 10), minutes=st.integers(1, MINUTES_MAX), lever=st.sampled_from(Lever)
)
def test_no_lever_turns_a_phase_that_the_table_forbids(now_ms: int, minutes: int, lever: Lever) -> None:
    """Whatever is pulled whenever: the line can follow, in the same opening, and people keep their places."""
    value = {"verified": 0.5, "standard": 0.4, "suspect": 0.1} if lever is Lever.LANES else minutes
    for room in (FIFO, DRAW, PLAIN):
        try:
            after = turned(room, lever, "Soon." if lever is Lever.MESSAGE else value, now_ms)
        except Refused:
            continue
        before, then = wanted(room, now_ms), wanted(after, now_ms)
        assert then.opening == before.opening
        assert then.phase is before.phase or then.phase in CHANGES[before.phase]
        assert obstacle(room, after, now_ms) == ""


# ---------------------------------------------------------------------------------------- bad values
BAD = [
    *((lever, value, "minutes must be a whole number from 1 to 10080")
      for lever in (Lever.DELAY, Lever.PROLONG)
      for value in (0, -1, MINUTES_MAX + 1, 1.5, "7", "", None, True, [7], {"minutes": 7})),
    *((Lever.LANES, value, "lane_shares must give a share to each of")
      for value in (None, 0.5, "x", [], {}, {"verified": 1}, {"verified": 0.5, "standard": 0.4})),
    (Lever.LANES, {"verified": 0.5, "standard": 0.4, "suspect": 0.1, "gold": 0}, "to each of"),
    (Lever.LANES, {"verified": 0.6, "standard": 0.4, "suspect": 0}, "number from 0.01 to 1"),
    (Lever.LANES, {"verified": 0.9, "standard": 0, "suspect": 0.1}, "number from 0.01 to 1"),
    (Lever.LANES, {"verified": 0.6, "standard": 0.3, "suspect": 0.05}, "must make 1 together"),
    (Lever.LANES, {"verified": -0.1, "standard": 1, "suspect": 0.1}, "number from 0 to 1"),
    (Lever.LANES, {"verified": float("nan"), "standard": 0.9, "suspect": 0.1}, "number from 0 to 1"),
    (Lever.LANES, {"verified": "60", "standard": 0.35, "suspect": 0.05}, "number from 0 to 1"),
    (Lever.MESSAGE, "canned:", "canned: and one of"),
    (Lever.MESSAGE, "canned:nothing", "canned: and one of"),
    (Lever.MESSAGE, "canned:delay\n", "canned: and one of"),
    (Lever.MESSAGE, "x" * 281, "at most 280 characters"),
    (Lever.MESSAGE, "a\x00b", "control characters"),
    (Lever.MESSAGE, 7, "must be a text"),
    (Lever.MESSAGE, None, "must be a text"),
    (Lever.RATE, None, "new_users_per_minute must be a whole number"),
    (Lever.CAP, None, "total_active_users must be a whole number"),
    (Lever.RATE, 0, "new_users_per_minute must be a whole number"),
    (Lever.RATE, "many", "new_users_per_minute must be a whole number"),
    (Lever.CAP, 1.5, "total_active_users must be a whole number"),
    (Lever.CAP, True, "total_active_users must be a whole number"),
]  # fmt: skip


@pytest.mark.parametrize(("lever", "value", "told"), BAD)
def test_a_value_that_cannot_be_is_refused_by_name(lever: Lever, value: object, told: str) -> None:
    """The fault names the setting and what it takes."""
    with pytest.raises(Misconfigured) as error:
        turned(FIFO, lever, value, OPENS)

    assert told in "; ".join(error.value.faults)


def test_shares_are_kept_as_they_were_given() -> None:
    """All three at once."""
    after = turned(PLAIN, Lever.LANES, {"verified": 0, "standard": 0.9, "suspect": 0.1}, 0)

    assert after.lane_shares == LaneShares(0, 0.9, 0.1)


def test_rate_and_cap_change_what_is_in_force() -> None:
    """The limits of a sale that is on and has some, else the room's."""
    limited = replace(SALE, total_active_users=9, new_users_per_minute=9)
    room = replace(FIFO, sales=(limited,))

    on, before = (turned(room, Lever.RATE, 7, now_ms) for now_ms in (STARTS, OPENS - 1))
    assert (on.sales[0].new_users_per_minute, on.new_users_per_minute) == (7, 200)
    assert (before.sales[0].new_users_per_minute, before.new_users_per_minute) == (9, 7)
    assert turned(FIFO, Lever.CAP, 8, STARTS).total_active_users == 8


def starves() -> bool:
    """Try to take the lane suspect its floor; tell whether that is possible."""
    try:
        turned(PLAIN, Lever.LANES, {"verified": 0.6, "standard": 0.4, "suspect": 0}, 0)
    except Misconfigured:
        return False
    return True


def test_without_its_floor_the_lane_suspect_could_starve(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant: shares from nothing on."""
    assert not starves()

    free: Callable[[object], object] = room_fields._table(
        dict.fromkeys(levers.LANES, field_readers.ratio(0, 1)), LaneShares
    )
    monkeypatch.setitem(room_fields.ROOM_FIELDS, "lane_shares", free)
    assert starves()


# -------------------------------------------------------------------------------------- on a real line
async def drained_at_the_start(
    store: Redis, clock: ManualClock, folder: Path
) -> tuple[str, str, list[int | None]]:
    """Set the switch before the start of a draw, reopen later; return both phases and the ranks after that."""
    sale = {
        "name": "spring", "prequeue_start_time": moment_text(OPENS), "event_start_time": moment_text(STARTS),
        "event_end_time": moment_text(ENDS), "shuffle_at_event_start": True,
    }  # fmt: skip
    clock.set(OPENS)
    async with house(store, clock, folder) as here:
        await here.set_up(queueing_method="reject", sales=[sale | {"queueing_method": "fifo"}])
        await here.beat()
        texts = [(await here.join())[0] for _ in range(5)]
        await here.configurations.patch(ROOM, {"draining": True}, None, Actor("Ann"))
        clock.set(STARTS)
        for _ in range(6):
            reading = await here.beat()
        assert reading.line is not None
        drained = reading.line.phase
        await here.configurations.act(ROOM, Lever.REOPEN, None, None, Actor("Ann"))
        for _ in range(3):
            reading = await here.beat()
        assert reading.line is not None
        ranks = [(await here.waitroom.place_of(ROOM, text, clock.now_ms()))[2].rank for text in texts]
        return drained, reading.line.phase, ranks


async def test_a_line_that_drains_from_its_start_has_its_draw_first(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Whoever gathered has a rank when it is reopened."""
    drained, reopened, ranks = await drained_at_the_start(store, clock, tmp_path)

    assert (drained, reopened) == (Phase.DRAINING, Phase.SERVING)
    assert sorted(rank for rank in ranks if rank is not None) == [0, 1, 2, 3, 4]


async def test_a_sale_is_put_off_ended_and_prolonged_on_a_running_line(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Places stay; the document tells the new times at the next beat, and the phases follow."""
    clock.set(OPENS)
    sale = {
        "name": "spring", "prequeue_start_time": moment_text(OPENS), "event_start_time": moment_text(STARTS),
        "event_end_time": moment_text(ENDS),
    }  # fmt: skip
    async with house(store, clock, tmp_path) as here:
        await here.set_up(queueing_method="reject", sales=[sale | {"queueing_method": "fifo"}], drain_s=60)
        await here.beat()
        text, number = await here.join()

        async def pulled(lever: Lever, value: object = None) -> tuple[str, object, object, int | None]:
            await here.configurations.act(ROOM, lever, value, None, Actor("Ann", "why"))
            reading = await here.beat()
            assert reading.line is not None
            place = (await here.waitroom.place_of(ROOM, text, clock.now_ms()))[2]
            told = members(reading)
            return reading.line.phase, told["starts_ms"], told["ends_ms"], place.rank

        by_ms = 5 * MINUTE_MS
        assert await pulled(Lever.DELAY, 5) == (Phase.GATHERING, STARTS + by_ms, ENDS + by_ms, number)
        clock.set(STARTS + by_ms + MINUTE_MS)
        await here.beat()
        assert await pulled(Lever.DRAIN) == (Phase.DRAINING, STARTS + by_ms, ENDS + by_ms, number)
        assert await pulled(Lever.REOPEN) == (Phase.SERVING, STARTS + by_ms, ENDS + by_ms, number)
        now_ms = clock.now_ms()
        assert await pulled(Lever.END) == (Phase.DRAINING, STARTS + by_ms, now_ms, number)
        with pytest.raises(Refused):
            await here.join()
        assert (await pulled(Lever.PROLONG, 1))[0] is Phase.SERVING
