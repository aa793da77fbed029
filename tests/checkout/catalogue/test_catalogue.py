"""The catalogue's rules: what an event must say, prices that are whole, codes, and what a list finds."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout.catalogue.event import (
    Known,
    Prices,
    allocation_for,
    changed,
    code_hash,
    merged,
    price_faults,
    read_event,
    read_prices,
    seat_tiers,
    section_tiers_of,
)
from checkout.catalogue.searching import Query, folded, page, programme, read_query
from checkout.catalogue.selling import State
from kernel.errors import Refused
from tests.checkout.catalogues import DAY_MS, NOW_MS, ORGANISER, VENUE, event_fields

FIELDS = event_fields("0123456789abcdef")


def _faults(fields: object) -> list[str]:
    with pytest.raises(Refused) as caught:
        read_event(fields)
    assert caught.value.code == "event-invalid"
    told = caught.value.extra["faults"]
    assert isinstance(told, list)
    return told


def _known(**changes: Any) -> Known:
    new = read_event(FIELDS)
    return Known(
        replace(new.event, **changes),
        ORGANISER,
        VENUE,
        new.tiers,
        Prices(1, new.amounts),
        new.section_tiers,
        new.allocations,
    )


def test_an_event_is_read() -> None:
    """Every field arrives, the code of an allocation only as its hash."""
    new = read_event(FIELDS)

    assert new.event.title == "Summer Night"
    assert new.event.state is State.PUBLISHED
    assert new.tiers == {0: "Front", 1: "Back"}
    assert new.amounts[1] == {"EUR": 2500, "JPY": 4000}
    assert new.section_tiers == {0: 0, 1: 1, 2: 1}
    assert "MIDNIGHT" not in repr(new)


def test_what_may_be_left_out_has_a_default() -> None:
    """A new event is a draft with usual limits."""
    short = {
        name: FIELDS[name] for name in ("id", "organiser_id", "venue_id", "layout_id", "title", "currency")
    }
    times = {name: FIELDS[name] for name in ("starts_ms", "sale_from_ms", "sale_until_ms", "tiers")}

    event = read_event({**short, **times}).event

    assert (event.state, event.max_per_buyer, event.hold_s, event.room) == (State.DRAFT, 6, 240, "")


@pytest.mark.parametrize(
    ("field", "value", "fault"),
    [
        ("id", "Summer!", "id: it must be lower-case letters, digits and hyphens, at most 63"),
        ("id", None, "id: it must be lower-case letters, digits and hyphens, at most 63"),
        ("venue_id", "", "venue_id: it must be lower-case letters, digits and hyphens, at most 63"),
        ("layout_id", 7, "layout_id: it must be a text"),
        ("title", "", "title: it must be a text of 1 to 200 characters"),
        ("about", "x" * 5001, "about: it must be a text of 0 to 5000 characters"),
        ("starts_ms", "soon", "starts_ms: it must be a whole number from 0 to 253402300799999"),
        ("starts_ms", 1.5, "starts_ms: it must be a whole number from 0 to 253402300799999"),
        ("sale_until_ms", NOW_MS - DAY_MS, "sale_until_ms: the sale must end after it begins"),
        ("state", "sold", "state: it must be one of draft, published, cancelled"),
        ("state", [], "state: it must be one of draft, published, cancelled"),
        ("currency", "DEM", "currency 'DEM': there is no such currency in use"),
        ("currency", 7, "currency: it must be a code of three letters"),
        ("currency", "USD", "tier 0: a price in USD is missing"),
        ("max_per_buyer", 0, "max_per_buyer: it must be a whole number from 1 to 100"),
        ("max_per_buyer", True, "max_per_buyer: it must be a whole number from 1 to 100"),
        ("hold_s", 119, "hold_s: it must be a whole number from 120 to 300"),
        ("hold_s", 301, "hold_s: it must be a whole number from 120 to 300"),
        ("grace_s", 29, "grace_s: it must be a whole number from 30 to 3600"),
        ("room", "Main Room", "room: it must be the name of a room, or empty"),
        ("colour", "red", "colour: it is unknown"),
        ("tiers", [], "tiers: it must be a list of 1 to 16 tiers"),
        ("tiers", [7], "tiers[0]: it must be an object with tier, name and prices"),
        (
            "tiers",
            [{"tier": 16, "name": "A", "prices": {}}],
            "tiers[0]: tier must be a whole number from 0 to 15 that is there once",
        ),
        (
            "tiers",
            [{"tier": 0, "name": "", "prices": {}}],
            "tiers[0]: name must be a text of 1 to 120 characters",
        ),
        (
            "tiers",
            [{"tier": 0, "name": "A", "prices": {"EUR": 4.2}}],
            "tier 0: the price in EUR must be whole minor units from 0 to 1000000000000",
        ),
        (
            "tiers",
            [{"tier": 0, "name": "A", "prices": {"EUR": -1}}],
            "tier 0: the price in EUR must be whole minor units from 0 to 1000000000000",
        ),
        (
            "section_tiers",
            {"0": 9},
            "section_tiers: section 0 must be a section's index, its tier one of the tiers",
        ),
        (
            "section_tiers",
            {"x": [0]},
            "section_tiers: section x must be a section's index, its tier one of the tiers",
        ),
        (
            "tiers",
            [{"tier": 0, "name": "A", "prices": 7}],
            "tiers[0]: prices must be an object like {'EUR': 4200}",
        ),
        ("section_tiers", [0], "section_tiers: it must be an object from section to tier"),
        ("allocations", {}, "allocations: it must be a list"),
        (
            "allocations",
            [{"name": "a"}],
            "allocations[0]: it must be an object with name, channel and perhaps code",
        ),
        (
            "allocations",
            [{"name": "a", "channel": "b"}] * 2,
            "allocations[1]: name and channel must be slugs, each name once",
        ),
        (
            "allocations",
            [{"name": "a", "channel": "b", "code": 7}],
            "allocations[0]: code must be a text of at most 64 characters",
        ),
    ],
)
def test_a_fault_is_told_with_its_field(field: str, value: object, fault: str) -> None:
    """Each rule of an event, broken once."""
    assert fault in _faults({**FIELDS, field: value})


def test_all_faults_of_an_event_are_told_at_once() -> None:
    """Three fields wrong are three faults, not one after the other."""
    assert len(_faults({**FIELDS, "id": "", "hold_s": 1, "title": 7})) == 3


@pytest.mark.parametrize("rubbish", [None, [], "event", 7])
def test_what_is_no_event_is_refused(rubbish: object) -> None:
    """Rubbish is a fault and never an exception of ours."""
    assert _faults(rubbish) == ["the event must be an object"]


@given(
    st.sampled_from(sorted(FIELDS)),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=8,
    ),
)
def test_no_field_makes_the_reader_stumble(field: str, rubbish: Any) -> None:
    """Anything in any field is either read or refused."""
    try:
        read_event({**FIELDS, field: rubbish})
    except Refused as error:
        assert error.code == "event-invalid"  # noqa: PT017 (either way is right)


def test_a_change_keeps_what_it_does_not_name() -> None:
    """A new title is a new title and nothing else."""
    event = read_event(FIELDS).event

    assert changed(event, {"title": "Winter Night"}) == replace(event, title="Winter Night")


@pytest.mark.parametrize("field", ["id", "layout_id", "tiers", "allocations", "changed_ms"])
def test_what_is_sold_cannot_be_changed(field: str) -> None:
    """The hall and the prices have ways of their own."""
    with pytest.raises(Refused) as caught:
        changed(read_event(FIELDS).event, {field: "other", "colour": "red"})

    assert caught.value.extra["faults"] == [f"{field}: it cannot be changed here", "colour: it is unknown"]


def test_a_change_must_be_an_object() -> None:
    """A list of changes is none."""
    with pytest.raises(Refused) as caught:
        changed(read_event(FIELDS).event, ["title"])

    assert caught.value.extra["faults"] == ["the change must be an object"]


def test_every_tier_has_every_currency() -> None:
    """A cart of any seats can be priced in one currency."""
    assert price_faults({0: {"EUR": 1, "GBP": 1}, 1: {"EUR": 1}}, {0, 1}, "EUR") == [
        "tier 1: a price in GBP is missing"
    ]
    assert price_faults({0: {"EUR": 1}}, {0, 1}, "EUR") == ["tier 1: a price in EUR is missing"]
    assert price_faults({0: {"EUR": 1}, 3: {"EUR": 1}}, {0}, "EUR") == ["tier 3: there is no such tier"]


def test_changed_prices_leave_the_old_ones_alone() -> None:
    """A version is a copy; the one before stays what it was."""
    before = {0: {"EUR": 1}, 1: {"EUR": 2}}

    assert merged(before, {1: {"EUR": 3}}) == {0: {"EUR": 1}, 1: {"EUR": 3}}
    assert before[1] == {"EUR": 2}


@pytest.mark.parametrize(
    "plain", [None, [], {}, [{"tier": 0}], [{"tier": 16, "prices": {}}], [{"tier": 0, "prices": 7}]]
)
def test_what_is_no_price_list_is_refused(plain: object) -> None:
    """Changed prices are rows of a tier and its prices."""
    with pytest.raises(Refused):
        read_prices(plain)


def test_a_price_list_is_read() -> None:
    """Tier by tier."""
    assert read_prices([{"tier": 1, "prices": {"EUR": 5}}]) == {1: {"EUR": 5}}


def test_a_code_opens_its_allocation_only() -> None:
    """The right code of this event; '' opens nothing, nor does the same code of another event."""
    known = _known()

    found = allocation_for(known, "MIDNIGHT")

    assert found is not None
    assert found.name == "fans"
    assert allocation_for(known, "midnight") is None
    assert allocation_for(known, "") is None
    assert code_hash("summer", "MIDNIGHT") != code_hash("winter", "MIDNIGHT")


def test_an_allocation_without_a_code_is_opened_by_none() -> None:
    """Its channel has its own way in."""
    known = replace(
        _known(),
        allocations=read_event({**FIELDS, "allocations": [{"name": "a", "channel": "b"}]}).allocations,
    )

    assert allocation_for(known, "") is None


def test_a_seat_has_the_tier_of_its_section() -> None:
    """And from the seats the section's usual tier is found again."""
    spans = [(0, 3), (3, 2)]

    assert seat_tiers(spans, {1: 4}) == bytes([0, 0, 0, 4, 4])
    assert section_tiers_of(spans, bytes([0, 2, 2, 4, 3])) == {0: 2, 1: 3}


# ------------------------------------------------------------------------------------- lists

EVENTS = [
    _known(id="a", title="Frühlingslied", starts_ms=NOW_MS + 1),
    _known(id="b", title="Łódź calling", starts_ms=NOW_MS + 2),
    _known(id="c", title="Straße", about="ÆRØ", starts_ms=NOW_MS + 2),
    _known(id="d", title="Old", starts_ms=NOW_MS - DAY_MS),
    _known(id="e", title="Secret", starts_ms=NOW_MS + 3, state=State.DRAFT),
    _known(id="f", title="Off", starts_ms=NOW_MS + 9, state=State.CANCELLED),
]
LISTED = programme(EVENTS)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (Query(), "abcf"),
        (Query(from_ms=0), "dabcf"),
        (Query(until_ms=NOW_MS + 2), "a"),
        (Query(from_ms=NOW_MS + 2, until_ms=NOW_MS + 3), "bc"),
        (Query(q="fruhlingslied"), "a"),
        (Query(q="FRÜHLINGS"), "a"),
        (Query(q="lodz"), "b"),
        (Query(q="strasse aero"), "c"),
        (Query(q="calling nobody"), ""),
        (Query(q="muhle zurich"), "abcf"),
        (Query(city="ZURICH"), "abcf"),
        (Query(city="Zür"), ""),
        (Query(q="secret"), ""),
    ],
)
def test_a_list_finds_by_words_town_and_date(query: Query, found: str) -> None:
    """Case and accents do not matter, all words must be there, drafts never are."""
    assert "".join(known.event.id for known in page(LISTED, query, NOW_MS).events) == found


@given(st.integers(1, 6), st.integers(0, 8))
def test_pages_together_are_the_list(limit: int, gone: int) -> None:
    """Whatever the size of a page; an event that goes in between makes none repeat or vanish."""
    seen: list[str] = []
    after, listed = "", LISTED
    for _ in range(10):
        found = page(listed, Query(after=after, limit=limit), NOW_MS)
        seen += [known.event.id for known in found.events]
        listed = programme(
            [known for known in EVENTS if known.event.id != (seen[gone] if gone < len(seen) else "")]
        )
        after = found.next
        if not after:
            break

    assert seen == list("abcf")


@pytest.mark.parametrize(
    "plain",
    [
        {"limit": "0"},
        {"limit": "101"},
        {"limit": "ten"},
        {"from_ms": "-1"},
        {"until_ms": "1e3"},
        {"after": "nonsense"},
        {"after": "MQ"},
        {"q": "x" * 201},
        {"page": "2"},
    ],
)
def test_a_query_that_cannot_be_is_refused(plain: dict[str, str]) -> None:
    """Bad numbers, foreign cursors, unknown parameters."""
    with pytest.raises(Refused) as caught:
        read_query(plain)

    assert caught.value.code == "query-invalid"


def test_a_query_is_read() -> None:
    """Each parameter arrives."""
    cursor = page(LISTED, Query(limit=1), NOW_MS).next

    assert read_query(
        {"q": "a b", "city": "Zürich", "from_ms": "1", "until_ms": "2", "after": cursor}
    ) == Query("a b", "Zürich", 1, 2, cursor)


@given(st.text(max_size=40))
def test_folding_twice_is_folding_once(text: str) -> None:
    """So it does not matter which side of a comparison is folded already."""
    assert folded(folded(text)) == folded(text)
