"""Reports: what was sold and for how much, as the database adds it up; prices that change change none of it."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from checkout.database import ShopDatabase
from checkout.halls.houses import arena_60000
from checkout.halls.plans import Plan
from checkout.halls.seat_rows import SeatRows
from checkout.holds.places import OnePlace, Place
from checkout.holds.service import Holding
from checkout.holds.wishes import Named, Told, Wish
from checkout.organiser.importing import Importing, Kind, kind_of_file
from checkout.organiser.reporting import Report, Reporting, Sum
from checkout.organiser.service import Organising
from checkout.organiser.web import OrganiserWeb
from checkout.sales.service import Told as Reserved
from checkout.tables import RESERVATION_SEATS, RESERVATIONS
from kernel.clock import ManualClock
from kernel.errors import Refused
from tests.checkout.catalogues import ORGANISER, VENUE, catalogue_of, event_fields, with_event
from tests.checkout.halls.test_plans import GOOD
from tests.checkout.organisers import EVENT as SUMMER
from tests.checkout.organisers import desk
from tests.checkout.reservations import EVENT, Scene, on_sale
from tests.checkout.waitlists import hold_id


def _reporting(scene: Scene) -> Reporting:
    return Reporting(scene.catalogue, OnePlace(scene.place), scene.clock)


def _sold(scene: Scene, reservation: str) -> None:
    """Say that a reservation is paid for, as the next part of the shop will."""
    with scene.database.writing() as connection:
        connection.execute(
            sa.update(RESERVATIONS).where(RESERVATIONS.c.id == reservation).values(state="sold")
        )


def _sum(database: ShopDatabase, event: str) -> dict[str, int]:
    """Add up all seats that are anybody's, by currency, in one plain statement."""
    query = sa.text(
        "SELECT r.currency, SUM(s.price_minor) FROM reservation_seats s JOIN reservations r "
        "ON r.id = s.reservation_id WHERE s.active AND r.event_id = :event GROUP BY r.currency"
    )
    with database.reading() as connection:
        return {currency: int(total) for currency, total in connection.execute(query, {"event": event})}


def _added(report: Report) -> dict[str, int]:
    totals = report.totals()
    return {
        currency: totals["active"].get(currency, 0) + totals["sold"].get(currency, 0)
        for currency in totals["active"].keys() | totals["sold"].keys()
    }


async def test_seats_add_up_to_the_capacity_and_money_to_what_was_reserved(
    shop_url: str, store_url: str
) -> None:
    """Free, held, reserved, blocked; a hold that became a reservation counts once, one that is over not at all."""
    async with on_sale(shop_url, store_url) as scene:
        _sold(scene, await scene.reserved("ann", 0, 1))
        await scene.reserved("bob", 25)
        await scene.hold("eve", 2, 3, 4)
        released = await scene.hold("zoe", 5)
        SeatRows(scene.database).block(EVENT, [30, 31], "fans")
        await scene.reserving.give_back(EVENT, "kim", await scene.reserved("kim", 8, 9))
        await scene.holds.release(EVENT, hold_id(EVENT, "zoe", "k(5,)"), "zoe")
        assert released
        await scene.drain()

        report = await _reporting(scene).report(EVENT)

        assert report.seats == {"free": 37, "held": 3, "reserved": 3, "sold": 0, "blocked": 2}
        assert sum(report.seats.values()) == 45
        assert report.sums == (Sum("active", 1, "EUR", 1, 2500), Sum("sold", 0, "EUR", 2, 8400))
        assert report.totals() == {"active": {"EUR": 2500}, "sold": {"EUR": 8400}}
        assert _added(report) == _sum(scene.database, EVENT)
        scene.clock.advance(1_000_000)
        assert (await _reporting(scene).report(EVENT)).seats["held"] == 0


async def test_an_event_without_a_sale_is_all_free(shop_url: str, store_url: str) -> None:
    """And one that is not there is refused."""
    async with on_sale(shop_url, store_url) as scene:
        report = await _reporting(scene).report(EVENT)

        assert (report.seats["free"], report.sums, report.waiting) == (45, (), 0)
        with pytest.raises(Refused):
            await _reporting(scene).report("none")


async def test_report_and_table_are_had_by_http(shop_url: str, store_url: str, clock: ManualClock) -> None:
    """The table as a file to save."""
    async with desk(shop_url, store_url, clock) as own:
        await own.post("/block", {"seats": [0]})

        report = await own.ask("GET", f"/events/{SUMMER}/report")
        table = await own.ask("GET", f"/events/{SUMMER}/seats.csv")

        assert report.json() == {
            "event": SUMMER,
            "at_ms": clock.now_ms(),
            "seats": {"free": 44, "held": 0, "reserved": 0, "sold": 0, "blocked": 1},
            "capacity": 45,
            "sums": [],
            "totals": {"active": {}, "sold": {}},
            "waiting": 0,
        }
        assert table.headers["content-type"] == "text/csv; charset=utf-8"
        assert table.headers["content-disposition"] == f'attachment; filename="{SUMMER}-seats.csv"'
        assert table.text.count("\r\n") == 46


# ------------------------------------------------------------------------------- prices (row 34, H10)


async def _arena(scene: Scene) -> Plan:
    """Put an event of 60,000 places on sale."""
    plan = arena_60000()
    layout = await scene.catalogue.add_layout(VENUE.id, plan.layout)
    tiers = [
        {"tier": tier, "name": name, "prices": {"EUR": 5000 + tier}}
        for tier, name in enumerate(plan.tier_names)
    ]
    fields = event_fields(
        layout, id="arena", organiser_id=ORGANISER.id, tiers=tiers, section_tiers={}, allocations=[]
    )
    await scene.catalogue.create_event(fields, plan.tiers)
    await scene.rebuilder.rebuild("arena")
    return plan


async def test_sixty_thousand_seats_get_a_new_price_and_open_holds_keep_the_old(
    shop_url: str, store_url: str
) -> None:
    """Seed row 34 and failure H10: seen here before the answer, in other workers after their next look.

    That comes within a second. Who holds or has reserved pays what it was; the report adds up to what SQL adds up to.
    """
    async with on_sale(shop_url, store_url) as scene:
        plan = await _arena(scene)
        places = OnePlace(scene.place)
        other = catalogue_of(scene.database, scene.clock)

        async def rebuild(event: str) -> None:
            await scene.rebuilder.rebuild(event)

        async def held(catalogue: object, buyer: str, *seats: int) -> Told:
            holding = Holding(catalogue, places, rebuild, hold_id, scene.clock, scene.metrics)  # type: ignore[arg-type]
            told = await holding.hold("arena", buyer, "k", Wish(Named(seats)), b"")
            assert isinstance(told, Told), told
            return told

        first, second = await held(scene.catalogue, "ann", 0, 1), await held(other, "bob", 30_000)
        reserved = await held(scene.catalogue, "eve", 4)
        assert isinstance(await scene.reserving.reserve("arena", "eve", reserved.paper["hold"]), Reserved)
        old = [told.paper["total_minor"] for told in (first, second, reserved)]
        changes = {tier: {"EUR": 9000 + tier} for tier in range(len(plan.tier_names))}

        await scene.catalogue.set_prices("arena", changes)

        here = await held(scene.catalogue, "kim", 2, 3)
        assert here.paper["total_minor"] == sum(9000 + plan.tiers[seat] for seat in (2, 3))
        scene.clock.advance(1_000)
        there = await held(other, "zoe", 30_002)
        assert there.paper["total_minor"] == 9000 + plan.tiers[30_002]
        papers = []
        for buyer, told in (("ann", first), ("bob", second), ("kim", here), ("zoe", there)):
            outcome = await scene.reserving.reserve("arena", buyer, told.paper["hold"])
            assert isinstance(outcome, Reserved)
            papers.append(outcome.paper["total_minor"])
        assert papers == [*old[:2], here.paper["total_minor"], there.paper["total_minor"]]
        report = await _reporting(scene).report("arena")
        assert report.totals()["active"]["EUR"] == sum(papers) + old[2]
        assert _added(report) == _sum(scene.database, "arena")
        assert sum(report.seats.values()) == 60_000
        with scene.database.reading() as connection:
            prices = set(connection.scalars(sa.select(RESERVATION_SEATS.c.price_minor)))
        before, after = (0, 1, 4, 30_000), (2, 3, 30_002)
        assert prices == {5000 + plan.tiers[seat] for seat in before} | {
            9000 + plan.tiers[seat] for seat in after
        }


async def test_sixty_thousand_seats_change_their_tier_at_once(shop_url: str, store_url: str) -> None:
    """In SQL and in the map; the next hold pays the new tier's price."""
    async with on_sale(shop_url, store_url) as scene:
        plan = await _arena(scene)
        organising = Organising(scene.catalogue, OnePlace(scene.place))

        applied = await organising.retier("arena", 1, [], range(len(plan.layout.sections)))

        assert (applied.seats, applied.on) == (60_000, "marked")
        seen = await scene.holds.look("arena")
        assert seen.map == SeatRows(scene.database).octets("arena") == bytes([16]) * 60_000  # type: ignore[union-attr]


# ----------------------------------------------------------------------------------------- import


@pytest.mark.parametrize(
    ("name", "kind"),
    [("hall.csv", Kind.CSV), ("Hall.JSON", Kind.PRETIX), ("hall", None), ("hall.csv.gz", None)],
)
def test_a_file_is_known_by_its_name(name: str, kind: Kind | None) -> None:
    """At the command line there is no media type."""
    assert kind_of_file(name) is kind


async def test_a_plan_is_read_by_one_at_a_time(tmp_path: Path, clock: ManualClock) -> None:
    """Two files of 32 MiB at once would be too much for a small machine."""
    database = ShopDatabase(f"sqlite:///{tmp_path}/shop.db")
    database.open()
    catalogue = catalogue_of(database, clock)
    await with_event(catalogue)
    importing = Importing(catalogue)
    place = OnePlace(Place("main", database, None))  # type: ignore[arg-type]
    web = OrganiserWeb(
        catalogue, importing, Organising(catalogue, place), Reporting(catalogue, place, clock), {}
    )

    async with importing.turn:
        assert importing.turn.locked()
    made = await importing.add(VENUE.id, GOOD.encode(), Kind.CSV)

    assert made.plan.layout.name == VENUE.name
    assert web.routes
    database.close()
