"""Priority codes, the whole way: an operator makes them, a fan who waits shows one, the journal remembers."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import uvicorn
from playwright.async_api import async_playwright
from redis.asyncio import Redis

from admission.buckets import Buckets
from admission.guests import By
from admission.store import AdmissionStore
from bench.screenshots import CHROMIUM_ARGS
from gateway.front import Front
from gateway.priority_codes import HOUR_MS, PriorityCodes
from kernel.clock import ManualClock
from kernel.errors import Refused, Unavailable
from kernel.lua import Script, load
from tests.process.looking import PATIENCE_MS, chromium
from tests.process.test_identity_page import keys
from tests.waitroom.house import ROOM, House, house
from tests.waitroom.test_web import BASE, Receipts
from waitroom import codes as rules
from waitroom import identity_book
from waitroom.identity_book import IdentityBook
from waitroom.journal import Kind
from waitroom.line import Line
from waitroom.prioritising import Prioritising
from waitroom.priority import Spent, named, spend
from waitroom.priority_store import SCRIPT, PriorityStore
from waitroom.priority_web import PriorityWeb
from waitroom.restoring import Restorer
from waitroom.schedule import Phase
from waitroom.shells import Pages
from waitroom.store import Keys
from waitroom.web import LineWeb, WebSettings
from waitroom.words import languages

BY = By("Ann", "the fan club was promised so")
SECRET = b"s" * 32
WHERE = f"{BASE}/code"
RUN = "00112233aabbccdd"


@dataclass
class Scene:
    """A room, its codes and a browser in front of it."""

    here: House
    desk: PriorityCodes
    book: IdentityBook
    front: Front
    browser: httpx.AsyncClient


@asynccontextmanager
async def scene(store: Redis, clock: ManualClock, folder: Path, **settings: object) -> AsyncIterator[Scene]:
    """Give an open room that calls nobody yet."""
    async with house(store, clock, folder) as here:
        await here.set_up(**settings)
        book = IdentityBook(f"sqlite:///{folder / 'journal.db'}")
        buckets, pages, reached = Buckets(), Pages("/.waitroom"), WebSettings()
        line = LineWeb(here.waitroom, pages, buckets, Receipts(), reached)
        own = Prioritising(here.waitroom, PriorityStore(store), book, buckets, secret=SECRET)
        web = PriorityWeb(line, own, pages, reached)
        plain = {("GET", "static"): line.asset, ("GET", "jwks.json"): keys}
        front = Front("/.waitroom", {**line.routes, **web.routes}, plain)
        desk = PriorityCodes(book, here.journal, SECRET, clock)
        transport = httpx.ASGITransport(app=front)
        async with httpx.AsyncClient(transport=transport, base_url="http://room.test") as browser:
            yield Scene(here, desk, book, front, browser)
        book.close()
    await store.aclose()


async def test_a_code_brings_its_holder_into_the_lane_and_is_good_for_one_place(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """The number stays; shown again by the same fan it is the same; another fan is refused."""
    async with scene(store, clock, tmp_path) as on:
        batch, (code, _) = await on.desk.make(ROOM, "fan club", 2, 72, BY)
        mine = (await on.browser.post(BASE + "/join", json={})).json()
        first = await on.browser.post(WHERE, json={"code": code.lower().replace("-", " ")})
        lost = await on.browser.post(WHERE, json={"code": code}, headers={"waitroom-ticket": mine["ticket"]})
        again = await on.browser.post(WHERE, json={"code": code})
        place = (await on.browser.get(BASE + "/ticket", headers={"accept": "application/json"})).json()
        on.browser.cookies.clear()
        await on.browser.post(BASE + "/join", json={})
        other = await on.browser.post(WHERE, json={"code": code})
        await on.here.drained()
        (climbed,) = on.here.journal.entries(ROOM, kinds=[Kind.CLIMBED])
        acts = on.here.journal.entries(ROOM, kinds=[Kind.OPERATOR])
        (listed,) = await on.desk.batches(ROOM)

    told = first.json()
    assert (told["outcome"], told["lane"], told["number"]) == ("lifted", "verified", mine["number"])
    assert told["ticket"] in first.headers["set-cookie"]
    assert (lost.json()["outcome"], lost.json()["lane"]) == ("lifted", "verified")
    assert again.json()["outcome"] == "not-needed"
    assert place["lane"] == "verified"
    assert (other.status_code, other.json()["code"]) == (409, "code-used")
    assert named(climbed.body["why"]) == (batch.batch, f"{batch.batch}/0")
    assert (listed.used, listed.size, listed.counts) == (1, 2, True)
    (act,) = acts
    assert act.body == {
        "act": "codes-made", "batch": "0", "size": "2", "lane": "verified", "label": "fan club", "who": "Ann",
        "why": "the fan club was promised so", "until_ms": str(clock.now_ms() + 72 * HOUR_MS),
    }  # fmt: skip
    assert code not in str(acts) + str(climbed)


async def test_two_workers_take_a_code_once(store: Redis, clock: ManualClock, tmp_path: Path) -> None:
    """Eight places show it in the same moment at two workers: one climbs, once."""
    async with scene(store, clock, tmp_path) as on:
        _, (code,) = await on.desk.make(ROOM, "a", 1, 1, BY)
        tickets = []
        for _ in range(8):
            tickets.append((await on.browser.post(BASE + "/join", json={})).json()["ticket"])
            on.browser.cookies.clear()
        workers = [
            Prioritising(on.here.waitroom, PriorityStore(store), on.book, Buckets(), secret=SECRET)
            for _ in range(2)
        ]
        answers = await asyncio.gather(
            *(
                workers[at % 2].enter(ROOM, ticket, code, "192.0.2.1", clock.now_ms())
                for at, ticket in enumerate(tickets)
            ),
            return_exceptions=True,
        )
        await on.here.drained()
        climbed = on.here.journal.entries(ROOM, kinds=[Kind.CLIMBED])

    told = sorted(one.code if isinstance(one, Refused) else type(one).__name__ for one in answers)
    assert told == ["Lifted", *["code-used"] * 7]
    assert len(climbed) == 1


async def test_who_is_in_the_lane_already_uses_no_code_up(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """It stays good for somebody else."""
    async with scene(store, clock, tmp_path) as on:
        _, (first, second) = await on.desk.make(ROOM, "a", 2, 1, BY)
        await on.browser.post(BASE + "/join", json={})
        answers = [await on.browser.post(WHERE, json={"code": code}) for code in (first, second)]
        on.browser.cookies.clear()
        await on.browser.post(BASE + "/join", json={})
        other = await on.browser.post(WHERE, json={"code": second})

    assert [answer.json()["outcome"] for answer in (*answers, other)] == ["lifted", "not-needed", "lifted"]


async def test_a_form_without_a_script_leads_on_to_the_place(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """And tells what is wrong in the language of the page, without what was typed."""
    async with scene(store, clock, tmp_path) as on:
        _, (code,) = await on.desk.make(ROOM, "a", 1, 1, BY)
        page = await on.browser.get(WHERE, params={"target": "/shop", "lang": "de"})
        bare = await on.browser.post(WHERE, data={"code": code, "lang": "de"})
        await on.browser.post(BASE + "/join", json={})
        wrong = await on.browser.post(WHERE, data={"code": "ABCD-EFGH", "lang": "de", "target": "/shop"})
        done = await on.browser.post(WHERE, data={"code": code, "target": "/shop", "lang": "de"})
        how = await on.browser.get(f"{BASE}/how")

    german = languages()["de"]
    assert german.text("code.text") in page.text
    assert 'name="target" value="/shop"' in page.text
    assert (bare.status_code, german.refused("ticket-missing")[1] in bare.text) == (401, True)
    assert (wrong.status_code, german.refused("identity-code-wrong")[1] in wrong.text) == (403, True)
    assert "ABCD" not in wrong.text
    assert (done.status_code, done.headers["location"]) == (303, f"{BASE}/ticket?target=%2Fshop&lang=de")
    assert "waitroom-ticket-main=" in done.headers["set-cookie"]
    assert f'href="{BASE}/code?lang=en"' in how.text


@pytest.mark.parametrize(
    ("kind", "sent", "more", "status", "code"),
    [
        ("application/json", b"", {}, 403, "identity-code-wrong"),
        ("application/json", b"{}", {}, 403, "identity-code-wrong"),
        ("application/json", b'{"code": 1}', {}, 403, "identity-code-wrong"),
        ("application/json", b'{"code": "0000-0000-0000-0000"}', {}, 403, "identity-code-wrong"),
        ("application/json", b'{"code": "' + b"0" * 500 + b'"}', {}, 403, "identity-code-wrong"),
        ("application/json", b"{", {}, 400, "body-malformed"),
        ("application/json", b"[]", {}, 400, "body-malformed"),
        ("application/json", b'"' + b"x" * 70_000 + b'"', {}, 413, "body-too-large"),
        ("text/plain", b"x", {}, 415, "content-type-unknown"),
        ("application/json", b"{}", {"waitroom-ticket": "x"}, 403, "ticket-invalid"),
        ("application/json", b"{}", {"sec-fetch-site": "cross-site"}, 403, "cross-site"),
        ("application/json", b"{}", {"origin": "https://evil.test"}, 403, "cross-site"),
    ],
)
async def test_bad_requests_are_refused(
    store: Redis,
    clock: ManualClock,
    tmp_path: Path,
    kind: str,
    sent: bytes,
    more: dict[str, str],
    status: int,
    code: str,
) -> None:
    """Each with a code, and the place stays where it is."""
    async with scene(store, clock, tmp_path) as on:
        await on.browser.post(BASE + "/join", json={})
        answer = await on.browser.post(WHERE, content=sent, headers={"content-type": kind} | more)
        place = (await on.browser.get(BASE + "/ticket", headers={"accept": "application/json"})).json()

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert place["lane"] == "standard"


async def test_codes_that_do_not_count_are_refused_and_guessing_is_limited(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Revoked, over, of another room, of no lane; a right one is taken however many wrong ones came."""
    async with scene(store, clock, tmp_path) as on:
        gone, (revoked,) = await on.desk.make(ROOM, "a", 1, 1, BY)
        await on.desk.revoke(ROOM, gone.batch, BY)
        _, (foreign,) = await on.desk.make("side", "a", 1, 1, BY)
        plain = on.book.make(ROOM, None, "identities", 1, None, {}, clock.now_ms())
        laneless = rules.write(rules.batch_key(SECRET, plain), plain.batch, 0)
        _, (late,) = await on.desk.make(ROOM, "b", 1, 1, BY)
        _, (good,) = await on.desk.make(ROOM, "c", 1, 2, BY)
        clock.advance(HOUR_MS)
        await on.here.beat()
        await on.browser.post(BASE + "/join", json={})
        answers = [
            await on.browser.post(WHERE, json={"code": code}) for code in (revoked, foreign, laneless, late)
        ]
        for _ in range(40):
            last = await on.browser.post(WHERE, json={"code": "x"})
        right = await on.browser.post(WHERE, json={"code": good})

    assert [answer.json()["code"] for answer in answers] == ["identity-code-wrong"] * 4
    assert (last.status_code, last.json()["code"]) == (429, "too-many-codes")
    assert right.json()["lane"] == "verified"


async def test_a_room_that_asks_for_a_code_before_the_line_gives_no_priority(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """The link leads to the form there; unknown rooms have none."""
    async with scene(store, clock, tmp_path, identity="code") as on:
        led = await on.browser.get(WHERE, params={"target": "/a"})
        shown = await on.browser.post(WHERE, json={"code": "x"})
        nowhere = await on.browser.get("/.waitroom/r/nowhere/code")

    assert (led.status_code, led.headers["location"]) == (303, f"{BASE}/identity?target=%2Fa")
    assert (shown.status_code, shown.json()["code"]) == (404, "priority-none")
    assert nowhere.json()["code"] == "room-unknown"


async def test_operators_see_what_is_used_and_revoke(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """A revoked batch is recorded once; what is none of theirs is unknown."""
    async with scene(store, clock, tmp_path) as on:
        made, _ = await on.desk.make(ROOM, "a", 3, 1, BY)
        await on.desk.make("side", "b", 1, 1, BY)
        for _ in range(2):
            gone = await on.desk.revoke(ROOM, made.batch, BY)
        for batch in (made.batch + 1, 999):
            with pytest.raises(Refused, match="batch-unknown"):
                await on.desk.revoke(ROOM, batch, BY)
        acts = [entry.body["act"] for entry in on.here.journal.entries(ROOM, kinds=[Kind.OPERATOR])]

    assert (gone.revoked_ms, gone.counts, gone.used) == (clock.now_ms(), False, 0)
    assert acts == ["codes-made", "codes-revoked"]


async def test_what_is_refused_leaves_no_record(
    store: Redis, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is one of what was done, and of nothing else."""
    monkeypatch.setattr(identity_book, "BATCH_MOST", 1)
    async with scene(store, clock, tmp_path) as on:
        await on.desk.make(ROOM, "a", 1, 1, BY)
        with pytest.raises(Refused, match="codes-full"):
            await on.desk.make(ROOM, "b", 1, 1, BY)
        acts = [entry.body["label"] for entry in on.here.journal.entries(ROOM, kinds=[Kind.OPERATOR])]

    assert acts == ["a"]


async def test_used_codes_stay_used_after_the_store_was_wiped(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """The journal knows which place climbed by which code."""
    async with scene(store, clock, tmp_path) as on:
        here = on.here
        spent = PriorityStore(store)
        here.restorer = Restorer(
            here.waitroom, here.journal, here.configurations, AdmissionStore(store), clock, spent
        )
        _, (code,) = await on.desk.make(ROOM, "a", 1, 1, BY)
        mine = (await on.browser.post(BASE + "/join", json={})).json()
        await on.browser.post(WHERE, json={"code": code})
        await here.drained()
        await store.flushall()
        for _ in range(3):
            await here.beat()
        mended = await on.browser.post(
            WHERE, json={"code": code}, headers={"waitroom-ticket": mine["ticket"]}
        )
        on.browser.cookies.clear()
        await on.browser.post(BASE + "/join", json={})
        other = await on.browser.post(WHERE, json={"code": code})

    assert (mended.json()["lane"], other.json()["code"]) == ("verified", "code-used")


# ---------------------------------------------------------------------------------- the transition


async def _played(store: Redis, scripts: Mapping[str, Script]) -> None:
    """Show codes at every edge, to the rule and to the store."""
    await store.flushall()
    own = PriorityStore(store, scripts)
    line = Line(run=RUN, epoch=1, version=1, phase=Phase.SERVING, opening="", issued=10)
    await store.hset("wr:{main}:line", mapping={"run": RUN, "issued": 10})
    spent: Mapping[str, int] = {}
    seen = []
    for run, number, code in [
        (RUN, 3, "0/1"), (RUN, 3, "0/1"), (RUN, 4, "0/1"), (RUN, 4, "0/2"), (RUN, 9, "0/3"), (RUN, 10, "0/4"),
        ("b" * 16, 3, "0/1"), ("b" * 16, 3, "0/5"), (RUN, 3, "0/11"), (RUN, 3, "0/4"),
    ]:  # fmt: skip
        spent, said = spend(line, spent, run, number, code)
        assert await own.spend(ROOM, run, number, code) == said
        kept = await store.hgetall("wr:{main}:spent")
        assert {name.decode(): int(value) for name, value in kept.items()} == spent
        seen.append(said)
    assert set(seen) == set(Spent)
    await store.delete("wr:{main}:line")
    assert await own.spend(ROOM, RUN, 3, "0/1") == spend(None, spent, RUN, 3, "0/1")[1] == Spent.STALE
    assert "wr:{main}:spent" in Keys(ROOM).of_run(10)


async def test_rule_and_lua_agree(store: Redis) -> None:
    """The same words and the same state, at every edge."""
    await _played(store, {})
    await store.aclose()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("tonumber(number) >=", "tonumber(number) >"),
        ("known[1] ~= run or", ""),
        ("if holder then", "if false then"),
        ("holder == number and 'again' or 'taken'", "'again'"),
        ("redis.call('HSET', spent, code, number)", ""),
    ],
)
async def test_each_guard_that_is_taken_out_is_missed(store: Redis, old: str, new: str) -> None:
    """The same moves in the same order."""
    with pytest.raises((AssertionError, Unavailable)):
        await _played(store, {"spend": load(SCRIPT).mutated(old, new)})
    await store.aclose()


@pytest.mark.parametrize("why", ["", "work", "code", "code ", "code x/1", "code 1", "code -1/2"])
def test_a_climb_for_another_reason_names_no_code(why: str) -> None:
    """Only ours is read."""
    assert named(why) is None
    assert named("code 7/12") == (7, "7/12")


# ------------------------------------------------------------------------------------- the browser


@pytest.mark.process
@pytest.mark.browser
async def test_an_invitation_link_fills_the_form_and_the_page_waits_on_in_the_lane(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """The code leaves the address at once; what this browser keeps is the better ticket."""
    async with scene(store, clock, tmp_path) as on:
        _, (code,) = await on.desk.make(ROOM, "fan club", 1, 72, BY)
        server = uvicorn.Server(uvicorn.Config(on.front, port=0, log_level="error", lifespan="off"))
        serving = asyncio.create_task(server.serve())
        async with asyncio.timeout(PATIENCE_MS / 1000):
            while not server.started:  # noqa: ASYNC110 (uvicorn has no event for it)
                await asyncio.sleep(0.02)
        site = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_ARGS)
            page = await browser.new_page(locale="en-GB")
            page.set_default_timeout(PATIENCE_MS)
            await page.goto(f"{site}{BASE}?target=/shop")
            await page.wait_for_selector("html[data-state=almost]", state="attached")
            await page.goto(f"{site}{WHERE}?target=/shop#code={code}")
            await page.wait_for_selector("#code")
            await page.wait_for_url(f"{site}{WHERE}?target=/shop")
            filled = await page.input_value("#code")
            await page.click("button.button")
            await page.wait_for_selector("html[data-state=almost]", state="attached")
            kept = await page.evaluate("JSON.parse(localStorage.getItem('waitroom:main:place')).lane")
            address = page.url
            await page.goto(f"{site}{WHERE}")
            await page.fill("#code", "0000")
            await page.click("button.button")
            fault = await page.text_content("#fault")
            await browser.close()
        server.should_exit = True
        await serving

    assert (filled, kept) == (code, "verified")
    assert address == f"{site}{BASE}?target=%2Fshop"
    assert fault == languages()["en"].refused("identity-code-wrong")[1]
