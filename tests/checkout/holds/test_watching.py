"""What buyers do with seats is told to whoever watches: each pick and each drop once, and nothing that was refused."""

from dataclasses import dataclass, field

import pytest

from checkout.holds.places import OnePlace
from checkout.holds.sweeping import Sweeping
from checkout.holds.web import HoldsWeb
from kernel.asgi import Scope
from tests.checkout.box_office import EVENT, TTL_MS, buyer_of, office, served

HOLDS = f"/api/events/{EVENT}/holds"


@pytest.fixture
def url(tmp_path: object) -> str:
    """Give the address of a database of this test."""
    return f"sqlite:///{tmp_path}/shop.db"


@dataclass
class Watcher:
    """Remembers what it hears; ``with_client``: whether a request was there."""

    heard: list[tuple[str, str, str, str, int]] = field(default_factory=list)
    with_client: list[bool] = field(default_factory=list)

    def picked(self, scope: Scope, event: str, buyer: str, hold: str, seats: int) -> None:
        """Hear of a pick."""
        self.with_client.append(bool(scope))
        self.heard.append(("picked", event, buyer, hold, seats))

    def dropped(self, scope: Scope | None, event: str, buyer: str, hold: str) -> None:
        """Hear of a drop."""
        self.with_client.append(scope is not None)
        self.heard.append(("dropped", event, buyer, hold, 0))


async def test_who_watches_hears_of_each_pick_and_drop_once(url: str, store_url: str) -> None:
    """A repeat is no pick; what is refused is none, and what another buyer wants to give back is no drop."""
    watcher = Watcher()
    async with (
        office(url, store_url) as own,
        served(HoldsWeb(own.holding, buyer_of, own.metrics, watcher).routes) as client,
    ):
        wish = {"seats": [3, 4], "currency": "EUR"}
        made = [await client.post(HOLDS, json=wish, headers={"idempotency-key": "k1"}) for _ in range(2)]
        hold = made[0].json()["hold"]
        taken = await client.post(HOLDS, json=wish, headers={"idempotency-key": "k1", "buyer": "bob"})
        others = await client.delete(f"{HOLDS}/{hold}", headers={"buyer": "bob"})
        early = list(watcher.heard)
        released = await client.delete(f"{HOLDS}/{hold}")

    assert [answer.status_code for answer in made] == [201, 201]
    assert taken.status_code == 409
    assert others.status_code in {403, 404}
    assert early == [("picked", EVENT, "ann", hold, 2)]
    assert released.status_code == 204
    assert watcher.heard[1:] == [("dropped", EVENT, "ann", hold, 0)]
    assert watcher.with_client == [True, True]


async def test_a_hold_that_lapses_is_told_once_it_is_written_down(url: str, store_url: str) -> None:
    """By the sweeper's worker, which knows no browser; of what was given back it tells nothing."""
    watcher = Watcher()
    async with office(url, store_url) as own:
        background = Sweeping(
            own.catalogue, OnePlace(own.place), own.clock, own.metrics, "one", watch=watcher
        )
        late = await own.had("ann", 0)
        back = await own.had("bob", 1)
        await own.holding.release(EVENT, "bob", back)
        await background.drain(own.place)
        own.clock.advance(TTL_MS)
        await background.sweep(own.place)
        early = list(watcher.heard)
        for _ in range(2):
            await background.drain(own.place)

    assert early == []
    assert watcher.heard == [("dropped", EVENT, "ann", late, 0)]
    assert watcher.with_client == [False]
