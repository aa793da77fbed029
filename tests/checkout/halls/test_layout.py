"""The layout: a plan that is the same text for the same hall, and whose faults are told at once."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout.halls.layout import (
    Counted,
    Even,
    Kind,
    Layout,
    Placed,
    Row,
    Section,
    Stage,
    Where,
    at,
    document,
    layout_id,
    names,
    neighbours,
    read,
    stretches,
    where,
)
from kernel.errors import Refused

STRAIGHT = Row("A", 0, 4, Counted(1, 2), Even(100, 200, 100, 0))
CURVED = Row(
    "B", 4, 5, ("1", "2", "3", "4", "4a"), Placed((100, 200, 300, 600, 700), (300, 310, 310, 310, 300))
)
SMALL = Layout(
    "A small hall",
    1000,
    900,
    Stage(200, 0, 600, 80, "Stage"),
    (
        Section(
            "Stalls", Kind.SEATS, 0, 9, ((50, 150), (750, 150), (750, 350), (50, 350)), (STRAIGHT, CURVED)
        ),
        Section("Floor", Kind.STANDING, 9, 50, ((50, 400), (750, 400), (750, 800))),
    ),
    accessible=(0,),
    companions=((0, 1),),
    restricted_view=(4, 8),
)


def test_a_document_reads_back_as_the_layout() -> None:
    """Nothing is lost on the way there and back."""
    assert read(document(SMALL)) == SMALL


def test_the_document_is_canonical() -> None:
    """Sorted keys, no spaces; the id is the first 16 digits of its SHA-256."""
    text = document(SMALL)

    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))
    assert layout_id(SMALL) == layout_id(text) == hashlib.sha256(text.encode()).hexdigest()[:16]


@pytest.mark.parametrize(
    ("seat", "expected", "called", "spot"),
    [
        (0, Where(0, 0, "1"), ("Stalls", "A", "1"), (100, 200)),
        (3, Where(0, 0, "7"), ("Stalls", "A", "7"), (400, 200)),
        (4, Where(0, 1, "1"), ("Stalls", "B", "1"), (100, 300)),
        (8, Where(0, 1, "4a"), ("Stalls", "B", "4a"), (700, 300)),
        (9, Where(1, -1, ""), ("Floor", "", ""), None),
        (58, Where(1, -1, ""), ("Floor", "", ""), None),
    ],
)
def test_a_seat_is_found(
    seat: int, expected: Where, called: tuple[str, str, str], spot: tuple[int, int] | None
) -> None:
    """Section, row and number follow from the index, at the edges of each."""
    assert where(SMALL, seat) == expected
    assert names(SMALL, seat) == called
    assert at(SMALL, seat) == spot


@pytest.mark.parametrize("seat", [-1, 59])
def test_there_is_no_seat_outside(seat: int) -> None:
    """One before the first and one behind the last."""
    with pytest.raises(IndexError):
        where(SMALL, seat)


@pytest.mark.parametrize(
    ("seat", "beside"),
    [
        (0, (None, 1)),
        (1, (0, 2)),
        (3, (2, None)),
        (4, (None, 5)),
        (6, (5, None)),
        (7, (None, 8)),
        (9, (None, None)),
    ],
)
def test_neighbours_end_at_the_row_and_at_the_aisle(seat: int, beside: tuple[int | None, int | None]) -> None:
    """The next index is not a neighbour when an aisle or the end of the row lies between."""
    assert neighbours(SMALL, seat) == beside


def test_a_row_falls_into_stretches_without_a_gap() -> None:
    """They cover the row in order."""
    assert list(stretches(CURVED)) == [(4, 3), (7, 2)]
    assert list(stretches(STRAIGHT)) == [(0, 4)]


@given(st.lists(st.integers(1, 400), min_size=1, max_size=40))
def test_stretches_cover_a_row_whatever_its_gaps(gaps: list[int]) -> None:
    """Every seat is in exactly one stretch."""
    xs = [0]
    for gap in gaps:
        xs.append(xs[-1] + gap)
    row = Row("A", 7, len(xs), Counted(1, 1), Placed(tuple(xs), (0,) * len(xs)))

    seats = [seat for first, count in stretches(row) for seat in range(first, first + count)]

    assert seats == list(range(7, 7 + len(xs)))


def _set(*path: str | int, to: object) -> Callable[[Any], None]:
    def change(plain: Any) -> None:
        for step in path[:-1]:
            plain = plain[step]
        plain[path[-1]] = to

    return change


def _drop(*path: str | int) -> Callable[[Any], None]:
    def change(plain: Any) -> None:
        for step in path[:-1]:
            plain = plain[step]
        del plain[path[-1]]

    return change


ROW = ("sections", 0, "rows", 0)
FAULTS: list[tuple[Callable[[Any], None], str]] = [
    (_drop("name"), "layout: name is missing"),
    (_set("colour", to="red"), "layout: colour is unknown"),
    (_set("width", to="wide"), "layout: width must be a whole number from 1 to 1000000"),
    (_set("width", to=True), "layout: width must be a whole number from 1 to 1000000"),
    (_set("height", to=0), "layout: height must be a whole number from 1 to 1000000"),
    (_set("stage", "x", to=900), "stage: it is outside the layout"),
    (_set("stage", "label", to=None), "stage: label must be a text of at most 120 characters"),
    (_set("sections", to=[]), "layout: it has no section"),
    (_set("sections", to={}), "layout: sections must be a list"),
    (_set("sections", 0, to=7), "section 0: it must be an object"),
    (_set("sections", 0, "kind", to="sofa"), "section 0: kind must be seats or standing"),
    (_set("sections", 1, "name", to="Stalls"), "layout: there is more than one section 'Stalls'"),
    (
        _set("sections", 1, "first", to=10),
        "section 1: first must be 9, so that no seat is missing or there twice",
    ),
    (_set("sections", 1, "rows", to=[{}]), "section 1: people stand there, so it has no rows"),
    (_set("sections", 1, "count", to=99_992), "layout: 100001 seats are more than 100000"),
    (_set("sections", 0, "count", to=8), "section 0: its rows have 9 seats, its count says 8"),
    (_set("sections", 0, "outline", to=[[0, 0]]), "section 0: the outline needs three points"),
    (
        _set("sections", 0, "outline", 0, to=[0, 5000]),
        "section 0: a point of the outline must be two whole numbers inside the layout",
    ),
    (
        _set(*ROW, "first", to=1),
        "section 0, row 0: first must be 0, so that no seat is missing or there twice",
    ),
    (_set(*ROW, "name", to="B"), "section 0: there is more than one row 'B'"),
    (_set(*ROW, "name", to=""), "section 0, row 0: name must be a text of 1 to 120 characters"),
    (_set(*ROW, "x", to=900), "section 0, row 0: a seat at 1200,200 is outside the layout"),
    (_set(*ROW, "dx", to=0), "section 0, row 0: its seats are all at one place"),
    (
        _set(*ROW, "xs", to=[1]),
        "section 0, row 0: xs and ys must be 4 whole numbers each, without x, y, dx, dy",
    ),
    (_set(*ROW, "numbers", "step", to=0), "section 0, row 0: its seat numbers repeat or fall below nought"),
    (_set(*ROW, "numbers", to=["1"]), "section 0, row 0: numbers must be 4 texts, or from and step"),
    (_set(*ROW, "numbers", to=["1", "2", "2", "3"]), "section 0, row 0: there is more than one seat '2'"),
    (_set("accessible", to=[1, 0]), "layout: accessible must be seats, each once and in order"),
    (_set("restricted_view", to=[9]), "layout: restricted_view must be seats, each once and in order"),
    (_set("companions", to=[[0]]), "layout: companions must be pairs of seats"),
    (_set("companions", to=[[1, 2]]), "layout: a companion's seat must be beside an accessible one"),
    (
        _set("companions", to=[[0, 1], [0, 1]]),
        "layout: a companion's seat belongs to one accessible seat and is none itself",
    ),
]


@pytest.mark.parametrize(("change", "fault"), FAULTS, ids=[fault for _, fault in FAULTS])
def test_a_fault_is_named_with_its_place(change: Callable[[Any], None], fault: str) -> None:
    """Every rule of the document, broken once."""
    plain = json.loads(document(SMALL))
    change(plain)

    with pytest.raises(Refused) as caught:
        read(json.dumps(plain))

    assert caught.value.code == "layout-invalid"
    assert fault in caught.value.extra["faults"]  # type: ignore[operator]


def test_all_faults_are_told_at_once() -> None:
    """Whoever repairs a layout hears of everything."""
    plain = json.loads(document(SMALL))
    plain["name"], plain["width"], plain["sections"][1]["count"] = 7, -1, "many"

    with pytest.raises(Refused) as caught:
        read(json.dumps(plain))

    assert len(caught.value.extra["faults"]) == 3  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "nonsense", "[" * 100_000, "[]", "7", "null"])
def test_what_is_no_layout_is_refused(text: str) -> None:
    """Rubbish is a fault and never an exception of ours."""
    with pytest.raises(Refused):
        read(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from([*json.loads(document(SMALL)), "rows", "first"]), inner, max_size=8
            )
        ),
        max_leaves=20,
    ),
    st.sampled_from(
        [(), ("sections",), ("sections", 0), ROW, (*ROW, "numbers"), ("stage",), ("companions",)]
    ),
)
def test_no_document_makes_the_reader_stumble(rubbish: Any, path: tuple[str | int, ...]) -> None:
    """Anything at any place is either read or refused."""
    plain = json.loads(document(SMALL))
    if path:
        _set(*path, to=rubbish)(plain)
    else:
        plain = rubbish

    try:
        layout = read(json.dumps(plain))
    except Refused:
        return
    assert document(read(document(layout))) == document(layout)
