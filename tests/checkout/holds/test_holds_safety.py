"""Whatever many buyers do at once at several workers: no seat is two buyers', no hold is partial, nobody has too many.

The same rush is played on mutants of the script and of the service; each must be noticed.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import pytest

from checkout.halls.houses import arena_60000
from checkout.halls.seats import Status, status
from checkout.halls.sections import Layout, neighbours
from checkout.holds.answers import Ask, HoldOutcome, Limit, Missing
from checkout.holds.best import Together
from checkout.holds.places import OnePlace
from checkout.holds.service import Holding
from checkout.holds.store import HoldStore, load_script
from checkout.holds.wishes import Named, Told, Wish
from kernel.lua import Script
from tests.checkout.box_office import EVENT, MOST, Office, office
from tests.checkout.catalogues import VENUE, event_fields

BUYERS = 12
KEPT_WHAT_IT_COULD_GET = """
if #taken > 0 then
  local got = {}
  for _, seat in ipairs(seats) do
    if (at(seat) or BLOCKED) % 16 == FREE then
      got[#got + 1] = seat
    end
  end
  if #got == 0 then
    return {'taken', unpack(taken)}
  end
  seats, count = got, #got
end"""


@dataclass(slots=True)
class Rush:
    """What was told to whom."""

    told: list[tuple[str, tuple[int, ...], Told]] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)

    async def play(self, own: Office, workers: list[Holding], rounds: int, dice: random.Random) -> None:
        """Let every buyer ask for overlapping seats, several wishes of each at the same moment."""
        for number in range(rounds):
            asks = []
            for buyer in range(BUYERS):
                for tab in range(3):
                    first, count = dice.randrange(16), dice.choice((1, 2, 3, 4))
                    seats = tuple(range(first, first + count))
                    asks.append(
                        self._ask(
                            workers[(buyer + tab) % len(workers)], f"b{buyer}", f"{number}-{tab}", seats
                        )
                    )
            dice.shuffle(asks)
            await asyncio.gather(*asks)
            self.check(await own.statuses())
            for buyer, _, told in self.told:
                await own.holding.release(EVENT, buyer, told.paper["hold"])
            self.told = []

    async def _ask(self, worker: Holding, buyer: str, key: str, seats: tuple[int, ...]) -> None:
        outcome = await worker.hold(EVENT, buyer, key, Wish(Named(seats)), b"")
        if isinstance(outcome, Told):
            self.told.append((buyer, seats, outcome))
        else:
            self.refused[type(outcome).__name__] += 1

    def check(self, statuses: list[int]) -> None:
        """Say what must be true of all that was told."""
        has: Counter[str] = Counter()
        owner: dict[int, str] = {}
        for buyer, asked, told in self.told:
            got = tuple(line["seat"] for line in told.paper["seats"])
            assert got == asked, "a hold has all the seats that it was asked for"
            for seat in got:
                assert seat not in owner, "a seat is held once"
                owner[seat] = buyer
            has[buyer] += len(got)
        assert max(has.values(), default=0) <= MOST, "nobody has more than the limit"
        assert [seat for seat, now in enumerate(statuses) if now == Status.HELD] == sorted(owner)


async def rush(tmp_path: object, store_url: str, scripts: Mapping[str, Script] | None = None) -> Rush:
    """Play some rounds with two workers."""
    async with office(f"sqlite:///{tmp_path}/shop.db", store_url, scripts=scripts) as own:
        played = Rush()
        await played.play(own, [own.worker(), own.worker()], 12, random.Random(7))
    return played


async def test_no_seat_is_two_buyers(tmp_path: object, store_url: str) -> None:
    """I2, I9, H2: whatever overlaps, whoever asks in many tabs, whichever worker is asked."""
    played = await rush(tmp_path, store_url)

    assert min(played.refused["Taken"], played.refused["Limit"]) > 20


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        pytest.param("status == back or", "status == back or status == HELD or", "held once", id="lock off"),
        pytest.param(
            "if #taken > 0 then\n  return {'taken', unpack(taken)}\nend", KEPT_WHAT_IT_COULD_GET, "all the seats",
            id="partial hold",
        ),
        pytest.param("has + count > max_per_buyer then\n    return", "false then\n    return", "limit", id="no limit"),
    ],
)  # fmt: skip
async def test_a_script_without_its_guard_is_caught(
    old: str, new: str, sentence: str, tmp_path: object, store_url: str
) -> None:
    """Mutants of ``hold.lua``: seats without a lock, holds of what could be got, no limit."""
    mutant = load_script("hold").mutated(old, new)

    with pytest.raises(AssertionError, match=sentence):
        await rush(tmp_path, store_url, {"hold": mutant})


class LimitOutside(HoldStore):
    """A store that looks first and then holds, in two trips: the classic mistake."""

    clock: Any

    async def hold(self, event: str, ask: Ask, now_ms: int | None = None) -> HoldOutcome:
        """Count what the buyer has, then hold without a limit."""
        now_ms = self.clock.now_ms() if now_ms is None else now_ms
        _, has, _ = await self.mine(event, ask.buyer, now_ms)
        if has + ask.wanted.count > ask.max_per_buyer:
            return Limit(has, ask.max_per_buyer)
        return await super().hold(event, replace(ask, max_per_buyer=10**6), now_ms)


async def test_a_limit_outside_of_the_script_is_caught(tmp_path: object, store_url: str) -> None:
    """Two tabs that look at the same moment both find room."""
    async with office(f"sqlite:///{tmp_path}/shop.db", store_url) as own:
        holds = LimitOutside(own.client)
        holds.clock = own.clock
        worker = own.worker(places=OnePlace(replace(own.place, holds=holds)))

        with pytest.raises(AssertionError, match="nobody has more than the limit"):
            await Rush().play(own, [worker], 12, random.Random(7))


async def test_ten_tabs_have_the_limit_and_not_more(tmp_path: object, store_url: str) -> None:
    """H9: whichever seats or places they ask for, at two workers."""
    async with office(f"sqlite:///{tmp_path}/shop.db", store_url) as own:
        workers = [own.worker(), own.worker()]
        wishes = [
            {"standing": {"section": 2, "count": 1}} if tab % 2 else {"best": {"count": 1}}
            for tab in range(10)
        ]
        outcomes = await asyncio.gather(
            *(own.ask("ann", f"tab-{tab}", wish, workers[tab // 5]) for tab, wish in enumerate(wishes))
        )

    assert Counter(type(one) for one in outcomes) == {Told: MOST, Limit: 10 - MOST}


# -------------------------------------------------------------------- a thousand who want the best at once


async def arena(own: Office) -> Layout:
    """Put an evening in a hall of 60,000 into an office."""
    plan = arena_60000()
    layout = await own.catalogue.add_layout(VENUE.id, plan.layout)
    tiers = [{"tier": at, "name": name, "prices": {"EUR": 1000}} for at, name in enumerate(plan.tier_names)]
    fields = event_fields(layout, id="arena", tiers=tiers, section_tiers={}, allocations=[])
    await own.catalogue.create_event(fields, plan.tiers)
    await own.holds.load("arena", 1, bytes(tier << 4 for tier in plan.tiers), now_ms=own.clock.now_ms())
    return plan.layout


async def test_a_thousand_at_once_get_four_together_each(tmp_path: object, store_url: str) -> None:
    """At three workers that know nothing of one another, whose clock stands still: all are served."""
    async with office(f"sqlite:///{tmp_path}/shop.db", store_url) as own:
        layout = await arena(own)
        workers = [own.worker() for _ in range(3)]
        wish = Wish(Together(4, tier=2))
        outcomes = await asyncio.gather(
            *(workers[at % 3].hold("arena", f"b{at}", "k", wish, b"") for at in range(1000))
        )
        seen = await own.holds.look("arena")

    assert Counter(type(one) for one in outcomes) == {Told: 1000}
    assert not isinstance(seen, Missing)
    assert sum(status(now) is Status.HELD for now in seen.map) == 4000
    for outcome in outcomes:
        assert isinstance(outcome, Told)
        seats = [line["seat"] for line in outcome.paper["seats"]]
        assert all(neighbours(layout, left)[1] == right for left, right in pairwise(seats))
        assert {line["tier"] for line in outcome.paper["seats"]} == {2}
