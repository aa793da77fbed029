"""The catalogue's use cases: fresh for readers without asking SQL for each, changed for everybody within a second."""

import asyncio
import gzip
import time
from typing import Any

import orjson
import pytest

from checkout.catalogue import programme
from checkout.catalogue import reading as catalogue_reading
from checkout.catalogue.event import Known
from checkout.catalogue.reading import STALE_MS
from checkout.catalogue.searching import Query
from checkout.catalogue.service import Catalogue
from checkout.catalogue.store import CatalogueStore
from checkout.database import ShopDatabase
from checkout.halls.houses import arena_60000
from checkout.halls.layout import document, layout_id
from checkout.halls.seat_rows import Done, SeatRows
from checkout.halls.seats import Status
from checkout.money import Money, shown
from kernel.clock import ManualClock
from kernel.errors import Refused, Unavailable
from tests.checkout.catalogues import (
    NOW_MS,
    VENUE,
    catalogue_of,
    event_fields,
    small_layout,
    statements,
    with_event,
)


async def _detail(catalogue: Catalogue) -> dict[str, Any]:
    plain = orjson.loads((await catalogue.detail_json("summer")).octets)
    assert isinstance(plain, dict)
    return plain


async def test_the_detail_tells_all_facts(shop_database: ShopDatabase, clock: ManualClock) -> None:
    """What a page and a map need, and the exact times of the sale."""
    catalogue = catalogue_of(shop_database, clock)
    layout = await with_event(catalogue)

    detail = await _detail(catalogue)

    assert detail["layout"] == {"id": layout, "url": f"/layouts/{layout}.json", "seats": 45}
    assert [(row["name"], row["kind"], row["count"], row["tier"]) for row in detail["sections"]] == [
        ("Stalls", "seats", 20, 0),
        ("Side", "seats", 5, 1),
        ("Floor", "standing", 20, 1),
    ]
    assert detail["tiers"][1] == {"tier": 1, "name": "Back", "prices": {"EUR": 2500, "JPY": 4000}}
    assert detail["price_version"] == 1
    assert detail["limits"] == {"max_per_buyer": 4, "hold_s": 180, "grace_s": 300}
    assert detail["sale"]["standing"] == "on-sale"
    assert detail["channels"] == ["fan-club"]
    assert "MIDNIGHT" not in str(detail)


async def test_the_list_tells_what_a_list_shows(shop_database: ShopDatabase, clock: ManualClock) -> None:
    """One event with its lowest price in its own currency; no next page."""
    catalogue = catalogue_of(shop_database, clock)
    await with_event(catalogue)

    listing = orjson.loads((await catalogue.listing_json(Query(q="muhle"))).octets)

    assert listing["next"] is None
    assert [(row["id"], row["from_price_minor"], row["venue"]["city"]) for row in listing["events"]] == [
        ("summer", 2500, "Zürich")
    ]


async def test_the_layout_is_its_document(shop_database: ShopDatabase, clock: ManualClock) -> None:
    """Plain and packed are the same octets, and the tag is that of their hash."""
    catalogue = catalogue_of(shop_database, clock)
    layout = await with_event(catalogue)

    body = await catalogue.layout_json(layout)

    assert body.octets == document(small_layout()).encode()
    assert gzip.decompress(body.packed or b"") == body.octets
    assert body.etag.strip('"') == layout == layout_id(small_layout())


async def test_what_is_not_there_is_refused(shop_database: ShopDatabase, clock: ManualClock) -> None:
    """Unknown events, drafts and layouts are 404."""
    catalogue = catalogue_of(shop_database, clock)
    await with_event(catalogue, id="hidden", state="draft")

    for asked in (
        catalogue.detail_json("nothing"),
        catalogue.detail_json("hidden"),
        catalogue.layout_json("ff"),
    ):
        with pytest.raises(Refused) as caught:
            await asked
        assert caught.value.status == 404
    assert (await catalogue.known("hidden", drafts=True)).event.title == "Summer Night"


async def test_the_standing_of_the_sale_is_right_to_the_millisecond(
    shop_database: ShopDatabase, clock: ManualClock
) -> None:
    """A kept answer is not told a moment longer than it is true."""
    catalogue = catalogue_of(shop_database, clock)
    await with_event(catalogue, sale_from_ms=NOW_MS + 100, sale_until_ms=NOW_MS + 200)
    seen = []

    for _ in range(3):
        seen += [(await _detail(catalogue))["sale"]["standing"]]
        clock.advance(99)
        seen += [(await _detail(catalogue))["sale"]["standing"]]
        clock.advance(1)

    assert seen == ["not-yet", "not-yet", "on-sale", "on-sale", "over", "over"]


async def test_statements_do_not_grow_with_readers(shop_database: ShopDatabase, clock: ManualClock) -> None:
    """Three seconds of 1,000 reads each, lists and details: at most two statements a second."""
    catalogue = catalogue_of(shop_database, clock)
    await with_event(catalogue)
    await _detail(catalogue)

    with statements(shop_database._engine, shop_database._reader) as seen:
        for _ in range(300):
            asked = [
                catalogue.detail_json("summer") if index % 2 else catalogue.listing_json(Query())
                for index in range(10)
            ]
            await asyncio.gather(*asked)
            clock.advance(10)

    assert len(seen) <= 6


async def test_a_cold_start_asks_once_for_all_who_wait(
    shop_database: ShopDatabase, clock: ManualClock
) -> None:
    """A hundred readers at once load the catalogue and the layout once."""
    await with_event(catalogue_of(shop_database, clock))
    cold = catalogue_of(shop_database, clock)

    with statements(shop_database._engine, shop_database._reader) as seen:
        await asyncio.gather(*(cold.detail_json("summer") for _ in range(100)))

    assert len(seen) == len(set(seen)) <= 8


async def test_without_the_memory_of_answers_statements_would_grow(
    shop_database: ShopDatabase, clock: ManualClock
) -> None:
    """The mutant: a catalogue that checks for every reader asks SQL for every one."""
    await with_event(catalogue_of(shop_database, clock))
    mutant = Catalogue(
        CatalogueStore(shop_database), lambda _event: SeatRows(shop_database), clock, check_ms=0
    )

    with statements(shop_database._engine, shop_database._reader) as seen:
        for _ in range(50):
            await mutant.detail_json("summer")

    assert len(seen) > 50


async def test_a_price_change_is_there_before_the_call_returns(
    shop_database: ShopDatabase, clock: ManualClock
) -> None:
    """Write-through here; another worker has it when its next check is due."""
    here, there = catalogue_of(shop_database, clock), catalogue_of(shop_database, clock)
    await with_event(here)
    assert (await _detail(there))["price_version"] == 1

    version = await here.set_prices("summer", {1: {"EUR": 3000}})

    mine, theirs = await _detail(here), await _detail(there)
    assert (version, mine["price_version"], mine["tiers"][1]["prices"]["EUR"]) == (2, 2, 3000)
    assert mine["tiers"][1]["prices"]["JPY"] == 4000
    assert theirs["price_version"] == 1
    clock.advance(500)
    assert (await _detail(there))["tiers"][1]["prices"]["EUR"] == 3000


async def test_an_old_version_of_prices_stays_to_be_had(
    shop_database: ShopDatabase, clock: ManualClock
) -> None:
    """A hold keeps the price that it was made at."""
    catalogue = catalogue_of(shop_database, clock)
    await with_event(catalogue)
    await catalogue.set_prices("summer", {0: {"EUR": 1}})

    assert (await catalogue.prices("summer", 1)).amount_minor(0, "EUR") == 4200
    assert (await catalogue.prices("summer", 2)).amount_minor(0, "EUR") == 1
    with statements(shop_database._engine) as seen:
        await catalogue.prices("summer", 1)
    assert seen == []
    with pytest.raises(Refused):
        await catalogue.prices("summer", 3)


async def test_a_replica_that_lags_takes_no_change_back(
    shop_database: ShopDatabase, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a check reads is dropped if memory has something newer."""
    catalogue = catalogue_of(shop_database, clock)
    await with_event(catalogue)
    old = await catalogue.known("summer")
    await catalogue.set_prices("summer", {0: {"EUR": 1}})

    def lagging(_store: CatalogueStore, _since_ms: int) -> list[Known]:
        return [old]

    monkeypatch.setattr(CatalogueStore, "changed_since", lagging)
    clock.advance(500)

    assert (await _detail(catalogue))["price_version"] == 2


async def test_prices_with_a_fault_change_nothing(shop_database: ShopDatabase, clock: ManualClock) -> None:
    """A currency for one tier only, an unknown tier: refused, with all faults."""
    catalogue = catalogue_of(shop_database, clock)
    await with_event(catalogue)

    with pytest.raises(Refused) as caught:
        await catalogue.set_prices("summer", {0: {"GBP": 1}, 7: {"EUR": -1}})

    assert caught.value.code == "prices-invalid"
    assert caught.value.extra["faults"] == [
        "tier 7: there is no such tier",
        "tier 1: a price in GBP is missing",
        "tier 7: the price in EUR must be whole minor units from 0 to 1000000000000",
    ]
    assert (await _detail(catalogue))["price_version"] == 1


async def test_while_sql_is_away_what_was_known_is_told(
    shop_database: ShopDatabase, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a minute, with one attempt a second; then the truth."""
    catalogue = catalogue_of(shop_database, clock)
    await with_event(catalogue)
    before = await _detail(catalogue)
    attempts: list[int] = []

    def away(_store: CatalogueStore, since_ms: int) -> list[Known]:
        attempts.append(since_ms)
        raise Unavailable("shop-away", "away")

    monkeypatch.setattr(CatalogueStore, "changed_since", away)
    for _ in range(STALE_MS // 100):
        clock.advance(100)
        assert await _detail(catalogue) == before

    assert len(attempts) <= STALE_MS // 1_000 + 1
    clock.advance(1)
    with pytest.raises(Unavailable):
        await catalogue.detail_json("summer")


async def test_a_check_that_hangs_keeps_nobody_waiting(
    shop_database: ShopDatabase, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readers get what was known; the check goes on behind them."""
    catalogue = catalogue_of(shop_database, clock)
    await with_event(catalogue)
    before = await _detail(catalogue)
    go_on = asyncio.Event()

    async def hanging(_catalogue: Catalogue, _now_ms: int) -> None:
        await go_on.wait()

    monkeypatch.setattr(catalogue_reading, "PATIENCE_S", 0)
    monkeypatch.setattr(Catalogue, "_check", hanging)
    clock.advance(500)

    assert await _detail(catalogue) == before
    go_on.set()


async def test_a_new_event_has_its_seats(shop_database: ShopDatabase, clock: ManualClock) -> None:
    """All free, in the tier of their section."""
    catalogue = catalogue_of(shop_database, clock)
    await with_event(catalogue)

    assert SeatRows(shop_database).octets("summer") == bytes(20) + bytes([0x10]) * 25


async def test_a_second_event_of_that_id_is_refused(shop_database: ShopDatabase, clock: ManualClock) -> None:
    """Nothing of the first one changes."""
    catalogue = catalogue_of(shop_database, clock)
    layout = await with_event(catalogue)

    with pytest.raises(Refused) as caught:
        await catalogue.create_event(event_fields(layout, title="Other"))

    assert (caught.value.code, caught.value.status) == ("event-exists", 409)
    assert (await _detail(catalogue))["title"] == "Summer Night"


async def test_an_event_that_does_not_fit_its_hall_is_refused(
    shop_database: ShopDatabase, clock: ManualClock
) -> None:
    """References, sections and seats are held against what is there."""
    catalogue = catalogue_of(shop_database, clock)
    layout = await with_event(catalogue)

    for fields, tiers, fault in (
        (event_fields(layout, id="b", venue_id="nowhere"), None, "venue_id: there is no venue 'nowhere'"),
        (event_fields(layout, id="b", section_tiers={"3": 0}), None, "section_tiers: there is no section 3"),
        (
            event_fields(layout, id="b"),
            bytes(44),
            "tiers: they must be one of the tiers for each of the 45 seats",
        ),
        (
            event_fields(layout, id="b"),
            bytes([9]) * 45,
            "tiers: they must be one of the tiers for each of the 45 seats",
        ),
    ):
        with pytest.raises(Refused) as caught:
            await catalogue.create_event(fields, tiers)
        assert caught.value.extra["faults"] == [fault]


async def test_a_crash_before_the_seats_leaves_a_draft_that_publishing_completes(
    shop_database: ShopDatabase, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that could be looked at has no seats."""
    catalogue = catalogue_of(shop_database, clock)
    monkeypatch.setattr(SeatRows, "make", _away)
    with pytest.raises(Unavailable):
        await with_event(catalogue)
    monkeypatch.undo()
    clock.advance(500)
    with pytest.raises(Refused):
        await catalogue.known("summer")

    await catalogue.update_event("summer", {"state": "published"})

    assert (await catalogue.known("summer")).event.id == "summer"
    assert SeatRows(shop_database).octets("summer") == bytes(20) + bytes([0x10]) * 25


def _away(*_arguments: object) -> int:
    raise Unavailable("shop-away", "away")


async def test_an_update_is_seen_at_once_and_refused_if_it_is_late(
    shop_database: ShopDatabase, clock: ManualClock
) -> None:
    """Who read an older state hears 412 and has changed nothing."""
    catalogue = catalogue_of(shop_database, clock)
    await with_event(catalogue)
    read_ms = (await catalogue.known("summer")).event.changed_ms

    await catalogue.update_event("summer", {"title": "First"}, read_ms)
    with pytest.raises(Refused) as caught:
        await catalogue.update_event("summer", {"title": "Second"}, read_ms)

    assert (caught.value.code, caught.value.status) == ("event-changed", 412)
    assert (await _detail(catalogue))["title"] == "First"


async def test_an_update_with_faults_tells_them_all(shop_database: ShopDatabase, clock: ManualClock) -> None:
    """A currency without prices and a house that is not there."""
    catalogue = catalogue_of(shop_database, clock)
    await with_event(catalogue)

    with pytest.raises(Refused) as caught:
        await catalogue.update_event("summer", {"currency": "GBP", "venue_id": "nowhere"})

    assert caught.value.extra["faults"] == [
        "tier 0: a price in GBP is missing",
        "tier 1: a price in GBP is missing",
        "venue_id: there is no venue 'nowhere'",
    ]


async def test_seats_and_sections_change_their_tier(shop_database: ShopDatabase, clock: ManualClock) -> None:
    """The caller hears which seats to mark; the sections' tiers are told at once."""
    catalogue = catalogue_of(shop_database, clock)
    await with_event(catalogue)

    done = await catalogue.retier("summer", 0, seats=[26], sections=[1])

    assert done == Done((20, 21, 22, 23, 24, 26))
    assert [row["tier"] for row in (await _detail(catalogue))["sections"]] == [0, 0, 1]
    assert SeatRows(shop_database).octets("summer") == bytes(25) + b"\x10\x00" + b"\x10" * 18


async def test_seats_are_blocked_for_an_allocation(shop_database: ShopDatabase, clock: ManualClock) -> None:
    """Only for one that exists, only seats that exist, and back again."""
    catalogue = catalogue_of(shop_database, clock)
    await with_event(catalogue)

    assert await catalogue.block("summer", [1, 2], "fans") == Done((1, 2))
    assert SeatRows(shop_database).count("summer") == {Status.FREE: 43, Status.BLOCKED: 2}
    assert await catalogue.unblock("summer", [1, 2]) == Done((1, 2))
    for seats, allocation in (([45], None), ([-1], None), ([], None), ([1], "nobody")):
        with pytest.raises(Refused):
            await catalogue.block("summer", seats, allocation)
    for tier, sections in ((9, [0]), (0, [3]), (0, [])):
        with pytest.raises(Refused):
            await catalogue.retier("summer", tier, sections=sections)


async def test_houses_and_codes_change_for_readers_at_once(
    shop_database: ShopDatabase, clock: ManualClock
) -> None:
    """Written through like everything else."""
    catalogue = catalogue_of(shop_database, clock)
    await with_event(catalogue)

    await catalogue.put_venue(type(VENUE)(VENUE.id, "New Mill", VENUE.city, VENUE.country, VENUE.time_zone))
    await catalogue.put_allocation("summer", "press", "box-office", "")

    detail = await _detail(catalogue)
    assert detail["venue"]["name"] == "New Mill"
    assert detail["channels"] == ["box-office", "fan-club"]


# --------------------------------------------------------------------------------- programme


async def test_the_programme_fills_an_empty_database_once(
    shop_database: ShopDatabase, clock: ManualClock
) -> None:
    """Four events, two houses, on sale from now; the second time nothing is added."""
    catalogue = catalogue_of(shop_database, clock)

    made = await programme.fill(catalogue, NOW_MS, "main")
    again = await programme.fill(catalogue_of(shop_database, clock), NOW_MS + 1, "main")

    assert made == ["northern-lights", "paper-lanterns", "late-trains", "small-hours"]
    assert again == []
    listing = orjson.loads((await catalogue.listing_json(Query())).octets)
    assert [(row["id"], row["venue"]["id"]) for row in listing["events"]] == [
        ("northern-lights", "harbour-theatre"),
        ("paper-lanterns", "harbour-theatre"),
        ("late-trains", "harbour-theatre"),
        ("small-hours", "northfield-arena"),
    ]
    assert {row["sale"]["standing"] for row in listing["events"]} == {"on-sale"}
    rows = SeatRows(shop_database)
    assert sum(rows.count("northern-lights").values()) == 2_000
    assert sum(rows.count("small-hours").values()) == 60_000


async def test_one_evening_of_the_programme_has_three_currencies(
    shop_database: ShopDatabase, clock: ManualClock
) -> None:
    """In round prices, as people print them."""
    catalogue = catalogue_of(shop_database, clock)
    await programme.fill(catalogue, NOW_MS)

    known = await catalogue.known("northern-lights")

    assert known.prices.currencies == ("EUR", "GBP", "JPY")
    texts = [shown(Money(known.prices.amount_minor(1, code), code), "en") for code in known.prices.currencies]
    assert texts == ["€42.00", "£36.00", "¥7,100"]


async def test_sixty_thousand_seats_are_made_and_repriced_in_time(
    shop_database: ShopDatabase, clock: ManualClock
) -> None:
    """An event in the arena below 5 s, all its prices below 1 s until they show, all its tiers below 5 s."""
    catalogue = catalogue_of(shop_database, clock)
    await programme.fill(catalogue, NOW_MS)
    plan = arena_60000()
    fields = event_fields(
        layout_id(plan.layout), venue_id="northfield-arena", organiser_id="long-night", id="big"
    )
    fields |= {"section_tiers": {}}
    fields["tiers"] = [
        {"tier": tier, "name": name, "prices": {"EUR": 100}} for tier, name in enumerate(plan.tier_names)
    ]
    before_s = time.perf_counter()
    await catalogue.create_event(fields, plan.tiers)
    made_s = time.perf_counter()
    await catalogue.set_prices("big", {tier: {"EUR": 200} for tier in range(5)})
    detail = orjson.loads((await catalogue.detail_json("big")).octets)
    priced_s = time.perf_counter()
    done = await catalogue.retier("big", 2, sections=range(len(plan.layout.sections)))
    tiered_s = time.perf_counter()

    assert {row["prices"]["EUR"] for row in detail["tiers"]} == {200}
    assert len(done.seats) == 60_000
    assert made_s - before_s < 5
    assert priced_s - made_s < 1
    assert tiered_s - priced_s < 5
