"""Settling at the gate: what the real guard makes of what a page tells, in a room that is off, watches, or is on."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from admission.buckets import Buckets
from botguard.metrics import Metrics
from botguard.rhythm.summary import VERSION, Rhythm
from botguard.service import Guard
from gateway import settling
from gateway.bot_guard import Newcomers, guard_of
from gateway.front import Front
from gateway.settings import Settings
from gateway.settling import Settler
from kernel.clock import ManualClock
from kernel.metrics import flush
from tests.botguard.request.browsers import Headers, NoNames, chromium, without
from tests.gateway.test_bot_guard import BASE, DEVICES, ROOMY, SECRET, TLS, Receipts
from tests.waitroom.house import ROOM, House, house
from waitroom import ticket
from waitroom.rhythm_web import RhythmWeb
from waitroom.shells import Pages
from waitroom.web import LineWeb, WebSettings

BROWSER = without(chromium(), b"content-length", b"origin", b"host")
STRANGE = without(
    BROWSER, b"sec-ch-ua", b"sec-ch-ua-mobile", b"sec-ch-ua-platform", b"sec-fetch-site", b"sec-fetch-mode",
    b"sec-fetch-dest", b"accept-language",
)  # fmt: skip
"""A program that says it were Chromium, over TLS."""

STRICT = {"bot_thresholds": {"prove": 0.2, "step_up": 0.5, "slow": 0.8}}


def rhythm(*, moves: bool) -> dict[str, object]:
    """Tell of a script that goes straight ahead, or of somebody with a keyboard."""
    own = Rhythm()
    for number in range(300):
        if moves:
            own.move(number * 16.0, 3.0 * number, 2.0 * number, trusted=False)
        else:
            own.key(number * 220.0)
    return {"version": VERSION, "sums": own.summary(), "words": own.words}


@dataclass
class Site:
    """A room behind the guard, and somebody who stands in it."""

    house: House
    app: Front
    registry: CollectorRegistry
    guard: Guard

    async def tell(self, text: str, given: object, headers: Headers) -> httpx.Response:
        """Tell a rhythm over TLS."""
        transport = httpx.ASGITransport(app=self.app, client=("203.0.113.7", 5000))
        names = [*headers, (b"waitroom-ticket", text.encode())]
        async with httpx.AsyncClient(transport=transport, base_url="https://room.test", verify=TLS) as client:
            client.headers.clear()
            return await client.post(f"{BASE}/rhythm", json=given, headers=names)

    def counted(self, name: str, **labels: str) -> float:
        """Read a metric."""
        flush()
        return self.registry.get_sample_value(f"waitroom_bots_{name}", labels) or 0


@asynccontextmanager
async def site(
    store: Redis, clock: ManualClock, folder: Path, settings: Settings | None = None, **room: object
) -> AsyncIterator[tuple[Site, str]]:
    """Open a room with these settings; one has joined, and is the next."""
    settings = settings or Settings()
    async with house(store, clock, folder) as here:
        await here.set_up(**{**ROOMY, **room})
        registry = CollectorRegistry()
        guard = guard_of(settings, store, SECRET, clock, Metrics(registry), NoNames())
        newcomers = Newcomers(guard, DEVICES, settings)
        line = LineWeb(here.waitroom, Pages("/.waitroom"), Buckets(), Receipts(), WebSettings(), newcomers)
        web = RhythmWeb(
            line, here.waitroom, Settler(guard, newcomers, store, SECRET), Buckets(), WebSettings()
        )
        text, _ = await here.join()
        await here.beat()
        yield Site(here, Front("/.waitroom", {**line.routes, **web.routes}, {}), registry, guard), text
        await guard.close()
    await store.aclose()


async def test_a_program_that_moves_like_one_waits_in_the_lane_suspect(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Headers and rhythm together; each speaks for itself in the ticket's reasons, ten of them at most."""
    async with site(store, clock, tmp_path, bot_guard="on", **STRICT) as (here, text):
        answer = await here.tell(text, rhythm(moves=True), STRANGE)
        held = ticket.read(here.house.waitroom.signer, answer.json()["ticket"], ROOM)

        assert (answer.json()["outcome"], held.lane) == ("slowed", "suspect")
        assert {"behaviour", "hints-missing", "fetch-missing", "rhythm-straight"} <= set(held.reasons)
        assert here.counted("settled_total", room="main", mode="on", verdict="slow") == 1
        assert here.counted("likelihood_ratio_count", room="main") == 1
        assert here.counted("settled_reasons_total", reason="rhythm-straight") == 1


@pytest.mark.parametrize(
    ("moves", "headers", "outcome"),
    [(True, BROWSER, "asked"), (False, STRANGE, "asked"), (False, BROWSER, "noted")],
    ids=["behaviour alone", "headers with a keyboard", "a person with a keyboard"],
)  # fmt: skip
async def test_nobody_is_slowed_by_one_of_them_alone(
    store: Redis, clock: ManualClock, tmp_path: Path, moves: bool, headers: Headers, outcome: str
) -> None:
    """Neither by a rhythm, whatever it is, nor for having no pointer; at the hardest setting it may ask for a check."""
    async with site(store, clock, tmp_path, bot_guard="on", **STRICT) as (here, text):
        answer = await here.tell(text, rhythm(moves=moves), headers)

        assert (answer.json()["outcome"], answer.json()["lane"]) == (outcome, "standard")


async def test_an_identity_that_acts_often_is_known_at_the_turn_too(
    store: Redis, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the tag in the ticket, as at the join."""
    heard: list[object] = []
    plain = Guard.settle

    async def settle(self: Guard, *parts: object, **known: object) -> object:
        heard.append(known["identity"])
        return await plain(self, *parts, **known)  # type: ignore[arg-type]

    monkeypatch.setattr(Guard, "settle", settle)
    async with site(store, clock, tmp_path, bot_guard="on") as (here, text):
        signer = here.house.waitroom.signer
        known = replace(ticket.read(signer, text, ROOM), identity_tag="A" * 22)
        await here.tell(ticket.write(signer, known), rhythm(moves=False), BROWSER)

    assert heard == ["A" * 22]


async def test_a_room_that_watches_counts_and_changes_nothing(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """What would have followed stands in the metrics."""
    async with site(store, clock, tmp_path, bot_guard="watch", **STRICT) as (here, text):
        answer = await here.tell(text, rhythm(moves=True), STRANGE)

        assert answer.json()["outcome"] == "noted"
        assert here.counted("settled_total", room="main", mode="watch", verdict="slow") == 1


async def test_a_room_that_watches_asks_nobody_and_counts_whom_it_would_ask(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """A rhythm that asks for a check where the guard is on."""
    async with site(store, clock, tmp_path, bot_guard="watch", **STRICT) as (here, text):
        answer = await here.tell(text, rhythm(moves=True), BROWSER)
        counted = [
            here.counted("settled_total", room="main", mode="watch", verdict=verdict)
            for verdict in ("prove", "step-up")
        ]

        assert answer.json()["outcome"] == "noted"
        assert sum(counted) == 1


async def test_what_cannot_be_read_is_not_noted_and_costs_nobody_their_say(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """A poisoned rhythm leaves no key; the true one after it counts, and the third is one too many."""
    async with site(store, clock, tmp_path, bot_guard="on") as (here, text):
        poisoned = {**rhythm(moves=True), "words": ["x"]}
        before = await store.keys("*")
        bad = await here.tell(text, poisoned, BROWSER)
        after = await store.keys("*")
        good, again = [await here.tell(text, rhythm(moves=True), BROWSER) for _ in range(2)]

        assert (bad.status_code, bad.json()["code"]) == (400, "rhythm-malformed")
        assert sorted(after) == sorted(before)
        assert good.json()["outcome"] == "asked"
        assert again.json() == good.json()


async def test_nothing_of_the_sums_is_kept(store: Redis, clock: ManualClock, tmp_path: Path) -> None:
    """The store has counts under the day's names, that the place has told, and marks; each of these lapses."""
    async with site(store, clock, tmp_path, bot_guard="on", challenge={"way": "none"}) as (here, text):
        before = set(await store.keys("*"))
        await here.tell(text, rhythm(moves=True), BROWSER)
        new = set(await store.keys("*")) - before

        assert {key.split(b":")[0] + b":" + key.split(b":")[1] for key in new} <= {
            b"wr:spent", b"bg:salt", b"bg:{velocity", b"bg:{sketch",
        }  # fmt: skip
        assert all([await store.pttl(key) > 0 for key in new])


async def test_the_mutant_that_notes_before_it_reads_takes_the_say(
    store: Redis, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were the rhythm read after the place was noted, a poisoned one would use up its only telling."""
    source = Path(settling.__file__).read_text()
    first = "        told = read(given)\n"
    asked = "            return None\n        asked ="
    assert source.count(first) == source.count(asked) == 1
    later = source.replace(first, "").replace(asked, "            return None\n" + first + "        asked =")
    mutated: dict[str, object] = {"__name__": settling.__name__}
    exec(compile(later, "mutant", "exec"), mutated)  # noqa: S102
    monkeypatch.setattr("tests.gateway.test_settling.Settler", mutated["Settler"])
    async with site(store, clock, tmp_path, bot_guard="on") as (here, text):
        await here.tell(text, {**rhythm(moves=True), "words": ["x"]}, BROWSER)
        good = await here.tell(text, rhythm(moves=True), BROWSER)

        assert good.json()["code"] == "rhythm-told"
