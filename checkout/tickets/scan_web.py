"""Scan web: what a scanner asks, below ``/scan/``. Decides nothing.

    POST  /scan/enter             {"event", "token"}: the token as a cookie that scripts cannot read
    GET   /scan/{event}/event     what it is, and which scanner asks
    GET   /scan/{event}/hall      its layout, to name seats
    GET   /scan/{event}/list      ?since=: what to know without a network (``tickets.scan_list``)
    POST  /scan/{event}/scans     {"scans": [{"id", "at_ms", "told", "code" or "number"}]}, 100 at most
    everything else               the page and its files, handed in

A scanner has no admission and no account, but a token of its own. In the browser it is a cookie for this event's
addresses only (HttpOnly, SameSite=Strict); what changes something is JSON from a page of this site besides. Not here:
the use cases (``tickets.scanning``), the page (``site.scan_page``).
"""

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.types import ASGIApp

from checkout.caching import takes_gzip
from checkout.catalogue.event import SLUG
from checkout.catalogue.reading import CatalogueReader
from checkout.faults import Faults
from checkout.halls.sections import names
from checkout.metrics import Metrics
from checkout.requests import read_object, same_site
from checkout.tickets.admitting import SCAN_ID, UNDECIDED, Outcome, Scan, shown_ms
from checkout.tickets.scan_list import prefix_of
from checkout.tickets.scanner_rows import Answer, Scanner
from checkout.tickets.scanning import Scanning, read_token, written
from kernel.asgi import Receive, Scope, Send, respond
from kernel.clock import Clock
from kernel.cookies import parse, set_cookie
from kernel.errors import Refused
from kernel.problems import raw_problem

PREFIX = "/scan/"
MOST_SCANS = 100
BODY_MOST_BYTES = 65_536
_CODE_MOST, _NUMBER_MOST = 512, 40
_MOMENT_MOST = 2**53
_NAME = "shop-scanner"
"""Not ``waitroom-…``: a gate keeps cookies of that name to itself."""
_FIELDS = frozenset(("id", "at_ms", "told", "code", "number"))
_TOLD = frozenset((UNDECIDED, *Outcome))
_JSON = [
    (b"content-type", b"application/json"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
]


class ScanWeb:
    """The addresses as an ASGI application; `pages` answers what is none of them."""

    def __init__(
        self,
        scanning: Scanning,
        catalogue: CatalogueReader,
        pages: ASGIApp,
        clock: Clock,
        metrics: Metrics,
        *,
        secure: bool = False,
    ) -> None:
        """`secure`: the shop's pages come over TLS."""
        self._scanning = scanning
        self._catalogue = catalogue
        self._pages = pages
        self._clock = clock
        self._metrics = metrics
        self._secure = secure
        self._cookie = f"__Secure-{_NAME}" if secure else _NAME

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return
        try:
            await self._answer(scope, receive, send)
        except Exception as reason:  # noqa: BLE001 - the one place where failures become answers
            if isinstance(reason, Refused):
                self._metrics.refused.count(reason.code)
            status, headers, body = raw_problem(reason)
            if isinstance(reason, Refused) and "allow" in reason.extra:
                headers.append((b"allow", str(reason.extra["allow"]).encode()))
            await respond(send, status, [*headers, (b"x-content-type-options", b"nosniff")], body)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["path"].removeprefix(PREFIX).split("/"):
            case ["enter"] if scope["method"] not in {"GET", "HEAD"}:
                _only(scope, "POST")
                await self._enter(scope, receive, send)
            case [event, "event"]:
                _only(scope, "GET", "HEAD")
                await self._event(scope, send, event)
            case [event, "hall"]:
                _only(scope, "GET", "HEAD")
                await self._hall(scope, send, event)
            case [event, "list"]:
                _only(scope, "GET", "HEAD")
                await self._list(scope, send, event)
            case [event, "scans"]:
                _only(scope, "POST")
                await self._scans(scope, receive, send, event)
            case _:
                await self._pages(scope, receive, send)

    # ---------------------------------------------------------------------------------- who asks

    async def _enter(self, scope: Scope, receive: Receive, send: Send) -> None:
        same_site(scope)
        _, plain = await read_object(scope, receive)
        event, token = plain.get("event"), plain.get("token")
        if not isinstance(event, str) or not isinstance(token, str) or SLUG.fullmatch(event) is None:
            raise _nobody()
        scanner, own = await self._scanning.known_by(event, token), read_token(token)
        if scanner is None or own is None:
            raise _nobody()
        left_s = max(1, (scanner.until_ms - self._clock.now_ms()) // 1000)
        cookie = set_cookie(
            self._cookie, written(own), secure=self._secure, same_site="strict", max_age_s=left_s,
            path=f"{PREFIX}{event}",
        )  # fmt: skip
        await respond(send, 204, [*_JSON[1:], (b"set-cookie", cookie)], b"")

    async def _who(self, scope: Scope, event: str) -> Scanner:
        """Tell which scanner asks. Raises ``Refused("scanner-unknown")``, also where there is no such event."""
        cookies = b"; ".join(value for name, value in scope["headers"] if name == b"cookie")
        token = parse(cookies).get(self._cookie, "")
        if SLUG.fullmatch(event) is None or not token:
            raise _nobody()
        found = await self._scanning.known_by(event, token)
        if found is None:
            raise _nobody()
        return found

    # ------------------------------------------------------------------------------------- asking

    async def _event(self, scope: Scope, send: Send, event: str) -> None:
        scanner = await self._who(scope, event)
        known = await self._catalogue.known(event, drafts=True)
        plain = {
            "event": event,
            "title": known.event.title,
            "venue": known.venue.name,
            "zone": known.venue.time_zone,
            "starts_ms": known.event.starts_ms,
            "scanner": scanner.id,
            "gate": scanner.name,
            "until_ms": scanner.until_ms,
            "now_ms": self._clock.now_ms(),
        }
        await respond(send, 200, _JSON, orjson.dumps(plain))

    async def _hall(self, scope: Scope, send: Send, event: str) -> None:
        await self._who(scope, event)
        known = await self._catalogue.known(event, drafts=True)
        body = await self._catalogue.layout_json(known.event.layout_id)
        await _packed(scope, send, body.octets, body.packed)

    async def _list(self, scope: Scope, send: Send, event: str) -> None:
        await self._who(scope, event)
        found = await self._scanning.list(event, _since(scope))
        await _packed(scope, send, found.octets, found.packed)

    async def _scans(self, scope: Scope, receive: Receive, send: Send, event: str) -> None:
        same_site(scope)
        scanner = await self._who(scope, event)
        _, plain = await read_object(scope, receive, BODY_MOST_BYTES)
        answers = await self._scanning.take(scanner, read_scans(plain))
        papers = [await self._paper(event, answer) for answer in answers]
        await respond(send, 200, _JSON, orjson.dumps({"now_ms": self._clock.now_ms(), "scans": papers}))

    async def _paper(self, event: str, answer: Answer) -> Mapping[str, Any]:
        paper: dict[str, Any] = {"id": answer.scan, "outcome": answer.outcome.value}
        ticket, before = answer.ticket, answer.before
        if ticket is not None:
            known = await self._catalogue.known(event, drafts=True)
            layout = await self._catalogue.layout(known.event.layout_id)
            paper |= {
                "ticket": prefix_of(ticket.id),
                "number": ticket.number,
                "seat": names(layout, ticket.seat),
                "why": ticket.why.value,
                "used_ms": ticket.used_ms,
            }
        if before is not None:
            paper |= {"gate": before.gate, "gate_ms": shown_ms(before.at_ms, before.came_ms)}
        return paper


def read_scans(plain: Mapping[str, Any]) -> list[Scan]:
    """Read the scans that a device sends. Raises ``Refused("scans-invalid")`` with all faults."""
    faults = Faults("scans-invalid", "The scans have faults.")
    given = plain.get("scans")
    if not isinstance(given, list) or not 1 <= len(given) <= MOST_SCANS or len(plain) != 1:
        faults.add(f"scans: it must be the only field, a list of 1 to {MOST_SCANS}")
        raise faults.refusal()
    found = []
    for at, one in enumerate(given):
        scan = _read_scan(one)
        if isinstance(scan, str):
            faults.add(f"scans[{at}]: {scan}")
        else:
            found.append(scan)
    if len({scan.id for scan in found}) != len(found):
        faults.add("scans: two have the same id")
    faults.refuse()
    return found


def _read_scan(plain: object) -> Scan | str:
    if not isinstance(plain, dict) or not _FIELDS.issuperset(plain):
        return f"it must be an object of {', '.join(sorted(_FIELDS))}"
    id_, at_ms, told = plain.get("id"), plain.get("at_ms"), plain.get("told", UNDECIDED)
    code, number = plain.get("code", ""), plain.get("number", "")
    if not isinstance(id_, str) or SCAN_ID.fullmatch(id_) is None:
        return "id must be sixteen hexadecimal digits, a hyphen, and a number"
    if type(at_ms) is not int or not 0 <= at_ms < _MOMENT_MOST:
        return "at_ms must be a moment"
    if not isinstance(told, str) or told not in _TOLD:
        return "told must be empty, or an outcome"
    if not isinstance(code, str) or not isinstance(number, str) or bool(code) == bool(number):
        return "it must have a code or a number"
    if len(code) > _CODE_MOST or len(number) > _NUMBER_MOST:
        return "its code or number is too long"
    return Scan(id_, at_ms, told, code, number)


def _since(scope: Scope) -> int:
    text: bytes = scope.get("query_string", b"")
    if not text:
        return 0
    name, _, value = text.partition(b"=")
    if name != b"since" or not value.isdigit() or len(value) > 15:
        raise Refused("query-invalid", "There is one parameter here, since: the cursor of another list.", 422)
    return int(value)


async def _packed(scope: Scope, send: Send, octets: bytes, packed: bytes | None) -> None:
    headers = [*_JSON, (b"vary", b"accept-encoding")]
    if packed is not None and takes_gzip(scope):
        octets = packed
        headers.append((b"content-encoding", b"gzip"))
    await respond(send, 200, headers, octets)


def _only(scope: Scope, *methods: str) -> None:
    if scope["method"] not in methods:
        allow = ", ".join(sorted(methods))
        raise Refused("method-not-allowed", f"This address answers {allow} only.", status=405, allow=allow)


def _nobody() -> Refused:
    return Refused("scanner-unknown", "This is no scanner of this event, or none any more.", status=401)
