"""The addresses of a check: what each says to good requests and to every kind of bad one."""

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
from kernel.clock import ManualClock
from tests.waitroom.house import ROOM, House, house
from tests.waitroom.test_web import BASE, Receipts
from waitroom import challenging, ticket
from waitroom.challenge_web import ChallengeWeb
from waitroom.check_page import Check
from waitroom.lanes import Lane
from waitroom.ports import Asker
from waitroom.shells import Pages
from waitroom.web import LineWeb, WebSettings

CHALLENGE = BASE + "/challenge"
ANSWER = CHALLENGE + "/answer"
JSON = {"content-type": "application/json"}
EVERYBODY = {"challenge": {"asks": "everybody"}}
CODES = {
    "malformed": (400, "challenge-malformed"),
    "forged": (403, "challenge-forged"),
    "expired": (410, "challenge-expired"),
    "foreign": (403, "challenge-foreign"),
    "spent": (409, "challenge-spent"),
    "wrong": (403, "challenge-wrong"),
    "elsewhere": (403, "challenge-elsewhere"),
    "doubted": (403, "challenge-doubted"),
    "away": (503, "challenge-away"),
    "": (403, "challenge-wrong"),
    "PASSED": (403, "challenge-wrong"),
}


@dataclass
class Checks:
    """Checks that are judged as the answer says."""

    heard: list[tuple[Asker, str, object]] = field(default_factory=list)

    def check(self, wanted: str, now_ms: int) -> Check:
        """Offer what is wanted."""
        del now_ms
        if wanted == "work":
            return Check()
        return Check(wanted, "site-key", "https://provider.test/api.js", ("https://provider.test",))

    async def issue(self, asker: Asker, way: str, given: object, now_ms: int) -> Mapping[str, object] | str:
        """Give the same challenge to everybody; `given` is the word why not."""
        del now_ms
        self.heard.append((asker, way, given))
        return given if isinstance(given, str) else {"way": way, "challenge": {"one": 1}}

    async def verify(self, asker: Asker, way: str, answer: str, now_ms: int) -> str:
        """Say what the answer says."""
        del now_ms
        self.heard.append((asker, way, answer))
        return answer


@asynccontextmanager
async def site(
    store: Redis, clock: ManualClock, folder: Path, **settings: object
) -> AsyncIterator[tuple[House, httpx.AsyncClient, Checks]]:
    """Give a house with an open room, a browser in front of it, and its checks."""
    async with house(store, clock, folder) as here:
        await here.set_up(**{**EVERYBODY, **settings})
        checks, buckets, reached, pages = Checks(), Buckets(), WebSettings(), Pages("/.waitroom")
        line = LineWeb(here.waitroom, pages, buckets, Receipts(), reached)
        web = ChallengeWeb(line, here.waitroom, pages, checks, buckets, reached)
        routes = {**line.routes, **web.routes}
        transport = httpx.ASGITransport(app=Front("/.waitroom", routes, {("GET", "static"): line.asset}))
        async with httpx.AsyncClient(transport=transport, base_url="http://room.test") as browser:
            yield here, browser, checks
    await store.aclose()


async def test_a_check_that_is_passed_lifts_the_lane_and_keeps_the_number(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """The ticket that comes back is the same place in the lane standard, as JSON and as the cookie."""
    async with site(store, clock, tmp_path) as (here, browser, checks):
        await browser.post(BASE + "/join")
        joined = (await browser.post(BASE + "/join")).json()
        assert (joined["number"], joined["lane"]) == (0, "suspect")

        issued = await browser.post(CHALLENGE, json={"way": "work"})
        assert issued.json() == {"outcome": "issued", "way": "work", "challenge": {"one": 1}}
        lifted = (await browser.post(ANSWER, json={"way": "work", "answer": "passed"})).json()
        shown = (await browser.get(BASE + "/ticket")).json()
        reading = await here.beat()
        line = reading.line
        assert line is not None
        held = ticket.read(here.waitroom.signer, joined["ticket"], ROOM)
        better = ticket.read(here.waitroom.signer, lifted["ticket"], ROOM)

        assert (lifted["outcome"], lifted["number"], lifted["lane"]) == ("lifted", 0, "standard")
        assert (shown["number"], shown["lane"], shown["rank"]) == (0, "standard", 0)
        assert better == replace(held, lane=Lane.STANDARD, lane_since_ms=better.lane_since_ms)
        assert better.leaf == held.leaf
        assert (line.issued, line.joined_suspect, line.joined_verified) == (1, 0, 0)
        asker = checks.heard[0][0]
        assert (asker.number, asker.ticket_id, asker.wanted) == (0, held.ticket_id, "work")


async def test_a_lost_answer_is_given_again_to_the_old_ticket(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Who climbed needs no second check; the count stays."""
    async with site(store, clock, tmp_path) as (here, browser, checks):
        old = (await browser.post(BASE + "/join")).json()["ticket"]
        await browser.post(ANSWER, json={"way": "work", "answer": "passed"})
        browser.cookies.clear()
        asked = len(checks.heard)

        again = (await browser.post(CHALLENGE, json={"way": "work"}, headers={"waitroom-ticket": old})).json()
        line = (await here.beat()).line
        assert line is not None
        assert (again["outcome"], again["lane"], again["number"]) == ("lifted", "standard", 0)
        assert len(checks.heard) == asked
        assert line.joined_suspect == 0

        told = await browser.post(
            CHALLENGE, json={"way": "work"}, headers={"waitroom-ticket": again["ticket"]}
        )
        assert told.json() == {
            "outcome": "not-needed", "run": line.run, "number": 0, "lane": "standard",
        }  # fmt: skip


@pytest.mark.parametrize(("outcome", "expected"), CODES.items())
async def test_whatever_is_not_passed_lifts_nobody(
    store: Redis, clock: ManualClock, tmp_path: Path, outcome: str, expected: tuple[int, str]
) -> None:
    """Each word has its own problem; the ticket stays as it is."""
    async with site(store, clock, tmp_path) as (here, browser, _):
        await browser.post(BASE + "/join")

        answer = await browser.post(ANSWER, json={"way": "work", "answer": outcome})
        again = await browser.post(CHALLENGE, json={"way": "work", "given": outcome or "x"})
        line = (await here.beat()).line
        assert line is not None
        assert (answer.status_code, answer.json()["code"]) == expected
        assert again.json()["code"] == expected[1]
        assert "set-cookie" not in answer.headers
        assert line.joined_suspect == 1


async def test_a_mutant_that_takes_every_word_for_passed_is_caught(
    store: Redis, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were the outcome not compared with ``passed``, a refusal would lift a place, and the test above would see it."""
    source = Path(challenging.__file__).read_text()
    assert 'if outcome != "passed":' in source
    mutated: dict[str, object] = {"__name__": challenging.__name__}
    exec(compile(source.replace('if outcome != "passed":', "if not outcome:"), "mutant", "exec"), mutated)  # noqa: S102
    monkeypatch.setattr("waitroom.challenge_web.Challenging", mutated["Challenging"])
    monkeypatch.setattr("waitroom.challenge_web.Lifted", mutated["Lifted"])
    async with site(store, clock, tmp_path) as (_, browser, _checks):
        await browser.post(BASE + "/join")
        answer = await browser.post(ANSWER, json={"way": "work", "answer": "spent"})

    assert answer.json()["lane"] == "standard"


@pytest.mark.parametrize("address", [CHALLENGE, ANSWER])
@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        ({}, b"[]", 400, "body-malformed"),
        ({}, b"{", 400, "body-malformed"),
        ({}, b'"passed"', 400, "body-malformed"),
        ({"content-type": "text/plain"}, b"{}", 415, "content-type-unknown"),
        ({"sec-fetch-site": "cross-site"}, b"{}", 403, "cross-site"),
        ({"origin": "https://elsewhere.test"}, b"{}", 403, "cross-site"),
        ({}, b'{"answer":"' + b"x" * 20_000 + b'"}', 413, "body-too-large"),
        ({"waitroom-ticket": "k1.abc.def"}, b"{}", 403, "ticket-invalid"),
        ({"waitroom-ticket": ""}, b"{}", 401, "ticket-missing"),
    ],
)
async def test_bad_requests_are_refused(
    store: Redis, clock: ManualClock, tmp_path: Path, address: str, headers: dict[str, str], body: bytes,
    status: int, code: str,
) -> None:  # fmt: skip
    """Malformed, of another kind, of another site, too large, without a place."""
    async with site(store, clock, tmp_path) as (_, browser, checks):
        await browser.post(BASE + "/join")
        answer = await browser.post(address, content=body, headers={**JSON, **headers})

        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert checks.heard == []


async def test_odd_values_in_a_good_body_are_no_passes(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """What is no text is an empty one."""
    async with site(store, clock, tmp_path) as (_, browser, checks):
        await browser.post(BASE + "/join")
        for answer in (True, 1, ["passed"], {"passed": True}, None):
            told = await browser.post(ANSWER, json={"way": answer, "answer": answer})
            assert told.json()["code"] == "challenge-wrong"
        assert {(way, text) for _, way, text in checks.heard} == {("", "")}


async def test_where_there_is_no_check_there_is_none(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Nobody begins below, and the addresses say so."""
    rule = {"challenge": {"way": "none", "asks": "everybody"}}
    async with site(store, clock, tmp_path, **rule) as (_, browser, _checks):
        joined = (await browser.post(BASE + "/join")).json()
        answers = [await browser.get(CHALLENGE), await browser.post(CHALLENGE, json={"way": "work"})]

        assert joined["lane"] == "standard"
        assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [
            (404, "challenge-none")
        ] * 2


async def test_other_addresses_below_it_are_unknown(store: Redis, clock: ManualClock, tmp_path: Path) -> None:
    """There are two, and no third."""
    async with site(store, clock, tmp_path) as (_, browser, _checks):
        await browser.post(BASE + "/join")
        assert (await browser.get(CHALLENGE + "/x")).status_code == 404
        assert (await browser.post(CHALLENGE + "/x", json={})).status_code == 404


@pytest.mark.parametrize(("way", "also"), [("work", ""), ("hcaptcha", " https://provider.test")])
async def test_a_providers_sources_stand_on_the_page_of_its_check_and_on_no_other(
    store: Redis, clock: ManualClock, tmp_path: Path, way: str, also: str
) -> None:
    """The waiting page's policy is the same in every room; `way=work` needs nobody either."""
    async with site(store, clock, tmp_path, challenge={"way": way, "asks": "everybody"}) as (_, browser, _c):
        page = await browser.get(CHALLENGE, params={"target": "/shop"})
        work = await browser.get(CHALLENGE, params={"target": '"><script>', "way": "work"})
        waiting = await browser.get(BASE)

    policy = page.headers["content-security-policy"]
    assert f"script-src 'self'{also};" in policy
    assert f"connect-src 'self'{also};" in policy
    assert ("frame-src" in policy) is bool(also)
    assert "provider.test" not in waiting.headers["content-security-policy"] + waiting.text
    assert "provider.test" not in work.headers["content-security-policy"] + work.text
    assert "unsafe-inline" not in policy
    assert '"><script>' not in work.text
    assert page.headers["cache-control"] == "no-store"


async def test_the_page_speaks_ten_languages_and_is_honest_without_javascript(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """No sentence is missing in any; without JavaScript it says that there is no check, and what stays."""
    from waitroom.words import languages

    async with site(store, clock, tmp_path, challenge={"way": "turnstile", "asks": "everybody"}) as (
        _,
        browser,
        _c,
    ):
        await browser.post(BASE + "/join")
        for tag, words in languages().items():
            page = await browser.get(CHALLENGE, params={"lang": tag})
            assert f'lang="{tag}"' in page.text
            noscript = page.text.partition("<noscript>")[2].partition("</noscript>")[0]
            assert words.text("challenge.no-script").replace("'", "&#39;") in noscript
        ticket_page = await browser.get(BASE + "/ticket", headers={"accept": "text/html"})

    assert "/.waitroom/r/main/challenge?target=" in ticket_page.text
    assert "Here everybody shows" in ticket_page.text
    assert json.dumps("suspect") not in ticket_page.text
