"""Bypass tokens on the operator's side: the API and the page, their bad inputs, and who may."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from admission.bypassing import Token
from admission.guests import By
from dashboards.entrance import Entrance
from dashboards.rights import Person, Role
from kernel.clock import ManualClock
from kernel.errors import Refused, Unavailable
from tests.dashboards.desk import MAIN, app_of, client_of, csrf_in, program, signed_in

WHO = {"waitroom-who": "mia", "waitroom-why": "press"}
BACKEND = "a-shop-of-its-own-token"
TEXT = "k1.the-text-of-a-token.mac"


@dataclass
class Passes:
    """Tokens in memory; remembers what was done."""

    made: list[Token] = field(default_factory=list)
    acts: list[tuple[str, str, By]] = field(default_factory=list)
    away: bool = False
    goes: bool = False
    """The journal goes away as soon as something is made."""

    async def make(self, room: str, name: str, hours: int, by: By) -> tuple[Token, str]:
        """Make."""
        if not name or hours < 1:
            raise Refused("bypass-malformed", "Give a name, and hours.", status=422)
        await self.tokens(room)
        self.made.insert(0, Token(f"{len(self.made):016x}", name, by.who, by.why, 1_000, 1 << 45))
        self.away = self.goes
        self.acts.append(("make", name, by))
        return self.made[0], TEXT

    async def revoke(self, room: str, token: str, by: By) -> Token:
        """Revoke."""
        found = next((one for one in await self.tokens(room) if one.token == token), None)
        if found is None:
            raise Refused("bypass-unknown", "There is no such bypass token.", status=404)
        found.revoked_ms = 2_000
        self.acts.append(("revoke", token, by))
        return found

    async def tokens(self, room: str) -> list[Token]:
        """List."""
        assert room == "main"
        if self.away:
            raise Unavailable("journal-away", "The journal is away.")
        return self.made


async def test_a_token_is_made_listed_and_revoked(store: Redis, clock: ManualClock) -> None:
    """Its text is told once; the list names who and why."""
    passes = Passes()
    async with program(app_of(store, clock, bypassing=passes)) as api:
        await api.post("/api/rooms", json=MAIN)
        made = await api.post("/api/rooms/main/bypass", json={"name": " press ", "hours": 12}, headers=WHO)
        listed = await api.get("/api/rooms/main/bypass")
        revoked = await api.post(f"/api/rooms/main/bypass/{made.json()['token']}/revoke", headers=WHO)

    (one,) = listed.json()["tokens"]
    assert (made.status_code, made.json()) == (201, one | {"text": TEXT})
    assert one == {
        "token": "0" * 16, "name": "press", "who": "mia", "why": "press", "made_ms": 1_000, "until_ms": 1 << 45,
        "revoked_ms": None, "counts": True, "passes": 0, "last_ms": None,
    }  # fmt: skip
    assert (revoked.json()["revoked_ms"], revoked.json()["counts"]) == (2_000, False)
    by = By("mia", "press")
    assert passes.acts == [("make", "press", by), ("revoke", "0" * 16, by)]


GOOD = b'{"name": "a", "hours": 1}'


@pytest.mark.parametrize(
    ("path", "sent", "headers", "status", "code"),
    [
        ("", GOOD, {}, 422, "reason-missing"),
        ("", GOOD, {"waitroom-why": "x" * 301}, 422, "reason-too-long"),
        ("", b"", WHO, 400, "body-not-json"),
        ("", b"[]", WHO, 400, "body-not-object"),
        ("", b"{}", WHO, 422, "bypass-malformed"),
        ("", b'{"name": "a"}', WHO, 422, "bypass-malformed"),
        ("", b'{"name": 1, "hours": 1}', WHO, 422, "bypass-malformed"),
        ("", b'{"name": "a", "hours": "1"}', WHO, 422, "bypass-malformed"),
        ("", b'{"name": "a", "hours": true}', WHO, 422, "bypass-malformed"),
        ("", b'{"name": "a", "hours": 1.5}', WHO, 422, "bypass-malformed"),
        ("", b'{"name": "a", "hours": 0}', WHO, 422, "bypass-malformed"),
        ("", b'{"name": " ", "hours": 1}', WHO, 422, "bypass-malformed"),
        ("", b'{"name": "a", "hours": 1, "room": "x"}', WHO, 422, "bypass-malformed"),
        ("/nothing/revoke", None, WHO, 404, "bypass-unknown"),
        ("/nothing/revoke", None, {}, 422, "reason-missing"),
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
    """Each with a code, and no token is made."""
    passes = Passes()
    async with program(app_of(store, clock, bypassing=passes)) as api:
        await api.post("/api/rooms", json=MAIN)
        kind = {"content-type": "application/json"} if sent is not None else {}
        answer = await api.post(f"/api/rooms/main/bypass{path}", content=sent, headers=headers | kind)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert passes.acts == []


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("POST", ""), ("POST", "/0/revoke")])
async def test_only_operators_of_a_room_that_is_there_act(
    store: Redis, clock: ManualClock, method: str, path: str
) -> None:
    """No token, a shop's token, a room that there is not, an installation without bypass tokens."""
    app = app_of(store, clock, bypassing=Passes(), backend_token=BACKEND)
    where, body = (
        f"/api/rooms/main/bypass{path}",
        {"json": {"name": "a", "hours": 1}} if method == "POST" else {},
    )
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

PAGE = "/rooms/main/bypass"


async def _sent(browser: httpx.AsyncClient, **form: str) -> httpx.Response:
    return await browser.post(PAGE, data={"csrf": csrf_in(await browser.get("/"))} | form)


async def test_the_page_shows_a_token_once(store: Redis, clock: ManualClock) -> None:
    """On the answer that no address leads to; then its name, its visits, and a form to revoke it."""
    passes = Passes()
    app = app_of(store, clock, bypassing=passes, waiting_page="http://room.test/.waitroom/r/")
    async with program(app) as api, signed_in(app) as browser:
        await api.post("/api/rooms", json=MAIN)
        assert f'href="{PAGE}"' in (await browser.get("/")).text
        made = await _sent(browser, name="press <desk>", hours="12", why="a review")
        passes.made[0].passes = 1_234
        later = await browser.get(PAGE)
        gone = await _sent(browser, token="0" * 16, why="left on a train")
        told = await browser.get(gone.headers["location"])

    assert (made.status_code, TEXT in made.text, TEXT in later.text) == (200, True, False)
    assert "press &lt;desk&gt;" in later.text
    assert "Visits: 1,234" in later.text
    assert "http://room.test/.waitroom/r/main/bypass" in later.text
    assert (gone.status_code, "counts no more" in told.text) == (303, True)
    assert 'name="token"' not in told.text
    assert passes.acts == [
        ("make", "press <desk>", By("Ann Lee", "a review")),
        ("revoke", "0" * 16, By("Ann Lee", "left on a train")),
    ]


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"name": "a", "hours": "1"}, 422),
        ({"name": "", "hours": "1", "why": "x"}, 422),
        ({"name": "a", "why": "x"}, 422),
        ({"name": "a", "hours": "-1", "why": "x"}, 422),
        ({"name": "a", "hours": "1.5", "why": "x"}, 422),
        ({"name": "a", "hours": "٣", "why": "x"}, 422),
        ({"name": "a", "hours": "9" * 30, "why": "x", "csrf": "made-up"}, 403),
        ({"token": "nothing", "why": "x"}, 404),
        ({"token": "nothing"}, 422),
    ],
)
async def test_a_bad_form_changes_nothing(
    store: Redis, clock: ManualClock, form: dict[str, str], status: int
) -> None:
    """And the page says so."""
    passes = Passes()
    app = app_of(store, clock, bypassing=passes)
    async with program(app) as api, signed_in(app) as browser:
        await api.post("/api/rooms", json=MAIN)
        answer = await _sent(browser, **form)

    assert answer.status_code == status
    assert passes.acts == []
    assert status == 403 or "Nothing was changed" in answer.text


async def test_who_is_not_signed_in_comes_to_the_door_and_a_journal_that_is_away_says_so(
    store: Redis, clock: ManualClock
) -> None:
    """For looking and for acting."""
    passes = Passes()
    app = app_of(store, clock, bypassing=passes)
    async with program(app) as api, signed_in(app) as browser, client_of(app) as stranger:
        await api.post("/api/rooms", json=MAIN)
        out = [await stranger.get(PAGE), await stranger.post(PAGE, data={})]
        passes.away = True
        away = [await browser.get(PAGE), await _sent(browser, name="a", hours="1", why="x")]

    assert [answer.headers.get("location") for answer in out] == ["/login"] * 2
    assert [answer.status_code for answer in away] == [503] * 2


@pytest.mark.parametrize(("role", "status"), [(Role.VIEWER, 403), (Role.OPERATOR, 200)])
async def test_a_viewer_sees_the_tokens_and_no_form(
    store: Redis, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, role: Role, status: int
) -> None:
    """And makes none."""
    passes = Passes([Token("0" * 16, "press", "mia", "x", 1_000, 1 << 45)])
    app = app_of(store, clock, bypassing=passes)
    async with program(app) as api, signed_in(app) as browser:
        await api.post("/api/rooms", json=MAIN)
        csrf, read = csrf_in(await browser.get(PAGE)), Entrance.session

        def session(entrance: Entrance, request: Any) -> Any:
            found = read(entrance, request)
            assert found is not None
            return SimpleNamespace(
                sid=found.sid, who=found.who, until_ms=found.until_ms, role=role, rooms=None, account=False,
                person=Person(found.who, role),
            )  # fmt: skip

        monkeypatch.setattr(Entrance, "session", session)
        page = await browser.get(PAGE)
        act = await browser.post(PAGE, data={"csrf": csrf, "name": "a", "hours": "1", "why": "x"})

    assert "press" in page.text
    assert (page.text.count("<form class="), act.status_code) == (
        (0, status) if status == 403 else (2, status)
    )


async def test_what_was_made_is_shown_although_its_page_cannot_be(store: Redis, clock: ManualClock) -> None:
    """The journal goes away right after: what counts is told, once, by an answer that no proxy takes for a fault."""
    passes = Passes(goes=True)
    app = app_of(store, clock, bypassing=passes)
    async with program(app) as api, signed_in(app) as browser:
        await api.post("/api/rooms", json=MAIN)
        made = await _sent(browser, name="a", hours="1", why="x")
        doubt = await _sent(browser, name="a", hours="1", why="x")
        later = await browser.get(PAGE)

    assert (made.status_code, TEXT in made.text, "refresh" in made.text) == (200, True, False)
    assert len(passes.made) == 1
    assert (doubt.status_code, "not known" in doubt.text, "refresh" in doubt.text) == (503, True, False)
    assert (later.status_code, "not known" in later.text, "refresh" in later.text) == (503, False, True)
