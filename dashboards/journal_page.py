"""Journal page: what happened, who did it, when and why; to look for things, and to take a copy along.

Complete without JavaScript: filters are a form that is sent by GET, so a view has an address that can be handed on. It
is paged by ``seq``, newest first; what happens meanwhile moves nothing. A request looks at a bounded part of the
journal; where a filter finds nothing there, the page says how far it has looked and leads further.

Who is limited to rooms sees these, and nobody but an owner of all rooms what is for owners. The chain's state is what
the watch in the background knows. Not here: sentences (``waitroom.event_words``), the feed for programs
(``events_api``).
"""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlencode

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from dashboards.access import Session
from dashboards.entrance import Entrance
from dashboards.events_api import kinds_of
from dashboards.operator_api import resource
from dashboards.page import SAFE, Pages, one_line
from dashboards.ports import Deps, Outgoing
from dashboards.rights import Person, Role
from kernel.errors import Unavailable
from waitroom.event_words import sentences
from waitroom.events import OF_OWNERS, STEERING, Told, changes_of, event_of, moment, who_of
from waitroom.field_readers import NAME
from waitroom.journal import Kind
from waitroom.journal_reader import JournalReader, Portion, Sought

SHOWN = 50
PORTIONS = 10
EXPORT_PORTION = 1000
TEXT_MOST = 100
STEERED, ALL = "", "all"
FILTERS = ("room", "kind", "who", "text", "since", "until")
COLUMNS = ("seq", "at", "room", "run", "kind", "who", "why", "said", "body")
KIND_WORDS: Mapping[str, str] = {
    STEERED: "people and schedule",
    ALL: "everything",
} | {kind.value: kind.value for kind in Kind}


@dataclass(frozen=True, slots=True)
class Row:
    """One entry as the page shows it."""

    seq: int
    at: str
    stamp: str
    room: str
    kind: str
    who: str
    why: str
    said: tuple[str, ...]
    changes: tuple[tuple[str, str, str], ...]
    message: str
    """What every waiting page says from here on, where that was changed; '' where it was not, or was taken down."""


class JournalPage:
    """The page and its exports."""

    def __init__(self, deps: Deps, outgoing: Outgoing, pages: Pages, entrance: Entrance) -> None:
        """Show the journal of `outgoing` to whoever came through `entrance`."""
        self._rooms = deps.configurations
        self._clock = deps.clock
        self._reader = outgoing.reader
        self._watch = outgoing.watch
        self._pages = pages
        self._entrance = entrance

    def routes(self) -> list[Route]:
        """Return the page's routes."""
        return [
            resource("/journal", GET=self.show),
            resource("/journal/journal.jsonl", GET=self.lines),
            resource("/journal/journal.csv", GET=self.sheet),
        ]

    async def show(self, request: Request) -> Response:
        """GET /journal."""
        session = self._entrance.session(request)
        if session is None:
            return self._entrance.away(request)
        asked = _asked(request)
        sought, faults = sought_of(asked, session.person)
        before = request.query_params.get("before", "")
        if before and not _is_seq(before):
            faults.append("What the page goes on before is no number.")
        portion = Portion((), 1, more=False)
        try:
            if not faults:
                at = int(before) if before else None
                portion = await asyncio.to_thread(looked_back, self._reader, at, sought)
            rooms = [room.name for room in await self._rooms.list() if session.person.sees(room.name)]
        except Unavailable as error:
            return self._pages.render(
                "away.html", 503, {"retry-after": "2"}, session=session, told=error.public
            )
        return self._page(session, asked, faults, portion, rooms, is_first=not before)

    def _page(
        self, session: Session, asked: dict[str, str], faults: list[str], portion: Portion, rooms: list[str],
        *, is_first: bool,
    ) -> Response:  # fmt: skip
        words = urlencode([(name, value) for name, value in asked.items() if value])
        return self._pages.render(
            "journal.html",
            422 if faults else 200,
            session=session,
            csrf=self._entrance.csrf(session),
            asked=asked,
            kinds={
                word: told
                for word, told in KIND_WORDS.items()
                if word not in OF_OWNERS or session.person.may(Role.OWNER)
            },
            rooms=rooms,
            faults=faults,
            rows=[row_of(told) for told in portion.told],
            words=words,
            older=f"/journal?{words}{'&' if words else ''}before={portion.at}" if portion.more else "",
            newest="" if is_first else f"/journal?{words}",
            looked=portion.at,
            chain=self._watch.known,
            checked=moment(self._watch.known.at_ms)[:16].replace("T", " "),
        )

    # ----------------------------------------------------------------------------- exports

    async def lines(self, request: Request) -> Response:
        """GET /journal/journal.jsonl: what the filters find, oldest first, one event in each line."""

        def write(told: Told) -> bytes:
            return orjson.dumps(event_of(told), option=orjson.OPT_APPEND_NEWLINE)

        return await self._export(request, b"", write, "application/x-ndjson", "journal.jsonl")

    async def sheet(self, request: Request) -> Response:
        """GET /journal/journal.csv: the same as a table."""
        return await self._export(
            request,
            _cells(COLUMNS),
            lambda told: _cells(_columns(told)),
            "text/csv; charset=utf-8",
            "journal.csv",
        )

    async def _export(
        self, request: Request, head: bytes, write: Callable[[Told], bytes], kind: str, name: str
    ) -> Response:
        session = self._entrance.session(request)
        if session is None:
            return self._entrance.away(request)
        asked = _asked(request)
        sought, faults = sought_of(asked, session.person)
        if faults:
            return self._page(session, asked, faults, Portion((), 1, more=False), [], is_first=True)
        try:
            stop = await asyncio.to_thread(self._reader.head)
        except Unavailable as error:
            return self._pages.render(
                "away.html", 503, {"retry-after": "2"}, session=session, told=error.public
            )
        headers = SAFE | {"content-disposition": f'attachment; filename="{name}"'}
        return StreamingResponse(exported(self._reader, sought, stop, head, write), 200, headers, kind)


def looked_back(reader: JournalReader, at: int | None, sought: Sought) -> Portion:
    """Look back until a page is full or ``PORTIONS`` were looked at: a sale lies between two acts of people."""
    found: list[Told] = []
    portion = Portion((), 1, more=False)
    for _ in range(PORTIONS):
        portion = reader.before(at, sought, SHOWN - len(found))
        found += portion.told
        at = portion.at
        if not portion.more or len(found) == SHOWN:
            break
    return Portion(tuple(found), portion.at, portion.more)


async def exported(
    reader: JournalReader, sought: Sought, stop: int, head: bytes, write: Callable[[Told], bytes]
) -> AsyncIterator[bytes]:
    """Give what is found up to `stop`, the journal's end when the copy was asked for."""
    yield head
    at, more = 0, True
    while more and at < stop:
        portion = await asyncio.to_thread(reader.after, at, sought, EXPORT_PORTION)
        yield b"".join(write(told) for told in portion.told if told.entry.seq <= stop)
        at, more = portion.at, portion.more


def _asked(request: Request) -> dict[str, str]:
    """Return what the filters say; whatever was typed becomes one line."""
    return {name: one_line(request.query_params.get(name, ""))[:TEXT_MOST] for name in FILTERS}


def sought_of(asked: Mapping[str, str], person: Person) -> tuple[Sought, list[str]]:
    """Read the filters, within what `person` may see; return faults in sentences."""
    faults = []
    rooms = person.rooms
    if room := asked["room"]:
        if not NAME.fullmatch(room):
            faults.append(f"{room} is not the name of a room.")
        elif not person.sees(room):
            faults.append(f"The room {room} is not one of yours.")
        rooms = frozenset({room})
    kind = asked["kind"]
    kinds = kinds_of(person)
    if kind == STEERED:
        kinds = kinds & STEERING if kinds else STEERING
    elif kind in OF_OWNERS and not person.may(Role.OWNER):
        faults.append(f"The kind {kind} is for owners.")
    elif kind in list(Kind):
        kinds = frozenset({Kind(kind)})
    elif kind != ALL:
        faults.append(f"There is no kind {kind}.")
    times: dict[str, int | None] = {}
    for name, words in (("since", "from"), ("until", "to")):
        times[name] = _time(asked[name]) if asked[name] else None
        if asked[name] and times[name] is None:
            faults.append(f"What stands at “{words}” is not a time such as 2027-05-01T10:00 (UTC).")
    sought = Sought(rooms, kinds, asked["who"], asked["text"], times["since"], times["until"])
    return sought, faults


def row_of(told: Told) -> Row:
    """Write an entry for the page."""
    entry, at = told.entry, moment(told.entry.at_ms)
    changes = tuple(changes_of(told))
    return Row(
        entry.seq, f"{at[:10]} {at[11:19]}", at, entry.room, entry.kind.value, one_line(who_of(entry)),
        one_line(entry.body.get("why", "")), tuple(sentences(told)), changes,
        next((new for name, _, new in changes if name == "message"), ""),
    )  # fmt: skip


def _columns(told: Told) -> list[str]:
    event = event_of(told)
    return [
        *(str(event[name]) for name in COLUMNS[:-2]),
        " ".join(sentences(told)),
        orjson.dumps(event["body"]).decode(),
    ]


def _cells(cells: Iterable[str]) -> bytes:
    """Write a row of a table; what a spreadsheet would take for a formula is marked as text."""
    text = io.StringIO()
    marked = [f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell for cell in cells]
    csv.writer(text).writerow(marked)
    return text.getvalue().encode()


def _time(text: str) -> int | None:
    try:
        at = datetime.fromisoformat(text)
        return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


def _is_seq(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 16
