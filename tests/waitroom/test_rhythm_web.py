"""The address where a page tells its rhythm: good requests, every kind of bad one, and the promises to fans."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import pytest
from redis.asyncio import Redis

from admission.buckets import Buckets
from gateway.front import Front
from kernel.asgi import Scope
from kernel.clock import ManualClock
from kernel.errors import Refused
from tests.waitroom.house import ROOM, House, house
from tests.waitroom.test_challenge_web import Checks
from tests.waitroom.test_web import BASE, Receipts
from waitroom import settling, ticket
from waitroom.challenge_web import ChallengeWeb
from waitroom.journal import Kind
from waitroom.lanes import Lane, Serving
from waitroom.ports import Found
from waitroom.rhythm_web import BODY_LIMIT_BYTES, BURST, RhythmWeb
from waitroom.rooms import Room
from waitroom.shells import Pages
from waitroom.store import LineStore
from waitroom.ticket import Ticket
from waitroom.web import LineWeb, WebSettings

RHYTHM = BASE + "/rhythm"
JSON = {"content-type": "application/json"}
SLOW = {"slow": ["behaviour", "rhythm-straight"]}
ASK = {"asks": "prove"}


@dataclass
class Judge:
    """Finds slow whom a page says to be slow; knows who has told."""

    heard: set[int] = field(default_factory=set)

    async def settle(
        self,
        scope: Scope,
        room: Room,
        cookies: Mapping[str, str],
        place: Ticket,
        given: Mapping[str, object],
        now_ms: int,
    ) -> Found | None:
        """Judge as the body says."""
        del scope, room, cookies, now_ms
        if "poison" in given:
            raise Refused("rhythm-malformed", "This rhythm cannot be read.")
        if place.number in self.heard:
            return None
        self.heard.add(place.number)
        if "asks" in given:
            return Found(reasons=("behaviour",), asks=str(given["asks"]))
        codes = given.get("slow")
        return Found(slow=True, reasons=tuple(codes)) if isinstance(codes, list) else Found()


@dataclass
class Site:
    """A room, a browser in front of it, and its judge."""

    house: House
    browser: httpx.AsyncClient
    judge: Judge

    async def join(self, many: int = 1) -> list[str]:
        """Join so often, with no cookie kept; return the tickets."""
        texts = [(await self.house.join())[0] for _ in range(many)]
        await self.house.beat()
        return texts

    async def call(self, standard: int, plan: int = 60, suspect: int = 0) -> None:
        """Call so far."""
        line = self.house.waitroom.reading(ROOM).line
        assert line is not None
        serving = Serving(standard, standard, suspect)
        await self.house.waitroom.store.call(ROOM, line.run, line.tick_slot + 1, serving, plan)
        await self.house.beat()

    async def tell(self, text: str, given: object = None, **headers: str) -> httpx.Response:
        """Tell a rhythm with a ticket."""
        return await self.browser.post(
            RHYTHM, json=SLOW if given is None else given, headers={"waitroom-ticket": text, **headers}
        )

    def held(self, text: str) -> Ticket:
        """Read a ticket."""
        return ticket.read(self.house.waitroom.signer, text, ROOM)


@asynccontextmanager
async def site(store: Redis, clock: ManualClock, folder: Path, **room: object) -> AsyncIterator[Site]:
    """Open a room where rhythms count."""
    async with house(store, clock, folder) as here:
        await here.set_up(**{"bot_guard": "on", **room})
        judge, buckets, reached, pages = Judge(), Buckets(), WebSettings(), Pages("/.waitroom")
        line = LineWeb(here.waitroom, pages, buckets, Receipts(), reached)
        web = RhythmWeb(line, here.waitroom, judge, buckets, reached)
        check = ChallengeWeb(line, here.waitroom, pages, Checks(), buckets, reached)
        routes = {**line.routes, **check.routes, **web.routes}
        transport = httpx.ASGITransport(app=Front("/.waitroom", routes, {}))
        async with httpx.AsyncClient(transport=transport, base_url="http://room.test") as browser:
            yield Site(here, browser, judge)
    await store.aclose()


async def test_a_slowed_place_keeps_its_number_and_its_receipt_says_why(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """The ticket comes back in the lane suspect, as JSON and as the cookie; the journal knows of it."""
    async with site(store, clock, tmp_path) as here:
        (old,) = await here.join()

        answer = await here.tell(old)
        told = answer.json()
        await here.house.drained()
        receipt = await here.browser.get(BASE + "/receipt", headers={"waitroom-ticket": told["ticket"]})
        (entry,) = here.house.journal.entries(ROOM, 0, [Kind.SLOWED], 10)
        line = (await here.house.beat()).line
        assert line is not None

        assert (told["outcome"], told["number"], told["lane"]) == ("slowed", 0, "suspect")
        assert told["ticket"] in answer.headers["set-cookie"]
        assert here.held(told["ticket"]).leaf == here.held(old).leaf
        assert receipt.json()["reasons"] == ["behaviour", "rhythm-straight"]
        assert (line.issued, line.joined_suspect) == (1, 1)
        assert (entry.body["number"], entry.body["why"]) == ("0", "behaviour,rhythm-straight")


async def test_what_came_of_a_place_is_counted_by_the_lane_in_which_it_waited(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """That of its ticket when it was judged, and not the one into which it was put."""
    async with site(store, clock, tmp_path) as here:
        first, second, third = await here.join(3)
        await here.call(0)
        held = here.held(first)
        waitroom = here.house.waitroom
        await waitroom.store.climb(ROOM, held.run, held.number, held.lane, Lane.VERIFIED, "code")
        better = ticket.write(waitroom.signer, replace(held, lane=Lane.VERIFIED))

        for text, given in ((better, {}), (second, SLOW), (third, {})):
            await here.tell(text, given)

        assert waitroom.metrics.counts()[ROOM] == {
            "kept": 2, "kept_verified": 1, "kept_standard": 1, "slowed": 1, "slowed_standard": 1,
        }  # fmt: skip


async def test_a_lost_answer_is_given_again_and_a_check_lifts_it_for_good(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """The old ticket gets the same again; who then passes the check is in the lane standard and stays there."""
    async with site(store, clock, tmp_path) as here:
        (old,) = await here.join()
        first, again = (await here.tell(old)).json(), (await here.tell(old)).json()
        lifted = await here.browser.post(
            BASE + "/challenge/answer", json={"way": "work", "answer": "passed"},
            headers={"waitroom-ticket": first["ticket"]},
        )  # fmt: skip
        here.judge.heard.clear()
        once_more = (await here.tell(lifted.json()["ticket"])).json()
        line = (await here.house.beat()).line
        assert line is not None

        assert again == first
        assert lifted.json()["lane"] == "standard"
        assert (once_more["outcome"], once_more["lane"]) == ("noted", "standard")
        assert line.joined_suspect == 0
        assert await here.house.waitroom.store.slowed(ROOM, line.run, 0) is None


async def test_the_check_lifts_who_has_only_the_ticket_from_before(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """The answer that slowed it got lost; the store knows, and the check is as good with the old paper."""
    async with site(store, clock, tmp_path) as here:
        (old,) = await here.join()
        await here.tell(old)
        paper = {"waitroom-ticket": old}
        issued = await here.browser.post(BASE + "/challenge", json={"way": "work"}, headers=paper)
        passed = {"way": "work", "answer": "passed"}
        lifted = await here.browser.post(BASE + "/challenge/answer", json=passed, headers=paper)
        run = here.held(old).run

        assert (issued.json()["outcome"], lifted.json()["outcome"]) == ("issued", "lifted")
        assert await here.house.waitroom.store.slowed(ROOM, run, 0) is None


async def test_who_tells_well_keeps_the_lane_and_tells_once(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """The second time there is nothing more to say."""
    async with site(store, clock, tmp_path) as here:
        (text,) = await here.join()

        noted, again = await here.tell(text, {}), await here.tell(text)

        assert (noted.json()["outcome"], noted.json()["lane"]) == ("noted", "standard")
        assert "set-cookie" not in noted.headers
        assert (again.status_code, again.json()["code"]) == (409, "rhythm-told")


async def called_in_between(store: Redis, clock: ManualClock, folder: Path) -> str:
    """Call a place after its page has asked and before the store is told; return the lane that it gets."""
    async with site(store, clock, folder) as here:
        (text,) = await here.join()
        await here.house.waitroom.store.call(
            ROOM, here.held(text).run, 10**9, Serving(1, 1, 0), 60, clock.now_ms()
        )
        return str((await here.tell(text)).json()["lane"])


async def test_a_place_once_called_never_gets_worse(store: Redis, clock: ManualClock, tmp_path: Path) -> None:
    """Neither where the worker knows of the call, nor where only the store does."""
    async with site(store, clock, tmp_path) as here:
        (text,) = await here.join()
        await here.call(1)
        late = await here.tell(text)

        assert (late.status_code, late.json()["code"]) == (409, "rhythm-late")
        assert not here.judge.heard


async def test_a_call_that_this_worker_has_not_read_counts(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """The script looks again: between the look and the write the turn may have come."""
    assert await called_in_between(store, clock, tmp_path) == "standard"


async def test_the_mutant_slows_who_was_called(
    store: Redis, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Did the script not look at the threshold, a turn would be taken back."""
    init = LineStore.__init__

    def blind(self: LineStore, client: Redis) -> None:
        init(self, client)
        self._scripts["slow"] = self._scripts["slow"].mutated(
            "if rank < tonumber(old[7] or 0) then", "if false then"
        )

    monkeypatch.setattr(LineStore, "__init__", blind)

    assert await called_in_between(store, clock, tmp_path) == "suspect"


async def test_it_is_asked_when_the_wait_is_below_two_minutes(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """At 60 a minute the 240th may come within two minutes, the 300th may not."""
    async with site(store, clock, tmp_path) as here:
        texts = await here.join(301)
        await here.call(0)

        far, near = await here.tell(texts[300]), await here.tell(texts[200], {})
        assert (far.status_code, far.json()["code"]) == (409, "rhythm-early")
        assert near.json()["outcome"] == "noted"


@pytest.mark.parametrize("mode", ["off", "on"])
async def test_who_waits_in_the_lane_suspect_is_not_judged(
    store: Redis, clock: ManualClock, tmp_path: Path, mode: str
) -> None:
    """There is nothing worse; and a room that looks at nothing asks nothing."""
    async with site(store, clock, tmp_path, bot_guard=mode, challenge={"asks": "everybody"}) as here:
        (text,) = await here.join()
        answer = await here.tell(text)

        assert here.held(text).lane is Lane.SUSPECT
        assert (answer.status_code, answer.json().get("outcome")) == (
            (404, None) if mode == "off" else (200, "noted")
        )
        assert not here.judge.heard


BAD: list[tuple[str, dict[str, str], bytes, int, str]] = [
    ("an empty body", {}, b"", 400, "body-malformed"),
    ("a list", {}, b"[]", 400, "body-malformed"),
    ("half an object", {}, b"{", 400, "body-malformed"),
    ("not a number", {}, b'{"sums":{"moves":NaN}}', 400, "body-malformed"),
    ("no rhythm", {}, b'{"poison":1}', 400, "rhythm-malformed"),
    ("a form", {"content-type": "application/x-www-form-urlencoded"}, b"a=1", 415, "content-type-unknown"),
    ("another site", {"sec-fetch-site": "cross-site"}, b"{}", 403, "cross-site"),
    ("another origin", {"origin": "https://elsewhere.test"}, b"{}", 403, "cross-site"),
    ("too large", {}, b'{"words":"' + b"x" * BODY_LIMIT_BYTES + b'"}', 413, "body-too-large"),
    ("a forged ticket", {"waitroom-ticket": "k1.abc.def"}, b"{}", 403, "ticket-invalid"),
    ("no ticket", {"waitroom-ticket": ""}, b"{}", 401, "ticket-missing"),
]


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"), [row[1:] for row in BAD], ids=[row[0] for row in BAD]
)
async def test_bad_requests_are_refused_and_change_nothing(
    store: Redis, clock: ManualClock, tmp_path: Path, headers: dict[str, str], body: bytes, status: int, code: str,
) -> None:  # fmt: skip
    """Malformed, of another kind, of another site, too large, without a place; the place can still tell."""
    async with site(store, clock, tmp_path) as here:
        (text,) = await here.join()
        sent = {**JSON, "waitroom-ticket": text, **headers}
        answer = await here.browser.post(RHYTHM, content=body, headers=sent)

        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert (await here.tell(text, {})).json()["outcome"] == "noted"


async def test_there_is_nothing_below_and_no_other_method(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Below the address, and for who only looks; and one network has a bucket."""
    async with site(store, clock, tmp_path) as here:
        (text,) = await here.join()
        below = await here.browser.post(RHYTHM + "/x", json={}, headers={"waitroom-ticket": text})
        looked = await here.browser.get(RHYTHM)
        for _ in range(BURST):
            flood = await here.browser.post(RHYTHM, content=b"[]")
        flood = await here.browser.post(RHYTHM, content=b"[]")

        assert (below.status_code, looked.status_code) == (404, 405)
        assert (flood.status_code, flood.json()["code"]) == (429, "too-many-rhythms")
        assert json.loads(flood.text)["code"] == "too-many-rhythms"


def test_the_wait_that_is_asked_for_is_the_pages() -> None:
    """Two minutes, as in `static/rules.js`."""
    rules = (Path(settling.__file__).parent / "static" / "rules.js").read_text()

    assert f"ALMOST_S = {settling.NEAR_S:.0f};" in rules
