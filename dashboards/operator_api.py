"""Operator API: rooms and sales as JSON documents, for programs, with a bearer token.

A document is read with its version as ETag and changed by naming that version in If-Match: without it 428, with an
old one 412 and the current document. ``*`` stands for whatever is current. PUT replaces (with
``If-None-Match: *`` it makes a room), PATCH is a JSON merge patch. A sale's version is its room's.
Who and why go into the journal by the headers Waitroom-Who and Waitroom-Why; a token that an owner has made goes there
by its name, and Waitroom-Who only adds to it. All failures are problems (RFC 9457).

Not here: sessions (``extra_routes``), the page for people (``control``), what a setting may be (``waitroom.rooms``).
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal
from urllib.parse import unquote

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route, Router
from starlette.types import ASGIApp

from dashboards.access import digest_of, same_token
from dashboards.openapi import document as description
from dashboards.ports import Deps
from dashboards.rights import Person, Role, demand
from dashboards.token_book import PREFIX
from dashboards.words import whole
from kernel.asgi import Receive, Scope, Send, client_address, read_body, respond
from kernel.errors import Refused
from kernel.problems import raw_problem
from waitroom.configure import Actor, Gone, Lever, Saved, Stale
from waitroom.rooms import Room, Sale, details, sale_to_dict, to_dict
from waitroom.schedule import Phase, Wanted, wanted

API = "api"
"""What the journal calls whoever shows the operator token without saying who they are."""
BODY_MAX_BYTES = 2 * 1024 * 1024

JSON_TYPES = frozenset({"application/json"})
PATCH_TYPES = frozenset({"application/merge-patch+json", "application/json"})

_ETAG = re.compile(r'"([0-9]{1,18})"')
Endpoint = Callable[[Request], Awaitable[Response]]


def resource(path: str, **endpoints: Endpoint) -> Route:
    """Make one route of a path's methods, so that 405 names all of them."""

    async def endpoint(request: Request) -> Response:
        asked = "GET" if request.method == "HEAD" else request.method
        return await endpoints[asked](request)

    return Route(path, endpoint, methods=list(endpoints))


class Whole(Route):
    """A route that answers for its address, whatever the method: 405, and not what stands after it for ``/api``."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Take the address by its path alone; the route refuses other methods by itself."""
        match, child = super().matches(scope)
        return Match.FULL if match is Match.PARTIAL else match, child


class BearerGuard:
    """Lets through who shows the operator token, another that may do this, or a token that an owner has made."""

    def __init__(self, app: ASGIApp, deps: Deps, *others: str | None) -> None:
        """Stand before `app`; `others` are further tokens, None for one that is not set."""
        self._app = app
        self._tokens = [digest_of(token) for token in (deps.operator_token, *others) if token]
        self._deps = deps
        self.routes: Sequence[BaseRoute] = getattr(app, "routes", ())
        """What stands behind the guard, for whoever walks over the routes."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401 without the token, 429 after too many wrong ones."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)  # there is nothing but HTTP in there: it refuses
            return
        address = client_address(scope, self._deps.trusted_proxies)
        now_ms = self._deps.clock.now_ms()
        self._deps.attempts.demand(address, now_ms)
        given = Request(scope).headers.get("authorization", "")
        scheme, _, token = given.partition(" ")
        token = token.strip() if scheme.lower() == "bearer" else ""
        is_owner, *is_other = [same_token(token, one) for one in self._tokens]

        async def ask() -> "Person | None":
            if is_owner or any(is_other):
                return Person(API, Role.OWNER if is_owner else Role.OPERATOR)
            # Nothing is awaited over a guess, so that of a hundred at once all but some have to wait.
            if (books := self._deps.access) is None or not token.startswith(PREFIX):
                return None
            return await asyncio.to_thread(books.tokens.who, token)

        person = await ask()
        if person is not None:
            scope["waitroom.person"], scope["waitroom.again"] = person, ask
            await self._app(scope, receive, send)
            return
        error = Refused(
            "token-missing", "This needs a bearer token: the operator's, or one that an owner has made.", 401
        )
        if given:
            self._deps.attempts.failed(address, now_ms)
            error = Refused("token-invalid", "This token does not count here.", 401)
        status, headers, body = raw_problem(error)
        await respond(send, status, [*headers, (b"www-authenticate", b'Bearer realm="waitroom"')], body)


def behind_guard(routes: Sequence[Route], deps: Deps) -> list[Route]:
    """Put routes that are no part of ``OperatorApi`` behind a guard; each answers for its address alone."""
    guarded = BearerGuard(Router(list(routes)), deps)
    return [Whole(route.path, guarded, methods=sorted(route.methods or ())) for route in routes]


class OperatorApi:
    """The endpoints below ``/api``."""

    def __init__(self, deps: Deps) -> None:
        """Serve what `deps` joins."""
        self._deps = deps
        self._rooms = deps.configurations

    def app(self, more: Sequence[Route] = ()) -> BearerGuard:
        """Return the guarded application; `more` are addresses that others answer."""
        one, sales, sale = "/rooms/{room}", "/rooms/{room}/sales", "/rooms/{room}/sales/{sale}"
        routes = [
            resource("/openapi.json", GET=self.describe),
            resource("/rooms", GET=self.list_rooms, POST=self.make_room),
            resource(
                one, GET=self.get_room, PUT=self.put_room, PATCH=self.patch_room, DELETE=self.delete_room
            ),
            resource(f"{one}/status", GET=self.status),
            resource(f"{one}/changes", GET=self.changes),
            resource(f"{one}/acts/{{lever}}", POST=self.act),
            resource(sales, GET=self.list_sales, POST=self.make_sale),
            resource(
                sale, GET=self.get_sale, PUT=self.put_sale, PATCH=self.patch_sale, DELETE=self.delete_sale
            ),
            resource(f"{sale}/details", GET=self.sale_details),
        ]
        return BearerGuard(Router([*routes, *more]), self._deps)

    async def describe(self, _request: Request) -> Response:
        """GET /openapi.json: what there is, for programs."""
        return _json(description())

    # ------------------------------------------------------------------------------- rooms

    async def list_rooms(self, request: Request) -> Response:
        """GET /rooms: those that the asker may see."""
        person = person_of(request)
        rooms = [room for room in await self._rooms.list() if person.sees(room.name)]
        return _json({"rooms": [document(room) for room in rooms]})

    async def make_room(self, request: Request) -> Response:
        """POST /rooms."""
        demand(person_of(request), Role.OPERATOR)
        given = await read_document(request, JSON_TYPES)
        result = await self._rooms.create(given, actor_of(request))
        if isinstance(result, Stale):
            raise Refused("room-exists", f"There is a room {given['name']} already.", 409)
        return _room_answer(result.room, 201, {"location": f"/api/rooms/{result.room.name}"})

    async def get_room(self, request: Request) -> Response:
        """GET /rooms/{room}."""
        room = await self._rooms.get(seen_room(request))
        if request.headers.get("if-none-match") == etag(room):
            return Response(status_code=304, headers=_headers(room))
        return _room_answer(room)

    async def put_room(self, request: Request) -> Response:
        """PUT /rooms/{room}: replace, or make with ``If-None-Match: *``."""
        name = steered_room(request)
        if request.headers.get("if-none-match") == "*" and "if-match" not in request.headers:
            given = await read_document(request, JSON_TYPES)
            if given.setdefault("name", name) != name:
                raise Refused("name-differs", "The document names another room than the address.", 422)
            result = await self._rooms.create(given, actor_of(request))
            return _outcome(result, 201, {"location": f"/api/rooms/{name}"})
        expected = expected_version(request)
        given = await read_document(request, JSON_TYPES)
        return _outcome(await self._rooms.put(name, given, expected, actor_of(request)))

    async def patch_room(self, request: Request) -> Response:
        """PATCH /rooms/{room}."""
        expected = expected_version(request)
        patch = await read_document(request, PATCH_TYPES)
        name = steered_room(request)
        return _outcome(await self._rooms.patch(name, patch, expected, actor_of(request)))

    async def delete_room(self, request: Request) -> Response:
        """DELETE /rooms/{room}."""
        expected, room = expected_version(request), steered_room(request)
        match await self._rooms.delete(room, expected, actor_of(request)):
            case Gone():
                return Response(status_code=204)
            case Stale() as found:
                raise stale(found)

    async def status(self, request: Request) -> Response:
        """GET /rooms/{room}/status."""
        room = await self._rooms.get(seen_room(request))
        figures = await self._deps.figures.figures(room.name)
        return _json(status_document(room, wanted(room, self._deps.clock.now_ms()), figures))

    async def changes(self, request: Request) -> Response:
        """GET /rooms/{room}/changes: the last accepted changes, newest first."""
        room = await self._rooms.get(seen_room(request))
        return _json({"changes": await self._rooms.changes(room.name, 100)})

    async def act(self, request: Request) -> Response:
        """POST /rooms/{room}/acts/{lever}: pull a lever, with ``{"value": …}`` where it takes one.

        A pause names no version: it must not wait for a reload.
        """
        lever, name = lever_of(request), steered_room(request)
        expected = None if lever is Lever.PAUSE else expected_version(request)
        given = await read_document(request, JSON_TYPES)
        if unknown := sorted(set(given) - {"value"}):
            raise Refused("act-malformed", "An act takes a value and nothing else.", 422, unknown=unknown)
        return _outcome(await self._rooms.act(name, lever, given.get("value"), expected, actor_of(request)))

    # ------------------------------------------------------------------------------- sales

    async def list_sales(self, request: Request) -> Response:
        """GET /rooms/{room}/sales."""
        room = await self._rooms.get(seen_room(request))
        return _json({"sales": [sale_to_dict(sale) for sale in room.sales]}, headers=_headers(room))

    async def make_sale(self, request: Request) -> Response:
        """POST /rooms/{room}/sales."""
        given, name = await read_document(request, JSON_TYPES), steered_room(request)
        result = await self._rooms.add_sale(name, given, actor_of(request))
        sale = given.get("name")
        return _sale_outcome(result, sale, 201, {"location": f"/api/rooms/{name}/sales/{sale}"})

    async def get_sale(self, request: Request) -> Response:
        """GET /rooms/{room}/sales/{sale}."""
        room, sale = await self._sale(request)
        return _json(sale_to_dict(sale), headers=_headers(room))

    async def sale_details(self, request: Request) -> Response:
        """GET /rooms/{room}/sales/{sale}/details: with everything inherited filled in."""
        room, sale = await self._sale(request)
        return _json(details(room, sale), headers=_headers(room))

    async def put_sale(self, request: Request) -> Response:
        """PUT /rooms/{room}/sales/{sale}."""
        expected = expected_version(request)
        given = await read_document(request, JSON_TYPES)
        room, sale = steered_room(request), request.path_params["sale"]
        result = await self._rooms.put_sale(room, sale, given, expected, actor_of(request))
        return _sale_outcome(result, sale)

    async def patch_sale(self, request: Request) -> Response:
        """PATCH /rooms/{room}/sales/{sale}."""
        expected = expected_version(request)
        patch = await read_document(request, PATCH_TYPES)
        room, sale = steered_room(request), request.path_params["sale"]
        result = await self._rooms.patch_sale(room, sale, patch, expected, actor_of(request))
        return _sale_outcome(result, sale)

    async def delete_sale(self, request: Request) -> Response:
        """DELETE /rooms/{room}/sales/{sale}."""
        expected = expected_version(request)
        room, sale = steered_room(request), request.path_params["sale"]
        match await self._rooms.delete_sale(room, sale, expected, actor_of(request)):
            case Saved(after):
                return Response(status_code=204, headers=_headers(after))
            case Stale() as found:
                raise stale(found)

    async def _sale(self, request: Request) -> tuple[Room, Sale]:
        return await self._rooms.sale(seen_room(request), request.path_params["sale"])


# ------------------------------------------------------------------------------------ asked


async def read_document(request: Request, types: frozenset[str]) -> dict[str, Any]:
    """Read a JSON object of at most 2 MiB. Its own version, as GET gave it, is the header's business."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in types:
        raise Refused("content-type-unknown", f"The body must be {' or '.join(sorted(types))}.", 415)
    body = await read_body(request.receive, BODY_MAX_BYTES)
    try:
        given = orjson.loads(body)
    except ValueError as error:
        raise Refused("body-not-json", f"The body is not JSON: {error}.") from error
    if not isinstance(given, dict):
        raise Refused("body-not-object", "The body must be a JSON object.")
    given.pop("version", None)
    return given


def expected_version(request: Request) -> int | None:
    """Read If-Match; None for ``*``. Raises ``Refused`` where it is missing or no ETag of ours."""
    given = request.headers.get("if-match")
    if given is None:
        raise Refused(
            "if-match-missing", "Name the version that you change in If-Match, as GET gave it in ETag.", 428
        )
    if given.strip() == "*":
        return None
    found = _ETAG.fullmatch(given.strip())
    if found is None:
        raise Refused("if-match-invalid", 'If-Match must be one ETag such as "3", or *.')
    return int(found[1])


def person_of(request: Request) -> Person:
    """Return who asks: the guard has read it from the token."""
    person: Person = request.scope["waitroom.person"]
    return person


def seen_room(request: Request) -> str:
    """Return the room that the address names, to be looked at. Raises ``Refused`` for one that is not theirs."""
    name: str = request.path_params["room"]
    demand(person_of(request), Role.VIEWER, name)
    return name


def steered_room(request: Request) -> str:
    """Return the room that the address names, to be changed. Raises ``Refused`` for who may only look."""
    name: str = request.path_params["room"]
    demand(person_of(request), Role.OPERATOR, name)
    return name


def lever_of(request: Request) -> Lever:
    """Return the lever that the address names. Raises ``Refused`` (404) for one that there is not."""
    try:
        return Lever(request.path_params["lever"])
    except ValueError as error:
        raise Refused("lever-unknown", "There is no such lever.", 404) from error


def actor_of(request: Request) -> Actor:
    """Read who changes something, and why; percent-encoding carries letters that headers cannot."""

    def text(name: str) -> str:
        return "".join(filter(str.isprintable, unquote(request.headers.get(name, "")))).strip()

    person, said = person_of(request), text("waitroom-who")
    if person.name == API:
        return Actor(said or API, text("waitroom-why"))
    # A token of somebody's own has a name: who it acts for may be added, and takes nobody's place.
    return Actor(f"{person.name} for {said}" if said else person.name, text("waitroom-why"))


# --------------------------------------------------------------------------------- answered


def document(room: Room) -> dict[str, Any]:
    """Write a room as the API shows it."""
    return {"version": room.version} | to_dict(room)


def etag(room: Room) -> str:
    """Write a room's version as an ETag."""
    return f'"{room.version}"'


def status_word(
    room: Room, plan: Wanted, waiting: int
) -> Literal["queueing", "not_queueing", "event_prequeueing", "suspended"]:
    """Return Cloudflare's word for what a room is doing."""
    if room.suspended:
        return "suspended"
    if plan.phase is Phase.GATHERING:
        return "event_prequeueing"
    return "queueing" if waiting > 0 or room.queue_all else "not_queueing"


def status_document(room: Room, plan: Wanted, figures: Mapping[str, object]) -> dict[str, object]:
    """Write a room's status: Cloudflare's members, then ours, then whatever else is counted."""
    waiting = whole(figures, "waiting") or 0
    return {
        **figures,
        "status": status_word(room, plan, waiting),
        "event_id": plan.sale.name if plan.sale else "",
        "estimated_queued_users": waiting,
        "estimated_total_active_users": whole(figures, "active_sessions") or 0,
        "max_estimated_time_minutes": whole(figures, "max_estimated_time_minutes") or 0,
        "phase": str(figures.get("phase") or plan.phase),
        "paused": room.paused,
        "bypass": room.bypass,
        "version": room.version,
    }


def stale(found: Stale) -> Refused:
    """Make the answer for a version that is no longer current: it carries the one that is, and what changed since."""
    if (current := found.current) is None:
        return Refused("room-unknown", "This room has been removed meanwhile.", 404)
    return Refused(
        "settings-stale",
        "Somebody changed these settings since you read them. Here they are as they are now.",
        412,
        current=document(current),
        changes=list(found.changes),
    )


def _outcome(result: Saved | Stale, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    match result:
        case Saved(room):
            return _room_answer(room, status, headers)
        case Stale() as found:
            raise stale(found)


def _sale_outcome(
    result: Saved | Stale, name: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    match result:
        case Saved(room):
            sale = room.sale(str(name))
            shown = sale_to_dict(sale) if sale else {}
            return _json(shown, status, _headers(room) | dict(headers or {}))
        case Stale() as found:
            raise stale(found)


def _room_answer(room: Room, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return _json(document(room), status, _headers(room) | dict(headers or {}))


def _headers(room: Room) -> dict[str, str]:
    return {"etag": etag(room)}


def _json(
    content: Mapping[str, object], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    return Response(
        orjson.dumps(content),
        status,
        {"cache-control": "no-store", **(headers or {})},
        "application/json",
    )
