"""How many steps of a check are counted: of a place, of the places of an address, and of what is no place."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from redis.asyncio import Redis

from kernel.clock import ManualClock
from kernel.signing import b64url
from tests.waitroom.house import ROOM, House
from tests.waitroom.test_challenge_web import ANSWER, CHALLENGE, site
from tests.waitroom.test_web import BASE
from waitroom import challenge_web, ticket
from waitroom.challenge_web import (
    ADDRESS_BURST,
    ADDRESS_PER_MINUTE,
    PLACE_BURST,
    PLACE_PER_MINUTE,
    STRANGER_BURST,
)

WORK = {"way": "work"}
ELSEWHERE = "203.0.113.9"


def beside(browser: httpx.AsyncClient, address: str = ELSEWHERE) -> httpx.AsyncClient:
    """Open a browser behind another address before the same site."""
    own = browser._transport
    assert isinstance(own, httpx.ASGITransport)
    transport = httpx.ASGITransport(app=own.app, client=(address, 4000))
    return httpx.AsyncClient(transport=transport, base_url="http://room.test")


async def places(browser: httpx.AsyncClient, many: int) -> list[str]:
    """Take so many places, each with a ticket of its own."""
    found = []
    for _ in range(many):
        browser.cookies.clear()
        found.append((await browser.post(BASE + "/join")).json()["ticket"])
    browser.cookies.clear()
    return found


async def asked(browser: httpx.AsyncClient, papers: Sequence[str], address: str = CHALLENGE) -> list[str]:
    """Ask for a check with each paper; give what was said: a word, or a code."""
    said = []
    for paper in papers:
        answer = await browser.post(address, json=WORK, headers={"waitroom-ticket": paper})
        said.append(str(answer.json().get("outcome") or answer.json()["code"]))
        assert (answer.status_code == 429) is ("retry-after" in answer.headers)
    return said


def forged(good: str, many: int) -> list[str]:
    """Forge tickets: what a good one says of other places, under a signature of one's own."""
    key, _, _ = good.split(".")
    text = "1|main|0123456789abcdef|1|{}|t{}|suspect|0|||0|"
    return [
        f"{key}.{b64url(text.format(n, n).encode())}.{b64url(bytes([n % 256]) * 16)}" for n in range(many)
    ]


def own_room(here: House, good: str, many: int) -> list[str]:
    """Write tickets of another room with our own signature: genuine papers, and no places here."""
    held = ticket.read(here.waitroom.signer, good, ROOM)
    others = [replace(held, room="other", number=number) for number in range(many)]
    return [ticket.write(here.waitroom.signer, one) for one in others]


async def test_a_place_has_three_whole_tries_at_once_and_then_one_step_in_five_seconds(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Issue and answer are steps alike, and another address gives a place no more of them."""
    async with site(store, clock, tmp_path) as (_, browser, _checks), beside(browser) as other:
        (paper,) = await places(browser, 1)
        half = [paper] * (PLACE_BURST // 2)
        told = await asked(browser, half) + await asked(other, half, ANSWER) + await asked(other, [paper])
        clock.advance(60_000 // PLACE_PER_MINUTE)
        later = await asked(browser, [paper, paper])

    assert told == [
        *["issued"] * (PLACE_BURST // 2), *["challenge-wrong"] * (PLACE_BURST // 2), "too-many-challenges",
    ]  # fmt: skip
    assert later == ["issued", "too-many-challenges"]


async def test_people_of_one_address_are_not_put_off_and_its_flood_is_bounded(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """A carrier's 64 people do the check at once; beyond six hundred steps an address gets twenty a second."""
    async with site(store, clock, tmp_path, join_burst=64) as (_, browser, _checks):
        papers = await places(browser, 64)
        people = await asked(browser, papers) + await asked(browser, papers, ANSWER)
        flood = await asked(browser, papers * (PLACE_BURST - 2))
        clock.advance(1_000)
        clock.advance(60_000 // PLACE_PER_MINUTE)
        async with beside(browser) as other:
            elsewhere = await asked(other, papers)

    assert Counter(people) == {"issued": 64, "challenge-wrong": 64}
    assert Counter(flood)["issued"] == ADDRESS_BURST - 128
    assert set(flood[ADDRESS_BURST - 128 :]) == {"too-many-challenges"}
    assert Counter(elsewhere)["issued"] == 64
    assert ADDRESS_PER_MINUTE == 20 * 60


@pytest.mark.parametrize(
    ("papers", "code"),
    [
        ("forged", "ticket-invalid"),
        ("empty", "ticket-missing"),
        ("cut", "ticket-invalid"),
        ("long", "ticket-invalid"),
        ("of another room", "ticket-foreign-room"),
    ],
)
async def test_what_is_no_ticket_of_this_room_is_no_place(
    store: Redis, clock: ManualClock, tmp_path: Path, papers: str, code: str
) -> None:
    """A hundred of them, each another, are thirty steps of a stranger; whoever has a place there goes on."""
    async with site(store, clock, tmp_path) as (here, browser, checks):
        (paper,) = await places(browser, 1)
        bad = {
            "forged": forged(paper, 100),
            "empty": [""] * 100,
            "cut": [paper[: -1 - n % 20] for n in range(100)],
            "long": [paper + "A" * 4000] * 100,
            "of another room": own_room(here, paper, 100),
        }[papers]
        told = await asked(browser, bad)
        heard = len(checks.heard)
        good = await asked(browser, [paper] * PLACE_BURST)

    assert told == [code] * STRANGER_BURST + ["too-many-challenges"] * (100 - STRANGER_BURST)
    assert heard == 0
    assert good == ["issued"] * PLACE_BURST


async def test_one_place_that_floods_takes_nothing_from_the_others_of_its_address(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Its steps beyond its own limit are not counted for the address."""
    async with site(store, clock, tmp_path) as (_, browser, _checks):
        one, other = await places(browser, 2)
        await asked(browser, [one] * (ADDRESS_BURST + 1))
        neighbour = await asked(browser, [other])

    assert neighbour == ["issued"]


async def test_the_mutant_without_a_limit_of_places_lets_one_place_flood(
    store: Redis, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the address would bound it: fifty times as many steps."""
    monkeypatch.setattr(challenge_web, "PLACE_BURST", 1_000_000)
    async with site(store, clock, tmp_path) as (_, browser, _checks):
        (paper,) = await places(browser, 1)
        told = await asked(browser, [paper] * (ADDRESS_BURST + 1))

    assert told == ["issued"] * ADDRESS_BURST + ["too-many-challenges"]


async def test_the_mutant_without_a_limit_of_addresses_lets_an_address_flood(
    store: Redis, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With places, and with forged ones, each of which is another."""
    monkeypatch.setattr(challenge_web, "ADDRESS_BURST", 1_000_000)
    monkeypatch.setattr(challenge_web, "STRANGER_BURST", 1_000_000)
    async with site(store, clock, tmp_path) as (_, browser, _checks):
        papers = await places(browser, ADDRESS_BURST // PLACE_BURST + 1)
        told = await asked(browser, papers * PLACE_BURST)
        strangers = await asked(browser, forged(papers[0], 100))

    assert Counter(told) == {"issued": ADDRESS_BURST + PLACE_BURST}
    assert Counter(strangers) == {"ticket-invalid": 100}


async def test_the_mutant_that_takes_a_forged_ticket_for_a_place_lets_strangers_take_the_steps_of_an_office(
    store: Redis, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were they counted before their signature is looked at, as places, people of the address would be put off."""
    proper = ticket.read

    def believing(signer: ticket.TicketSigner, text: str, room: str) -> ticket.Ticket:
        held = proper(signer, paper, room)
        return held if text == paper else replace(held, number=int(text.rpartition("/")[2]) + 1)

    async with site(store, clock, tmp_path) as (_, browser, _checks):
        (paper,) = await places(browser, 1)
        papers = [f"{one}/{n}" for n, one in enumerate(forged(paper, ADDRESS_BURST))]
        monkeypatch.setattr(
            challenge_web, "tickets", type("Believing", (), {"read": staticmethod(believing)})
        )
        told = await asked(browser, papers)
        good = await asked(browser, [paper])

    assert "too-many-challenges" not in told
    assert good == ["too-many-challenges"]
