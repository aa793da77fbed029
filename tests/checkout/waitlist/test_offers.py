"""The waitlist's rule: who is offered which of the seats that came back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout.catalogue.event import Known, Prices, read_event
from checkout.halls.seats import Status, byte
from checkout.waitlist import offers
from checkout.waitlist.offers import Offer, Plan, Wish, plan, terms_of, together
from tests.checkout.catalogues import ORGANISER, VENUE, event_fields
from tests.checkout.halls.test_layout import SMALL

NOW_MS, PERIOD_MS = 1_000_000, 120_000
STRETCHES = ((0, 6), (6, 6), (12, 4))


def hall(*kept: int, tiers: dict[int, int] | None = None) -> bytes:
    """Make a hall of 16 seats, sold out but for the kept ones."""
    return bytes(
        byte(Status.KEPT if seat in kept else Status.SOLD, (tiers or {}).get(seat, 0)) for seat in range(16)
    )


def planned(
    wishes: list[Wish], octets: bytes, held_up_ms: dict[int, int] | None = None, now_ms: int = NOW_MS
) -> Plan:
    """Plan with the usual stretches."""
    return plan(wishes, octets, STRETCHES, held_up_ms or {}, PERIOD_MS, now_ms)


def test_whoever_came_first_is_offered_first() -> None:
    """Three seats, five who wait for one each: the first three get one."""
    wishes = [Wish(number, 1, None) for number in (5, 3, 4, 1, 2)]

    assert [offer.number for offer in planned(wishes, hall(2, 7, 9)).offers] == [1, 2, 3]


def test_seats_side_by_side_come_before_any_others() -> None:
    """Two get 8 and 9, which are neighbours, not 1 and 3; and not 5 and 6, between which there is an aisle."""
    assert planned([Wish(1, 2, None)], hall(1, 3, 5, 6, 8, 9)).offers == (Offer(1, (8, 9)),)


def test_the_shortest_stretch_that_will_do_is_taken() -> None:
    """A pair takes the two seats that stand alone, and leaves the four for four."""
    wishes = [Wish(1, 2, None), Wish(2, 4, None)]

    assert planned(wishes, hall(0, 1, 2, 3, 8, 9)).offers == (Offer(1, (8, 9)), Offer(2, (0, 1, 2, 3)))


def test_without_neighbours_any_seats_do_in_as_few_pieces_as_possible() -> None:
    """Three of a pair and two single seats: the pair and one more."""
    assert planned([Wish(1, 3, None)], hall(0, 7, 8, 13)).offers == (Offer(1, (0, 7, 8)),)


def test_a_tier_is_a_wish_that_counts() -> None:
    """Who waits for tier 1 gets no seat of tier 0, and does not hold up who wants one."""
    octets = hall(2, 3, tiers={2: 1, 3: 0})

    assert planned([Wish(1, 2, 1), Wish(2, 1, 0)], octets).offers == (Offer(2, (3,)),)
    assert planned([Wish(1, 1, 1)], octets).offers == (Offer(1, (2,)),)


def test_what_is_too_little_for_a_group_is_set_aside_for_one_period() -> None:
    """Two seats wait for the two that the group of four still lacks; the single behind it waits too, then no more."""
    wishes = [Wish(1, 4, None), Wish(2, 1, None)]
    first = planned(wishes, hall(0, 1))
    last_ms = NOW_MS + PERIOD_MS - 1

    assert first == Plan((), {1: NOW_MS}, ())
    assert planned(wishes, hall(0, 1), {1: NOW_MS}, last_ms).offers == ()
    assert planned(wishes, hall(0, 1, 4, 9), {1: NOW_MS}, last_ms).offers == (Offer(1, (0, 1, 4, 9)),)
    assert planned(wishes, hall(0, 1), {1: NOW_MS}, last_ms + 1).offers == (Offer(2, (0,)),)


def test_an_entry_gets_one_period_and_no_second() -> None:
    """Once its time is over it is still first, but holds up nobody, even when other seats come back."""
    wishes = [Wish(1, 4, None), Wish(2, 1, None)]
    later = planned(wishes, hall(), {1: NOW_MS}, NOW_MS + PERIOD_MS)

    assert later.held_up_ms == {1: NOW_MS}
    assert planned(wishes, hall(9), later.held_up_ms, NOW_MS + PERIOD_MS).offers == (Offer(2, (9,)),)


def test_groups_in_a_row_wait_at_the_same_time_not_one_after_the_other() -> None:
    """Two groups before a single person: their periods run side by side."""
    wishes = [Wish(1, 4, None), Wish(2, 3, None), Wish(3, 1, None)]
    first = planned(wishes, hall(0, 1))

    assert first.held_up_ms == {1: NOW_MS, 2: NOW_MS}
    assert planned(wishes, hall(0, 1), dict(first.held_up_ms), NOW_MS + PERIOD_MS).offers == (Offer(3, (0,)),)


def test_who_is_not_there_any_more_is_forgotten() -> None:
    """Periods of entries that left or were served are not kept."""
    assert planned([Wish(2, 1, None)], hall(0), {1: 5, 2: 7}).held_up_ms == {}


def test_a_kept_seat_of_a_tier_that_nobody_waits_for_is_free_for_all() -> None:
    """Seats are kept for people, not for themselves."""
    octets = hall(2, 3, tiers={2: 1, 3: 0})

    assert planned([Wish(1, 4, 0)], octets).unwanted == (2,)
    assert planned([Wish(1, 4, None)], octets).unwanted == ()
    assert planned([], octets).unwanted == (2, 3)


def test_what_stands_side_by_side_is_taken_from_the_layout() -> None:
    """A row is cut at its aisles, a standing section is one stretch; the rest is the event's."""
    new = read_event(
        event_fields(
            "l", tiers=[{"tier": 2, "name": "A", "prices": {"EUR": 1}}], section_tiers={"0": 2, "1": 2}
        )
    )
    known = Known(new.event, ORGANISER, VENUE, new.tiers, Prices(7, new.amounts), new.section_tiers)

    terms = terms_of(known, SMALL)

    assert terms.stretches == ((0, 4), (4, 3), (7, 2), (9, 50))
    assert (terms.price_version, terms.tiers, terms.window) == (7, {2}, new.event.window)
    assert (terms.max_per_buyer, terms.currency) == (new.event.max_per_buyer, "EUR")


@given(
    st.lists(st.tuples(st.integers(1, 5), st.sampled_from([None, 0, 1])), max_size=8),
    st.sets(st.integers(0, 15)),
    st.sets(st.integers(0, 15)),
    st.dictionaries(st.integers(0, 7), st.sampled_from([NOW_MS - PERIOD_MS, NOW_MS - PERIOD_MS + 1, NOW_MS])),
)
def test_every_plan_keeps_the_rule(
    wanted: list[tuple[int, int | None]], kept: set[int], second: set[int], held_up_ms: dict[int, int]
) -> None:
    """No seat twice, none that was not kept, exactly what was wanted; nobody is passed by who could be served."""
    tiers = dict.fromkeys(second, 1)
    wishes = [Wish(number, count, tier) for number, (count, tier) in enumerate(wanted)]
    octets = hall(*kept, tiers=tiers)

    made = planned(wishes, octets, held_up_ms)

    seats = [seat for offer in made.offers for seat in offer.seats]
    assert len(seats) == len(set(seats))
    assert set(seats) <= kept
    assert not set(seats) & set(made.unwanted)
    by_number = {offer.number: offer.seats for offer in made.offers}
    left = set(kept)
    for wish in wishes:
        fit = {seat for seat in left if wish.tier in {None, tiers.get(seat, 0)}}
        if wish.number in by_number:
            assert len(by_number[wish.number]) == wish.wanted
            assert set(by_number[wish.number]) <= fit
            left -= set(by_number[wish.number])
        elif len(fit) >= wish.wanted:
            assert any(
                other.number < wish.number
                and made.held_up_ms.get(other.number, -PERIOD_MS) + PERIOD_MS > NOW_MS
                for other in wishes
            )


@given(st.sets(st.integers(0, 17), min_size=1), st.data())
def test_seats_side_by_side_are_found_whenever_there_are_any(seats: set[int], data: st.DataObject) -> None:
    """So many are chosen, of those given; if a stretch has so many in a row, they are in a row."""
    wanted = data.draw(st.integers(1, len(seats)))

    chosen = together(seats, wanted, STRETCHES)

    assert len(set(chosen)) == wanted
    assert set(chosen) <= seats
    rows = [
        set(range(first, first + wanted))
        for start, count in STRETCHES
        for first in range(start, start + count - wanted + 1)
    ]
    if any(row <= seats for row in rows):
        assert set(chosen) in rows


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("key=lambda wish: wish.number", "key=lambda wish: -wish.number"),
        ("if now_ms < since_ms[wish.number] + period_ms:", "if True:"),
        ("if now_ms < since_ms[wish.number] + period_ms:", "if False:"),
        ("held_up_ms.get(wish.number, now_ms)", "now_ms"),
        ("                del left[seat]", "                pass"),
    ],
)
def test_a_plan_without_one_of_the_rules_is_noticed(
    old: str, new: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutants: order, patience, its end, one period only, no seat twice."""
    import inspect

    source = inspect.getsource(offers.plan)
    assert source.count(old) == 1
    scope = dict(vars(offers))
    exec(source.replace(old, new), scope)  # noqa: S102 (the mutant is our own source with one rule less)
    monkeypatch.setitem(globals(), "plan", scope["plan"])

    failed = 0
    for rule in (
        test_whoever_came_first_is_offered_first,
        test_the_shortest_stretch_that_will_do_is_taken,
        test_what_is_too_little_for_a_group_is_set_aside_for_one_period,
        test_an_entry_gets_one_period_and_no_second,
    ):
        try:
            rule()
        except (AssertionError, KeyError):
            failed += 1
    assert failed
