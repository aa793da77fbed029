"""History over HTTP: a room's minutes as JSON columns and as CSV, for programs and for people who are signed in.

    GET /api/rooms/{room}/history       GET /api/rooms/{room}/history.csv      with a bearer token
    GET /rooms/{room}/history.json      GET /rooms/{room}/history.csv          with the session of the page

What may be asked stands in ``history_asking``. Beside the columns stand the acts of operators in the same stretch.
Everything is read in a thread. Not here: the pages (``history_page``).
"""

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboards.entrance import Entrance
from dashboards.history import ROWS_MOST, Columns, columns, totals
from dashboards.history_asking import Asked, asked
from dashboards.operator_api import behind_guard, resource, seen_room
from dashboards.page import SAFE
from dashboards.ports import Deps
from dashboards.rights import Person
from dashboards.sheet import moment, sheet
from kernel.errors import Refused
from waitroom.history_book import Act, HistoryBook, Recorded
from waitroom.minutes import MINUTE_MS, Minute

Writer = Callable[[Request, str, Asked, Sequence[Minute], Sequence[Act]], Response]
"""Writes an answer: for a request, about a room, what was asked, rows and acts."""


class Histories:
    """Reads the history of rooms, off the event loop."""

    def __init__(self, deps: Deps, book: HistoryBook) -> None:
        """Read `book`."""
        self._deps = deps
        self._book = book

    async def known(self, room: str) -> None:
        """See to it that there is such a room, or was. Raises ``Refused`` and ``Unavailable``."""
        if await asyncio.to_thread(self._book.last, room) is None:
            await self._deps.configurations.get(room)

    async def rooms(self, person: Person) -> list[str]:
        """Name the rooms that somebody sees and of which there are minutes."""
        return [room for room in await asyncio.to_thread(self._book.rooms) if person.sees(room)]

    async def sales(self, room: str) -> list[Recorded]:
        """Return the sales of a room of which there are minutes, the newest first."""
        return await asyncio.to_thread(self._book.sales, room)

    async def minutes(self, room: str, since: int, until: int) -> list[Minute]:
        """Return the rows of a room in [since, until)."""
        return await asyncio.to_thread(self._book.minutes, room, since, until)

    async def ask(
        self,
        room: str,
        query: Mapping[str, str],
        shown: int = ROWS_MOST,
        sales: Sequence[Recorded] | None = None,
    ) -> Asked:
        """Read what is asked; `sales` where they are known already. Raises ``Refused``."""
        if sales is None:
            sales = await self.sales(room) if query.get("sale") else ()
        return asked(query, sales, self._deps.clock.now_ms(), shown)

    async def read(self, room: str, what: Asked) -> tuple[list[Minute], list[Act]]:
        """Return the rows, with those of the step before, and the acts of operators."""
        over = what.over
        minutes = await self.minutes(room, over.asked, over.until)
        acts = await asyncio.to_thread(self._book.acts, room, over.since * MINUTE_MS, over.until * MINUTE_MS)
        return minutes, acts


class HistoryWeb:
    """The addresses for programs, and the exports of the page."""

    def __init__(self, deps: Deps, histories: Histories, entrance: Entrance) -> None:
        """Answer from `histories`."""
        self._deps = deps
        self._histories = histories
        self._entrance = entrance

    def routes(self) -> list[Route]:
        """Return the addresses."""
        api = "/api/rooms/{room}/history"
        programs = [
            resource(api, GET=partial(self.program, as_json)),
            resource(f"{api}.csv", GET=partial(self.program, as_csv)),
        ]
        return [
            *behind_guard(programs, self._deps),
            resource("/rooms/{room}/history.json", GET=partial(self.person, as_json)),
            resource("/rooms/{room}/history.csv", GET=partial(self.person, as_csv)),
        ]

    async def program(self, write: Writer, request: Request) -> Response:
        """GET /api/rooms/{room}/history and history.csv."""
        return await self._answer(write, request, seen_room(request))

    async def person(self, write: Writer, request: Request) -> Response:
        """GET /rooms/{room}/history.json and history.csv."""
        session = self._entrance.session(request)
        if session is None:
            return self._entrance.away(request)
        return await self._answer(write, request, theirs(request, session.person))

    async def _answer(self, write: Writer, request: Request, room: str) -> Response:
        await self._histories.known(room)
        what = await self._histories.ask(room, request.query_params)
        minutes, acts = await self._histories.read(room, what)
        return await asyncio.to_thread(write, request, room, what, minutes, acts)


def theirs(request: Request, person: Person) -> str:
    """Return the room of an address; one that is not theirs is answered like one that is not there."""
    room: str = request.path_params["room"]
    if not person.sees(room):
        raise Refused("room-unknown", f"There is no room {room}.", 404)
    return room


def as_json(
    request: Request, room: str, what: Asked, minutes: Sequence[Minute], acts: Sequence[Act]
) -> Response:
    """Answer with columns."""
    over = what.over
    body = orjson.dumps(
        {
            "room": room,
            "sale": what.sale or None,
            "from": moment(over.since * MINUTE_MS),
            "to": moment(over.until * MINUTE_MS),
            "every": what.every,
            "columns": {"at_ms": over.starts_ms(), **columns(minutes, over, what.names)},
            "totals": asdict(totals(minutes, over.since, over.until)),
            "acts": [asdict(act) for act in acts],
        }
    )
    return _tagged(request, body, "application/json", {})


def as_csv(
    request: Request, room: str, what: Asked, minutes: Sequence[Minute], acts: Sequence[Act]
) -> Response:
    """Answer with a sheet: a row for each step, and in its last column who did what for which reason."""
    over = what.over
    laid: Columns = columns(minutes, over, what.names)
    told: dict[int, list[str]] = {}
    for act in acts:
        told.setdefault((act.at_ms // MINUTE_MS - over.since) // over.step, []).append(sentence(act))
    rows = (
        (moment(at_ms), *(laid[name][index] for name in what.names), "; ".join(told.get(index, ())) or None)
        for index, at_ms in enumerate(over.starts_ms())
    )
    name = f"{room}-{moment(over.since * MINUTE_MS)}-{what.every}.csv".replace(":", "")
    body = sheet(("at", *what.names, "acts"), rows)
    return _tagged(
        request, body, "text/csv; charset=utf-8", {"content-disposition": f'attachment; filename="{name}"'}
    )


def sentence(act: Act) -> str:
    """Say who did what, and why."""
    what = ", ".join(f"{name} {old} → {new}" if old else f"{name} {new}" for name, old, new in act.what)
    return f"{act.who or 'somebody'}: {what}" + (f" ({act.why})" if act.why else "")


def _tagged(request: Request, body: bytes, kind: str, headers: Mapping[str, str]) -> Response:
    tag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
    headers = (
        SAFE
        | {"cache-control": "private, no-cache", "etag": tag, "vary": "cookie, authorization"}
        | dict(headers)
    )
    given = [each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")]
    if tag in given or "*" in given:
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type=kind)
