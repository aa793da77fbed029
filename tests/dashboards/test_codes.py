"""Priority codes on the operator's side: the API and the page, their bad inputs, and who may."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from admission.guests import By
from dashboards.entrance import Entrance
from dashboards.ports import Codes
from dashboards.rights import Person, Role
from kernel.clock import ManualClock
from kernel.errors import Refused, Unavailable
from tests.dashboards.desk import MAIN, app_of, client_of, csrf_in, program, signed_in

WHO = {"waitroom-who": "mia", "waitroom-why": "promised"}
BACKEND = "a-shop-of-its-own-token"
TEXTS = ["AAAA-BBBB-CCCC-DDDD", "EEEE-FFFF-GGGG-HHHH"]


@dataclass
class Batches:
    """Batches in memory; remembers what was done."""

    made: list[Codes] = field(default_factory=list)
    acts: list[tuple[str, int, By]] = field(default_factory=list)
    away: bool = False
    goes: bool = False
    """The journal goes away as soon as something is made."""

    async def make(
        self, room: str, label: str, count: int, hours: int, by: By
    ) -> tuple[Codes, Sequence[str]]:
        """Make."""
        await self.batches(room)
        self.made.insert(0, Codes(len(self.made), label, count, 0, 1_000, hours * 1_000, 0, counts=True))
        self.away = self.goes
        self.acts.append(("make", count, by))
        return self.made[0], TEXTS

    async def revoke(self, room: str, batch: int, by: By) -> Codes:
        """Revoke."""
        at = next((at for at, one in enumerate(await self.batches(room)) if one.batch == batch), None)
        if at is None:
            raise Refused("batch-unknown", "There is no such batch of codes in this room.", status=404)
        self.made[at] = replace(self.made[at], revoked_ms=2_000, counts=False)
        self.acts.append(("revoke", batch, by))
        return self.made[at]

    async def batches(self, room: str) -> list[Codes]:
        """List."""
        assert room == "main"
        if self.away:
            raise Unavailable("journal-away", "The journal is away.")
        return self.made


async def test_codes_are_made_listed_and_revoked(store: Redis, clock: ManualClock) -> None:
    """They are told once; the list counts."""
    batches = Batches()
    async with program(app_of(store, clock, codes=batches)) as api:
        await api.post("/api/rooms", json=MAIN)
        sent = {"name": " fan club ", "count": 2, "hours": 72}
        made = await api.post("/api/rooms/main/codes", json=sent, headers=WHO)
        listed = await api.get("/api/rooms/main/codes")
        revoked = await api.post("/api/rooms/main/codes/0/revoke", headers=WHO)

    (one,) = listed.json()["batches"]
    assert (made.status_code, made.json()) == (201, one | {"codes": TEXTS})
    assert one == {
        "batch": 0, "label": "fan club", "size": 2, "used": 0, "made_ms": 1_000, "until_ms": 72_000,
        "revoked_ms": 0, "counts": True,
    }  # fmt: skip
    assert (revoked.json()["revoked_ms"], revoked.json()["counts"]) == (2_000, False)
    by = By("mia", "promised")
    assert batches.acts == [("make", 2, by), ("revoke", 0, by)]


GOOD = b'{"name": "a", "count": 1, "hours": 1}'


@pytest.mark.parametrize(
    ("path", "sent", "headers", "status", "code"),
    [
        ("", GOOD, {}, 422, "reason-missing"),
        ("", GOOD, {"waitroom-why": "x" * 301}, 422, "reason-too-long"),
        ("", b"", WHO, 400, "body-not-json"),
        ("", b"[]", WHO, 400, "body-not-object"),
        ("", b"{}", WHO, 422, "batch-malformed"),
        ("", b'{"name": "a", "count": 1}', WHO, 422, "batch-malformed"),
        ("", b'{"name": 1, "count": 1, "hours": 1}', WHO, 422, "batch-malformed"),
        ("", b'{"name": " ", "count": 1, "hours": 1}', WHO, 422, "batch-malformed"),
        ("", b'{"name": "' + b"x" * 81 + b'", "count": 1, "hours": 1}', WHO, 422, "batch-malformed"),
        ("", b'{"name": "a", "count": 0, "hours": 1}', WHO, 422, "batch-malformed"),
        ("", b'{"name": "a", "count": 5001, "hours": 1}', WHO, 422, "batch-malformed"),
        ("", b'{"name": "a", "count": "1", "hours": 1}', WHO, 422, "batch-malformed"),
        ("", b'{"name": "a", "count": true, "hours": 1}', WHO, 422, "batch-malformed"),
        ("", b'{"name": "a", "count": 1, "hours": 0}', WHO, 422, "batch-malformed"),
        ("", b'{"name": "a", "count": 1, "hours": 8785}', WHO, 422, "batch-malformed"),
        ("", b'{"name": "a", "count": 1, "hours": 1.5}', WHO, 422, "batch-malformed"),
        ("", b'{"name": "a", "count": 1, "hours": 1, "lane": "verified"}', WHO, 422, "batch-malformed"),
        ("/7/revoke", None, WHO, 404, "batch-unknown"),
        ("/x/revoke", None, WHO, 404, "batch-unknown"),
        ("/1234567/revoke", None, WHO, 404, "batch-unknown"),
        ("/0/revoke", None, {}, 422, "reason-missing"),
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
    """Each with a code, and nothing is made."""
    batches = Batches()
    async with program(app_of(store, clock, codes=batches)) as api:
        await api.post("/api/rooms", json=MAIN)
        kind = {"content-type": "application/json"} if sent is not None else {}
        answer = await api.post(f"/api/rooms/main/codes{path}", content=sent, headers=headers | kind)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert batches.acts == []


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("POST", ""), ("POST", "/0/revoke")])
async def test_only_operators_of_a_room_that_is_there_act(
    store: Redis, clock: ManualClock, method: str, path: str
) -> None:
    """No token, a shop's token, a room that there is not, an installation without codes."""
    app = app_of(store, clock, codes=Batches(), backend_token=BACKEND)
    where = f"/api/rooms/main/codes{path}"
    body = {"json": {"name": "a", "count": 1, "hours": 1}} if method == "POST" else {}
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


async def test_where_codes_are_identities_none_gives_priority(store: Redis, clock: ManualClock) -> None:
    """Neither by the API nor on the page."""
    batches = Batches()
    app = app_of(store, clock, codes=batches)
    async with program(app) as api, signed_in(app) as browser:
        await api.post("/api/rooms", json=MAIN | {"identity": "code"})
        by_api = await api.post(
            "/api/rooms/main/codes", content=GOOD, headers=WHO | {"content-type": "application/json"}
        )
        by_page = await _sent(browser, name="a", count="1", hours="1", why="x")

    assert (by_api.json()["code"], by_page.status_code, batches.acts) == ("priority-none", 404, [])


# -------------------------------------------------------------------------------------- the page

PAGE = "/rooms/main/codes"


async def _sent(browser: httpx.AsyncClient, **form: str) -> httpx.Response:
    return await browser.post(PAGE, data={"csrf": csrf_in(await browser.get("/"))} | form)


async def test_the_page_shows_codes_once_as_links(store: Redis, clock: ManualClock) -> None:
    """On the answer that no address leads to; then counts, and a form to revoke them."""
    batches = Batches()
    app = app_of(store, clock, codes=batches, waiting_page="http://room.test/.waitroom/r/")
    async with program(app) as api, signed_in(app) as browser:
        await api.post("/api/rooms", json=MAIN)
        assert f'href="{PAGE}"' in (await browser.get("/")).text
        made = await _sent(browser, name="fan <club>", count="2", hours="72", why="promised")
        batches.made[0] = replace(batches.made[0], size=1_234, used=56)
        later = await browser.get(PAGE)
        gone = await _sent(browser, batch="0", why="leaked")
        told = await browser.get(gone.headers["location"])

    assert made.status_code == 200
    assert "everywhere within two seconds" in made.text
    assert "everywhere within two seconds" in told.text
    for text in TEXTS:
        assert f"http://room.test/.waitroom/r/main/code#code={text}" in made.text
        assert text not in later.text
    assert "fan &lt;club&gt;" in later.text
    assert "56 of 1,234 used" in later.text
    assert (gone.status_code, "counts no more" in told.text, 'name="batch"' in told.text) == (
        303,
        True,
        False,
    )
    assert batches.acts == [("make", 2, By("Ann Lee", "promised")), ("revoke", 0, By("Ann Lee", "leaked"))]


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"name": "a", "count": "1", "hours": "1"}, 422),
        ({"name": "", "count": "1", "hours": "1", "why": "x"}, 422),
        ({"name": "a", "count": "", "hours": "1", "why": "x"}, 422),
        ({"name": "a", "count": "1.5", "hours": "1", "why": "x"}, 422),
        ({"name": "a", "count": "٣", "hours": "1", "why": "x"}, 422),
        ({"name": "a", "count": "5001", "hours": "1", "why": "x"}, 422),
        ({"name": "a", "count": "1", "why": "x"}, 422),
        ({"name": "a", "count": "1", "hours": "9" * 30, "why": "x"}, 422),
        ({"name": "a", "count": "1", "hours": "1", "why": "x", "csrf": "made-up"}, 403),
        ({"batch": "nothing", "why": "x"}, 404),
        ({"batch": "0"}, 422),
    ],
)
async def test_a_bad_form_changes_nothing(
    store: Redis, clock: ManualClock, form: dict[str, str], status: int
) -> None:
    """And the page says so."""
    batches = Batches()
    app = app_of(store, clock, codes=batches)
    async with program(app) as api, signed_in(app) as browser:
        await api.post("/api/rooms", json=MAIN)
        answer = await _sent(browser, **form)

    assert answer.status_code == status
    assert batches.acts == []
    assert status == 403 or "Nothing was changed" in answer.text


async def test_who_is_not_signed_in_comes_to_the_door_and_a_journal_that_is_away_says_so(
    store: Redis, clock: ManualClock
) -> None:
    """For looking and for acting."""
    batches = Batches()
    app = app_of(store, clock, codes=batches)
    async with program(app) as api, signed_in(app) as browser, client_of(app) as stranger:
        await api.post("/api/rooms", json=MAIN)
        out = [await stranger.get(PAGE), await stranger.post(PAGE, data={})]
        batches.away = True
        away = [await browser.get(PAGE), await _sent(browser, name="a", count="1", hours="1", why="x")]

    assert [answer.headers.get("location") for answer in out] == ["/login"] * 2
    assert [answer.status_code for answer in away] == [503] * 2


async def test_what_was_made_is_shown_although_its_page_cannot_be(store: Redis, clock: ManualClock) -> None:
    """The journal goes away right after: what counts is told, once, by an answer that no proxy takes for a fault."""
    batches = Batches(goes=True)
    app = app_of(store, clock, codes=batches)
    async with program(app) as api, signed_in(app) as browser:
        await api.post("/api/rooms", json=MAIN)
        made = await _sent(browser, name="a", count="2", hours="1", why="x")
        doubt = await _sent(browser, name="a", count="2", hours="1", why="x")
        later = await browser.get(PAGE)

    assert (made.status_code, [text in made.text for text in TEXTS]) == (200, [True] * len(TEXTS))
    assert "refresh" not in made.text
    assert len(batches.made) == 1
    assert (doubt.status_code, "not known" in doubt.text, "refresh" in doubt.text) == (503, True, False)
    assert (later.status_code, "not known" in later.text, "refresh" in later.text) == (503, False, True)


@pytest.mark.parametrize(("role", "forms", "status"), [(Role.VIEWER, 0, 403), (Role.OPERATOR, 2, 200)])
async def test_a_viewer_sees_the_batches_and_no_form(
    store: Redis, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, role: Role, forms: int, status: int
) -> None:
    """And makes none."""
    batches = Batches([Codes(0, "fan club", 2, 1, 1_000, 0, 0, counts=True)])
    app = app_of(store, clock, codes=batches)
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
        act = await browser.post(
            PAGE, data={"csrf": csrf, "name": "a", "count": "1", "hours": "1", "why": "x"}
        )

    assert "fan club" in page.text
    assert (page.text.count("<form class="), act.status_code) == (forms, status)
