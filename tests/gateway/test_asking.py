"""From a rhythm that asks for a check to the door: the claim waits for the check, where the room still asks for it."""

from pathlib import Path

import pytest
from redis.asyncio import Redis

from admission.claim import Admitted, Check, ClaimOutcome
from admission.limits import Limits
from admission.store import AdmissionStore
from gateway.adapters import LinePlaces
from kernel.clock import ManualClock
from tests.waitroom.house import ROOM
from tests.waitroom.test_rhythm_web import ASK, Site, site
from waitroom import settling
from waitroom.configure import Actor

LIMITS = Limits(
    new_users_per_minute=6_000,
    total_active_users=100,
    audience="https://shop.example",
    issuer="https://room.example",
)


async def claimed(here: Site, store: Redis, clock: ManualClock, text: str) -> ClaimOutcome:
    """Claim with a ticket, as the door does."""
    place = await LinePlaces(here.house.waitroom).place_of(ROOM, text, clock.now_ms())
    return await AdmissionStore(store).claim(place, "sid", LIMITS, clock.now_ms(), clock.now_ms())


async def test_the_claim_of_who_was_asked_waits_for_the_check_and_for_nothing_else(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Asked, called, kept at the door without losing anything; the check passed, let in at once."""
    async with site(store, clock, tmp_path) as here:
        (text,) = await here.join()
        await here.tell(text, ASK)
        await here.call(1)
        before = await claimed(here, store, clock, text)
        passed = await here.browser.post(
            "/.waitroom/r/main/challenge/answer", json={"way": "work", "answer": "passed"},
            headers={"waitroom-ticket": text},
        )  # fmt: skip
        after = await claimed(here, store, clock, text)

        assert before == Check("prove")
        assert passed.json()["outcome"] == "lifted"
        assert isinstance(after, Admitted)


@pytest.mark.parametrize(
    "change", [{"bot_guard": "watch"}, {"bot_guard": "off"}, {"challenge": {"way": "none"}}],
    ids=["watches", "off", "no check"],
)  # fmt: skip
async def test_a_room_that_does_not_ask_any_more_lets_in_whom_it_asked(
    store: Redis, clock: ManualClock, tmp_path: Path, change: dict[str, object]
) -> None:
    """Nobody stands before a check that is not there."""
    async with site(store, clock, tmp_path) as here:
        (text,) = await here.join()
        await here.tell(text, ASK)
        await here.call(1)
        await here.house.configurations.patch(ROOM, change, None, Actor("test"))
        await here.house.beat()

        assert isinstance(await claimed(here, store, clock, text), Admitted)


async def test_the_mutant_that_asks_in_every_room_keeps_them_out(
    store: Redis, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Did the claim not look at the room, a check that nobody can do would keep the place out."""
    async with site(store, clock, tmp_path) as here:
        (text,) = await here.join()
        await here.tell(text, ASK)
        await here.call(1)
        await here.house.configurations.patch(ROOM, {"bot_guard": "watch"}, None, Actor("test"))
        await here.house.beat()
        monkeypatch.setattr("gateway.adapters.asks_checks", lambda _reading: True)

        assert settling.asks_checks(here.house.waitroom.reading(ROOM)) is False
        assert await claimed(here, store, clock, text) == Check("prove")
