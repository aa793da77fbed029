"""Best available: what the quick search chooses is what the rule says, seat for seat.

The reference below takes the rule by the word and looks at every block. Halls are drawn small and awkward: aisles,
rows of one seat, accessible places, seats behind a pillar, places to stand, several tiers in a row.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from checkout.halls.houses import arena_60000, theatre_2000
from checkout.halls.seats import Status, byte, statuses
from checkout.halls.sections import (
    Counted,
    Even,
    Kind,
    Layout,
    Placed,
    Row,
    Section,
    Stage,
    neighbours,
    stretches,
)
from checkout.holds import best
from checkout.holds.best import Block, Index, Picture, Places, Together, _nearest, as_free

STAGE = Stage(300, 0, 200, 50, "Stage")
OUTLINE = ((0, 0), (1000, 0), (1000, 1000))


def a_row(name: int, first: int, gaps: tuple[int, ...], x: int, y: int) -> Row:
    """Make a row whose seats stand so far apart; over 150 is an aisle."""
    xs = [x]
    for gap in gaps:
        xs.append(xs[-1] + gap)
    spots = (
        Even(x, y, 100, 0)
        if all(gap == 100 for gap in gaps)
        else Placed(tuple(xs), tuple([y + (at % 3) * 7 for at in range(len(xs))]))
    )
    return Row(str(name), first, len(xs), Counted(1, 1), spots)


@st.composite
def halls(draw: st.DrawFn) -> Layout:
    """Draw a hall of one to three sections with a few rows, perhaps with a floor to stand on."""
    sections: list[Section] = []
    first = 0
    for number in range(draw(st.integers(1, 3))):
        if draw(st.integers(0, 4)) == 0:
            count = draw(st.integers(1, 6))
            sections.append(Section(f"floor {number}", Kind.STANDING, first, count, OUTLINE))
            first += count
            continue
        begin, rows = first, []
        for line in range(draw(st.integers(1, 4))):
            gaps = tuple(draw(st.lists(st.sampled_from([100, 100, 100, 100, 250]), max_size=11)))
            x = draw(st.sampled_from([0, 100, 350]))
            rows.append(a_row(line, first, gaps, x, 200 + 120 * line + 700 * number))
            first += rows[-1].count
        sections.append(Section(f"block {number}", Kind.SEATS, begin, first - begin, OUTLINE, tuple(rows)))
    seated = [
        seat
        for section in sections
        if section.rows
        for seat in range(section.first, section.first + section.count)
    ]
    some = st.lists(st.sampled_from(seated), unique=True, max_size=3) if seated else st.just([])
    accessible, restricted = draw(some), draw(some)
    companions = tuple(
        (seat, right) for seat in accessible[:1] if (right := _right(tuple(sections), seat)) is not None
    )
    return Layout(
        "Hall", 4000, 4000, STAGE, tuple(sections), tuple(sorted(accessible)), companions,
        tuple(sorted(restricted)),
    )  # fmt: skip


def _right(sections: tuple[Section, ...], seat: int) -> int | None:
    return neighbours(Layout("Hall", 1, 1, STAGE, sections), seat)[1]


BYTES = st.sampled_from(
    [byte(Status.FREE, tier) for tier in (0, 0, 0, 1, 2)] * 3
    + [byte(one, 0) for one in Status if one]
    + [0x11, 0x24]
)
WISHES = st.builds(
    Together,
    count=st.sampled_from([1, 1, 2, 2, 3, 4, 5, 12]),
    tier=st.sampled_from([None, None, 0, 1, 3]),
    section=st.sampled_from([None, None, 0, 1, 7, -1]),
)


@st.composite
def scenes(draw: st.DrawFn) -> tuple[Layout, bytes, Together]:
    """Draw a hall, a map of it, and a wish."""
    layout = draw(halls())
    octets = draw(st.lists(BYTES, min_size=layout.seats, max_size=layout.seats))
    return layout, bytes(octets), draw(WISHES)


# ------------------------------------------------------------------------------------- the rule, by the word


def is_free(octets: bytes, seat: int) -> bool:
    """Tell whether a seat is free."""
    return octets[seat] & 15 == Status.FREE


def blocks(layout: Layout, octets: bytes, wish: Together) -> Iterator[tuple[int, ...]]:
    """Name every block of free seats side by side that fits the wish."""
    for number, section in enumerate(layout.sections):
        if wish.section not in {None, number}:
            continue
        for row in section.rows:
            for first, count in stretches(row):
                for begin in range(first, first + count - wish.count + 1):
                    seats = tuple(range(begin, begin + wish.count))
                    if all(
                        is_free(octets, seat) and wish.tier in {None, octets[seat] >> 4} for seat in seats
                    ):
                        yield seats


def rank(layout: Layout, octets: bytes, seats: tuple[int, ...]) -> tuple[bool, bool, int, int]:
    """Order blocks as the head of ``holds.best`` does."""
    apart = {*layout.accessible, *(seat for pair in layout.companions for seat in pair)}
    uses_apart = bool(apart & set(seats))

    def counts_as_free(seat: int | None) -> bool:
        return (
            seat is not None
            and seat not in seats
            and is_free(octets, seat)
            and (uses_apart or seat not in apart)
        )

    ends = (neighbours(layout, seats[0])[0], neighbours(layout, seats[-1])[1])
    orphans = any(
        counts_as_free(end) and not any(map(counts_as_free, neighbours(layout, end)))
        for end in ends
        if end is not None
    )
    return uses_apart, orphans, sum(far(layout, seat) for seat in seats), seats[0]


@lru_cache(maxsize=4096)
def far(layout: Layout, seat: int) -> int:
    """Tell how far a seat is from the stage, squared; behind all others if it sees less."""
    plain = _plain(layout)
    return plain[seat] + (100 * (max(plain) + 1) if seat in layout.restricted_view else 0)


@lru_cache(maxsize=64)
def _plain(layout: Layout) -> list[int]:
    middle_x, middle_y = layout.stage.x + layout.stage.width // 2, layout.stage.y + layout.stage.height // 2
    found = [0] * layout.seats
    for section in layout.sections:
        for row in section.rows:
            for seat in range(row.first, row.first + row.count):
                x, y = row.at(seat)
                found[seat] = (x - middle_x) ** 2 + (y - middle_y) ** 2
    return found


def the_best(layout: Layout, octets: bytes, wish: Together) -> tuple[int, ...] | None:
    """Look at every block."""
    return min(blocks(layout, octets, wish), key=lambda seats: rank(layout, octets, seats), default=None)


# ---------------------------------------------------------------------------------------------- the tests


def agrees(scene: tuple[Layout, bytes, Together]) -> None:
    """Compare the search with the rule."""
    layout, octets, wish = scene
    found = Picture(Index(layout), octets).best(wish)
    expected = the_best(layout, octets, wish)
    if expected is not None:
        assert found == Block(expected)
    elif found is not None:
        check_standing(layout, octets, wish, found)


def check_standing(layout: Layout, octets: bytes, wish: Together, found: Block | Places) -> None:
    """Places to stand are in one section that has so many free ones of the tier."""
    first = found.seats[0] if isinstance(found, Block) else found.first
    number, section = next(
        (at, one) for at, one in enumerate(layout.sections) if one.first <= first < one.first + one.count
    )
    own = range(section.first, section.first + section.count)
    fit = [seat for seat in own if is_free(octets, seat) and wish.tier in {None, octets[seat] >> 4}]
    assert section.kind is Kind.STANDING
    assert wish.section in {None, number}
    assert wish.tier is not None or wish.section is not None or not any(one.rows for one in layout.sections)
    assert len(fit) >= wish.count
    if isinstance(found, Block):
        assert found.seats == tuple(fit[: wish.count])
    else:
        assert found == Places(own[0], own[-1], wish.count)
        assert all(is_free(octets, seat) <= (wish.tier in {None, octets[seat] >> 4}) for seat in own)


@given(scenes())
def test_the_search_chooses_what_the_rule_says(scene: tuple[Layout, bytes, Together]) -> None:
    """The same block, or none where there is none."""
    agrees(scene)


@given(scenes())
def test_there_is_an_answer_where_enough_can_stand(scene: tuple[Layout, bytes, Together]) -> None:
    """Whoever names the tier or the section of a floor that has so many places gets some."""
    layout, octets, wish = scene
    found = Picture(Index(layout), octets).best(wish)
    rooms = [
        sum(
            is_free(octets, seat) and wish.tier in {None, octets[seat] >> 4}
            for seat in range(one.first, one.first + one.count)
        )
        for number, one in enumerate(layout.sections)
        if one.kind is Kind.STANDING and wish.section in {None, number}
    ]
    names_one = wish.tier is not None or wish.section is not None
    if found is None:
        assert not names_one or max(rooms, default=0) < wish.count


@given(scenes(), st.lists(st.integers(0, 40), min_size=1, max_size=12), st.booleans())
def test_whatever_is_given_out_is_free_together_and_given_once(
    scene: tuple[Layout, bytes, Together], starts: list[int], anywhere: bool
) -> None:
    """Also when others were faster and the search begins further on; in the end nothing fits any more."""
    layout, octets, wish = scene
    index = Index(layout)
    picture = Picture(index, octets, by_name=True)
    left = bytearray(octets)
    for at in range(layout.seats + 1):
        found = picture.best(wish, starts[at % len(starts)], anywhere=anywhere)
        fitting = set(blocks(layout, bytes(left), wish))
        if found is None:
            assert not fitting
            break
        assert isinstance(found, Block)
        assert found.seats in fitting if fitting else _stand(layout, found)
        assert all(is_free(bytes(left), seat) for seat in found.seats)
        picture.take(found.seats)
        for seat in found.seats:
            left[seat] |= Status.HELD
    else:
        pytest.fail("more blocks than seats")


def _stand(layout: Layout, found: Block) -> bool:
    return any(
        one.kind is Kind.STANDING and one.first <= found.seats[0] <= found.seats[-1] < one.first + one.count
        for one in layout.sections
    )


@given(scenes(), st.lists(st.integers(-3, 60), max_size=8))
def test_what_was_taken_is_as_if_it_never_was_free(
    scene: tuple[Layout, bytes, Together], seats: list[int]
) -> None:
    """A picture that was changed and one that is made anew choose the same; seats outside the hall are nobody's."""
    layout, octets, wish = scene
    index = Index(layout)
    changed = Picture(index, octets)
    changed.best(wish)
    changed.take(seats)
    anew = bytes(now & 0xF0 | Status.HELD if seat in seats else now for seat, now in enumerate(octets))

    assert changed.best(wish) == Picture(index, anew).best(wish)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("_nearest", lambda *given, **_: _nearest(*given, leaves_none=False)),
        ("_leaving_none", lambda count: re.compile(b"f" * (count + 1))),
        ("_costs", lambda layout: [0] * layout.seats),
    ],
)
def test_the_reference_notices_another_rule(
    name: str, fault: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutants: orphans do not matter; a block that fills a gap is passed over; nearness does not matter."""
    monkeypatch.setattr(best, name, fault)
    missed = given(scenes())(agrees)

    with pytest.raises(AssertionError):
        settings(phases=[Phase.generate], report_multiple_bugs=False)(missed)()


# ------------------------------------------------------------------------------------ stories of one row


def in_one_row(text: str, count: int, **wish: int) -> list[int] | None:
    """Choose in a row of ten seats before the stage: ``.`` is free, ``x`` taken, ``1`` free in tier 1."""
    rows = (Row("A", 0, len(text), Counted(1, 1), Even(0, 200, 100, 0)),)
    layout = Layout(
        "Hall",
        4000,
        4000,
        Stage(400, 0, 100, 0, ""),
        (Section("S", Kind.SEATS, 0, len(text), OUTLINE, rows),),
    )
    octets = bytes({".": 0x00, "x": 0x03, "1": 0x10}[char] for char in text)
    found = Picture(Index(layout), octets).best(Together(count, **wish))
    return None if found is None else list(found.seats) if isinstance(found, Block) else []


@pytest.mark.parametrize(
    ("row", "count", "seats"),
    [
        ("..........", 4, [3, 4, 5, 6]),
        ("xxx.....xx", 4, [3, 4, 5, 6]),
        ("x...x.....", 2, [5, 6]),
        ("x...xxxxxx", 2, [2, 3]),
        ("x..xx...xx", 2, [1, 2]),
        ("xxx.xx..xx", 1, [3]),
        ("xxxxxx..xx", 1, [6]),
        ("xx......xx", 2, [4, 5]),
        ("xx.....xxx", 1, [4]),
        ("xxxxxxxxxx", 1, None),
        ("x.x.x.x.x.", 2, None),
        ("xxx.1xxxxx", 1, [4]),
    ],
)  # fmt: skip
def test_one_row(row: str, count: int, seats: list[int] | None) -> None:
    """Nearest to the stage's middle (between seats 4 and 5), unless a seat would be left alone and need not be."""
    assert in_one_row(row, count) == seats


def test_a_free_seat_of_another_tier_is_company() -> None:
    """The dear seat beside the cheap ones may stay with its dear neighbours."""
    assert in_one_row("xx1..11xxx", 2, tier=0) == [3, 4]
    assert in_one_row("xx11..xxxx", 1, tier=0) == [5]
    assert in_one_row("xx11..xxxx", 3, tier=0) is None


def test_what_is_taken_elsewhere_changes_no_section() -> None:
    """A picture of one section is not touched by seats of another."""
    plan = theatre_2000()
    picture = Picture(Index(plan.layout), bytes(tier << 4 for tier in plan.tiers))
    first = picture.best(Together(2, section=1))
    picture.take(range(plan.layout.sections[2].first, plan.layout.sections[2].first + 10))

    assert picture.best(Together(2, section=1)) == first
    assert picture.left(2) == plan.layout.sections[2].count - 10


def test_who_names_nothing_gets_seats_and_never_a_place_to_stand() -> None:
    """The floor is for who names it, or where there is nothing else."""
    plan = arena_60000()
    octets = bytes(tier << 4 | (Status.SOLD if tier > 1 else Status.FREE) for tier in plan.tiers)
    picture = Picture(Index(plan.layout), octets)
    floor = plan.layout.sections[-2]

    assert picture.best(Together(2)) is None
    assert picture.best(Together(2, tier=0)) == Places(floor.first, floor.first + floor.count - 1, 2)
    assert picture.best(Together(2, section=len(plan.layout.sections) - 2)) == picture.best(
        Together(2, tier=0)
    )
    assert picture.best(Together(2, tier=2)) is None


def test_the_theatres_best_seats_are_in_the_middle_of_the_first_row() -> None:
    """A look at a real hall: four in the stalls' centre, beside nobody who sees the back of a pillar."""
    plan = theatre_2000()
    octets = bytes(tier << 4 for tier in plan.tiers)

    found = Picture(Index(plan.layout), octets).best(Together(4))

    assert isinstance(found, Block)
    section = next(one for one in plan.layout.sections if one.first <= found.seats[0] < one.first + one.count)
    assert section.name == "Stalls centre"
    assert section.rows[0].first <= found.seats[0] < section.rows[0].first + section.rows[0].count


@given(st.lists(st.tuples(BYTES, st.booleans()), max_size=40))
def test_an_allocations_map_has_its_own_blocked_seats_and_no_other(places: list[tuple[int, bool]]) -> None:
    """What others have blocked, and what is free for all, is not the code's."""
    hall, mask = bytes(now for now, _ in places), bytes(255 * own for _, own in places)

    shown = as_free(hall, mask)

    assert [now == Status.FREE for now in statuses(shown)] == [
        own and now & 15 == Status.BLOCKED for now, own in places
    ]
    assert all(
        new >> 4 == old >> 4 for new, (old, _) in zip(shown, places, strict=True) if new & 15 == Status.FREE
    )
