"""Acts: every lever from the form to the journal, the step before, two people at once, a message before it is shown."""

import html
import re

import pytest
from redis.asyncio import Redis

from dashboards import act_pages, acts, control
from dashboards.acts import DONE, message_of, per_minute
from dashboards.rights import Person, Role
from kernel.clock import ManualClock
from kernel.errors import Misconfigured
from tests.dashboards.desk import MAIN, app_of, client_of, csrf_in, program, pull, query_of, signed_in
from waitroom.configure import Actor, Configurations, Lever
from waitroom.field_readers import moment_text
from waitroom.levers import REASONED
from waitroom.rooms import Room
from waitroom.schedule import wanted
from waitroom.words import languages

MINUTE = 60_000
TOML = Actor("toml")
SHARES = {"verified": "50", "standard": "40,5", "suspect": "9.5"}


async def a_room(store: Redis, clock: ManualClock, *, started: bool = True, **more: object) -> Configurations:
    """Make the room main with a sale that has been on for ten minutes, or starts in ten."""
    start_ms = clock.now_ms() + (-10 if started else 10) * MINUTE
    sale = {
        "name": "spring",
        "prequeue_start_time": moment_text(start_ms - 60 * MINUTE),
        "event_start_time": moment_text(start_ms),
        "event_end_time": moment_text(start_ms + 60 * MINUTE),
    }
    rooms = Configurations(store, clock)
    await rooms.create({**MAIN, "sales": [sale], **more}, TOML)
    return rooms


PULLS: list[tuple[str, dict[str, str], bool, str]] = [
    ("pause", {"confirm": "yes"}, True, "paused"),
    ("resume", {}, True, "paused"),
    ("bypass-on", {"confirm": "yes"}, True, "bypass"),
    ("bypass-off", {}, True, "bypass"),
    ("message", {"situation": "delay"}, True, "message"),
    ("message", {"value": "Soon."}, True, "message"),
    ("rate", {"value": "7"}, True, "new_users_per_minute"),
    ("cap", {"value": "8"}, True, "total_active_users"),
    ("lanes", SHARES, True, "lane_shares.verified"),
    ("delay", {"value": "5"}, False, "sales.spring.event_start_time"),
    ("prolong", {"value": "5"}, True, "sales.spring.event_end_time"),
    ("end", {"confirm": "yes"}, True, "sales.spring.event_end_time"),
    ("drain", {"confirm": "yes"}, True, "draining"),
    ("reopen", {}, True, "draining"),
]


@pytest.mark.parametrize(("lever", "form", "started", "setting"), PULLS)
async def test_every_lever_goes_into_the_journal_with_who_when_and_why(
    store: Redis, clock: ManualClock, lever: str, form: dict[str, str], started: bool, setting: str
) -> None:
    """In the same step of the store as the change itself; the page says what was done."""
    on = {"resume": {"paused": True}, "bypass-off": {"bypass": True}, "reopen": {"draining": True}}
    rooms = await a_room(store, clock, started=started, **on.get(lever, {}))
    async with signed_in(app_of(store, clock)) as browser:
        answer = await pull(browser, lever, why="because", **form)
        assert (answer.status_code, query_of(answer)["done"]) == (303, [lever])
        assert html.escape(DONE[Lever(lever)]) in (await browser.get(answer.headers["location"])).text

    change = (await rooms.changes("main"))[0]
    assert (change["version"], change["who"], change["why"]) == (2, "Ann Lee", "because")
    assert setting in [name for name, _, _ in change["what"]]  # type: ignore[attr-defined]
    entry = {
        name.decode(): value.decode()
        for name, value in (await store.xrange("wr:{main}:journal"))[-1][1].items()
    }
    assert (entry["kind"], entry["version"], entry["who"], entry["why"]) == (
        "configured",
        "2",
        "Ann Lee",
        "because",
    )
    assert int(entry["at_ms"]) > 0


def test_all_levers_are_pulled_here() -> None:
    """None is left out of the table above, and each says what it has done."""
    assert {Lever(lever) for lever, *_ in PULLS} == set(Lever) == set(DONE)


@pytest.mark.parametrize("lever", sorted(REASONED))
async def test_levers_for_everybody_take_a_reason(store: Redis, clock: ManualClock, lever: Lever) -> None:
    """Blanks are none; by the API, too."""
    rooms = await a_room(store, clock)
    form = next(fields for word, fields, *_ in PULLS if word == lever)
    async with signed_in(app_of(store, clock)) as browser, program(app_of(store, clock)) as api:
        answer = await pull(browser, lever, why=" \t ", **form)
        value = {"value": {lane: float(share.replace(",", ".")) / 100 for lane, share in SHARES.items()}}
        body = value if lever is Lever.LANES else {}
        bare = await api.post(f"/api/rooms/main/acts/{lever}", json=body, headers={"if-match": '"1"'})
        why = {"if-match": '"1"', "waitroom-why": "told%20so", "waitroom-who": "Zo%C3%AB"}
        done = await api.post(f"/api/rooms/main/acts/{lever}", json=body, headers=why)

    assert (answer.status_code, "Please say why" in answer.text) == (422, True)
    assert (bare.status_code, bare.json()["code"]) == (422, "reason-missing")
    assert (done.status_code, done.json()["version"]) == (200, 2)
    assert (await rooms.changes("main"))[0]["who"] == "Zoë"


BAD = [
    ("lanes", {**SHARES, "suspect": "0"}, 422, "number from 0.01 to 1"),
    ("lanes", {**SHARES, "suspect": "19.5"}, 422, "must make 1 together"),
    ("lanes", {**SHARES, "verified": "fifty"}, 422, "number from 0 to 1"),
    ("lanes", {**SHARES, "verified": "nan"}, 422, "number from 0 to 1"),
    ("lanes", {**SHARES, "verified": "-5"}, 422, "number from 0 to 1"),
    ("lanes", {**SHARES, "verified": "1e2"}, 422, "number from 0 to 1"),
    ("lanes", {**SHARES, "verified": "٥٠"}, 422, "number from 0 to 1"),
    ("lanes", {"verified": "100"}, 422, "number from 0.01 to 1"),
    ("delay", {"value": "5"}, 409, "has started and does not begin again"),
    ("delay", {"value": "0"}, 422, "minutes must be a whole number"),
    ("delay", {"value": "10081"}, 422, "minutes must be a whole number"),
    ("delay", {"value": "soon"}, 422, "minutes must be a whole number"),
    ("delay", {}, 422, "minutes must be a whole number"),
    ("prolong", {"value": "-1"}, 422, "minutes must be a whole number"),
    ("prolong", {"value": "1.5"}, 422, "minutes must be a whole number"),
    ("message", {"situation": "nothing"}, 422, "canned: and one of"),
    ("message", {"situation": "delay", "value": "Soon."}, 422, "not both"),
    ("message", {"value": "canned:nothing"}, 422, "canned: and one of"),
    ("end", {}, 422, "was not confirmed"),
    ("end", {"confirm": "no"}, 422, "was not confirmed"),
    ("drain", {}, 422, "was not confirmed"),
    ("pause", {}, 422, "was not confirmed"),
    ("bypass-on", {"confirm": ""}, 422, "was not confirmed"),
    *((lever, {**form, "csrf": "k1.AAAA.AAAA"}, 403, "did not come from this page")
      for lever, form, *_ in PULLS),
]  # fmt: skip


@pytest.mark.parametrize(("lever", "form", "status", "told"), BAD)
async def test_a_bad_form_changes_nothing_and_says_why(
    store: Redis, clock: ManualClock, lever: str, form: dict[str, str], status: int, told: str
) -> None:
    """Each lever, each kind of fault."""
    rooms = await a_room(store, clock)
    async with signed_in(app_of(store, clock)) as browser:
        answer = await pull(browser, lever, **{"why": "x", **form})

    assert (answer.status_code, told in html.unescape(answer.text)) == (status, True)
    assert (await rooms.get("main")).version == 1


ACT = "/api/rooms/main/acts"
JSON = {"content-type": "application/json", "waitroom-why": "x"}
NOW = {**JSON, "if-match": '"1"'}
BAD_ACTS = [
    ("POST", f"{ACT}/explode", NOW, b"{}", 404, "lever-unknown"),
    ("GET", f"{ACT}/pause", {}, b"", 405, "method-not-allowed"),
    ("POST", f"{ACT}/resume", JSON, b"{}", 428, "if-match-missing"),
    ("POST", f"{ACT}/resume", {**JSON, "if-match": "1"}, b"{}", 400, "if-match-invalid"),
    ("POST", f"{ACT}/resume", {**JSON, "if-match": '"9"'}, b"{}", 412, "settings-stale"),
    ("POST", f"{ACT}/pause", {}, b"{}", 415, "content-type-unknown"),
    ("POST", f"{ACT}/pause", JSON, b"", 400, "body-not-json"),
    ("POST", f"{ACT}/pause", JSON, b"[]", 400, "body-not-object"),
    ("POST", f"{ACT}/pause", JSON, b'{"valu":1}', 422, "act-malformed"),
    ("POST", f"{ACT}/rate", NOW, b"{}", 422, "settings-invalid"),
    ("POST", f"{ACT}/delay", NOW, b'{"value":"5"}', 422, "settings-invalid"),
    ("POST", f"{ACT}/delay", NOW, b'{"value":5}', 409, "sale-started"),
    ("POST", f"{ACT}/lanes", NOW, b'{"value":{"verified":1}}', 422, "settings-invalid"),
    ("POST", f"{ACT}/message", NOW, b'{"value":null,"x":1}', 422, "act-malformed"),
    ("POST", f"{ACT}/message", NOW, b'{"value":"canned:x"}', 422, "settings-invalid"),
    ("POST", "/api/rooms/none/acts/pause", JSON, b"{}", 404, "room-unknown"),
]


async def test_every_bad_act_by_the_api_gets_a_clear_answer(store: Redis, clock: ManualClock) -> None:
    """And changes nothing; a pause alone goes without a version."""
    rooms = await a_room(store, clock)
    async with program(app_of(store, clock)) as api:
        for method, path, headers, body, status, code in BAD_ACTS:
            answer = await api.request(method, path, headers=headers, content=body)
            assert (answer.status_code, answer.json()["code"]) == (status, code), (path, body)
        assert (await rooms.get("main")).version == 1
        pause = await api.post(f"{ACT}/pause", headers=JSON, content=b"{}")
        assert (pause.status_code, pause.json()["paused"], pause.headers["etag"]) == (200, True, '"2"')


# ------------------------------------------------------------------------------------ the step before
async def test_the_step_before_says_what_fans_will_see(store: Redis, clock: ManualClock) -> None:
    """In the waiting page's own words, on a page that works without a script; nothing is done by looking."""
    rooms = await a_room(store, clock)
    words = languages()["en"]
    async with signed_in(app_of(store, clock)) as browser:
        for lever in acts.ASKS:
            page = html.unescape((await browser.get(f"/rooms/main/confirm/{lever}")).text)
            assert words.text(f"{acts.ASKS[lever].fans}.detail") in page
            assert f'action="/rooms/main/{lever}"' in page
            assert ('name="why" maxlength="300" autocomplete="off" required' in page) == (lever in REASONED)
        shown = html.unescape((await browser.get("/")).text)
        assert words.text("state.paused.detail") in shown.partition('<dialog class="ask" id="stop"')[2]
        assert (await browser.get("/rooms/main/confirm/rate")).json()["code"] == "lever-unknown"
        assert (await browser.get("/rooms/main/confirm/explode")).json()["code"] == "lever-unknown"
        assert (await browser.get("/rooms/none/confirm/pause")).json()["code"] == "room-unknown"
    async with client_of(app_of(store, clock)) as stranger:
        assert (await stranger.get("/rooms/main/confirm/pause")).headers["location"] == "/login"
    assert (await rooms.get("main")).version == 1


async def stops_by_itself(store: Redis, clock: ManualClock) -> bool:
    """Press the big button without the step before; tell whether that stops the room."""
    rooms = await a_room(store, clock)
    async with signed_in(app_of(store, clock)) as browser:
        await pull(browser, "pause")
    return (await rooms.get("main")).paused


async def test_without_the_step_before_one_press_would_stop_everybody(
    store: Redis, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: every form counts as confirmed."""
    assert not await stops_by_itself(store, clock)

    await store.flushall()
    monkeypatch.setattr(acts, "confirmed", lambda *_: True)
    assert await stops_by_itself(store, clock)


# ------------------------------------------------------------------------------------ two at once
async def second_writes(store: Redis, clock: ManualClock) -> int:
    """Let Ann and Bob set the rate on pages that both loaded at once; return the rate that is left."""
    rooms = await a_room(store, clock)
    app = app_of(store, clock)
    async with signed_in(app) as ann, signed_in(app, "Bob") as bob:
        for browser, rate in ((ann, "10"), (bob, "20")):
            csrf = csrf_in(await browser.get("/"))
            await browser.post("/rooms/main/rate", data={"csrf": csrf, "version": "1", "value": rate})
    return (await rooms.get("main")).new_users_per_minute


async def test_without_the_version_the_last_would_win_unseen(
    store: Redis, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: the version that somebody saw is not compared."""
    assert await second_writes(store, clock) == 10

    await store.flushall()
    monkeypatch.setattr(acts, "seen_version", lambda *_: None)
    assert await second_writes(store, clock) == 20


async def test_whoever_comes_second_sees_both_and_can_go_on(store: Redis, clock: ManualClock) -> None:
    """What changed since they looked (who, when, from what to what, why) beside what they wanted, and one button."""
    rooms = await a_room(store, clock)
    await rooms.act("main", Lever.RATE, 150, None, Actor("Cleo", "long ago"))
    app = app_of(store, clock)
    async with signed_in(app, "Bob") as bob:
        csrf = csrf_in(await bob.get("/"))
        await rooms.act("main", Lever.RATE, 90, 2, Actor("Ann Lee", "the site is slow"))
        await rooms.act("main", Lever.CAP, 44, 3, Actor("Dan"))
        mine = {"csrf": csrf, "version": "2", "value": "120", "why": "it recovers"}
        answer = await bob.post("/rooms/main/rate", data=mine)
        page = answer.text
        theirs, _, yours = page.partition('id="yours"')

        assert answer.status_code == 409
        for told in ("Ann Lee", "“the site is slow”", "Dan", "150", "<b>90</b>", "<b>44</b>"):
            assert told in theirs
        assert "Cleo" not in page
        assert re.search(r"Let in per minute</span> 90 .*<b>120</b>", yours)
        fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', yours))
        assert {name: fields[name] for name in ("version", "value", "why")} == {
            "version": "4", "value": "120", "why": "it recovers",
        }  # fmt: skip
        done = await bob.post("/rooms/main/rate", data=fields)
    assert done.status_code == 303
    assert (await rooms.get("main")).new_users_per_minute == 120
    assert [change["who"] for change in await rooms.changes("main", 2)] == ["Bob", "Dan"]


async def test_what_is_not_possible_any_more_is_not_offered(store: Redis, clock: ManualClock) -> None:
    """Somebody ended the sale that somebody else wanted to end; a canned message is carried over whole."""
    rooms = await a_room(store, clock)
    async with signed_in(app_of(store, clock), "Bob") as bob:
        csrf = csrf_in(await bob.get("/"))
        await rooms.act("main", Lever.END, None, 1, Actor("Ann", "over"))
        form = {"csrf": csrf, "version": "1", "why": "x", "confirm": "yes"}
        late = await bob.post("/rooms/main/end", data=form)
        message = await bob.post(
            "/rooms/main/message", data={"csrf": csrf, "version": "1", "situation": "ending", "value": ""}
        )
    assert "has ended already" in late.text
    assert "Apply mine on top" not in late.text
    assert 'name="situation" value="ending"' in message.text


async def test_the_api_tells_what_changed_since(store: Redis, clock: ManualClock) -> None:
    """412 carries the present document and the changes after the version that was named, newest first."""
    rooms = await a_room(store, clock)
    await rooms.act("main", Lever.RATE, 90, 1, Actor("Ann", "slow"))
    await rooms.act("main", Lever.CAP, 44, 2, Actor("Dan"))
    async with program(app_of(store, clock)) as api:
        etag = {"if-match": '"1"'}
        answers = [
            await api.patch("/api/rooms/main", json={"paused": True}, headers=etag),
            await api.patch("/api/rooms/main/sales/spring", json={"description": "x"}, headers=etag),
            await api.delete("/api/rooms/main", headers=etag),
            await api.post(f"{ACT}/resume", json={}, headers=etag),
        ]
        one = await api.patch("/api/rooms/main", json={"paused": True}, headers={"if-match": '"2"'})
    for answer in answers:
        told = answer.json()
        assert (answer.status_code, told["current"]["version"]) == (412, 3)
        assert [(one["version"], one["who"], one["why"]) for one in told["changes"]] == [
            (3, "Dan", ""),
            (2, "Ann", "slow"),
        ]
        assert told["changes"][1]["what"] == [["new_users_per_minute", "200", "90"]]
    assert [change["version"] for change in one.json()["changes"]] == [3]


# ------------------------------------------------------------------------------------ messages
async def test_a_message_is_seen_in_every_language_before_anybody_else_sees_it(
    store: Redis, clock: ManualClock
) -> None:
    """Each text in its own direction, and the waiting page itself with it; the room is as it was."""
    own = {"texts": {"de": {"canned.delay": "Eigene Worte."}}}
    rooms = await a_room(store, clock, theme=own, frame_ancestors=["https://partner.example"])
    async with signed_in(app_of(store, clock)) as browser:
        csrf = csrf_in(await browser.get("/"))
        form = {"csrf": csrf, "version": "1", "situation": "delay", "value": "", "lang": "ar"}
        page = await browser.post("/rooms/main/preview", data=form)
        text = html.unescape(page.text)
        for words in languages().values():
            assert words.text("canned.delay") in text
        assert 'dir="rtl"' in page.text
        assert "frame-src 'self'" in page.headers["content-security-policy"]
        source = html.unescape(re.findall(r'<iframe[^>]* src="([^"]+)"', page.text)[0])
        framed = await browser.get(source)
        assert languages()["ar"].text("canned.delay") in html.unescape(framed.text)
        assert 'lang="ar" dir="rtl"' in framed.text
        assert framed.headers["content-security-policy"].endswith("frame-ancestors 'self'")
        assert framed.headers["cache-control"] == "no-store"
        for address in set(re.findall(r'(?:href|src|data-words)="(/preview/static/[^"]+)"', framed.text)):
            assert (await browser.get(address)).status_code == 200
        german = await browser.get("/rooms/main/preview", params={"lang": "de", "message": "canned:delay"})
        assert "Eigene Worte." in german.text
        plain = await browser.get(
            "/rooms/main/preview", params={"lang": "ja", "message": "canned:delay", "js": "0"}
        )
        assert languages()["ja"].text("canned.delay") in html.unescape(plain.text)
        evil = {**form, "situation": "", "value": '"><script>alert(1)</script>'}
        assert "<script>alert" not in (await browser.post("/rooms/main/preview", data=evil)).text
        shown = await browser.get("/rooms/main/preview", params={"lang": "en", "message": evil["value"]})
        assert "<script>alert" not in shown.text
    assert (await rooms.get("main")).version == 1


@pytest.mark.parametrize(
    ("form", "status", "told"),
    [
        ({}, 422, "no message to show yet"),
        ({"value": "  "}, 422, "no message to show yet"),
        ({"value": "x" * 281}, 422, "at most 280 characters"),
        ({"value": "a\x00b"}, 422, "control characters"),
        ({"situation": "nothing"}, 422, "canned: and one of"),
        ({"situation": "delay", "value": "Soon."}, 422, "not both"),
        ({"situation": "delay", "lang": "tlh"}, 200, "Deutsch"),
        ({"situation": "delay", "csrf": "k1.AAAA.AAAA"}, 403, "form-foreign"),
    ],
)
async def test_a_preview_that_cannot_be_says_why(
    store: Redis, clock: ManualClock, form: dict[str, str], status: int, told: str
) -> None:
    """A language that the page does not speak is shown in the first one."""
    await a_room(store, clock)
    async with signed_in(app_of(store, clock)) as browser:
        csrf = csrf_in(await browser.get("/"))
        answer = await browser.post("/rooms/main/preview", data={"csrf": csrf, **form})

    assert (answer.status_code, told in html.unescape(answer.text)) == (status, True)


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"lang": "tlh"}, 404, "language-unknown"),
        ({"lang": "../en"}, 404, "language-unknown"),
        ({"message": "x" * 281}, 422, "message-invalid"),
        ({"message": "canned:nothing"}, 422, "message-invalid"),
        ({"message": "a\x00b"}, 422, "message-invalid"),
    ],
)
async def test_a_frame_that_cannot_be_is_a_problem(
    store: Redis, clock: ManualClock, query: dict[str, str], status: int, code: str
) -> None:
    """And a stranger gets none at all."""
    await a_room(store, clock)
    async with signed_in(app_of(store, clock)) as browser:
        answer = await browser.get("/rooms/main/preview", params=query)
        assert (await browser.get("/rooms/none/preview")).json()["code"] == "room-unknown"
        assert (await browser.get("/preview/static/none.js")).json()["code"] == "address-unknown"
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    async with client_of(app_of(store, clock)) as stranger:
        assert (await stranger.get("/rooms/main/preview", params={"message": "Hello"})).status_code == 401
        assert (await stranger.post("/rooms/main/preview", data={"csrf": "x"})).headers[
            "location"
        ] == "/login"


async def test_who_may_only_look_steers_nothing(
    store: Redis, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A viewer sees a room and its preview, and is asked nothing before a lever that they cannot pull."""
    rooms = await a_room(store, clock)
    session = control.Session
    monkeypatch.setattr(session, "person", property(lambda self: Person(self.who, Role.VIEWER)))
    async with signed_in(app_of(store, clock)) as browser:
        csrf = csrf_in(await browser.get("/"))
        for lever, form, *_ in PULLS:
            data = {"csrf": csrf, "version": "1", "why": "x", **form}
            assert (await browser.post(f"/rooms/main/{lever}", data=data)).status_code == 403
        assert (await browser.get("/rooms/main/confirm/pause")).json()["code"] == "not-allowed"
        asked = await browser.post("/rooms/main/preview", data={"csrf": csrf, "situation": "delay"})
        assert asked.json()["code"] == "not-allowed"
        assert (await browser.get("/rooms/main/preview")).status_code == 200
    assert (await rooms.get("main")).version == 1


# ------------------------------------------------------------------------------------ what is shown
def test_a_share_is_shown_in_calls_a_minute() -> None:
    """Whole from ten on; a tenth where it matters."""
    assert [per_minute(share, 150) for share in (0.6, 0.35, 0.05, 0.01)] == ["90", "52", "7.5", "1.5"]
    assert per_minute(0.05, 100) == "5"


def test_a_form_with_both_kinds_of_message_is_ambiguous() -> None:
    """Neither is dropped unseen."""
    assert message_of({"situation": "pause"}) == "canned:pause"
    assert message_of({"value": " a\r\nb "}) == "a\nb"
    with pytest.raises(Misconfigured):
        message_of({"situation": "pause", "value": "a"})


def test_the_page_offers_what_is_possible_now() -> None:
    """And says in a sentence why something is not."""
    start = 1_000_000_000
    from waitroom.rooms import Sale

    room = Room("main", "https://a.b", sales=(Sale("spring", start, start + 60 * MINUTE, start - MINUTE),))
    before, on, after = (acts.acts_view(room, at) for at in (start - 1, start + MINUTE, start + 60 * MINUTE))

    assert (before.no_delay, before.no_prolong) == ("", "")
    assert "has not been on for a minute" in before.no_end
    assert "can drain" in before.no_drain
    assert "does not begin again" in on.no_delay
    assert (on.no_prolong, on.no_end, on.no_drain) == ("", "", "")
    assert after.times == "It started and has ended."
    assert wanted(room, start).sale is not None
    assert act_pages.PREFIX == "/preview"
