"""Bypass on the public port: the form, the figures for everybody, every kind of bad request; and the whole journal."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from redis.asyncio import Redis

from admission.buckets import Buckets
from admission.bypass_store import BypassStore
from admission.bypassing import Bypassing
from admission.guests import By
from admission.store import AdmissionStore
from gateway.adapters import JournalTurns, PacedLine
from gateway.bypass_web import BURST, BypassWeb
from gateway.front import Front
from kernel.clock import ManualClock
from kernel.errors import Unavailable
from kernel.signing import Signer
from tests.admission.house import house as door_house
from tests.waitroom.house import ROOM, House, house
from tests.waitroom.test_web import BASE, Receipts
from waitroom.journal import Kind
from waitroom.restoring import Restorer
from waitroom.shells import Pages
from waitroom.web import LineWeb, WebSettings
from waitroom.words import languages

BY = By("Ann", "the press has its own entrance")
HTML = {"accept": "text/html"}
WHERE = f"{BASE}/bypass"


@asynccontextmanager
async def site(
    store: Redis, clock: ManualClock, folder: Path
) -> AsyncIterator[tuple[House, Bypassing, httpx.AsyncClient]]:
    """Give an open room with its door, its tokens, and a browser in front of it."""
    async with house(store, clock, folder) as here:
        await here.set_up()
        door = door_house(store, clock)
        turns = JournalTurns(here.waitroom, store, here.journal)
        signer = Signer([("k1", b"b" * 32)], "bypass")
        line = PacedLine(here.waitroom)
        desk = Bypassing(door.admission, BypassStore(store), line, turns, signer, clock)
        buckets, settings, pages = Buckets(), WebSettings(), Pages("/.waitroom")
        web = LineWeb(here.waitroom, pages, buckets, Receipts(), settings)
        own = BypassWeb(web, here.waitroom, door.admission, desk, pages, buckets, settings, clock)
        transport = httpx.ASGITransport(
            app=Front("/.waitroom", {**web.routes, **own.routes}, {("GET", "static"): web.asset})
        )
        async with httpx.AsyncClient(transport=transport, base_url="http://room.test") as browser:
            yield here, desk, browser
    await store.aclose()


async def test_the_form_lets_in_and_the_page_tells_everybody(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Without a script, in the language of the browser; the figure is a count of the journal."""
    async with site(store, clock, tmp_path) as (here, desk, browser):
        _, text = await desk.make(ROOM, "press desk", 12, BY)
        page = await browser.get(WHERE, params={"target": "/shop", "lang": "de"}, headers=HTML)
        in_ = await browser.post(WHERE, data={"token": f" {text} ", "target": "/shop"})
        await here.drained()
        clock.advance(5_000)
        figures = await browser.get(WHERE)
        told = await browser.get(WHERE, headers=HTML)
        how = await browser.get(f"{BASE}/how")

    assert languages()["de"].text("bypass.count", n=0) in page.text
    assert 'name="target" value="/shop"' in page.text
    assert (in_.status_code, in_.headers["location"], in_.headers["cache-control"]) == (
        303,
        "/shop",
        "no-store",
    )
    assert "waitroom-admission-main=" in in_.headers["set-cookie"]
    assert figures.json() == {"room": ROOM, "passed": 1, "passed_in_run": 1, "tokens": 1}
    assert "public" in figures.headers["cache-control"]
    assert languages()["en"].text("bypass.count", n=1) in told.text
    assert text not in told.text + figures.text + page.text
    assert f'href="{BASE}/bypass?lang=en"' in how.text


async def test_a_program_gets_its_admission_as_json(store: Redis, clock: ManualClock, tmp_path: Path) -> None:
    """As a claim answers."""
    async with site(store, clock, tmp_path) as (_, desk, browser):
        _, text = await desk.make(ROOM, "monitor", 1, BY)
        answer = await browser.post(WHERE, json={"token": text})

    body = answer.json()
    assert (answer.status_code, body["outcome"], body["go"]) == (200, "admitted", "/")
    assert body["admission"] in answer.headers["set-cookie"]


@pytest.mark.parametrize(
    ("kind", "sent", "more", "status", "code"),
    [
        ("application/json", b"", {}, 403, "bypass-invalid"),
        ("application/json", b"{}", {}, 403, "bypass-invalid"),
        ("application/json", b"{", {}, 400, "body-malformed"),
        ("application/json", b"[]", {}, 400, "body-malformed"),
        ("application/json", b'{"token": 1}', {}, 403, "bypass-invalid"),
        ("application/json", b'{"token": "x"}', {}, 403, "bypass-invalid"),
        ("application/json", b'{"token": "' + b"x" * 401 + b'"}', {}, 403, "bypass-invalid"),
        (
            "application/json",
            b'{"token": "x", "target": "https://evil.test/"}',
            {},
            400,
            "target-not-allowed",
        ),
        ("application/json", b'"' + b"x" * 70_000 + b'"', {}, 413, "body-too-large"),
        ("text/plain", b"x", {}, 415, "content-type-unknown"),
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
    """Each with a code, and nobody is let in."""
    async with site(store, clock, tmp_path) as (here, _, browser):
        answer = await browser.post(WHERE, content=sent, headers={"content-type": kind} | more)
        await here.drained()
        visits = here.journal.entries(ROOM, kinds=[Kind.BYPASSED])

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert "set-cookie" not in answer.headers
    assert visits == []


async def test_a_wrong_pass_is_told_in_words_and_guessing_is_limited(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """The page comes again without what was typed; an unknown room has no page."""
    async with site(store, clock, tmp_path) as (_, _, browser):
        form = {"token": "sneaky-one", "lang": "de", "target": "/a"}
        wrong = await browser.post(WHERE, data=form)
        answers = [await browser.post(WHERE, json={"token": "x"}) for _ in range(BURST)]
        late = await browser.post(WHERE, data=form)
        nowhere = await browser.get("/.waitroom/r/nowhere/bypass", headers=HTML)
        elsewhere = await browser.post("/.waitroom/r/nowhere/bypass", json={"token": "x"})
        put = await browser.put(WHERE)

    assert wrong.status_code == 403
    assert languages()["de"].refused("bypass-invalid")[1] in wrong.text
    assert 'value="/a"' in wrong.text
    assert "sneaky-one" not in wrong.text
    assert (answers[-1].status_code, answers[-1].json()["code"]) == (429, "too-many-codes")
    assert (late.status_code, put.status_code) == (429, 405)
    assert (nowhere.json()["code"], elsewhere.json()["code"]) == ("room-unknown", "room-unknown")


async def test_a_wiped_store_changes_nothing_for_tokens(store: Redis, tmp_path: Path) -> None:
    """The journal is their book: visits come back, counts stay, what was revoked stays revoked."""
    doors, clock = AdmissionStore(store), ManualClock((await store.time())[0] * 1000)
    async with site(store, clock, tmp_path) as (here, desk, browser):
        here.restorer = Restorer(here.waitroom, here.journal, here.configurations, doors, clock)
        (_, good), (gone, bad) = [await desk.make(ROOM, name, 12, BY) for name in ("a", "b")]
        for text in (good, bad):
            await browser.post(WHERE, json={"token": text})
        await desk.revoke(ROOM, gone.token, BY)
        before = await doors.live_sids(ROOM, clock.now_ms())
        await here.drained()
        await store.flushall()
        for _ in range(3):
            await here.beat()

        assert await doors.live_sids(ROOM, clock.now_ms()) == before
        assert len(before) == 1
        again = await browser.post(WHERE, json={"token": good})
        out = await browser.post(WHERE, json={"token": bad})
        assert (again.status_code, out.json()["code"]) == (200, "bypass-invalid")
        assert [token.passes for token in await desk.tokens(ROOM)] == [1, 1]
        assert here.journal.verify() is None


async def test_without_the_journal_nobody_comes_in(
    store: Redis, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 for programs, a sentence for people, and no figure that is not known."""
    async with site(store, clock, tmp_path) as (_, desk, browser):
        _, text = await desk.make(ROOM, "a", 1, BY)

        async def away(_: object, room: str) -> None:
            raise Unavailable("journal-away", f"The journal of {room} is away.")

        monkeypatch.setattr(JournalTurns, "bypasses", away)
        answers = [
            await browser.get(WHERE),
            await browser.post(WHERE, json={"token": text}),
            await browser.post(WHERE, data={"token": text}),
        ]

    assert [answer.status_code for answer in answers] == [503] * 3
    assert answers[1].json()["code"] == "journal-away"
    assert languages()["en"].text("bypass.title") in answers[2].text
