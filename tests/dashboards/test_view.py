"""View: the words, the numbers and the drawing on the console."""

from dataclasses import replace
from html import escape
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards import view
from dashboards.page import Pages
from dashboards.track import Track
from dashboards.words import value_told
from waitroom.canned import SITUATION_WORDS, SITUATIONS
from waitroom.rooms import Method, Room, Sale
from waitroom.schedule import Phase, Wanted, wanted
from waitroom.words import languages

NOW_MS = 1_800_000_000_000
MINUTE = 60_000
ROOM = Room("main", "https://shop.example.com")
SALE = Sale("spring", NOW_MS, NOW_MS + 60 * MINUTE, NOW_MS - 30 * MINUTE, shuffle_at_event_start=True)


@given(
    inside=st.integers(0, 2000),
    cap=st.integers(1, 1000),
    called=st.integers(0, 10**7),
    waiting=st.integers(0, 10**7),
)
def test_the_drawing_has_room_for_everybody_and_hides_nobody(
    inside: int, cap: int, called: int, waiting: int
) -> None:
    """However many there are: as many marks as there are spots, and whoever is there has at least one."""
    strip = view.strip(inside, cap, called, waiting)

    kinds = [mark.kind for mark in strip.marks]
    assert len(kinds) == view.INSIDE_MARKS + view.OUTSIDE_MARKS
    for kind, people in (("inside", inside), ("called", called), ("waiting", waiting)):
        assert (kind in kinds) == (people > 0)
    assert kinds.count("free") == 0 if inside >= cap else "free" in kinds or inside * 20 > cap * 19
    xs = [mark.x_px for mark in strip.marks]
    assert xs == sorted(set(xs))
    assert xs[-1] <= 700


@pytest.mark.parametrize(
    ("people", "unit"),
    [
        (0, 1),
        (35, 1),
        (36, 2),
        (70, 2),
        (71, 5),
        (175, 5),
        (176, 10),
        (350, 10),
        (351, 20),
        (17_000, 500),
        (10**6, 50_000),
    ],
)
def test_a_mark_stands_for_a_round_number(people: int, unit: int) -> None:
    """1, 2, 5, 10, 20, 50 and so on, the smallest that fits."""
    assert view.unit_of(people) == unit


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (5400, "1 h 30 min"),
        (172_799, "47 h 59 min"),
        (172_800, "2 days"),
    ],
)
def test_a_length_of_time_has_at_most_two_units(seconds: int, text: str) -> None:
    """Nobody needs the seconds of a day."""
    assert view.span(seconds) == text


@pytest.mark.parametrize(
    ("at_ms", "text"),
    [
        (NOW_MS + 1, "in 1 s (08:00 UTC)"),
        (NOW_MS, "now (08:00 UTC)"),
        (NOW_MS - 1, "now (07:59 UTC)"),
        (NOW_MS + 90 * MINUTE, "in 1 h 30 min (09:30 UTC)"),
        (NOW_MS + 1440 * MINUTE, "in 24 h (2027-01-16 08:00 UTC)"),
        (None, "–"),
    ],
)
def test_a_moment_to_come_has_both_distance_and_clock(at_ms: int | None, text: str) -> None:
    """The date only on another day; a second begun is a second."""
    assert view.at(at_ms, NOW_MS) == text


@pytest.mark.parametrize(
    ("passed_ms", "text"),
    [(-5, "just now"), (59_999, "just now"), (60_000, "1 min ago"), (7_200_000, "2 h ago")],
)
def test_the_past_is_told_coarsely(passed_ms: int, text: str) -> None:
    """A clock that runs ahead of ours is just now."""
    assert view.ago(NOW_MS - passed_ms, NOW_MS) == text


SENTENCES: list[tuple[dict[str, Any], int, str]] = [
    ({}, 0, "Always open."),
    ({"queueing_method": Method.PASSTHROUGH}, 0, "Everybody passes: the method is passthrough."),
    ({"queueing_method": Method.REJECT}, 0, "Nobody passes: the method is reject."),
    (
        {"sales": (SALE,)},
        -10,
        "People gather for the sale spring. It starts in 10 min (08:00 UTC). The draw closes in 8 min",
    ),
    ({"sales": (SALE,)}, -1, "It starts in 1 min (08:00 UTC). The draw is closed."),
    ({"sales": (SALE,)}, 0, "The sale spring is on. It ends in 1 h (09:00 UTC)."),
    ({"sales": (SALE,)}, 60, "The sale spring has ended. Whoever was called may still come in."),
    ({"draining": True}, 0, "The line drains: nobody joins"),
    ({"sales": (SALE,), "draining": True}, 59, "The line drains: nobody joins"),
    ({"sales": (SALE,), "draining": True}, 60, "The sale spring has ended."),
    ({"sales": (SALE,), "queueing_method": Method.RANDOM}, 120, "The sale spring is over."),
    (
        {"sales": (SALE,), "queueing_method": Method.RANDOM},
        -40,
        "The sale spring opens in 10 min (07:30 UTC).",
    ),
    (
        {"sales": (Sale("busy", NOW_MS, NOW_MS + MINUTE),)},
        0,
        "Always open, under the limits of the sale busy until in 1 min (08:01 UTC).",
    ),
]


@pytest.mark.parametrize(("settings", "minutes", "said"), SENTENCES)
def test_the_schedule_is_said_in_a_sentence(settings: dict[str, Any], minutes: int, said: str) -> None:
    """What is on, and what comes next and when."""
    now_ms = NOW_MS + minutes * MINUTE
    room = replace(ROOM, **settings)

    assert said in view.sentence(room, wanted(room, now_ms), now_ms)


def test_the_most_urgent_word_stands_first() -> None:
    """An open gate before a pause, a pause before the phase."""
    room = replace(ROOM, paused=True, bypass=True, suspended=True)

    assert [word for word, _ in view.pills(room, Phase.SERVING)] == [
        "Gate open to all",
        "Suspended",
        "Paused",
        "Serving",
    ]


def test_limits_of_a_sale_are_shown_as_the_sales() -> None:
    """The fields to change them say whose they are."""
    sale = replace(SALE, total_active_users=7, new_users_per_minute=5)
    room = replace(ROOM, sales=(sale,))

    shown = view.room_view(room, wanted(room, NOW_MS), {"waiting": 3, "active_sessions": 9}, NOW_MS)

    assert (shown.rate, shown.cap, shown.limits_of) == (5, 7, "spring")
    assert [figure.value for figure in shown.figures] == ["3", "–", "9", "–"]
    assert shown.strip is not None
    assert shown.strip.told == "9 of 7 inside, 0 called, 3 waiting"


@pytest.mark.parametrize(
    ("figures", "told"),
    [
        (None, "cannot be read"),
        ({"store_age_ms": 5001}, "5 s old"),
        ({"store_age_ms": 5000}, ""),
        ({"waiting": "many", "phase": "nonsense"}, ""),
    ],
)
def test_missing_and_old_figures_are_owned_up_to(figures: dict[str, object] | None, told: str) -> None:
    """A dash and a sentence, never a zero that is none."""
    shown = view.room_view(ROOM, Wanted("always", Phase.SERVING), figures, NOW_MS)

    assert told in shown.trouble
    assert shown.trouble or not told
    assert shown.waiting == "–"
    assert shown.strip is None
    assert shown.pills == (("Serving", "live"),)


@pytest.mark.parametrize(
    ("minutes", "note"),
    [(0, "no wait to speak of"), (93, "the last waits about 1 h 33 min"), (None, "not yet called")],
)
def test_the_wait_is_told_where_it_is_known(minutes: int | None, note: str) -> None:
    """In words under the number of those who wait."""
    figures = {"max_estimated_time_minutes": minutes}

    assert view.room_view(ROOM, Wanted("always", Phase.SERVING), figures, NOW_MS).figures[0].note == note


def test_changes_are_said_in_words() -> None:
    """Switches as sentences, settings with old and new."""
    kept = {
        "at_ms": NOW_MS - 5 * MINUTE,
        "who": "Ann",
        "why": "slow",
        "what": [
            ["paused", "false", "true"],
            ["new_users_per_minute", "1", "2"],
            ["sales.spring", "–", "there"],
        ],
    }

    assert view.change_of(kept, NOW_MS) == view.Change(
        "5 min ago",
        "Ann",
        "slow",
        (("Paused", "", ""), ("Let in per minute", "1", "2"), ("sales.spring", "–", "there")),
    )


def test_the_title_counts_what_stands_still() -> None:
    """So that a tab in the background shows it."""
    plan = Wanted("always", Phase.SERVING)
    views = [view.room_view(replace(ROOM, paused=paused), plan, {}, NOW_MS) for paused in (True, False)]

    assert view.overview(views) == "1 paused · Waitroom console"
    assert view.overview(views[1:]) == "Waitroom console"


def history(*waiting: int | None) -> Track:
    """Keep these numbers, a minute each, the last of them now."""
    track = Track()
    for index, people in enumerate(waiting):
        track.add(NOW_MS - (len(waiting) - 1 - index) * MINUTE, {"waiting": people, "called": 3})
    return track


def test_a_sparkline_is_drawn_from_what_is_known() -> None:
    """From left to right over half an hour, the most at the top; gaps are left out, and one point is no line."""
    assert view.spark(history(0, None, 50, 100), NOW_MS) == "108.0,26.0 116.0,14.0 120.0,2.0"
    assert view.spark(history(0, 0), NOW_MS) == "116.0,26.0 120.0,26.0"
    assert view.spark(history(5), NOW_MS) == view.spark(history(None, None), NOW_MS) == ""


def test_the_table_has_the_newest_on_top_and_dashes_where_nobody_knew() -> None:
    """The end of each whole three minutes; those that run are told only where there is nothing else."""
    rows = view.rows(history(*range(4), None, 5), NOW_MS)

    assert [row.clock for row in rows] == ["07:59:00", "07:56:00"]
    assert [row.cells for row in rows] == [("–", "3", "–", "–", "–"), ("1", "3", "–", "–", "–")]
    assert [row.clock for row in view.rows(history(7), NOW_MS)] == ["08:00:00"]
    assert view.rows(Track(), NOW_MS) == ()


def test_what_alarms_stands_first_then_what_is_halted_then_the_names() -> None:
    """Also when it is the figures that alarm."""
    plan = Wanted("always", Phase.SERVING)
    shown = [
        view.room_view(replace(ROOM, name=name, **settings), plan, figures, NOW_MS)
        for name, settings, figures in (
            ("b", {}, {}),
            ("a", {}, {}),
            ("paused", {"paused": True}, {}),
            ("held", {}, {"wait_held": 0.5}),
            ("open", {"bypass": True}, {}),
            ("failing", {}, {"origin_failure_ratio": 0.9}),
            ("blind", {}, None),
        )
    ]

    order = [one.room.name for one in view.in_order(shown)]
    assert order == ["blind", "failing", "open", "held", "paused", "a", "b"]


@pytest.mark.parametrize("situation", SITUATIONS)
def test_a_ready_message_is_told_by_its_name(situation: str) -> None:
    """Nobody reads ``canned:delay``; its words stand on hover. Free text stays as it is, escaped."""
    pages = Pages()

    told = pages.part("change.html", "change", "Message", "<b>", f"canned:{situation}")

    name, words = value_told(f"canned:{situation}")
    assert name == SITUATION_WORDS[situation]
    assert words == languages()["en"].text(f"canned.{situation}")
    assert f'<span title="{escape(words, quote=False)}">{escape(name)}</span>' in told
    assert "&lt;b&gt;" in told
    assert "canned:" not in told
