"""Guests on the operator's side: the API and the page, their bad inputs, and who may."""

import re
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from redis.asyncio import Redis

from admission.guests import By
from admission.ports import Turn
from admission.steering import Guest
from dashboards.entrance import Entrance
from dashboards.rights import Person, Role
from kernel.clock import ManualClock
from kernel.errors import Refused, Unavailable
from tests.dashboards.desk import MAIN, app_of, client_of, csrf_in, program, signed_in

WHO = {"waitroom-who": "mia", "waitroom-why": quote("asked by mail — twice")}
TURN = Turn("S" * 22, 1_000, "standard")
BACKEND = "a-shop-of-its-own-token"


@dataclass
class Line:
    """Forty-two places; number 3 is inside, 4 was. Remembers what was done."""

    acts: list[tuple[str, str, int, By]] = field(default_factory=list)
    out: set[int] = field(default_factory=set)
    away: bool = False

    async def find(self, room: str, number: int) -> Guest:
        """Look."""
        if self.away:
            raise Unavailable("journal-away", "The journal is away.")
        if number >= 42 or room != "main":
            raise Refused("place-unknown", "There is no such place in the present line.", status=404)
        turn = TURN if number in {3, 4} else None
        return Guest("00ff", number, turn, 9_000 if number == 3 else 0, number in self.out)

    async def revoke(self, room: str, number: int, by: By) -> Guest:
        """Revoke."""
        guest = await self.find(room, number)
        if not guest.until_ms:
            raise Refused("no-session", "This guest has no session that could be revoked.", status=409)
        self.acts.append(("revoke", room, number, by))
        return Guest("00ff", number, guest.turn, 0, evicted=False)

    async def revoke_all(self, room: str, by: By) -> int:
        """Revoke all."""
        await self.find(room, 0)
        self.acts.append(("revoke-all", room, -1, by))
        return 1_371

    async def evict(self, room: str, number: int, by: By) -> Guest:
        """Evict."""
        await self.find(room, number)
        self.acts.append(("evict", room, number, by))
        self.out.add(number)
        return await self.find(room, number)

    async def reinstate(self, room: str, number: int, by: By) -> Guest:
        """Give back."""
        await self.find(room, number)
        self.acts.append(("reinstate", room, number, by))
        self.out.discard(number)
        return await self.find(room, number)

    async def evicted(self, room: str) -> list[int]:
        """List."""
        await self.find(room, 0)
        return sorted(self.out)


async def test_a_guest_is_found_revoked_evicted_and_given_back(store: Redis, clock: ManualClock) -> None:
    """By the number that they read, counted from 1; each act names who and why."""
    line = Line()
    async with program(app_of(store, clock, guests=line)) as api:
        await api.post("/api/rooms", json=MAIN)
        found = await api.get("/api/rooms/main/guests/4")
        revoked = await api.post("/api/rooms/main/guests/4/revoke", headers=WHO)
        out = await api.post("/api/rooms/main/guests/8/evict", headers=WHO)
        listed = await api.get("/api/rooms/main/guests")
        back = await api.post("/api/rooms/main/guests/8/reinstate", headers=WHO)
        everybody = await api.post("/api/rooms/main/guests/revoke-all", json={"all": True}, headers=WHO)

    assert found.json() == {
        "arrived": 4, "run": "00ff", "standing": "inside", "evicted": False, "sid": "S" * 22, "lane": "standard",
        "admitted_ms": 1_000, "until_ms": 9_000,
    }  # fmt: skip
    assert (revoked.json()["standing"], revoked.json()["until_ms"]) == ("over", None)
    assert (out.json()["standing"], out.json()["sid"]) == ("evicted", None)
    assert (listed.json(), back.json()["standing"]) == ({"evicted": [8]}, "waiting")
    assert everybody.json() == {"revoked": 1_371}
    by = By("mia", "asked by mail — twice")
    assert line.acts == [
        ("revoke", "main", 3, by), ("evict", "main", 7, by), ("reinstate", "main", 7, by),
        ("revoke-all", "main", -1, by),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "sent", "headers", "status", "code"),
    [
        ("1/evict", None, {}, 422, "reason-missing"),
        ("1/evict", None, {"waitroom-why": "%20"}, 422, "reason-missing"),
        ("1/evict", None, {"waitroom-why": "x" * 301}, 422, "reason-too-long"),
        ("0/evict", None, WHO, 422, "arrived-malformed"),
        ("-1/evict", None, WHO, 422, "arrived-malformed"),
        ("1.0/evict", None, WHO, 422, "arrived-malformed"),
        ("one/evict", None, WHO, 422, "arrived-malformed"),
        ("%D9%A1/evict", None, WHO, 422, "arrived-malformed"),
        ("9" * 40 + "/evict", None, WHO, 422, "arrived-malformed"),
        (f"{(1 << 40) + 1}/evict", None, WHO, 422, "arrived-malformed"),
        ("43/evict", None, WHO, 404, "place-unknown"),
        ("1/delete", None, WHO, 404, "act-unknown"),
        ("1/revoke", None, WHO, 409, "no-session"),
        ("revoke-all", b"", WHO, 400, "body-not-json"),
        ("revoke-all", b"[]", WHO, 400, "body-not-object"),
        ("revoke-all", b"{}", WHO, 422, "revoke-all-unconfirmed"),
        ("revoke-all", b'{"all": 1}', WHO, 422, "revoke-all-unconfirmed"),
        ("revoke-all", b'{"all": true, "room": "main"}', WHO, 422, "revoke-all-unconfirmed"),
        ("revoke-all", b'{"all": true}', {}, 422, "reason-missing"),
    ],
)
async def test_bad_acts_are_refused(
    store: Redis,
    clock: ManualClock,
    path: str,
    sent: bytes | None,
    headers: dict[str, str],
    status: int,
    code: str,
) -> None:
    """Each with a code, and nobody is touched."""
    line = Line()
    async with program(app_of(store, clock, guests=line)) as api:
        await api.post("/api/rooms", json=MAIN)
        kind = {"content-type": "application/json"} if sent is not None else {}
        answer = await api.post(f"/api/rooms/main/guests/{path}", content=sent, headers=headers | kind)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert line.acts == []


ADDRESSES = [("GET", ""), ("POST", "/revoke-all"), ("GET", "/1"), ("POST", "/1/evict")]


@pytest.mark.parametrize(("method", "path"), ADDRESSES)
async def test_only_operators_of_a_room_that_is_there_act(
    store: Redis, clock: ManualClock, method: str, path: str
) -> None:
    """No token, a shop's token, a room that there is not, an installation without guests."""
    app = app_of(store, clock, guests=Line(), backend_token=BACKEND)
    where, body = f"/api/rooms/main/guests{path}", {"json": {"all": True}} if method == "POST" else {}
    async with program(app) as api, client_of(app) as stranger, program(app, BACKEND) as shop:
        await api.post("/api/rooms", json=MAIN)
        codes = [
            (await one.request(method, where.replace("main", room), headers=WHO, **body)).json()["code"]
            for one, room in ((stranger, "main"), (shop, "main"), (api, "other"))
        ]
    async with program(app_of(store, clock)) as api:
        without = await api.request(method, where, headers=WHO, **body)

    assert codes == ["token-missing", "token-invalid", "room-unknown"]
    assert without.status_code == 404


# -------------------------------------------------------------------------------------- the page


async def _sent(browser: httpx.AsyncClient, where: str, **form: str) -> httpx.Response:
    return await browser.post(where, data={"csrf": csrf_in(await browser.get("/"))} | form)


async def test_the_page_does_it_without_a_script(store: Redis, clock: ManualClock) -> None:
    """Find, evict with a reason, give back; the notice says what follows, a reload repeats nothing."""
    line = Line()
    app = app_of(store, clock, guests=line, waiting_page="http://room.test/.waitroom/r/")
    async with program(app) as api, signed_in(app) as browser:
        await api.post("/api/rooms", json=MAIN)
        assert 'href="/rooms/main/guests"' in (await browser.get("/")).text
        where = "/rooms/main/guests"
        found = await browser.get(where, params={"arrived": "1,0"})
        inside = await browser.get(where, params={"arrived": "4"})
        done = await _sent(browser, where + "?arrived=10", act="evict", arrived="10", why="a script")
        shown = await browser.get(done.headers["location"])
        back = await _sent(browser, done.headers["location"], act="reinstate", arrived="10", why="mistaken")

    assert "Number 10 has not been let in" in found.text
    assert "Number 4 is inside" in inside.text
    assert 'href="http://room.test/.waitroom/r/main/preview/waiting?live=4&amp;lane=standard"' in inside.text
    assert "End the visit" in inside.text
    assert (done.status_code, done.headers["location"]) == (303, f"{where}?arrived=10&done=evict")
    assert "Number 10 is evicted" in shown.text
    assert 'role="status"' in shown.text
    assert back.status_code == 303
    assert [(act, number, by) for act, _, number, by in line.acts] == [
        ("evict", 9, By("Ann Lee", "a script")), ("reinstate", 9, By("Ann Lee", "mistaken")),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("form", "status", "told"),
    [
        ({"act": "evict", "arrived": "10"}, 422, "Say why"),
        ({"act": "evict", "arrived": "10", "why": " \t "}, 422, "Say why"),
        ({"act": "evict", "arrived": "0", "why": "x"}, 422, "from 1"),
        ({"act": "evict", "arrived": "<b>", "why": "x"}, 422, "from 1"),
        ({"act": "evict", "arrived": "99", "why": "x"}, 404, "no such place"),
        ({"act": "evict", "why": "x"}, 422, "from 1"),
        ({"act": "revoke", "arrived": "10", "why": "x"}, 409, "no session"),
        ({"act": "erase", "arrived": "10", "why": "x"}, 404, "revoked, evicted"),
        ({"arrived": "10", "why": "x"}, 404, "revoked, evicted"),
        ({"csrf": "made-up", "act": "evict", "arrived": "10", "why": "x"}, 403, "This form did not come"),
    ],
)
async def test_a_bad_form_changes_nothing(
    store: Redis, clock: ManualClock, form: dict[str, str], status: int, told: str
) -> None:
    """The page says what is wrong, and shows nothing of what was typed as anything but text."""
    line = Line()
    app = app_of(store, clock, guests=line)
    async with program(app) as api, signed_in(app) as browser:
        await api.post("/api/rooms", json=MAIN)
        answer = await _sent(browser, "/rooms/main/guests", **form)

    assert answer.status_code == status
    assert told in answer.text
    assert "<b>" not in answer.text
    assert line.acts == []


async def test_all_visits_end_only_after_the_step_before(store: Redis, clock: ManualClock) -> None:
    """Confirmed and with a reason; then the page says how many."""
    line = Line()
    app = app_of(store, clock, guests=line)
    async with program(app) as api, signed_in(app) as browser:
        await api.post("/api/rooms", json=MAIN)
        where = "/rooms/main/guests/all"
        bare = await _sent(browser, where, why="x")
        silent = await _sent(browser, where, confirm="yes")
        foreign = await _sent(browser, where, confirm="yes", why="x", csrf="made-up")
        assert line.acts == []
        done = await _sent(browser, where, confirm="yes", why="the shop is on fire")
        told = await browser.get(done.headers["location"])
        odd = await browser.get("/rooms/main/guests?revoked=%3Cb%3E&done=x")

    assert [answer.status_code for answer in (bare, silent, foreign)] == [422, 422, 403]
    assert "1,371 visits have ended" in told.text
    assert line.acts == [("revoke-all", "main", -1, By("Ann Lee", "the shop is on fire"))]
    assert 'class="notice' not in odd.text


async def test_who_is_not_signed_in_comes_to_the_door(store: Redis, clock: ManualClock) -> None:
    """Each address."""
    app = app_of(store, clock, guests=Line())
    async with client_of(app) as browser:
        answers = [
            await browser.request(method, f"/rooms/main/guests{path}", data={} if method == "POST" else None)
            for method in ("GET", "POST")
            for path in ("", "/all")
        ]

    assert [answer.headers.get("location") for answer in answers] == ["/login"] * 4


async def test_a_store_that_is_away_says_so(store: Redis, clock: ManualClock) -> None:
    """503, and when to ask again."""
    line = Line()
    app = app_of(store, clock, guests=line)
    async with program(app) as api, signed_in(app) as browser:
        await api.post("/api/rooms", json=MAIN)
        csrf = csrf_in(await browser.get("/rooms/main/guests?arrived=10"))
        line.away = True
        form = {"csrf": csrf, "act": "evict", "arrived": "10", "why": "x", "confirm": "yes"}
        answers = [
            await browser.get("/rooms/main/guests"),
            await browser.post("/rooms/main/guests", data=form),
            await browser.post("/rooms/main/guests/all", data=form),
        ]

    assert [(answer.status_code, answer.headers["retry-after"]) for answer in answers] == [(503, "2")] * 3


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
async def test_a_viewer_sees_who_is_evicted_and_no_form(
    store: Redis, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, role: Role
) -> None:
    """And every act of theirs is refused."""
    line = Line(out={6})
    app = app_of(store, clock, guests=line)
    async with program(app) as api, signed_in(app) as browser:
        await api.post("/api/rooms", json=MAIN)
        csrf = csrf_in(await browser.get("/rooms/main/guests?arrived=7"))
        read = Entrance.session

        def session(entrance: Entrance, request: Any) -> Any:
            found = read(entrance, request)
            assert found is not None
            return SimpleNamespace(
                sid=found.sid, who=found.who, until_ms=found.until_ms, role=role, rooms=None, account=False,
                person=Person(found.who, role),
            )  # fmt: skip

        monkeypatch.setattr(Entrance, "session", session)
        page = await browser.get("/rooms/main/guests?arrived=7")
        form = {"csrf": csrf, "act": "reinstate", "arrived": "7", "why": "x", "confirm": "yes"}
        acts = [
            (await browser.post("/rooms/main/guests", data=form)).status_code,
            (await browser.get("/rooms/main/guests/all")).status_code,
            (await browser.post("/rooms/main/guests/all", data=form)).status_code,
        ]

    forms = re.findall(r"<form[^>]*action=\"/rooms", page.text)
    assert "Number 7 is evicted" in page.text
    assert (
        (forms, acts) == ([], [403] * 3)
        if role is Role.VIEWER
        else (len(forms) > 1, acts) == (True, [303, 200, 303])
    )
