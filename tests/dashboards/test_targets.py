"""Targets by API and by page: owners make and steer them, nobody else does, and each act is in the journal."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from dashboards import access, operator_api
from dashboards.rights import Person, Role
from kernel.clock import ManualClock
from kernel.webhook_signing import secret_of
from tests.dashboards.desk import app_of, client_of, csrf_in, program, signed_in
from tests.dashboards.outgoing import Parts, entry, gone, parts
from tests.waitroom.receivers import is_right, receiving
from waitroom import journal_reader
from waitroom.configure import WHO_CHARS, WHY_CHARS
from waitroom.journal import Kind
from waitroom.targets import TARGETS_MOST

HOOK = {"name": "shop", "way": "webhook", "address": "https://hooks.example/secret-path"}


@pytest.fixture
def made(tmp_path: Path, clock: ManualClock) -> Iterator[Parts]:
    """Give an open journal."""
    with parts(f"sqlite:///{tmp_path}/journal.db", clock) as found:
        yield found


async def test_an_owner_makes_steers_and_removes_a_target(
    made: Parts, store: Redis, clock: ManualClock
) -> None:
    """Who and why of each act is in the journal; the path of an address is not shown again."""
    app = app_of(store, clock, outgoing=made.outgoing)
    who = {"waitroom-who": "Ann", "waitroom-why": "new%20shop"}
    async with program(app, **who) as api:
        answer = await api.post("/api/targets", json=HOOK)
        assert (answer.status_code, answer.headers["location"]) == (201, "/api/targets/shop")
        secret = answer.json()["secret"]
        assert len(secret_of(secret)) == 32
        shown = (await api.get("/api/targets/shop")).json()
        assert shown == (await api.get("/api/targets")).json()["targets"][0]
        assert (shown["address"], shown["state"]) == ("https://hooks.example/…", "active")
        assert "secret" not in shown
        for step, given, state in (
            ("pause", {}, "paused"),
            ("resume", {}, "active"),
            ("replay", {"from": 1}, "active"),
            ("rotate", {}, "active"),
        ):
            answer = await api.post(f"/api/targets/shop/{step}", json=given)
            assert (answer.status_code, answer.json()["state"]) == (200, state)
        assert secret_of(answer.json()["secret"]) not in {secret_of(secret), b""}
        assert (await api.get("/api/targets/shop/deliveries")).json() == {"deliveries": []}
        assert (await api.delete("/api/targets/shop")).status_code == 204
        assert (await api.get("/api/targets/shop")).status_code == 404
    acts = [
        (one.body["act"], one.body["what"], one.body["who"], one.body["why"])
        for one in made.journal.entries()
    ]
    assert [act[0] for act in acts] == [
        "made the target", "paused the target", "resumed the target", "replays events to the target",
        "gave a new secret to the target", "removed the target",
    ]  # fmt: skip
    assert {act[1:] for act in acts} == {("shop", "Ann", "new shop")}


async def test_a_test_event_is_signed_and_moves_nothing(
    made: Parts, store: Redis, clock: ManualClock
) -> None:
    """It arrives also where the target is paused, and stands in the log."""
    app = app_of(store, clock, outgoing=made.outgoing)
    async with receiving() as receiver, program(app) as api:
        made_ = await api.post("/api/targets", json=HOOK | {"address": f"{receiver.url}/hook"})
        secret = secret_of(made_.json()["secret"])
        before = made.store.get("shop").cursor
        receiver.statuses = [204, 500]
        for outcome in ("sent", "later"):
            await api.post("/api/targets/shop/test", json={})
            first = (await api.get("/api/targets/shop/deliveries")).json()["deliveries"][0]
            assert (first["outcome"], first["first_seq"]) == (outcome, 0)
        ((head, body), _) = receiver.heard
        assert is_right(head, body, secret, made.clock.now_ms() // 1000)
        assert b'"type":"waitroom.test"' in body
        assert made.store.get("shop").cursor == before
        await made.ways.close()


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({}, "name"),
        ({"name": "Shop"}, "name"),
        ({"name": 7}, "name"),
        ({"name": ""}, "name"),
        ({"way": "pigeon"}, "way"),
        ({"way": ["webhook"]}, "way"),
        ({"way": None}, "way"),
        ({"address": 7}, "address"),
        ({"address": ""}, "address"),
        ({"address": "https://" + "x" * 2048}, "address"),
        ({"address": "http://hooks.example/"}, "address"),
        ({"address": "https://10.0.0.1/"}, "address"),
        ({"address": "https://169.254.169.254/latest/meta-data"}, "address"),
        ({"address": "https://user:word@hooks.example/"}, "address"),
        ({"way": "mail", "address": "ops@hall.example"}, "no mail server"),
        ({"rooms": "main"}, "rooms"),
        ({"rooms": ["Main"]}, "rooms"),
        ({"rooms": ["main"] * 101}, "rooms"),
        ({"kinds": ["odd"]}, "kinds"),
        ({"kinds": [1]}, "kinds"),
        ({"kinds": {}}, "kinds"),
        ({"after": -1}, "after"),
        ({"after": "1"}, "after"),
        ({"after": True}, "after"),
        ({"after": 1 << 60}, "after"),
        ({"secret": "mine"}, "secret"),
    ],
)
async def test_what_is_no_target_is_refused_with_every_fault(
    made: Parts, store: Redis, clock: ManualClock, given: dict[str, Any], fault: str
) -> None:
    """And nothing is kept."""
    app = app_of(store, clock, outgoing=made.outgoing)
    async with program(app) as api:
        answer = await api.post("/api/targets", json=HOOK | given if given else {})
        assert (answer.status_code, answer.json()["code"]) == (422, "settings-invalid")
        assert fault in " ".join(answer.json()["faults"])
        assert (await api.get("/api/targets")).json() == {"targets": []}


async def test_what_cannot_be_done_with_a_target_is_refused(
    made: Parts, store: Redis, clock: ManualClock
) -> None:
    """Unknown ones, twice the same, more than there may be, replays from nowhere, bodies that are none."""
    app = app_of(store, clock, outgoing=made.outgoing)
    async with program(app) as api:
        await api.post("/api/targets", json=HOOK)
        for method, path, json_, status, code in (
            ("POST", "", HOOK, 409, "target-exists"),
            ("GET", "/none", None, 404, "target-unknown"),
            ("DELETE", "/none", None, 404, "target-unknown"),
            ("GET", "/none/deliveries", None, 404, "target-unknown"),
            ("POST", "/none/pause", {}, 404, "target-unknown"),
            ("POST", "/shop/explode", {}, 404, "act-unknown"),
            ("POST", "/shop/replay", {}, 422, "replay-malformed"),
            ("POST", "/shop/replay", {"from": 0}, 422, "replay-malformed"),
            ("POST", "/shop/replay", {"from": "1"}, 422, "replay-malformed"),
            ("POST", "/shop/replay", {"from": True}, 422, "replay-malformed"),
            ("POST", "/shop/pause", [], 400, "body-not-object"),
        ):
            answer = await api.request(method, f"/api/targets{path}", json=json_)
            assert (answer.status_code, answer.json()["code"]) == (status, code), path
        for n in range(1, TARGETS_MOST):
            assert (await api.post("/api/targets", json=HOOK | {"name": f"t{n}"})).status_code == 201
        full = await api.post("/api/targets", json=HOOK | {"name": "more"})
        assert (full.status_code, full.json()["code"]) == (409, "targets-full")


@pytest.mark.parametrize(
    "person",
    [
        Person("Ann", Role.VIEWER),
        Person("Ann", Role.OPERATOR),
        Person("Ann", Role.OWNER, frozenset({"main"})),
    ],
)
async def test_nobody_but_an_owner_of_everything_reaches_targets(
    made: Parts, store: Redis, clock: ManualClock, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By page as by API; no page leads there."""
    app = app_of(store, clock, outgoing=made.outgoing)
    async with signed_in(app) as browser:
        page = await browser.get("/targets")
        assert page.status_code == 200
        form = {"csrf": csrf_in(page), "name": "shop", "way": "webhook", "address": "https://hooks.example/"}
        monkeypatch.setattr(access.Session, "person", person)
        assert "/targets" not in (await browser.get("/journal")).text
        assert (await browser.get("/targets")).status_code == 403
        assert (await browser.post("/targets/make", data=form)).status_code == 403

    monkeypatch.setattr(operator_api, "Person", lambda *_: person)
    async with program(app) as api:
        for method, path in (
            ("GET", ""), ("POST", ""), ("GET", "/shop"), ("DELETE", "/shop"), ("GET", "/shop/deliveries"),
            ("POST", "/shop/pause"),
        ):  # fmt: skip
            assert (await api.request(method, f"/api/targets{path}", json={})).status_code == 403
    assert made.store.all() == []


async def press(browser: Any, act: str, **form: str) -> Any:
    """Send a form of the page."""
    page = await browser.get("/targets")
    return await browser.post(f"/targets/{act}", data={"csrf": csrf_in(page)} | form)


async def test_the_page_does_what_the_api_does(made: Parts, store: Redis, clock: ManualClock) -> None:
    """A secret is shown once; what was typed stays where it is refused; the journal has who and why of every act."""
    app = app_of(store, clock, outgoing=made.outgoing)
    async with receiving() as receiver, signed_in(app) as browser:
        address = f"{receiver.url}/hook"
        wrong = {"name": "shop", "way": "webhook", "address": "https://10.0.0.1/x", "why": "a new shop"}
        refused = await press(browser, "make", **wrong)
        assert (refused.status_code, "not public" in refused.text) == (422, True)
        assert 'value="https://10.0.0.1/x"' in refused.text
        kept = await press(
            browser, "make", **wrong | {"address": address, "rooms": "main, side", "kinds": "opened"}
        )
        assert "whsec_" in kept.text
        assert "whsec_" not in (await browser.get("/targets")).text
        target = made.store.get("shop")
        assert (target.rooms, target.kinds) == (("main", "side"), ("opened",))
        assert "The test has arrived." in (await press(browser, "test", name="shop")).text
        receiver.statuses = [500]
        assert "The test was not taken: 500." in (await press(browser, "test", name="shop")).text
        for act, words in (
            ("pause", "Paused."),
            ("resume", "Resumed."),
            ("replay", "told again"),
            ("remove", "told no more"),
        ):
            answer = await press(browser, act, name="shop", why=f"to {act}", **{"from": "1"})
            assert answer.status_code == 303
            assert words in (await browser.get(answer.headers["location"])).text
        assert (await press(browser, "pause", name="shop", why="x")).status_code == 404
        assert (await browser.post("/targets/make", data={"csrf": "x"})).status_code == 403
        assert (await browser.get("/targets/make")).status_code == 405
        assert made.store.all() == []
        await made.ways.close()
    by = [(one.body["who"], one.body["why"]) for one in made.journal.entries(kinds=[Kind.TARGET])]
    whys = ["a new shop", "to pause", "to resume", "to replay", "to remove"]
    assert by == [("Ann Lee", why) for why in whys]


@pytest.mark.parametrize("why", ["", " ", "x" * 301])
async def test_no_act_on_a_target_goes_without_a_reason(
    made: Parts, store: Redis, clock: ManualClock, why: str
) -> None:
    """On the page, where somebody can be asked; a test moves nothing and needs none."""
    app = app_of(store, clock, outgoing=made.outgoing)
    async with program(app) as api, signed_in(app) as browser:
        await api.post("/api/targets", json=HOOK)
        before, acts = made.store.get("shop"), made.journal.end()
        for act in ("pause", "resume", "replay", "rotate", "remove", "make"):
            answer = await press(browser, act, name="shop", why=why)
            assert (answer.status_code, "eason" in answer.text) == (422, True)

    assert (made.store.get("shop"), made.journal.end()) == (before, acts)


async def test_a_reason_that_is_too_long_for_the_journal_is_cut(
    made: Parts, store: Redis, clock: ManualClock
) -> None:
    """By the API, as for rooms."""
    app = app_of(store, clock, outgoing=made.outgoing)
    async with program(app, **{"waitroom-who": "m" * 999, "waitroom-why": "w" * 999}) as api:
        assert (await api.post("/api/targets", json=HOOK)).status_code == 201
    (made_,) = made.journal.entries()

    assert (made_.body["who"], made_.body["why"]) == ("m" * WHO_CHARS, "w" * WHY_CHARS)


async def test_a_secret_is_shown_although_its_page_cannot_be(
    made: Parts, store: Redis, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal goes away right after the target is made: its secret counts, so it is told, once."""
    app = app_of(store, clock, outgoing=made.outgoing)
    async with signed_in(app) as browser:
        page = await browser.get("/targets")
        monkeypatch.setattr(made.store, "all", gone)
        form = HOOK | {"csrf": csrf_in(page), "why": "x"}
        answer = await browser.post("/targets/make", data=form)
        lost = await browser.post("/targets/rotate", data={**form, "name": "other"})
        monkeypatch.setattr(made.store, "change", gone)
        doubt = await browser.post("/targets/rotate", data=form)

    assert (answer.status_code, "whsec_" in answer.text, "refresh" in answer.text) == (200, True, False)
    assert (lost.status_code, "not known" in lost.text) == (503, False)
    assert (doubt.status_code, "not known" in doubt.text, "refresh" in doubt.text) == (503, True, False)


# ------------------------------------------------------------------------------- the journal's page


async def test_the_journal_is_shown_by_what_is_looked_for(
    made: Parts, store: Redis, clock: ManualClock
) -> None:
    """Single fans only where they are asked for; what was typed is shown as it was typed."""
    app = app_of(store, clock, outgoing=made.outgoing)
    made.journal.append(
        [
            entry(Kind.OPENED, 1_800_000_000_000, who="Ann", why="<b>first</b>", opening="spring"),
            entry(Kind.ADMITTED, 1_800_000_001_000, number="7"),
            entry(Kind.PHASE, 1_800_000_002_000, "side", phase="ended", who="Bob"),
        ]
    )
    made.watch.step()
    async with signed_in(app) as browser:

        async def shown(query: str = "") -> list[int]:
            page = await browser.get(f"/journal?{query}")
            assert page.status_code == 200
            return [int(part.partition('"')[0]) for part in page.text.split('id="seq-')[1:]]

        page = (await browser.get("/journal")).text
        assert "verified up to 3 at" in page
        assert "&lt;b&gt;first&lt;/b&gt;" in page
        assert "<b>first" not in page
        assert await shown() == [3, 1]
        assert await shown("kind=all") == [3, 2, 1]
        assert await shown("kind=admitted") == [2]
        assert await shown("room=main") == [1]
        assert await shown("who=Bob") == [3]
        assert await shown("text=FIRST") == [1]
        assert await shown("since=2027-01-15T08:00:01") == [3]
        assert await shown("until=2027-01-15T08:00:01") == [1]
        assert await shown("kind=all&before=3") == [2, 1]
        lines = await browser.get("/journal/journal.jsonl?kind=all")
        assert [line[:40] for line in lines.text.splitlines()] == [
            f'{{"schema":"waitroom.event.v1","seq":{n},"a' for n in (1, 2, 3)
        ]
        assert "attachment" in lines.headers["content-disposition"]


@pytest.mark.parametrize(
    "query",
    ["room=Main", "room=a/b", "kind=odd", "since=yesterday", "until=2027-13-01", "before=x", "before=-1"],
)
async def test_what_cannot_be_looked_for_is_said(
    made: Parts, store: Redis, clock: ManualClock, query: str
) -> None:
    """On the page, and nothing is found."""
    app = app_of(store, clock, outgoing=made.outgoing)
    async with signed_in(app) as browser:
        page = await browser.get(f"/journal?{query}")
        assert (page.status_code, 'role="alert"' in page.text, 'id="seq-' in page.text) == (422, True, False)
        if "before" not in query:
            assert (await browser.get(f"/journal/journal.csv?{query}")).status_code == 422


async def test_a_sale_between_two_acts_does_not_hide_the_older_one(
    made: Parts, store: Redis, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page looks further back by itself, and says how far where that was not far enough."""
    monkeypatch.setattr(journal_reader, "SCAN", 10)
    fans = [entry(Kind.ADMITTED, n, number=str(n)) for n in range(95)]
    made.journal.append([entry(Kind.OPENED, 0), *fans, entry(Kind.PHASE, 9, phase="ended")])
    async with signed_in(app_of(store, clock, outgoing=made.outgoing)) as browser:
        page = (await browser.get("/journal")).text
        assert ('id="seq-97"' in page, 'id="seq-1"' in page) == (True, True)
        made.journal.append(fans)
        page = (await browser.get("/journal?kind=opened")).text
        assert "looked back to entry 93" in page
        assert 'id="seq-1"' in (await browser.get("/journal?kind=opened&before=93")).text


async def test_a_person_who_is_limited_to_rooms_sees_these(
    made: Parts, store: Redis, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the page and in what they take along; the others' are not told even by number."""
    app = app_of(store, clock, outgoing=made.outgoing)
    made.journal.append(
        [
            entry(Kind.OPENED, 1, who="Ann"),
            entry(Kind.OPENED, 2, "side", who="Eve"),
            entry(Kind.OPERATOR, 3, "", who="Eve"),
        ]
    )
    async with signed_in(app) as browser:
        monkeypatch.setattr(access.Session, "person", Person("Ann", Role.VIEWER, frozenset({"main"})))
        for path in ("", "/journal.jsonl", "/journal.csv"):
            answer = await browser.get(f"/journal{path}")
            assert (answer.status_code, "Eve" in answer.text, "Ann" in answer.text) == (200, False, True)
            assert (await browser.get(f"/journal{path}?room=side")).status_code == 422
        assert 'href="/journal"' in (await browser.get("/journal")).text


async def test_a_table_has_no_formulas_and_whoever_is_not_signed_in_gets_nothing(
    made: Parts, store: Redis, clock: ManualClock
) -> None:
    """What a spreadsheet would work out is marked as text."""
    app = app_of(store, clock, outgoing=made.outgoing)
    made.journal.append([entry(Kind.OPENED, 1, who="=HYPERLINK(1)", why="@x")])
    async with signed_in(app) as browser:
        text = (await browser.get("/journal/journal.csv")).text
    assert "'=HYPERLINK(1),'@x" in text

    async with client_of(app) as nobody:
        for path in ("/journal", "/journal/journal.csv", "/journal/journal.jsonl", "/targets"):
            answer = await nobody.get(path)
            assert (answer.status_code, answer.headers["location"]) == (303, "/login")
        assert (await nobody.post("/targets/make", data={})).status_code == 303
