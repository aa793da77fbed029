"""Doors' web: the organiser's addresses of who scans and who came in, below ``/organiser/api``. Decides nothing.

Below ``/events/{id}``::

    GET   /scanners                       all of them, the oldest first
    POST  /scanners                       {"name", "until_ms"}: a new one; its token is told this once
    POST  /scanners/{scanner}/revoke      it scans no more
    GET   /entry                          sold, entered, by gate, refused by reason, by minute
    GET   /entry/conflicts                who was let in without a network and should not have been (``pages``)

They stand behind the organiser's door (``organiser.web``). Not here: what is decided (``tickets.scanning``).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from checkout.catalogue.reading import CatalogueReader
from checkout.faults import Faults
from checkout.organiser.pages import cut, is_name, read_wish, refuse_any
from checkout.organiser.talking import PREFIX, answer, event_of, resource, told
from checkout.requests import read_object
from checkout.tickets.admitting import shown_ms
from checkout.tickets.scanner_rows import Scanner
from checkout.tickets.scanning import MOST_SCANNERS, Scanning
from checkout.tickets.ticket import number_of
from kernel.clock import Clock
from kernel.errors import Refused

NAME_MOST = 60
LIFE_MOST_MS = 400 * 86_400_000
_KEY = (int, str, str)


class DoorsDesk:
    """The addresses of an event's doors; ``routes`` go behind the organiser's door."""

    def __init__(self, catalogue: CatalogueReader, scanning: Scanning, clock: Clock) -> None:
        self._catalogue = catalogue
        self._scanning = scanning
        self._clock = clock
        event = f"{PREFIX}/events/{{event}}"
        self.routes: Sequence[Route] = [
            resource(f"{event}/scanners", GET=self.scanners, POST=self.make),
            resource(f"{event}/scanners/{{scanner}}/revoke", POST=self.revoke),
            resource(f"{event}/entry", GET=self.entry),
            resource(f"{event}/entry/conflicts", GET=self.conflicts),
        ]

    async def scanners(self, request: Request) -> Response:
        """GET /scanners."""
        event = await self._event(request)
        refuse_any(request.query_params.multi_items())
        found = await self._scanning.scanners(event)
        return answer({"scanners": [self._paper(one) for one in found]})

    async def make(self, request: Request) -> Response:
        """POST /scanners: a new scanner, with its token and the link that opens it."""
        event = await self._event(request)
        _, plain = await read_object(request.scope, request.receive)
        name, until_ms = read_scanner(plain, self._clock.now_ms())
        made = await self._scanning.make(event, name, until_ms)
        if made is None:
            raise Refused("scanners-full", f"An event has {MOST_SCANNERS} scanners at most.", 409)
        told(request, "scanner-made", event=event, scanner=made.scanner.id, gate=name)
        paper = {**self._paper(made.scanner), "token": made.token, "link": f"/scan/{event}#{made.token}"}
        return answer(paper, 201)

    async def revoke(self, request: Request) -> Response:
        """POST /scanners/{scanner}/revoke."""
        event, scanner = await self._event(request), str(request.path_params["scanner"])
        if not is_name(scanner) or not await self._scanning.revoke(event, scanner):
            raise Refused("scanner-unknown", "There is no such scanner, or it scans no more.", 404)
        told(request, "scanner-revoked", event=event, scanner=scanner)
        return Response(status_code=204, headers={"cache-control": "no-store"})

    async def entry(self, request: Request) -> Response:
        """GET /entry: how the doors stand; times are when we heard of a scan."""
        event = await self._event(request)
        refuse_any(request.query_params.multi_items())
        now = await self._scanning.figures(event)
        gates = [
            {"scanner": one.id, "gate": one.name, "entered": now.gates.get(one.id, 0)} for one in now.scanners
        ]
        return answer(
            {
                "event": event,
                "now_ms": self._clock.now_ms(),
                "sold": now.sold,
                "entered": now.entered,
                "gates": gates,
                "refused": dict(now.refused),
                "minutes": [{"minute_ms": minute, "entered": count} for minute, count in now.minutes],
            }
        )

    async def conflicts(self, request: Request) -> Response:
        """GET /entry/conflicts: the newest first, each with both gates and times."""
        event = await self._event(request)
        wish = read_wish(request.query_params.multi_items(), {}, _KEY)
        found = await self._scanning.conflicts(event, wish.after, wish.limit + 1)
        page = cut(found, wish.limit, lambda row: (row.came_ms, row.scanner_id, row.id))
        return answer({"conflicts": [conflict_paper(row) for row in page.rows], "next": page.next or None})

    def _paper(self, one: Scanner) -> Mapping[str, Any]:
        return {
            "scanner": one.id,
            "name": one.name,
            "works": one.works_at(self._clock.now_ms()),
            "revoked": one.revoked,
            "created_ms": one.created_ms,
            "until_ms": one.until_ms,
            "seen_ms": one.seen_ms or None,
        }

    async def _event(self, request: Request) -> str:
        """Name the event, which must be there. Raises ``Refused("event-unknown")``."""
        return (await self._catalogue.known(event_of(request), drafts=True)).event.id


def read_scanner(plain: Mapping[str, Any], now_ms: int) -> tuple[str, int]:
    """Read the wish for a scanner: its name, and until when. Raises ``Refused("scanner-invalid")``."""
    faults = Faults("scanner-invalid", "The scanner has faults.")
    faults.add_all(f"{name[:63]}: it is unknown" for name in sorted(plain.keys() - {"name", "until_ms"}))
    name, until_ms = plain.get("name"), plain.get("until_ms")
    if not isinstance(name, str) or not is_name(name.strip()) or len(name) > NAME_MOST:
        faults.add(f"name: it must be a text of 1 to {NAME_MOST} characters that can be read")
    if type(until_ms) is not int or not now_ms < until_ms <= now_ms + LIFE_MOST_MS:
        faults.add("until_ms: it must be a moment to come, within 400 days")
    faults.refuse()
    return str(name).strip(), int(str(until_ms))


def conflict_paper(row: Any) -> Mapping[str, Any]:
    """Write a conflict: who was let in, where, when, what our word is, and who had been before."""
    first = None
    if row.first_name is not None:
        first = {"gate": row.first_name, "at_ms": shown_ms(row.first_at_ms, row.first_came_ms)}
    return {
        "ticket": row.ticket_id or None,
        "number": number_of(row.ticket_id) if row.ticket_id else None,
        "order": row.order_id,
        "seat": row.seat,
        "gate": row.name,
        "at_ms": shown_ms(row.at_ms, row.came_ms),
        "came_ms": row.came_ms,
        "outcome": row.outcome,
        "why": row.why or None,
        "first": first,
    }
