"""Listing: the engine that may lag is for reports; nobody decides by it (seed row 26)."""

import ast
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from checkout.catalogue.selling import Sale, Standing
from checkout.catalogue.service import Catalogue
from checkout.catalogue.store import CatalogueStore
from checkout.database import ShopDatabase
from checkout.halls.seat_rows import SeatRows
from checkout.holds.inventory import Inventory
from checkout.holds.places import OnePlace
from checkout.holds.service import Holding
from checkout.holds.wishes import Named, Told, Wish
from checkout.metrics import Metrics
from checkout.organiser.reporting import Reporting
from checkout.organiser.service import Organising
from checkout.sales.reconciling import Reconciler
from checkout.sales.service import Told as Reserved
from checkout.shards.shards import OverrideRows
from checkout.tables import META
from checkout.waitlist.offers import Terms, terms_of
from checkout.waitlist.service import Line, Waitlist
from checkout.waitlist.store import KeptStore, WaitlistRows
from tests.checkout import waitlists
from tests.checkout.catalogues import with_event
from tests.checkout.reservations import EVENT, Scene, on_sale
from tests.house.tree import ROOT

MAY_LIST = {
    "checkout/catalogue/store.py": {"layout"},
    "checkout/audit/checking.py": {"read_books", "read_log", "_money"},
    "checkout/audit/scanning.py": {"in_sql"},
    "checkout/organiser/reporting.py": {"_report"},
    "checkout/organiser/exporting.py": {"_piece"},
    "checkout/organiser/funnel.py": {"_series"},
    "checkout/organiser/finding.py": {"_listed"},
    "checkout/organiser/takings.py": {"_takings"},
    "gateway/crowd/sale_books.py": {"_orders"},
}
"""Who reads from the engine that may lag: a layout has its content's hash as its id, the others decide nothing."""


def listers(text: str) -> set[str]:
    """Name the functions of a module that ask for such a connection."""
    found = set()
    for function in ast.walk(ast.parse(text)):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for node in ast.walk(function):
            is_asked = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
            if is_asked and node.func.attr == "listing" and not node.args and not node.keywords:
                found.add(function.name)
    return found


def test_only_who_is_named_here_reads_from_it() -> None:
    """In all packages, function by function."""
    found = {
        path.relative_to(ROOT).as_posix(): names
        for package in ("kernel", "waitroom", "admission", "botguard", "checkout", "dashboards", "gateway")
        for path in sorted((ROOT / package).rglob("*.py"))
        if (names := listers(path.read_text(encoding="utf-8")))
    }

    assert found == MAY_LIST


def test_a_decision_that_did_would_be_found() -> None:
    """The mutant: a hold that looks up the limit in the replica."""
    text = "class Holding:\n    async def hold(self):\n        with self._database.listing() as c:\n            pass\n"

    assert listers(text) == {"hold"}
    assert listers("def page(query):\n    return telling.listing(query)\n") == set()


# --------------------------------------------------------------------------------- a replica that lags


def _copied(source: ShopDatabase, target: ShopDatabase, without: str) -> None:
    """Make a replica of a moment; `without` is a table that has not come yet."""
    target.open()
    for table in META.sorted_tables:
        if table.name == without:
            continue
        with source.reading() as connection:
            rows = [dict(row) for row in connection.execute(sa.select(table)).mappings()]
        with target.writing() as connection:
            connection.execute(sa.delete(table))
            if rows:
                connection.execute(sa.insert(table), rows)


@asynccontextmanager
async def lagging(urls: tuple[str, ...], store_url: str, without: str = "") -> AsyncIterator[Scene]:
    """Open a sale whose replica stands still from now on."""
    async with on_sale(urls[0], store_url) as scene:
        replica = ShopDatabase(urls[1])
        _copied(scene.database, replica, without)
        own, scene.database._reader = scene.database._reader, replica._reader
        try:
            yield scene
        finally:
            scene.database._reader = own
            replica.close()


@contextmanager
def asked(database: ShopDatabase) -> Iterator[list[str]]:
    """Take down what the engine that may lag is asked."""
    seen: list[str] = []

    def note(*arguments: Any) -> None:
        # SQLite's beginning of a transaction is one too.
        if arguments[2] != "BEGIN":
            seen.append(arguments[2])

    sa.event.listen(database._reader, "before_cursor_execute", note)
    yield seen
    sa.event.remove(database._reader, "before_cursor_execute", note)


def _worker(scene: Scene) -> tuple[Catalogue, Holding]:
    """Start a worker that knows nothing yet."""
    rows = SeatRows(scene.database)
    catalogue = Catalogue(CatalogueStore(scene.database), lambda _event: rows, scene.clock)
    places = OnePlace(scene.place)

    async def rebuild(event: str) -> None:
        await scene.rebuilder.rebuild(event)

    return catalogue, Holding(catalogue, places, rebuild, waitlists.hold_id, scene.clock, scene.metrics)


async def _held(holding: Holding, buyer: str, *seats: int) -> Told:
    outcome = await holding.hold(EVENT, buyer, "k", Wish(Named(seats)), repr(seats).encode())
    assert isinstance(outcome, Told), outcome
    return outcome


async def test_prices_limits_and_the_sale_are_those_that_were_committed(
    shop_urls: tuple[str, ...], store_url: str
) -> None:
    """The replica has the old price, the old limit, an event on sale; a worker that just started goes by none of it."""
    async with lagging(shop_urls, store_url) as scene:
        await scene.catalogue.set_prices(EVENT, {0: {"EUR": 9900}})
        await scene.catalogue.update_event(EVENT, {"max_per_buyer": 2})
        _, holding = _worker(scene)

        told = await _held(holding, "ann", 0, 1)
        assert told.paper["total_minor"] == 2 * 9900
        assert type(await holding.hold(EVENT, "ann", "k2", Wish(Named((2,))), b"")).__name__ == "Limit"
        outcome = await scene.reserving.reserve(EVENT, "ann", told.paper["hold"])
        assert isinstance(outcome, Reserved)
        assert outcome.paper["total_minor"] == 2 * 9900

        await scene.catalogue.update_event(EVENT, {"state": "cancelled"})
        _, late = _worker(scene)
        refused = await late.hold(EVENT, "bob", "k", Wish(Named((5,))), b"")
        assert isinstance(refused, Sale)
        assert refused.standing is Standing.CANCELLED


async def test_what_is_sold_and_blocked_is_not_sold_again_by_an_old_picture(
    shop_urls: tuple[str, ...], store_url: str
) -> None:
    """The store is lost: the map is put back of what is committed, and agrees with it."""
    async with lagging(shop_urls, store_url) as scene:
        await scene.reserved("ann", 0, 1)
        SeatRows(scene.database).block(EVENT, [4])
        await scene.client.flushall()

        await scene.rebuilder.rebuild(EVENT)

        assert await scene.seats(0, 1, 2, 4) == scene.sql_seats(0, 1, 2, 4)
        assert [int(status) for status in await scene.seats(0, 1, 2, 4)] == [2, 2, 0, 4]


async def test_an_event_and_a_hall_that_the_replica_has_not_heard_of_are_there(
    shop_urls: tuple[str, ...], store_url: str
) -> None:
    """A layout that it lacks is read where it was written."""
    async with lagging(shop_urls, store_url, without="layouts") as scene:
        await with_event(scene.catalogue, id="winter")
        catalogue, _ = _worker(scene)

        known = await catalogue.known("winter")

        assert (await catalogue.layout(known.event.layout_id)).seats == 45


async def test_no_decision_asks_it_anything(shop_urls: tuple[str, ...], store_url: str) -> None:
    """Hold, extend, reserve, wait, organise, put back, compare, move: not one statement but for the hall's drawing."""
    async with lagging(shop_urls, store_url) as scene:
        with asked(scene.database) as seen:
            catalogue, holding = _worker(scene)
            places = OnePlace(scene.place)
            told = await _held(holding, "ann", 0, 1)
            await holding.extend(EVENT, "ann", told.paper["hold"])
            await holding.mine(EVENT, "ann")
            await scene.reserving.reserve(EVENT, "ann", told.paper["hold"])
            await holding.release(EVENT, "bob", (await _held(holding, "bob", 7)).paper["hold"])
            organising = Organising(catalogue, places)
            await organising.block(EVENT, [30], None)
            await organising.unblock(EVENT, [30])
            await organising.retier(EVENT, 1, [3], [])
            await organising.update(EVENT, {"title": "Other"})
            await catalogue.set_prices(EVENT, {0: {"EUR": 1}})
            await scene.rebuilder.rebuild(EVENT, 100)
            await Reconciler(catalogue, places, scene.rebuilder, scene.clock, scene.metrics, "one").pass_by()
            await _waited(scene, catalogue)
            OverrideRows(scene.database).read()
            Inventory(scene.database).summary(EVENT)

        assert [statement for statement in seen if "layouts" not in statement] == []


async def _waited(scene: Scene, catalogue: Catalogue) -> None:
    """Stand on the waitlist and be offered a seat."""

    class Programme:
        async def terms(self, event: str) -> Terms:
            known = await catalogue.known(event)
            return terms_of(known, await catalogue.layout(known.event.layout_id))

    for seat in range(45):
        if (await scene.seats(seat))[0] == 0:
            await scene.holds.mark(EVENT, "block", [seat])
    places = waitlists.OnePlace(WaitlistRows(scene.database), KeptStore(scene.holds))
    waitlist = Waitlist(Programme(), places, waitlists.hold_id, scene.clock, "one")
    assert isinstance(await waitlist.join(EVENT, "eve", 1, None), Line)
    await scene.holds.mark(EVENT, "unblock", [20])
    stepped = await waitlist.step(EVENT)
    assert stepped is not None
    assert stepped.offered == 1


async def test_the_log_would_show_a_decision_that_did(
    shop_urls: tuple[str, ...], store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: the catalogue is read from the replica, and a hold is sold at yesterday's price."""
    async with lagging(shop_urls, store_url) as scene:
        await scene.catalogue.set_prices(EVENT, {0: {"EUR": 9900}})
        monkeypatch.setattr(scene.database, "reading", scene.database.listing)
        _, holding = _worker(scene)

        with asked(scene.database) as seen:
            told = await _held(holding, "ann", 0)

        assert told.paper["total_minor"] == 4200
        assert any("events" in statement for statement in seen)


async def test_a_report_may_be_behind_and_nothing_else_is(shop_urls: tuple[str, ...], store_url: str) -> None:
    """That the replica really lags: the report has not heard of the reservation, the reservation stands."""
    async with lagging(shop_urls, store_url) as scene:
        await scene.reserved("ann", 0, 1)
        reporting = Reporting(scene.catalogue, OnePlace(scene.place), scene.clock)

        report = await reporting.report(EVENT)

        assert report.seats["reserved"] == 0
        assert [int(status) for status in scene.sql_seats(0, 1)] == [2, 2]
        assert isinstance(scene.metrics, Metrics)
