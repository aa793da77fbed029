"""Seats that somebody names in words, halls as pictures and numbers, and what a choice of seats is made of."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout.backoffice import programme_hall
from checkout.backoffice.programme_hall import Hall, choice_of, groups_of, hall_of
from checkout.backoffice.programme_plan import FILLED, by_tier, counted, lines_of, plan_of
from checkout.backoffice.programme_seats import in_words, pick, read_runs, runs_text
from checkout.halls.layout import Kind, Layout, Section, Stage, document
from checkout.halls.plans import read_csv
from checkout.halls.seats import Status, byte
from checkout.organiser.papers import read_seats
from checkout.organiser.seating_web import seat_runs
from tests.checkout.catalogues import small_layout

HALL = small_layout()
"""Stalls A and B (0-9, 10-19), Side A (20-24), Floor (25-44)."""


def picked(text: str, taken: frozenset[int] = frozenset()) -> list[int]:
    """Read a text that has no fault."""
    found = pick(HALL, text, lambda seat: seat not in taken)
    assert found.faults == ()
    return list(found.seats)


@pytest.mark.parametrize(
    ("text", "seats"),
    [
        ("Stalls / A / 1-3", [0, 1, 2]),
        ("stalls/b/10", [19]),
        ("Stalls / A / 3 - 1, 9", [0, 1, 2, 8]),
        ("Stalls / A / 1\u20132", [0, 1]),
        ("STALLS / B", list(range(10, 20))),
        ("Side", [20, 21, 22, 23, 24]),
        ("Floor / 2", [43, 44]),
        ("Floor", list(range(25, 45))),
        ("# 0-2, 44", [0, 1, 2, 44]),
        ("#7", [7]),
        ("\n Stalls/A/1 \r\n\r\nStalls/A/1,2\n", [0, 1]),
        ("Floor / 1\nFloor / 1", [43, 44]),
    ],
)
def test_seats_are_named_as_the_hall_names_them(text: str, seats: list[int]) -> None:
    """Sections, rows, seats from one to another, places to stand, and the API's own numbers."""
    assert picked(text) == seats


def test_places_to_stand_are_those_that_can_be_had() -> None:
    """The last ones, and never one twice."""
    assert picked("Floor / 2", frozenset({44, 42})) == [41, 43]


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("", [(1, "nothing", "")]),
        ("  \n ", [(1, "nothing", "")]),
        ("Balcony", [(1, "section", "Balcony")]),
        ("Stalls A", [(1, "section", "Stalls A")]),
        ("Stalls / C / 1", [(1, "row", "C")]),
        ("Stalls / A / 11", [(1, "seat", "11")]),
        ("Stalls / A / 1-11", [(1, "seat", "1-11")]),
        ("Stalls / A / 1,,2", [(1, "seat", "")]),
        ("Stalls / A / 1 / 2", [(1, "seat", "1 / 2")]),
        ("Floor / 21", [(1, "places", "21")]),
        ("Floor / 0", [(1, "places", "0")]),
        ("Floor / x", [(1, "places", "x")]),
        ("# 45", [(1, "number", "45")]),
        ("# 3-2", [(1, "number", "3-2")]),
        ("# x", [(1, "number", "x")]),
        ("#", [(1, "number", "")]),
        ("# \u0663", [(1, "number", "\u0663")]),
        ("Stalls/A/1\nnowhere\nStalls/Q", [(2, "section", "nowhere"), (3, "row", "Q")]),
        ("x" * 100, [(1, "section", "x" * 60)]),
        ("Side\n" * 401, [(401, "lines", "")]),
    ],
)
def test_what_names_no_seat_is_a_fault_of_its_line(text: str, faults: list[tuple[int, str, str]]) -> None:
    """And no seat is taken, also of the lines that could be read."""
    found = pick(HALL, text, lambda _: True)

    assert [(one.line, one.why, one.what) for one in found.faults] == faults
    assert found.seats == ()


def test_of_places_that_cannot_be_had_it_is_told_how_many_can() -> None:
    """Twenty are there, three are left."""
    found = pick(HALL, "Floor / 4", lambda seat: seat < 28)

    assert [(one.why, one.what) for one in found.faults] == [("places-few", "3")]


def test_a_name_with_a_stroke_in_it_is_found() -> None:
    """The longest name that fits counts."""
    lines = ["section,row,number,x,y,tier", "A,1,1,0,0,T", "A/B,1,1,200,0,T", "A/B,1,2,300,0,T"]
    layout = read_csv("\n".join(lines).encode(), "x").layout

    assert pick(layout, "A/B / 1 / 2", lambda _: True).seats == (2,)
    assert pick(layout, "A / 1 / 1", lambda _: True).seats == (0,)


@given(st.sets(st.integers(0, 24), min_size=1))
def test_what_is_written_in_words_is_read_again(seats: set[int]) -> None:
    """Whatever the choice, in rows."""
    assert picked("\n".join(in_words(HALL, seats))) == sorted(seats)


@given(st.sets(st.integers(0, 44), min_size=1))
def test_a_hidden_field_is_what_the_api_takes(seats: set[int]) -> None:
    """Seat by seat the same."""
    runs = read_runs(runs_text(seats))

    assert read_seats({"seats": runs}) == sorted(seats)


@pytest.mark.parametrize("text", ["", "x", "1-", "5-5", "6-2", "1,,2", "1000000000", "-1"])
def test_what_is_no_hidden_field_of_ours_is_nothing(text: str) -> None:
    """No seat comes of it."""
    assert read_runs(text) is None


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    """With seats of the hall, or with faults, never with both."""
    found = pick(HALL, text, lambda _: True)

    assert bool(found.faults) != bool(found.seats)
    assert all(0 <= seat < HALL.seats for seat in found.seats)


# ------------------------------------------------------------------------------------- the picture


def octets(**seats: list[int]) -> bytes:
    """Make a hall of which some seats stand otherwise."""
    made = bytearray(byte(Status.FREE, 0 if seat < 20 else 1) for seat in range(HALL.seats))
    for word, own in seats.items():
        for seat in own:
            made[seat] = byte(Status[word.upper()], made[seat] >> 4)
    return bytes(made)


SOME = octets(sold=[0, 1, 2, 25], held=[3], reserved=[4], blocked=[20, 21], kept=[44])


def test_a_picture_shows_each_section_as_full_as_it_is() -> None:
    """From below: what is sold, what is on its way, what is free; and the same as numbers."""
    plan = plan_of(HALL, SOME)
    stalls, side, floor = plan.blocks

    assert [layer.word for layer in stalls.layers] == ["sold", "reserved", "held", "free"]
    assert sum(layer.height for layer in stalls.layers) == pytest.approx(
        stalls.layers[0].y + stalls.layers[0].height - stalls.layers[-1].y, abs=0.5
    )
    assert stalls.layers[0].height / sum(one.height for one in stalls.layers) == pytest.approx(
        3 / 20, abs=0.01
    )
    assert (side.counts.blocked, side.counts.free, side.tiers, side.is_standing) == (2, 3, (1,), False)
    assert (floor.is_standing, floor.counts.kept, floor.counts.sold_percent) == (True, 1, 5)
    assert plan.counts == counted(SOME)
    assert plan.counts.all == sum(block.counts.all for block in plan.blocks) == 45
    assert all(block.size > 0 for block in plan.blocks)


def test_a_name_stands_inside_of_its_section() -> None:
    """In the centre of gravity, as large as the section is wide there; of a line there is no inside."""
    triangle = Section("AB", Kind.SEATS, 0, 1, ((0, 0), (600, 0), (0, 600)))
    line = Section("AB", Kind.SEATS, 1, 1, ((0, 0), (600, 0)))
    layout = Layout("x", 600, 600, Stage(0, 0, 1, 1, ""), (triangle, line))

    inside, none = plan_of(layout, bytes(2)).blocks

    assert (inside.label_x, inside.label_y) == (200, 200)
    # 400 wide there, 200 to either side: 85 hundredths of it for two letters, and not higher than it is.
    assert inside.size == min(int(600 * 0.35), int(400 * 0.85 / (0.58 * 2)))
    assert (none.label_x, none.label_y, none.size) == (300, 0, 0)


def test_only_what_is_sold_out_is_at_a_hundred() -> None:
    """Rounded down; and a hall without seats is at nought."""
    assert counted(octets(sold=list(range(44)))).sold_percent == 97
    assert counted(octets(sold=list(range(45)))).sold_percent == 100
    assert counted(b"").sold_percent == 0


@given(st.lists(st.tuples(st.sampled_from(list(Status)), st.integers(0, 15)), min_size=45, max_size=45))
def test_counts_of_tiers_and_sections_add_up(seats: list[tuple[Status, int]]) -> None:
    """To the capacity, each status."""
    hall = bytes(byte(*seat) for seat in seats)
    plan, tiers = plan_of(HALL, hall), by_tier(hall).values()

    for status in FILLED:
        word = status.name.lower()
        assert getattr(plan.counts, word) == sum(getattr(one, word) for one in tiers)
        assert getattr(plan.counts, word) == sum(getattr(one.counts, word) for one in plan.blocks)


def test_lines_of_a_file_stand_beside_what_is_wrong_with_them() -> None:
    """Cut to a bearable length; a line that is not there is left out."""
    assert lines_of("a\nb" + "x" * 300 + "\nc", [2, 9]) == ((2, ("b" + "x" * 300)[:200]),)


# ---------------------------------------------------------------------------------------- a choice


def hall(some: bytes = SOME, **allocations: tuple[int, ...]) -> Hall:
    """Make a hall."""
    return Hall(HALL, some, True, allocations)


def test_the_apis_answer_is_read() -> None:
    """As the API tells it: the plan, stretches of seats, allocations."""
    plain = {
        "layout": orjson.loads(document(HALL)),
        "seats": seat_runs(SOME),
        "is_live": True,
        "allocations": {"fans": [[20, 2]]},
    }

    assert hall_of(plain) == hall(fans=(20, 21))


def test_a_choice_is_what_fits_and_what_is_in_the_way() -> None:
    """Free seats can be blocked; what is sold, held or blocked already is named."""
    choice = choice_of(hall(), picked("Stalls / A\nSide"), Status.FREE)

    assert choice.seats == 15
    assert choice.fits.lines == ("Stalls / A / 6-10", "Side / A / 3-5")
    assert choice.runs == "5-9,22-24"
    assert choice.in_way.lines == ("Stalls / A / 1-5", "Side / A / 1-2")
    assert choice.tiers == ((0, 5), (1, 3))
    assert (choice.counts.sold, choice.counts.held, choice.counts.blocked) == (3, 1, 2)


def test_without_the_look_at_how_a_seat_stands_sold_ones_would_be_offered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The mutant: everything fits."""
    monkeypatch.setattr(Hall, "with_status", lambda _own, seats, *_wanted: sorted(seats))

    assert programme_hall.choice_of(hall(), [0, 5], Status.FREE).runs == "0,5"


def test_what_is_blocked_is_told_by_allocation() -> None:
    """And last what is for nobody; of an allocation also what is sold by now, which cannot be put on sale."""
    fans, press, nobody = groups_of(hall(fans=(20, 0), press=()))

    assert (fans.name, fans.runs, fans.counts.sold, fans.counts.blocked) == ("fans", "20", 1, 1)
    assert (press.name, press.runs, press.words.seats) == ("press", "", 0)
    assert (nobody.name, nobody.runs, nobody.words.lines) == ("", "21", ("Side / A / 2",))


def test_many_lines_are_cut() -> None:
    """And how many there are more is told."""
    lines = ["section,row,number,x,y,tier"] + [
        f"S,{row},{n},{n * 100},{row * 100},T" for row in range(70) for n in (1, 2)
    ]
    layout = read_csv("\n".join(lines).encode(), "x").layout
    words = programme_hall.words_of(layout, range(0, 140, 2))

    assert (len(words.lines), words.more, words.seats) == (60, 10, 70)
