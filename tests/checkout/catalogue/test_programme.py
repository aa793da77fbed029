"""The demo's programme: made once, by however many processes start at the same time, and left alone afterwards."""

import asyncio
from pathlib import Path

import pytest

from checkout.catalogue import programme
from checkout.catalogue.evenings import EVENTS
from checkout.catalogue.selling import State
from checkout.catalogue.service import Catalogue
from checkout.database import ShopDatabase
from kernel.clock import ManualClock
from kernel.errors import Refused
from tests.checkout.catalogues import NOW_MS, catalogue_of

SLUGS = {event.slug for event in EVENTS}


def workers(tmp_path: Path, count: int) -> list[Catalogue]:
    """Open one database in several processes' way: each has its own connections and its own memory."""
    made = []
    for _ in range(count):
        database = ShopDatabase(f"sqlite:///{tmp_path}/shop.db")
        database.open()
        made.append(catalogue_of(database, ManualClock(NOW_MS)))
    return made


async def test_however_many_fill_at_once_there_are_four_evenings_on_sale(tmp_path: Path) -> None:
    """None fails, each evening was made by one of them, and all are published and know their room."""
    catalogues = workers(tmp_path, 4)

    made = await asyncio.gather(*(programme.fill(catalogue, NOW_MS, "main") for catalogue in catalogues))

    assert sorted(slug for one in made for slug in one) == sorted(SLUGS)
    found = await workers(tmp_path, 1)[0].all()
    assert {known.event.id for known in found} == SLUGS
    assert {known.event.state for known in found} == {State.PUBLISHED}
    assert {known.event.room for known in found} == {"main"}


async def test_an_evening_whose_house_is_put_meanwhile_is_published_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The very moment in which two processes meet: between the draft and its publication."""
    first, second = workers(tmp_path, 2)
    update = Catalogue.update_event
    met: list[str] = []

    async def late(catalogue: Catalogue, event: str, plain: object, changed_ms: int | None = None) -> object:
        if catalogue is first and len(met) < 3:
            met.append(event)
            raise Refused("event-changed", "Somebody else has changed the event.", status=412)
        return await update(catalogue, event, plain, changed_ms)

    monkeypatch.setattr(Catalogue, "update_event", late)
    made = await programme.fill(first, NOW_MS)

    assert set(made) == SLUGS
    assert len(met) == 3
    assert {known.event.state for known in await second.all()} == {State.PUBLISHED}


async def test_filling_again_changes_nothing_that_an_organiser_has_changed(tmp_path: Path) -> None:
    """A title, a cancellation and a price stay."""
    catalogue = workers(tmp_path, 1)[0]
    await programme.fill(catalogue, NOW_MS)
    await catalogue.update_event("late-trains", {"title": "Early Trains"})
    await catalogue.update_event("small-hours", {"state": State.CANCELLED.value})
    await catalogue.set_prices("paper-lanterns", {0: {"EUR": 1}})

    assert await programme.fill(catalogue, NOW_MS + 86_400_000) == []
    assert (await catalogue.known("late-trains")).event.title == "Early Trains"
    assert (await catalogue.known("small-hours")).event.state is State.CANCELLED
    assert (await catalogue.known("paper-lanterns")).prices.amounts[0]["EUR"] == 1


async def test_without_another_try_a_start_of_two_processes_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutant: what happened to the demo with two shop processes."""

    async def changed(*_args: object, **_more: object) -> None:
        raise Refused("event-changed", "Somebody else has changed the event.", status=412)

    monkeypatch.setattr(Catalogue, "update_event", changed)
    with pytest.raises(Refused, match="event-changed"):
        await programme.fill(workers(tmp_path, 1)[0], NOW_MS)
