"""The catalogue in SQL: nothing half-done, changes that nobody misses. Every test runs on SQLite and PostgreSQL."""

import threading
from dataclasses import replace

import pytest

from checkout.catalogue.event import Allocation, Known, NewEvent, read_event
from checkout.catalogue.store import CatalogueStore, Layouts
from checkout.database import ShopDatabase
from checkout.halls.layout import document, layout_id
from checkout.halls.seat_rows import Busy, Done, SeatRows
from checkout.halls.seats import Status
from tests.checkout.catalogues import NOW_MS, ORGANISER, VENUE, event_fields, small_layout

HALL = small_layout()


@pytest.fixture
def kept(shop_database: ShopDatabase) -> CatalogueStore:
    """Give a catalogue with an organiser, a house and a hall."""
    store = CatalogueStore(shop_database)
    store.put_organiser(ORGANISER, NOW_MS)
    store.put_venue(VENUE, NOW_MS)
    text = document(HALL)
    store.add_layout(Layouts(layout_id(text), VENUE.id, HALL.name, HALL.seats, text))
    return store


def _new(event_id: str = "summer") -> NewEvent:
    return read_event(event_fields(layout_id(HALL), id=event_id))


def _event(store: CatalogueStore, event_id: str = "summer") -> Known:
    known = store.event(event_id)
    assert known is not None
    return known


def test_an_event_comes_back_as_it_was_kept(kept: CatalogueStore) -> None:
    """Facts, tiers, prices of version 1, section tiers, allocations, house and organiser."""
    new = _new()

    assert kept.add_event(new, NOW_MS)

    known = _event(kept)
    assert replace(known.event, changed_ms=0) == new.event
    assert known.tiers == new.tiers
    assert (known.prices.version, known.prices.amounts) == (1, new.amounts)
    assert known.section_tiers == new.section_tiers
    assert known.allocations == new.allocations
    assert (known.venue, known.organiser) == (VENUE, ORGANISER)


def test_an_id_belongs_to_one_event(kept: CatalogueStore) -> None:
    """The second one changes nothing."""
    kept.add_event(_new(), NOW_MS)

    assert not kept.add_event(replace(_new(), tiers={5: "Other"}), NOW_MS)
    assert _event(kept).tiers == {0: "Front", 1: "Back"}


def test_what_an_event_refers_to_must_be_there(kept: CatalogueStore) -> None:
    """House, organiser and hall, each named."""
    event = replace(_new().event, venue_id="nowhere", layout_id="ffff", organiser_id="nobody")

    assert kept.missing(_new().event) == []
    assert kept.missing(event) == [
        "organiser_id: there is no organiser 'nobody'",
        "venue_id: there is no venue 'nowhere'",
        "layout_id: there is no layout 'ffff'",
    ]


def test_a_change_is_seen_by_whoever_asks_since(kept: CatalogueStore) -> None:
    """Only what has changed comes, also when the clock stands still or jumps back."""
    for event_id in ("a", "b", "c"):
        kept.add_event(_new(event_id), NOW_MS)
    since_ms = max(known.event.changed_ms for known in kept.changed_since(-1))

    kept.update_event(replace(_event(kept, "b").event, title="New"), NOW_MS)
    kept.add_prices("c", _new().amounts, 1, NOW_MS - 10_000)

    assert [known.event.id for known in kept.changed_since(since_ms)] == ["b", "c"]
    assert kept.changed_since(max(known.event.changed_ms for known in kept.changed_since(-1))) == []


def test_changes_of_many_writers_have_times_of_their_own(kept: CatalogueStore) -> None:
    """Two changes never carry the same time, so that none hides behind another."""
    for number in range(8):
        kept.add_event(_new(f"event-{number}"), NOW_MS)

    def change(number: int) -> None:
        kept.update_event(replace(_event(kept, f"event-{number}").event, title="New"), NOW_MS)

    threads = [threading.Thread(target=change, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    known = kept.changed_since(-1)
    assert len({own.event.changed_ms for own in known}) == 8
    assert {own.event.title for own in known} == {"New"}


def test_an_update_of_something_old_is_refused(kept: CatalogueStore) -> None:
    """Of two who read the same state one wins."""
    kept.add_event(_new(), NOW_MS)
    event = _event(kept).event

    assert kept.update_event(replace(event, title="First"), NOW_MS)
    assert not kept.update_event(replace(event, title="Second"), NOW_MS)
    assert _event(kept).event.title == "First"


def test_prices_are_only_added_to(kept: CatalogueStore) -> None:
    """The newest version counts, the older ones stay what they were."""
    kept.add_event(_new(), NOW_MS)
    dearer = {tier: {"EUR": 9900, "JPY": 9900} for tier in (0, 1)}

    assert kept.add_prices("summer", dearer, 1, NOW_MS)

    assert (_event(kept).prices.version, _event(kept).prices.amounts) == (2, dearer)
    first = kept.prices("summer", 1)
    assert first is not None
    assert first.amounts == _new().amounts
    assert kept.prices("summer", 3) is None


def test_of_two_price_changes_at_once_one_wins(kept: CatalogueStore) -> None:
    """Both saw version 1; the second must look again."""
    kept.add_event(_new(), NOW_MS)

    assert kept.add_prices("summer", _new().amounts, 1, NOW_MS)
    assert not kept.add_prices("summer", _new().amounts, 1, NOW_MS)


def test_a_house_that_changes_its_name_changes_its_events(kept: CatalogueStore) -> None:
    """Whoever asks what has changed hears of them."""
    kept.add_event(_new(), NOW_MS)
    since_ms = _event(kept).event.changed_ms

    kept.put_venue(replace(VENUE, name="New Mill"), NOW_MS)

    assert [known.venue.name for known in kept.changed_since(since_ms)] == ["New Mill"]
    assert [venue.name for venue in kept.venues()] == ["New Mill"]
    assert kept.organisers() == [ORGANISER]


def test_an_allocation_is_replaced_by_its_name(kept: CatalogueStore) -> None:
    """A new code makes the old one worthless."""
    kept.add_event(_new(), NOW_MS)

    kept.put_allocation("summer", Allocation("fans", "fan-club", "other"), NOW_MS)

    assert _event(kept).allocations == (Allocation("fans", "fan-club", "other"),)


def test_a_layout_is_kept_once(kept: CatalogueStore) -> None:
    """The same hall again is the same row; an unknown one is None."""
    layout = kept.layout(layout_id(HALL))
    assert layout is not None

    kept.add_layout(layout)

    assert kept.layout(layout_id(HALL)) == layout
    assert kept.layout("ffff") is None


# ------------------------------------------------------------------------------------- seats


@pytest.fixture
def rows(shop_database: ShopDatabase) -> SeatRows:
    """Give the seats of an event: 40 in tier 0, then 5 in tier 1, then 15 in tier 0."""
    seat_rows = SeatRows(shop_database)
    assert seat_rows.make("summer", bytes(40) + bytes([1]) * 5 + bytes(15)) == 60
    return seat_rows


def test_seats_are_made_once(rows: SeatRows) -> None:
    """All free, each in its tier; a second call leaves them alone."""
    assert rows.make("summer", bytes([7]) * 3) == 60
    assert rows.octets("summer") == bytes(40) + bytes([0x10]) * 5 + bytes(15)
    assert rows.count("summer") == {Status.FREE: 60}


def test_blocking_is_all_or_nothing(rows: SeatRows) -> None:
    """One seat that is blocked already stands in the way of all, and is named."""
    assert rows.block("summer", [5, 3, 30, *range(10, 25)]) == Done((3, 5, *range(10, 25), 30))

    assert rows.block("summer", [29, 30, 31, 24]) == Busy((24, 30))
    assert rows.block("summer", [59, 60]) == Busy((60,))
    assert rows.count("summer") == {Status.FREE: 42, Status.BLOCKED: 18}


def test_unblocking_needs_blocked_seats(rows: SeatRows) -> None:
    """They are free again; a free one cannot be unblocked."""
    rows.block("summer", range(10), "fans")

    assert rows.unblock("summer", [9, 10]) == Busy((10,))
    assert rows.unblock("summer", range(10)) == Done(tuple(range(10)))
    assert rows.count("summer") == {Status.FREE: 60}


def test_a_tier_changes_whatever_the_status(rows: SeatRows) -> None:
    """Scattered seats and whole stretches alike; the status stays."""
    rows.block("summer", [2])

    rows.retier("summer", [2, 4, *range(20, 50)], 3)

    octets = rows.octets("summer")
    assert [octets[seat] for seat in (1, 2, 3, 4)] == [0x00, 0x34, 0x00, 0x30]
    assert octets[20:50] == bytes([0x30]) * 30


def test_thousands_of_scattered_seats_change_at_once(rows: SeatRows) -> None:
    """More than fit into one statement."""
    rows.make("large", bytes(6_000))

    assert isinstance(rows.block("large", range(0, 6_000, 2)), Done)
    assert rows.count("large") == {Status.FREE: 3_000, Status.BLOCKED: 3_000}


def test_two_who_block_overlapping_seats_do_not_lock_up(rows: SeatRows) -> None:
    """In opposite order and at once: one of them gets the seats, both get an answer."""
    outcomes: list[Done | Busy] = []

    def block(seats: range) -> None:
        outcomes.append(rows.block("summer", seats))

    threads = [threading.Thread(target=block, args=(seats,)) for seats in (range(50), range(49, -1, -2))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Busy", "Done"]
