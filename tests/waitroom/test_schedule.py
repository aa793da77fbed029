"""Schedule: every edge of every window, one millisecond before, on it and after."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waitroom.rooms import Method, Room, Sale
from waitroom.schedule import CHANGES, Phase, next_change_ms, obstacle, wanted

IDLE, GATHERING, SERVING, DRAINING, ENDED = Phase
OPENS, STARTS, ENDS = 1_000_000_000, 1_003_600_000, 1_010_800_000
CLOSES, DRAINED = STARTS - 90_000, ENDS + 600_000
DAY = 86_400_000

DRAWN = Sale("spring", STARTS, ENDS, OPENS, shuffle_at_event_start=True)
CLOSED = Room(
    "main",
    "https://a.b",
    queueing_method=Method.PASSTHROUGH,
    sales=(replace(DRAWN, queueing_method=Method.FIFO),),
)
ALWAYS_ON = Room("main", "https://a.b", sales=(DRAWN,))


def later(sale: Sale, by_ms: int, name: str) -> Sale:
    """Return the same sale at another time."""
    opens = None if sale.prequeue_start_ms is None else sale.prequeue_start_ms + by_ms
    return replace(
        sale,
        name=name,
        event_start_ms=sale.event_start_ms + by_ms,
        event_end_ms=sale.event_end_ms + by_ms,
        prequeue_start_ms=opens,
    )


EDGES_OF_A_DRAWN_SALE = [
    (OPENS - 1, "spring", IDLE, "always", SERVING),
    (OPENS, "spring", GATHERING, "spring", GATHERING),
    (OPENS + 1, "spring", GATHERING, "spring", GATHERING),
    (CLOSES - 1, "spring", GATHERING, "spring", GATHERING),
    (CLOSES, "spring", GATHERING, "spring", GATHERING),
    (STARTS - 1, "spring", GATHERING, "spring", GATHERING),
    (STARTS, "spring", SERVING, "spring", SERVING),
    (STARTS + 1, "spring", SERVING, "spring", SERVING),
    (ENDS - 1, "spring", SERVING, "spring", SERVING),
    (ENDS, "spring", DRAINING, "spring", DRAINING),
    (ENDS + 1, "spring", DRAINING, "spring", DRAINING),
    (DRAINED - 1, "spring", DRAINING, "spring", DRAINING),
    (DRAINED, "spring", ENDED, "always", SERVING),
    (DRAINED + 1, "spring", ENDED, "always", SERVING),
]


@pytest.mark.parametrize(("now_ms", "opening", "phase", "opening_on", "phase_on"), EDGES_OF_A_DRAWN_SALE)
def test_the_edges_of_a_sale_are_half_open(
    now_ms: int, opening: str, phase: Phase, opening_on: str, phase_on: Phase
) -> None:
    """Idle, gathering, serving, draining, ended; an always-on room has its own line around the sale."""
    closed, always_on = wanted(CLOSED, now_ms), wanted(ALWAYS_ON, now_ms)

    assert (closed.opening, closed.phase) == (opening, phase)
    assert (always_on.opening, always_on.phase) == (opening_on, phase_on)
    assert (closed.opens_ms, closed.starts_ms, closed.ends_ms, closed.closes_ms) == (
        OPENS,
        STARTS,
        ENDS,
        CLOSES,
    )
    assert (closed.sale is not None) == (phase in {GATHERING, SERVING, DRAINING})


@pytest.mark.parametrize("now_ms", [0, OPENS, STARTS, ENDS, DRAINED])
@pytest.mark.parametrize(
    ("method", "phase"), [("fifo", SERVING), ("passthrough", IDLE), ("reject", IDLE), ("random", IDLE)]
)
def test_a_room_without_sales_has_one_opening_for_ever(now_ms: int, method: str, phase: Phase) -> None:
    """The method switches between a line and none, and the opening stays, so that nobody loses a place."""
    found = wanted(Room("main", "https://a.b", queueing_method=Method(method)), now_ms)

    assert (found.opening, found.phase, found.sale, found.opens_ms) == ("always", phase, None, None)


@pytest.mark.parametrize(
    ("now_ms", "in_force"),
    [(STARTS - 1, False), (STARTS, True), (ENDS - 1, True), (ENDS, False), (ENDS + 1, False)],
)
def test_a_sale_that_only_changes_limits_leaves_the_line_alone(now_ms: int, in_force: bool) -> None:
    """Nobody gathers for it, so the always-on line goes on under the sale's limits."""
    sale = Sale("busy", STARTS, ENDS, total_active_users=5, new_users_per_minute=5)

    found = wanted(Room("main", "https://a.b", sales=(sale,)), now_ms)

    assert (found.opening, found.phase) == ("always", SERVING)
    assert found.sale == (sale if in_force else None)


@pytest.mark.parametrize("method", [Method.PASSTHROUGH, Method.REJECT])
@pytest.mark.parametrize(
    ("now_ms", "phase"), [(STARTS - 1, SERVING), (STARTS, IDLE), (ENDS - 1, IDLE), (ENDS, SERVING)]
)
def test_a_sale_without_a_line_rests_the_line_that_there_is(
    method: Method, now_ms: int, phase: Phase
) -> None:
    """The places of the always-on line outlast an hour in which all pass or none."""
    found = wanted(
        Room("main", "https://a.b", sales=(Sale("maintenance", STARTS, ENDS, queueing_method=method),)),
        now_ms,
    )

    assert (found.opening, found.phase) == ("always", phase)


@pytest.mark.parametrize("now_ms", [OPENS, STARTS, ENDS])
def test_a_suspended_room_rests_whatever_opening_there_is(now_ms: int) -> None:
    """Suspending and taking it back costs nobody a place: the opening stays."""
    found = wanted(replace(CLOSED, suspended=True), now_ms)

    assert (found.opening, found.phase) == ("spring", IDLE)
    assert wanted(replace(CLOSED, suspended=True), DRAINED).phase is ENDED


def test_a_suspended_sale_is_not_there() -> None:
    """The room behaves as if it had no such sale."""
    room = replace(ALWAYS_ON, sales=(replace(DRAWN, suspended=True),))

    assert wanted(room, STARTS).opening == "always"
    assert next_change_ms(room, 0) is None


@pytest.mark.parametrize(
    ("now_ms", "opening", "phase", "opens_ms"),
    [
        (OPENS - 1, "spring", IDLE, OPENS),
        (DRAINED - 1, "spring", DRAINING, OPENS),
        (DRAINED, "summer", IDLE, OPENS + DAY),
        (OPENS + DAY - 1, "summer", IDLE, OPENS + DAY),
        (OPENS + DAY, "summer", GATHERING, OPENS + DAY),
        (DRAINED + DAY, "summer", ENDED, OPENS + DAY),
    ],
)
def test_between_two_sales_the_coming_one_is_announced(
    now_ms: int, opening: str, phase: Phase, opens_ms: int
) -> None:
    """People see when the next one opens, and its draw's notice exists before anybody joins."""
    first = CLOSED.sales[0]

    found = wanted(replace(CLOSED, sales=(later(first, DAY, "summer"), first)), now_ms)

    assert (found.opening, found.phase, found.opens_ms) == (opening, phase, opens_ms)


@pytest.mark.parametrize(
    ("gap_ms", "offset", "opening"), [(5, 4, "spring"), (5, 5, "summer"), (0, 0, "summer")]
)
def test_the_next_sale_cuts_the_draining_short(gap_ms: int, offset: int, opening: str) -> None:
    """At the moment the next sale opens, the earlier one has drained."""
    first = CLOSED.sales[0]
    second = later(first, ENDS - OPENS + gap_ms, "summer")

    found = wanted(replace(CLOSED, sales=(first, second)), ENDS + offset)

    assert found.opening == opening


def test_a_sale_without_prequeue_in_a_closed_room_opens_when_it_starts() -> None:
    """There is no gathering, and no draw."""
    room = replace(CLOSED, sales=(Sale("flash", STARTS, ENDS, queueing_method=Method.FIFO),))

    assert wanted(room, STARTS - 1).phase is IDLE
    assert (wanted(room, STARTS).phase, wanted(room, STARTS).closes_ms) == (SERVING, None)


def test_the_next_change_is_the_next_edge() -> None:
    """Walking from change to change visits every edge once."""
    seen, now_ms = [], 0
    while (edge := next_change_ms(CLOSED, now_ms)) is not None:
        seen.append(edge)
        now_ms = edge

    assert seen == [OPENS, CLOSES, STARTS, ENDS, DRAINED]


@st.composite
def timetables(draw: st.DrawFn) -> Room:
    """Make a room with up to three sales of every sort, one after another."""
    base = draw(st.sampled_from([Method.FIFO, Method.PASSTHROUGH, Method.REJECT]))
    sales, at = [], 100_000
    for index in range(draw(st.integers(0, 3))):
        kind: dict[str, Any] = draw(
            st.sampled_from(
                [
                    {"shuffle_at_event_start": True, "queueing_method": Method.FIFO, "prequeue": True},
                    {"queueing_method": Method.RANDOM, "prequeue": True},
                    {"queueing_method": Method.FIFO, "prequeue": True},
                    {"queueing_method": Method.FIFO, "prequeue": False},
                    {"queueing_method": Method.REJECT, "prequeue": False},
                ]
            )
        )
        opens = at + draw(st.sampled_from([0, 1, 50_000, 700_000]))
        starts = opens + (200_000 if kind["prequeue"] else 0)
        at = starts + 60_000
        values = {name: value for name, value in kind.items() if name != "prequeue"}
        sales.append(Sale(f"s{index}", starts, at, opens if kind["prequeue"] else None, **values))
    return Room(
        "main",
        "https://a.b",
        queueing_method=base,
        sales=tuple(sales),
        drain_s=draw(st.sampled_from([0, 30, 600])),
    )


@given(room=timetables())
def test_nothing_changes_between_two_edges(room: Room) -> None:
    """What is wanted at an edge is wanted until right before the next one, so a worker may sleep that long."""
    now_ms = 0
    while (edge := next_change_ms(room, now_ms)) is not None:
        assert wanted(room, edge - 1) == wanted(room, now_ms)
        now_ms = edge
    assert wanted(room, now_ms + DAY) == wanted(room, now_ms)


@given(room=timetables())
def test_one_opening_never_comes_back_and_its_phases_follow_the_table(room: Room) -> None:
    """As time goes by a dated opening appears once, and its phases change only as allowed."""
    at, before, over = 0, wanted(room, 0), set()
    while (edge := next_change_ms(room, at)) is not None:
        now = wanted(room, edge)
        if now.opening != before.opening:
            over |= {before.opening} - {"always"}
        elif now.phase is not before.phase:
            assert now.phase in CHANGES[before.phase]
        assert now.opening not in over
        at, before = edge, now


def test_the_table_never_lets_those_who_were_served_gather_again() -> None:
    """And an ended run stays ended."""
    assert CHANGES[ENDED] == frozenset()
    assert all(GATHERING not in CHANGES[phase] for phase in (SERVING, DRAINING))
    assert set(CHANGES) == set(Phase)


SALE = CLOSED.sales[0]


@pytest.mark.parametrize("now_ms", [OPENS, STARTS, ENDS])
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"sales": ()}, "people hold places in it"),
        ({"sales": (replace(SALE, name="other"),)}, "people hold places in it"),
        ({"sales": (replace(SALE, suspended=True),)}, "people hold places in it"),
        ({"sales": (replace(SALE, shuffle_at_event_start=False),)}, "whether it has a draw was settled"),
    ],
)
def test_a_change_that_costs_people_their_places_meets_an_obstacle(
    now_ms: int, change: dict[str, Any], told: str
) -> None:
    """A sale under way keeps its name, its draw and its direction."""
    text = obstacle(CLOSED, replace(CLOSED, **change), now_ms)

    assert told in text


def test_serving_people_never_gather_again() -> None:
    """Moving the start of a sale that has begun into the future is refused."""
    moved = replace(SALE, event_start_ms=STARTS + 1_800_000)
    tomorrow = later(SALE, DAY, "spring")

    assert "cannot go back to gathering" in obstacle(CLOSED, replace(CLOSED, sales=(moved,)), STARTS)
    assert "cannot go back to idle" in obstacle(CLOSED, replace(CLOSED, sales=(tomorrow,)), STARTS)


@pytest.mark.parametrize(
    ("now_ms", "change"),
    [
        (STARTS, {"sales": (replace(SALE, event_end_ms=STARTS + 60_000),)}),
        (STARTS + 120_000, {"sales": (replace(SALE, event_end_ms=STARTS + 120_000),)}),
        (ENDS, {"sales": (replace(SALE, event_end_ms=ENDS + DAY),)}),
        (STARTS, {"suspended": True}),
        (STARTS, {"paused": True, "new_users_per_minute": 7}),
        (OPENS, {"sales": (replace(SALE, event_start_ms=STARTS + 600_000),)}),
        (OPENS, {"sales": (later(SALE, DAY, "spring"),)}),
        (OPENS - 1, {"sales": ()}),
        (DRAINED, {"sales": ()}),
    ],
)
def test_a_sale_may_end_now_be_prolonged_and_get_other_limits(now_ms: int, change: dict[str, Any]) -> None:
    """What costs nobody a place meets no obstacle."""
    assert obstacle(CLOSED, replace(CLOSED, **change), now_ms) == ""
