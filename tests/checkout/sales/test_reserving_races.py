"""Reserving against time: of all who end a hold one wins, and the mutants that a stale hold gets past."""

import asyncio
import os
from typing import Any

import pytest

from checkout.audit.invariants import Violation
from checkout.audit.records import US_PER_MS, Act, Loss
from checkout.halls.seats import Status
from checkout.sales.reservation import Sale, reservation_id
from checkout.sales.service import Told
from checkout.sales.statements import AS_READ, IS_FREE, taking
from checkout.sales.store import SalesStore
from tests.checkout.catalogues import DAY_MS
from tests.checkout.reservations import (
    EVENT,
    HOLD_MS,
    UNTIL_MS,
    Scene,
    done,
    id_of,
    interrupted,
    never_late,
    on_sale,
    using,
)

ROUNDS = int(os.environ.get("RACE_ROUNDS", "15"))
"""How often each race is run; ``make races`` runs it ten thousand times."""


async def test_of_release_expiry_and_reservation_one_wins(shop_url: str, store_url: str) -> None:
    """H8: all three run at once; the hold is a reservation, or its seats are free."""
    async with on_sale(shop_url, store_url) as scene:
        for round_ in range(ROUNDS):
            scene.clock.advance(DAY_MS // 1000)
            hold = await scene.hold("ann", 0, key=f"{round_}", ttl_ms=120_000)
            scene.clock.advance(119_999 + round_ % 2)

            reserved, released, _ = await asyncio.gather(
                scene.reserving.reserve(EVENT, "ann", hold),
                scene.holds.release(EVENT, id_of(hold), "ann"),
                scene.holds.expire(EVENT),
            )

            is_reserved = isinstance(reserved, Told)
            assert is_reserved is (scene.sql_seats(0) == await scene.seats(0) == [Status.RESERVED])
            assert is_reserved or scene.sql_seats(0) == await scene.seats(0) == [Status.FREE], released
            if is_reserved:
                await scene.reserving.give_back(EVENT, "ann", reservation_id(hold))
        assert await scene.violations() == []


class NoFence(SalesStore):
    """Takes holds of any epoch, and however old."""

    take_free = taking(IS_FREE, AS_READ)

    def _epoch(self, _connection: Any, sale: Sale) -> int:
        return sale.epoch


class NoTime(SalesStore):
    """Never finds that it is late."""

    def reserve(self, sale: Sale) -> Any:
        """Reserve however late."""
        return super().reserve(never_late(sale))


async def stale_pin(scene: Scene, store: type[SalesStore]) -> list[Violation]:
    """Let a worker sleep between pin and SQL while the store is lost and another buyer holds the seat."""
    clock = scene.clock
    hold = await scene.hold("ann", 0)
    log: list[Any] = [done(Act.HOLD, hold, "ann", clock.now_ms(), clock.now_ms() + HOLD_MS)]

    async def lose() -> None:
        clock.advance(1000)
        await scene.client.flushall()
        await scene.rebuilder.rebuild(EVENT)
        log.append(Loss((clock.now_ms() - 1) * US_PER_MS, clock.now_ms() * US_PER_MS))
        clock.advance(1000)
        bobs = await scene.hold("bob", 0)
        log.append(done(Act.HOLD, bobs, "bob", clock.now_ms(), clock.now_ms() + HOLD_MS))
        clock.advance(1000)

    outcome = await using(interrupted(scene, lose), store, scene).reserve(EVENT, "ann", hold)
    if isinstance(outcome, Told):
        log.append(done(Act.RESERVE, hold, "ann", clock.now_ms(), UNTIL_MS))
    return await scene.violations(log)


async def long_sleep(scene: Scene, store: type[SalesStore]) -> list[Violation]:
    """Let a worker sleep between pin and SQL until the pin is over and another buyer holds the seat."""
    clock = scene.clock
    hold = await scene.hold("ann", 0)
    log: list[Any] = [done(Act.HOLD, hold, "ann", clock.now_ms(), clock.now_ms() + HOLD_MS)]

    async def sleep() -> None:
        clock.set(UNTIL_MS)
        bobs = await scene.hold("bob", 0)
        log.append(done(Act.HOLD, bobs, "bob", clock.now_ms(), clock.now_ms() + HOLD_MS))
        clock.advance(1000)

    outcome = await using(interrupted(scene, sleep), store, scene).reserve(EVENT, "ann", hold)
    if isinstance(outcome, Told):
        log.append(done(Act.RESERVE, hold, "ann", clock.now_ms(), UNTIL_MS))
    return await scene.violations(log)


@pytest.mark.parametrize(
    ("drill", "mutant"),
    [pytest.param(stale_pin, NoFence, id="fence"), pytest.param(long_sleep, NoTime, id="time")],
)
@pytest.mark.parametrize("is_guarded", [True, False])
async def test_a_stale_hold_gets_past_the_mutant_only(
    shop_url: str, store_url: str, drill: Any, mutant: type[SalesStore], is_guarded: bool
) -> None:
    """With its guard the drill violates nothing; without it the checker finds what went wrong."""
    async with on_sale(shop_url, store_url) as scene:
        found = await drill(scene, SalesStore if is_guarded else mutant)

        assert (found == []) is is_guarded, found
