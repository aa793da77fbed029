"""Route sweep of the operator's side: every address, asked by nobody, by each role, and by who has another room only.

``ADDRESSES`` says of each address what it takes, apart from the code: who adds one adds a line here, with the least
role, and whether it is a room's. An address without a line fails, whoever added it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import httpx
import pytest
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.routing import Mount, Route, Router

from admission.service import Admission
from admission.web import SessionsWeb
from dashboards import entrance, guest_page, handed_page, operator_api, targets_api
from dashboards.access_books import AccessBooks
from dashboards.entrance import Entrance
from dashboards.operator_api import BearerGuard
from dashboards.rights import Role
from dashboards.wait_book import api_attempts
from gateway.accounts import session_route
from kernel.clock import ManualClock
from kernel.errors import Refused
from tests.dashboards.desk import MAIN, TOKEN, app_of, client_of, csrf_in, program
from tests.dashboards.outgoing import parts
from tests.dashboards.people import BY, books_of, browser_of, someone
from tests.dashboards.played import book_in
from tests.dashboards.wired import process_of
from waitroom.configure import Actor, Configurations

VIEWER, OPERATOR, OWNER = Role.VIEWER, Role.OPERATOR, Role.OWNER
BACKEND = "throwaway-backend-token"


class Takes(NamedTuple):
    """What an address takes: the least role (None: nobody needs one), and whether it is a room's."""

    role: Role | None
    room: bool = False


OPEN = Takes(None)
ROOM, SALE = "/api/rooms/{room}", "/api/rooms/{room}/sales/{sale}"
ADDRESSES: dict[str, Takes] = {
    "GET /health/live": OPEN,
    "GET /health/ready": OPEN,
    "GET /metrics": OPEN,
    "GET /static/{name}": OPEN,
    "GET /login": OPEN,
    "POST /login": OPEN,
    "POST /logout": OPEN,
    "GET /login/provider": OPEN,
    "GET /login/callback": OPEN,
    "GET /welcome": OPEN,
    "POST /welcome": OPEN,
    # Pages, with a session. The rooms' page shows each person theirs, so anybody who is signed in may ask.
    "GET /": Takes(VIEWER, room=True),
    "GET /live": Takes(VIEWER, room=True),
    "GET /events": Takes(VIEWER, room=True),
    "GET /series": Takes(VIEWER, room=True),
    "POST /rooms/{room}/{lever}": Takes(OPERATOR, room=True),
    "GET /rooms/{room}/confirm/{lever}": Takes(OPERATOR, room=True),
    "GET /rooms/{room}/preview": Takes(VIEWER, room=True),
    "POST /rooms/{room}/preview": Takes(OPERATOR, room=True),
    "GET /rooms/{room}/guests": Takes(VIEWER, room=True),
    "POST /rooms/{room}/guests": Takes(OPERATOR, room=True),
    "GET /rooms/{room}/guests/all": Takes(OPERATOR, room=True),
    "POST /rooms/{room}/guests/all": Takes(OPERATOR, room=True),
    "GET /rooms/{room}/bypass": Takes(VIEWER, room=True),
    "POST /rooms/{room}/bypass": Takes(OPERATOR, room=True),
    "GET /rooms/{room}/codes": Takes(VIEWER, room=True),
    "POST /rooms/{room}/codes": Takes(OPERATOR, room=True),
    "GET /history": Takes(VIEWER, room=True),
    "GET /compare": Takes(VIEWER, room=True),
    "GET /rooms/{room}/history": Takes(VIEWER, room=True),
    "GET /rooms/{room}/history.json": Takes(VIEWER, room=True),
    "GET /rooms/{room}/history.csv": Takes(VIEWER, room=True),
    "GET /journal": Takes(VIEWER, room=True),
    "GET /journal/journal.jsonl": Takes(VIEWER, room=True),
    "GET /journal/journal.csv": Takes(VIEWER, room=True),
    "GET /targets": Takes(OWNER),
    "POST /targets/{act}": Takes(OWNER),
    "GET /preview/static/{name}": OPEN,
    "GET /account": Takes(VIEWER, room=True),
    "POST /account/{act}": Takes(VIEWER, room=True),
    "GET /people": Takes(OWNER),
    "POST /people/{act}": Takes(OWNER),
    # The API, with a token. Its list of rooms shows each token its own.
    "GET /api/openapi.json": Takes(VIEWER, room=True),
    "GET /api/rooms": Takes(VIEWER, room=True),
    "POST /api/rooms": Takes(OPERATOR),
    f"GET {ROOM}": Takes(VIEWER, room=True),
    f"PUT {ROOM}": Takes(OPERATOR, room=True),
    f"PATCH {ROOM}": Takes(OPERATOR, room=True),
    f"DELETE {ROOM}": Takes(OPERATOR, room=True),
    f"GET {ROOM}/status": Takes(VIEWER, room=True),
    f"GET {ROOM}/changes": Takes(VIEWER, room=True),
    f"POST {ROOM}/acts/{{lever}}": Takes(OPERATOR, room=True),
    f"POST {ROOM}/stock": Takes(OPERATOR, room=True),
    f"POST {ROOM}/release": Takes(OPERATOR, room=True),
    f"GET {ROOM}/guests": Takes(VIEWER, room=True),
    f"POST {ROOM}/guests/revoke-all": Takes(OPERATOR, room=True),
    f"GET {ROOM}/guests/{{arrived}}": Takes(VIEWER, room=True),
    f"POST {ROOM}/guests/{{arrived}}/{{act}}": Takes(OPERATOR, room=True),
    f"GET {ROOM}/bypass": Takes(VIEWER, room=True),
    f"POST {ROOM}/bypass": Takes(OPERATOR, room=True),
    f"POST {ROOM}/bypass/{{token}}/revoke": Takes(OPERATOR, room=True),
    f"GET {ROOM}/codes": Takes(VIEWER, room=True),
    f"POST {ROOM}/codes": Takes(OPERATOR, room=True),
    f"POST {ROOM}/codes/{{batch}}/revoke": Takes(OPERATOR, room=True),
    f"GET {ROOM}/history": Takes(VIEWER, room=True),
    f"GET {ROOM}/history.csv": Takes(VIEWER, room=True),
    "GET /api/events": Takes(VIEWER, room=True),
    "GET /api/targets": Takes(OWNER),
    "POST /api/targets": Takes(OWNER),
    "GET /api/targets/{target}": Takes(OWNER),
    "PUT /api/targets/{target}": Takes(OWNER),
    "DELETE /api/targets/{target}": Takes(OWNER),
    "GET /api/targets/{target}/deliveries": Takes(OWNER),
    "POST /api/targets/{target}/{step}": Takes(OWNER),
    f"POST {ROOM}/sessions/{{sid}}/{{act}}": Takes(OPERATOR, room=True),
    f"GET {ROOM}/sales": Takes(VIEWER, room=True),
    f"POST {ROOM}/sales": Takes(OPERATOR, room=True),
    f"GET {SALE}": Takes(VIEWER, room=True),
    f"PUT {SALE}": Takes(OPERATOR, room=True),
    f"PATCH {SALE}": Takes(OPERATOR, room=True),
    f"DELETE {SALE}": Takes(OPERATOR, room=True),
    f"GET {SALE}/details": Takes(VIEWER, room=True),
}
FOR_ALL = frozenset(
    {
        "GET /",
        "GET /live",
        "GET /events",
        "GET /series",
        "GET /account",
        "POST /account/{act}",
        "GET /history",
        "GET /compare",
        "GET /journal",
        "GET /journal/journal.jsonl",
        "GET /journal/journal.csv",
        "GET /api/events",
        "GET /api/rooms",
        "GET /api/openapi.json",
    }
)
"""Addresses that show or change only what is the asker's: who has another room is not refused."""

HIDDEN = frozenset(
    {"GET /rooms/{room}/history", "GET /rooms/{room}/history.json", "GET /rooms/{room}/history.csv"}
)
"""Addresses that answer who has another room as if there were no such room."""

ASKERS: dict[str, tuple[Role, frozenset[str] | None]] = {
    "viewer": (VIEWER, None),
    "operator": (OPERATOR, None),
    "owner": (OWNER, None),
    "owner of this room": (OWNER, frozenset({"main"})),
    "operator of another room": (OPERATOR, frozenset({"late"})),
    "owner of another room": (OWNER, frozenset({"late"})),
    "viewer of no room": (VIEWER, frozenset()),
}
ACTS = {"POST /people/{act}": "invite", "POST /targets/{act}": "test"}
FILLED = {
    "room": "main", "sale": "first", "lever": "pause", "act": "sessions", "name": "x.css", "sid": "x",
    "arrived": "1", "token": "x", "batch": "1", "target": "x", "step": "pause",
}  # fmt: skip

SOLD = {
    "name": "first",
    "event_start_time": "2026-05-02T08:00:00Z",
    "event_end_time": "2026-05-02T12:00:00Z",
}


class Nobody:
    """A provider that is never asked here."""

    issuer = "https://id.example"

    async def login_address(self, *_: object) -> str:
        """Give an address."""
        return "https://id.example/login"

    async def person(self, *_: object) -> Any:
        """Know nobody."""
        raise AssertionError


class Absent:
    """Guests, bypass tokens and codes of rooms, of which there are none; lists are empty."""

    def __getattr__(self, name: str) -> Callable[..., Awaitable[list[Any]]]:
        """Give an act."""

        async def act(*_: object) -> list[Any]:
            if name in {"evicted", "tokens", "batches"}:
                return []
            raise Refused("place-unknown", "There is none.", 404)

        return act


class Books(NamedTuple):
    """What a desk keeps beside the store: who may come in, and the other parts, by their names in ``Deps``."""

    access: AccessBooks
    more: dict[str, Any]


@pytest.fixture
def books(tmp_path: Path, clock: ManualClock) -> Iterator[Books]:
    """Give the books of a fresh installation."""
    with (
        books_of(tmp_path, clock) as access,
        book_in(tmp_path) as history,
        parts(f"sqlite:///{tmp_path}/journal.db", clock) as journal,
    ):
        yield Books(access, {"history": history, "outgoing": journal.outgoing})


def desk(store: Redis, clock: ManualClock, books: Books) -> Starlette:
    """Make the application with everything that may be in it."""

    async def let_go(room: str, number: int, _who: str, _why: str) -> str:
        return f"{room}{number}"

    # Whoever is let in hears that there is no such session, before anybody is asked for it.
    sessions = session_route(
        SessionsWeb(cast("Admission", None), lambda: (TOKEN, BACKEND)),
        books.access,
        api_attempts(),
        (),
        clock,
    )
    more = {"let_go": let_go, "backend_token": BACKEND, "extra_routes": [sessions], **books.more}
    more |= dict.fromkeys(("guests", "bypassing", "codes"), Absent())
    return app_of(store, clock, access=books.access, identity=Nobody(), **more)


def addresses(routes: Any, before: str = "") -> set[str]:
    """Read the addresses off routers, through guards."""
    found: set[str] = set()
    for route in routes:
        inner = getattr(route, "app", None)
        while isinstance(inner, BearerGuard):
            inner = inner._app
        if isinstance(route, Mount):
            assert isinstance(inner, Router)
            found |= addresses(inner.routes, before + route.path)
        else:
            assert isinstance(route, Route)
            found |= {
                f"{method} {before}{route.path}" for method in (route.methods or ()) if method != "HEAD"
            }
    return found


def test_each_address_has_a_line(store: Redis, clock: ManualClock, books: Books) -> None:
    """Whoever adds an address says here what it takes."""
    assert addresses(desk(store, clock, books).routes) ^ ADDRESSES.keys() == set()


def test_the_swept_application_is_the_one_that_runs(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the wiring joins has no address that the sweep leaves out; only a provider is told to it by settings."""
    process = process_of(store_url, tmp_path, monkeypatch)
    found = addresses(cast("Starlette", process.app).routes)
    asyncio.run(process.stop())

    assert found ^ ADDRESSES.keys() == {"GET /login/provider", "GET /login/callback"}


def test_an_address_without_a_line_is_noticed(store: Redis, clock: ManualClock, books: Books) -> None:
    """The mutant: one more, behind the guard."""
    app = desk(store, clock, books)
    mount = next(route for route in app.routes if isinstance(route, Mount))
    mount.app._app.routes.append(Route("/secrets", lambda _: None))  # type: ignore[attr-defined]

    assert addresses(app.routes) ^ ADDRESSES.keys() == {"GET /api/secrets"}


async def ask(client: httpx.AsyncClient, address: str, csrf: str = "") -> httpx.Response:
    """Ask an address as well as one can without changing much: papers and versions fit, bodies are empty."""
    method, path = address.split(" ")
    path = path.format_map(FILLED | ({"act": ACTS[address]} if address in ACTS else {}))
    if path.startswith("/api/"):
        return await client.request(
            method, path, json={} if method != "GET" else None, headers={"if-match": "*"}
        )
    data = {"csrf": csrf} if method == "POST" else None
    method = "HEAD" if address == "GET /events" else method  # the same rights, and an end
    return await client.request(method, path, data=data)


def refused(answer: httpx.Response, address: str) -> bool:
    """Tell whether an answer keeps somebody out. Forms that could not be followed are another thing."""
    if address in HIDDEN and answer.status_code == 404:
        return True
    if answer.status_code == 303:
        return answer.headers["location"] == "/login"
    return answer.status_code in {401, 403}


def may(address: str, role: Role, rooms: frozenset[str] | None) -> bool:
    """Say what the table says, in its own words and not the code's."""
    takes = ADDRESSES[address]
    if takes.role is None:
        return True
    enough = [VIEWER, OPERATOR, OWNER].index(role) >= [VIEWER, OPERATOR, OWNER].index(takes.role)
    there = rooms is None or (takes.room and ("main" in rooms or address in FOR_ALL))
    return enough and there


def is_api(address: str) -> bool:
    """Tell what takes a token, and no session."""
    return " /api/" in address


def is_way_in(address: str) -> bool:
    """Tell what is asked by whoever is not signed in: refusing is what some of them do."""
    return ADDRESSES[address].role is None


async def sweep(
    store: Redis, clock: ManualClock, books: Books, swept: Sequence[str], askers: Sequence[str]
) -> list[str]:
    """Ask addresses as everybody; return what was answered otherwise than the table says."""
    app, wrong = desk(store, clock, books), []
    rooms = Configurations(store, clock)

    async def fresh() -> None:
        await store.flushall()
        for name in ("main", "late"):
            await rooms.create({**MAIN, "name": name, "sales": [SOLD]}, Actor("toml"))

    someone(books.access, clock, "Keeper")
    async with client_of(app) as stranger, program(app, "wrt_" + "x" * 43) as guesser:
        for address in swept:
            for who, client in (("nobody", stranger), ("a guesser", guesser)):
                if is_api(address) or client is stranger:
                    answer = await ask(client, address)
                    wrong += [] if refused(answer, address) else [f"{who}: {address}: {answer.status_code}"]
                    clock.advance(10_000_000)
    await fresh()
    for who in askers:
        role, limits = ASKERS[who]
        person = someone(books.access, clock, who, role, limits)
        _, token = books.access.tokens.add(f"token of {who}"[:40], role, limits, 30, by=BY)
        async with browser_of(app, person, clock) as browser, program(app, token) as api:
            for address in swept:
                csrf = "" if is_api(address) else csrf_in(await browser.get("/account"))
                answer = await ask(api if is_api(address) else browser, address, csrf)
                if refused(answer, address) is may(address, role, limits):
                    wrong.append(f"{who}: {address}: {answer.status_code}")
                if answer.status_code == 204:
                    await fresh()
    return wrong


async def test_every_address_keeps_out_whom_the_table_keeps_out(
    store: Redis, clock: ManualClock, books: Books
) -> None:
    """Nobody, each role, each limit; pages by session, the API by token."""
    swept = [address for address in ADDRESSES if not is_way_in(address)]

    assert await sweep(store, clock, books, swept, list(ASKERS)) == []


MUTANTS: list[tuple[Any, str, list[str]]] = [
    (
        (operator_api,),
        "demand",
        [
            f"GET {ROOM}", f"DELETE {ROOM}", f"GET {ROOM}/guests", f"GET {ROOM}/guests/{{arrived}}",
            f"POST {ROOM}/guests/revoke-all", f"POST {ROOM}/guests/{{arrived}}/{{act}}", f"GET {ROOM}/bypass",
            f"POST {ROOM}/bypass", f"POST {ROOM}/bypass/{{token}}/revoke", f"GET {ROOM}/codes", f"POST {ROOM}/codes",
            f"POST {ROOM}/codes/{{batch}}/revoke",
        ],
    ),
    (
        (guest_page, entrance),
        "demand",
        [f"{method} /rooms/{{room}}/guests{end}" for method in ("GET", "POST") for end in ("", "/all")],
    ),
    (
        (handed_page, entrance),
        "demand",
        [f"{method} /rooms/{{room}}/{page}" for method in ("GET", "POST") for page in ("bypass", "codes")],
    ),
    ((targets_api,), "demand", ["GET /api/targets", "POST /api/targets", "DELETE /api/targets/{target}"]),
]  # fmt: skip


@pytest.mark.parametrize(("modules", "name", "swept"), MUTANTS)
async def test_a_role_that_nobody_demands_is_noticed(
    store: Redis,
    clock: ManualClock,
    books: Books,
    monkeypatch: pytest.MonkeyPatch,
    modules: Sequence[Any],
    name: str,
    swept: list[str],
) -> None:
    """The mutants: the API or a page asks who it is, and not what they may. Each of their addresses shows it."""
    for module in modules:
        monkeypatch.setattr(module, name, lambda *_: None)
    wrong = await sweep(store, clock, books, swept, ["operator of another room"])

    assert {one.split(": ")[1] for one in wrong} == set(swept)


def is_form(address: str) -> bool:
    """Tell what is sent from a page by somebody who is signed in."""
    return address.startswith("POST ") and not is_api(address) and not is_way_in(address)


async def without_paper(store: Redis, clock: ManualClock, books: Books) -> list[str]:
    """Send every form as an owner of all rooms, without its paper and with one of another; return what was taken."""
    app, taken = desk(store, clock, books), []
    await Configurations(store, clock).create(MAIN | {"sales": [SOLD]}, Actor("toml"))
    ann, bob = someone(books.access, clock), someone(books.access, clock, "Bob Ray")
    async with browser_of(app, bob, clock) as browser:
        foreign = csrf_in(await browser.get("/account"))
    async with browser_of(app, ann, clock) as browser:
        for address in filter(is_form, ADDRESSES):
            for csrf in ("", foreign):
                answer = await ask(browser, address, csrf)
                taken += [] if answer.status_code == 403 else [f"{address}: {answer.status_code}"]
    return taken


async def test_every_form_wants_its_paper(store: Redis, clock: ManualClock, books: Books) -> None:
    """Nobody sends one from elsewhere, whatever the person may do."""
    assert await without_paper(store, clock, books) == []


async def test_a_form_without_its_paper_is_noticed(
    store: Redis, clock: ManualClock, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: forms are taken as they come."""

    async def form(*_: object) -> dict[str, str]:
        return {}

    monkeypatch.setattr(Entrance, "form", form)

    assert {one.split(": ")[0] for one in await without_paper(store, clock, books)} == set(
        filter(is_form, ADDRESSES)
    )


async def test_a_session_is_no_token_and_a_token_no_session(
    store: Redis, clock: ManualClock, books: Books
) -> None:
    """So a page of another site cannot use somebody's session at the API, and no token opens a page."""
    app, ann = desk(store, clock, books), someone(books.access, clock)
    _, token = books.access.tokens.add("deploy", OWNER, None, 1, by=BY)
    async with (
        browser_of(app, ann, clock) as browser,
        program(app, token) as api,
        program(app, BACKEND) as backend,
    ):
        assert (await browser.get("/api/rooms")).status_code == 401
        assert (await api.get("/people")).headers["location"] == "/login"
        assert (await backend.get("/api/rooms")).status_code == 401
